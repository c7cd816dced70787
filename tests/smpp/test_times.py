"""Absolute and relative times."""

import datetime
from datetime import UTC, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.smpp.times import read_reported, read_time, write_absolute

NOW = datetime.datetime(2025, 1, 31, 12, 0, tzinfo=UTC)
MOSCOW = timezone(timedelta(hours=3))
zones = st.integers(-48, 48).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
moments = st.builds(
    lambda tenths, zone: datetime.datetime.fromtimestamp(tenths // 10, zone).replace(microsecond=tenths % 10 * 100_000),
    st.integers(9_467_712_000, 41_023_584_000),  # from 2000-01-06 to 2099-12-30, in tenths of a second
    zones,
)


class TimeTests(SynchronousTestCase):
    """Reading and writing schedule_delivery_time, validity_period and final_date."""

    def test_absolute(self) -> None:
        """An absolute time has its distance from UTC in quarter hours."""
        wanted = datetime.datetime(2025, 12, 31, 22, 59, 59, 900_000, tzinfo=UTC)
        self.assertEqual(read_time(b"251231235959904+", NOW), wanted)
        west = datetime.datetime(2026, 2, 28, 17, 0, tzinfo=UTC)
        self.assertEqual(read_time(b"260228120000020-", NOW), west)

    def test_relative(self) -> None:
        """A relative time is counted from now, years and months by the calendar."""
        self.assertEqual(read_time(b"000007000000000R", NOW), NOW + timedelta(days=7))
        self.assertEqual(read_time(b"000000000130000R", NOW), NOW + timedelta(seconds=90))
        wanted = datetime.datetime(2027, 8, 11, 11, 34, 29, tzinfo=UTC)
        self.assertEqual(read_time(b"020610233429000R", NOW), wanted)
        self.assertEqual(read_time(b"000100000000000R", NOW), datetime.datetime(2025, 2, 28, 12, 0, tzinfo=UTC))
        self.assertEqual(
            read_time(b"000099999999948R", NOW), NOW + timedelta(days=99, hours=99, minutes=99, seconds=99)
        )

    def test_empty(self) -> None:
        """An empty time is None."""
        self.assertIsNone(read_time(b"", NOW))
        self.assertIsNone(read_reported(b"", MOSCOW))

    def test_reported(self) -> None:
        """A message centre reports the long form, or twelve characters of its own local time."""
        wanted = datetime.datetime(2025, 6, 1, 9, 1, 30, tzinfo=UTC)
        self.assertEqual(read_reported(b"250601120130", MOSCOW), wanted)
        self.assertEqual(read_reported(b"250601120130012+", UTC), wanted)
        self.assertRaises(ValueError, read_reported, b"000007000000000R", MOSCOW)

    def test_wrong(self) -> None:
        """Every wrong length, part or sign is a ValueError that shows the time."""
        for octets in (
            b"2512312359599", b"251231235959904", b"251231235959904+0", b"251331235959904+", b"250231235959904+",
            b"251231245959904+", b"251231236059904+", b"251231235960904+", b"251231235959949+", b"251231235959999-",
            b"251231235959904X", b"2512312359599 4+", b" 51231235959904+", b"x", b"R", b"9" * 16, b"\xb2" * 15 + b"+",
        ):  # fmt: skip
            for read in (lambda time: read_time(time, NOW), lambda time: read_reported(time, UTC)):
                wrong = self.assertRaises(ValueError, read, octets)
                self.assertIn(repr(octets), str(wrong))
        self.assertRaises(ValueError, read_reported, b"251301000000", UTC)
        self.assertRaises(ValueError, read_reported, b"25120100000", UTC)

    def test_too_far(self) -> None:
        """A relative time that leaves the calendar is a ValueError."""
        far = datetime.datetime(9990, 1, 1, tzinfo=UTC)
        self.assertRaises(ValueError, read_time, b"990000000000000R", far)
        self.assertRaises(ValueError, read_time, b"091199000000000R", far)

    @given(moments)
    def test_absolute_round_trip(self, moment: datetime.datetime) -> None:
        """write_absolute and read_time round-trip a datetime in its own zone."""
        octets = write_absolute(moment)
        self.assertEqual(len(octets), 16)
        read = read_time(octets, NOW)
        assert read is not None
        self.assertEqual((read, read.utcoffset()), (moment, moment.utcoffset()))
        self.assertEqual(read_reported(octets, UTC), moment)

    def test_odd_zones(self) -> None:
        """A zone that is not whole quarter hours away, or more than 12 hours, is written as UTC."""
        for offset in (timedelta(minutes=7), timedelta(hours=13), -timedelta(hours=12, minutes=15)):
            moment = datetime.datetime(2025, 6, 1, 12, 0, tzinfo=timezone(offset))
            octets = write_absolute(moment)
            self.assertTrue(octets.endswith(b"00+"))
            self.assertEqual(read_time(octets, NOW), moment)

    def test_not_writable(self) -> None:
        """A naive datetime and another century have no absolute form."""
        self.assertRaises(ValueError, write_absolute, datetime.datetime(2025, 6, 1))  # noqa: DTZ001
        self.assertRaises(ValueError, write_absolute, datetime.datetime(1999, 6, 1, tzinfo=UTC))

    @given(st.binary(max_size=20) | st.from_regex(rb"[0-9+\-R]{16}", fullmatch=True))
    def test_junk(self, octets: bytes) -> None:
        """Any octets are a time or a ValueError."""
        try:
            read = read_time(octets, NOW)
        except ValueError:
            return
        self.assertEqual(read is None, octets == b"")
