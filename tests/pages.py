"""The code on the pages of the documentation: each block under ``In FILE:`` is the next part of that file."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"^In ``(\S+)``:\n\n\.\. code-block:: \w+\n\n((?:   .*\n|\n)+)", re.MULTILINE)


def files_of(page: str) -> dict[str, str]:
    """Return the files on a page, by name."""
    found: dict[str, list[str]] = {}
    for name, text in _BLOCK.findall((DOCS / page).read_text("utf-8") + "\n"):
        found.setdefault(name, []).append(re.sub(r"^ {3}", "", text, flags=re.MULTILINE).strip("\n"))
    return {name: "\n\n".join(blocks) + "\n" for name, blocks in found.items()}


def copy_out(page: str, directory: Path) -> None:
    """Write the files on a page into a directory."""
    for name, text in files_of(page).items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def environment(directory: Path) -> Path:
    """Make a virtual environment that finds pip, setuptools, smsgw and what it needs where the tests find them; return
    its interpreter."""
    venv.create(directory, symlinks=True)
    python = directory / "bin" / "python"
    script = "import sysconfig; print(sysconfig.get_path('purelib'))"
    place = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    here = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(ROOT)]
    (Path(place) / "smsgw.pth").write_text("\n".join(dict.fromkeys(here)) + "\n")
    assert str(python) != sys.executable
    return python
