"""The tables of standard, quicktel and rostelecom."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from smsgw.dialects import (
    QUICKTEL,
    ROSTELECOM,
    STANDARD,
    SendMessageManner,
    SmppManner,
    SmtpManner,
    rostelecom,
    standard,
)
from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import FINAL, Notify, State
from smsgw.smpp.consts import VERSIONS, MessageState, Status

assert STANDARD.smpp is not None
assert STANDARD.smtp is not None
assert QUICKTEL.smtp is not None
assert ROSTELECOM.http is not None
assert ROSTELECOM.http.send_message is not None
SMPP: SmppManner = STANDARD.smpp
MAIL: SmtpManner = STANDARD.smtp
QUICKTEL_MAIL: SmtpManner = QUICKTEL.smtp
API: SendMessageManner = ROSTELECOM.http.send_message


class CompleteTests(SynchronousTestCase):
    """The tables cover all refusals and states."""

    def test_refusals(self) -> None:
        """Each table has every refusal and no other key; the two codes of SMTP agree."""
        tables: dict[str, Mapping[Refusal, object]] = {
            "smpp": SMPP.statuses, "smtp": MAIL.refusals, "quicktel": QUICKTEL_MAIL.refusals, "http": API.reasons
        }  # fmt: skip
        for name, table in tables.items():
            self.assertEqual(set(table), set(Refusal), name)
        for code, enhanced in MAIL.refusals.values():
            self.assertEqual(str(code)[0], enhanced[0])

    def test_states(self) -> None:
        """Each table has every state."""
        for table in (SMPP.states, MAIL.codes, QUICKTEL_MAIL.codes, API.words):
            self.assertEqual(set(table), set(State))
        self.assertEqual(set(SMPP.receipts.stats), set(MessageState))
        for manner in (MAIL, QUICKTEL_MAIL):
            self.assertEqual(set(manner.meanings), set(manner.codes.values()) | set(manner.codes_by_error.values()))


class StatusTests(SynchronousTestCase):
    """The command_status of refusals."""

    def test_errors(self) -> None:
        """Every status is an error of the specification; those new in 5.0 are sent to 5.0 ESMEs only."""
        for refusal in Refusal:
            for version in VERSIONS:
                status = SMPP.status(refusal, version)
                self.assertIn(Status(status), set(Status) - {Status.ESME_ROK}, refusal)
                self.assertTrue(version == 0x50 or status < 0x100, refusal)

    def test_5_0(self) -> None:
        """ESMEs of 5.0 get the statuses of 5.0 for credentials and encodings, and else the same."""
        self.assertEqual(SMPP.status(Refusal.WRONG_CREDENTIALS, 0x34), 0x0E)
        self.assertEqual(SMPP.status(Refusal.WRONG_CREDENTIALS, 0x50), 0x0D)
        self.assertEqual(SMPP.status(Refusal.BAD_ENCODING, 0x34), 0x45)
        self.assertEqual(SMPP.status(Refusal.BAD_ENCODING, 0x50), 0x104)
        for refusal in set(Refusal) - set(standard.STATUSES_5_0):
            self.assertEqual(SMPP.status(refusal, 0x50), SMPP.status(refusal, 0x34))

    def test_temporary(self) -> None:
        """Temporary refusals have a status that means: try again later."""
        for refusal, status in {
            Refusal.TOO_MANY_CHECKS: 0x08,
            Refusal.STORE_DOWN: 0x08,
            Refusal.UPSTREAM_DOWN: 0x08,
            Refusal.QUEUE_FULL: 0x14,
            Refusal.OVER_RATE: 0x58,
        }.items():
            self.assertEqual(SMPP.status(refusal, 0x34), status)

    def test_the_rest(self) -> None:
        """The permanent refusals, each with its number."""
        for refusal, status in {
            Refusal.TOO_MANY_BINDS: 0x05,
            Refusal.BAD_SENDER: 0x0A,
            Refusal.SENDER_NOT_AGREED: 0x0A,
            Refusal.SENDER_NOT_AGREED_FOR_OPERATOR: 0x0A,
            Refusal.BAD_RECIPIENT: 0x0B,
            Refusal.UNKNOWN_ID: 0x0C,
            Refusal.ADDRESS_NOT_ALLOWED: 0x0D,
            Refusal.NOT_ALLOWED: 0x0D,
            Refusal.ALREADY_FINAL: 0x11,
            Refusal.EMPTY_TEXT: 0x01,
            Refusal.TEXT_TOO_LONG: 0x01,
            Refusal.NO_ROUTE: 0x45,
            Refusal.CANNOT_REGISTER: 0x45,
            Refusal.BAD_SCHEDULE: 0x61,
            Refusal.BAD_VALIDITY: 0x62,
        }.items():
            self.assertEqual(SMPP.status(refusal, 0x34), status, refusal)


class StateTests(SynchronousTestCase):
    """The message_state of states."""

    def test_every_state(self) -> None:
        """The whole table, literally; before 5.0, scheduled messages are reported as ENROUTE."""
        expected = {
            State.SCHEDULED: (0, "ENROUTE"),
            State.QUEUED: (1, "ENROUTE"),
            State.ENROUTE: (1, "ENROUTE"),
            State.DELIVERED: (2, "DELIVRD"),
            State.EXPIRED: (3, "EXPIRED"),
            State.CANCELLED: (4, "DELETED"),
            State.UNDELIVERABLE: (5, "UNDELIV"),
            State.REJECTED: (8, "REJECTD"),
            State.REFUSED: (8, "REJECTD"),
            State.NO_MONEY: (8, "REJECTD"),
            State.FAILED: (5, "UNDELIV"),
            State.UNKNOWN: (7, "UNKNOWN"),
        }
        for version in (0x50, 0x34, 0x33):
            numbers = {state: SMPP.message_state(state, version) for state in State}
            statuses = {state: (number, SMPP.receipts.stats[number]) for state, number in numbers.items()}
            self.assertEqual(statuses, expected)
            expected[State.SCHEDULED] = (1, "ENROUTE")


class NotifyTests(SynchronousTestCase):
    """The receipts that registered_delivery requests."""

    def test_asked(self) -> None:
        """Bits 1-0 request final states, all, failures or (5.0) successes; bit 4 intermediate ones."""
        row = SMPP.notify[0x50]
        self.assertEqual([row[octet] for octet in (0, 1, 2, 3)],
                         [Notify.NOTHING, Notify.FINAL, Notify.FAILED, Notify.DELIVERED])
        self.assertEqual([row[octet] for octet in (0x10, 0x11)], [Notify.ENROUTE, Notify.ENROUTE | Notify.FINAL])

    def test_unknown(self) -> None:
        """A value that the version does not define gives -1."""
        self.assertEqual((SMPP.notify[0x34][3], SMPP.notify[0x34][0x20], SMPP.notify[0x33][2]), (-1, -1, -1))


class ReceiptTests(SynchronousTestCase):
    """TLVs of receipts."""

    def test_tlvs(self) -> None:
        """message_state and network_error_code of kind GSM, the code also where it is 0, in 16 bits."""
        self.assertEqual(standard.tlvs(2, 0, 0x34), ((0x0427, b"\x02"), (0x0423, b"\x03\0\0")))
        self.assertEqual(standard.tlvs(5, 70_000, 0x50)[1], (0x0423, b"\x03\xff\xff"))


class MailTests(SynchronousTestCase):
    """The replies of a provider's mail server, and STATUS."""

    def test_codes(self) -> None:
        """(000-35) A message refused for its number is undeliverable; another refused one could not be processed."""
        self.assertEqual([MAIL.code(State.REFUSED, error) for error in (248, 249, 254, 0)], [5, 5, 21, 21])
        self.assertEqual(MAIL.code(State.DELIVERED, 248), 2)
        self.assertEqual(set(MAIL.codes.values()), {0, 1, 2, 3, 5, 8, 20, 21, 22})

    def test_quicktel(self) -> None:
        """(000-2), (000-3), (000-8), (000-14), (000-26), (000-30) The lines of the provider's example."""
        self.assertEqual(
            QUICKTEL_MAIL.settings,
            {
                "greeting": "Message gateway",
                "ehlo": ("SMTP Server", "8BITMIME", "STARTTLS", "AUTH LOGIN PLAIN", "Ok"),
                "plain_challenge": "Ok",
                "auth_without_tls": True,
                "text_limit": 480,
            },
        )
        self.assertEqual((QUICKTEL_MAIL.login, QUICKTEL_MAIL.accepted),
                         ((235, "Authentication successful."), "{id} message accepted"))


class ApiTests(SynchronousTestCase):
    """The Rostelecom API."""

    def test_error(self) -> None:
        """(004.3) The body of an error, octet by octet."""
        self.assertEqual(
            rostelecom.error(413, "body_too_large"),
            (b"application/json; charset=utf-8", b'{"reason":"body_too_large","status":"error"}'),
        )

    def test_words(self) -> None:
        """(004-197, in part) Five words, one of them for all states that are not final."""
        self.assertEqual(
            {API.words[state] for state in FINAL}, {"delivered", "failed", "rejected", "insufficient_balance"}
        )
        self.assertEqual({API.words[state] for state in set(State) - FINAL}, {"awaiting_report"})
