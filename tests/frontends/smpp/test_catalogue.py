"""Unsupported and unusual requests of ESMEs by name, with real session, front end and intake."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import (
    AccountSettings,
    AllowList,
    ConnectorSettings,
    Globs,
    RouteSettings,
    Secret,
    SmppListenSettings,
    Way,
)
from smsgw.dialects.standard import SMPP
from smsgw.frontends.smpp.binds import Binds
from smsgw.frontends.smpp.frontend import SmppFrontend
from smsgw.frontends.smpp.receipts import SmppReceipts
from smsgw.protocols.smpp.server import SmppServerFactory
from smsgw.services.accounts import Accounts
from smsgw.services.cancel import Cancellation
from smsgw.services.clock import CheckedClock
from smsgw.services.commits import Commits
from smsgw.services.intake.intake import Intake
from smsgw.services.routing import Router
from smsgw.services.senders import Senders
from smsgw.smpp.codec import Framer, decode, encode
from smsgw.smpp.consts import Tag
from smsgw.smpp.pdus import BindTransceiver, CancelSm, DataSm, Pdu, QuerySm, ReplaceSm, Request, SubmitMulti, SubmitSm
from smsgw.smpp.tlvs import tlv
from smsgw.stores import MessageStore
from smsgw.stores.sqlite import Inline, SqliteEngine
from tests.configured import configured
from tests.frontends.smpp.support import HandSink
from tests.services.intake.support import NoOutbox, StoringDispatch

START = 1_700_000_000.0
SOUND: dict[str, Any] = {
    "source_addr_ton": 5,
    "source_addr": b"DEMO",
    "dest_addr_ton": 1,
    "dest_addr_npi": 1,
    "destination_addr": b"79161234567",
    "short_message": b"hi",
}
UDHI = 0x40
CONCATENATED = b"\x05\x00\x03\x01\x02\x01"

# Invalid fields of a submit_sm by name, and the command_status in 3.4 and in 5.0.
REFUSED: dict[str, tuple[dict[str, Any], int, int]] = {
    "octets above ASCII in the recipient": ({"destination_addr": b"7916\xc4\xc5\xcc\xcf"}, 0x0B, 0x0B),
    "letters in the recipient": ({"destination_addr": b"7916123456O"}, 0x0B, 0x0B),
    "no recipient": ({"destination_addr": b""}, 0x0B, 0x0B),
    "a recipient of four digits": ({"destination_addr": b"7916"}, 0x0B, 0x0B),
    "octets above ASCII in the sender": ({"source_addr": b"\xc4\xc5\xcc\xcf"}, 0x0A, 0x0A),
    "control characters in the sender": ({"source_addr": b"DE\x1bMO"}, 0x0A, 0x0A),
    "a sender of twelve letters": ({"source_addr": b"DEMODEMODEMO"}, 0x0A, 0x0A),
    "a sender that is not agreed": ({"source_addr": b"OTHER"}, 0x0A, 0x0A),
    "no text": ({"short_message": b""}, 0x01, 0x01),
    "a header flag and no text": ({"short_message": b"", "esm_class": UDHI}, 0x01, 0x01),
    "an empty message_payload over a text": ({"tlvs": [tlv(Tag.MESSAGE_PAYLOAD, b"")]}, 0x01, 0x01),
    "a header longer than the text": ({"short_message": b"\x40hi", "esm_class": UDHI}, 0x43, 0x43),
    "an element beyond its header": ({"short_message": b"\x03\x00\x09\x01hi", "esm_class": UDHI}, 0x43, 0x43),
    "part 0": ({"short_message": b"\x05\x00\x03\x01\x02\x00hi", "esm_class": UDHI}, 0x43, 0x43),
    "part 3 of 2": ({"short_message": b"\x05\x00\x03\x01\x02\x03hi", "esm_class": UDHI}, 0x43, 0x43),
    "a total of 0": ({"short_message": b"\x05\x00\x03\x01\x00\x00hi", "esm_class": UDHI}, 0x43, 0x43),
    "a receipt that is submitted": ({"esm_class": 0x04}, 0x43, 0x43),
    "half a UCS-2 character": ({"data_coding": 8, "short_message": b"\x04\x1f\x04"}, 0x01, 0x01),
    "a reserved data_coding": ({"data_coding": 0x0B}, 0x45, 0x104),
    "data_coding 0xFF": ({"data_coding": 0xFF}, 0x45, 0x104),
    "registered_delivery with a reserved bit": ({"registered_delivery": 0x21}, 0x07, 0x07),
    "priority 9": ({"priority_flag": 9}, 0x06, 0x06),
    "replace_if_present 2": ({"replace_if_present_flag": 2}, 0x54, 0x54),
    "a stored text": ({"sm_default_msg_id": 1}, 0x63, 0x63),
    "month 13": ({"schedule_delivery_time": b"231301000000000+"}, 0x61, 0x61),
    "a zone 49 quarters away": ({"schedule_delivery_time": b"231201000000049+"}, 0x61, 0x61),
    "a time that ends in X": ({"validity_period": b"231201000000000X"}, 0x62, 0x62),
    "a schedule of 99 years": ({"schedule_delivery_time": b"990000000000000R"}, 0x61, 0x61),
    "a schedule of last year": ({"schedule_delivery_time": b"220101000000000+"}, 0x61, 0x61),
    "a validity of last year": ({"validity_period": b"220101000000000+"}, 0x62, 0x62),
    "SIM data download": ({"protocol_id": 0x7F, "data_coding": 0xF6}, 0x45, 0x45),
    "a mail header for the phone": ({"protocol_id": 0x32}, 0x45, 0x45),
    "WAP push": ({"short_message": b"\x06\x05\x04\x0b\x84\x23\xf0hi", "esm_class": UDHI, "data_coding": 4}, 0x45, 0x45),
    "a number without a route": ({"destination_addr": b"4917012345678"}, 0x45, 0x45),
}

# Unusual fields of a submit_sm by name, and the text of the stored message.
TAKEN: dict[str, tuple[dict[str, Any], str]] = {
    "unlisted TON and NPI": ({"source_addr_ton": 77, "dest_addr_npi": 99}, "hi"),
    "a number as people write it": ({"destination_addr": b"8 (916) 123-45-67"}, "hi"),
    "no sender": ({"source_addr": b""}, "hi"),
    "message_payload over a text": ({"tlvs": [tlv(Tag.MESSAGE_PAYLOAD, b"other")]}, "other"),
    "a TLV twice": ({"tlvs": [tlv(Tag.USER_MESSAGE_REFERENCE, 1), tlv(Tag.USER_MESSAGE_REFERENCE, 2)]}, "hi"),
    "TLVs of wrong lengths": (
        {"tlvs": [(Tag.USER_MESSAGE_REFERENCE, b""), (Tag.SAR_MSG_REF_NUM, b"x" * 9)]},
        "hi",
    ),
    "an unknown tag": ({"tlvs": [(0x1FFF, b"x")]}, "hi"),
    "both widths of concatenation": (
        {"short_message": b"\x0b\x08\x04\x01\x01\x02\x01\x00\x03\x01\x02\x01hi", "esm_class": UDHI},
        "hi",
    ),
    "a lone escape at the end": ({"short_message": b"hi\x1b"}, "hi "),
    "two escapes": ({"short_message": b"\x1b\x1bhi"}, " hi"),
    "octets above 0x7F in the default alphabet": ({"short_message": b"h\xe9"}, "h\N{REPLACEMENT CHARACTER}"),
    "a lone surrogate": ({"data_coding": 8, "short_message": b"\xd8\x3d\x00h"}, "\N{REPLACEMENT CHARACTER}h"),
    "a byte order mark": ({"data_coding": 8, "short_message": b"\xff\xfeh\x00"}, "h"),
    "a part of its own": ({"short_message": CONCATENATED + b"hi", "esm_class": UDHI}, "hi"),
    "a validity of 99 years": ({"validity_period": b"990000000000000R"}, "hi"),
    "a text of 255 octets": ({"short_message": b"x" * 255}, "x" * 255),
}


class CatalogueTests(SynchronousTestCase):
    """Named vectors."""

    def setUp(self) -> None:
        """Two accounts with a route for Russian numbers, a store, and a listener."""
        self.clock = Clock()
        self.store = MessageStore(SqliteEngine(self.mktemp(), Inline()), "gw1", lambda: START)
        self.store.open()
        self.addCleanup(self.store.close)
        settings = configured(
            *(
                AccountSettings(
                    name=name,
                    password=Secret("pass"),
                    senders=("DEMO",),
                    default_sender="DEMO",
                    allow_from=AllowList(everyone=True),
                )
                for name in ("demo", "other")
            ),
            ConnectorSettings(name="sim"),
            RouteSettings(name="all", to=Globs(("7*",)), connectors=(Way("sim"),)),
        )
        accounts, senders, router = (
            Accounts(settings, self.clock, maybeDeferred),
            Senders(settings),
            Router(settings),
        )
        dispatch: Any = StoringDispatch(self.store)
        intake = Intake(
            settings,
            self.store,
            accounts,
            senders,
            router,
            dispatch,
            CheckedClock(lambda: START, lambda: 0.0),
            self.clock.seconds,
        )
        listener = SmppListenSettings(name="smpp", endpoint="tcp:2775")
        receipts = SmppReceipts(settings, Binds())
        receipts.attach(HandSink())
        frontend = SmppFrontend(
            settings,
            listener,
            SMPP,
            receipts,
            accounts,
            intake,
            self.store,
            Cancellation(Commits(self.store, NoOutbox()), dispatch),
            lambda: START,
        )
        self.factory = SmppServerFactory(frontend, listener, self.clock)

    def bound(self, version: int = 0x34, name: bytes = b"demo") -> tuple[Any, StringTransport]:
        """Return a bound session and its transport."""
        transport = StringTransport()
        session: Any = self.factory.buildProtocol(None)
        session.makeConnection(transport)
        session.dataReceived(encode(BindTransceiver(1, name, b"pass", b"", version)))
        self.assertEqual(session.version, version)
        transport.clear()
        return session, transport

    def answers(self, session: Any, transport: StringTransport, *pdus: Pdu) -> list[Any]:
        """Return the answers to PDUs sent in one segment."""
        session.dataReceived(b"".join(encode(pdu) for pdu in pdus))
        frames = Framer().feed(transport.value())
        transport.clear()
        self.assertFalse(transport.disconnecting)
        return [decode(frame) for frame in frames]

    def test_refused(self) -> None:
        """Each request gets its status and is not stored; the session and the other PDUs of the segment go on."""
        for version in (0x34, 0x50):
            session, transport = self.bound(version)
            for name, (fields, in_3_4, in_5_0) in REFUSED.items():
                with self.subTest(name):
                    wrong, good = SubmitSm(7, **(SOUND | fields)), SubmitSm(8, **SOUND)
                    first, second = self.answers(session, transport, wrong, good)
                    self.assertEqual((first.sequence_number, first.message_id), (7, b""))
                    self.assertEqual(first.command_status, in_3_4 if version == 0x34 else in_5_0)
                    self.assertEqual((second.sequence_number, second.command_status), (8, 0))
        stored = self.successResultOf(self.store.counts())
        self.assertEqual(sum(stored.values()), 2 * len(REFUSED))

    def test_taken(self) -> None:
        """Each unusual request is accepted, with the text that its octets encode."""
        session, transport = self.bound()
        for name, (fields, text) in TAKEN.items():
            with self.subTest(name):
                (answer,) = self.answers(session, transport, SubmitSm(7, **(SOUND | fields)))
                self.assertEqual(answer.command_status, 0)
                ((message,),) = self.successResultOf(self.store.find("demo", [int(answer.message_id)]))
                self.assertEqual((message.content.text(), message.recipient), (text, "79161234567"))

    def test_unsupported(self) -> None:
        """Operations that the dialect standard does not have are refused by their own response."""
        session, transport = self.bound(0x50)
        for pdu in (SubmitMulti(7), DataSm(7), ReplaceSm(7, b"1")):
            assert isinstance(pdu, Request)
            (answer,) = self.answers(session, transport, pdu)
            self.assertIsInstance(answer, pdu.response or Pdu)
            self.assertNotEqual(answer.command_status, 0)

    def test_messages_of_others(self) -> None:
        """Another account's id, an unknown id and a malformed one get the same answer to all requests."""
        session, transport = self.bound()
        (answer,) = self.answers(session, transport, SubmitSm(7, **SOUND))
        other = self.bound(name=b"other")
        for kind in (QuerySm, CancelSm):
            for id in (answer.message_id, b"4711", b"nonsense", b"", b"9" * 64):
                (refused,) = self.answers(*other, kind(8, message_id=id))
                self.assertEqual(refused.command_status, 0x0C, (kind, id))
        (mine,) = self.answers(session, transport, QuerySm(9, answer.message_id))
        self.assertEqual((mine.command_status, mine.message_state), (0, 1))
