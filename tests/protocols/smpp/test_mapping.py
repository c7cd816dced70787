"""Tests of the conversion between PDUs and the domain."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.dialects.standard import SMPP
from smsgw.model.content import Content
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import Notify, State
from smsgw.model.message import Message, Submission
from smsgw.protocols.smpp.mapping import FARTHEST, GRACE, LONGEST_OPTIONAL, answer, submission_reader
from smsgw.protocols.smpp.receipts import passed
from smsgw.smpp.consts import Status, Tag
from smsgw.smpp.pdus import SubmitSm
from smsgw.smpp.tlvs import tlv

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC).timestamp()
MOSCOW = ZoneInfo("Europe/Moscow")
VERSIONS = (0x33, 0x34, 0x50)
READ = submission_reader("smpp", SMPP)


def submit(**fields: Any) -> SubmitSm:
    """A submit_sm from DEMO."""
    values: dict[str, Any] = {"source_addr": b"DEMO", "destination_addr": b"79161234567", "short_message": b"hello"}
    return SubmitSm(7, **values | fields)


class SubmissionTests(SynchronousTestCase):
    """submit_sm to Submission."""

    def made(self, pdu: SubmitSm, version: int = 0x34) -> Submission:
        """Convert a PDU that is accepted."""
        made = READ(pdu, "demo", version, NOW)
        assert isinstance(made, Submission), made
        return made

    def refused(self, pdu: SubmitSm, version: int = 0x34) -> Refusal | int:
        """Return the refusal of a PDU."""
        made = READ(pdu, "demo", version, NOW)
        assert not isinstance(made, Submission), made
        return made.refusal if isinstance(made, Refused) else made

    def test_fields(self) -> None:
        """Every field with a meaning in the domain is converted."""
        made = self.made(
            submit(
                service_type=b"CMT",
                source_addr_ton=5,
                source_addr_npi=1,
                esm_class=3,
                protocol_id=0x41,
                priority_flag=2,
                registered_delivery=1,
                data_coding=0xF0,
            )
        )
        self.assertEqual((made.account, made.path), ("demo", "smpp"))
        self.assertEqual(made.sender, "DEMO")
        self.assertEqual(list(made.recipients), ["79161234567"])
        self.assertEqual((made.text, made.octets, made.data_coding, made.esm_class), (None, b"hello", 0xF0, 3))
        self.assertEqual((made.service_type, made.protocol_id, made.priority), ("CMT", 0x41, 2))
        self.assertEqual((made.schedule, made.expires, made.tlvs), (0.0, 0.0, b""))
        self.assertEqual(made.notify, Notify.FINAL)

    @given(st.binary(max_size=21), st.binary(max_size=21), st.binary(max_size=255))
    def test_any_octets(self, source: bytes, destination: bytes, text: bytes) -> None:
        """Addresses and texts of any octets are passed on without an exception."""
        made = self.made(submit(source_addr=source, destination_addr=destination, short_message=text))
        self.assertEqual(made.octets, text)
        self.assertEqual(made.sender.encode("latin-1"), source)
        self.assertEqual(made.recipients[0].encode("latin-1"), destination)

    def test_registered_delivery(self) -> None:
        """Each legal registered_delivery asks for the receipts of the specification; its bits for the handset are
        ignored."""
        success, failure, enroute = Notify.DELIVERED, Notify.FAILED, Notify.ENROUTE
        for octet, notify in {
            0x00: Notify.NOTHING,
            0x01: success | failure,
            0x02: failure,
            0x10: enroute,
            0x11: success | failure | enroute,
            0x12: failure | enroute,
            0x0D: success | failure,
        }.items():
            self.assertEqual(self.made(submit(registered_delivery=octet)).notify, notify, octet)
        self.assertEqual(self.made(submit(registered_delivery=3), 0x50).notify, success)

    def test_registered_delivery_out_of_range(self) -> None:
        """Reserved bits, and values that the session's version does not define, are refused."""
        cases = [(0x20, 0x34), (0x41, 0x50), (0x80, 0x50), (0x03, 0x34), (0x13, 0x34), (0x02, 0x33), (0x10, 0x33)]
        for octet, version in cases:
            self.assertEqual(self.refused(submit(registered_delivery=octet), version), Status.ESME_RINVREGDLVFLG)

    def test_flags_out_of_range(self) -> None:
        """A value out of range or unsupported is refused with the command_status for its field."""
        cases: list[tuple[dict[str, int], int, int]] = [
            ({"priority_flag": 4}, 0x34, Status.ESME_RINVPRTFLG),
            ({"priority_flag": 5}, 0x50, Status.ESME_RINVPRTFLG),
            ({"replace_if_present_flag": 1}, 0x34, Status.ESME_RINVSUBREP),
            ({"replace_if_present_flag": 2}, 0x34, Status.ESME_RINVREPFLAG),
            ({"sm_default_msg_id": 1}, 0x34, Status.ESME_RINVDFTMSGID),
            ({"esm_class": 0x02}, 0x50, Status.ESME_RINVESMCLASS),
            ({"esm_class": 0x04}, 0x34, Status.ESME_RINVESMCLASS),
            ({"esm_class": 0x20}, 0x34, Status.ESME_RINVESMCLASS),
            ({"esm_class": 0x58}, 0x34, Status.ESME_RINVESMCLASS),
        ]
        for fields, version, status in cases:
            self.assertEqual(self.refused(submit(**fields), version), status, fields)

    def test_tolerated(self) -> None:
        """Modes, acknowledgement requests, reply path, any TON and NPI, and 5.0's lowest priority are accepted."""
        for fields in [
            {"esm_class": 0x01},
            {"esm_class": 0x03},
            {"esm_class": 0x08},
            {"esm_class": 0x90},
            {"source_addr_ton": 77, "source_addr_npi": 200, "dest_addr_ton": 9, "dest_addr_npi": 99},
        ]:
            self.made(submit(**fields))
        self.assertEqual(self.made(submit(priority_flag=4), 0x50).priority, 0)

    def test_message_payload_wins(self) -> None:
        """message_payload takes precedence over short_message, and the first of two over the second."""
        payload, second = tlv(Tag.MESSAGE_PAYLOAD, b"long text"), tlv(Tag.MESSAGE_PAYLOAD, b"other")
        for text in (b"", b"short"):
            made = self.made(submit(short_message=text, tlvs=(payload, second)))
            self.assertEqual((made.octets, made.tlvs), (b"long text", b""))
        self.assertEqual(self.made(submit(tlvs=(tlv(Tag.MESSAGE_PAYLOAD, b""),))).octets, b"")

    def test_tlvs_are_passed_on(self) -> None:
        """SAR, ports and unknown TLVs are passed on unchanged and in order."""
        tlvs = (
            tlv(Tag.SAR_MSG_REF_NUM, 513),
            tlv(Tag.SAR_TOTAL_SEGMENTS, 2),
            tlv(Tag.SAR_SEGMENT_SEQNUM, 1),
            (0x1501, b"vendor"),
            (0x1501, b""),
        )
        made = self.made(submit(tlvs=(*tlvs, tlv(Tag.MESSAGE_PAYLOAD, b"x"))))
        content = Content("DEMO", 5, 0, 1, 1, 0, 0, b"x", tlvs=made.tlvs)
        self.assertEqual(tuple(passed(content)), tlvs)

    def test_too_many_octets_of_tlvs(self) -> None:
        """Too many octets of optional parameters are refused, because queues count messages and not their octets."""
        self.made(submit(tlvs=((0x1501, bytes(LONGEST_OPTIONAL - 4)),)))
        for size in (LONGEST_OPTIONAL - 3, 65532):
            self.assertEqual(self.refused(submit(tlvs=((0x1501, bytes(size)),))), Refusal.CANNOT_REGISTER)

    def test_times(self) -> None:
        """Absolute times are read in their zone, relative ones from now."""
        made = self.made(
            submit(schedule_delivery_time=b"260301180000012+", validity_period=b"000002000000000R")
        )
        self.assertEqual(made.schedule, datetime(2026, 3, 1, 15, 0, tzinfo=UTC).timestamp())
        self.assertEqual(made.expires, NOW + 2 * 86400)

    def test_malformed_times(self) -> None:
        """An unreadable time is refused with the status of its field."""
        for octets in (
            b"x",
            b"260301180000",
            b"261301180000012+",
            b"260301180000049+",
            b"260301180000012X",
            b"260230180000000+",
            "26030118000001²+".encode("latin-1"),
        ):
            self.assertEqual(self.refused(submit(schedule_delivery_time=octets)), Refusal.BAD_SCHEDULE, octets)
            self.assertEqual(self.refused(submit(validity_period=octets)), Refusal.BAD_VALIDITY, octets)

    def test_far_times(self) -> None:
        """A delivery time long past or years away is refused; a validity of years is shortened."""
        for octets in (b"260301090000000+", b"990000000000000R", b"280301120000000+"):
            self.assertEqual(self.refused(submit(schedule_delivery_time=octets)), Refusal.BAD_SCHEDULE)
        self.assertEqual(self.made(submit(schedule_delivery_time=b"260301115900000+")).schedule, NOW - 90)
        self.assertEqual(GRACE, 3600.0)
        self.assertEqual(self.made(submit(validity_period=b"990000000000000R")).expires, NOW + FARTHEST)

    def test_qos_time_to_live(self) -> None:
        """qos_time_to_live takes precedence over validity_period and is not passed on; 0 and bad values count as
        absent."""
        made = self.made(submit(validity_period=b"000002000000000R", tlvs=(tlv(Tag.QOS_TIME_TO_LIVE, 60),)))
        self.assertEqual((made.expires, made.tlvs), (NOW + 60, b""))
        for octets in (b"\0\0\0\0", b"", b"12345"):
            made = self.made(submit(tlvs=((int(Tag.QOS_TIME_TO_LIVE), octets),)))
            self.assertEqual((made.expires, made.tlvs), (0.0, b""))
        self.assertEqual(self.made(submit(tlvs=(tlv(Tag.QOS_TIME_TO_LIVE, 0xFFFFFFFF),))).expires, NOW + FARTHEST)

    def test_user_data_header(self) -> None:
        """A valid header is passed on with the text; a broken one is refused."""
        self.made(submit(esm_class=0x40, short_message=b"\x05\x00\x03\x01\x02\x01text"))
        for octets in (
            b"\x05",
            b"\x05\x00\x03\x01\x02\x00text",
            b"\x05\x00\x03\x01\x02\x03text",
            b"\x05\x00\x09\x01\x02\x03text",
            b"\x40text",
        ):
            self.assertEqual(self.refused(submit(esm_class=0x40, short_message=octets)), Status.ESME_RINVESMCLASS)

    def test_half_characters(self) -> None:
        """UCS-2 of an odd number of octets is refused; the header before it does not count."""
        self.made(submit(data_coding=8, short_message=b"\x04\x10"))
        self.assertEqual(self.refused(submit(data_coding=8, short_message=b"\x04\x10\x04")), Status.ESME_RINVMSGLEN)
        self.made(submit(data_coding=8, esm_class=0x40, short_message=b"\x06\x08\x04\x01\x01\x02\x01\x04\x10"))
        self.assertEqual(
            self.refused(submit(data_coding=8, esm_class=0x40, short_message=b"\x06\x08\x04\x01\x01\x02\x01\x04")),
            Status.ESME_RINVMSGLEN,
        )

    @given(st.data())
    def test_any_fields(self, data: st.DataObject) -> None:
        """Any submit_sm is accepted or refused without an exception."""
        octet, octets = st.integers(0, 255), st.binary(max_size=20)
        times = st.one_of(octets, st.sampled_from([b"", b"000002000000000R", b"260301180000012+"]))
        kinds: dict[str, st.SearchStrategy[Any]] = {
            "schedule_delivery_time": times,
            "validity_period": times,
            "tlvs": st.lists(st.tuples(st.sampled_from([0x0017, 0x0424, 0x020C, 0x9999]), octets), max_size=3),
        }
        pdu = SubmitSm(1)
        for name, value in pdu.items():
            if name != "sequence_number":
                kind = kinds.get(name, octets if isinstance(value, bytes) else octet)
                setattr(pdu, name, data.draw(kind))
        made = READ(pdu, "demo", data.draw(st.sampled_from(VERSIONS)), NOW)
        self.assertTrue(isinstance(made, Submission | Refused) or made > 0)


def message(state: State = State.DELIVERED, error: int = 0, **content: Any) -> Message:
    """A message from DEMO, accepted at 12:00:30 UTC."""
    values: dict[str, Any] = {"data_coding": 0, "esm_class": 0, "octets": b"hello world, this is a text"} | content
    return Message(
        4711, "demo", "smpp", "sim", state, 0, False, 0, 3, 1, 0.0, NOW, NOW + 60, 0.0, error, "79161234567", 0,
        Content("DEMO", 5, 0, 1, 1, **values),
    )  # fmt: skip


class QueryTests(SynchronousTestCase):
    """Answers to query_sm."""

    def test_answer_to_a_query(self) -> None:
        """query_sm_resp has the state, one octet of the error, and the time of a final state."""
        pdu = answer(message(State.UNDELIVERABLE, 1025), SMPP, 0x34, MOSCOW)
        self.assertEqual((pdu.message_id, pdu.message_state, pdu.error_code), (b"4711", 5, 255))
        self.assertEqual(pdu.final_date, b"260301150130012+")
        pdu = answer(message(State.SCHEDULED), SMPP, 0x50, MOSCOW)
        self.assertEqual((pdu.message_state, pdu.final_date, pdu.error_code), (0, b"", 0))
        self.assertEqual(answer(message(State.ENROUTE), SMPP, 0x33, MOSCOW).message_id, b"00001267")
