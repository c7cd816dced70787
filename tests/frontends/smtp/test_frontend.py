"""The mail front end with real protocol and accounts, and a fake store."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from smsgw.config import AccountSettings, AllowList, ListSettings, Secret, SmtpListenSettings
from smsgw.dialects.quicktel import SMTP
from smsgw.frontends.smtp.frontend import MOST_COUNTED, BatchStatus, MailFrontend, batch_status
from smsgw.interfaces import BatchCount, IMailDelegate
from smsgw.model.content import Content
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.errors import Refusal, Refused, StoreDown, UnknownOutcome
from smsgw.model.lifecycle import FINAL, State
from smsgw.model.message import Accepted, Message, Submission
from smsgw.protocols.smtp.factory import Session, SubmissionFactory
from smsgw.services.accounts import Accounts
from smsgw.services.contacts import Contacts
from smsgw.services.fairworkers import FairWorkers
from smsgw.services.senders import Senders
from smsgw.stores.queries import add_counts
from tests.configured import configured
from tests.protocols.smtp.support import Wire, quicktel


def message(number: int, state: State, parts: int = 1, account: str = "demo") -> Message:
    """A stored message in a given state."""
    content = Content("DEMO", 5, 0, 1, 1, 0, 0, b"x" * parts)
    return Message(number, account, "", "sim", state, 0, False, 0, 0, parts, 0.0, 0.0, 0.0, 0.0, 0, "7916", 0, content)


@attrs.define
class Behind:
    """Intake and store behind the front end."""

    submitted: list[Submission] = attrs.field(factory=list)
    messages: dict[int, list[Message]] = attrs.field(factory=dict)
    refuse: Refused | None = None
    failure: Exception | None = None

    def submit(self, submissions: Sequence[Submission]) -> Deferred[list[Accepted | Refused]]:
        """Accept submissions with increasing ids, unless the test sets a refusal."""
        if self.failure is not None:
            return fail(self.failure)
        self.submitted += submissions
        number = len(self.submitted)
        options = submissions[0].options
        if options is not None and options.batch:
            number = options.batch
        return succeed([self.refuse or Accepted(number, [number], 1, State.QUEUED)])

    def next_id(self) -> int:
        """A batch id."""
        return 1000

    def batch_counts(self, account: str | None, id: int) -> Deferred[list[BatchCount]]:
        """Count stored messages of the account."""
        if self.failure is not None:
            return fail(self.failure)
        return succeed(counts([one for one in self.messages.get(id, []) if one.account == account]))


def counts(messages: Sequence[Message]) -> list[BatchCount]:
    """Return the counts of messages in order of ids."""
    return add_counts([BatchCount(one.state, one.error, 1, one.parts, one.id) for one in messages])


class MailCase(SynchronousTestCase):
    """One session over real protocol and accounts."""

    def setUp(self) -> None:
        """One account with an alias, one listener, one logged-in session."""
        clock = Clock()
        self.threads: list[tuple[Deferred[Any], Any, Any]] | None = None
        settings = AccountSettings(
            name="demo",
            password=Secret("demo"),
            senders=("DEMO", "AVARIA"),
            default_sender="DEMO",
            aliases={"boss@corp.example": "AVARIA"},
            allow_from=AllowList(everyone=True),
        )
        self.behind = Behind()
        self.clock = clock
        self.file = Path(self.mktemp())
        configuration = configured(
            settings,
            ListSettings(name="demo staff", numbers=("89061234567", "89061234568"), sender="AVARIA"),
            ListSettings(name="demo big", file=self.file),
            ListSettings(name="other team", numbers=("89061234567",)),
        )
        self.contacts = Contacts(configuration)
        self.accounts = Accounts(configuration, clock, maybeDeferred)
        self.configuration = configuration
        self.make()

    def make(self, **keys: Any) -> None:
        """Make a listener with these keys, and a session."""
        listener = SmtpListenSettings(
            name="mail",
            endpoint="tcp:2525",
            dialect="quicktel",
            domains=("sms.qtelecom.ru",),
            auth_without_tls=True,
            **keys,
        )
        configuration, clock = self.configuration, self.clock
        self.delegate = MailFrontend(
            configuration,
            listener,
            SMTP,
            self.behind,  # type: ignore[arg-type]
            self.behind,  # type: ignore[arg-type]
            self.accounts,
            Senders(configuration),
            self.contacts,
            FairWorkers(self.in_thread, clock),
            self.clock,
        )
        self.factory = SubmissionFactory(self.delegate, quicktel(tls="none"), clock)
        self.wire = Wire()
        self.protocol = self.factory.buildProtocol(self.wire.getPeer())
        self.protocol.makeConnection(self.wire)
        self.say("EHLO me")

    def in_thread(self, function: Any, *arguments: Any) -> Deferred[Any]:
        """Call a function at once, as if in a thread; or later, if a test keeps `threads`."""
        if self.threads is None:
            return maybeDeferred(function, *arguments)
        self.threads.append((Deferred(), function, arguments))
        return self.threads[-1][0]

    def say(self, *lines: str | bytes) -> str:
        """Send lines; return the last line of the reply."""
        before = len(self.wire.value())
        for line in lines:
            self.protocol.dataReceived((line.encode() if isinstance(line, str) else line) + b"\r\n")
        answer = self.wire.value()[before:].decode().splitlines()
        return answer[-1] if answer else ""

    def login(self, password: str = "demo") -> str:
        """Log in as demo."""
        return self.say("AUTH PLAIN " + base64.b64encode(f"\0demo\0{password}".encode()).decode())

    def mail(self, body: str | bytes = b"hello", sender: str = "default@corp.example", to: str = "89061234567") -> str:
        """Send one mail; return the reply to the data, or to the refused command."""
        for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}@sms.qtelecom.ru>", "DATA"):
            answer = self.say(command)
            if answer[0] not in "23":
                return answer
        if isinstance(body, str):
            body = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + body.encode()
        else:
            body = b"Subject: none\r\n\r\n" + body
        return self.say(body, b".")


class MailTests(MailCase):
    """The promises to mail programs."""

    def test_provides_the_interface(self) -> None:
        """The front end provides the delegate's interface."""
        self.assertTrue(verifyObject(IMailDelegate, self.delegate))

    def test_login(self) -> None:
        """(000-8), (000-9), (000-10), (000-14) The account's login opens the session; a wrong one leaves it usable."""
        self.assertTrue(self.login("wrong").startswith("535 5.7.8 "))
        self.assertEqual(self.login(), "235 Authentication successful.")

    def test_api_key(self) -> None:
        """(000-9) With an empty login the password is an API key, by either mechanism."""
        settings = AccountSettings(
            name="robot", api_key_hash=Secret(sha256(b"the-key").hexdigest()), allow_from=AllowList(everyone=True)
        )
        self.accounts.apply(configured(settings))
        self.assertEqual(self.say("AUTH LOGIN"), "334 VXNlcm5hbWU6")
        self.assertEqual(self.say(""), "334 UGFzc3dvcmQ6")
        self.assertEqual(self.say(base64.b64encode(b"the-key").decode()), "235 Authentication successful.")
        self.say("RSET")
        other = SubmissionFactory(self.delegate, quicktel(tls="none"), self.clock)
        self.wire = Wire()
        self.protocol = other.buildProtocol(self.wire.getPeer())
        self.protocol.makeConnection(self.wire)
        self.say("EHLO me")
        for key, answer in ((b"wrong", "535 "), (b"the-key", "235 ")):
            self.assertTrue(self.say("AUTH PLAIN " + base64.b64encode(b"\0\0" + key).decode()).startswith(answer), key)

    def test_login_first(self) -> None:
        """(000-11) Before the login, mails and STATUS are refused."""
        for line in ("MAIL FROM:<a@b.example>", "STATUS 1"):
            self.assertTrue(self.say(line).startswith("530 "), line)

    def test_accepted(self) -> None:
        """(000-30), (000-22) A mail becomes a submission of its text; the reply has the id."""
        self.login()
        self.assertEqual(self.mail("Привет", sender="demo@any.example"), "250 1 message accepted")
        (submission,) = self.behind.submitted
        self.assertEqual((submission.account, submission.sender, submission.text), ("demo", "demo", "Привет"))
        self.assertEqual(list(submission.recipients), ["89061234567"])
        self.assertEqual((submission.listener, submission.login), ("mail", "demo"))

    def test_full_stop(self) -> None:
        """The positive reply ends with a full stop if the listener sets it."""
        self.make(full_stop=True)
        self.login()
        self.assertEqual(self.mail("Hi"), "250 1 message accepted.")

    def test_senders(self) -> None:
        """(000-20), (000-21), (000-22) Alias first, then default@, then the part before the @."""
        self.login()
        for written in ("boss@corp.example", "Default@x.example", "AVARIA@y.example"):
            self.mail(sender=written)
        self.assertEqual([one.sender for one in self.behind.submitted], ["AVARIA", "", "AVARIA"])

    def test_sender_not_agreed(self) -> None:
        """A sender that is not allowed, or is malformed, is refused at the first number."""
        self.login()
        self.assertTrue(self.mail(sender="OTHER@x.example").startswith("553 5.7.1 "))
        self.say("RSET")
        self.assertTrue(self.mail(sender="far.too.long.a.name@x.example").startswith("553 5.1.7 "))

    def test_recipients(self) -> None:
        """(000-15), (000-16), (000-17), (000-19) Numbers at the listener's domain are accepted in any form; other
        recipients are refused."""
        self.login()
        self.say("MAIL FROM:<default@x.example>")
        for good in ("8(906)123-45-67@sms.qtelecom.ru", "+79061234567@SMS.QTELECOM.RU", "79061234567@sms.qtelecom.ru"):
            self.assertEqual(self.say(f"RCPT TO:<{good}>"), "250 Ok", good)
        for bad in (
            "boss@sms.qtelecom.ru",
            "79061234567@example.org",
            "list_unknown@sms.qtelecom.ru",
            "12@sms.qtelecom.ru",
        ):
            self.assertTrue(self.say(f"RCPT TO:<{bad}>").startswith("550 5.1.1 "), bad)

    def test_unreadable_text(self) -> None:
        """An unreadable text is refused with the reason, and no message is stored."""
        self.login()
        answer = self.mail(b"\xff\xfe\xff")
        self.assertTrue(answer.startswith("554 5.6.1 the body is not in charset"), answer)
        self.assertEqual(self.behind.submitted, [])

    def test_limit_is_handed_on(self) -> None:
        """(000-26), (000-27) Intake gets the dialect's limit of 480 characters; a refusal has no id."""
        self.login()
        self.behind.refuse = Refused(Refusal.TEXT_TOO_LONG, "481 characters; at most 480 are allowed")
        self.assertEqual(self.mail("x" * 481), "552 5.3.4 481 characters; at most 480 are allowed")
        self.assertEqual(self.behind.submitted[0].text_limit, 480)
        self.make(text_limit=700)
        self.login()
        self.mail("x")
        self.assertEqual(self.behind.submitted[1].text_limit, 700)

    def test_store_fails(self) -> None:
        """Each failure of the store gives a temporary error, and the session goes on."""
        self.login()
        for trouble in (StoreDown("full"), UnknownOutcome("disk")):
            self.behind.failure = trouble
            self.assertTrue(self.mail().startswith("451 4.3.0 "))
            self.assertTrue(self.say("STATUS 1").startswith("451 4.3.0 "))
        self.behind.failure = None
        self.assertEqual(self.mail(), "250 1 message accepted")

    def test_status(self) -> None:
        """(000-31), (000-32), (000-33), (000-34), (000-36), (000-38) STATUS reports parts, closed and code, between
        transactions and after RSET."""
        self.login()
        self.behind.messages = {
            4418: [message(4418, State.QUEUED)],
            33: [message(33, State.DELIVERED, parts=3)],
            50: [message(51, State.DELIVERED), message(52, State.ENROUTE, parts=2)],
        }
        self.assertEqual(self.say("STATUS 4418"), "250 4418 1 0 0 Message is accepted for delivery")
        self.say("RSET")
        self.assertEqual(self.say("STATUS 33"), "250 33 3 1 2 Message is delivered")
        self.assertEqual(self.say("STATUS 50"), "250 50 3 0 1 Message is handed over to the operator")

    def test_status_crowded(self) -> None:
        """The store answers a limited number of STATUS commands of an account at a time; the others wait."""
        waiting: list[Deferred[list[BatchCount]]] = []

        def later(account: str, id: int) -> Deferred[list[BatchCount]]:
            waiting.append(Deferred())
            return waiting[-1]

        self.patch(Behind, "batch_counts", staticmethod(later))
        self.login()
        session = Session("192.0.2.7", False)
        session.account = "demo"
        asked = [self.delegate.status(session, str(id)) for id in range(1, 9)]
        self.assertEqual(len(waiting), MOST_COUNTED)
        while waiting:
            waiting.pop(0).callback(counts([message(7, State.DELIVERED)]))
        replies = [self.successResultOf(one).text for one in asked]
        self.assertEqual(replies, [f"{id} 1 1 2 Message is delivered" for id in range(1, 9)])

    def test_status_of_nothing(self) -> None:
        """(000-37) An unknown id, a foreign one and a malformed one get the same reply."""
        self.login()
        self.behind.messages = {7: [message(7, State.QUEUED, account="other")]}
        for name in ("7", "8", "0", "007", "9" * 19, "abc"):
            self.assertEqual(self.say(f"STATUS {name}"), f"550 5.1.1 {name} message not found")

    def test_disabled_meanwhile(self) -> None:
        """An account that a reload has disabled or removed can neither send nor use STATUS in an open session."""
        self.login()
        self.behind.messages = {7: [message(7, State.QUEUED)]}
        settings = self.accounts.get("demo")
        assert settings is not None
        for left in ([attrs.evolve(settings.settings, enabled=False)], []):
            self.accounts.apply(configured(*left))
            self.assertTrue(self.mail().startswith("535 5.7.8 "))
            self.assertTrue(self.say("STATUS 7").startswith("535 5.7.8 "))


class PartsTests(MailCase):
    """Mails of several parts."""

    def test_multipart(self) -> None:
        """(000-25) Of several parts the first plain text is sent, else the first HTML as text."""
        self.login()
        html = "<html><head><title>x</title><style>p {}</style></head><p>Hello&nbsp;&amp;</p>world<br>!</html>"
        for parts, text in (
            (("text/plain", "plain"), "plain"),
            (("text/html", html), "Hello &\nworld\n!"),
        ):
            body = (
                "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"a b\"\r\n\r\npreamble\r\n--a b\r\n"
                "Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nattached\r\n--a b\r\n"
                "Content-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\nContent-Type: image/png\r\n\r\nx\r\n"
                f"--c\r\nContent-Type: {parts[0]}; charset=utf-8\r\n\r\n{parts[1]}\r\n--c--\r\n--a b--\r\n"
            )
            for command in ("MAIL FROM:<default@c.example>", "RCPT TO:<89061234567@sms.qtelecom.ru>", "DATA"):
                self.say(command)
            self.assertTrue(self.say(body + ".").startswith("250 "), text)
            self.assertEqual(self.behind.submitted[-1].text, text)


def stands(messages: Sequence[Message]) -> BatchStatus:
    """Return the status of messages in quicktel."""
    return batch_status(counts(messages), SMTP)


class StatusTests(SynchronousTestCase):
    """The reply to STATUS."""

    def test_refused_by_rules(self) -> None:
        """(000-35) A message refused by rules after acceptance has code 5 if the number was the reason, else 21."""
        codes = []
        for error in (ErrorCode.NO_ROUTE, ErrorCode.BAD_NUMBER, ErrorCode.SENDER_NOT_AGREED, 0):
            refused = message(1, State.REFUSED)
            refused.error = error
            codes.append(stands([message(2, State.DELIVERED), refused]))
        self.assertEqual([one.code for one in codes], [5, 5, 21, 21])
        self.assertTrue(all(one.closed for one in codes))

    def test_batch(self) -> None:
        """A batch is closed when all its messages are; its first bad recipient gives the code."""
        bad = [message(1, State.DELIVERED), message(2, State.EXPIRED), message(3, State.REJECTED)]
        self.assertEqual((stands(bad).closed, stands(bad).code), (True, 3))
        waiting = [message(1, State.EXPIRED), message(2, State.QUEUED)]
        self.assertEqual((stands(waiting).closed, stands(waiting).code), (False, 0))
        for state in State:
            self.assertEqual(stands([message(1, state)]).closed, state in FINAL)
