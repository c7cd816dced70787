"""Hostile and broken octets on an SMPP port: the effect of each on its session, and none on others."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.smpp.server import SmppServerFactory, SmppServerSettings
from smsgw.smpp.codec import encode, encode_many
from smsgw.smpp.consts import Tag
from smsgw.smpp.pdus import BindTransceiver, EnquireLink, QuerySm, SubmitMulti, SubmitSm, Unbind
from smsgw.smpp.tlvs import tlv
from tests.protocols.smpp.support import Peer, Recorder, bound, connect, delivers, submits, summary

Answers = list[tuple[str, int, int]]

HEADER: Final = struct.Struct(">IIII")
ALIVE: Final = encode(EnquireLink(0x77))
LIVES: Final = ("enquire_link_resp", 0x77, 0)
CLIENT_HELLO: Final = bytes.fromhex("160301020001 0001fc0303".replace(" ", "")) + bytes(32)


def pdu(command_id: int, body: bytes, status: int = 0, number: int = 5) -> bytes:
    """A PDU with any body."""
    return HEADER.pack(16 + len(body), command_id, status, number) + body


def submit(**fields: object) -> bytes:
    """A submit_sm with sequence_number 5 and some bad fields."""
    made = SubmitSm(5, b"", 5, 0, b"DEMO", 1, 1, b"79161234567", short_message=b"hi")
    for name, value in fields.items():
        setattr(made, name, value)
    return encode(made)


SUBMIT: Final = submit()

# PDUs of a bound client, and the answers to them; the session goes on.
HARMLESS: Final[Mapping[str, tuple[bytes, Answers]]] = {
    "body shorter than the mandatory fields": (pdu(4, SUBMIT[16:25]), [("submit_sm_resp", 5, 0x02)]),
    "no body at all": (pdu(4, b""), [("submit_sm_resp", 5, 0x02)]),
    "sm_length one too many": (pdu(4, SUBMIT[16:-3] + b"\x03hi"), [("submit_sm_resp", 5, 0x01)]),
    "sm_length 255": (pdu(4, SUBMIT[16:-3] + b"\xffhi"), [("submit_sm_resp", 5, 0x01)]),
    "one uncounted NUL after the text": (pdu(4, SUBMIT[16:] + b"\0"), [("submit_sm_resp", 5, 0)]),
    "three stray octets after the text": (pdu(4, SUBMIT[16:] + b"\0\0\0"), [("submit_sm_resp", 5, 0)]),
    "TLV header and no value": (pdu(4, SUBMIT[16:] + b"\x02\x04\x00\x02"), [("submit_sm_resp", 5, 0xC0)]),
    "TLV past the end": (pdu(4, SUBMIT[16:] + b"\x04\x24\xff\xffxyz"), [("submit_sm_resp", 5, 0xC0)]),
    "service_type too long": (submit(service_type=b"123456"), [("submit_sm_resp", 5, 0x15)]),
    "source_addr too long": (submit(source_addr=b"7" * 21), [("submit_sm_resp", 5, 0x0A)]),
    "destination_addr too long": (submit(destination_addr=b"7" * 21), [("submit_sm_resp", 5, 0x0B)]),
    "source_addr without NUL": (pdu(4, b"\0\5\0" + b"7" * 300), [("submit_sm_resp", 5, 0x0A)]),
    "destination_addr without NUL": (pdu(4, b"\0\5\0DEMO\0\1\1" + b"7" * 300), [("submit_sm_resp", 5, 0x0B)]),
    "schedule_delivery_time of 3": (submit(schedule_delivery_time=b"123"), [("submit_sm_resp", 5, 0x61)]),
    "validity_period of 3": (submit(validity_period=b"123"), [("submit_sm_resp", 5, 0x62)]),
    "message_id too long": (encode(QuerySm(5, b"1" * 65)), [("query_sm_resp", 5, 0x0C)]),
    "submit_multi without destinations": (encode(SubmitMulti(5)), [("submit_multi_resp", 5, 0x33)]),
    "submit_multi with too large a count": (
        pdu(0x21, b"\0\0\0\0\xff\x01\1\1" + b"79161234567\0"),
        [("submit_multi_resp", 5, 0x02)],
    ),
    "submit_multi with a dest_flag of 9": (pdu(0x21, b"\0\0\0\0\x01\x09"), [("submit_multi_resp", 5, 0x40)]),
    "unknown request": (pdu(0x0777, b"x" * 50), [("generic_nack", 5, 0x03)]),
    "unknown request of a vendor": (pdu(0x00010200, b""), [("generic_nack", 5, 0x03)]),
    "unknown response": (pdu(0x80000777, b"x" * 50), []),
    "unexpected response": (pdu(0x80000004, b"1\0"), []),
    "malformed response": (pdu(0x80000005, b"no NUL"), []),
    "generic_nack for nothing": (pdu(0x80000000, b"", 3, 0), []),
    "failed response with stray octets after it": (pdu(0x80000004, b"\xff" * 9, 8), []),
    "number 0": (encode(EnquireLink(0)), [("enquire_link_resp", 0, 0)]),
    "number 0xFFFFFFFF": (encode(EnquireLink(0xFFFFFFFF)), [("enquire_link_resp", 0xFFFFFFFF, 0)]),
    "enquire_link with a little body": (pdu(0x15, b"hi"), [("enquire_link_resp", 5, 0)]),
    "enquire_link with a body": (pdu(0x15, b"hello"), [("enquire_link_resp", 5, 0xC0)]),
    "second bind": (encode(BindTransceiver(5, b"demo", b"demo")), [("bind_transceiver_resp", 5, 0x05)]),
    "deliver_sm from an ESME": (pdu(5, SUBMIT[16:]), [("deliver_sm_resp", 5, 0x04)]),
    "outbind from an ESME": (pdu(0x0B, b"a\0b\0"), [("generic_nack", 5, 0x04)]),
    "a status in a request": (pdu(0x15, b"", 0xFFFFFFFF), [("enquire_link_resp", 5, 0)]),
    "unlisted TON and NPI": (submit(source_addr_ton=99, dest_addr_npi=99), [("submit_sm_resp", 5, 0)]),
    "octets above ASCII in an address": (submit(source_addr=b"\xc4\xc5\xcc\xcf"), [("submit_sm_resp", 5, 0)]),
    "a TLV twice": (
        encode(SubmitSm(5, destination_addr=b"1", tlvs=[tlv(Tag.USER_MESSAGE_REFERENCE, 1)] * 2)),
        [("submit_sm_resp", 5, 0)],
    ),
    "message_payload and short_message": (
        encode(SubmitSm(5, destination_addr=b"1", short_message=b"a", tlvs=[tlv(Tag.MESSAGE_PAYLOAD, b"b")])),
        [("submit_sm_resp", 5, 0)],
    ),
    "ten thousand TLVs": (
        pdu(4, SUBMIT[16:] + b"\x14\x00\x00\x01x" * 10_000),
        [("submit_sm_resp", 5, 0xC0)],
    ),
}

# Octets that end a session with a generic_nack.
FATAL: Final[Mapping[str, tuple[bytes, Answers]]] = {
    **{
        f"command_length {length}": (HEADER.pack(length, 4, 0, 9), [("generic_nack", 9, 0x02)])
        for length in (0, 1, 4, 15, 128 * 1024 + 1, 0x7FFFFFFF, 0xFFFFFFFF)
    },
    "the first four octets decide": (b"\x7f\xff\xff\xff", [("generic_nack", 0, 0x02)]),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: example\r\n\r\n", [("generic_nack", 0, 0x02)]),
    "HTTP POST": (b"POST /x HTTP/1.1\r\n\r\n", [("generic_nack", 0, 0x02)]),
    "TLS": (CLIENT_HELLO, [("generic_nack", 0, 0x02)]),
    "SSH": (b"SSH-2.0-x\r\n", [("generic_nack", 0, 0x02)]),
}


class CatalogueTests(SynchronousTestCase):
    """Named vectors."""

    def test_harmless_faults(self) -> None:
        """Each of these gets one answer at most, and the session goes on."""
        for name, (octets, answers) in HARMLESS.items():
            with self.subTest(name):
                peer = bound()
                self.assertEqual(summary(peer.write(octets + ALIVE)), [*answers, LIVES])
                self.assertFalse(peer.closing)

    def test_harmless_faults_octet_by_octet(self) -> None:
        """The same, if every octet arrives alone."""
        for name, (octets, answers) in HARMLESS.items():
            with self.subTest(name):
                peer = bound()
                for at in range(min(len(octets), 400)):
                    peer.session.dataReceived(octets[at : at + 1])
                self.assertEqual(summary(peer.write(octets[400:] + ALIVE)), [*answers, LIVES])

    def test_harmless_faults_in_3_3(self) -> None:
        """None of them ends a 3.3 session either, and no answer has a TLV."""
        for name, (octets, _) in HARMLESS.items():
            with self.subTest(name):
                peer = connect()
                peer.bind(interface_version=0x33)
                answers = peer.write(octets + ALIVE)
                self.assertEqual(summary(answers)[-1], LIVES)
                self.assertEqual([answer.tlvs for answer in answers if answer.tlvs], [])

    def test_fatal(self) -> None:
        """Each of these ends the session with a generic_nack, before a bind and after it, and is not buffered."""
        for name, (octets, answers) in FATAL.items():
            for peer in (connect(), bound()):
                with self.subTest(name):
                    self.assertEqual(summary(peer.write(octets)), answers)
                    self.assertTrue(peer.closing)
                    self.assertEqual(peer.write(octets * 100 + ALIVE), [])
                    self.assertEqual(peer.session._framer.pending, 0)

    def test_fatal_behind_good_ones(self) -> None:
        """Requests before broken framing are answered first."""
        for name, (octets, answers) in FATAL.items():
            with self.subTest(name):
                peer = bound()
                self.assertEqual(
                    summary(peer.write(encode_many(submits(2, 3)) + octets)),
                    [("submit_sm_resp", 2, 0), ("submit_sm_resp", 3, 0), *answers],
                )

    def test_other_protocols_are_named(self) -> None:
        """Octets of another protocol give one log line with its name, without any of the octets."""
        for octets, word in ((CLIENT_HELLO, "TLS"), (b"GET /x?password=hunter2 HTTP/1.1\r\n\r\n", "HTTP")):
            lines: list[str] = []

            def observe(event: Mapping[str, object], lines: list[str] = lines) -> None:
                if "smpp" in str(event.get("log_namespace")):
                    lines.append(str(event.get("why")))

            globalLogPublisher.addObserver(observe)  # type: ignore[arg-type]
            try:
                connect().write(octets)
            finally:
                globalLogPublisher.removeObserver(observe)  # type: ignore[arg-type]
            self.assertEqual(len(lines), 1)
            self.assertIn(word, lines[0])
            self.assertNotIn("hunter2", lines[0])


class FloodTests(SynchronousTestCase):
    """Floods of PDUs, and very large and very slow ones."""

    def test_largest_pdu(self) -> None:
        """A PDU of exactly the limit is accepted; a longer one ends the session before it is buffered."""
        room = 128 * 1024 - len(SUBMIT) - 4
        largest = encode(
            SubmitSm(
                5,
                b"",
                5,
                0,
                b"DEMO",
                1,
                1,
                b"79161234567",
                short_message=b"hi",
                tlvs=[(0x1400, bytes(min(room, 0xFFFF))), (0x1401, bytes(room - 0xFFFF - 4))],
            )
        )
        self.assertEqual(len(largest), 128 * 1024)
        peer = bound()
        self.assertEqual(summary(peer.write(largest)), [("submit_sm_resp", 5, 0)])
        small = bound(pdu_limit=1000)
        self.assertEqual(summary(small.write(largest[:4])), [("generic_nack", 0, 0x02)])
        self.assertTrue(small.closing)

    def test_thousand_in_one_segment(self) -> None:
        """A thousand PDUs in one segment are one call, one write and a thousand answers in order."""
        peer = bound()
        before = len(peer.transport.writes)
        answers = peer.send(*submits(*range(1000)))
        self.assertEqual([answer.sequence_number for answer in answers], list(range(1000)))
        self.assertEqual((len(peer.delegate.batches), len(peer.transport.writes) - before), (1, 1))

    def test_f5_smallest_pdus(self) -> None:
        """A segment full of the smallest PDUs is answered as fast as `pdu_rate` allows, before a bind too; nothing is
        read meanwhile."""
        for peer in (connect(), bound()):
            answers = peer.send(*[EnquireLink(n) for n in range(4096)])
            self.assertEqual((len(answers), peer.reads), (1024, False))
            answers += peer.pass_time(1)
            self.assertLess(len(answers), 1600)
            answers += peer.pass_time(7)
            self.assertEqual([answer.sequence_number for answer in answers], list(range(4096)))
            self.assertTrue(peer.reads)

    def test_enquire_link_without_reading(self) -> None:
        """Reading pauses for a client that floods us with enquire_link and does not read the answers."""
        peer = bound()
        peer.transport.stuck = True
        flood = ALIVE * 500
        for _ in range(1000):
            if peer.reads:
                peer.session.dataReceived(flood)
        self.assertFalse(peer.reads)
        self.assertLess(peer.transport.buffered, 80_000)

    def test_binds_in_a_row(self) -> None:
        """A segment full of binds with a wrong password gets a few refusals and ends the connection."""
        peer = connect()
        answers = peer.send(*[BindTransceiver(n, b"demo", b"guess%d" % n) for n in range(500)])
        self.assertEqual({answer.command_status for answer in answers}, {0x0E})
        self.assertEqual((len(answers), len(peer.delegate.binds)), (11, 11))
        self.assertTrue(peer.closing)

    def test_bind_and_unbind_in_a_loop(self) -> None:
        """After unbind a session cannot bind again: each round needs a new connection."""
        peer = connect()
        loop = encode_many([BindTransceiver(1, b"demo", b"demo"), Unbind(2)])
        answers = summary(peer.write(loop * 200))
        self.assertEqual((answers[0], answers[-1]), (("bind_transceiver_resp", 1, 0), ("unbind_resp", 2, 0)))
        self.assertEqual({status for _, _, status in answers[1:-1]}, {0x04})
        self.assertTrue(peer.closing)
        self.assertEqual(len(peer.delegate.binds), 1)

    def test_length_bombs_hold_nothing(self) -> None:
        """Connections that announce a large PDU take no memory for it, and are closed by their timer."""
        clock, delegate = Clock(), Recorder()
        factory = SmppServerFactory(delegate, SmppServerSettings(), clock)
        peers = [Peer(factory, clock, delegate) for _ in range(100)]
        for peer in peers:
            peer.write(HEADER.pack(128 * 1024, 9, 0, 1))
        self.assertEqual(sum(peer.session._framer.pending for peer in peers), 1600)
        clock.pump([1.0] * 10)
        self.assertTrue(all(peer.closing for peer in peers))

    def test_f4_crowds_from_one_place(self) -> None:
        """Of the unbound connections of one address the oldest give way; bound ones do not count."""
        clock, delegate = Clock(), Recorder()
        factory = SmppServerFactory(delegate, SmppServerSettings(unauthenticated_per_source=3), clock)
        bound = [Peer(factory, clock, delegate) for _ in range(10)]
        for peer in bound:
            peer.bind()
        unbound = [Peer(factory, clock, delegate) for _ in range(4)]
        clock.advance(1)
        self.assertEqual([peer.transport.disconnected for peer in unbound], [True, False, False, False])
        self.assertFalse(any(peer.transport.disconnected for peer in bound))
        self.assertEqual(unbound[3].bind().command_status, 0)

    def test_strays_without_end(self) -> None:
        """Unexpected responses are dropped without effect on our window."""
        peer = bound()
        peer.session.send(delivers(10))
        peer.read()
        strays = b"".join(pdu(0x80000005, b"\0", 0, number) for number in range(1000, 3000))
        self.assertEqual(peer.write(strays), [])
        self.assertEqual((peer.session.room(), peer.closing), (90, False))

    def test_other_sessions_go_on(self) -> None:
        """While one client sends garbage, the others of the same listener are answered as usual."""
        clock, delegate = Clock(), Recorder()
        factory = SmppServerFactory(delegate, SmppServerSettings(), clock)
        good = Peer(factory, clock, delegate)
        good.bind()
        for octets, _ in [*FATAL.values(), *HARMLESS.values()]:
            Peer(factory, clock, delegate).write(octets)
            self.assertEqual(summary(good.send(*submits(7))), [("submit_sm_resp", 7, 0)])


class FuzzTests(SynchronousTestCase):
    """Random octets and frames."""

    @settings(max_examples=200)
    @given(st.lists(st.binary(max_size=60), max_size=12), st.booleans())
    def test_octets(self, pieces: list[bytes], is_bound: bool) -> None:
        """Any octets are processed without an exception; a closed session has sent a generic_nack or nothing."""
        peer = bound() if is_bound else connect()
        for piece in pieces:
            peer.write(piece)
        peer.pass_time(20)
        peer.lose()

    @settings(max_examples=200)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9, 0xB, 0x15, 0x21, 0x102, 0x103, 0x111, 0x777]),
                st.booleans(),
                st.sampled_from([0, 0, 8, 0xFFFFFFFF]),
                st.integers(0, 4),
                st.binary(max_size=40),
            ),
            max_size=20,
        )
    )
    def test_frames(self, frames: list[tuple[int, bool, int, int, bytes]]) -> None:
        """For good frames with any bodies in any order, each request gets one answer and no response gets any."""
        peer = bound()
        peer.session.send(delivers(3))
        peer.read()
        stream = b"".join(
            pdu(command | response << 31, body, status, number) for command, response, status, number, body in frames
        )
        answers = peer.write(stream)
        if peer.closing or any(command == 6 and not response for command, response, *_ in frames):
            return
        asked = [number for command, response, _, number, _ in frames if not response]
        self.assertEqual([answer.sequence_number for answer in answers], asked)
