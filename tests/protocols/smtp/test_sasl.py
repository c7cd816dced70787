"""The SASL mechanisms without a stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.smtp.sasl import Malformed, SaslCredentials, decode, exchange
from tests.protocols.smtp.support import encoded


def outcome(mechanism: str, *responses: bytes) -> SaslCredentials:
    """Return the credentials in these responses."""
    steps = exchange(mechanism, "Ok")
    assert steps is not None
    next(steps)
    for response in responses:
        try:
            steps.send(response)
        except StopIteration as end:
            assert isinstance(end.value, SaslCredentials)
            return end.value
    raise AssertionError("the mechanism wants more")


class MechanismTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """PLAIN has three fields, the first usually empty."""
        self.assertEqual(outcome("PLAIN", b"\x003\0freetest"), SaslCredentials(b"", b"3", b"freetest"))
        self.assertEqual(outcome("PLAIN", b"a\0b\0c"), SaslCredentials(b"a", b"b", b"c"))

    def test_empty_login(self) -> None:
        """An empty login is accepted, because an API key has none."""
        self.assertEqual(outcome("PLAIN", b"\0\0key"), SaslCredentials(b"", b"", b"key"))
        self.assertEqual(outcome("LOGIN", b"", b"key"), SaslCredentials(b"", b"", b"key"))

    def test_malformed(self) -> None:
        """Too few, too many or too long fields, and fields not in UTF-8, are malformed."""
        for response in (b"", b"x", b"a\0b", b"a\0b\0c\0d", b"\0" * 300, b"\0\xff\0x", b"\0" + b"x" * 256 + b"\0p"):
            with self.assertRaises(Malformed):
                outcome("PLAIN", response)
        for name, password in ((b"a\0b", b"x"), (b"a", b"\0"), (b"x" * 256, b""), (b"a", b"\x80")):
            with self.assertRaises(Malformed):
                outcome("LOGIN", name, password)

    def test_unknown(self) -> None:
        """Other mechanisms are not known."""
        for name in ("CRAM-MD5", "XOAUTH2", "ANONYMOUS", "", "plain"):
            self.assertIsNone(exchange(name, ""))

    def test_nothing_to_see(self) -> None:
        """The repr of credentials hides their values."""
        self.assertNotIn("freetest", repr(outcome("PLAIN", b"\x003\0freetest")))


class Base64Tests(SynchronousTestCase):
    @given(st.binary(max_size=100))
    def test_round_trip(self, octets: bytes) -> None:
        """decode undoes base64 for any octets."""
        self.assertEqual(decode(encoded(octets)), octets)

    def test_strict(self) -> None:
        """Only well-formed base64 is accepted."""
        for response in (b"A", b"AA", b"AAA", b"AAA=A", b"AA==AA==", b"====", b"A A=", b"AAA\xff", b"AAAA\r", b"*"):
            with self.assertRaises(Malformed):
                decode(response)
