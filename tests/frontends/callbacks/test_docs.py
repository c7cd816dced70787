"""The page about callbacks is correct."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smsgw.dialects import CallbackContext, CallbackRequest, native
from smsgw.frontends.callbacks.circuitbreaker import FIRST_PAUSE, LONGEST_PAUSE, TRIES
from smsgw.frontends.callbacks.path import PER_RECEIVER
from tests.dialects.support import CONTEXT, status

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "callbacks.rst").read_text("utf-8")


def signed(keys: list[str], now: float) -> CallbackRequest:
    """Return a callback signed with these keys at this time."""
    return native.write_callback("http://h/", status(), CallbackContext(CONTEXT.zone, keys, now))


class DocumentTests(SynchronousTestCase):
    """docs/callbacks.rst."""

    def test_check_of_signatures(self) -> None:
        """The printed function accepts genuine callbacks, with one key and with two, and refuses others."""
        found = re.search(r"code-block:: python\n\n((?:    .*\n|\n)+)", TEXT)
        assert found is not None
        names: dict[str, Any] = {}
        exec(re.sub(r"(?m)^    ", "", found[1]), names)
        genuine = names["is_genuine"]
        for keys in (["secret"], ["new", "secret"]):
            call = signed(keys, time.time())
            headers = {name.decode(): value.decode() for name, value in call.headers}
            self.assertTrue(genuine(headers, call.body, b"secret"))
            self.assertFalse(genuine(headers, call.body, b"other"))
            self.assertFalse(genuine(headers, (call.body or b"") + b" ", b"secret"))
            self.assertFalse(genuine({**headers, "X-Smsgw-Event": "1.2"}, call.body, b"secret"))
        call = signed(["secret"], 1e9)
        self.assertFalse(genuine({name.decode(): value.decode() for name, value in call.headers}, call.body, b"secret"))

    def test_example(self) -> None:
        """The example has the fields of real callbacks."""
        found = re.search(r"code-block:: json\n\n((?:    .*\n)+)", TEXT)
        assert found is not None
        self.assertEqual(list(json.loads(found[1])), list(native.document(status())))

    def test_figures(self) -> None:
        """The page has the limits of the code: eight requests, five failures, ten seconds, ten minutes."""
        self.assertEqual((PER_RECEIVER, TRIES, FIRST_PAUSE, LONGEST_PAUSE), (8, 5, 10.0, 600.0))
