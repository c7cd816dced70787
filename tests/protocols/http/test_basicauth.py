"""Credentials in a header."""

from __future__ import annotations

from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.http.basicauth import Credentials, read_basic

PARTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


class ReadBasic(SynchronousTestCase):
    @given(PARTS.map(lambda login: login.replace(":", "")), PARTS)
    def test_reads(self, login: str, password: str) -> None:
        """Login and password are read back unchanged; the password may contain colons."""
        token = b64encode(f"{login}:{password}".encode())
        for header in (b"Basic " + token, b"basic  " + token + b" ", b"BASIC " + token):
            self.assertEqual(read_basic(header), Credentials(login.encode(), password.encode()))

    def test_unreadable(self) -> None:
        """All malformed headers give None."""
        for header in (
            b"",
            b"Basic",
            b"Basic ",
            b"Basic !!!!",
            b"Basic YTpi=",
            b"Basic YTp",
            b"Basic YT\npi",
            b"Basic " + b64encode(b"nocolon"),
            b"Basic " + b64encode(b"a:\xff"),
            b"Basic " + b64encode(b"a\x00:b"),
            b"Basic " + b64encode(b"a:b\r\n"),
            b"Bearer " + b64encode(b"a:b"),
            b"YTpi",
            b"Basic" + b64encode(b"a:b"),
        ):
            with self.subTest(header=header):
                self.assertIsNone(read_basic(header))

    def test_not_shown(self) -> None:
        """The representation of credentials hides their values."""
        self.assertNotIn("seeded", repr(read_basic(b"Basic " + b64encode(b"seeded:seeded"))))
