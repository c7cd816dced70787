"""The submission server with nodemailer."""

from __future__ import annotations

import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.shared import shown_as
from tests.interop import peers

RECIPIENT = "79161234570@sms.qtelecom.ru"
SENDER = "DEMO@example.org"
TEXT = "Привет от почты"


class NodemailerTests(SynchronousTestCase):
    """Mails and logins as the package does them."""

    def setUp(self) -> None:
        """The gateway, and node."""
        self.node = peers.node("nodemailer")
        self.gateway = peers.gateway()

    def send(self, *mails: dict[str, Any]) -> list[dict[str, Any]]:
        """Send mails; return the replies, or the errors, one for each."""
        login = {"user": "mail", "pass": "mail"}
        tasks = [
            {
                "transport": {"auth": login, **mail.pop("transport", {})},
                "mail": {"from": SENDER, "to": RECIPIENT, "text": TEXT, **mail},
            }
            for mail in mails
        ]
        report = peers.report("mail.js", self.node, environment=peers.NODE, port=self.gateway.smtp, mails=tasks)
        assert isinstance(report, list)
        return report

    def check_delivered(self, reply: dict[str, Any], text: str) -> None:
        """Check that a mail was accepted, and its text was delivered unchanged."""
        accepted = re.fullmatch(r"250 (\d+) message accepted", reply.get("response", ""))
        assert accepted is not None, reply
        found = shown_as(self.gateway, "mail", accepted[1], "delivered")
        self.assertEqual((found["status"], found["text"]), ("delivered", text))

    def test_mails(self) -> None:
        """Over STARTTLS and in clear text, with either mechanism, in both transfer encodings, and in two forms."""
        long = "The parcel is on its way. " * 8
        mails: list[dict[str, Any]] = [
            {},
            {"transport": {"ignoreTLS": True}},
            {"transport": {"authMethod": "LOGIN"}},
            {"textEncoding": "quoted-printable"},
            {"textEncoding": "base64"},
            {"html": "<p>Привет <b>от почты</b></p>"},
            {"text": long.strip()},
        ]
        replies = self.send(*mails)
        for reply in replies[:6]:
            self.check_delivered(reply, TEXT)
        self.check_delivered(replies[6], long.strip())

    def test_i6_cram_md5(self) -> None:
        """A mechanism that was not offered is refused with the code for it; the package says so and sends nothing."""
        (reply,) = self.send({"transport": {"authMethod": "CRAM-MD5"}})
        self.assertEqual(reply, {"error": "EAUTH", "command": "AUTH CRAM-MD5", "status": 504})
        (reply,) = self.send({"transport": {"auth": {"user": "mail", "pass": "wrong"}}})
        self.assertEqual((reply["error"], reply["status"]), ("EAUTH", 535))
