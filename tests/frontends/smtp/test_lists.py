"""Mail to contact lists."""

from __future__ import annotations

from smsgw.model.errors import Refusal, Refused
from smsgw.services.contacts import PAGE
from tests.frontends.smtp.test_frontend import MailCase


class ListTests(MailCase):
    """Contact lists."""

    def test_list(self) -> None:
        """(000-18), (000-23) A list's address sends to all its numbers under one id, from the sender of the list."""
        self.login()
        self.assertEqual(self.mail(to="List_Staff", sender="unknown@corp.example"), "250 1000 message accepted")
        (submission,) = self.behind.submitted
        self.assertEqual(list(submission.recipients), ["89061234567", "89061234568"])
        self.assertEqual((submission.sender, submission.text), ("AVARIA", "hello"))
        self.assertEqual((submission.listener, submission.login), ("mail", "demo"))

    def test_unknown_list(self) -> None:
        """(000-18) An unknown list, or one of another account, is refused."""
        self.login()
        for title in ("list_unknown", "list_team", "list_"):
            self.assertTrue(self.mail(to=title).startswith("550 5.1.1"), title)
            self.say("RSET")

    def test_list_and_numbers(self) -> None:
        """One id covers numbers and lists of one mail; numbers are sent from the mail's sender."""
        self.login()
        commands = ["MAIL FROM:<DEMO@c.example>"]
        commands += [f"RCPT TO:<{to}@sms.qtelecom.ru>" for to in ("89061234569", "list_staff")]
        for command in (*commands, "DATA"):
            self.say(command)
        self.assertEqual(self.say("", "hello", "."), "250 1000 message accepted")
        self.assertEqual([one.sender for one in self.behind.submitted], ["DEMO", "AVARIA"])

    def test_file(self) -> None:
        """A list in a file is sent in pages, from the column with the numbers."""
        for head, row in (("", "8906{:07};x"), ("name;Phone\r\n", "x;8906{:07}"), ("phone\n", "8906{:07}")):
            self.file.write_text(head + "".join(row.format(number) + "\n\n" for number in range(2 * PAGE + 5)))
            del self.behind.submitted[:]
            self.login()
            self.assertEqual(self.mail(to="list_big"), "250 1000 message accepted")
            self.assertEqual([len(one.recipients) for one in self.behind.submitted], [PAGE, PAGE, 5])
            self.assertEqual({one.options.batch for one in self.behind.submitted if one.options}, {1000})
            self.assertEqual(self.behind.submitted[2].recipients[4], f"8906{2 * PAGE + 4:07}")

    def test_repeated(self) -> None:
        """Pages of a mail with a Message-ID have idempotency keys: a repeated mail continues after the stored pages."""
        self.login()
        for _ in range(2):
            for command in ("MAIL FROM:<a@c.example>", "RCPT TO:<list_staff@sms.qtelecom.ru>", "DATA"):
                self.say(command)
            self.say("Message-ID: <1@c.example>", "", "hello", ".")
        keys = {(one.options.key, one.options.digest) for one in self.behind.submitted if one.options is not None}
        self.assertEqual(len(keys), 1)
        self.assertTrue(keys.pop()[0].startswith("mail:"))

    def test_file_that_cannot_be_read(self) -> None:
        """A missing file is a temporary error and is logged."""
        self.login()
        self.assertTrue(self.mail(to="list_big").startswith("451 "))
        self.file.write_bytes(b"\xff\xfe\xff")
        self.assertTrue(self.mail(to="list_big").startswith("451 "))

    def test_no_room(self) -> None:
        """A page waits for room in the queue."""
        self.login()
        self.behind.refuse = Refused(Refusal.QUEUE_FULL)
        self.assertEqual(self.mail(to="list_staff"), "")
        self.behind.refuse = None
        before = len(self.wire.value())
        self.clock.advance(1)
        self.assertEqual(self.wire.value()[before:], b"250 1000 message accepted\r\n")

    def test_none_reachable(self) -> None:
        """A list without a valid number is refused."""
        self.login()
        self.behind.refuse = Refused(Refusal.BAD_RECIPIENT)
        self.assertTrue(self.mail(to="list_staff").startswith("550 "))
