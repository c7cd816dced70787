"""Receipts as real message centres write them."""

import datetime
from datetime import UTC, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.smpp import codec
from smsgw.smpp.consts import VERSION_3_3, VERSION_5_0, DataCoding, EsmClass, MessageState, Tag
from smsgw.smpp.pdus import DataSm, DeliverSm
from smsgw.smpp.receipt import (
    FINAL,
    STAT,
    Receipt,
    is_receipt,
    read_date,
    read_receipt,
    receipt_tlvs,
    write_date,
)
from smsgw.smpp.tlvs import Tlv, tlv
from tests.dialects.support import receipt_text
from tests.smpp.strategies import of_class
from tests.smpp.test_examples import EXAMPLES

MOSCOW = timezone(timedelta(hours=3))
USUAL = b"id:77 sub:001 dlvrd:001 submit date:2506011200 done date:2506011201 stat:DELIVRD err:000 text:Hello you"


def read(words: bytes, *tlvs: Tlv, esm_class: int = EsmClass.RECEIPT, data_coding: int = 0) -> Receipt:
    """Read a receipt with some text and TLVs."""
    pdu = DeliverSm(1, esm_class=esm_class, data_coding=data_coding, short_message=words, tlvs=tlvs)
    return read_receipt(pdu)


def in_words(receipt: Receipt) -> tuple[str, ...]:
    """Return the words of a receipt in the order of the specification."""
    return (
        receipt.message_id,
        receipt.sub,
        receipt.dlvrd,
        receipt.submit_date,
        receipt.done_date,
        receipt.stat,
        receipt.err,
        receipt.text,
    )


class ReadTests(SynchronousTestCase):
    """Quirk 5: the variants of receipt text."""

    def test_usual(self) -> None:
        """The form of the specification is read in full."""
        receipt = read(USUAL)
        wanted = ("77", "001", "001", "2506011200", "2506011201", "DELIVRD", "000", "Hello you")
        self.assertEqual(in_words(receipt), wanted)
        self.assertEqual((receipt.state, receipt.final, receipt.intermediate), (2, True, False))
        self.assertEqual((receipt.network_error, receipt.error, receipt.raw), (None, "000", USUAL))

    def test_same_by_both_ways(self) -> None:
        """Labels in any case and any amount of space are read like the usual form."""
        for words in (
            USUAL.replace(b"text:", b"Text:"),
            USUAL.replace(b"text:", b"TEXT:"),
            USUAL.replace(b"id:", b"ID:").replace(b"submit date", b"Submit Date"),
            USUAL.replace(b":", b": ").replace(b": Hello", b":Hello"),
            USUAL.replace(b" ", b"  ").replace(b"submit  date", b"submit date").replace(b"done  date", b"done date")
            .replace(b"Hello  you", b"Hello you"),
            b" " + USUAL,
            b"\r\n" + USUAL.replace(b" stat", b"\r\nstat"),
        ):  # fmt: skip
            self.assertEqual(in_words(read(words)), in_words(read(USUAL)), words)

    def test_omissions(self) -> None:
        """Any part may be missing; the others are read."""
        self.assertEqual(in_words(read(b"id:77 stat:UNDELIV")), ("77", "", "", "", "", "UNDELIV", "", ""))
        self.assertEqual(in_words(read(b"stat:EXPIRED id:abc-9")), ("abc-9", "", "", "", "", "EXPIRED", "", ""))
        self.assertEqual(
            in_words(read(b"id:7 sub: dlvrd: submit date: done date: stat:DELIVRD err: text:"))[0:7:5], ("7", "DELIVRD")
        )
        self.assertEqual(read(b"id:7 stat:DELIVRD err:").err, "")
        self.assertEqual(in_words(read(b"")), ("",) * 8)
        self.assertIsNone(read(b"").state)

    def test_order(self) -> None:
        """The parts may come in any order, the text among them."""
        receipt = read(b"text:so long done date:20250601120159 err:21b stat:REJECTD id:00AB sub:001")
        self.assertEqual(in_words(receipt), ("00AB", "001", "", "", "20250601120159", "REJECTD", "21b", "so long"))
        self.assertEqual(receipt.state, MessageState.REJECTED)

    def test_text_that_looks_like_a_receipt(self) -> None:
        """Labels inside the text are text."""
        words = b"id:77 stat:DELIVRD err:000 text:your id:5 stat:EXPIRED sub:2"
        receipt = read(words)
        self.assertEqual((receipt.message_id, receipt.stat, receipt.sub), ("77", "DELIVRD", ""))
        self.assertEqual(receipt.text, "your id:5 stat:EXPIRED sub:2")

    def test_unknown_labels(self) -> None:
        """An unknown label does not disturb its neighbours."""
        receipt = read(b"id:77 network:25001 stat:DELIVRD network:x err:000 mccmnc: text:hi")
        self.assertEqual((receipt.message_id, receipt.stat, receipt.err, receipt.text), ("77", "DELIVRD", "000", "hi"))

    def test_ids(self) -> None:
        """An id may be any word without space: hexadecimal, UUID, 64 characters, leading zeros."""
        for name in ("4b00000a", "3f6250e0-4f89-11d3-9a0c-0305e82c3301", "0" * 64, "007", "a_b@c:d", "é"):
            self.assertEqual(read(b"id:" + name.encode("latin-1") + b" stat:DELIVRD").message_id, name)
            self.assertEqual(read(USUAL.replace(b"id:77", b"id:" + name.encode("latin-1"))).message_id, name)

    def test_words(self) -> None:
        """Every word for a state is read in any case; an unknown one is kept and means no state."""
        for word, state in (
            ("DELIVRD", 2), ("EXPIRED", 3), ("DELETED", 4), ("UNDELIV", 5), ("ACCEPTD", 6), ("UNKNOWN", 7),
            ("REJECTD", 8), ("ENROUTE", 1), ("ACKED", 1), ("BUFFRED", 1), ("BUFFERD", 1), ("FAILED", 5), ("2", 2),
            ("5", 5), ("0", 0), ("delivrd", 2), ("Delivered", 2), ("UNDELIVERABLE", 5), ("SKIPPED", 9), ("INVALID", 7),
            ("PONDERED", None), ("99", None),
        ):  # fmt: skip
            receipt = read(b"id:7 stat:" + word.encode())
            self.assertEqual((receipt.stat, receipt.state), (word, state))

    def test_tlvs_go_first(self) -> None:
        """Id, state and error of the TLVs take precedence over those of the text."""
        receipt = read(
            USUAL,
            tlv(Tag.RECEIPTED_MESSAGE_ID, b"4d"),
            tlv(Tag.MESSAGE_STATE, MessageState.EXPIRED),
            tlv(Tag.NETWORK_ERROR_CODE, b"\x03\x01\x02"),
        )
        self.assertEqual((receipt.message_id, receipt.state, receipt.network_error), ("4d", 3, (3, 0x102)))
        self.assertEqual((receipt.stat, receipt.err, receipt.error), ("DELIVRD", "000", "258"))

    def test_tlvs_in_part(self) -> None:
        """Values without a TLV are taken from the text; a TLV with a bad value is ignored."""
        receipt = read(USUAL, tlv(Tag.MESSAGE_STATE, 5))
        self.assertEqual((receipt.message_id, receipt.state), ("77", 5))
        receipt = read(USUAL, (Tag.RECEIPTED_MESSAGE_ID, b"9"))
        self.assertEqual((receipt.message_id, receipt.state), ("9", 2))
        receipt = read(USUAL, (0x1E, b"\0"), (0x427, b""), (0x423, b"12"), (0x423, b"1234"))
        self.assertEqual((receipt.message_id, receipt.state, receipt.network_error), ("77", 2, None))

    def test_first_tlv_counts(self) -> None:
        """Of repeated TLVs the first counts."""
        twice = [pair for name in (b"1", b"2") for pair in receipt_tlvs(name, int(name) + 1, int(name))]
        receipt = read(b"", *twice)
        self.assertEqual((receipt.message_id, receipt.state, receipt.network_error), ("1", 2, (3, 1)))

    def test_digits_as_network_error(self) -> None:
        """Quirk 23: three ASCII digits in network_error_code are a decimal code."""
        receipt = read(USUAL, (0x423, b"034"))
        self.assertEqual((receipt.network_error, receipt.error), ((0, 34), "34"))

    def test_ucs2(self) -> None:
        """A receipt with data_coding 8 is read from UCS-2, unless its octets are ASCII."""
        words = "id:77 stat:DELIVRD err:000 text:Привет"
        receipt = read(words.encode("utf-16-be"), data_coding=DataCoding.UCS_2)
        self.assertEqual((receipt.message_id, receipt.state, receipt.text), ("77", 2, "Привет"))
        self.assertEqual(in_words(read(USUAL, data_coding=DataCoding.UCS_2)), in_words(read(USUAL)))
        odd = read(words.encode("utf-16-be")[:-1], data_coding=DataCoding.UCS_2)
        self.assertEqual((odd.message_id, odd.state), ("77", 2))

    def test_behind_a_header(self) -> None:
        """A user data header before the words is skipped."""
        header = bytes.fromhex("0500032a0101")
        receipt = read(header + b"id:77 stat:DELIVRD", esm_class=EsmClass.RECEIPT | EsmClass.UDHI)
        self.assertEqual((receipt.message_id, receipt.state), ("77", 2))
        self.assertEqual(read(b"id:7 stat:2", esm_class=EsmClass.RECEIPT | EsmClass.UDHI).message_id, "7")

    def test_intermediate(self) -> None:
        """An intermediate notification is known as such."""
        self.assertTrue(read(USUAL, esm_class=EsmClass.INTERMEDIATE).intermediate)
        self.assertTrue(is_receipt(DeliverSm(esm_class=EsmClass.INTERMEDIATE)))
        for kind in (EsmClass.DELIVERY_ACK, EsmClass.USER_ACK, EsmClass.CONVERSATION_ABORT, EsmClass.DEFAULT_MODE):
            self.assertFalse(is_receipt(DeliverSm(esm_class=kind)))

    def test_final_states(self) -> None:
        """ACCEPTED, UNKNOWN, ENROUTE and SCHEDULED are not final, the others are."""
        self.assertEqual(set(MessageState) - FINAL, {0, 1, 6, 7})

    def test_examples(self) -> None:
        """The receipts among the worked examples are read, in each of their forms."""
        wanted = {
            "deliver_sm delivery receipt, text and TLVs": ("4b00000a", 2, "DELIVRD", "0"),
            "deliver_sm receipt in message_payload, loose format": ("abc-9", 5, "UNDELIV", "21b"),
            "deliver_sm intermediate notification, TLVs only": ("77", 1, "", "27"),
            "deliver_sm receipt, receipted_message_id without NUL": ("77", 2, "", ""),
            "data_sm delivery receipt from the MC": ("d-40", 5, "", "1"),
        }
        found = {}
        for example in EXAMPLES:
            if example["valid"]:
                pdu = codec.decode(bytes.fromhex(example["hex"]))
                if isinstance(pdu, DeliverSm | DataSm) and is_receipt(pdu):
                    receipt = read_receipt(pdu)
                    found[example["name"]] = (receipt.message_id, receipt.state, receipt.stat, receipt.error)
        self.assertEqual(found, wanted)

    @given(of_class(DeliverSm) | of_class(DataSm))
    def test_never_raises(self, pdu: DeliverSm | DataSm) -> None:
        """Any deliver_sm or data_sm can be read as a receipt."""
        receipt = read_receipt(pdu)
        self.assertEqual(receipt.raw, pdu.user_data())
        self.assertIsInstance(receipt.error, str)
        receipt.done_at(UTC)

    @given(st.lists(st.sampled_from(["id:", "stat:", "text:", "err:", "sub: ", " ", "7", "x", "submit date:", "\n"])))
    def test_any_labels(self, pieces: list[str]) -> None:
        """Labels and words in any order are read without losing the raw text."""
        words = "".join(pieces).encode()
        self.assertEqual(read(words).raw, words)


class DateTests(SynchronousTestCase):
    """The dates in receipts."""

    def test_forms(self) -> None:
        """Dates of 10, 12 and 14 digits are in the message centre's zone; an SMPP time has its own offset."""
        minute = datetime.datetime(2025, 6, 1, 12, 1, tzinfo=MOSCOW)
        for word, wanted in (
            ("2506011201", minute),
            ("250601120159", minute.replace(second=59)),
            ("20250601120159", minute.replace(second=59)),
            ("250601090159000+", minute.replace(second=59)),
            ("250601040159020-", minute.replace(second=59)),
        ):
            self.assertEqual(read_date(word, MOSCOW), wanted, word)

    def test_unreadable(self) -> None:
        """An empty, zero or impossible date is None."""
        for word in ("", "0000000000", "000000000000", "2513011201", "25060112", "x", "25060112015", "2506011201R"):
            self.assertIsNone(read_date(word, MOSCOW))

    def test_of_a_receipt(self) -> None:
        """A receipt has the times at which the message was submitted and done."""
        receipt = read(USUAL)
        self.assertEqual(receipt.submitted_at(UTC), datetime.datetime(2025, 6, 1, 12, 0, tzinfo=UTC))
        self.assertEqual(receipt.done_at(UTC), datetime.datetime(2025, 6, 1, 12, 1, tzinfo=UTC))

    @given(st.integers(946_684_800, 4_102_444_799), st.sampled_from([UTC, MOSCOW, timezone(-timedelta(hours=9.5))]))
    def test_round_trip(self, at: int, zone: datetime.tzinfo) -> None:
        """A date written with seconds is read as the same time, without them as its minute."""
        moment = datetime.datetime.fromtimestamp(at, zone)
        if moment.year // 100 == 20:
            exact = read_date(write_date(at + 0.9, zone, seconds=True).decode(), zone)
            self.assertEqual(exact, moment)
            self.assertEqual(read_date(write_date(at, zone).decode(), zone), moment.replace(second=0))


class WriteTests(SynchronousTestCase):
    """Receipts that we send."""

    def test_text(self) -> None:
        """The text has the form of the specification, with the id as it was given."""
        words = receipt_text(b"77", 2, b"2506011200", b"2506011201", text=b"Hello you there, and")
        self.assertEqual(words, USUAL.replace(b"Hello you", b"Hello you there, and"))
        failed = receipt_text(b"77", 5, b"2506011200", b"2506011201", b"245")
        self.assertIn(b"dlvrd:000", failed)
        self.assertIn(b"stat:UNDELIV err:245 text:", failed)

    def test_every_state_is_read_back(self) -> None:
        """A receipt that we write for any state is read as that state."""
        for state in MessageState:
            words = receipt_text(b"00000a1f", state, b"2506011200", b"250601120159", b"011", b"Hello")
            receipt = read(words, *receipt_tlvs(b"00000a1f", state, 11, version=VERSION_5_0))
            self.assertEqual((receipt.message_id, receipt.state, receipt.network_error), ("00000a1f", state, (3, 11)))
            self.assertEqual((receipt.stat, receipt.err, receipt.text), (STAT[state].decode(), "011", "Hello"))
            without = read(words)
            hidden = {MessageState.SCHEDULED: 1, MessageState.SKIPPED: 5}
            self.assertEqual(without.state, hidden.get(state, state))

    def test_versions(self) -> None:
        """Version 3.3 gets no TLVs, version 3.4 none of the states of 5.0."""
        self.assertEqual(receipt_tlvs(b"1", 2, version=VERSION_3_3), ())
        self.assertEqual(dict(receipt_tlvs(b"1", 0))[0x427], b"\1")
        self.assertEqual(dict(receipt_tlvs(b"1", 9))[0x427], b"\5")
        self.assertEqual(dict(receipt_tlvs(b"1", 9, version=VERSION_5_0))[0x427], b"\x09")

    def test_tlvs(self) -> None:
        """The three TLVs have the forms that their declarations give them."""
        wanted = (tlv(Tag.RECEIPTED_MESSAGE_ID, b"77"), tlv(Tag.MESSAGE_STATE, 2), (0x423, b"\x03\x01\x00"))
        self.assertEqual(receipt_tlvs(b"77", 2, 256), wanted)
        self.assertEqual(receipt_tlvs(b"77", 2, 7, kind=8)[2], (0x423, b"\x08\x00\x07"))
        self.assertRaises(OverflowError, receipt_tlvs, b"77", 2, 1 << 16)
