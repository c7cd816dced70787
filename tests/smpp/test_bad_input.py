"""The part of the catalogue of bad input that the codec and the rules of a session decide."""

from twisted.trial.unittest import SynchronousTestCase

from smsgw.smpp import codec
from smsgw.smpp.consts import CommandId, Status, describe
from smsgw.smpp.errors import Answerable
from smsgw.smpp.fields import DistributionList, SmeAddress
from smsgw.smpp.pdus import (
    AlertNotification,
    BindTransmitter,
    CancelSm,
    DataSm,
    Pdu,
    QuerySm,
    SubmitMulti,
    SubmitSm,
)
from tests.smpp.test_quirks import framed

READ = codec.reader()


class BadInputTests(SynchronousTestCase):
    """One bad PDU costs one answer."""

    def refused(self, frame: bytes) -> Answerable:
        """Return the refusal of a frame, which names a place and can be answered."""
        (found,) = READ([frame])
        assert isinstance(found, Answerable), found
        self.assertEqual(found.sequence_number, int.from_bytes(frame[12:16], "big"))
        self.assertTrue(found.why)
        return found

    def answered(self, frame: bytes) -> tuple[int, int]:
        """Return command_id and status of the answer to a frame."""
        answer = codec.refusal(self.refused(frame))
        assert answer is not None
        octets = codec.encode(answer)
        return int.from_bytes(octets[4:8], "big"), int.from_bytes(octets[8:12], "big")

    def test_unknown_commands(self) -> None:
        """An unknown request, also one of 3.3 alone or of a vendor, gets generic_nack; a response gets nothing."""
        for command_id in (0, 0x0A, 0x22, 0x23, 0x24, 0x00010200, 0x7FFFFFFF):
            self.assertEqual(self.answered(framed(command_id, 0, "")), (0x80000000, Status.ESME_RINVCMDID))
        for command_id in (0x8000000A, 0x8000000B, 0x80000102, 0xFFFFFFFF):
            wrong = self.refused(framed(command_id, 0, "0102"))
            self.assertIsNone(codec.refusal(wrong))

    def test_body_too_short(self) -> None:
        """A body that ends before its mandatory fields is answered with ESME_RINVCMDLEN by its own response."""
        whole = codec.encode(SubmitSm(7, b"", 1, 1, b"79", 1, 1, b"12", short_message=b""))
        for end in range(16, len(whole)):
            command_id, status = self.answered(whole[:end])
            self.assertEqual(command_id, CommandId.SUBMIT_SM_RESP)
            in_source, in_destination = end in (20, 21), end in (25, 26)
            wanted = Status.ESME_RINVCMDLEN
            if in_source or in_destination:
                wanted = Status.ESME_RINVSRCADR if in_source else Status.ESME_RINVDSTADR
            self.assertEqual(status, wanted, end)

    def test_no_response_of_their_own(self) -> None:
        """A faulty PDU without a response of its own is refused by generic_nack."""
        for pdu in (AlertNotification(7, source_addr=b"x" * 65), AlertNotification(7, esme_addr=b"x" * 200)):
            self.assertEqual(self.answered(codec.encode(pdu))[0], CommandId.GENERIC_NACK)
        self.assertEqual(self.answered(framed(0x0B, 0, ""))[0], CommandId.GENERIC_NACK)

    def test_unterminated(self) -> None:
        """A C-Octet String without NUL is refused with the status of its field and never read past the end."""
        for command_id, octets, status in (
            (0x04, "434d54", Status.ESME_RINVSERTYP),
            (0x04, "00" + "0101" + "3739", Status.ESME_RINVSRCADR),
            (0x04, "00" + "010137390001013132", Status.ESME_RINVDSTADR),
            (0x04, "00" + "0101373900" + "0101313200" + "000000" + "3235", Status.ESME_RINVSCHED),
            (0x04, "00" + "0101373900" + "0101313200" + "000000" + "00" + "3235", Status.ESME_RINVEXPIRY),
            (0x09, "65736d65", Status.ESME_RINVSYSID),
            (0x09, "65736d6500" + "7077", Status.ESME_RINVPASWD),
            (0x09, "65736d6500" + "707700" + "564d53", Status.ESME_RINVSYSTYP),
            (0x09, "65736d6500" + "707700" + "00" + "340000" + "5e", Status.ESME_RINVCMDLEN),
            (0x03, "3737", Status.ESME_RINVMSGID),
            (0x21, "00" + "0101373900" + "01" + "02" + "4c", Status.ESME_RINVDLNAME),
        ):
            for repeated in (1, 100):
                padded = octets + octets[-2:] * 300 if repeated > 1 else octets
                self.assertEqual(self.answered(framed(command_id, 0, padded))[1], status, octets)

    def test_too_long(self) -> None:
        """A C-Octet String over its maximum is refused with the status of its field; at its maximum it is accepted."""
        for make, most, status in (
            (lambda text: SubmitSm(7, source_addr=text), 21, Status.ESME_RINVSRCADR),
            (lambda text: SubmitSm(7, destination_addr=text), 21, Status.ESME_RINVDSTADR),
            (lambda text: SubmitSm(7, service_type=text), 6, Status.ESME_RINVSERTYP),
            (lambda text: BindTransmitter(7, system_id=text), 16, Status.ESME_RINVSYSID),
            (lambda text: BindTransmitter(7, password=text), 9, Status.ESME_RINVPASWD),
            (lambda text: BindTransmitter(7, system_type=text), 13, Status.ESME_RINVSYSTYP),
            (lambda text: BindTransmitter(7, address_range=text), 41, Status.ESME_RINVCMDLEN),
            (lambda text: QuerySm(7, message_id=text), 65, Status.ESME_RINVMSGID),
            (lambda text: CancelSm(7, message_id=text), 65, Status.ESME_RINVMSGID),
            (lambda text: DataSm(7, source_addr=text), 65, Status.ESME_RINVSRCADR),
            (lambda text: SubmitMulti(7, dest_address=[SmeAddress(1, 1, text)]), 21, Status.ESME_RINVDSTADR),
            (lambda text: SubmitMulti(7, dest_address=[DistributionList(text)]), 21, Status.ESME_RINVDLNAME),
        ):
            (taken,) = READ([codec.encode(make(b"7" * (most - 1)))])
            self.assertIsInstance(taken, Pdu)
            for length in (most, 255, 256, 5000):
                self.assertEqual(self.answered(codec.encode(make(b"7" * length)))[1], status, (most, length))

    def test_codec_bound(self) -> None:
        """Without maxima a C-Octet String may have 255 characters and no more."""
        for make in (lambda text: SubmitSm(7, source_addr=text), lambda text: SubmitSm(7, validity_period=text)):
            self.assertIsInstance(codec.decode(codec.encode(make(b"7" * 255))), SubmitSm)
            self.assertRaises(Answerable, codec.decode, codec.encode(make(b"7" * 256)))

    def test_times_of_wrong_length(self) -> None:
        """A schedule or validity that is neither empty nor 16 characters is refused as such."""
        for length in (1, 12, 15, 17, 100):
            octets = b"2" * length
            schedule = codec.encode(SubmitSm(7, schedule_delivery_time=octets))
            self.assertEqual(self.answered(schedule)[1], Status.ESME_RINVSCHED)
            validity = codec.encode(SubmitSm(7, validity_period=octets))
            self.assertEqual(self.answered(validity)[1], Status.ESME_RINVEXPIRY)

    def test_sm_length(self) -> None:
        """sm_length past the end is ESME_RINVMSGLEN; 255 octets, one more than 3.4 allows, are accepted."""
        frame = codec.encode(SubmitSm(7, short_message=b"hello"))
        for length in (6, 255):
            damaged = frame[:-6] + bytes([length]) + frame[-5:]
            self.assertEqual(self.answered(damaged), (CommandId.SUBMIT_SM_RESP, Status.ESME_RINVMSGLEN))
        for length in (254, 255):
            pdu = codec.decode(codec.encode(SubmitSm(7, short_message=b"x" * length)))
            self.assertEqual(pdu.user_data(), b"x" * length)

    def test_sm_length_one_too_small(self) -> None:
        """A final NUL that sm_length leaves out is dropped."""
        frame = codec.encode(SubmitSm(7, short_message=b"hello\0"))
        damaged = frame[:-7] + b"\5" + frame[-6:]
        self.assertEqual(codec.decode(damaged).user_data(), b"hello")

    def test_cut_tlvs(self) -> None:
        """A TLV whose value runs past the end is ESME_RINVTLVSTREAM; so are stray octets in the place of a TLV."""
        frame = codec.encode(SubmitSm(7, short_message=b"hello"))
        for tail in ("04240001", "0424ffff", "04240002" + "61", "deadbeef", "0204000201f4" + "04240009" + "6869"):
            octets = frame + bytes.fromhex(tail)
            octets = len(octets).to_bytes(4, "big") + octets[4:]
            self.assertEqual(self.answered(octets), (CommandId.SUBMIT_SM_RESP, Status.ESME_RINVTLVSTREAM), tail)

    def test_lying_number_of_dests(self) -> None:
        """Fewer destinations than number_of_dests says, none at all, or of an unknown kind, are refused."""
        frame = codec.encode(SubmitMulti(7, dest_address=[SmeAddress(1, 1, b"79")], short_message=b"x"))
        for count in (2, 255):
            damaged = frame[:20] + bytes([count]) + frame[21:]
            self.assertIsInstance(codec.refusal(self.refused(damaged)), Pdu)
        empty = codec.encode(SubmitMulti(7, short_message=b"x"))
        self.assertEqual(self.answered(empty)[1], Status.ESME_RINVNUMDESTS)
        for flag in (0, 3, 255):
            damaged = frame[:21] + bytes([flag]) + frame[22:]
            self.assertEqual(self.answered(damaged)[1], Status.ESME_RINVDESTFLAG)

    def test_most_destinations(self) -> None:
        """255 destinations are accepted."""
        pdu = SubmitMulti(7, dest_address=[SmeAddress(1, 1, b"%d" % number) for number in range(255)])
        (read,) = READ([codec.encode(pdu)])
        assert isinstance(read, SubmitMulti)
        self.assertEqual(list(read.dest_address), pdu.dest_address)

    def test_unlisted_values(self) -> None:
        """The codec reads any value of TON, NPI, esm_class and flags."""
        pdu = SubmitSm(7, b"", 9, 77, b"79", 255, 254, b"12", 0xFF, 0xFF, 9, b"", b"", 0xFF, 7, 0xEE, 255, b"x")
        self.assertEqual(codec.encode(codec.decode(codec.encode(pdu))), codec.encode(pdu))

    def test_order_is_kept(self) -> None:
        """decode_many returns a bad PDU among good ones as a value in its place."""
        good = codec.encode(SubmitSm(1, short_message=b"x"))
        found = READ([good, framed(0x22, 0, ""), good])
        self.assertEqual([type(value) for value in found], [SubmitSm, Answerable, SubmitSm])

    def test_every_status_can_be_described(self) -> None:
        """describe has words for any 32-bit status, and the name of a known one."""
        for status in Status:
            self.assertIn(status.name, describe(status))
        self.assertIn("vendor", describe(0x433))
        self.assertIn("0xDEADBEEF", describe(0xDEADBEEF))
