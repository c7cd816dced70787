"""The declarations of PDUs and TLVs, and the maxima of their fields."""

import attrs
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from smsgw.smpp import codec, maxima
from smsgw.smpp.consts import Status, Tag
from smsgw.smpp.errors import Answerable, PduError
from smsgw.smpp.fields import SmeAddress, UnsuccessSme
from smsgw.smpp.pdus import (
    PDUS,
    BindTransceiver,
    DataSm,
    Pdu,
    QuerySmResp,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
)
from smsgw.smpp.tlvs import TLV_TYPES, Kind, TlvType, tlv, tlv_value
from tests.smpp.strategies import any_pdu, known_tlvs


class DeclarationTests(SynchronousTestCase):
    """The PDU classes."""

    def test_slots(self) -> None:
        """No PDU has room for an attribute that was not declared."""
        for cls in PDUS:
            self.assertRaises(AttributeError, setattr, cls(), "sm_lenght", 1)

    def test_positions(self) -> None:
        """Requests are made by sequence_number and body, responses by sequence_number, command_status and body."""
        self.assertEqual(SubmitSmResp(7, 8, b"9").message_id, b"9")
        pdu = SubmitSm(7, b"CMT", 1, 2, b"3", 4, 5, b"6")
        self.assertEqual((pdu.sequence_number, pdu.service_type, pdu.destination_addr), (7, b"CMT", b"6"))

    def test_names(self) -> None:
        """The name of a PDU is that of the specification and matches its class."""
        for cls in PDUS:
            self.assertEqual(cls.name.replace("_", ""), cls.__name__.lower())

    @given(any_pdu)
    def test_items(self, pdu: Pdu) -> None:
        """items yields every attribute once, the TLVs last."""
        names = [name for name, _ in pdu.items()]
        self.assertEqual(sorted(names), sorted(field.name for field in attrs.fields(type(pdu))))
        self.assertEqual(names[-1], "tlvs")
        self.assertIn(type(pdu).__name__, repr(pdu))


class TlvTests(SynchronousTestCase):
    """Building and reading TLVs."""

    def test_declared(self) -> None:
        """Every tag has its type."""
        self.assertEqual(set(TLV_TYPES), set(Tag))

    @given(known_tlvs)
    def test_round_trip(self, pair: tuple[int, int | bytes]) -> None:
        """tlv_value reads the value that tlv was given."""
        tag, value = pair
        built = tlv(tag, value)
        declared: TlvType = TLV_TYPES[tag]
        self.assertTrue(declared.least <= len(built[1]) <= declared.most)
        self.assertEqual(tlv_value(*built), value)
        self.assertEqual(DataSm(tlvs=[built]).tlv(tag), value)

    def test_refused(self) -> None:
        """A number that does not fit, or for a tag that holds octets, is a PduError."""
        for tag, value in (
            (Tag.MESSAGE_STATE, 256),
            (Tag.SOURCE_PORT, -1),
            (Tag.MESSAGE_PAYLOAD, 5),
            (0x1403, 5),
            (Tag.MESSAGE_PAYLOAD, b"x" * 65536),
        ):
            self.assertRaises(PduError, tlv, tag, value)

    def test_lengths_of_5_0(self) -> None:
        """ms_validity may have 4 octets, which are built from bytes."""
        self.assertEqual(TLV_TYPES[Tag.MS_VALIDITY].kind, Kind.INTEGER)
        self.assertEqual(tlv(Tag.MS_VALIDITY, b"\4\1\0\5"), (Tag.MS_VALIDITY, b"\4\1\0\5"))
        self.assertEqual(tlv(Tag.ALERT_ON_MESSAGE_DELIVERY), (Tag.ALERT_ON_MESSAGE_DELIVERY, b""))


class MaximaTests(SynchronousTestCase):
    """How long a field may be."""

    def test_table(self) -> None:
        """The table holds the maxima of the specification for each operation."""
        self.assertEqual(
            maxima.MAXIMA["bind_receiver"], {"system_id": 16, "password": 9, "system_type": 13, "address_range": 41}
        )
        self.assertEqual(maxima.MAXIMA["data_sm"]["source_addr"], 65)
        self.assertEqual(maxima.MAXIMA["submit_sm"]["source_addr"], 21)
        self.assertEqual(maxima.MAXIMA["enquire_link"], {})

    def test_raised(self) -> None:
        """A maximum can be raised for all operations or for one; the others stay."""
        raised = maxima.raise_maxima({"system_type": 65, "bind_transceiver.password": 33})
        long = BindTransceiver(1, b"esme", b"p" * 32, b"t" * 64)
        self.assertEqual(maxima.length_fault(long, raised)[0], 0)
        self.assertEqual(maxima.length_fault(long)[0], Status.ESME_RINVPASWD)
        self.assertEqual(raised["bind_receiver"]["password"], 9)
        self.assertEqual(raised["bind_receiver"]["system_type"], 65)
        self.assertEqual(maxima.MAXIMA["bind_receiver"]["system_type"], 13)

    def test_lowered(self) -> None:
        """A maximum may also be lowered."""
        pdu = SubmitSm(1, source_addr=b"123456")
        lowered = maxima.raise_maxima({"submit_sm.source_addr": 6})
        self.assertEqual(maxima.length_fault(pdu, lowered), (Status.ESME_RINVSRCADR, "source_addr"))

    def test_nonsense(self) -> None:
        """A field that does not exist, or more than the codec reads, is a ValueError that names it."""
        for place, most in (
            ("sytem_type", 9),
            ("submit_sm.password", 9),
            ("unknown.password", 9),
            ("password", 257),
            ("password", 0),
        ):
            wrong = self.assertRaises(ValueError, maxima.raise_maxima, {place: most})
            self.assertIn(place, str(wrong))
            self.assertRaises(ValueError, codec.reader, raised={place: most})

    def test_times(self) -> None:
        """Reported times may also have twelve characters."""
        for length, status in ((0, 0), (12, 0), (16, 0), (13, Status.ESME_RINVEXPIRY)):
            self.assertEqual(maxima.length_fault(QuerySmResp(1, final_date=b"2" * length))[0], status)

    def test_lists(self) -> None:
        """The entries of lists are checked."""
        self.assertEqual(maxima.length_fault(SubmitMulti(1))[0], Status.ESME_RINVNUMDESTS)
        self.assertEqual(maxima.length_fault(SubmitMulti(1, dest_address=[SmeAddress(1, 1, b"7" * 20)]))[0], 0)
        failed = SubmitMultiResp(1, 0, b"1", [UnsuccessSme(1, 1, b"7" * 21)])
        self.assertEqual(maxima.length_fault(failed)[0], Status.ESME_RINVDSTADR)

    @given(any_pdu)
    def test_reader_agrees(self, pdu: Pdu) -> None:
        """A reader refuses exactly the requests that length_fault refuses, with the same status."""
        (found,) = codec.reader()([codec.encode(pdu)])
        wanted = 0 if pdu.is_response else maxima.length_fault(pdu)[0]
        self.assertEqual(found.status if isinstance(found, Answerable) else 0, wanted)

    def test_readers_are_shared(self) -> None:
        """Sessions with the same maxima share one reader, so that a connection costs no compilation."""
        self.assertIs(codec.reader(0x34, {"password": 33}), codec.reader(0x34, {"password": 33}))
        self.assertIs(codec.reader(0x34), codec.reader(0x50))
        self.assertIsNot(codec.reader(0x33), codec.reader(0x34))
