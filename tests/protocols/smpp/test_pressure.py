"""Back-pressure: sessions that are paused, that have too many open requests, or whose peer does not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.smpp.session import MOST_UNANSWERED
from smsgw.smpp.codec import encode_many
from smsgw.smpp.consts import Tag
from smsgw.smpp.pdus import DeliverSm, DeliverSmResp, EnquireLink, Pdu, SubmitSm
from smsgw.smpp.session import SessionState
from tests.protocols.smpp.support import Peer, Recorder, bound, delivers, submits, summary


class PauseTests(SynchronousTestCase):
    """The delegate pauses a session."""

    def test_nothing_is_looked_at(self) -> None:
        """A paused session does not read, and keeps octets that arrive nevertheless."""
        peer = bound()
        stream = encode_many(submits(*range(2, 12)))
        peer.session.pause()
        self.assertFalse(peer.reads)
        for at in range(0, len(stream), 7):
            self.assertEqual(peer.write(stream[at : at + 7]), [])
        self.assertEqual(peer.delegate.batches, [])
        peer.session.resume()
        self.assertTrue(peer.reads)
        self.assertEqual([pdu.sequence_number for pdu in peer.read()], list(range(2, 12)))

    def test_paused_by_a_batch(self) -> None:
        """A delegate that pauses during a batch gets the next one only after it resumes."""
        delegate = Recorder()
        peer = bound(delegate=delegate)
        delegate.on_requests = lambda session: session.pause()
        self.assertEqual(len(peer.send(*submits(2))), 1)
        self.assertEqual(peer.send(*submits(3)), [])
        self.assertEqual(len(delegate.batches), 1)
        peer.session.resume()
        self.assertEqual(len(delegate.batches), 2)
        self.assertFalse(peer.reads)

    def test_resumed_at_once(self) -> None:
        """Pausing and resuming inside one call has no effect."""
        delegate = Recorder()
        peer = bound(delegate=delegate)

        def waver(session: Any) -> None:
            session.pause()
            session.resume()

        delegate.on_requests = waver
        self.assertEqual(len(peer.send(*submits(2, 3))), 2)
        self.assertTrue(peer.reads)

    def test_answers_still_leave(self) -> None:
        """A paused session still sends answers."""
        delegate = Recorder()
        peer = bound(delegate=delegate)
        delegate.hold.add("requests")
        peer.send(*submits(2))
        peer.session.pause()
        delegate.held[0]()
        self.assertEqual(len(peer.read()), 1)
        peer.session.send(delivers(1))
        self.assertEqual(len(peer.read()), 1)

    def test_timers_stand_still(self) -> None:
        """The timers stop during a pause, however long it is."""
        peer = bound()
        peer.session.send(delivers(1))
        peer.read()
        peer.write(b"\0\0")
        peer.pass_time(5)
        peer.session.pause()
        self.assertEqual(peer.pass_time(1000), [])
        self.assertEqual((peer.delegate.answered, peer.closing), ([], False))
        peer.session.resume()
        peer.pass_time(4)
        self.assertEqual((peer.delegate.answered, peer.closing), ([], False))
        peer.write(encode_many([DeliverSmResp(1)])[2:])
        self.assertEqual([status for _, status, _ in peer.delegate.answered], [0])

    def test_timers_go_on_afterwards(self) -> None:
        """After the pause the rest of a timer runs."""
        peer = bound()
        peer.session.send(delivers(1))
        peer.pass_time(20)
        peer.session.pause()
        peer.pass_time(100)
        peer.session.resume()
        peer.pass_time(9)
        self.assertEqual(peer.delegate.answered, [])
        peer.pass_time(2)
        self.assertEqual(peer.delegate.answered, [(0, -1, None)])

    def test_sent_while_paused(self) -> None:
        """The response timer of a request sent during a pause starts after it."""
        peer = bound()
        peer.session.pause()
        peer.pass_time(50)
        peer.session.send(delivers(1))
        peer.pass_time(50)
        peer.session.resume()
        peer.pass_time(29)
        self.assertEqual(peer.delegate.answered, [])
        peer.pass_time(2)
        self.assertEqual(len(peer.delegate.answered), 1)


class WindowTests(SynchronousTestCase):
    """Unanswered requests of the peer."""

    def test_reading_stops_at_the_window(self) -> None:
        """Reading pauses at the window and goes on after answers; no request is lost or refused."""
        delegate = Recorder()
        peer = bound(delegate=delegate, window=10)
        delegate.hold.add("requests")
        peer.send(*submits(*range(2, 7)))
        self.assertTrue(peer.reads)
        peer.send(*submits(*range(7, 12)))
        self.assertFalse(peer.reads)
        peer.send(*submits(12, 13))
        self.assertEqual([len(batch) for batch in delegate.batches], [5, 5])
        delegate.held[0]()
        self.assertTrue(peer.reads)
        self.assertEqual([len(batch) for batch in delegate.batches], [5, 5, 2])
        delegate.held[2]()
        delegate.held[1]()
        self.assertEqual(len(peer.read()), 12)

    def test_flood(self) -> None:
        """The delegate never has more unanswered requests than the window and one read."""
        delegate = Recorder()
        peer = bound(delegate=delegate)
        delegate.hold.add("requests")
        segment = encode_many(submits(*range(1, 1001)))
        for _ in range(6):
            peer.session.dataReceived(segment)
        self.assertEqual(len(delegate.requested), 2000)
        self.assertFalse(peer.reads)
        for _ in range(3):
            held, delegate.held = delegate.held, []
            for answer in held:
                answer()
        self.assertEqual((len(peer.read()), peer.reads), (6000, True))

    def test_flood_of_long_ones(self) -> None:
        """Unanswered requests are bounded in octets too, which long PDUs reach before the window."""
        delegate = Recorder()
        peer = bound(delegate=delegate)
        delegate.hold.add("requests")
        long = [SubmitSm(number, tlvs=[(Tag.MESSAGE_PAYLOAD, b"x" * 60_000)]) for number in range(1, 21)]
        segment = encode_many(long)
        for _ in range(6):
            peer.session.dataReceived(segment)
        self.assertFalse(peer.reads)
        with_delegate = len(delegate.requested) * 60_000
        self.assertTrue(MOST_UNANSWERED <= with_delegate <= MOST_UNANSWERED + len(segment), with_delegate)
        for _ in range(2):
            held, delegate.held = delegate.held, []
            for answer in held:
                answer()
        self.assertEqual((len(peer.read()), peer.reads), (120, True))

    def test_timers_stand_still(self) -> None:
        """The timers stop while we pause reading."""
        delegate = Recorder()
        peer = bound(delegate=delegate, window=1)
        delegate.hold.add("requests")
        peer.send(*submits(2))
        self.assertEqual((peer.pass_time(500), peer.closing), ([], False))


class SlowReaderTests(SynchronousTestCase):
    """A peer that does not read our output."""

    def flood(self, peer: Peer, octets: int) -> None:
        """Send the peer more answers than it reads."""
        peer.transport.stuck = True
        while peer.transport.buffered < octets:
            peer.session._write(b"\0" * 16000)

    def test_its_requests_wait(self) -> None:
        """From 64 KiB unread on its requests wait, and room() is 0.

        The transport is paused with the first of them: before that, TLS may need to read in order to write.
        """
        peer = bound()
        self.flood(peer, 70000)
        self.assertEqual((peer.reads, peer.session.room()), (True, 0))
        peer.session.dataReceived(encode_many(submits(2)))
        self.assertEqual((peer.reads, peer.delegate.batches), (False, []))
        before = peer.delegate.ready_calls
        peer.transport.drain()
        self.assertEqual((peer.reads, peer.session.room()), (True, 100))
        self.assertEqual(peer.delegate.ready_calls, before + 1)
        self.assertEqual(len(peer.delegate.requested), 1)

    def test_cut_off(self) -> None:
        """With more than 256 KiB unread for 30 s it is aborted."""
        peer = bound()
        self.flood(peer, 270_000)
        peer.pass_time(29)
        self.assertFalse(peer.transport.disconnected)
        peer.pass_time(2)
        self.assertTrue(peer.transport.disconnected)
        peer.lose()
        self.assertIn("slow_reader", peer.delegate.gone[0])

    def test_reading_again_in_time(self) -> None:
        """A peer that reads everything within that time stays connected."""
        peer = bound()
        self.flood(peer, 270_000)
        peer.pass_time(29)
        peer.transport.drain()
        peer.pass_time(30)
        self.assertFalse(peer.closing)

    def test_less_unread_until_it_is_inactive(self) -> None:
        """With less unread it counts as inactive: it is closed in order, and aborted if it does not read that
        either."""
        peer = bound()
        self.flood(peer, 70000)
        peer.pass_time(119)
        self.assertFalse(peer.closing)
        peer.pass_time(12)
        self.assertTrue(peer.closing)
        peer.pass_time(5)
        self.assertTrue(peer.transport.disconnected)

    def test_real_answers(self) -> None:
        """A peer that never reads is paused by its unread answers, whose amount is bounded."""
        delegate = Recorder()
        peer = bound(delegate=delegate)
        peer.transport.stuck = True
        segment = encode_many(submits(*range(100)))
        for _ in range(200):
            if peer.reads:
                peer.session.dataReceived(segment)
        self.assertFalse(peer.reads)
        self.assertLess(peer.transport.buffered, 70_000)

    def test_transport_that_ends(self) -> None:
        """stopProducing has no effect; connectionLost follows."""
        peer = bound()
        peer.session.stopProducing()
        self.assertEqual((peer.session.state, peer.closing), (SessionState.BOUND_TRX, False))


class ExactlyOnce(Recorder):
    """Sends as much as room() allows whenever it gets answers."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.hold = {"requests"}

    def answers(self, session: Any, answers: Sequence[tuple[object, int, Pdu | None]]) -> None:
        super().answers(session, answers)
        count = min(session.room(), 7)
        session.send([(self.sent + n, DeliverSm()) for n in range(count)])
        self.sent += count

    def requests(self, session: Any, pdus: Sequence[Pdu]) -> Deferred[list[Pdu | int]]:
        if len(self.batches) % 5 == 4:
            session.pause()
        return super().requests(session, pdus)


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(1, 30)),
        st.tuples(st.just("respond"), st.integers(1, 40)),
        st.tuples(st.just("enquire"), st.just(1)),
        st.tuples(st.just("answer"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(1, 40)),
        st.tuples(st.just("resume"), st.just(0)),
        st.tuples(st.just("stuck"), st.just(0)),
        st.tuples(st.just("drain"), st.just(0)),
        st.tuples(st.just("close"), st.just(0)),
    ),
    max_size=40,
)


class Drama:
    """A session with its peer and delegate, and the steps of a random scenario.

    :ivar answered: sequence numbers of the answers to submit_sm, in order.
    """

    def __init__(self) -> None:
        self.delegate = ExactlyOnce()
        self.peer = bound(delegate=self.delegate, window=50, enquire_link=0, inactivity=0)
        self.peer.transport.takes = 200
        self.answered: list[int] = []
        self.submitted = 0
        self.responded = 0

    def submit(self, count: int) -> None:
        numbers = range(self.submitted, self.submitted + count)
        self.submitted += count
        self.peer.session.dataReceived(encode_many(submits(*numbers)))

    def respond(self, count: int) -> None:
        numbers = range(self.responded + 1, self.responded + count + 1)
        self.responded += count
        self.peer.session.dataReceived(encode_many([DeliverSmResp(number) for number in numbers]))

    def enquire(self, _: int) -> None:
        self.peer.session.dataReceived(encode_many([EnquireLink(1)]))

    def answer(self, which: int) -> None:
        held = self.delegate.held
        if held:
            held.pop(which % len(held))()

    def wait(self, seconds: int) -> None:
        self.peer.clock.pump([1.0] * seconds)

    def resume(self, _: int) -> None:
        self.peer.session.resume()

    def stick(self, _: int) -> None:
        self.peer.transport.stuck = True

    def drain(self, _: int) -> None:
        if self.peer.transport.producer is not None:
            self.peer.transport.drain()

    def close(self, _: int) -> None:
        self.peer.session.close()

    def look(self) -> None:
        """Record the answers."""
        self.answered += [number for name, number, _ in summary(self.peer.read()) if name == "submit_sm_resp"]

    def end_well(self) -> None:
        """Let everything that waits finish."""
        self.drain(0)
        self.resume(0)
        while self.delegate.held:
            self.answer(0)
            self.resume(0)
        self.look()


MOVES = st.sampled_from(
    [Drama.submit, Drama.respond, Drama.enquire, Drama.answer, Drama.wait, Drama.resume, Drama.stick, Drama.drain]
)


class ExactlyOnceTests(SynchronousTestCase):
    """Random scenarios."""

    @given(st.lists(st.tuples(MOVES, st.integers(1, 40)), max_size=40), st.booleans())
    def test_exactly_once(self, moves: list[tuple[Callable[[Drama, int], None], int]], leave: bool) -> None:
        """Each request that was read is answered once while the session lives, and never twice; each of ours is
        reported once in any case."""
        drama = Drama()
        for move, count in moves:
            move(drama, count)
            drama.look()
        if leave:
            drama.close(0)
        drama.end_well()
        self.assertEqual(len(drama.answered), len(set(drama.answered)))
        if not drama.peer.closing:
            self.assertEqual(sorted(drama.answered), list(range(drama.submitted)))
        drama.peer.lose()
        tokens = [token for token, _, _ in drama.delegate.answered]
        self.assertEqual(sorted(map(str, tokens)), sorted(map(str, range(drama.delegate.sent))))
