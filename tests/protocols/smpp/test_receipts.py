"""Tests of receipts as ESMEs read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from smsgw.dialects.standard import SMPP
from smsgw.model.content import Content
from smsgw.model.lifecycle import FINAL, State
from smsgw.model.message import Event, EventKind, Message, Submission
from smsgw.protocols.smpp.mapping import submission_reader
from smsgw.protocols.smpp.receipts import ReceiptWriter
from smsgw.smpp.codec import decode, encode
from smsgw.smpp.consts import MessageState, Tag
from smsgw.smpp.pdus import DeliverSm, SubmitSm
from smsgw.smpp.receipt import read_receipt
from smsgw.smpp.tlvs import tlv

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC).timestamp()
MOSCOW = ZoneInfo("Europe/Moscow")
VERSIONS = (0x33, 0x34, 0x50)


def message(state: State = State.DELIVERED, error: int = 0, **content: Any) -> Message:
    """A message from DEMO, accepted at 12:00:30 UTC."""
    values: dict[str, Any] = {"data_coding": 0, "esm_class": 0, "octets": b"hello world, this is a text"} | content
    return Message(
        4711, "demo", "smpp", "sim", state, 0, False, 0, 3, 1, 0.0, NOW, NOW + 60, 0.0, error, "79161234567", 0,
        Content("DEMO", 5, 0, 1, 1, **values),
    )  # fmt: skip


def event(state: State = State.DELIVERED, error: int = 0, **content: Any) -> Event:
    """An event of that message a minute later."""
    kind = EventKind.FINAL if state in FINAL else EventKind.ENROUTE
    return Event(message(state, error, **content), kind, state, error, NOW + 60)


class ReceiptTests(SynchronousTestCase):
    """Events to deliver_sm."""

    def setUp(self) -> None:
        """Make a writer with dates in Moscow's zone."""
        self.writer = ReceiptWriter(SMPP, MOSCOW)

    def write(self, event: Event, version: int = 0x34) -> DeliverSm:
        """Encode a receipt and decode it as a peer of this version."""
        pdu = decode(encode(self.writer.write(event, version), version), version)
        assert isinstance(pdu, DeliverSm)
        return pdu

    def test_receipt(self) -> None:
        """Addresses are swapped; text and TLVs have the forms of the specification and equal values."""
        pdu = self.write(event())
        self.assertEqual((pdu.source_addr, pdu.source_addr_ton, pdu.source_addr_npi), (b"79161234567", 1, 1))
        self.assertEqual((pdu.destination_addr, pdu.dest_addr_ton, pdu.dest_addr_npi), (b"DEMO", 5, 0))
        self.assertEqual((pdu.esm_class, pdu.data_coding, pdu.registered_delivery), (0x04, 0, 0))
        self.assertEqual(
            pdu.short_message,
            b"id:4711 sub:001 dlvrd:001 submit date:2603011500 done date:2603011501 "
            b"stat:DELIVRD err:000 text:hello world, this is",
        )
        self.assertEqual(
            pdu.tlvs,
            [(Tag.RECEIPTED_MESSAGE_ID, b"4711\0"), (Tag.MESSAGE_STATE, b"\2"), (Tag.NETWORK_ERROR_CODE, b"\3\0\0")],
        )

    def test_3_3(self) -> None:
        """In version 3.3 the id has the form of the response, and there are no TLVs."""
        pdu = self.write(event(State.UNDELIVERABLE, 255), 0x33)
        self.assertTrue(pdu.short_message.startswith(b"id:00001267 sub:001 dlvrd:000 "), pdu.short_message)
        self.assertTrue(self.writer.write(event(), 0x33).body.endswith(pdu.short_message[-20:]))
        self.assertLessEqual(len(pdu.short_message), 160)

    def test_addresses(self) -> None:
        """Senders of any characters and long ids are written unchanged."""
        occurred = event()
        assert isinstance(occurred.message, Message)
        occurred.message.content.sender = "100%b \u20ac"
        occurred.message.id = 2**63 - 1
        pdu = self.write(occurred)
        self.assertEqual(pdu.destination_addr, b"100%b ?")
        self.assertEqual(pdu.tlv(Tag.RECEIPTED_MESSAGE_ID), b"9223372036854775807")
        self.assertTrue(pdu.short_message.startswith(b"id:9223372036854775807 sub:001 "))

    def test_intermediate(self) -> None:
        """An intermediate notification has its esm_class and the state ENROUTE."""
        pdu = self.write(event(State.ENROUTE))
        self.assertEqual((pdu.esm_class, pdu.tlv(Tag.MESSAGE_STATE)), (0x20, MessageState.ENROUTE))
        self.assertIn(b" dlvrd:000 ", pdu.short_message)
        self.assertIn(b" stat:ENROUTE ", pdu.short_message)

    def test_error(self) -> None:
        """The error code has three digits in the text and 16 bits in the TLV."""
        codes = ((1, b"001", 1), (37, b"037", 37), (241, b"241", 241), (1024, b"999", 1024), (99999, b"999", 65535))
        for error, err, code in codes:
            pdu = self.write(event(State.UNDELIVERABLE, error))
            self.assertIn(b" err:%b " % err, pdu.short_message)
            self.assertEqual(pdu.tlv(Tag.NETWORK_ERROR_CODE), b"\3" + code.to_bytes(2, "big"))

    def test_every_state_is_understood(self) -> None:
        """For every state and version, read_receipt gets the id, the state and its word."""
        for version in VERSIONS:
            for state in State:
                pdu = self.write(event(state, 5), version)
                read = read_receipt(pdu)
                number = SMPP.message_state(state, version)
                self.assertEqual(read.message_id.encode(), SMPP.ids[version].write(4711))
                self.assertEqual(read.stat, SMPP.receipts.stats[number])
                if version > 0x33:
                    self.assertEqual((read.state, read.network_error), (number, (3, 5)))
                self.assertEqual(read.submitted_at(MOSCOW), datetime(2026, 3, 1, 15, 0, tzinfo=MOSCOW))
                self.assertEqual(read.done_at(MOSCOW), datetime(2026, 3, 1, 15, 1, tzinfo=MOSCOW))

    def test_excerpt(self) -> None:
        """The text is cut to 20 characters of the default alphabet; other characters are question marks."""
        header = b"\x05\x00\x03\x01\x02\x01"
        cases: list[tuple[dict[str, Any], bytes]] = [
            ({"octets": b""}, b""),
            ({"octets": b"a" * 100 + b"b" * 9}, b"a" * 20),
            ({"octets": b"a" * 19 + b"\x1be"}, b"a" * 19),
            ({"octets": b"a" * 18 + b"\x1be!"}, b"a" * 18 + b"\x1be"),
            ({"octets": b"\0\x11 100%b"}, b"\0\x11 100%b"),
            ({"octets": header + b"text", "esm_class": 0x40}, b"text"),
            ({"octets": "Код 1234".encode("utf-16-be"), "data_coding": 8}, b"??? 1234"),
            ({"octets": ("x" * 30).encode("utf-16-be"), "data_coding": 8}, b"x" * 20),
            ({"octets": header + "да no".encode("utf-16-be"), "data_coding": 8, "esm_class": 0x40}, b"?? no"),
            ({"octets": b"caf\xe9", "data_coding": 3}, b"caf\x05"),
            ({"octets": b"\1\2\3", "data_coding": 4}, b""),
            ({"octets": b"flash", "data_coding": 0xF0}, b"flash"),
        ]
        for content, text in cases:
            pdu = self.write(event(**content))
            self.assertEqual(pdu.short_message.partition(b" text:")[2], text, content)

    def test_i3_letters_of_the_default_alphabet(self) -> None:
        """The excerpt of a text in Latin-1 or UCS-2 keeps the letters that the default alphabet has; it never ends in
        half of an extension character."""
        for text, octets in (
            ("Gr\u00fc\u00dfe", bytes.fromhex("47727e1e65")),
            ("\u00a3 @ $ _ \u00d1", bytes.fromhex("01 20 00 20 02 20 11 20 5d")),
            ("\u00a8 caf\u00e9 \u00ef", b"? caf\x05 ?"),
            ("[a] {b}", b"\x1b<a\x1b> \x1b(b\x1b)"),
            ("x" * 19 + "[", b"x" * 19),
            ("x" * 18 + "[]", b"x" * 18 + b"\x1b<"),
            ("a\0b", b"a?b"),
        ):
            for data_coding, charset in ((3, "latin-1"), (8, "utf-16-be"), (0x18, "utf-16-be")):
                pdu = self.write(event(octets=text.encode(charset), data_coding=data_coding))
                self.assertEqual(pdu.short_message.partition(b" text:")[2], octets, (text, data_coding))
        for text, octets in (
            ("5 \u20ac \u0394\u03a9", b"5 \x1be \x10\x15"),
            ("\u041a\u043e\u0434 \U0001f600 \u00e0", b"??? ? \x7f"),
        ):
            pdu = self.write(event(octets=text.encode("utf-16-be"), data_coding=8))
            self.assertEqual(pdu.short_message.partition(b" text:")[2], octets, text)

    def test_user_message_reference(self) -> None:
        """The receipt has the user_message_reference of the submission, and no other of its TLVs."""
        tlvs = (tlv(Tag.SOURCE_PORT, 7), tlv(Tag.USER_MESSAGE_REFERENCE, 513))
        made = submission_reader("smpp", SMPP)(SubmitSm(7, tlvs=tlvs), "demo", 0x34, NOW)
        assert isinstance(made, Submission)
        pdu = self.write(event(tlvs=made.tlvs))
        self.assertEqual(pdu.tlv(Tag.USER_MESSAGE_REFERENCE), 513)
        self.assertEqual(len(pdu.tlvs), 4)
        self.assertEqual(decode(encode(self.writer.write(event(tlvs=made.tlvs), 0x33)), 0x34).tlvs, ())

    def test_many_receipts(self) -> None:
        """Cached parts of receipts never appear in another receipt, and the cache is bounded."""
        for error in range(1500):
            pdu = self.write(event(State.UNDELIVERABLE, error))
            self.assertIn(b"err:%03d" % min(error, 999), pdu.short_message)
        for minute in range(0, 12000, 7):
            late = event()
            late.at = NOW + 60 * minute
            date = datetime.fromtimestamp(late.at, MOSCOW).strftime("%y%m%d%H%M").encode()
            self.assertIn(b"done date:%b " % date, self.write(late).short_message)
        self.assertLessEqual(len(self.writer._templates), 1002)
