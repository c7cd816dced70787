"""Requests and their answers on an SMPP session, in both directions: order, batches, faults, any split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.smpp.server import UNSENT
from smsgw.smpp.codec import encode_many
from smsgw.smpp.consts import Tag
from smsgw.smpp.pdus import (
    AlertNotification,
    BindTransceiver,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    GenericNack,
    Pdu,
    QuerySm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
    Unbind,
)
from smsgw.smpp.tlvs import tlv
from tests.protocols.smpp.support import (
    Peer,
    Recorder,
    bound,
    connect,
    delivers,
    submits,
    summary,
)


class AnswerTests(SynchronousTestCase):
    """From requests to answers."""

    def test_one_call_and_one_write_per_read(self) -> None:
        """The requests of a read come in one call and in wire order, their answers leave in one write."""
        peer = bound()
        before = len(peer.transport.writes)
        answers = peer.send(*submits(*range(2, 52)))
        self.assertEqual([len(batch) for batch in peer.delegate.batches], [50])
        self.assertEqual([p.sequence_number for p in peer.delegate.requested], list(range(2, 52)))
        self.assertEqual(len(peer.transport.writes) - before, 1)
        self.assertEqual([p.message_id for p in answers], [b"id-%d" % n for n in range(2, 52)])

    def test_order_of_mixed_answers(self) -> None:
        """Answers of the session keep their place between those of the delegate, all in one write."""
        delegate = Recorder()
        peer = bound(delegate=delegate)
        delegate.hold.add("requests")
        before = len(peer.transport.writes)
        long_source = SubmitSm(4, source_addr=b"7" * 21, destination_addr=b"1")
        octets = (
            encode_many([EnquireLink(1), *submits(2, 3), long_source])
            + bytes.fromhex("00000010000007770000000000000005")
            + encode_many([*submits(6), DeliverSm(7), EnquireLink(8), *submits(9)])
        )
        self.assertEqual(peer.write(octets), [])
        delegate.held.pop()()
        self.assertEqual(
            summary(peer.read()),
            [
                ("enquire_link_resp", 1, 0),
                ("submit_sm_resp", 2, 0),
                ("submit_sm_resp", 3, 0),
                ("submit_sm_resp", 4, 0x0A),
                ("generic_nack", 5, 0x03),
                ("submit_sm_resp", 6, 0),
                ("deliver_sm_resp", 7, 0x04),
                ("enquire_link_resp", 8, 0),
                ("submit_sm_resp", 9, 0),
            ],
        )
        self.assertEqual(len(peer.transport.writes) - before, 1)

    def test_reads_do_not_wait_for_each_other(self) -> None:
        """The delegate gets the next read while it works on the former; each is answered when it is ready."""
        delegate = Recorder()
        peer = bound(delegate=delegate)
        delegate.hold.add("requests")
        peer.send(*submits(2, 3))
        peer.send(*submits(4))
        peer.send(EnquireLink(5))
        self.assertEqual([len(batch) for batch in delegate.batches], [2, 1])
        delegate.held[1]()
        self.assertEqual(summary(peer.read()), [("submit_sm_resp", 4, 0)])
        delegate.held[0]()
        self.assertEqual(summary(peer.read()), [("submit_sm_resp", 2, 0), ("submit_sm_resp", 3, 0)])

    def test_statuses_and_responses(self) -> None:
        """A delegate answers with a response or a status; the session fills in the sequence number."""

        class Mixed(Recorder):
            def reply(self, pdu: Pdu) -> Pdu | int:
                if isinstance(pdu, QuerySm):
                    return QuerySmResp(77, 0, b"5", b"", 2, 0)
                return 0x45 if pdu.sequence_number % 2 else super().reply(pdu)

        answers = bound(delegate=Mixed()).send(*submits(2, 3), QuerySm(4, b"5"))
        self.assertEqual(
            summary(answers), [("submit_sm_resp", 2, 0), ("submit_sm_resp", 3, 0x45), ("query_sm_resp", 4, 0)]
        )
        self.assertEqual(answers[2].message_state, 2)

    def test_failures_are_temporary(self) -> None:
        """If the delegate fails in any way, each request gets a system error, and the session goes on."""

        class Raises(Recorder):
            def requests(self, session: Any, pdus: Sequence[Pdu]) -> NoReturn:
                raise RuntimeError("out of order")

        class Fails(Recorder):
            def requests(self, session: Any, pdus: Sequence[Pdu]) -> Deferred[list[Pdu | int]]:
                return fail(RuntimeError("out of order"))

        for broken in (Raises(), Fails()):
            peer = bound(delegate=broken)
            answers = peer.send(*submits(2), EnquireLink(3), *submits(4))
            self.assertEqual(
                summary(answers), [("submit_sm_resp", 2, 8), ("enquire_link_resp", 3, 0), ("submit_sm_resp", 4, 8)]
            )
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
            self.assertEqual(len(peer.send(EnquireLink(5))), 1)

    def test_too_few_answers(self) -> None:
        """If the delegate returns too few answers, each request gets a system error, none another's answer."""

        class Short(Recorder):
            def requests(self, session: Any, pdus: Sequence[Pdu]) -> Deferred[list[Pdu | int]]:
                return succeed([0] * (len(pdus) - 1))

        answers = bound(delegate=Short()).send(*submits(2, 3))
        self.assertEqual(summary(answers), [("submit_sm_resp", 2, 8), ("submit_sm_resp", 3, 8)])

    def test_unwritable_answers(self) -> None:
        """An answer that cannot be encoded is replaced by a system error; the others are sent."""

        class Odd(Recorder):
            def reply(self, pdu: Pdu) -> Pdu | int:
                return SubmitSmResp(0, 0, b"a\0b") if pdu.sequence_number == 3 else super().reply(pdu)

        answers = bound(delegate=Odd()).send(*submits(2, 3, 4))
        self.assertEqual(
            summary(answers), [("submit_sm_resp", 2, 0), ("submit_sm_resp", 3, 8), ("submit_sm_resp", 4, 0)]
        )

    def test_answers_after_the_end(self) -> None:
        """Answers to a closed connection are dropped without a fault."""
        delegate = Recorder()
        peer = bound(delegate=delegate)
        delegate.hold.add("requests")
        peer.send(*submits(2))
        peer.lose()
        delegate.held.pop()()
        self.assertEqual(peer.read(), [])

    def test_bodies_for_old_peers(self) -> None:
        """Version 3.3 gets a body in every response, version 3.4 none with an error."""

        class Refusing(Recorder):
            def reply(self, pdu: Pdu) -> Pdu | int:
                return 0x0B

        for version, length in ((0x33, 17), (0x34, 16)):
            peer = connect(Refusing())
            peer.bind(interface_version=version)
            peer.send(*submits(2))
            self.assertEqual(len(peer.transport.writes[-1]), length)

    @given(st.data())
    def test_any_split_gives_the_same(self, data: st.DataObject) -> None:
        """Any cut of the peer's octets gives the same requests and answers in the same order."""
        stream = _stream()
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
        peer = connect()
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            if end > start:
                peer.session.dataReceived(stream[start:end])
        self.assertEqual((summary(peer.read()), _numbers(peer)), _expected())

    def test_octet_by_octet(self) -> None:
        """The same holds if every octet arrives alone."""
        stream = _stream()
        peer = connect()
        for at in range(len(stream)):
            peer.session.dataReceived(stream[at : at + 1])
        self.assertEqual((summary(peer.read()), _numbers(peer)), _expected())


def _stream() -> bytes:
    """Octets of a session with every kind of PDU that gets an answer of its own."""
    return (
        encode_many([EnquireLink(1), *submits(2), BindTransceiver(3, b"demo", b"wrong", b"", 0x34)])
        + encode_many([BindTransceiver(4, b"demo", b"demo", b"", 0x34), *submits(5, 6)])
        + bytes.fromhex("00000010000007770000000000000007")
        + encode_many([DeliverSmResp(99), SubmitSm(8, b"too long"), *submits(9), Unbind(10)])
    )


def _numbers(peer: Peer) -> list[int]:
    return [pdu.sequence_number for pdu in peer.delegate.requested]


def _expected() -> tuple[list[tuple[str, int, int]], list[int]]:
    return [
        ("enquire_link_resp", 1, 0),
        ("submit_sm_resp", 2, 0x04),
        ("bind_transceiver_resp", 3, 0x0E),
        ("bind_transceiver_resp", 4, 0),
        ("submit_sm_resp", 5, 0),
        ("submit_sm_resp", 6, 0),
        ("generic_nack", 7, 0x03),
        ("submit_sm_resp", 8, 0x15),
        ("submit_sm_resp", 9, 0),
        ("unbind_resp", 10, 0),
    ], [5, 6, 9]


class SendTests(SynchronousTestCase):
    """Requests of ours."""

    def test_numbers_window_and_one_write(self) -> None:
        """Requests leave in one write with numbers from 1, and fill the window until they are answered."""
        peer = bound()
        before = len(peer.transport.writes)
        peer.session.send(delivers(60))
        self.assertEqual(len(peer.transport.writes) - before, 1)
        self.assertEqual([pdu.sequence_number for pdu in peer.read()], list(range(1, 61)))
        self.assertEqual(peer.session.room(), 40)
        peer.send(*[DeliverSmResp(n) for n in range(1, 11)])
        self.assertEqual(peer.session.room(), 50)
        self.assertEqual([token for token, _, _ in peer.delegate.answered], list(range(10)))

    def test_more_than_the_window(self) -> None:
        """Sending more than room() raises ValueError and sends no request."""
        peer = bound()
        self.assertRaises(ValueError, peer.session.send, delivers(101))
        self.assertEqual((peer.read(), peer.session.room()), ([], 100))

    def test_answers_of_one_read_come_together(self) -> None:
        """Responses come back with their tokens, statuses and PDUs, in wire order and in one call per read."""
        delegate = Recorder()
        calls: list[int] = []
        peer = bound(delegate=delegate)
        delegate.on_answers = lambda session: calls.append(len(delegate.answered))
        peer.session.send(delivers(3))
        peer.send(DeliverSmResp(3, 0x64), EnquireLink(50), DeliverSmResp(1), DeliverSmResp(2, 0x65))
        self.assertEqual(calls, [3])
        self.assertEqual([(token, status) for token, status, _ in delegate.answered], [(2, 0x64), (0, 0), (1, 0x65)])
        self.assertEqual([pdu.sequence_number for _, _, pdu in delegate.answered if pdu], [3, 1, 2])

    def test_lost_link(self) -> None:
        """When the connection is lost, every unanswered request is reported as lost, once, before closed()."""
        delegate = Recorder()
        order: list[str] = []
        peer = bound(delegate=delegate)
        delegate.on_answers = lambda session: order.append(f"answers, {len(delegate.gone)} gone")
        peer.session.send(delivers(3))
        peer.send(DeliverSmResp(2))
        peer.lose()
        self.assertEqual(delegate.answered[1:], [(0, -1, None), (2, -1, None)])
        self.assertEqual(order, ["answers, 0 gone"] * 2)
        self.assertEqual(len(delegate.gone), 1)

    def test_after_the_end(self) -> None:
        """A request sent on a closed session is reported as lost at once."""
        peer = bound()
        peer.lose()
        peer.session.send(delivers(2))
        self.assertEqual(peer.delegate.answered, [(0, -1, None), (1, -1, None)])
        self.assertEqual(peer.session.room(), 0)

    def test_to_a_transmitter(self) -> None:
        """A transmitter gets no requests."""
        peer = bound("tx")
        peer.session.send(delivers(1))
        self.assertEqual((peer.read(), peer.delegate.answered), ([], [(0, -1, None)]))

    def test_unwritable_requests(self) -> None:
        """A request that cannot be encoded is reported as unsent; the others are sent and keep their numbers."""
        peer = bound()
        good, bad, other = delivers(3)
        assert isinstance(bad[1], DeliverSm)
        bad[1].source_addr = b"a\0b"
        peer.session.send([good, bad, other])
        self.assertEqual([pdu.sequence_number for pdu in peer.read()], [1, 3])
        self.assertEqual(peer.delegate.answered, [(1, UNSENT, None)])
        self.assertEqual(peer.session.room(), 98)

    def test_notices_need_no_answer(self) -> None:
        """An alert_notification, which has no response, is reported as done when it is sent."""
        peer = bound()
        peer.session.send([("alert", AlertNotification(0)), *delivers(1)])
        self.assertEqual([pdu.name for pdu in peer.read()], ["alert_notification", "deliver_sm"])
        self.assertEqual((peer.delegate.answered, peer.session.room()), ([("alert", 0, None)], 99))

    def test_no_tlvs_for_old_peers(self) -> None:
        """A deliver_sm is sent without TLVs in version 3.3, with them in version 3.4."""
        for version, length in ((0x33, 0), (0x34, 6)):
            peer = connect()
            peer.bind(interface_version=version)
            bare, full = DeliverSm(), DeliverSm(tlvs=[tlv(Tag.RECEIPTED_MESSAGE_ID, b"1")])
            peer.session.send([(1, bare)])
            plain = len(peer.transport.writes[-1])
            peer.session.send([(2, full)])
            self.assertEqual(len(peer.transport.writes[-1]) - plain, length)

    def test_stray_responses(self) -> None:
        """An unexpected response is dropped, and so is a second one to the same request."""
        peer = bound()
        peer.session.send(delivers(1))
        peer.read()
        self.assertEqual(peer.send(DeliverSmResp(1), DeliverSmResp(1), DeliverSmResp(44)), [])
        self.assertEqual(len(peer.delegate.answered), 1)
        self.assertFalse(peer.closing)

    def test_response_of_another_type(self) -> None:
        """A response with our number but of another type ends the request as lost, because its effect is unknown."""
        peer = bound()
        peer.session.send(delivers(1))
        peer.send(SubmitSmResp(1, 0, b"1"))
        self.assertEqual(peer.delegate.answered, [(0, -1, None)])

    def test_malformed_response(self) -> None:
        """An undecodable response ends its request as lost."""
        peer = bound()
        peer.session.send(delivers(1))
        peer.read()
        unterminated = b"\x00\x00\x00\x12\x80\x00\x00\x05\0\0\0\0\0\0\0\x01" + b"xx"
        self.assertEqual(peer.write(unterminated), [])
        self.assertEqual(peer.delegate.answered, [(0, -1, None)])

    def test_generic_nack_for_a_request(self) -> None:
        """A generic_nack with our number refuses that request with its status, which is never success."""
        peer = bound()
        peer.session.send(delivers(2))
        peer.send(GenericNack(1, 0x03), GenericNack(2, 0))
        self.assertEqual([(token, status) for token, status, _ in peer.delegate.answered], [(0, 0x03), (1, 0xFF)])
        self.assertFalse(peer.closing)

    def test_stray_generic_nacks(self) -> None:
        """One generic_nack without a request of ours is counted; a second one without a good PDU between them
        closes."""
        peer = bound()
        peer.session.send(delivers(1))
        peer.send(GenericNack(0, 0x02))
        peer.send(EnquireLink(1))
        peer.send(GenericNack(0, 0x02))
        self.assertEqual((peer.closing, peer.delegate.answered), (False, []))
        peer.send(GenericNack(77, 0x02))
        self.assertTrue(peer.closing)

    def test_numbers_of_answered_requests_are_not_needed_again(self) -> None:
        """Numbers continue over batches; that of an unanswered request is never used twice."""
        peer = bound()
        for _ in range(5):
            peer.session.send(delivers(20))
        numbers = [pdu.sequence_number for pdu in peer.read()]
        self.assertEqual(len(set(numbers)), 100)

    def test_a_failing_delegate(self) -> None:
        """If the delegate raises at answers, the session goes on and the fault is logged."""

        class Stumbling(Recorder):
            def answers(self, session: Any, answers: Any) -> NoReturn:
                raise RuntimeError("oh")

            def bound(self, session: Any) -> NoReturn:
                raise RuntimeError("well")

            def closed(self, session: Any, why: str) -> NoReturn:
                raise RuntimeError("dear")

        peer = bound(delegate=Stumbling())
        peer.session.send(delivers(1))
        peer.read()
        self.assertEqual(len(peer.send(DeliverSmResp(1), *submits(2))), 1)
        peer.lose()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 3)
