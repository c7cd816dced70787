"""Ambiguous JSON is refused."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.http.strictjson import BadJson, compact, is_integer, strict_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)

REFUSED = {
    "nothing": (b"", "character 0"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "octet 0"),
    "UTF-16": ('{"a":1}'.encode("utf-16-le"), "character 1"),
    "UTF-16 with its mark": ('{"a":1}'.encode("utf-16"), "octet 0"),
    "Latin-1": (b'{"a":"\xe9"}', "octet 6"),
    "an overlong form": (b'"\xc0\xaf"', "octet 1"),
    "a surrogate in UTF-8": (b'"\xed\xa0\x80"', "octet 1"),
    "a key twice": (b'{"a":1,"b":{"c":1,"c":2}}', "$.b.c"),
    "NaN": (b'{"a":[1,NaN]}', "$.a[1]"),
    "Infinity": (b"Infinity", "$"),
    "-Infinity": (b'{"odd key":-Infinity}', '$["odd key"]'),
    "1e400": (b'{"a":1e400}', "$.a"),
    "5,000 digits": (b'{"a":' + b"9" * 5000 + b"}", "$.a"),
    "4,000 digits": (b"[" + b"9" * 4000 + b"]", "$[0]"),
    "2^63": (b"9223372036854775808", "$"),
    "below -2^63": (b"-9223372036854775809", "$"),
    "nine levels": (b"[" * 9 + b"]" * 9, "character 8"),
    "100,000 levels": (b"[" * 100_000, "character 8"),
    "100,000 objects": (b'{"a":' * 100_000, "character 40"),
    "half of a pair": (b'{"a":["\\ud800"]}', "$.a[0]"),
    "the other half": (b'{"a":"x\\udc00y"}', "$.a"),
    "halves the wrong way round": (b'"\\udc00\\ud800"', "$"),
    "half of a pair in a key": (b'{"a":{"\\ud800":1}}', "$.a"),
    "a line end in a string": (b'{"a":"x\ny"}', "character 7"),
    "NUL in a string": (b'"\x00"', "character 1"),
    "something behind": (b"{} {}", "character 3"),
    "a comma too many": (b"[1,]", "character 3"),
    "single quotes": (b"{'a':1}", "character 1"),
    "a comment": (b"{}//", "character 2"),
    "a leading zero": (b"01", "character 1"),
    "an open string": (b'"abc', "character 0"),
    "an open string with a backslash": (b"[" + b"[]," * 8 + b'"[[[[[[[[[\\"[[[[[[[[[\\', "character 25"),
}


class Refusals(SynchronousTestCase):
    def test_catalogue(self) -> None:
        """Each text is refused as BadJson with the position of the error."""
        for name, (octets, where) in REFUSED.items():
            with self.subTest(name):
                error = self.assertRaises(BadJson, strict_json, octets)
                self.assertEqual(error.where, where)
                self.assertIn(where, str(error))

    def test_is_a_value_error(self) -> None:
        """BadJson is a ValueError."""
        self.assertRaises(ValueError, strict_json, b"{")

    def test_says_no_value(self) -> None:
        """An error contains no value of the text."""
        for octets in (b'{"text":"seeded-text", "n":NaN}', b'{"text":"seeded-text"', b'"seeded-text\\ud800"'):
            self.assertNotIn("seeded", str(self.assertRaises(BadJson, strict_json, octets)))

    @given(st.binary(max_size=60) | st.text('{}[]",:\\u0d8c19eENaI- ', max_size=60).map(str.encode))
    def test_junk(self, octets: bytes) -> None:
        """Any octets give a value or BadJson."""
        try:
            strict_json(octets)
        except BadJson as error:
            self.assertTrue(error.what)
            self.assertTrue(error.where)


class Values(SynchronousTestCase):
    def test_eight_levels(self) -> None:
        """Eight levels are allowed; brackets in strings are not counted, siblings are not nested."""
        strict_json(b"[" * 8 + b"]" * 8)
        self.assertEqual(len(strict_json(b"[" + b"[],{}," * 50 + b"0]")), 101)
        self.assertEqual(strict_json(b'["' + b"[{" * 50 + b'\\"[[["]'), ["[{" * 50 + '"[[['])

    def test_depth_is_an_argument(self) -> None:
        """The depth can be set."""
        self.assertEqual(strict_json(b"[1]", depth=1), [1])
        self.assertRaises(BadJson, strict_json, b"[[1]]", depth=1)

    def test_limits_of_integers(self) -> None:
        """All integers of 64 bits are read exactly."""
        self.assertEqual(strict_json(b"[9223372036854775807,-9223372036854775808]"), [2**63 - 1, -(2**63)])

    def test_whole_pairs(self) -> None:
        """A character beyond 16 bits may be written as an escaped pair."""
        self.assertEqual(strict_json(b'"\\ud83d\\ude00"'), "\U0001f600")
        self.assertEqual(strict_json(b'"\\\\ud800"'), "\\ud800")

    def test_true_is_no_integer(self) -> None:
        """A bool is not an integer."""
        self.assertTrue(all(map(is_integer, (1, 0, -1, 2**63))))
        self.assertFalse(any(map(is_integer, (True, False, 1.0, "1", None))))

    @given(VALUES)
    def test_round_trip(self, value: object) -> None:
        """What compact writes, strict_json reads as the same value."""
        self.assertEqual(strict_json(compact(value), depth=50), value)

    @given(VALUES)
    def test_as_the_standard_library(self, value: object) -> None:
        """Valid JSON has the same value as in the standard library, escaped or not."""
        for written in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
            self.assertEqual(strict_json(written.encode(), depth=50), json.loads(written))


class Compact(SynchronousTestCase):
    def test_form(self) -> None:
        """Keys are sorted, blanks left out, letters written as UTF-8. (004-192)"""
        self.assertEqual(
            compact({"text": "Дом", "created_at": 1, "pdu_count": None}),
            '{"created_at":1,"pdu_count":null,"text":"Дом"}'.encode(),
        )

    def test_half_a_pair(self) -> None:
        """A lone surrogate is written as a question mark."""
        self.assertEqual(compact("a\ud800b"), b'"a?b"')

    def test_no_infinity(self) -> None:
        """A value that JSON cannot represent is refused."""
        self.assertRaises(ValueError, compact, math.inf)
