"""``python -m smsgw``: the command line beside the running gateway."""

from __future__ import annotations

import sys

from smsgw.cli import main

if __name__ == "__main__":
    sys.exit(main())
