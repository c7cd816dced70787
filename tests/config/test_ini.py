"""The grammar of gw.ini."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config.ini import Section, quote, read, unquote

WRITABLE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=60)


def values(text: str) -> list[str]:
    """Return the values of a text without mistakes."""
    sections, problems = read(text, "gw.ini")
    assert not problems, problems
    return [entry.value for section in sections for entry in section.entries]


def problems(text: str) -> list[str]:
    """Return the mistakes of a text."""
    return [str(problem) for problem in read(text, "gw.ini")[1]]


class SectionTests(SynchronousTestCase):
    def test_lines_are_kept(self) -> None:
        """Sections and entries know the line they were written at."""
        (one, two), _ = read("; head\n\n[gateway]\nstate = var\n\n[listen smpp]\n\ntls = none\n", "gw.ini")
        self.assertEqual((one.line, one.entries[0].line, two.line, two.entries[0].line), (3, 4, 6, 8))

    def test_kind_and_name(self) -> None:
        """The first word of a header is the kind, all others are the free name, blanks between them count once."""
        (section,), _ = read("[ list   demo \t staff ] ; a contact list", "gw.ini")
        self.assertEqual((section.kind, section.name, section.title), ("list", "demo staff", "list demo staff"))

    def test_byte_order_mark_and_foreign_line_ends(self) -> None:
        """A byte order mark and CR LF line ends change nothing."""
        sections, wrong = read("\ufeff[gateway]\r\nstate = var\r\n", "gw.ini")
        self.assertEqual(wrong, [])
        self.assertEqual([entry.value for entry in sections[0].entries], ["var"])

    def test_empty_file(self) -> None:
        """An empty text is valid."""
        self.assertEqual(read("", "gw.ini"), ([], []))


class ValueTests(SynchronousTestCase):
    def test_comments(self) -> None:
        """A comment starts a line, or follows a value after a blank as a semicolon."""
        text = "[a]\n# one\n  ; two\nx = 1 ; three\ny = a;b#c # d\nz = ; nothing\nw =\nv=1\t; tab\n"
        self.assertEqual(values(text), ["1", "a;b#c # d", "", "", "1"])

    def test_quotes(self) -> None:
        """A quoted value keeps blanks, semicolons, quotes and backslashes."""
        text = '[a]\nx = " a ; b " ; comment\ny = "say \\"hi\\" \\\\ \\n"\nz = ""\nw = say "hi"\n'
        self.assertEqual(values(text), [" a ; b ", 'say "hi" \\ \\n', "", 'say "hi"'])

    def test_no_interpolation(self) -> None:
        """Percent signs, dollars and equals signs are ordinary characters."""
        self.assertEqual(values("[a]\nx = %(y)s ${z} = %\n"), ["%(y)s ${z} = %"])

    @given(WRITABLE)
    def test_written_values_come_back(self, value: str) -> None:
        """A value written by `quote` is read back unchanged."""
        self.assertEqual(values(f"[a]\nx = {quote(value)}   ; a comment\ny={quote(value)}\n"), [value, value])

    @given(WRITABLE)
    def test_plain_values_stay_plain(self, value: str) -> None:
        """Quotes are added only to values that would change without them."""
        if unquote(" " + value) == value:
            self.assertEqual(quote(value), value)

    def test_line_ends_cannot_be_written(self) -> None:
        """A value with a line end is refused."""
        for value in ("a\nb", "a\rb", "a\x00", "a\u2028b"):
            self.assertRaises(ValueError, quote, value)


class MistakeTests(SynchronousTestCase):
    def test_every_mistake(self) -> None:
        """Each breach of the grammar is reported with its line, section and key."""
        vectors = {
            "x = 1": "gw.ini:1: a key before the first [section]",
            "[gateway]\nnonsense": "gw.ini:2: [gateway]: neither [section] nor key = value nor a comment",
            "[gateway]\n7 = 8": "gw.ini:2: [gateway]: neither [section] nor key = value nor a comment",
            "[gateway]\n= 8": "gw.ini:2: [gateway]: neither [section] nor key = value nor a comment",
            "[]": "gw.ini:1: not a section header; allowed: [kind] or [kind NAME]",
            "[a\nx = 1": "gw.ini:1: not a section header; allowed: [kind] or [kind NAME]",
            "[a] x": "gw.ini:1: not a section header; allowed: [kind] or [kind NAME]",
            "[a]\nx = 1\nx = 2": "gw.ini:3: [a] x: the key is already written at line 2",
            "[a b]\n[c]\n[a  b]": "gw.ini:3: [a b]: the section is already written at line 1",
            '[a]\nx = "b': 'gw.ini:2: [a] x: a double quote is not closed; a value that begins with " ends with it',
            '[a]\nx = "b" c': 'gw.ini:2: [a] x: a double quote is not closed; a value that begins with " ends with it',
            "[a]\nx = \x07": "gw.ini:2: [a]: a control character; only printable text is allowed",
        }
        for text, expected in vectors.items():
            self.assertEqual(problems(text), [expected], text)

    def test_all_in_one_pass(self) -> None:
        """One reading finds all mistakes, also those in a duplicate section."""
        text = "x = 1\n[a]\ny = 1\ny = 2\n[a]\nz\n[b\nw = 1\n"
        self.assertEqual([line.split(":")[1] for line in problems(text)], ["1", "4", "5", "6", "7"])

    def test_second_section_is_left_out(self) -> None:
        """The first of two sections with the same header is used."""
        sections, _ = read("[a]\nx = 1\n[a]\nx = 2\n", "gw.ini")
        self.assertEqual([[entry.value for entry in section.entries] for section in sections], [["1"]])

    def test_contents_are_not_repeated(self) -> None:
        """A problem of the grammar does not contain the line, which may be a password."""
        text = '[a]\nhunter2\npassword: hunter2\npassword = "hunter2\n[hunter2\npassword = hunter2\x01\n'
        self.assertNotIn("hunter2", "\n".join(problems(text)))

    @given(st.text(st.sampled_from('ab[]=;#" \\\t\n\r\x00é'), max_size=80))
    def test_junk_is_only_ever_found_wrong(self, text: str) -> None:
        """Reading any text gives sections and problems, in line order."""
        sections, wrong = read(text, "gw.ini")
        self.assertTrue(all(isinstance(section, Section) for section in sections))
        lines = [problem.line for problem in wrong]
        self.assertEqual(lines, sorted(lines))
