"""Tests of the packed content of a message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.content import WHOLE, Content, Cut, Form

octet = st.integers(0, 255)
contents = st.builds(
    Content,
    sender=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    sender_ton=octet,
    sender_npi=octet,
    recipient_ton=octet,
    recipient_npi=octet,
    data_coding=octet,
    esm_class=octet,
    octets=st.binary(max_size=700),
    protocol_id=octet,
    service_type=st.text(st.characters(max_codepoint=127), max_size=5),
    tlvs=st.binary(max_size=60),
    recipient=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)


class ContentTests(SynchronousTestCase):
    """Content survives the store."""

    @given(contents)
    def test_round_trip(self, content: Content) -> None:
        """What was packed is unpacked unchanged."""
        self.assertEqual(Content.unpack(bytes(content.pack())), content)

    def test_unknown_version(self) -> None:
        """Content written by a later program is refused with both versions named, not misread."""
        packed = b"\x09" + Content("A", 5, 0, 1, 1, 0, 0, b"x").pack()[1:]
        error = self.assertRaises(ValueError, Content.unpack, packed)
        self.assertIn("version 9", str(error))


class CutTests(SynchronousTestCase):
    """The cut survives the store beside the text."""

    @given(
        st.lists(st.binary(max_size=160), min_size=1, max_size=5),
        st.integers(0, 255),
        st.integers(0, 65535),
        st.booleans(),
    )
    def test_round_trip(self, parts: list[bytes], data_coding: int, reference: int, recoded: bool) -> None:
        """What was packed is unpacked unchanged, whether the parts are pieces of the text or written anew."""
        text = b"another text" if recoded else b"".join(parts)
        cut = Cut(Form.UDH8, data_coding, tuple(parts), reference)
        self.assertEqual(Cut.unpack(cut.pack(text), text), cut)

    def test_text_is_not_repeated(self) -> None:
        """Parts that are pieces of the text cost two octets each."""
        cut = Cut(Form.UDH8, 0, (b"x" * 153, b"x" * 100), 1)
        self.assertEqual(len(cut.pack(b"x" * 253)), len(cut.pack(b"y" * 253)) - 253)
        self.assertLess(len(cut.pack(b"x" * 253)), 12)

    def test_whole(self) -> None:
        """A message of one part needs no octet."""
        self.assertEqual(WHOLE.pack(b"text"), b"")
        self.assertIs(Cut.unpack(b"", b"text"), WHOLE)
