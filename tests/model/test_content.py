"""Tests of the packed content of a message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.content import Content

octet = st.integers(0, 255)
contents = st.builds(
    Content,
    source=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    source_ton=octet,
    source_npi=octet,
    dest_ton=octet,
    dest_npi=octet,
    data_coding=octet,
    esm_class=octet,
    parts=st.lists(st.binary(max_size=160), min_size=1, max_size=5).map(tuple),
    reference=st.integers(0, 65535),
    protocol_id=octet,
    service_type=st.text(st.characters(max_codepoint=127), max_size=5),
    tlvs=st.binary(max_size=60),
)


class ContentTests(SynchronousTestCase):
    """Content survives the store."""

    @given(contents)
    def test_round_trip(self, content: Content) -> None:
        """What was packed is unpacked unchanged."""
        self.assertEqual(Content.unpack(content.pack()), content)

    def test_unknown_version(self) -> None:
        """Content written by a later program is refused with both versions named, not misread."""
        packed = b"\x09" + Content("A", 5, 0, 1, 1, 0, 0, (b"x",)).pack()[1:]
        error = self.assertRaises(ValueError, Content.unpack, packed)
        self.assertIn("version 9", str(error))
