"""Tests of reading a mail's text."""

from __future__ import annotations

import base64
import quopri

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.errors import Refusal, Refused
from smsgw.protocols.mailtext import plain_text


def mail(body: bytes, charset: str | None = None, transfer: str | None = None, kind: str = "text/plain") -> bytes:
    """A valid mail; each test says only what is particular."""
    lines = [b"From: <default@corp.example>", b"Subject: ignored"]
    if charset is not None:
        lines.append(f"Content-Type: {kind}; charset={charset}".encode())
    if transfer is not None:
        lines.append(f"Content-Transfer-Encoding: {transfer}".encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + body + b"\r\n"


class PlainTextTests(SynchronousTestCase):
    """What a phone is to show of a mail."""

    def refusal(self, octets: bytes) -> str:
        """Why a mail is refused."""
        answer = plain_text(octets)
        assert isinstance(answer, Refused), answer
        self.assertIs(answer.refusal, Refusal.BAD_ENCODING)
        return answer.why

    def test_charsets(self) -> None:
        """(000-24) Any usual charset is decoded, at least utf-8, windows-1251, koi8-r and iso-8859-x."""
        for charset in ("utf-8", "windows-1251", "koi8-r", "iso-8859-5", "UTF-8", "cp1251"):
            self.assertEqual(plain_text(mail("Привет!".encode(charset), charset, "8bit")), "Привет!", charset)
        self.assertEqual(plain_text(mail("gr\u00fc\u00df".encode("latin-1"), '"iso-8859-1"', "8bit")), "gr\u00fc\u00df")

    def test_transfer_encodings(self) -> None:
        """(000-25) 7bit, 8bit, quoted-printable and base64 are undone."""
        text = "Привет, мир! " * 10
        octets = text.strip().encode()
        self.assertEqual(
            plain_text(mail(quopri.encodestring(octets).replace(b"\n", b"\r\n"), "utf-8", "quoted-printable")),
            text.strip(),
        )
        self.assertEqual(
            plain_text(mail(base64.encodebytes(octets).replace(b"\n", b"\r\n"), "utf-8", "BASE64")), text.strip()
        )
        self.assertEqual(plain_text(mail(b"plain", None, "7bit")), "plain")

    def test_no_header(self) -> None:
        """A mail without a header is all body; one without a body is an empty text."""
        self.assertEqual(plain_text(b"\r\nhello\r\n"), "hello")
        self.assertEqual(plain_text(b"Subject: only\r\n"), "")

    def test_eight_bit_without_charset(self) -> None:
        """8-bit text that names no charset is read as UTF-8, or refused if it is none."""
        self.assertEqual(plain_text(mail("да".encode())), "да")
        self.assertIn("not in charset", self.refusal(mail(b"\xff\xfe")))

    def test_folded_field(self) -> None:
        """A header field that goes on in the next line is read whole."""
        octets = b"Content-Type: text/plain;\r\n\tcharset=koi8-r\r\n\r\n" + "да".encode("koi8-r")
        self.assertEqual(plain_text(octets), "да")

    def test_first_field_counts(self) -> None:
        """Of repeated fields the first is believed."""
        octets = b"Content-Type: text/plain; charset=koi8-r\r\nContent-Type: text/html\r\n\r\n" + "да".encode("koi8-r")
        self.assertEqual(plain_text(octets), "да")

    def test_refused(self) -> None:
        """Each thing that cannot be taken is named in the refusal."""
        self.assertIn("text/html", self.refusal(mail(b"<b>", "utf-8", kind="text/html")))
        for charset in ("zlib", "rot13", "utf-7", "idna", "unicode_escape", "x\x00y", "nonsense"):
            self.assertIn("charset", self.refusal(mail(b"abcd", charset)), charset)
        self.assertIn("transfer encoding", self.refusal(mail(b"abc", "utf-8", "uuencode")))
        for broken in (b"abc", b"a?==", b"====", b"ab=c"):
            self.assertIn("base64", self.refusal(mail(broken, "utf-8", "base64")), broken)
        self.assertIn("control", self.refusal(mail(base64.b64encode(b"a\x00b"), "utf-8", "base64")))

    @given(
        st.binary(max_size=200),
        st.sampled_from(["utf-8", "utf-16", "koi8-r", "gb18030"]),
        st.sampled_from(["8bit", "base64", "quoted-printable"]),
    )
    def test_total(self, body: bytes, charset: str, transfer: str) -> None:
        """Whatever comes, the answer is a text that every store can keep, or a refusal."""
        answer = plain_text(mail(body, charset, transfer))
        if isinstance(answer, str):
            answer.encode()
            self.assertNotIn("\x00", answer)

    @given(st.binary(max_size=300))
    def test_total_over_any_octets(self, octets: bytes) -> None:
        """No octets whatever raise an error."""
        self.assertIsInstance(plain_text(octets), str | Refused)
