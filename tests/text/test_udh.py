"""Tests of User Data Headers."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.text import udh
from smsgw.text.udh import Concatenation, Fault, Ports

elements = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=12)), max_size=15)


def parsed(header: str) -> udh.Header:
    """Parse a header given in hexadecimal, followed by text."""
    return udh.parse(bytes.fromhex(header) + b"text")


class ParseTests(SynchronousTestCase):
    """Reading headers."""

    def test_concatenation(self) -> None:
        """Both widths of concatenation are read, and length is the offset of the text."""
        header = parsed("0500032a0201")
        self.assertEqual(header.concatenation, Concatenation(0x2A, 2, 1, False))
        self.assertEqual((header.length, header.faults), (6, ()))
        header = parsed("060804beef0301")
        self.assertEqual(header.concatenation, Concatenation(0xBEEF, 3, 1, True))
        self.assertEqual((header.length, header.faults), (7, ()))

    def test_ports(self) -> None:
        """Both widths of ports are read, destination first."""
        self.assertEqual(parsed("0605043e803e81").ports, Ports(16000, 16001, True))
        self.assertEqual(parsed("040402f0f1").ports, Ports(0xF0, 0xF1, False))

    def test_national_tables(self) -> None:
        """Single and locking shift languages are read, alone and beside a concatenation."""
        header = parsed("03240101")
        self.assertEqual((header.locking, header.single), (0, 1))
        header = parsed("0800034d0201250101")
        self.assertEqual((header.locking, header.single, header.length), (1, 0, 9))
        self.assertEqual(header.concatenation, Concatenation(0x4D, 2, 1, False))

    def test_reserved_languages(self) -> None:
        """A language without such a table is ignored, and an earlier known one stays."""
        for language in ("00", "0e", "ff"):
            header = parsed(f"062401012401{language}")
            self.assertEqual((header.single, header.faults), (1, ()))
        header = parsed("03250102")
        self.assertEqual((header.locking, header.faults), (0, ()))

    def test_unknown_elements(self) -> None:
        """Elements without a meaning here are kept in order and are no fault."""
        header = parsed("0a70000602abcd0a020102")
        self.assertEqual(header.elements, [(0x70, b""), (0x06, b"\xab\xcd"), (0x0A, b"\x01\x02")])
        self.assertEqual((header.length, header.concatenation, header.faults), (11, None, ()))

    def test_last_of_repeated_wins(self) -> None:
        """Of repeated elements the last counts, whichever its width."""
        self.assertEqual(parsed("0a00030102010003020302").concatenation, Concatenation(2, 3, 2, False))
        self.assertEqual(parsed("0b0003010201080400020302").concatenation, Concatenation(2, 3, 2, True))
        self.assertEqual(parsed("0b0804000203020003010201").concatenation, Concatenation(1, 2, 1, False))
        self.assertEqual(parsed("0a0402010205040b8423f0").ports, Ports(2948, 9200, True))

    def test_impossible_concatenation(self) -> None:
        """Total 0, part 0 and part above total are ignored with a fault; a valid element before them stays."""
        for total_and_part in ("0001", "0200", "0203", "0000"):
            header = parsed(f"0500032a{total_and_part}")
            self.assertIsNone(header.concatenation)
            self.assertEqual((header.length, header.faults), (6, (Fault.BAD_CONCATENATION,)))
            header = parsed(f"0a00032a020100032a{total_and_part}")
            self.assertEqual(header.concatenation, Concatenation(0x2A, 2, 1, False))

    def test_wrong_length(self) -> None:
        """A known element of the wrong length is ignored with a fault, and the elements after it are read."""
        for element in ("0000", "08032a0201", "0400", "0503010203", "2400", "25020101"):
            length = len(element) // 2
            header = parsed(f"{length + 3:02x}{element}240101")
            self.assertEqual((header.faults, header.single), ((Fault.BAD_LENGTH,), 1), element)

    def test_longer_than_the_data(self) -> None:
        """A header longer than the user data is ignored: the data is read without a header."""
        for octets in (b"\x05", b"\x05\x00\x03\x2a\x02", b"\xff" * 140):
            header = udh.parse(octets)
            self.assertEqual((header.length, header.elements, header.faults), (0, [], (Fault.BEYOND_DATA,)))

    def test_no_data(self) -> None:
        """The header flag over empty user data is a fault and not an error."""
        header = udh.parse(b"")
        self.assertEqual((header.length, header.faults), (0, (Fault.EMPTY,)))

    def test_overrun(self) -> None:
        """An element past the end is dropped; those before it count; the text begins after UDHL octets."""
        for tail in ("24", "2402", "2402ff"):
            header = parsed(f"{5 + len(tail) // 2:02x}00032a0201{tail}")
            self.assertEqual(header.concatenation, Concatenation(0x2A, 2, 1, False))
            self.assertEqual(header.faults, (Fault.ELEMENT_OVERRUN,))
            self.assertEqual(header.length, 6 + len(tail) // 2)

    def test_empty_header(self) -> None:
        """A header without elements is valid."""
        header = parsed("00")
        self.assertEqual((header.length, header.elements, header.faults), (1, [], ()))

    @given(st.binary(max_size=200))
    def test_total(self, octets: bytes) -> None:
        """Any octets give a header within them, with possible parts and languages."""
        header = udh.parse(octets)
        self.assertLessEqual(header.length, len(octets))
        self.assertEqual(header.length == 0, Fault.EMPTY in header.faults or Fault.BEYOND_DATA in header.faults)
        if header.concatenation is not None:
            self.assertTrue(1 <= header.concatenation.part <= header.concatenation.total <= 255)
        if not header.faults:
            self.assertEqual(udh.build(header.elements) or b"\x00", octets[: header.length])

    @given(st.binary(max_size=30).map(lambda body: bytes((len(body),)) + body))
    def test_total_within(self, octets: bytes) -> None:
        """Any elements within a right UDHL are read up to the first that overruns."""
        header = udh.parse(octets)
        self.assertEqual(header.length, len(octets))
        whole = udh.build(header.elements) or b"\x00"
        self.assertTrue(octets[1:].startswith(whole[1:]))
        self.assertEqual(len(whole) < len(octets), Fault.ELEMENT_OVERRUN in header.faults)


class BuildTests(SynchronousTestCase):
    """Writing headers."""

    def test_elements(self) -> None:
        """Each builder makes the published octets."""
        for element, octets in (
            (udh.concatenation(0x2A, 2, 1), "0500032a0201"),
            (udh.concatenation(0xBEEF, 3, 1, wide=True), "060804beef0301"),
        ):
            self.assertEqual(udh.build([element]).hex(), octets)
        self.assertEqual(udh.build(udh.national(single=1)).hex(), "03240101")
        self.assertEqual(udh.build([udh.concatenation(0x4D, 2, 1), *udh.national(1)]).hex(), "0800034d0201250101")
        self.assertEqual(udh.build(udh.national(1, 1)).hex(), "06240101250101")
        self.assertEqual(udh.build(udh.national()), b"")

    def test_out_of_range(self) -> None:
        """A value that does not fit its octets is refused."""
        for total, part in ((0, 0), (2, 0), (2, 3), (256, 1)):
            with self.assertRaisesRegex(ValueError, "no part"):
                udh.concatenation(1, total, part)
        for call in (
            lambda: udh.concatenation(256, 2, 1),
            lambda: udh.concatenation(65536, 2, 1, wide=True),
            lambda: udh.concatenation(-1, 2, 1),
            lambda: udh.national(256),
        ):
            with self.assertRaisesRegex(ValueError, "does not fit"):
                call()
        self.assertRaises(ValueError, udh.build, [(0, bytes(256))])
        self.assertRaises(ValueError, udh.build, [(0, bytes(200)), (1, bytes(60))])

    @given(elements)
    def test_round_trip(self, chosen: list[tuple[int, bytes]]) -> None:
        """parse reads any elements that build wrote."""
        octets = udh.build(chosen)
        header = udh.parse(octets + b"text") if octets else udh.parse(b"\x00text")
        self.assertEqual(header.elements, chosen)
        self.assertNotIn(Fault.ELEMENT_OVERRUN, header.faults)
