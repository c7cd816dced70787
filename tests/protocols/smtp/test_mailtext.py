"""Tests of reading a mail's text."""

from __future__ import annotations

import base64
import encodings
import quopri

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.errors import Refusal, Refused
from smsgw.protocols.smtp.charsets import MODULES, charset_codec
from smsgw.protocols.smtp.mailtext import mail_text

NESTED = b"".join(b"--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n" % (n, n + 1) for n in range(1000))
TEXT = b"Content-Type: text/plain"

# Header lines by name, with the text that comes out; None: the mail is refused.
HOSTILE: dict[str, tuple[bytes, str | None]] = {
    "8,000 encoded words in Subject": (b"Subject:" + b" =?utf-8?b?0J8=?=\r\n" * 8000 + TEXT, "hi"),
    "500 nested comments in an address": (b"From: " + b"(" * 500 + b")" * 500 + b" <a@b>\r\n" + TEXT, "hi"),
    "a header line folded 1,000 times": (TEXT + b";" + b"\r\n " * 1000 + b"charset=utf-8", "hi"),
    "2,000 RFC 2231 parameters": (TEXT + b"".join(b";a*%d=x" % n for n in range(2000)), "hi"),
    "RFC 2231 parameters with and without a number": (TEXT + b";a*=x;a*1=y;a*z=t;a*0*=utf-8''x", "hi"),
    "a charset in pieces": (TEXT + b";charset*0=ut;charset*1=f-8", "hi"),
    "8,000 semicolons": (TEXT + b";" * 8000, "hi"),
    "8,000 quotes": (TEXT + b'; charset="' + b'\\"' * 4000, None),
    "4,000 parameters without a value": (TEXT + b";a" * 4000, "hi"),
    "a charset of 8,000 characters": (TEXT + b"; charset=" + b"x" * 8000, None),
    "a charset with NUL": (TEXT + b"; charset=utf\x00-8", None),
    "a charset beyond ASCII": (TEXT + "; charset=utf-8é".encode(), None),
    "a charset that is a path": (TEXT + b"; charset=../../os", None),
    "1,000 nested multiparts": (b"Content-Type: multipart/mixed; boundary=0\r\n\r\n" + NESTED, None),
    "1,000 nested messages": (b"Content-Type: message/rfc822\r\n\r\n" * 1000, None),
    "many empty parts": (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * 10_000, None),
}
PIECES = [b";", b"=", b'"', b"\\", b" ", b"\r\n ", b"charset", b"utf-8", b"*", b"*0", b"*1", b"*=", b"a", b"'", b"\xff"]


def mail(body: bytes, charset: str | None = None, transfer: str | None = None, kind: str = "text/plain") -> bytes:
    """Build a valid mail."""
    lines = [b"From: <default@corp.example>", b"Subject: ignored"]
    if charset is not None:
        lines.append(f"Content-Type: {kind}; charset={charset}".encode())
    if transfer is not None:
        lines.append(f"Content-Transfer-Encoding: {transfer}".encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + body + b"\r\n"


class PlainTextTests(SynchronousTestCase):
    """The SMS text of a mail."""

    def refusal(self, octets: bytes) -> str:
        """Return the reason of a refusal."""
        answer = mail_text(octets)
        assert isinstance(answer, Refused), answer
        self.assertIs(answer.refusal, Refusal.BAD_ENCODING)
        return answer.why

    def test_charsets(self) -> None:
        """(000-24) Any usual charset is decoded, at least utf-8, windows-1251, koi8-r and iso-8859-x."""
        for charset in ("utf-8", "windows-1251", "koi8-r", "iso-8859-5", "UTF-8", "cp1251"):
            self.assertEqual(mail_text(mail("Привет!".encode(charset), charset, "8bit")), "Привет!", charset)
        self.assertEqual(mail_text(mail("gr\u00fc\u00df".encode("latin-1"), '"iso-8859-1"', "8bit")), "gr\u00fc\u00df")

    def test_i6_charsets(self) -> None:
        """Any charset that Python has a text codec for is decoded, by its MIME and its private names."""
        for charset, octets, text in (
            ("utf-7", b"+BB8EQAQ4BDIENQRC-!", "\u041f\u0440\u0438\u0432\u0435\u0442!"),
            ("unicode-1-1-utf-7", b"A+ImIDkQ.", "A\u2262\u0391."),
            ("x-mac-cyrillic", b"\x8f\xf0\xe8\xe2\xe5\xf2", "\u041f\u0440\u0438\u0432\u0435\u0442"),
            ("iso-2022-kr", b"\x1b$)C\x0e0!\x0f", "\uac00"),
            ("tis-620", b"\xa1\xa2", "\u0e01\u0e02"),
            ("windows-874", b"\x80\xa1", "\u20ac\u0e01"),
            ("iso-8859-8-i", b"\xf9", "\u05e9"),
            ("windows-31j", b"\x87\x40", "\u2460"),
            ("IBM00858", b"\xd5", "\u20ac"),
            ("GB_2312-80", b"\xb0\xa1", "\u554a"),
            ("hz-gb-2312", b"~{<:~}", "\u5df1"),
        ):
            for transfer in ("8bit", "base64"):
                body = octets if transfer == "8bit" else base64.b64encode(octets)
                self.assertEqual(mail_text(mail(body, charset, transfer)), text, charset)

    def test_i6_no_charsets(self) -> None:
        """Codecs of Python that are no charsets are refused under each of their names."""
        for charset in (
            *("zlib", "bz2", "hex", "base64", "quopri", "uu", "rot13", "rot_13", "idna", "punycode", "undefined"),
            *("unicode_escape", "unicode-escape", "raw_unicode_escape", "charmap", "mbcs", "oem", "ansi", "dbcs"),
            *("aliases", "__init__", "zip", "x-hex", "x-zlib", "utf-8-sig-x", "windows-999999", "string-escape"),
        ):
            self.assertIn("charset", self.refusal(mail(b"abcd", charset)), charset)

    def test_i6_half_a_pair(self) -> None:
        """UTF-7 can hold half of a surrogate pair, which is refused."""
        self.assertIn("control", self.refusal(mail(b"a+2AA-b", "utf-7")))

    def test_i6_ascii_stays(self) -> None:
        """Each charset reads an ASCII text unchanged, but for those of other code units and EBCDIC."""
        names = {name for name in MODULES.values() if charset_codec(name) is not None}
        self.assertGreater(len(names), 90)
        others = ("utf_16", "utf_32", "cp037", "cp1026", "cp1140", "cp273", "cp424", "cp500", "cp875")
        for name in names:
            read = mail_text(mail(b"Code 1234", name, "8bit"))
            self.assertEqual(read == "Code 1234", not name.startswith(others), name)

    def test_i2_flowed(self) -> None:
        """Flowed lines are joined in a plain text, after decoding, and nowhere else."""
        flowed = b"Your order is \r\non its way. \r\n>quoted\r\n-- \r\nShop\r\n"
        joined = "Your order is on its way. \n>quoted\n-- \nShop"
        as_sent = "Your order is \non its way. \n>quoted\n-- \nShop"
        for parameters, transfer, text in (
            ("format=flowed", "8bit", joined),
            ('FORMAT="Flowed"', "8bit", joined),
            ("format=flowed; delsp=no", "base64", joined),
            ("format=flowed; delsp=yes", "8bit", "Your order ison its way.\n>quoted\n-- \nShop"),
            ("format=fixed", "8bit", as_sent),
            ("delsp=yes", "8bit", as_sent),
        ):
            body = flowed if transfer == "8bit" else base64.encodebytes(flowed).replace(b"\n", b"\r\n")
            self.assertEqual(mail_text(mail(body, f"utf-8; {parameters}", transfer)), text, parameters)
        utf_16 = "one \r\ntwo".encode("utf-16-be")
        octets = mail(base64.b64encode(utf_16), "utf-16be; format=flowed", "base64")
        self.assertEqual(mail_text(octets), "one two")
        html = mail(b"<pre>a \r\n&gt; b</pre>", "utf-8; format=flowed", "8bit", "text/html")
        self.assertEqual(mail_text(html), "a > b")

    def test_transfer_encodings(self) -> None:
        """(000-25) 7bit, 8bit, quoted-printable and base64 are decoded."""
        text = "Привет, мир! " * 10
        octets = text.strip().encode()
        self.assertEqual(
            mail_text(mail(quopri.encodestring(octets).replace(b"\n", b"\r\n"), "utf-8", "quoted-printable")),
            text.strip(),
        )
        self.assertEqual(
            mail_text(mail(base64.encodebytes(octets).replace(b"\n", b"\r\n"), "utf-8", "BASE64")), text.strip()
        )
        self.assertEqual(mail_text(mail(b"plain", None, "7bit")), "plain")

    def test_no_header(self) -> None:
        """A mail without a header is a body only; one without a body has an empty text."""
        self.assertEqual(mail_text(b"\r\nhello\r\n"), "hello")
        self.assertEqual(mail_text(b"Subject: only\r\n"), "")

    def test_eight_bit_without_charset(self) -> None:
        """8-bit text without a charset is read as UTF-8, or refused if it is not UTF-8."""
        self.assertEqual(mail_text(mail("да".encode())), "да")
        self.assertIn("not in charset", self.refusal(mail(b"\xff\xfe")))

    def test_folded_field(self) -> None:
        """A folded header field is unfolded."""
        octets = b"Content-Type: text/plain;\r\n\tcharset=koi8-r\r\n\r\n" + "да".encode("koi8-r")
        self.assertEqual(mail_text(octets), "да")

    def test_first_field_counts(self) -> None:
        """Of repeated fields the first counts."""
        octets = b"Content-Type: text/plain; charset=koi8-r\r\nContent-Type: text/html\r\n\r\n" + "да".encode("koi8-r")
        self.assertEqual(mail_text(octets), "да")

    def test_refused(self) -> None:
        """The refusal names the unsupported charset, encoding or type."""
        self.assertIn("image/png", self.refusal(mail(b"<b>", "utf-8", kind="image/png")))
        for charset in ("x\x00y", "nonsense"):
            self.assertIn("charset", self.refusal(mail(b"abcd", charset)), charset)
        self.assertIn("transfer encoding", self.refusal(mail(b"abc", "utf-8", "uuencode")))
        for broken in (b"abc", b"a?==", b"====", b"ab=c"):
            self.assertIn("base64", self.refusal(mail(broken, "utf-8", "base64")), broken)
        self.assertIn("control", self.refusal(mail(base64.b64encode(b"a\x00b"), "utf-8", "base64")))

    def test_charset_names(self) -> None:
        """A charset is known by any of its names, in quotes or not, wherever it stands among the parameters."""
        octets = "да".encode("koi8-r")
        for parameters in (
            "charset=KOI8_R",
            "charset=csKOI8R",
            'charset="koi8-r"',
            'charset="koi8\\-r"',
            "format=flowed; CharSet = koi8-r ; delsp=yes",
            'name="a;charset=utf-7"; charset=koi8-r',
            "charset=koi8-r; charset=utf-8",
            ";;charset=koi8-r",
        ):
            header = f"Content-Type: text/plain; {parameters}\r\n\r\n".encode()
            self.assertEqual(mail_text(header + octets), "да", parameters)

    def test_no_type(self) -> None:
        """An invalid content type counts as plain text (RFC 2045, 5.2)."""
        for written in (b"", b"text", b"text; charset=utf-8", b";", b"a/b/c", b"; charset=utf-8"):
            self.assertEqual(mail_text(b"Content-Type: " + written + b"\r\n\r\n" + "да".encode()), "да", written)

    def test_hostile_headers(self) -> None:
        """A header made to cost time or memory, or to raise, is processed like any other."""
        for name, (head, wanted) in HOSTILE.items():
            with self.subTest(name):
                answer = mail_text(head + b"\r\n\r\nhi\r\n")
                if isinstance(wanted, str):
                    self.assertEqual(answer, wanted)
                else:
                    assert isinstance(answer, Refused), answer
                    self.assertLess(len(answer.why), 120)

    def test_unknown_charsets_leave_nothing(self) -> None:
        """Invented charsets do not fill the registry of codecs."""
        before = len(encodings._cache)
        for number in range(100):
            self.assertIn("charset", self.refusal(mail(b"x", f"invented-{number}")))
        self.assertEqual(len(encodings._cache), before)

    @given(
        st.binary(max_size=200),
        st.sampled_from(["utf-8", "utf-16", "koi8-r", "gb18030", "utf-7", "iso-2022-kr", "hz-gb-2312", "x-mac-ce"]),
        st.sampled_from(["8bit", "base64", "quoted-printable"]),
    )
    def test_total(self, body: bytes, charset: str, transfer: str) -> None:
        """Any mail gives a text without surrogates and NUL, or a refusal."""
        answer = mail_text(mail(body, charset, transfer))
        if isinstance(answer, str):
            answer.encode()
            self.assertNotIn("\x00", answer)

    @given(st.lists(st.sampled_from(PIECES), max_size=30))
    def test_total_over_any_content_type(self, pieces: list[bytes]) -> None:
        """Any content type gives a text or a refusal."""
        octets = b"Content-Type: text/plain" + b"".join(pieces) + b"\r\n\r\nhi"
        self.assertIsInstance(mail_text(octets), str | Refused)

    @given(st.binary(max_size=300))
    def test_total_over_any_octets(self, octets: bytes) -> None:
        """Any octets give a text or a refusal."""
        self.assertIsInstance(mail_text(octets), str | Refused)
