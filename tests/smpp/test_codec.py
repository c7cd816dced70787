"""Properties of the codec: round trips, any cut of the stream, damaged input."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.smpp import codec, maxima
from smsgw.smpp.consts import VERSION_3_3, VERSION_3_4, VERSION_5_0, CommandId, Status, Tag
from smsgw.smpp.errors import Answerable, PduError, Unframed
from smsgw.smpp.fields import Failures, Integer, SmeAddress, UnsuccessSme, Wire
from smsgw.smpp.pdus import (
    BY_ID,
    HEADER,
    PDUS,
    BindReceiverResp,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    BodyOnError,
    CancelSmResp,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    GenericNack,
    Pdu,
    QuerySmResp,
    ReplaceSmResp,
    Response,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    body,
    size,
)
from smsgw.smpp.tlvs import MOST_TLVS, tlv
from tests.smpp.strategies import any_pdu, values
from tests.smpp.test_examples import EXAMPLES

MUTANTS = 100_000
SEED = 20_030_219


def loses_body(pdu: Response, version: int) -> bool:
    """Whether a failed response is written without the fields and TLVs that it has."""
    return pdu.body_on_error[version] is BodyOnError.NEVER and bool(body(type(pdu)))


def filled(wire: Wire) -> Any:
    """Return a value that is not the default of its field."""
    if isinstance(wire, Integer):
        return 5
    return (UnsuccessSme(1, 1, b"7", 10),) if isinstance(wire, Failures) else b"x"


class RoundTripTests(SynchronousTestCase):
    """encode and decode undo each other."""

    @settings(max_examples=600)
    @given(any_pdu, st.sampled_from((VERSION_3_4, VERSION_5_0)))
    def test_any_values(self, pdu: Pdu, version: int) -> None:
        """Any PDU is decoded as it was encoded, except for the body that a failed response does not have."""
        wanted = values(pdu)
        if isinstance(pdu, Response) and pdu.command_status and loses_body(pdu, version):
            wanted = values(type(pdu)(pdu.sequence_number)) | {"command_status": pdu.command_status}
        octets = codec.encode(pdu, version)
        self.assertEqual(values(codec.decode(octets, version)), wanted)
        self.assertEqual(int.from_bytes(octets[:4], "big"), len(octets))
        if wanted == values(pdu) and len(octets) > HEADER:
            self.assertEqual(size(pdu), len(octets))

    def test_every_class(self) -> None:
        """Each PDU can be made without arguments, and with its last field alone; both are read back."""
        for cls in PDUS:
            last: dict[str, Any] = {name: filled(wire) for name, wire in body(cls)[-1:]}
            for pdu in (cls(), cls(77, **last)):
                self.assertEqual(values(codec.decode(codec.encode(pdu))), values(pdu))

    @given(any_pdu)
    def test_for_3_3(self, pdu: Pdu) -> None:
        """The 3.3 form has every field, no TLV and a body in every response, and is decoded the same way."""
        octets = codec.encode(pdu, VERSION_3_3)
        self.assertEqual(len(octets), size(pdu) - sum(4 + len(value) for _, value in pdu.tlvs))
        wanted = values(pdu) | {"tlvs": []}
        self.assertEqual(values(codec.decode(octets, VERSION_3_3)), wanted)
        with_tlvs = codec.encode(pdu)
        if not isinstance(pdu, Response):
            self.assertEqual(values(codec.decode(with_tlvs, VERSION_3_3)), wanted)

    def test_i1_body_of_refusals(self) -> None:
        """A refusal has the mandatory fields that its version demands, empty: 3.4 leaves out the body of bind responses
        and submit_sm_resp only, 3.3 of none, 5.0 of all."""
        header_only = ""
        for cls, bodies in {
            BindReceiverResp: ("00", header_only, header_only),
            BindTransmitterResp: ("00", header_only, header_only),
            BindTransceiverResp: ("00", header_only, header_only),
            SubmitSmResp: ("00", header_only, header_only),
            SubmitMultiResp: ("0000", "0000", header_only),
            DeliverSmResp: ("00", "00", header_only),
            DataSmResp: ("00", "00", header_only),
            QuerySmResp: ("00000000", "00000000", header_only),
            CancelSmResp: (header_only, header_only, header_only),
            ReplaceSmResp: (header_only, header_only, header_only),
        }.items():
            for version, octets in zip((VERSION_3_3, VERSION_3_4, VERSION_5_0), bodies, strict=True):
                pdu = cls(0x0102, Status.ESME_RINVMSGID)
                wanted = f"{16 + len(octets) // 2:08x}{cls.command_id:08x}0000000c00000102{octets}"
                self.assertEqual(codec.encode(pdu, version).hex(), wanted, (cls.name, version))
                self.assertEqual(codec.encode_many([pdu], version).hex(), wanted, (cls.name, version))
                self.assertEqual(values(codec.decode(bytes.fromhex(wanted), version)), values(pdu))

    @given(st.lists(any_pdu, max_size=6))
    def test_many(self, pdus: list[Pdu]) -> None:
        """encode_many returns the encodings in a row; decode_many reads them back in order."""
        octets = codec.encode_many(pdus)
        self.assertEqual(octets, b"".join(codec.encode(pdu) for pdu in pdus))
        found = codec.decode_many(codec.Framer(1 << 20).feed(octets))
        self.assertEqual([type(pdu) for pdu in found], [type(pdu) for pdu in pdus])

    @given(any_pdu)
    def test_fast_is_careful(self, pdu: Pdu) -> None:
        """The generated decoders read exactly what the careful reader reads."""
        frame = codec.encode(pdu)
        careful = codec._read_with_care(frame, True)
        assert isinstance(careful, Pdu)
        self.assertEqual(values(codec.decode(frame)), values(careful))

    def test_registry(self) -> None:
        """Every command_id of the specification has its class, and every request its response."""
        self.assertEqual(set(BY_ID), {int(command) for command in CommandId})
        for command_id, cls in BY_ID.items():
            self.assertEqual(cls.is_response, bool(command_id & 0x8000_0000))
            response = getattr(cls, "response", None)
            if response is not None:
                self.assertEqual(response.command_id, command_id | 0x8000_0000)


class FramerTests(SynchronousTestCase):
    """The Framer finds the bounds of PDUs."""

    @given(st.lists(any_pdu, min_size=1, max_size=6), st.lists(st.integers(0, 1 << 16), max_size=12))
    def test_any_split(self, pdus: list[Pdu], cuts: list[int]) -> None:
        """Any cut of the stream gives the same frames and leaves no octet pending."""
        frames = [codec.encode(pdu) for pdu in pdus]
        stream = b"".join(frames)
        edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
        framer = codec.Framer()
        found: list[bytes] = []
        for start, end in itertools.pairwise(edges):
            found += framer.feed(stream[start:end])
            self.assertEqual(framer.pending, end - sum(map(len, found)))
        self.assertEqual(found, frames)
        self.assertIsNone(framer.broken)

    def test_pieces_of_every_size(self) -> None:
        """All valid examples in a row give the same frames in pieces of 1 to 200 octets and in one piece."""
        frames = [bytes.fromhex(example["hex"]) for example in EXAMPLES if example["valid"]]
        stream = b"".join(frames)
        for step in (*range(1, 201), len(stream)):
            framer = codec.Framer()
            found = [frame for at in range(0, len(stream), step) for frame in framer.feed(stream[at : at + step])]
            self.assertEqual(found, frames, step)

    def test_a_thousand_in_one_read(self) -> None:
        """One read may hold a thousand PDUs and the beginning of another."""
        frame = codec.encode(EnquireLink(7))
        framer = codec.Framer()
        self.assertEqual(framer.feed(frame * 1000 + frame[:5]), [frame] * 1000)
        self.assertEqual(framer.pending, 5)
        self.assertEqual(framer.feed(frame[5:]), [frame])

    def test_bounds(self) -> None:
        """Lengths of 16 and of the limit are accepted; 0 to 15 and more than the limit break the stream at once."""
        for length in (16, 64):
            framer = codec.Framer(64)
            self.assertEqual(framer.feed(length.to_bytes(4, "big")), [])
            self.assertIsNone(framer.broken)
        for length in (*range(16), 65, 0x7FFF_FFFF, 0xFFFF_FFFF):
            for step in (1, 2, 4, 20):
                octets = length.to_bytes(4, "big") + b"\0\0\0\x15" * 4
                framer = codec.Framer(64)
                found = [frame for at in range(0, 20, step) for frame in framer.feed(octets[at : at + step])]
                assert framer.broken is not None
                self.assertEqual((found, framer.pending, framer.broken.status), ([], 0, Status.ESME_RINVCMDLEN))
                self.assertIn(str(length), framer.broken.why)
                self.assertEqual(framer.feed(codec.encode(EnquireLink(1))), [])

    def test_decided_on_four_octets(self) -> None:
        """An impossible length is refused before the rest of its header has come, then with sequence_number 0."""
        framer = codec.Framer()
        framer.feed(b"\x7f\xff")
        self.assertIsNone(framer.broken)
        framer.feed(b"\xff\xff")
        assert framer.broken is not None
        self.assertEqual(framer.broken.sequence_number, 0)
        self.assertEqual(values(codec.refusal(framer.broken) or Pdu())["command_status"], Status.ESME_RINVCMDLEN)

    def test_number_of_a_whole_header(self) -> None:
        """If the whole header is there, its sequence_number goes into the answer."""
        framer = codec.Framer()
        good = codec.encode(EnquireLink(5))
        self.assertEqual(framer.feed(good + bytes.fromhex("0000000f000000150000000000000009")), [good])
        assert framer.broken is not None
        self.assertEqual(framer.broken.sequence_number, 9)

    def test_big_pdu_in_single_octets(self) -> None:
        """The largest PDU may come octet by octet."""
        pdu = DeliverSm(1, tlvs=[tlv(Tag.MESSAGE_PAYLOAD, b"x" * 0xFFFF)])
        octets = codec.encode(pdu)
        framer = codec.Framer(len(octets))
        found = [frame for at in range(len(octets)) for frame in framer.feed(octets[at : at + 1])]
        self.assertEqual(found, [octets])


class EncodeTests(SynchronousTestCase):
    """encode refuses a value that does not fit, and names its field."""

    def test_failed_response(self) -> None:
        """Where a failed response is only a header, what a caller filled in is written if it has a meaning there."""
        self.assertEqual(len(codec.encode(SubmitSmResp(1, 0x58))), 16)
        self.assertEqual(len(codec.encode(BindTransmitterResp(1, 0x0D, b"smsc"))), 16)
        self.assertEqual(len(codec.encode(QuerySmResp(1, 0x67, b"77"), VERSION_5_0)), 16)
        self.assertEqual(len(codec.encode(SubmitSmResp(1, 0x0B, b"77"))), 19)
        reason = tlv(Tag.DELIVERY_FAILURE_REASON, 1)
        for version in (VERSION_3_4, VERSION_5_0):
            octets = codec.encode(DataSmResp(1, 0xFE, tlvs=[reason]), version)
            self.assertEqual(octets[16:].hex(), "00" + "0425000101")

    def test_refused(self) -> None:
        """Every value that does not fit its field is a PduError that names operation and field."""
        for pdu, named in (
            (SubmitSm(source_addr=b"a\0b"), "source_addr"),
            (SubmitSm(service_type=b"\0"), "service_type"),
            (SubmitSm(validity_period=b"\0"), "validity_period"),
            (SubmitSm(short_message=b"x" * 256), "short_message"),
            (SubmitSm(esm_class=256), "esm_class"),
            (SubmitSm(data_coding=-1), "data_coding"),
            (SubmitSm(source_addr=None), "source_addr"),  # type: ignore[arg-type]
            (SubmitSm(source_addr="text"), "source_addr"),  # type: ignore[arg-type]
            (SubmitSm(short_message="text"), "short_message"),  # type: ignore[arg-type]
            (SubmitSm(esm_class="x"), "esm_class"),  # type: ignore[arg-type]
            (SubmitSm(1 << 32), "header"),
            (SubmitSmResp(1, -1), "header"),
            (SubmitSmResp(1, 0, b"1\0"), "message_id"),
            (DeliverSm(tlvs=[(1 << 16, b"")]), "TLV"),
            (DeliverSm(tlvs=[(1, b"x" * 65536)]), "TLV"),
            (SubmitMulti(dest_address=[SmeAddress(1, 1, b"\0")]), "destination_addr"),
            (SubmitMulti(dest_address=[SmeAddress()] * 256), "number_of_dests"),
        ):
            wrong = self.assertRaises(PduError, codec.encode, pdu)
            self.assertIn(named, wrong.why)
            self.assertIn(pdu.name, wrong.why)
            self.assertRaises(PduError, codec.encode_many, [GenericNack(), pdu])

    def test_nul_cannot_be_smuggled(self) -> None:
        """No C-Octet String of any PDU can be written with a NUL in it."""
        for cls in PDUS:
            for field in maxima.MAXIMA[cls.name]:
                smuggled: dict[str, Any] = {field: b"1\x002"}
                self.assertRaises(PduError, codec.encode, cls(**smuggled))
                self.assertRaises(PduError, codec.encode, cls(**smuggled), VERSION_3_3)

    def test_repr_keeps_secrets(self) -> None:
        """A PDU in a log shows neither password nor text nor whole numbers."""
        shown = repr(SubmitSm(1, source_addr=b"79161234567", short_message=b"code 7719"))
        self.assertNotIn("7719", shown)
        self.assertNotIn("79161234567", shown)
        self.assertNotIn("hunter2", repr(BindTransmitter(password=b"hunter2")))
        self.assertNotIn("7719", repr(SubmitSm(1, tlvs=[tlv(Tag.MESSAGE_PAYLOAD, b"7719")])))
        self.assertNotIn("7916", repr(SubmitMulti(1, dest_address=[SmeAddress(1, 1, b"79161234567")])))


def mutants() -> Iterator[bytes]:
    """Yield frames made of valid ones by small damage: octets changed, dropped, doubled, swapped between PDUs."""
    dice = random.Random(SEED)
    seeds = [bytes.fromhex(example["hex"]) for example in EXAMPLES if len(example["hex"]) >= 32]
    for _ in range(MUTANTS):
        frame = bytearray(dice.choice(seeds))
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(frame)) if frame else 0
            match dice.randrange(7):
                case 0:
                    frame[at : at + 1] = bytes([dice.randrange(256)])
                case 1:
                    frame[at : at + 1] = b"\0"
                case 2:
                    del frame[at:]
                case 3:
                    del frame[at : at + dice.randrange(1, 4)]
                case 4:
                    frame[at:at] = dice.randbytes(dice.randrange(1, 5))
                case 5:
                    frame[at:] = dice.choice(seeds)[at:]
                case _:
                    frame[4:8] = dice.choice(seeds)[4:8]
        yield bytes(frame)


class JunkTests(SynchronousTestCase):
    """Damaged octets raise only the declared errors."""

    def test_mutants(self) -> None:
        """Each of 100,000 damaged PDUs is read, identically by both readers, or refused with a status."""
        read = refused = 0
        reader = codec.reader()
        for frame in mutants():
            (found,) = codec.decode_many([frame])
            if isinstance(found, Answerable):
                refused += 1
                self.assertGreater(found.status, 0)
                answer = codec.refusal(found)
                if answer is not None:
                    self.assertEqual(codec.encode(answer)[12:16], found.sequence_number.to_bytes(4, "big"))
            else:
                read += 1
                again = codec.decode(codec.encode(found))
                self.assertEqual(type(again), type(found))
                if not found.is_response:
                    self.assertEqual(values(again), values(found))
                    (checked,) = reader([frame])
                    self.assertEqual(isinstance(checked, Answerable), bool(maxima.length_fault(found)[0]), frame.hex())
        self.assertGreater(min(read, refused), MUTANTS // 10)

    @given(st.binary(max_size=200))
    def test_stream_of_junk(self, junk: bytes) -> None:
        """Any octets on the port give frames, a wait for more, or a broken stream, and never an exception."""
        framer = codec.Framer()
        for frame in framer.feed(junk):
            for found in codec.decode_many([frame]):
                self.assertIsInstance(found, Pdu | Answerable)
        self.assertIsInstance(framer.broken, Unframed | None)
        self.assertLessEqual(framer.pending, len(junk))

    @given(st.sampled_from(PDUS), st.binary(max_size=120))
    def test_any_body(self, cls: type[Pdu], octets: bytes) -> None:
        """A known header with any body is read or refused, also in 3.3."""
        frame = (16 + len(octets)).to_bytes(4, "big") + cls.command_id.to_bytes(4, "big") + b"\0\0\0\0\0\0\0\7" + octets
        for version in (0x33, 0x34):
            (found,) = codec.decode_many([frame], version)
            self.assertEqual(found.sequence_number, 7)

    def test_shorter_than_a_header(self) -> None:
        """decode refuses fewer octets than a header has."""
        for length in range(16):
            wrong = self.assertRaises(Answerable, codec.decode, bytes(length))
            self.assertEqual(wrong.status, Status.ESME_RINVCMDLEN)

    def test_every_truncation(self) -> None:
        """Each example cut short anywhere is read in part or refused, with its sequence_number."""
        for example in EXAMPLES:
            octets = bytes.fromhex(example["hex"])
            for end in range(16, len(octets)):
                (found,) = codec.decode_many([octets[:end]])
                self.assertEqual(found.sequence_number, int.from_bytes(octets[12:16], "big"))

    def test_tlv_flood(self) -> None:
        """The number of TLVs in one PDU is bounded."""
        at_most = codec.decode(codec.encode(DeliverSm(1, tlvs=[(1, b"")] * MOST_TLVS)))
        self.assertEqual(len(at_most.tlvs), MOST_TLVS)
        flood = codec.encode(DeliverSm(1, tlvs=[(1, b"")] * (MOST_TLVS + 1)))
        self.assertEqual(self.assertRaises(Answerable, codec.decode, flood).status, Status.ESME_RINVTLVSTREAM)
