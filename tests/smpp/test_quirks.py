"""Known deviations of real peers from the specification, and how the codec reads them."""

from twisted.trial.unittest import SynchronousTestCase

from smsgw.smpp import codec, maxima
from smsgw.smpp.consts import DataCoding, EsmClass, MessageState, Status, Tag
from smsgw.smpp.errors import Answerable
from smsgw.smpp.pdus import (
    BindTransceiver,
    BindTransceiverResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
)
from smsgw.smpp.receipt import is_receipt, read_receipt
from smsgw.smpp.tlvs import tlv

HELLO = "00000000000000000005" + b"hello".hex()


def framed(command_id: int, status: int, body: str, sequence_number: int = 7) -> bytes:
    """Make a frame of a command around the octets of a body."""
    octets = bytes.fromhex(body)
    numbers = (16 + len(octets), command_id, status, sequence_number)
    return b"".join(number.to_bytes(4, "big") for number in numbers) + octets


def message(tail: str = "", command_id: int = 0x05) -> bytes:
    """Make a deliver_sm from 79 to 12 with the text "hello" and further octets after it."""
    return framed(command_id, 0, "00" + "0101373900" + "0001313200" + HELLO + tail)


class ResponseBodyTests(SynchronousTestCase):
    """Quirk 1: failed responses with a body, and any response without one."""

    def test_success_without_body(self) -> None:
        """A response that is only a header has empty fields, with any status."""
        for status in (0, 0x58):
            pdu = codec.decode(framed(0x80000004, status, ""))
            assert isinstance(pdu, SubmitSmResp)
            self.assertEqual((pdu.command_status, pdu.message_id, pdu.tlvs, pdu.raw), (status, b"", (), b""))
        multi = codec.decode(framed(0x80000021, 0, ""))
        assert isinstance(multi, SubmitMultiResp)
        self.assertEqual((multi.message_id, multi.unsuccess_sme), (b"", ()))

    def test_failure_with_body(self) -> None:
        """A failed response may have a lone NUL or a real message_id."""
        for octets, message_id in (("00", b""), ("3700", b"7")):
            pdu = codec.decode(framed(0x80000004, 0x0B, octets))
            assert isinstance(pdu, SubmitSmResp)
            self.assertEqual((pdu.command_status, pdu.message_id, pdu.raw), (0x0B, message_id, b""))
        bind = codec.decode(framed(0x80000009, 0x0E, "736d736300" + "0210000134"))
        assert isinstance(bind, BindTransceiverResp)
        self.assertEqual((bind.system_id, bind.tlv(Tag.SC_INTERFACE_VERSION)), (b"smsc", 0x34))

    def test_failure_with_tlvs_alone(self) -> None:
        """A failed response with TLVs in the place of the message_id is read."""
        pdu = codec.decode(framed(0x80000103, 0xFE, "0425000100" + "0423000303001b"))
        assert isinstance(pdu, DataSmResp)
        self.assertEqual(pdu.message_id, b"")
        self.assertEqual((pdu.tlv(Tag.DELIVERY_FAILURE_REASON), pdu.tlv(Tag.NETWORK_ERROR_CODE)), (0, b"\x03\0\x1b"))

    def test_failure_with_anything(self) -> None:
        """A failed response with an unreadable body keeps its status and the octets."""
        pdu = codec.decode(framed(0x80000004, 0x45, "414243"))
        assert isinstance(pdu, SubmitSmResp)
        self.assertEqual((pdu.command_status, pdu.message_id, pdu.raw), (0x45, b"", b"ABC"))

    def test_failure_with_stray_octets(self) -> None:
        """A failed response with a message_id and a stray NUL keeps the message_id."""
        pdu = codec.decode(framed(0x80000004, 0x45, "37370000"))
        assert isinstance(pdu, SubmitSmResp)
        self.assertEqual((pdu.message_id, pdu.tlvs), (b"77", []))

    def test_unreadable_success(self) -> None:
        """A positive response that cannot be read is a fault that is never answered."""
        wrong = self.assertRaises(Answerable, codec.decode, framed(0x80000004, 0, "414243"))
        self.assertIsNone(wrong.answer_id)
        self.assertIsNone(codec.refusal(wrong))

    def test_filled_deliver_sm_resp(self) -> None:
        """Quirk 8: a message_id in deliver_sm_resp is accepted."""
        pdu = codec.decode(framed(0x80000005, 0, "313200"))
        assert isinstance(pdu, DeliverSmResp)
        self.assertEqual(pdu.message_id, b"12")


class TailTests(SynchronousTestCase):
    """Quirks 2 and 3: octets after the text."""

    def test_stray_octets(self) -> None:
        """Up to three octets after the text, or after the last TLV, are dropped."""
        for tail in ("", "0427000101"):
            for stray in ("00", "0000", "000000", "ffffff"):
                pdu = codec.decode(message(tail + stray))
                self.assertEqual(pdu.user_data(), b"hello")
                self.assertEqual(len(pdu.tlvs), bool(tail))

    def test_i4_uncounted_nul(self) -> None:
        """A NUL behind the text that sm_length does not count is dropped, with TLVs after it as without."""
        sar = "020c00020007" + "020e000103" + "020f000101"  # php-smpp's parts of a long text
        for tail, tlvs in (
            ("00" + sar, [(0x020C, b"\0\7"), (0x020E, b"\3"), (0x020F, b"\1")]),
            ("00" + "1403000201aa", [(0x1403, b"\1\xaa")]),
            ("00" + "04240000", [(0x0424, b"")]),
        ):
            for command_id in (0x04, 0x05):
                for pdu in (
                    codec.decode(message(tail, command_id)),
                    codec.decode(message(tail, command_id), 0x50),
                    *codec.reader()([message(tail, command_id)]),
                ):
                    assert isinstance(pdu, SubmitSm | DeliverSm)
                    self.assertEqual((pdu.short_message, pdu.tlvs), (b"hello", tlvs))

    def test_i4_nothing_else(self) -> None:
        """A tail that is readable as it is, and one that is not readable in exactly this way, are not shifted."""
        readable = codec.decode(message("0005000101"))
        self.assertEqual(readable.tlvs, [(0x0005, b"\1")])
        for tail in (
            "000424000561",  # the TLV is too long
            "0204000201f4" + "00" + "0204000201f4",  # the NUL is not behind the text
            "0000" + "0204000201f4",  # two NULs
            "01" + "0204000201f4",  # another octet
            "00" + "0204000201f4" + "00",  # octets after the last TLV
            "00" + "00ff000201f4",  # a tag that is neither declared nor a vendor's
        ):
            wrong = self.assertRaises(Answerable, codec.decode, message(tail))
            self.assertEqual((wrong.status, wrong.answer_id), (Status.ESME_RINVTLVSTREAM, 0x80000005), tail)
        frame = framed(0x103, 0, "00" + "000037390000003100" + "000000" + "00" + "0204000201f4")
        self.assertEqual(self.assertRaises(Answerable, codec.decode, frame).status, Status.ESME_RINVTLVSTREAM)

    def test_counted_nul(self) -> None:
        """A NUL that sm_length counts belongs to the text."""
        pdu = codec.decode(codec.encode(SubmitSm(1, short_message=b"hello\0")))
        self.assertEqual(pdu.user_data(), b"hello\0")

    def test_unknown_tlvs(self) -> None:
        """Unknown, reserved and unexpected tags are kept raw and in order, and are encoded again unchanged."""
        frame = message("1403000201aa" + "000e000101" + "ffff0000" + "14030001bb")
        pdu = codec.decode(frame)
        self.assertEqual(pdu.tlvs, [(0x1403, b"\x01\xaa"), (0x000E, b"\x01"), (0xFFFF, b""), (0x1403, b"\xbb")])
        self.assertEqual((pdu.tlv(0x1403), pdu.tlv(Tag.SOURCE_NETWORK_TYPE), pdu.tlv(0xFFFF)), (b"\x01\xaa", 1, b""))
        self.assertEqual(codec.encode(pdu), frame)

    def test_ill_valued_tlvs(self) -> None:
        """A TLV of a wrong length or value never fails the message."""
        pdu = codec.decode(message("0204000101" + "038100020101" + "02050005" + "0102030405" + "04270000"))
        self.assertEqual(pdu.user_data(), b"hello")
        self.assertEqual(pdu.tlv(Tag.USER_MESSAGE_REFERENCE), 1)
        self.assertEqual(pdu.tlv(Tag.CALLBACK_NUM), b"\1\1")
        self.assertEqual(pdu.tlv(Tag.USER_RESPONSE_CODE), b"\1\2\3\4\5")
        self.assertEqual(pdu.tlv(Tag.MESSAGE_STATE), b"")
        self.assertIsNone(pdu.tlv(Tag.SOURCE_PORT))

    def test_first_of_repeated(self) -> None:
        """The first of repeated TLVs counts; all are kept in their order."""
        pdu = codec.decode(message("0204000201f4" + "02040002012c"))
        self.assertEqual(pdu.tlv(Tag.USER_MESSAGE_REFERENCE), 500)
        self.assertEqual(pdu.tlvs, [(Tag.USER_MESSAGE_REFERENCE, b"\1\xf4"), (Tag.USER_MESSAGE_REFERENCE, b"\1\x2c")])

    def test_payload_wins(self) -> None:
        """message_payload takes precedence over short_message, even if it is empty."""
        self.assertEqual(codec.decode(message("04240002" + b"hi".hex())).user_data(), b"hi")
        self.assertEqual(codec.decode(message("04240000")).user_data(), b"")

    def test_running_past_the_end(self) -> None:
        """A TLV longer than the rest of the PDU refuses the message and names the offset; the session goes on."""
        wrong = self.assertRaises(Answerable, codec.decode, message("0424000561"))
        self.assertEqual((wrong.status, wrong.answer_id), (Status.ESME_RINVTLVSTREAM, 0x80000005))
        self.assertIn("0x0424", wrong.why)
        self.assertIn(str(len(message())), wrong.why)

    def test_3_3_ignores_them(self) -> None:
        """In version 3.3 all octets after the text are ignored, readable or not."""
        for tail in ("0424000561", "0427000101", "00"):
            pdu = codec.decode(message(tail), 0x33)
            self.assertEqual((pdu.user_data(), pdu.tlvs), (b"hello", ()))


class OtherQuirkTests(SynchronousTestCase):
    """Quirks 6, 7, 9, 12, 13 and 15."""

    def test_receipts_in_disguise(self) -> None:
        """Quirk 6: a receipt is known by esm_class or by its TLV, in deliver_sm or data_sm, wherever its text is."""
        words = b"id:77 stat:DELIVRD"
        named = tlv(Tag.RECEIPTED_MESSAGE_ID, b"77")
        state = tlv(Tag.MESSAGE_STATE, MessageState.DELIVERED)
        for pdu in (
            DeliverSm(esm_class=EsmClass.RECEIPT, short_message=words),
            DeliverSm(esm_class=EsmClass.RECEIPT | EsmClass.STORE_AND_FORWARD, short_message=words),
            DeliverSm(esm_class=EsmClass.RECEIPT, tlvs=[tlv(Tag.MESSAGE_PAYLOAD, words)]),
            DeliverSm(esm_class=EsmClass.RECEIPT, tlvs=[named, state]),
            DeliverSm(tlvs=[state, named]),
            DataSm(esm_class=EsmClass.RECEIPT, tlvs=[named, state]),
            DataSm(esm_class=EsmClass.RECEIPT, tlvs=[tlv(Tag.MESSAGE_PAYLOAD, words)]),
        ):
            pdu = codec.decode(codec.encode(pdu))  # type: ignore[assignment]
            self.assertTrue(is_receipt(pdu))
            receipt = read_receipt(pdu)
            self.assertEqual((receipt.message_id, receipt.state, receipt.final), ("77", 2, True))
        self.assertFalse(is_receipt(DeliverSm(short_message=words)))
        self.assertFalse(is_receipt(DeliverSm(esm_class=EsmClass.UDHI, tlvs=[state])))

    def test_header_in_payload(self) -> None:
        """Quirk 7: with UDHI and an empty short_message the user data, header first, are those of message_payload."""
        octets = bytes.fromhex("0500032a0201") + b"part one"
        pdu = SubmitSm(1, esm_class=EsmClass.UDHI, tlvs=[tlv(Tag.MESSAGE_PAYLOAD, octets)])
        read = codec.decode(codec.encode(pdu))
        assert isinstance(read, SubmitSm)
        self.assertEqual((read.short_message, read.user_data()), (b"", octets))

    def test_udhi_and_nothing(self) -> None:
        """UDHI without text is read like any other message."""
        self.assertEqual(codec.decode(codec.encode(SubmitSm(1, esm_class=EsmClass.UDHI))).user_data(), b"")

    def test_long_passwords(self) -> None:
        """Quirk 9: passwords over 8 characters are encoded and decoded; the maxima refuse them unless raised."""
        pdu = BindTransceiver(1, b"esme", b"correct horse battery staple")
        frame = codec.encode(pdu)
        read = codec.decode(frame)
        assert isinstance(read, BindTransceiver)
        self.assertEqual(read.password, pdu.password)
        self.assertEqual(maxima.length_fault(read)[0], Status.ESME_RINVPASWD)
        (refused,) = codec.reader()([frame])
        assert isinstance(refused, Answerable)
        self.assertEqual(refused.status, Status.ESME_RINVPASWD)
        (taken,) = codec.reader(raised={"password": 65})([frame])
        self.assertIsInstance(taken, BindTransceiver)

    def test_surrogates(self) -> None:
        """Quirk 12: the octets of UCS-2 text are unchanged, also half of a surrogate pair."""
        pair = "😀".encode("utf-16-be")
        for octets in (pair, pair[:2], pair[2:], pair[:3], b"\xfe\xff" + pair):
            pdu = SubmitSm(1, data_coding=DataCoding.UCS_2, short_message=octets)
            self.assertEqual(codec.decode(codec.encode(pdu)).user_data(), octets)

    def test_any_sequence_number(self) -> None:
        """Quirk 13: the answer repeats any sequence_number of a request."""
        for number in (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF):
            request = codec.decode(codec.encode(EnquireLink(number)))
            assert isinstance(request, EnquireLink) and request.response is not None
            answer = codec.encode(request.response(request.sequence_number))
            self.assertEqual(answer[12:], number.to_bytes(4, "big"))

    def test_status_of_a_request(self) -> None:
        """A command_status in a request is ignored."""
        pdu = codec.decode(framed(0x15, 0x58, ""))
        self.assertEqual(codec.encode(pdu), framed(0x15, 0, ""))

    def test_other_protocols(self) -> None:
        """Quirk 15: TLS, HTTP and other protocols are recognised by their first octets, however these are cut."""
        for start, protocol in (
            (bytes.fromhex("16030100c8010000c40303"), "TLS"),
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP request"),
            (b"POST /sms HTTP/1.1\r\n", "HTTP request"),
            (b"HTTP/1.1 400 Bad Request\r\n", "HTTP reply"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
            (b"EHLO probe.example\r\n", "SMTP"),
        ):
            for step in (1, 3, len(start)):
                framer = codec.Framer()
                for at in range(0, len(start), step):
                    self.assertEqual(framer.feed(start[at : at + step]), [])
                assert framer.broken is not None
                self.assertIn(protocol, framer.broken.why)
                self.assertEqual(framer.broken.status, Status.ESME_RINVCMDLEN)
                self.assertEqual(framer.pending, 0)
