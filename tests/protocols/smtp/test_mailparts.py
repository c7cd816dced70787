"""Parts of mails, and HTML as text."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.errors import Refused
from smsgw.protocols.smtp import mailparts
from smsgw.protocols.smtp.mailparts import MOST_PARTS, BadParts, html_text, split, unfold
from smsgw.protocols.smtp.mailtext import mail_text

_SIGNATURE = "-- "


class SplitTests(SynchronousTestCase):
    """Cutting a body at its boundary."""

    def test_parts(self) -> None:
        """The parts stand between delimiter lines, without preamble, epilogue and the line end before each
        delimiter."""
        for body, parts in {
            b"--b\r\n\r\none\r\n--b\r\nA: b\r\n\r\ntwo\r\n\r\n--b--\r\nepilogue": [b"\r\none", b"A: b\r\n\r\ntwo\r\n"],
            b"preamble\r\n--b \t\r\none\r\n--b--": [b"one"],
            b"--b\r\none": [b"one"],
            b"--b\r\none\r\n--bb\r\nmore\r\n--b--": [b"one\r\n--bb\r\nmore"],
        }.items():
            self.assertEqual(split(body, "b"), parts, body)

    def test_refused(self) -> None:
        """No boundary, no part, too many parts: refused."""
        for body, boundary in (
            (b"x", ""),
            (b"x", "b" * 71),
            (b"x", "b"),
            (b"--b--", "b"),
            (b"--b\r\n\r\n" * (MOST_PARTS + 2), "b"),
        ):
            with self.assertRaises(BadParts):
                split(body, boundary)

    @given(st.binary(max_size=300), st.sampled_from(["b", "--", "b b"]))
    def test_anything(self, octets: bytes, boundary: str) -> None:
        """Any body is split or refused, and no part is longer than the body."""
        body = octets.replace(b"|", b"\r\n--" + boundary.encode() + b"\r\n")
        try:
            parts = split(body, boundary)
        except BadParts:
            return
        self.assertLessEqual(sum(map(len, parts)), len(body))

    def test_nested_too_deep(self) -> None:
        """Too many levels of nested parts are refused."""
        mail = b"Content-Type: text/plain\r\n\r\nhi"
        for number in range(20):
            boundary = b"b%d" % number
            mail = b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n--%b\r\n%b\r\n--%b--\r\n' % (
                boundary,
                boundary,
                mail,
                boundary,
            )
            answer = mail_text(mail)
            self.assertEqual(isinstance(answer, Refused), number >= 8, number)


def flow(paragraphs: list[str], breaks: list[int], delsp: bool) -> str:
    """Write paragraphs as ``format=flowed``, broken into lines of these lengths in turns."""
    lines: list[str] = []
    widths = itertools.cycle(breaks)
    for paragraph in paragraphs:
        rest = paragraph
        while rest != _SIGNATURE:
            width = next(widths)
            cut = width if delsp else rest.find(" ", width) + 1
            if not 0 < cut < len(rest) or rest[cut:] == _SIGNATURE or (delsp and f"{rest[:cut]} " == _SIGNATURE):
                break
            line, rest = rest[:cut], rest[cut:]
            if line == _SIGNATURE:
                rest = line + rest
                break
            lines.append(line + (" " if delsp else ""))
        lines.append(rest)
    return "\n".join(f" {line}" if line.startswith((" ", ">", "From ")) else line for line in lines)


class FlowedTests(SynchronousTestCase):
    """Joining the lines of format=flowed."""

    def test_i2_flowed(self) -> None:
        """(RFC 3676) Soft breaks join lines of one quote depth; stuffing goes; the signature's line stays alone."""
        for source, text in {
            "one \ntwo \nthree\nfour": "one two three\nfour",
            " From here \n >not quoted\n  indented": "From here >not quoted\n indented",
            "> one \n> two\n>> three \n>> four\nfive": "> one two\n>> three four\nfive",
            ">one \n>two": ">one two",
            "> a \n>> b \nc": "> a \n>> b \nc",
            "regards \n-- \nAnn \nB.": "regards \n-- \nAnn B.",
            "> text \n> -- \n> Ann": "> text \n> -- \n> Ann",
            " -- \nnot joined": "-- \nnot joined",
            "a\n\nb \n\nc": "a\n\nb \nc",
            "a \n": "a ",
            ">": ">",
            " \nb": "\nb",
            "": "",
        }.items():
            self.assertEqual(unfold(source, False), text, source)

    def test_i2_delsp(self) -> None:
        """With DelSp=yes the space of a soft break goes too; a second one stays."""
        for source, text in {
            "\u0434\u043e \n\u0431\u0440\u043e": "\u0434\u043e\u0431\u0440\u043e",
            "one  \ntwo": "one two",
            "> a \n> b": "> ab",
            "regards \n-- \nAnn": "regards\n-- \nAnn",
        }.items():
            self.assertEqual(unfold(source, True), text, source)

    @given(
        st.lists(st.text(alphabet=" >-aFrom\u0434", max_size=30).map(lambda text: text.rstrip(" ")), max_size=6),
        st.lists(st.integers(1, 12), min_size=1, max_size=5),
        st.booleans(),
    )
    def test_i2_any_text(self, paragraphs: list[str], breaks: list[int], delsp: bool) -> None:
        """Any paragraphs come out as they were, wherever they were broken."""
        self.assertEqual(unfold(flow(paragraphs, breaks, delsp), delsp), "\n".join(paragraphs))

    @given(st.text(alphabet="> -a\n", max_size=60), st.booleans())
    def test_i2_anything(self, source: str, delsp: bool) -> None:
        """Any text gives a text that is no longer."""
        self.assertLessEqual(len(unfold(source, delsp)), len(source))


class HtmlTests(SynchronousTestCase):
    """HTML as text."""

    def test_text(self) -> None:
        """Blocks become lines, entities characters; invisible elements are left out."""
        for source, text in {
            "<p>Hello&nbsp;&amp; <b>you</b></p>": "Hello & you",
            "a<br>b<br/>c": "a\nb\nc",
            "<div>a</div>\r\n<div>b</div>": "a\n\nb",
            "<head><title>t</title></head><style>p{}</style><script>x<y</script>text": "text",
            "a<!-- b --> c": "a c",
            '<a title="x>y">link</a>': "link",
            "1 < 2 & 3 > 2": "1 < 2 & 3 > 2",
            "&#1055;&#x440;&quot;": 'Пр"',
            "a <!-- never closed": "a",
            "a <b never closed": "a",
            "a <b title='never closed>": "a",
            "<script>never closed": "",
            "<!DOCTYPE html><?xml version='1.0'?>x": "x",
            "": "",
        }.items():
            self.assertEqual(html_text(source), text, source)

    @given(st.text(alphabet="<>!-/abp'\"&;= \n", max_size=200))
    def test_anything(self, source: str) -> None:
        """Any HTML gives a text that is no longer than the HTML."""
        self.assertLessEqual(len(html_text(source)), len(source))

    def test_hostile(self) -> None:
        """A megabyte of unclosed elements is read in linear time."""
        for opening in (
            "<",
            "<!",
            "<!--",
            "<![CDATA[",
            "<a ",
            "<a b='",
            "<a b=\"'",
            "&",
            "&#",
            "</",
            "<script>",
            "<a/",
            "<title>",
            "<p",
        ):
            html_text((opening * (1 << 20))[: 1 << 20])

    @given(st.lists(st.sampled_from(["a", "word", " ", "   ", "&amp;", "&", "&lt;b&gt;", "\n", "\t ", "<br>", "<b>"])))
    def test_f5_pieces(self, words: list[str]) -> None:
        """Long texts are converted in pieces, so that a thread can rest between them; the result is the same."""
        source = "".join(words) * 9
        rests: list[None] = []
        self.patch(mailparts, "PIECE", 40)
        text = html_text(source, lambda: rests.append(None))
        self.assertGreaterEqual(len(rests), len(source) // 40)
        self.patch(mailparts, "PIECE", 1 << 30)
        self.assertEqual(text, html_text(source))
