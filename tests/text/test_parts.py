"""Tests of splitting and joining."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.text import coding, gsm0338, parts, udh
from smsgw.text.coding import Alphabet
from smsgw.text.parts import NARROW, WIDE, Piece

alphabets = st.sampled_from(list(Alphabet))
headers = st.integers(0, 100)
escaped = st.text("a[€]{}", max_size=700)
emoji = st.text("aЯ😀", max_size=400)


class CapacityTests(SynchronousTestCase):
    """The room for text in one part."""

    def test_table(self) -> None:
        """The sizes of the specification: septets, octets and UCS-2 units, without and with headers."""
        for header, septets, octets, units in ((0, 160, 140, 70), (NARROW, 153, 134, 67), (WIDE, 152, 133, 66)):
            self.assertEqual(parts.capacity(Alphabet.GSM, header), septets)
            self.assertEqual(parts.capacity(Alphabet.OCTETS, header), octets)
            self.assertEqual(parts.capacity(Alphabet.UCS2, header), 2 * units)

    def test_septets_beside_other_elements(self) -> None:
        """National tables and ports take the room of the specification."""
        for elements, septets in (
            (udh.national(1), 155),
            (udh.national(1, 1), 152),
            ([udh.concatenation(1, 2, 1), *udh.national(1)], 149),
            ([udh.concatenation(1, 2, 1), *udh.national(1, 1)], 146),
            ([udh.concatenation(1, 2, 1), (udh.PORTS_16, bytes(4))], 146),
        ):
            self.assertEqual(parts.capacity(Alphabet.GSM, len(udh.build(elements))), septets)

    def test_headers_that_do_not_fit(self) -> None:
        """A header longer than the message is refused, and by split one that leaves no room for text."""
        self.assertRaises(ValueError, parts.capacity, Alphabet.GSM, 141)
        self.assertRaises(ValueError, parts.capacity, Alphabet.GSM, -1)
        for alphabet in Alphabet:
            self.assertRaisesRegex(ValueError, "no room", parts.split, b"a" * 300, alphabet, 138)


class SplitTests(SynchronousTestCase):
    """Cutting a text."""

    def test_limits(self) -> None:
        """One part up to the single limit, several of the smaller size above it."""
        for alphabet, single, narrow, wide in (
            (Alphabet.GSM, 160, 153, 152),
            (Alphabet.UCS2, 140, 134, 132),
            (Alphabet.OCTETS, 140, 134, 133),
            (Alphabet.CYRILLIC, 140, 134, 133),
            (Alphabet.LATIN1, 160, 153, 152),
            (Alphabet.ASCII, 160, 153, 152),
        ):
            self.assertEqual(parts.split(b"a" * single, alphabet), [b"a" * single])
            for header, size in ((NARROW, narrow), (WIDE, wide)):
                for octets, sizes in (
                    (single + 2, [size, single + 2 - size]),
                    (2 * size, [size, size]),
                    (2 * size + 2, [size, size, 2]),
                ):
                    pieces = parts.split(b"a" * octets, alphabet, header)
                    self.assertEqual([len(piece) for piece in pieces], sizes)
                    self.assertEqual(parts.count(b"a" * octets, alphabet, header), len(sizes))

    def test_empty(self) -> None:
        """An empty text is one empty part."""
        for alphabet in Alphabet:
            self.assertEqual(parts.split(b"", alphabet), [b""])
            self.assertEqual(parts.count(b"", alphabet), 1)

    def test_header_of_a_lone_part(self) -> None:
        """A header in a single part lowers the limit of a single part."""
        self.assertEqual(parts.count(b"a" * 155, header_octets=9, single_octets=4), 1)
        self.assertEqual([len(piece) for piece in parts.split(b"a" * 156, Alphabet.GSM, 9, 4)], [149, 7])

    def test_escape_pair_at_the_border(self) -> None:
        """An escape pair across the border moves to the next part as a whole."""
        octets = b"a" * 152 + b"\x1be" + b"b" * 20
        self.assertEqual(parts.split(octets), [b"a" * 152, b"\x1be" + b"b" * 20])
        self.assertEqual(parts.split(b"a" + octets), [b"a" * 153, b"\x1be" + b"b" * 20])

    def test_runs_of_escapes(self) -> None:
        """In a run of ESC the pairs are counted from the run's beginning, also if the run fills the part."""
        self.assertEqual(parts.split(b"a" * 151 + b"\x1b\x1b" + b"e" * 20)[0], b"a" * 151 + b"\x1b\x1b")
        self.assertEqual(parts.split(b"a" * 150 + b"\x1b\x1b\x1be" + b"b" * 20)[0], b"a" * 150 + b"\x1b\x1b")
        self.assertEqual([len(piece) for piece in parts.split(b"\x1b" * 400)], [152, 152, 96])

    def test_surrogate_pair_at_the_border(self) -> None:
        """A surrogate pair across the border moves to the next part as a whole."""
        octets = ("a" * 66 + "😀" + "b" * 10).encode("utf-16-be")
        self.assertEqual([len(piece) for piece in parts.split(octets, Alphabet.UCS2)], [132, 24])
        octets = ("a" * 65 + "😀" + "b" * 10).encode("utf-16-be")
        self.assertEqual([len(piece) for piece in parts.split(octets, Alphabet.UCS2)], [134, 20])

    def test_latin1_is_measured_on_the_air(self) -> None:
        """Latin-1 text is measured in GSM septets, where a bracket takes two, or in octets if GSM lacks a character."""
        self.assertEqual(parts.split(b"[" * 80, Alphabet.LATIN1), [b"[" * 80])
        self.assertEqual([len(piece) for piece in parts.split(b"[" * 81, Alphabet.LATIN1)], [76, 5])
        self.assertEqual([len(piece) for piece in parts.split(b"a[" * 80, Alphabet.ASCII)], [102, 58])
        self.assertEqual([len(piece) for piece in parts.split(b"\xe7" * 141, Alphabet.LATIN1)], [134, 7])
        self.assertEqual(parts.split(b"\xe7" * 140, Alphabet.LATIN1), [b"\xe7" * 140])

    def test_characters_of_two_octets(self) -> None:
        """A Korean or Japanese character is not cut."""
        for codec, alphabet, character in (
            ("euc_kr", Alphabet.EUC_KR, "가"),
            ("shift_jis", Alphabet.SHIFT_JIS, "テ"),
            ("euc_jp", Alphabet.EUC_JP, "テ"),
        ):
            text = "a" + character * 200
            pieces = parts.split(text.encode(codec), alphabet)
            self.assertEqual("".join(piece.decode(codec) for piece in pieces), text)
            self.assertEqual(len(pieces[0]), 133)

    def test_too_many(self) -> None:
        """255 parts are possible, one more is refused; count returns the number above 255 too."""
        self.assertEqual(len(parts.split(b"a" * 153 * 255)), 255)
        octets = b"a" * (153 * 255 + 1)
        self.assertRaisesRegex(parts.TooManyParts, "256 parts", parts.split, octets)
        self.assertEqual(parts.count(octets), 256)

    def test_smaller_header(self) -> None:
        """The header of several parts contains that of a single part, so it cannot be smaller."""
        error = self.assertRaises(ValueError, parts.split, b"a" * 100, Alphabet.GSM, 7, 96)
        self.assertEqual(str(error), "a header of 7 octets cannot contain one of 96")

    @given(st.binary(max_size=900), alphabets, headers, headers)
    def test_any_octets(self, octets: bytes, alphabet: Alphabet, header: int, single: int) -> None:
        """For any octets, the pieces joined are the text, none is empty or too long, and count is right."""
        single, header = sorted((header, single))
        pieces = parts.split(octets, alphabet, header, single)
        self.assertEqual(b"".join(pieces), octets)
        self.assertEqual(parts.count(octets, alphabet, header, single), len(pieces))
        in_gsm = gsm0338.septets(octets.decode("latin-1")) is not None
        converted = in_gsm and alphabet in (Alphabet.LATIN1, Alphabet.ASCII)
        for piece in pieces:
            measured = gsm0338.septets(piece.decode("latin-1")) if converted else len(piece)
            limit = parts.capacity(Alphabet.GSM if converted else alphabet, header if len(pieces) > 1 else single)
            assert measured is not None
            self.assertLessEqual(measured, limit)
        if len(pieces) > 1:
            self.assertTrue(all(pieces))

    @given(escaped, headers)
    def test_no_escape_pair_is_cut(self, text: str, header: int) -> None:
        """Each part of a GSM text can be decoded alone."""
        octets = gsm0338.encode(text)
        assert octets is not None
        pieces = parts.split(octets, Alphabet.GSM, header)
        self.assertEqual("".join(map(gsm0338.decode, pieces)), text)
        size = parts.capacity(Alphabet.GSM, header)
        for piece in pieces[:-1]:
            self.assertGreaterEqual(len(piece), size - 1)

    @given(emoji, headers)
    def test_no_surrogate_pair_is_cut(self, text: str, header: int) -> None:
        """Each part of a UCS-2 text can be decoded alone, and only the last may be more than a unit short."""
        pieces = parts.split(text.encode("utf-16-be"), Alphabet.UCS2, header)
        self.assertEqual("".join(piece.decode("utf-16-be") for piece in pieces), text)
        size = parts.capacity(Alphabet.UCS2, header)
        for piece in pieces[:-1]:
            self.assertGreaterEqual(len(piece), size - 2)


class JoinTests(SynchronousTestCase):
    """Text from parts."""

    def test_cut_characters_survive(self) -> None:
        """A surrogate pair, an escape pair or a Korean character cut by the sender is restored."""
        octets = "ab😀".encode("utf-16-be")
        self.assertEqual(parts.join([Piece(octets[:6], 8), Piece(octets[6:], 8)]), "ab😀")
        self.assertEqual(parts.join([Piece(b"a\x1b", 0), Piece(b"eb", 0)]), "a€b")
        self.assertEqual(parts.join([Piece(b"\xb0", 0x0E), Piece(b"\xa1", 0x0E)]), "가")

    def test_mixed(self) -> None:
        """Parts in different alphabets or national tables are each decoded in their own."""
        pieces = [Piece(b"@", 0), Piece(b"@", 0, 1), Piece(b"\x04\x2f", 8), Piece(b"\x1bS", 0, 0, 1), Piece(b"\xe9", 3)]
        self.assertEqual(parts.join(pieces), "¡İЯŞé")
        self.assertEqual(parts.join([Piece(b"@", 0)], "ascii"), "@")

    def test_half_a_unit(self) -> None:
        """Half a UCS-2 unit in one part does not shift the parts after it."""
        self.assertEqual(parts.join([Piece(b"\x00a\x00", 8), Piece(b"\x00b", 8)]), "a\ufffdb")

    def test_nothing(self) -> None:
        """Joining no parts gives an empty text."""
        self.assertEqual(parts.join([]), "")

    @given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff\ufffe"), max_size=500))
    def test_split_and_join(self, text: str) -> None:
        """Splitting and joining is the identity on any text."""
        data_coding, octets = coding.encode(text)
        pieces = parts.split(octets, coding.alphabet(data_coding))
        self.assertEqual(parts.join(Piece(piece, data_coding) for piece in pieces), text)

    @given(
        st.lists(st.builds(Piece, st.binary(max_size=20), *[st.integers(0, 255)] * 3), max_size=8),
        st.sampled_from(sorted(coding.DEFAULTS)),
    )
    def test_total(self, pieces: list[Piece], default: str) -> None:
        """Any parts give a text without lone surrogates."""
        parts.join(pieces, default).encode("utf-8")
