"""Tests of GSM 03.38."""

import importlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from smsgw.text import gsm0338
from tests.text import oracle

lockings = st.sampled_from(sorted(oracle.LOCKING))
singles = st.sampled_from(sorted(oracle.SINGLE))
alphabet = "".join((*oracle.DEFAULT.values(), *oracle.EXTENSION.values()))
texts = st.text(alphabet, max_size=200)
# Octets in which ESC, runs of it and undefined values are frequent.
wild = st.lists(st.sampled_from([0x1B, 0x1B, 0x00, 0x65, 0x3C, 0x41, 0x9B, 0xFF]) | st.integers(0, 255)).map(bytes)
septet_strings = st.lists(st.integers(0, 0x7F), max_size=180).map(bytes)


class EncodeTests(SynchronousTestCase):
    """Text to unpacked septets."""

    def test_examples(self) -> None:
        """Characters of the first rows, extension characters and the shared digits are encoded as published."""
        self.assertEqual(gsm0338.encode("@£$ Ab1"), b"\x00\x01\x02 Ab1")
        self.assertEqual(
            gsm0338.encode("Cost: 5€ [net] @home"), bytes.fromhex("436f73743a20351b65201b3c6e65741b3e2000686f6d65")
        )
        self.assertEqual(gsm0338.encode(""), b"")

    def test_not_in_the_alphabet(self) -> None:
        """Any character outside the alphabet makes the text not encodable."""
        for foreign in "ы`ç\t\0\x1b\x7f\ud800\U0001f600\ufffd\ufffe\uffff":
            for text in (foreign, f"abc{foreign}", f"{foreign}abc", f"[{foreign}@"):
                self.assertIsNone(gsm0338.encode(text), ascii(text))
                self.assertIsNone(gsm0338.septets(text))

    @given(texts)
    def test_round_trip(self, text: str) -> None:
        """encode and decode round-trip any text of the alphabet."""
        octets = gsm0338.encode(text)
        assert octets is not None
        self.assertEqual(gsm0338.decode(octets), text)

    @given(st.text(st.characters() | st.sampled_from(alphabet), max_size=60), lockings, singles)
    def test_like_the_literal_encoder(self, text: str, locking: int, single: int) -> None:
        """The fast encoder and the literal one give the same result for any text and any pair of tables."""
        self.assertEqual(gsm0338.encode(text, locking, single), oracle.encode(text, locking, single))

    @given(st.text(st.characters() | st.sampled_from(alphabet), max_size=60))
    def test_i3_known_characters(self, text: str) -> None:
        """encode_known encodes each character as the literal encoder does, a missing one as a question mark."""
        wanted = b"".join(oracle.encode(character, 0, 0) or b"?" for character in text)
        self.assertEqual(gsm0338.encode_known(text), wanted)

    def test_every_pair_of_tables(self) -> None:
        """With each pair of tables every character of the basic plane is encoded as by the literal encoder."""
        basic = [chr(point) for point in range(0x10000)]
        for locking in oracle.LOCKING:
            for single in oracle.SINGLE:
                known = set(oracle.LOCKING[locking].values()) | set(oracle.SINGLE[single].values())
                for character in known:
                    expected = oracle.encode(character, locking, single)
                    self.assertEqual(gsm0338.encode(character, locking, single), expected, (locking, single))
                    self.assertEqual(gsm0338.decode(expected or b"", locking, single), character)
        for pair in ((0, 0), (1, 1), (13, 13), (0, 12)):
            known = set(oracle.LOCKING[pair[0]].values()) | set(oracle.SINGLE[pair[1]].values())
            written = {character for character in basic if gsm0338.encode(character, *pair) is not None}
            self.assertEqual(written, known)

    def test_lower_value(self) -> None:
        """A character that a table has twice is written with the lower value."""
        self.assertEqual(gsm0338.encode("¡*", 6, 6), b"\x1b\x13\x1b\x0b")

    def test_extension_stays(self) -> None:
        """A locking shift alone leaves the default extension in force."""
        self.assertEqual(gsm0338.encode("[İ]", 1, 0), b"\x1b\x3c\x40\x1b\x3e")

    def test_unknown_language(self) -> None:
        """A language without the requested table raises ValueError."""
        for locking, single in ((2, 0), (14, 0), (0, 14), (0, -1)):
            with self.assertRaisesRegex(ValueError, "no national table"):
                gsm0338.encode("a", locking, single)

    def test_fallbacks(self) -> None:
        """Greek capitals and ç are replaced by their look-alikes only on request."""
        for character, stand_in in oracle.FALLBACKS.items():
            self.assertIsNone(gsm0338.encode(character))
            self.assertEqual(gsm0338.encode(character, fallbacks=True), oracle.encode(stand_in))
        self.assertEqual(gsm0338.encode("ΑΘΗΝΑ [ç]", fallbacks=True), b"A\x19HNA \x1b\x3c\x09\x1b\x3e")
        self.assertEqual(gsm0338.encode("ç", 0, 2, fallbacks=True), b"\x1b\x09")
        self.assertIsNone(gsm0338.encode("ы", fallbacks=True))

    def test_fallbacks_in_national_tables(self) -> None:
        """A look-alike is encoded by the tables in force; without it there the text is not encodable."""
        self.assertEqual(gsm0338.encode("Α", 6, 6, fallbacks=True), b"\x1bA")
        self.assertIsNone(gsm0338.encode("Α", 6, 0, fallbacks=True))

    @given(texts)
    def test_septets(self, text: str) -> None:
        """Extension characters count two, all others one."""
        self.assertEqual(
            gsm0338.septets(text), sum(2 if character in oracle.EXTENSION.values() else 1 for character in text)
        )

    def test_like_the_library(self) -> None:
        """Every character and every octet pair reads and writes as in the library gsm0338."""
        try:
            codec = importlib.import_module("gsm0338").Codec()
        except ImportError:
            raise SkipTest("the library gsm0338 is not installed") from None
        for character in alphabet:
            self.assertEqual(gsm0338.encode(character), codec.encode(character)[0])
        for value in range(0x80):
            if value != 0x1B:
                self.assertEqual(gsm0338.decode(bytes((value,))), codec.decode(bytes((value,)))[0])
        for value in oracle.EXTENSION:
            self.assertEqual(gsm0338.decode(bytes((0x1B, value))), codec.decode(bytes((0x1B, value)))[0])


class DecodeTests(SynchronousTestCase):
    """Unpacked septets to text."""

    def test_escapes(self) -> None:
        """An undefined escape gives the main character; a doubled or a final ESC gives a space."""
        self.assertEqual(gsm0338.decode(b"\x1bA"), "A")
        self.assertEqual(gsm0338.decode(b"\x1b\x0d"), "\r")
        self.assertEqual(gsm0338.decode(b"a\x1b\x1bb"), "a b")
        self.assertEqual(gsm0338.decode(b"\x1b\x1b\x1be"), " €")
        self.assertEqual(gsm0338.decode(b"end\x1b"), "end ")

    def test_not_septets(self) -> None:
        """Octets from 0x80 up become replacement characters, after ESC too."""
        self.assertEqual(gsm0338.decode(b"a\x80\xff\xe5"), "a\ufffd\ufffd\ufffd")
        self.assertEqual(gsm0338.decode(b"\x1b\xe5\x1b\x9b\x9b\x1be"), "\ufffd\ufffd\ufffd€")

    def test_unknown_language(self) -> None:
        """A reserved language is ignored."""
        self.assertEqual(gsm0338.decode(b"\x40\x1b\x65", 2, 99), "¡€")

    def test_telugu_euro(self) -> None:
        """A euro sign after the Telugu single shift, which the published table lacks, is decoded and never encoded."""
        self.assertEqual(gsm0338.decode(b"\x1b\x65", 0, 12), "€")
        self.assertIsNone(gsm0338.encode("€", 0, 12))

    @given(wild, lockings, singles)
    def test_like_the_literal_decoder(self, octets: bytes, locking: int, single: int) -> None:
        """The fast decoder and the literal one give the same text for any octets and any pair of tables."""
        self.assertEqual(gsm0338.decode(octets, locking, single), oracle.decode(octets, locking, single))

    def test_all_pairs(self) -> None:
        """Every value after ESC, with every single shift, is decoded as by the literal decoder."""
        for single in oracle.SINGLE:
            for value in range(0x100):
                octets = bytes((0x1B, value, 0x41))
                self.assertEqual(gsm0338.decode(octets, 0, single), oracle.decode(octets, 0, single))


class PackTests(SynchronousTestCase):
    """Septets packed for the air."""

    def test_vectors(self) -> None:
        """Known texts are packed and unpacked as published."""
        for septets, fill, packed in (
            (b"hellohello", 0, "e8329bfd4697d9ec37"),
            (b"hello", 0, "e8329bfd06"),
            (b"hello", 1, "d06536fb0d"),
            (b"", 0, ""),
        ):
            self.assertEqual(gsm0338.pack(septets, fill).hex(), packed)
            self.assertEqual(gsm0338.unpack(bytes.fromhex(packed), len(septets), fill), septets)

    def test_fill_bits(self) -> None:
        """After a header the text starts at the next septet boundary."""
        self.assertEqual([gsm0338.fill_bits(header) for header in range(9)], [0, 6, 5, 4, 3, 2, 1, 0, 6])
        for header in range(141):
            self.assertEqual((8 * header + gsm0338.fill_bits(header)) % 7, 0)

    @given(septet_strings, st.integers(0, 6))
    def test_identity(self, septets: bytes, fill: int) -> None:
        """Packing and unpacking with the count is the identity, and takes seven bits each."""
        packed = gsm0338.pack(septets, fill)
        self.assertEqual(len(packed), -(-(7 * len(septets) + fill) // 8))
        self.assertEqual(gsm0338.unpack(packed, len(septets), fill), septets)

    @given(st.binary(max_size=160), st.none() | st.integers(-5, 400), st.integers(0, 6))
    def test_unpack_total(self, packed: bytes, count: int | None, fill: int) -> None:
        """Any octets unpack to septets, never to more than they hold or than the count."""
        septets = gsm0338.unpack(packed, count, fill)
        held = max(0, 8 * len(packed) - fill) // 7
        self.assertEqual(len(septets), held if count is None else max(0, min(count, held)))
        self.assertTrue(septets.isascii())

    def test_count_tells_a_trailing_at(self) -> None:
        """Seven and eight @ have the same octets but for the count, which decides."""
        packed = gsm0338.pack(b"1234567")
        self.assertEqual(gsm0338.unpack(packed, 7), b"1234567")
        self.assertEqual(gsm0338.unpack(packed), b"1234567\x00")

    def test_no_septet(self) -> None:
        """An octet above 0x7F is refused."""
        with self.assertRaisesRegex(ValueError, "no septet"):
            gsm0338.pack(b"a\x80")
