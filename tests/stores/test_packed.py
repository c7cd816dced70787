"""The packed values of a message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.content import WHOLE, Content, Cut, Form, Labels
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.stores.packed import LABELLED, pack, pack_cut, unpack, unpack_cut

octet = st.integers(0, 255)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
contents = st.builds(
    Content,
    sender=words,
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
    labels=st.none() | st.builds(Labels, words, words, words),
    recipient=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)


def _message(content: Content, notify: int = 0, listener: str = "") -> Message:
    return Message(
        1, "demo", "", "sim", State.QUEUED, 0, False, 0, notify, 1, 0.0, 0.0, 0.0, 0.0, 0, "79161234567", 0, content,
        listener=listener,
    )  # fmt: skip


class PackedTests(SynchronousTestCase):
    """What never changes survives the store."""

    @given(contents, octet, words)
    def test_round_trip(self, content: Content, notify: int, listener: str) -> None:
        """What was packed is unpacked unchanged."""
        packed = bytes(pack(_message(content, notify, listener)))
        self.assertEqual(unpack(packed), (content, notify, listener))
        self.assertEqual(packed[0] == LABELLED, content.labels is not None)

    def test_unknown_version(self) -> None:
        """A message written by a later program is refused with both versions named, not misread."""
        packed = b"\x09" + pack(_message(Content("A", 5, 0, 1, 1, 0, 0, b"x")))[1:]
        error = self.assertRaises(ValueError, unpack, packed)
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
        self.assertEqual(unpack_cut(pack_cut(cut, text), text), cut)

    def test_text_is_not_repeated(self) -> None:
        """Parts that are pieces of the text cost two octets each."""
        cut = Cut(Form.UDH8, 0, (b"x" * 153, b"x" * 100), 1)
        self.assertEqual(len(pack_cut(cut, b"x" * 253)), len(pack_cut(cut, b"y" * 253)) - 253)
        self.assertLess(len(pack_cut(cut, b"x" * 253)), 12)

    def test_whole(self) -> None:
        """A message of one part needs no octet."""
        self.assertEqual(pack_cut(WHOLE, b"text"), b"")
        self.assertIs(unpack_cut(b"", b"text"), WHOLE)
