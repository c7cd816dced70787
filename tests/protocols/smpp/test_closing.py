"""Closing of SMPP sessions: unbind by either end, faults, shutdown."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.smpp.server import SmppServerFactory, SmppServerSettings
from smsgw.smpp.codec import encode_many
from smsgw.smpp.pdus import BindTransceiver, DeliverSmResp, EnquireLink, SubmitSm, Unbind, UnbindResp
from smsgw.smpp.session import SessionState
from tests.protocols.smpp.support import Peer, Recorder, bound, connect, delivers, submits, summary

GARBAGE = b"\x00\x00\x00\x0f" + b"?" * 12


def waiting() -> tuple[Peer, Recorder]:
    """A bound peer whose requests the delegate leaves unanswered."""
    delegate = Recorder()
    peer = bound(delegate=delegate)
    delegate.hold.add("requests")
    return peer, delegate


class TheirUnbindTests(SynchronousTestCase):
    """The peer unbinds."""

    def test_at_rest(self) -> None:
        """unbind is answered at once, then the connection is closed."""
        peer = bound()
        self.assertEqual(summary(peer.send(Unbind(7))), [("unbind_resp", 7, 0)])
        self.assertTrue(peer.closing)
        self.assertIsNone(peer.transport.producer)
        peer.lose()
        self.assertEqual(peer.delegate.gone, ["the peer has unbound"])

    def test_after_all_earlier_answers(self) -> None:
        """unbind_resp is sent after the answers to all earlier requests, however long they take."""
        peer, delegate = waiting()
        peer.send(*submits(2))
        peer.send(*submits(3), Unbind(4))
        self.assertEqual(peer.pass_time(20), [])
        delegate.held[1]()
        self.assertEqual(summary(peer.read()), [("submit_sm_resp", 3, 0)])
        self.assertFalse(peer.closing)
        delegate.held[0]()
        self.assertEqual(summary(peer.read()), [("submit_sm_resp", 2, 0), ("unbind_resp", 4, 0)])
        self.assertTrue(peer.closing)

    def test_requests_behind_it(self) -> None:
        """Requests after an unbind are refused; enquire_link is still answered."""
        peer, delegate = waiting()
        seen = peer.send(*submits(2), Unbind(3), *submits(4), EnquireLink(5), Unbind(6))
        self.assertEqual(seen, [])
        delegate.held[0]()
        self.assertEqual(
            summary(peer.read()),
            [
                ("submit_sm_resp", 2, 0),
                ("submit_sm_resp", 4, 0x04),
                ("enquire_link_resp", 5, 0),
                ("unbind_resp", 6, 0x04),
                ("unbind_resp", 3, 0),
            ],
        )
        self.assertEqual(len(delegate.batches), 1)

    def test_nothing_is_sent_any_more(self) -> None:
        """A session whose peer has unbound has no room."""
        peer, _ = waiting()
        peer.send(*submits(2), Unbind(3))
        self.assertEqual((peer.session.room(), peer.session.transmits, peer.session.receives), (0, False, False))
        peer.session.send(delivers(1))
        self.assertEqual(peer.delegate.answered, [(0, -1, None)])

    def test_our_requests_are_waited_for(self) -> None:
        """After unbind_resp the peer may still answer open deliver_sm, for close_wait."""
        peer = bound()
        peer.session.send(delivers(2))
        peer.read()
        self.assertEqual(summary(peer.send(Unbind(9))), [("unbind_resp", 9, 0)])
        self.assertFalse(peer.closing)
        peer.send(DeliverSmResp(1))
        self.assertFalse(peer.closing)
        peer.send(DeliverSmResp(2))
        self.assertTrue(peer.closing)
        self.assertEqual([status for _, status, _ in peer.delegate.answered], [0, 0])

    def test_but_not_for_long(self) -> None:
        """After close_wait the connection is closed without these answers."""
        peer = bound(close_wait=5.0)
        peer.session.send(delivers(1))
        peer.read()
        peer.send(Unbind(9))
        peer.pass_time(4)
        self.assertFalse(peer.closing)
        peer.pass_time(2)
        self.assertTrue(peer.closing)
        peer.lose()
        self.assertEqual(peer.delegate.answered, [(0, -1, None)])

    def test_answers_that_never_come(self) -> None:
        """If the delegate never answers, the connection is closed after the response timer, without unbind_resp."""
        peer, _ = waiting()
        peer.send(*submits(2), Unbind(3))
        peer.pass_time(29)
        self.assertFalse(peer.closing)
        self.assertEqual(peer.pass_time(2), [])
        self.assertTrue(peer.closing)


class OurUnbindTests(SynchronousTestCase):
    """We unbind."""

    def test_at_rest(self) -> None:
        """close() sends unbind and closes when it is answered."""
        peer = bound()
        peer.session.close("enough")
        self.assertEqual(summary(peer.read()), [("unbind", 1, 0)])
        self.assertFalse(peer.closing)
        peer.send(UnbindResp(1))
        self.assertTrue(peer.closing)
        peer.lose()
        self.assertEqual(peer.delegate.gone, ["enough"])
        self.assertEqual(peer.delegate.answered, [])

    def test_before_a_bind(self) -> None:
        """close() on a connection that is not bound just closes it."""
        peer = connect()
        peer.session.close()
        self.assertEqual((peer.read(), peer.closing), ([], True))

    def test_what_is_under_way_comes_first(self) -> None:
        """unbind waits for the delegate's answers, then for the peer's; none is lost in any order of calls."""
        peer, delegate = waiting()
        peer.session.send(delivers(1))
        peer.read()
        peer.send(*submits(2))
        peer.session.close()
        self.assertEqual(peer.pass_time(3), [])
        delegate.held[0]()
        self.assertEqual(summary(peer.read()), [("submit_sm_resp", 2, 0)])
        self.assertEqual(summary(peer.send(DeliverSmResp(1))), [("unbind", 2, 0)])
        peer.send(UnbindResp(2))
        self.assertTrue(peer.closing)

    def test_new_requests_are_put_off(self) -> None:
        """New requests while we close get a temporary error and do not reach the delegate."""
        peer = bound()
        peer.session.close()
        self.assertEqual(
            summary(peer.send(*submits(2), EnquireLink(3))),
            [("unbind", 1, 0), ("submit_sm_resp", 2, 0x08), ("enquire_link_resp", 3, 0)],
        )
        self.assertEqual(peer.delegate.batches, [])

    def test_a_peer_that_does_not_answer(self) -> None:
        """Without unbind_resp the connection is closed after close_wait, and aborted after close_wait again."""
        peer = bound()
        peer.session.close()
        peer.pass_time(4)
        self.assertFalse(peer.closing)
        peer.pass_time(2)
        self.assertTrue(peer.closing)
        self.assertFalse(peer.transport.disconnected)
        peer.pass_time(5)
        self.assertTrue(peer.transport.disconnected)

    def test_unanswered_requests_do_not_hold_it_up(self) -> None:
        """unbind waits for answers to our requests for close_wait at most."""
        peer = bound()
        peer.session.send(delivers(1))
        peer.read()
        peer.session.close()
        self.assertEqual(peer.pass_time(4), [])
        self.assertEqual(summary(peer.pass_time(2)), [("unbind", 2, 0)])
        peer.send(UnbindResp(2))
        self.assertTrue(peer.closing)
        peer.lose()
        self.assertEqual(peer.delegate.answered, [(0, -1, None)])

    def test_crossing(self) -> None:
        """When both unbind at once, both answer and both close."""
        peer = bound()
        peer.session.close()
        self.assertEqual(summary(peer.send(Unbind(8))), [("unbind", 1, 0), ("unbind_resp", 8, 0)])
        self.assertFalse(peer.closing)
        peer.send(UnbindResp(1))
        self.assertTrue(peer.closing)

    def test_crossing_in_one_read(self) -> None:
        """The same with unbind_resp before their unbind, in one segment."""
        peer = bound()
        peer.session.close()
        peer.read()
        self.assertEqual(summary(peer.send(UnbindResp(1), Unbind(8))), [("unbind_resp", 8, 0)])
        self.assertTrue(peer.closing)

    def test_while_paused(self) -> None:
        """Closing resumes a paused session, which cannot be paused any more."""
        peer = bound()
        peer.session.pause()
        self.assertEqual(peer.send(*submits(2)), [])
        peer.session.close()
        peer.session.pause()
        self.assertEqual(summary(peer.read()), [("submit_sm_resp", 2, 0x08), ("unbind", 1, 0)])
        self.assertTrue(peer.reads)

    def test_twice(self) -> None:
        """Closing twice, or after the end, has no further effect."""
        peer = bound()
        peer.session.close("first")
        peer.session.close("second")
        self.assertEqual(len(peer.read()), 1)
        peer.lose()
        peer.session.close("third")
        peer.session.abort("fourth")
        self.assertEqual(peer.delegate.gone, ["first"])

    def test_abort(self) -> None:
        """abort() cuts the connection at once."""
        peer = bound()
        peer.session.abort("no more")
        self.assertTrue(peer.transport.disconnected)
        self.assertEqual(peer.send(*submits(2)), [])
        peer.lose()
        self.assertEqual(peer.delegate.gone, ["no more"])

    def test_state_at_the_end(self) -> None:
        """After the connection is lost the state is closed, and neither direction is open."""
        peer = bound()
        peer.lose()
        self.assertEqual(peer.session.state, SessionState.CLOSED)
        self.assertEqual((peer.session.transmits, peer.session.receives), (False, False))
        peer.session.pause()
        peer.session.resume()
        self.assertEqual(peer.delegate.gone, ["Connection was closed cleanly."])


class FaultTests(SynchronousTestCase):
    """The faults that close a session, and those that do not."""

    def test_lost_framing(self) -> None:
        """An impossible length is answered after all earlier requests, then the session closes."""
        peer, delegate = waiting()
        peer.write(encode_many(submits(2)) + GARBAGE + encode_many(submits(3)))
        self.assertEqual((peer.read(), peer.closing), ([], False))
        self.assertEqual(peer.send(*submits(4)), [])
        delegate.held[0]()
        self.assertEqual([p[0] for p in summary(peer.read())], ["submit_sm_resp", "generic_nack"])
        self.assertTrue(peer.closing)
        self.assertEqual(len(delegate.batches), 1)

    def test_undecodable_in_a_row(self) -> None:
        """Each PDU that cannot be decoded is answered; one more than a hundred in a row closes the session."""
        bad = b"\x00\x00\x00\x12\x00\x00\x00\x04\0\0\0\0\0\0\0\x05" + b"xx"
        peer = bound()
        answers = peer.write(bad * 100)
        self.assertEqual({(p.name, p.sequence_number) for p in answers}, {("submit_sm_resp", 5)})
        self.assertEqual((len(answers), peer.closing), (100, False))
        self.assertEqual(len(peer.send(*submits(2))), 1)
        self.assertEqual(len(peer.write(bad * 100)), 100)
        self.assertFalse(peer.closing)
        self.assertEqual(len(peer.write(bad * 50 + encode_many(submits(3)))), 1)
        self.assertTrue(peer.closing)

    def test_good_ones_between_them(self) -> None:
        """Bad PDUs with good ones between them never close a bound session."""
        bad = b"\x00\x00\x00\x12\x00\x00\x00\x04\0\0\0\0\0\0\0\x05" + b"xx"
        peer = bound()
        peer.write((bad * 60 + encode_many(submits(2))) * 20)
        self.assertFalse(peer.closing)

    def test_long_fields_are_not_undecodable(self) -> None:
        """Fields over their maximum, each refused with its status, never close a bound session."""
        peer = bound()
        answers = peer.send(*[SubmitSm(n, destination_addr=b"7" * 25) for n in range(500)])
        self.assertEqual({pdu.command_status for pdu in answers}, {0x0B})
        self.assertEqual((len(answers), peer.closing), (500, False))

    def test_faults_before_a_bind(self) -> None:
        """Before a bind, a few faults of any kind close the connection; each is answered until then."""
        peer = connect(faults_before_bind=10)
        answers = peer.send(*submits(*range(1, 30)))
        self.assertEqual(len(answers), 11)
        self.assertTrue(peer.closing)

    def test_enquire_link_before_a_bind(self) -> None:
        """enquire_link before a bind is no fault."""
        peer = connect(faults_before_bind=1)
        self.assertEqual(len(peer.send(*[EnquireLink(n) for n in range(50)])), 50)
        self.assertFalse(peer.closing)


class ShutDownTests(SynchronousTestCase):
    """All sessions of a factory close together."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.delegate = Recorder()
        self.factory = SmppServerFactory(self.delegate, SmppServerSettings(), self.clock)

    def connect(self) -> Peer:
        return Peer(self.factory, self.clock, self.delegate)

    def test_no_sessions(self) -> None:
        """Without sessions shut_down fires at once."""
        self.successResultOf(self.factory.shut_down())

    def test_all_sessions_close(self) -> None:
        """Bound sessions are answered and unbound, others closed; shut_down fires after the last connection."""
        idle, busy, unbound = self.connect(), self.connect(), self.connect()
        idle.bind()
        busy.bind()
        self.delegate.hold.add("requests")
        busy.send(*submits(2))
        done = self.factory.shut_down()
        self.assertTrue(unbound.closing)
        self.assertEqual(summary(idle.read()), [("unbind", 1, 0)])
        self.assertEqual(busy.read(), [])
        self.delegate.held[0]()
        self.assertEqual(summary(busy.read()), [("submit_sm_resp", 2, 0), ("unbind", 1, 0)])
        for peer in (unbound, idle, busy):
            self.assertNoResult(done)
            peer.lose()
        self.successResultOf(done)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_delegate_is_notified_first(self) -> None:
        """Before shut_down fires, the delegate is notified of every closed session and every lost request."""
        peer = self.connect()
        peer.bind()
        peer.session.send(delivers(1))
        notified: list[tuple[int, int]] = []
        done = self.factory.shut_down()
        done.addCallback(lambda _: notified.append((len(self.delegate.answered), len(self.delegate.gone))))
        peer.lose()
        self.assertEqual(notified, [(1, 1)])

    def test_newcomers(self) -> None:
        """New connections during shutdown are aborted."""
        first = self.connect()
        done: Deferred[None] = self.factory.shut_down()
        late = self.connect()
        self.assertTrue(late.transport.disconnected)
        self.assertEqual(late.send(BindTransceiver(1, b"demo", b"demo")), [])
        late.lose()
        first.lose()
        self.successResultOf(done)

    def test_within(self) -> None:
        """The connections left after the given time are aborted."""
        peer = self.connect()
        peer.bind()
        self.delegate.hold.add("requests")
        peer.send(*submits(2))
        done = self.factory.shut_down(within=3.0)
        peer.pass_time(2)
        self.assertFalse(peer.transport.disconnected)
        peer.pass_time(1)
        self.assertTrue(peer.transport.disconnected)
        peer.lose()
        self.successResultOf(done)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_asked_twice(self) -> None:
        """Every caller's Deferred fires."""
        peer = self.connect()
        first, second = self.factory.shut_down(5.0), self.factory.shut_down()
        peer.lose()
        self.successResultOf(first)
        self.successResultOf(second)
