"""The grammar of MAIL and RCPT arguments, and the replies to bad ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.smtp.address import BadArgument, mail_from, rcpt_to

EXTENSIONS = frozenset({"8BITMIME", "AUTH"})
LABEL = "x" * 61

GOOD_RECIPIENTS = [
    "89061234567@sms.qtelecom.ru",
    "+7(906)123-45-67@sms.qtelecom.ru",
    "8 (906) 123-45-67@sms.qtelecom.ru",
    "list_staff@SMS.QTELECOM.RU",
    "boss@localhost",
    "x" * 64 + "@a.b",
    f"1@{LABEL}.{LABEL}.{LABEL}.{LABEL}.xxxx",
]

BAD_ADDRESSES = [
    "",
    "@",
    "a",
    "@b",
    "a@",
    "a@b@c",
    "a@b.",
    "a@.b",
    "a@b..c",
    "a@-b",
    "a@b-",
    "a@b_c",
    "a@[127.0.0.1]",
    ".a@b",
    "a.@b",
    "a..b@c",
    "a b@c",
    " a@b",
    "a@b ",
    "(  )@b c",
    '"a"@b',
    '"a b"@c',
    "@x,@y:a@b",
    "@x:a@b",
    "a%b@c",
    "x!y@c",
    "a\\b@c",
    "a,b@c",
    "a:b@c",
    "x" * 65 + "@a.b",
    "1@" + ".".join(["xxxx"] * 51),
    "7" * 300 + "@b",
]


class RecipientTests(SynchronousTestCase):
    def refusal(self, argument: str) -> int:
        """The code that this argument is refused with."""
        with self.assertRaises(BadArgument) as caught:
            rcpt_to(argument)
        code: int = caught.exception.reply.code
        return code

    def test_good(self) -> None:
        """Numbers in common notations, names of lists and plain addresses are accepted unchanged (000-16)."""
        for address in GOOD_RECIPIENTS:
            self.assertEqual(rcpt_to(f"TO:<{address}>"), address)
            self.assertEqual(rcpt_to(f"to: <{address}>"), address)

    def test_bad(self) -> None:
        """Any other address is refused, even if RFC 5321 allows it."""
        for address in BAD_ADDRESSES:
            self.assertEqual(self.refusal(f"TO:<{address}>"), 553, address)

    def test_syntax(self) -> None:
        """An argument that is not an address in angle brackets is a syntax error."""
        for argument in ("", "TO", "TO:", "TO:a@b", "TO:<a@b", "TO:a@b>", "FROM:<a@b>", "TO:<a@b>x", "TO <a@b>"):
            self.assertEqual(self.refusal(argument), 501, argument)
        for argument in ("TO:<<a@b>>", 'TO:<"a>b"@c>', "TO:<a@b><c@d>"):
            self.assertEqual(self.refusal(argument), 501, argument)

    def test_no_parameters(self) -> None:
        """RCPT has no parameters here."""
        self.assertEqual(self.refusal("TO:<a@b> NOTIFY=NEVER"), 555)
        self.assertEqual(self.refusal("TO:<a@b> =x"), 501)

    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
    def test_total(self, text: str) -> None:
        """Any text is parsed or refused."""
        try:
            address = rcpt_to(f"TO:<{text}>")
        except BadArgument as why:
            self.assertIn(why.reply.code, (501, 553, 555))
        else:
            self.assertTrue(text.startswith(address))


class SenderTests(SynchronousTestCase):
    def refusal(self, argument: str) -> int:
        """The code that this argument is refused with."""
        with self.assertRaises(BadArgument) as caught:
            mail_from(argument, EXTENSIONS, 1000)
        code: int = caught.exception.reply.code
        return code

    def test_good(self) -> None:
        """A sender is accepted with its parameters, whose keywords become upper case."""
        self.assertEqual(mail_from("FROM:<default@mydomain.ru>", EXTENSIONS, 1000), ("default@mydomain.ru", {}))
        self.assertEqual(
            mail_from("from: <o'brien+x=y@b.c>  body=8BITMIME auth=<> ", EXTENSIONS, 1000),
            ("o'brien+x=y@b.c", {"BODY": "8BITMIME", "AUTH": "<>"}),
        )

    def test_bad(self) -> None:
        """Bad senders are refused; blanks are for telephone numbers only."""
        for address in (*BAD_ADDRESSES, "8 906 1234567@b"):
            self.assertEqual(self.refusal(f"FROM:<{address}>"), 553, address)

    def test_unknown_parameters(self) -> None:
        """Parameters of extensions that were not announced are refused."""
        for parameter in ("SIZE=5", "SMTPUTF8", "X=y", "RET=HDRS", "BODY=BINARYMIME", "8BITMIME"):
            self.assertEqual(self.refusal(f"FROM:<a@b> {parameter}"), 555, parameter)

    def test_malformed_parameters(self) -> None:
        """Doubled and malformed parameters are syntax errors."""
        for parameter in ("BODY=7BIT BODY=7BIT", "BODY=", "BODY", "AUTH=", "AUTH", "AUTH=+1", "=x", "BODY==", "-A=b"):
            self.assertEqual(self.refusal(f"FROM:<a@b> {parameter}"), 501, parameter)

    def test_size(self) -> None:
        """A declared size has digits only and must not exceed the limit."""
        announced = EXTENSIONS | {"SIZE"}
        self.assertEqual(mail_from("FROM:<a@b> SIZE=1000", announced, 1000)[1], {"SIZE": "1000"})
        for value, code in (("1001", 552), ("9" * 20, 552), ("9" * 21, 501), ("-1", 501), ("1e3", 501), ("", 501)):
            with self.assertRaises(BadArgument) as caught:
                mail_from(f"FROM:<a@b> SIZE={value}", announced, 1000)
            self.assertEqual(caught.exception.reply.code, code, value)
