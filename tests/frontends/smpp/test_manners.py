"""The effects of a dialect on the SMPP front end."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock

from smsgw.config import SmppListenSettings
from smsgw.dialects import Excess, IdForm, SmppManner
from smsgw.dialects.standard import SMPP
from smsgw.frontends.smpp.frontend import SmppFrontend
from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import State
from smsgw.services.accounts import Accounts
from smsgw.smpp.codec import decode, encode
from smsgw.smpp.pdus import CancelSm, DeliverSm, QuerySm, SubmitSmResp
from tests.configured import configured
from tests.frontends.smpp.support import HandSession, event, message
from tests.frontends.smpp.test_frontend import NOW, FrontendTestCase, account, submit

TERSE = attrs.evolve(SMPP, receipts=attrs.evolve(SMPP.receipts, text="{id} {submitted} {done} {stat}"))
"""Receipts of four words."""


class MannerTestCase(FrontendTestCase):
    """A front end with a changed dialect."""

    def speak(self, **changed: Any) -> None:
        """Return the standard dialect with changes."""
        self.add("smpp", attrs.evolve(SMPP, **changed))

    def add(self, name: str, manner: SmppManner) -> None:
        """Add a listener with this dialect; clients use it from now on."""
        settings = SmppListenSettings(name=name, endpoint="tcp:2775:interface=127.0.0.1", connections=2)
        configuration = configured(account(), account("two", connections=1))
        self.frontend = SmppFrontend(
            configuration,
            settings,
            manner,
            self.receipts,
            Accounts(configuration, Clock(), maybeDeferred),
            self.intake,
            self.store,  # type: ignore[arg-type]
            self.store,  # type: ignore[arg-type]
            lambda: NOW,
        )


class AnswerTests(MannerTestCase):
    """Answers to requests."""

    def test_statuses(self) -> None:
        """A refusal has the dialect's command_status: of a bind, of a submission, of a query."""
        own = {Refusal.WRONG_CREDENTIALS: 0x0F, Refusal.BAD_RECIPIENT: 0x0401, Refusal.UNKNOWN_ID: 0x0402}
        self.speak(statuses={**SMPP.statuses, **own})
        self.assertEqual(self.try_bind("demo", "wrong"), 0x0F)
        self.intake.refusals["79160000001"] = Refusal.BAD_RECIPIENT
        self.assertEqual(self.ask(submit(1), QuerySm(2, b"7")), [0x0401, 0x0402])

    def test_ids(self) -> None:
        """Ids are written in the dialect's form, and read in each of its forms."""
        self.speak(ids=dict.fromkeys(SMPP.ids, IdForm(b"%010d", also=(b"%d",))))
        (submitted,) = self.ask(submit(1))
        assert isinstance(submitted, SubmitSmResp)
        self.assertEqual(submitted.message_id, b"0000000001")
        self.store.messages[7] = [message(7)]
        answers: list[Any] = self.ask(QuerySm(1, b"7"), QuerySm(2, b"0000000007"), QuerySm(3, b"07"))
        self.assertEqual([answers[0].message_id, answers[1].message_id, answers[2]], [b"0000000007"] * 2 + [0x0C])

    def test_states(self) -> None:
        """A state has the dialect's message_state."""
        self.speak(states={**SMPP.states, State.REJECTED: 5})
        self.store.messages[7] = [message(7, State.REJECTED)]
        (answer,) = self.ask(QuerySm(1, b"7"))
        assert not isinstance(answer, int)
        self.assertEqual(answer.message_state, 5)

    def test_operations(self) -> None:
        """An operation outside the dialect is unsupported; submit_sm is always supported."""
        self.speak(operations=frozenset({CancelSm}))
        self.store.messages[7] = [message(7)]
        answers = self.ask(submit(1), QuerySm(2, b"7"), CancelSm(3, b"", b"7"))
        self.assertEqual([type(answers[0]), answers[1]], [SubmitSmResp, 0x03])
        self.assertNotIsInstance(answers[2], int)
        self.assertEqual(self.store.messages[7][0].state, State.CANCELLED)


class SubmissionTests(MannerTestCase):
    """The submissions passed to intake."""

    def test_as_states(self) -> None:
        """Refusals that become states are named in the submission."""
        self.speak(as_states=frozenset({Refusal.NO_ROUTE}))
        self.ask(submit(1))
        self.assertEqual(self.intake.calls[0][0].as_states, {Refusal.NO_ROUTE})

    def test_notify(self) -> None:
        """The dialect's table decides which states are reported, and which values of registered_delivery are valid."""
        table = {version: tuple([7] * 255 + [-1]) for version in SMPP.notify}
        self.speak(notify=table)
        self.assertEqual(self.ask(submit(1, registered_delivery=255))[0], 0x07)
        self.ask(submit(1, registered_delivery=0xFE))
        self.assertEqual(self.intake.calls[-1][0].notify, 7)

    def test_longest(self) -> None:
        """User data above the dialect's limit in octets is too long, in short_message and message_payload."""
        self.speak(longest=160)
        answers = self.ask(submit(1, short_message=b"x" * 160), submit(2, short_message=b"x" * 161))
        self.assertEqual([type(answers[0]), answers[1]], [SubmitSmResp, 0x01])
        self.assertEqual(self.ask(submit(1, short_message=b"", tlvs=((0x0424, b"x" * 161),))), [0x01])

    def test_remembered(self) -> None:
        """A submission contains its listener and login."""
        self.add("east", SMPP)
        self.ask(submit(1))
        (made,) = self.intake.calls[0]
        self.assertEqual((made.listener, made.login, made.account), ("east", "demo", "demo"))


class ExcessTests(MannerTestCase):
    """Binds beyond the account's limit."""

    def test_oldest_leaves(self) -> None:
        """The newest sessions stay; the oldest is unbound after the new bind was answered."""
        self.speak(excess=Excess.UNBIND_OLDEST)
        first, second = self.bound(), self.bound()
        self.assertTrue(first.open and second.open)
        third = self.bound()
        self.assertEqual([one.open for one in (first, second, third)], [False, True, True])
        fourth = self.bound()
        self.assertEqual([one.open for one in (second, third, fourth)], [False, True, True])
        self.frontend.closed(first, "gone")
        self.assertEqual(self.receipts.binds.count("demo"), 2)

    def test_account_decides(self) -> None:
        """The account's number of connections overrides the listener's."""
        self.speak(excess=Excess.UNBIND_OLDEST)
        first, second = self.bound("two"), self.bound("two")
        self.assertEqual((first.open, second.open), (False, True))


class ReceiptTests(MannerTestCase):
    """Receipts of messages from different listeners."""

    def receipt(self, session: HandSession, listener: str) -> bytes:
        """The text of the receipt of a message from that listener."""
        one = event(7)
        one.message.listener = listener  # type: ignore[misc]
        self.receipts.deliver([one])
        pdu = decode(encode(session.log[-1], session.version), session.version)
        assert isinstance(pdu, DeliverSm)
        return pdu.short_message

    def test_by_listener(self) -> None:
        """A receipt has the form of the listener that accepted its message, not of the one that sends it."""
        self.add("terse", TERSE)
        self.add("smpp", SMPP)
        session = self.bound()
        self.assertRegex(self.receipt(session, "terse"), rb"\A7 \d{10} \d{10} DELIVRD\Z")
        self.assertRegex(self.receipt(session, "smpp"), rb"\Aid:7 sub:001 ")

    def test_unknown_listener(self) -> None:
        """If the message's listener was removed, the receipt has the form of the session's listener."""
        self.add("terse", TERSE)
        session = self.bound()
        self.assertRegex(self.receipt(session, "gone"), rb"\A7 \d{10} \d{10} DELIVRD\Z")
        self.assertRegex(self.receipt(session, ""), rb"\A7 \d{10} \d{10} DELIVRD\Z")
