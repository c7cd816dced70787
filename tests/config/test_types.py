"""How single values are read, refused and written."""

from __future__ import annotations

import zoneinfo
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import AllowList, Globs, InvalidValue, Secret, Way, types
from smsgw.config.ini import quote, unquote
from smsgw.config.settings import LOGIN, NAME, SENDER
from smsgw.config.types import Kind

WORD = st.text("abcXYZ019-_.", min_size=1, max_size=8)
NAMES = st.text("abcdefXYZ019", min_size=1, max_size=8)


def refusal(kind: Kind[Any], value: str) -> str:
    """Return the text of the refusal of a value."""
    try:
        taken = kind.take(value)
    except InvalidValue as why:
        return str(why)
    raise AssertionError(f"{value!r} was taken as {taken!r}")


class ReadTests(SynchronousTestCase):
    def test_values(self) -> None:
        """Each kind reads what its documentation promises."""
        vectors: list[tuple[Kind[Any], str, object]] = [
            (types.text(), "any thing", "any thing"),
            (types.flag(), "yes", True),
            (types.flag(), "no", False),
            (types.integer(), "007", 7),
            (types.integer(-5), "-5", -5),
            (types.number(), "0.25", 0.25),
            (types.number(), "30", 30.0),
            (types.duration(), "0", 0.0),
            (types.duration(), "10", 10.0),
            (types.duration(), "30s", 30.0),
            (types.duration(), "10m", 600.0),
            (types.duration(), "24h", 86400.0),
            (types.duration(), "7d", 604800.0),
            (types.duration(), "0.5s", 0.5),
            (types.never_or(types.duration()), "never", None),
            (types.never_or(types.duration()), "5m", 300.0),
            (types.octets(), "500", 500),
            (types.octets(), "128K", 131072),
            (types.octets(), "1M", 1048576),
            (types.choice(["a", "b"]), "b", "b"),
            (types.texts(), "a, b ,c", ("a", "b", "c")),
            (types.texts(), "", ()),
            (types.globs(), "7910*, 7911*", Globs(("7910*", "7911*"))),
            (types.networks(), "", AllowList()),
            (types.networks(), "any", AllowList(everyone=True)),
            (types.pairs(types.text(), types.text()), "Boss@Corp.example:DEMO", {"boss@corp.example": "DEMO"}),
            (types.ways(NAME), "mts:3, other:1, spare", (Way("mts", 3), Way("other", 1), Way("spare"))),
            (types.secret(), "x y", Secret("x y")),
            (types.timezone(), "Europe/Moscow", zoneinfo.ZoneInfo("Europe/Moscow")),
            (types.path(), "var/x", Path("var/x")),
        ]
        for kind, value, expected in vectors:
            self.assertEqual(kind.take(value), expected, value)

    def test_refusals(self) -> None:
        """The error of a value says what is wrong and what is allowed."""
        seconds = "a duration such as 10, 30s, 10m, 24h or 7d, of 0 or more"
        networks = "any, or at most 15 addresses and networks such as 10.0.0.0/8 or ::1"
        pair = types.pairs(types.text(5), types.text(5))
        vectors: list[tuple[Kind[Any], str, str]] = [
            (types.text(3), "abcd", "4 characters are too many; at most 3 are allowed"),
            (types.text(9, "[a-z]+", "small letters"), "A", '"A" is not small letters'),
            (types.flag(), "true", '"true" is not yes or no'),
            (types.flag(), "YES", '"YES" is not yes or no'),
            (types.integer(1), "0", '"0" is not a whole number of 1 or more'),
            (types.integer(1, 9), "10", '"10" is not a whole number from 1 to 9'),
            (types.integer(), "1.0", '"1.0" is not a whole number of 0 or more'),
            (types.integer(), "1_0", '"1_0" is not a whole number of 0 or more'),
            (types.integer(), "٣", '"٣" is not a whole number of 0 or more'),
            (types.integer(), "9" * 16, f'"{"9" * 16}" is not a whole number of 0 or more'),
            (types.number(), "nan", '"nan" is not a number of 0 or more'),
            (types.number(), "1e9", '"1e9" is not a number of 0 or more'),
            (types.number(), "-0.1", '"-0.1" is not a number of 0 or more'),
            (types.duration(), "often", f'"often" is not {seconds}'),
            (types.duration(), "10 m", f'"10 m" is not {seconds}'),
            (types.duration(), "1w", f'"1w" is not {seconds}'),
            (types.duration(60, 3600), "1s", '"1s" is not a duration such as 10, 30s, 10m, 24h or 7d, from 60s to 60m'),
            (types.never_or(types.duration()), "ever", f'"ever" is not never or {seconds}'),
            (types.duration(), "36501d", '"36501d" is more than a hundred years'),
            (types.octets(1024), "1", '"1" is not a size such as 500, 64K or 1M, of 1K or more'),
            (types.choice(["a", "b"]), "c", '"c" is not one of a, b'),
            (types.choice(["a"]), "c", '"c" is not a'),
            (types.texts(), "a,,b", "an entry of the list is empty; entries are separated by single commas"),
            (types.texts(), "a, b, a", '"a" comes twice in the list'),
            (types.texts(types.choice(["a", "b"]), 1), "", "the list is empty; it needs one of a, b"),
            (types.texts(types.choice(["a", "b"])), "a, c", '"c" is not one of a, b'),
            (types.networks(), "300.0.0.1", f'"300.0.0.1" is not an address or network; allowed: {networks}'),
            (types.networks(), "any, ::1", f'"any" is not an address or network; allowed: {networks}'),
            (types.networks(), "10.0.0.1/8", f'"10.0.0.1/8" has address bits behind its prefix; allowed: {networks}'),
            (types.networks(), ", ".join(f"10.0.0.{n}" for n in range(16)),
             f"16 entries are too many; allowed: {networks}"),
            (pair, "ab", f'"ab" has no colon; allowed: {pair.allowed}'),
            (pair, "a:b, A:c", '"A" comes twice in the list'),
            (pair, "abcdef:b", "6 characters are too many; at most 5 are allowed"),
            (types.ways(NAME), "a:0", '"0" is not a whole number from 1 to 1000000'),
            (types.ways(NAME), "a, a:2", '"a" comes twice in the list'),
            (types.ways(NAME), "", "the list is empty; it needs the name of at least one connector"),
            (types.timezone(), "Mars/Olympus", '"Mars/Olympus" is not a time zone such as Europe/Moscow or UTC'),
            (types.timezone(), "../etc/passwd", '"../etc/passwd" is not a time zone such as Europe/Moscow or UTC'),
        ]
        for kind, value, expected in vectors:
            self.assertEqual(refusal(kind, value), expected, value)

    def test_secrets_are_not_repeated(self) -> None:
        """A secret that does not have its form is refused without being shown."""
        self.assertEqual(refusal(types.secret_like("[0-9]+", "digits"), "hunter2"), "the value is not digits")

    def test_fifteen_networks(self) -> None:
        """An allow-list holds up to fifteen entries (004-184)."""
        value = ", ".join(f"10.0.0.{n}" for n in range(15))
        self.assertEqual(len(types.networks().take(value).networks), 15)

    def test_names(self) -> None:
        """Logins are ASCII without a colon; senders are numbers up to 15 digits or names up to 11 characters."""
        vectors: list[tuple[Kind[str], list[str], list[str]]] = [
            (LOGIN, ["demo", "1234.5", "a@b", "x" * 64], ["", "a:b", "a b", "вася", "x" * 65]),
            (SENDER, ["DEMO", "My Shop", "+79161234567", "1" * 15, "x-y_z'&"],
             ["", "x" * 12, "1" * 16, " a", "a ", "МТС", "a,b", "*" * 12]),
            (NAME, ["smpp", "mts-2.old_x", "7"], ["", "-a", "a b", "a:b", "x" * 65]),
        ]
        for kind, good, bad in vectors:
            for value in good:
                self.assertEqual(kind.take(value), value)
            for value in bad:
                refusal(kind, value)


def _comes_back(kind: Kind[Any], value: object) -> None:
    written = quote(kind.show(value))
    assert kind.take(unquote(f" {written} ; a comment") or "") == value, written


class RoundTripTests(SynchronousTestCase):
    """Each kind reads back what it writes to a file."""

    @given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=40))
    def test_texts_and_secrets(self, value: str) -> None:
        """Any text without control characters survives a file."""
        _comes_back(types.text(), value)
        _comes_back(types.secret(), Secret(value))

    @given(st.integers(0, 10**14), st.booleans(), st.sampled_from(["a", "b"]))
    def test_simple_kinds(self, value: int, switch: bool, word: str) -> None:
        """Whole numbers, sizes, whole seconds, flags and words survive a file."""
        _comes_back(types.integer(), value)
        _comes_back(types.octets(), value)
        _comes_back(types.duration(), float(value % 10**9))
        _comes_back(types.flag(), switch)
        _comes_back(types.choice(["a", "b"]), word)

    @given(st.decimals(0, 10**6, places=3))
    def test_fractions(self, value: Any) -> None:
        """Numbers and durations with fractions survive a file."""
        _comes_back(types.number(), float(value))
        _comes_back(types.duration(), float(value))
        _comes_back(types.never_or(types.duration()), float(value))
        _comes_back(types.never_or(types.duration()), None)

    @given(st.lists(WORD, unique=True, max_size=5))
    def test_lists(self, words: list[str]) -> None:
        """Lists of texts and of patterns survive a file."""
        _comes_back(types.texts(), tuple(words))
        _comes_back(types.globs(), Globs(tuple(f"{word}*" for word in words)))

    @given(st.dictionaries(NAMES.map(str.lower), NAMES, max_size=5))
    def test_pairs(self, pairs: dict[str, str]) -> None:
        """Pairs survive a file."""
        _comes_back(types.pairs(types.text(), types.text()), pairs)

    @given(st.lists(st.tuples(NAMES, st.integers(0, 1000)), min_size=1, max_size=5, unique_by=lambda one: one[0]))
    def test_ways(self, ways: list[tuple[str, int]]) -> None:
        """Connectors with and without weights survive a file."""
        _comes_back(types.ways(NAME), tuple(Way(name, weight) for name, weight in ways))

    @given(st.lists(st.ip_addresses().map(str), unique=True, max_size=15))
    def test_networks(self, hosts: list[str]) -> None:
        """Allow-lists survive a file."""
        _comes_back(types.networks(), types.networks().take(", ".join(hosts)))
        _comes_back(types.networks(), AllowList(everyone=True))

    def test_zone_and_path(self) -> None:
        """Time zones and paths survive a file."""
        _comes_back(types.timezone(), zoneinfo.ZoneInfo("Asia/Vladivostok"))
        _comes_back(types.path(), Path("/var/lib/a ;b"))

    def test_durations_are_written_as_people_do(self) -> None:
        """A duration is shown in the largest unit that divides it into a whole number above one."""
        vectors = {0: "0", 1: "1s", 0.5: "0.5", 30: "30s", 60: "60s", 90: "90s", 120: "2m", 3600: "60m", 86400: "24h",
                   604800: "7d", 2592000: "30d"}
        for seconds, written in vectors.items():
            self.assertEqual(types.show_duration(seconds), written)
