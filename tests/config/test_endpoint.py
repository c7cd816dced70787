"""Endpoint strings of listeners."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import serverFromString
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import InvalidValue
from smsgw.config.endpoint import ENDPOINT, take_apart

GOOD = [
    "tcp:2775", "tcp:port=2775", "tcp:0:interface=127.0.0.1", "tcp:2775:interface=127.0.0.1:backlog=100",
    "tcp6:2775", "tcp6:2775:interface=\\:\\:1", "tcp:2775:interface=localhost", "unix:/run/smsgw.sock",
    "unix:address=/run/a\\:b:mode=660",
]
ALLOWED = "tcp:PORT:interface=ADDRESS, tcp6:PORT, unix:PATH or systemd:domain=INET:index=0"


class ReadTests(SynchronousTestCase):
    def test_twisted_agrees(self) -> None:
        """Every endpoint that is accepted is one that Twisted can make."""
        for text in GOOD:
            self.assertEqual(ENDPOINT.take(text), text)
            self.assertIsNotNone(serverFromString(MemoryReactorClock(), text))

    def test_systemd(self) -> None:
        """A socket that systemd hands over may be named by number or by name."""
        for text in ("systemd:domain=INET:index=0", "systemd:domain=INET6:name=smpp"):
            self.assertEqual(ENDPOINT.take(text), text)

    def test_refusals(self) -> None:
        """The error of an endpoint says what is wrong and what is allowed."""
        vectors = {
            "2775": f'"2775" is not an endpoint to listen on; allowed: {ALLOWED}',
            "ssl:2775": f'"ssl:2775" is not an endpoint to listen on; allowed: {ALLOWED}',
            "haproxy:tcp:1": f'"haproxy:tcp:1" is not an endpoint to listen on; allowed: {ALLOWED}',
            "tcp": '"tcp": "" is not a port; allowed: 0 to 65535',
            "tcp:": '"tcp:": "" is not a port; allowed: 0 to 65535',
            "tcp:smpp": '"tcp:smpp": "smpp" is not a port; allowed: 0 to 65535',
            "tcp:65536": '"tcp:65536": "65536" is not a port; allowed: 0 to 65535',
            "tcp:1:127.0.0.1": f'"tcp:1:127.0.0.1": unknown or repeated argument "127.0.0.1"; allowed: {ALLOWED}',
            "tcp:1:host=a": f'"tcp:1:host=a": unknown or repeated argument "host"; allowed: {ALLOWED}',
            "tcp:=1": f'"tcp:=1": unknown or repeated argument "1"; allowed: {ALLOWED}',
            "tcp:1\\": '"tcp:1\\" ends with a backslash that escapes nothing',
            "tcp:1:port=2": f'"tcp:1:port=2": unknown or repeated argument "port"; allowed: {ALLOWED}',
            "tcp:1:interface=all": '"tcp:1:interface=all": interface "all" is not an address (colons in it are written '
                                   "\\:)",
            "tcp6:1:interface=127.0.0.1": '"tcp6:1:interface=127.0.0.1": interface "127.0.0.1" is not an IPv6 address',
            "tcp:1:backlog=x": '"tcp:1:backlog=x": backlog "x" is not a whole number',
            "unix:/x:mode=rw": '"unix:/x:mode=rw": mode "rw" is not an octal mode such as 660',
            "unix:/x:lockfile=yes": '"unix:/x:lockfile=yes": lockfile "yes" is not 0 or 1',
            "unix:": f'"unix:" names no path; allowed: {ALLOWED}',
            "systemd:INET": f'"systemd:INET": unknown or repeated argument "INET"; allowed: {ALLOWED}',
            "systemd:domain=INET": '"systemd:domain=INET" needs domain= and either index= or name=, as in '
                                   "systemd:domain=INET:index=0",
        }
        for text, expected in vectors.items():
            self.assertEqual(str(self.assertRaises(InvalidValue, ENDPOINT.take, text)), expected)

    @given(st.lists(st.sampled_from([
        "tcp", "tcp6", "unix", ":", ":", ":", "=", "\\", "1", "0", "65536", ".", "127.0.0.1", "::1", "\\:\\:1", "port",
        "interface", "backlog", "address", "mode", "lockfile", "/x", "localhost", "port=2775", "interface=", "mode=660",
    ]), max_size=8).map("".join))
    def test_junk(self, text: str) -> None:
        """For any text, take_apart refuses it or Twisted makes an endpoint of it."""
        for scheme in ("tcp:", "tcp6:", "unix:"):
            with contextlib.suppress(InvalidValue):
                self.assertIsNotNone(serverFromString(MemoryReactorClock(), ENDPOINT.take(scheme + text)))


class ReachTests(SynchronousTestCase):
    def test_loopback(self) -> None:
        """Other machines cannot reach loopback addresses and UNIX sockets; without interface all can connect."""
        for text in ("tcp:1:interface=127.0.0.1", "tcp:1:interface=127.3.3.3", "tcp6:1:interface=\\:\\:1",
                     "tcp:1:interface=localhost", "unix:/run/x"):
            self.assertTrue(take_apart(text).on_loopback, text)
        for text in ("tcp:1", "tcp:1:interface=", "tcp:1:interface=0.0.0.0", "tcp:1:interface=10.0.0.1", "tcp6:1",
                     "tcp6:1:interface=\\:\\:", "systemd:domain=INET:index=0"):
            self.assertFalse(take_apart(text).on_loopback, text)

    def test_clashes(self) -> None:
        """Two clash on the same port of the same address, or when one of them takes every address."""
        vectors = [
            ("tcp:1", "tcp:1", True),
            ("tcp:1", "tcp:01:interface=10.0.0.1", True),
            ("tcp:1:interface=127.0.0.1", "tcp:1:interface=localhost", True),
            ("tcp:1:interface=127.0.0.1", "tcp:1:interface=10.0.0.1", False),
            ("tcp:1", "tcp:2", False),
            ("tcp:0", "tcp:0", False),
            ("tcp6:1", "tcp6:1:interface=\\:\\:1", True),
            ("tcp:1:interface=127.0.0.1", "tcp6:1:interface=\\:\\:1", False),
            ("tcp:1:interface=\\:\\:1", "tcp6:1:interface=localhost", True),
            ("unix:/run/x", "unix:address=/run/x", True),
            ("unix:/run/x", "unix:/run/y", False),
            ("unix:1", "tcp:1", False),
            ("systemd:domain=INET:index=0", "systemd:domain=INET:index=1", False),
        ]
        for one, other, expected in vectors:
            self.assertEqual(take_apart(one).clashes(take_apart(other)), expected, (one, other))
            self.assertEqual(take_apart(other).clashes(take_apart(one)), expected, (other, one))
