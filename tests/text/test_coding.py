"""Tests of alphabets and data_coding."""

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.text import coding, gsm0338
from smsgw.text.coding import Alphabet
from tests.text import oracle

defaults = st.sampled_from(sorted(coding.DEFAULTS))
proper = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
western = st.text(st.characters(codec="latin-1") | st.sampled_from("€[ΔЯ😀"), max_size=80)


class AlphabetTests(SynchronousTestCase):
    """The data_coding octet."""

    def test_table(self) -> None:
        """Each assigned value names its alphabet."""
        named = {
            0x00: "gsm", 0x01: "ascii", 0x02: "octets", 0x03: "latin1", 0x04: "octets", 0x05: "shift_jis",
            0x06: "cyrillic", 0x07: "hebrew", 0x08: "ucs2", 0x09: "octets", 0x0A: "iso_2022_jp", 0x0D: "euc_jp",
            0x0E: "euc_kr",
        }  # fmt: skip
        for octet, name in named.items():
            self.assertEqual(coding.alphabet(octet), name)
            self.assertTrue(coding.known(octet))

    def test_classes_and_indications(self) -> None:
        """Message classes and waiting indications of GSM 03.38 carry their alphabet in the octet."""
        for octets, name in (
            ((*range(0x10, 0x14), *range(0xC0, 0xE0), *range(0xF0, 0xF4)), "default"),
            ((*range(0x14, 0x18), *range(0xF4, 0xF8)), "octets"),
            ((*range(0x18, 0x1C), *range(0xE0, 0xF0)), "ucs2"),
        ):
            for octet in octets:
                self.assertTrue(coding.known(octet))
                for default in coding.DEFAULTS:
                    self.assertEqual(coding.alphabet(octet, default), default if name == "default" else name)

    def test_reserved(self) -> None:
        """All other values are reserved: not known, and raw octets."""
        for octet in (0x0B, 0x0C, 0x0F, *range(0x1C, 0xC0), *range(0xF8, 0x100)):
            self.assertFalse(coding.known(octet), hex(octet))
            self.assertEqual(coding.alphabet(octet), Alphabet.OCTETS)
        self.assertFalse(coding.known(0x100))

    def test_default_of_the_peer(self) -> None:
        """(001-61) The peer's setting decides the meaning of 0; an unknown word for it is refused."""
        for default in coding.DEFAULTS:
            self.assertEqual(coding.alphabet(0, default), default)
        for ask in (
            lambda: coding.alphabet(0, "utf-8"),
            lambda: coding.encode("a", default="utf-8"),
            lambda: coding.decode(b"a", 0, "utf-8"),
        ):
            with self.assertRaisesRegex(ValueError, "ascii, gsm, latin1"):
                ask()

    def test_octet_of_an_alphabet(self) -> None:
        """Every alphabet with a data_coding of its own is encoded as it and decoded from it."""
        for default in sorted(coding.DEFAULTS):
            for alphabet in Alphabet:
                if alphabet is Alphabet.GSM and default != "gsm":
                    with self.assertRaisesRegex(ValueError, "no data_coding"):
                        coding.data_coding(alphabet, default)
                else:
                    octet = coding.data_coding(alphabet, default)
                    self.assertEqual(coding.alphabet(octet, default), alphabet)
                    self.assertEqual(octet == 0, alphabet == default)

    def test_octet_of_a_class(self) -> None:
        """A flash message is possible in the default alphabet, octets and UCS-2, and in no other alphabet."""
        self.assertEqual(coding.data_coding(Alphabet.GSM, message_class=0), 0x10)
        self.assertEqual(coding.data_coding(Alphabet.LATIN1, "latin1", 2), 0x12)
        self.assertEqual(coding.data_coding(Alphabet.OCTETS, message_class=1), 0x15)
        self.assertEqual(coding.data_coding(Alphabet.UCS2, message_class=3), 0x1B)
        wrong = ((Alphabet.CYRILLIC, 0), (Alphabet.LATIN1, 0), (Alphabet.GSM, 4), (Alphabet.GSM, -1))
        for alphabet, message_class in wrong:
            with self.assertRaisesRegex(ValueError, "no data_coding"):
                coding.data_coding(alphabet, "gsm", message_class)


class EncodeTests(SynchronousTestCase):
    """Text to octets."""

    def test_choice(self) -> None:
        """encode chooses the default alphabet if it has every character, else UCS-2."""
        self.assertEqual(coding.encode("Hi @ €"), (0, b"Hi \x00 \x1be"))
        self.assertEqual(coding.encode("Привет"), (8, bytes.fromhex("041f04400438043204350442")))
        self.assertEqual(coding.encode("café", default="latin1"), (0, b"caf\xe9"))
        self.assertEqual(coding.encode("5 €", default="latin1"), (8, bytes.fromhex("0035002020ac")))
        self.assertEqual(coding.encode("café", default="ascii"), (8, "café".encode("utf-16-be")))
        self.assertEqual(coding.encode(""), (0, b""))

    def test_beyond_the_basic_plane(self) -> None:
        """Characters beyond the basic plane go out as surrogate pairs, big-endian and without a mark."""
        self.assertEqual(coding.encode("Hi 😀"), (8, bytes.fromhex("004800690020d83dde00")))

    def test_given_data_coding(self) -> None:
        """A given data_coding is kept; a text with a character that it lacks is refused."""
        self.assertEqual(coding.encode("Я", 0x06), (0x06, b"\xcf"))
        self.assertEqual(coding.encode("Alert!", 0x10), (0x10, b"Alert!"))
        self.assertEqual(coding.encode("ab", 0x18), (0x18, b"\0a\0b"))
        self.assertEqual(coding.encode("@", 0xF0, "ascii"), (0xF0, b"@"))
        for text, octet in (("Я", 0x00), ("Я", 0x03), ("é", 0x01), ("€", 0x04)):
            with self.assertRaisesRegex(coding.NotEncodable, "has a character that"):
                coding.encode(text, octet)

    def test_lone_surrogates(self) -> None:
        """A lone surrogate is refused with its index, in every alphabet."""
        for text in ("ab\ud800", "ab\udfff!", "ab\udc00\ud83d"):
            with self.assertRaisesRegex(coding.NotEncodable, "lone surrogate at character 2"):
                coding.encode(text)
            with self.assertRaises(coding.NotEncodable):
                coding.encode(text, 8)
            for default in coding.DEFAULTS:
                for octet in range(0x100):
                    self.assertRaises(ValueError, coding.encode, text, octet, default)

    def test_fallbacks(self) -> None:
        """Look-alikes replace Greek capitals only on request."""
        self.assertEqual(coding.encode("ΑΒ")[0], 8)
        self.assertEqual(coding.encode("ΑΒ", fallbacks=True), (0, b"AB"))
        self.assertEqual(coding.encode("ΑΒ", 0, fallbacks=True), (0, b"AB"))

    @given(proper, defaults)
    def test_round_trip(self, text: str, default: str) -> None:
        """encode and decode round-trip any text without lone surrogates, except for a leading byte order mark."""
        data_coding, octets = coding.encode(text, default=default)
        assume(data_coding != 8 or text[:1] not in ("\ufeff", "\ufffe"))
        self.assertEqual(coding.decode(octets, data_coding, default), text)


class DecodeTests(SynchronousTestCase):
    """Octets to text."""

    def test_alphabets(self) -> None:
        """(001-60), (001-63) Octets are decoded by their data_coding."""
        for data_coding, octets, text in (
            (0x00, b"\x00\x1be", "@€"),
            (0x01, b"@\xe9", "@\ufffd"),
            (0x02, b"\x00\xff", "\x00\xff"),
            (0x03, b"caf\xe9", "café"),
            (0x05, b"\x83\x65", "テ"),
            (0x06, b"\xcf", "Я"),
            (0x07, b"\xe0\xdb", "א\ufffd"),
            (0x08, b"\x04\x2f", "Я"),
            (0x0A, b"\x1b$B%F\x1b(B", "テ"),
            (0x0D, b"\xa5\xc6", "テ"),
            (0x0E, b"\xb0\xa1", "가"),
            (0xF0, b"Alert!", "Alert!"),
            (0xE8, b"\x00a", "a"),
        ):
            self.assertEqual(coding.decode(octets, data_coding), text)

    def test_bad_ucs2(self) -> None:
        """An odd octet and a lone surrogate become replacement characters; the rest of the text is right."""
        self.assertEqual(coding.decode(b"\x00a\x00", 8), "a\ufffd")
        self.assertEqual(coding.decode(bytes.fromhex("d83d0041de000042"), 8), "\ufffdA\ufffdB")
        self.assertEqual(coding.decode(bytes.fromhex("0041d83d"), 8), "A\ufffd")

    def test_byte_order_mark(self) -> None:
        """A byte order mark decides the byte order and is removed."""
        self.assertEqual(coding.decode(b"\xfe\xff\x04\x2f", 8), "Я")
        self.assertEqual(coding.decode(b"\xff\xfe\x2f\x04", 8), "Я")

    def test_national_tables(self) -> None:
        """Language numbers of the header apply to GSM 03.38 only."""
        self.assertEqual(coding.decode(bytes.fromhex("1b53691b73"), 0, single=1), "Şiş")
        self.assertEqual(coding.decode(bytes.fromhex("401c1d60"), 0, locking=1), "İŞşç")
        self.assertEqual(coding.decode(b"@", 0, "latin1", 1, 1), "@")

    @given(st.binary(max_size=300), st.integers(0, 255), defaults, st.integers(0, 255), st.integers(0, 255))
    def test_total(self, octets: bytes, data_coding: int, default: str, locking: int, single: int) -> None:
        """Any octets under any data_coding give a text without lone surrogates."""
        coding.decode(octets, data_coding, default, locking, single).encode("utf-8")

    @given(st.binary(max_size=60))
    def test_raw_octets(self, octets: bytes) -> None:
        """Raw octets and Latin-1 are decoded one character per octet."""
        for data_coding in (0x02, 0x03, 0x04, 0x0B, 0x14, 0xFF):
            self.assertEqual(coding.decode(octets, data_coding).encode("latin-1"), octets)


class RecodeTests(SynchronousTestCase):
    """Between two peers who differ about data_coding 0."""

    def test_examples(self) -> None:
        """Text is converted to the other default, or to UCS-2 of the same class or kind if that lacks a character."""
        self.assertEqual(coding.recode(b"\x00\x04", 0, "gsm", "latin1"), (0, b"@\xe8"))
        self.assertEqual(coding.recode(b"caf\xe9 [1]", 0, "latin1", "gsm"), (0, b"caf\x05 \x1b\x3c1\x1b\x3e"))
        self.assertEqual(coding.recode(b"\x1be", 0, "gsm", "ascii"), (0x08, b"\x20\xac"))
        self.assertEqual(coding.recode(b"\x1be", 0x11, "gsm", "ascii"), (0x19, b"\x20\xac"))
        self.assertEqual(coding.recode(b"\x1be", 0xF2, "gsm", "ascii"), (0x1A, b"\x20\xac"))
        self.assertEqual(coding.recode(b"\x1be", 0xD9, "gsm", "ascii"), (0xE9, b"\x20\xac"))

    @given(st.binary(max_size=60), st.integers(0, 255), defaults, defaults)
    def test_others_untouched(self, octets: bytes, data_coding: int, default: str, other: str) -> None:
        """Octets that are not in the default alphabet, or whose default is the same, are passed on unchanged."""
        recoded = coding.recode(octets, data_coding, default, other)
        if default == other or coding.alphabet(data_coding, default) == coding.alphabet(data_coding, other):
            self.assertEqual(recoded, (data_coding, octets))

    @given(western, defaults, defaults)
    def test_text_survives(self, text: str, default: str, other: str) -> None:
        """The text is the same before and after."""
        data_coding, octets = coding.encode(text, default=default)
        recoded, rewritten = coding.recode(octets, data_coding, default, other)
        self.assertEqual(coding.decode(rewritten, recoded, other), coding.decode(octets, data_coding, default))


class NationalTests(SynchronousTestCase):
    """Choice of national tables."""

    def test_cheapest(self) -> None:
        """encode_national uses the default table if it suffices, else the tables that make the message shortest."""
        self.assertEqual(coding.encode_national("plain", [1]), coding.National(b"plain", 0, 0))
        self.assertEqual(coding.encode_national("Şè", [1]), coding.National(bytes.fromhex("1b5304"), 0, 1))
        self.assertEqual(coding.encode_national("İŞşç" * 9, [1]), coding.National(bytes.fromhex("401c1d60") * 9, 1, 0))
        self.assertEqual(coding.encode_national("áú", [1, 2]), coding.National(b"\x1b\x61\x1b\x75", 0, 2))

    def test_none(self) -> None:
        """encode_national returns None if no table has every character; unknown languages are skipped."""
        self.assertIsNone(coding.encode_national("Я", range(20)))
        self.assertIsNone(coding.encode_national("ş", []))
        self.assertIsNone(coding.encode_national("ş", [0, 14, 255]))

    @given(st.integers(1, 13), st.data())
    def test_round_trip(self, language: int, data: st.DataObject) -> None:
        """The text can be decoded with the chosen tables."""
        locking = language if language in gsm0338.LOCKING_LANGUAGES else 0
        known = {*oracle.LOCKING[locking].values(), *oracle.SINGLE[language].values()}
        text = data.draw(st.text(sorted(known), max_size=80))
        chosen = coding.encode_national(text, [language])
        assert chosen is not None
        self.assertEqual(coding.decode(chosen.octets, 0, "gsm", chosen.locking, chosen.single), text)
