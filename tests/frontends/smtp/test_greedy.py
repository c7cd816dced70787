"""An account whose mails cost the gateway more than they bring (F5)."""

from __future__ import annotations

import attrs

from smsgw.services.accounts import WORK_RATE
from smsgw.services.fairworkers import PLACES
from tests.configured import configured
from tests.frontends.smtp.test_frontend import MailCase


class F5Tests(MailCase):
    """An account whose mails cost more than they bring."""

    HTML = ("Content-Type: text/html", "")

    def send(self, *lines: str, to: str = "89061234567") -> str:
        """Send a mail of these lines; return the reply, empty if there is none yet."""
        for command in ("MAIL FROM:<default@c.example>", f"RCPT TO:<{to}@sms.qtelecom.ru>", "DATA"):
            self.say(command)
        return self.say(*lines, ".")

    def replies(self) -> str:
        """Return what the session said since the last call."""
        octets: str = self.wire.value().decode()
        self.wire.clear()
        return octets

    def test_f5_places_of_an_account(self) -> None:
        """An account has a number of mails that wait for a thread; further ones get a temporary error. Other accounts
        have their own."""
        self.threads = []
        for _ in range(PLACES):
            self.delegate._workers.run("demo", len, b"")
        self.login()
        self.assertTrue(self.send(*self.HTML, "x").startswith("451 "))
        self.assertEqual(len(self.threads), 1)
        self.assertIsNotNone(self.delegate._workers.run("other", len, b""))
        self.assertEqual(len(self.threads), 2)

    def test_f5_refused_mails_wait(self) -> None:
        """An account without a rate that sends refused mails gets the replies later and later; those of others come
        at once."""
        self.login()
        self.replies()
        number = 0
        while self.send("", "\x07").startswith("554 "):
            number += 1
        self.assertTrue(WORK_RATE / 4 < number < WORK_RATE / 2, number)
        self.clock.pump([0.1] * 20)
        self.assertTrue(self.replies().endswith("554 5.6.1 the text holds control characters\r\n"))
        self.assertTrue(self.send("", "x").startswith("250 "))

    def test_f5_octets_cost_work(self) -> None:
        """What a refused mail costs grows with its octets, also if the server refuses it itself."""
        for size, most, code in ((30_000, 50, "554 "), (130_000, 15, "554 "), (500_000, 4, "552 ")):
            self.setUp()
            self.login()
            number = 0
            while self.send(*self.HTML, *["\x07" * 98] * (size // 100)).startswith(code):
                number += 1
            self.assertLessEqual(number, most)
            self.assertGreater(number, most // 2)

    def test_f5_rate_is_charged(self) -> None:
        """Refused mails and octets are charged to the account's rate as parts."""
        account = self.accounts.get("demo")
        assert account is not None
        self.accounts.apply(configured(attrs.evolve(account.settings, rate=10.0)))
        account = self.accounts.get("demo")
        assert account is not None
        self.login()
        for lines, parts in ((("", "\x07"), 1), (("", "x"), 0), ((*self.HTML, *["<b></b>" * 10] * 1000, "x"), 2)):
            before = account.bucket.level(0.0)
            self.send(*lines)
            self.assertEqual(before - account.bucket.level(0.0), parts)

    def test_f5_commands_cost_work(self) -> None:
        """Commands from which no message comes are paid too: queries, and transactions that are given up."""
        for lines in (["STATUS 7"], ["MAIL FROM:<default@c.example>", "RCPT TO:<1@elsewhere.example>", "RSET"]):
            self.setUp()
            self.login()
            sent = 0
            while sent < 5000 and self.say(*lines):
                sent += 1
            self.assertLess(sent, 5000)
            self.clock.advance(5)
            self.assertTrue(self.say("RSET").startswith("250 "))

    def test_f5_mails_are_free(self) -> None:
        """Accepted mails of an ordinary size cost nothing."""
        self.login()
        for _ in range(300):
            self.assertTrue(self.send(*self.HTML, "x").startswith("250 "))
