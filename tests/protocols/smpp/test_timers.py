"""The timers of an SMPP session, on a simulated clock."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.smpp.server import SmppServerFactory, SmppServerSettings
from smsgw.smpp.codec import encode_many
from smsgw.smpp.pdus import BindTransceiver, DeliverSmResp, EnquireLink, EnquireLinkResp, GenericNack, UnbindResp
from tests.protocols.smpp.support import Peer, Recorder, bound, connect, delivers, submits, summary


class SessionInitTests(SynchronousTestCase):
    """From the connection to the bind."""

    def test_silent_connection(self) -> None:
        """A connection without a bind in time is closed, and aborted if it does not close."""
        peer = connect()
        peer.pass_time(9)
        self.assertFalse(peer.closing)
        peer.pass_time(1)
        self.assertTrue(peer.closing)
        self.assertFalse(peer.transport.disconnected)
        peer.pass_time(5)
        self.assertTrue(peer.transport.disconnected)

    def test_active_connection(self) -> None:
        """Neither enquire_link nor refused binds nor single octets extend session_init."""
        peer = connect()
        for second in range(9):
            peer.send(EnquireLink(second))
            peer.pass_time(1)
        peer.bind(password=b"wrong")
        peer.write(b"\0")
        self.assertFalse(peer.closing)
        peer.pass_time(1)
        self.assertTrue(peer.closing)

    def test_bound_in_time(self) -> None:
        """The timer ends with the bind."""
        peer = connect(enquire_link=0, inactivity=0)
        peer.pass_time(9)
        peer.bind()
        peer.pass_time(600)
        self.assertFalse(peer.closing)

    def test_the_verdict_takes_its_time(self) -> None:
        """A bind that arrived in time may wait for a slow password check, for a limited time."""
        delegate = Recorder()
        delegate.hold.add("bind")
        peer = connect(delegate)
        peer.send(BindTransceiver(1, b"demo", b"demo", b"", 0x34))
        peer.pass_time(39)
        self.assertFalse(peer.closing)
        peer.pass_time(1)
        self.assertTrue(peer.closing)


class EnquireLinkTests(SynchronousTestCase):
    """enquire_link after silence."""

    def test_silence_is_questioned(self) -> None:
        """After 45 s without a PDU we send one enquire_link; its answer restarts the timer."""
        peer = bound()
        self.assertEqual(peer.pass_time(44), [])
        self.assertEqual(summary(peer.pass_time(2)), [("enquire_link", 1, 0)])
        peer.send(EnquireLinkResp(1))
        self.assertEqual(peer.pass_time(44), [])
        self.assertEqual(summary(peer.pass_time(2)), [("enquire_link", 2, 0)])
        self.assertEqual(peer.delegate.answered, [])

    def test_any_pdu_counts(self) -> None:
        """While PDUs arrive, no enquire_link is sent."""
        peer = bound()
        for number in range(20):
            self.assertEqual(len(peer.send(*submits(number))), 1)
            self.assertEqual(peer.pass_time(30), [])

    def test_no_answer(self) -> None:
        """A peer that stays silent for the response timer is dead."""
        peer = bound(inactivity=0)
        peer.pass_time(45)
        peer.pass_time(29)
        self.assertFalse(peer.closing)
        peer.pass_time(2)
        self.assertTrue(peer.closing)
        peer.lose()
        self.assertIn("enquire_link", peer.delegate.gone[0])

    def test_another_pdu_as_answer(self) -> None:
        """Any PDU after an enquire_link counts as its answer, also generic_nack."""
        for reply in (submits(9)[0], GenericNack(1, 0x03)):
            peer = bound(inactivity=0)
            peer.pass_time(46)
            peer.send(reply)
            peer.pass_time(35)
            self.assertFalse(peer.closing)

    def test_not_of_the_window(self) -> None:
        """An enquire_link does not count in the window."""
        peer = bound()
        peer.pass_time(46)
        self.assertEqual(peer.session.room(), 100)

    def test_never(self) -> None:
        """With 0 no enquire_link is sent."""
        self.assertEqual(bound(enquire_link=0).pass_time(119), [])


class InactivityTests(SynchronousTestCase):
    """The inactivity timer."""

    def test_unbind(self) -> None:
        """After 2 minutes of silence we unbind and close."""
        peer = bound(enquire_link=0)
        self.assertEqual(peer.pass_time(119), [])
        self.assertEqual(summary(peer.pass_time(2)), [("unbind", 1, 0)])
        peer.send(UnbindResp(1))
        self.assertTrue(peer.closing)
        peer.lose()
        self.assertIn("inactivity", peer.delegate.gone[0])

    def test_any_pdu_counts(self) -> None:
        """Requests and responses alike keep a session alive."""
        peer = bound(enquire_link=0)
        peer.session.send(delivers(1))
        peer.read()
        peer.pass_time(100)
        peer.send(DeliverSmResp(1))
        self.assertEqual(peer.pass_time(100), [])
        peer.send(EnquireLink(3))
        self.assertEqual(peer.pass_time(100), [])

    def test_answers_to_our_questions_count(self) -> None:
        """A peer that only answers our enquire_link stays connected."""
        peer = bound()
        for number in range(1, 10):
            self.assertEqual(summary(peer.pass_time(46)), [("enquire_link", number, 0)])
            peer.send(EnquireLinkResp(number))

    def test_only_requests_count_if_configured(self) -> None:
        """With only_requests_keep_alive responses do not keep a session alive, requests do."""
        peer = bound(enquire_link=0, only_requests_keep_alive=True)
        peer.pass_time(100)
        peer.send(EnquireLink(3))
        peer.session.send(delivers(1))
        peer.pass_time(100)
        peer.send(DeliverSmResp(1))
        self.assertEqual(summary(peer.pass_time(21)), [("unbind", 2, 0)])

    def test_half_a_pdu_is_no_activity(self) -> None:
        """Octets of an incomplete PDU do not count."""
        peer = bound(enquire_link=0, half_pdu=1000.0)
        peer.write(b"\0")
        peer.pass_time(100)
        peer.write(b"\0")
        self.assertEqual(summary(peer.pass_time(21)), [("unbind", 1, 0)])


class ResponseTests(SynchronousTestCase):
    """The response timer."""

    def test_lost(self) -> None:
        """After 30 s a request counts as lost, its room is free again, and the session goes on."""
        peer = bound()
        peer.session.send(delivers(2))
        peer.read()
        peer.pass_time(29)
        self.assertEqual(peer.delegate.answered, [])
        peer.pass_time(2)
        self.assertEqual(peer.delegate.answered, [(0, -1, None), (1, -1, None)])
        self.assertEqual((peer.session.room(), peer.closing), (100, False))

    def test_each_by_its_own_time(self) -> None:
        """Each request expires at its own time."""
        peer = bound()
        peer.session.send(delivers(1))
        peer.pass_time(20)
        peer.session.send([("later", delivers(1)[0][1])])
        peer.pass_time(11)
        self.assertEqual([token for token, _, _ in peer.delegate.answered], [0])
        peer.pass_time(20)
        self.assertEqual([token for token, _, _ in peer.delegate.answered], [0, "later"])

    def test_a_late_answer(self) -> None:
        """An answer after the timer is dropped, because the request was reported as lost."""
        peer = bound()
        peer.session.send(delivers(1))
        peer.pass_time(31)
        peer.send(DeliverSmResp(1))
        self.assertEqual(peer.delegate.answered, [(0, -1, None)])


class HalfPduTests(SynchronousTestCase):
    """The half_pdu timer: a PDU must be complete some time after its first octet."""

    def test_octet_by_octet(self) -> None:
        """A PDU that takes longer than 10 s closes the session, although an octet arrives every second."""
        peer = bound()
        octets = encode_many(submits(2))
        for at in range(10):
            peer.write(octets[at : at + 1])
            self.assertFalse(peer.closing)
            peer.pass_time(1)
        self.assertTrue(peer.closing)

    def test_each_pdu_has_its_own_time(self) -> None:
        """PDUs across segments never close a session, as long as each is complete in time."""
        peer = bound()
        stream = encode_many(submits(*range(2, 40)))
        size = len(stream) // 38
        for at in range(0, len(stream), size // 2):
            peer.write(stream[at : at + size // 2])
            peer.pass_time(3)
        self.assertFalse(peer.closing)

    def test_the_next_begins_anew(self) -> None:
        """The timer starts anew with the next PDU."""
        peer = bound()
        one = encode_many(submits(2))
        peer.write(one[:10])
        peer.pass_time(9)
        peer.write(one[10:] + one[:10])
        peer.pass_time(9)
        self.assertFalse(peer.closing)
        peer.pass_time(1)
        self.assertTrue(peer.closing)


class SweepTests(SynchronousTestCase):
    """One timer serves them all."""

    def test_one_timer(self) -> None:
        """Any number of sessions has one pending call."""
        clock, delegate = Clock(), Recorder()
        factory = SmppServerFactory(delegate, SmppServerSettings(), clock)
        peers = [Peer(factory, clock, delegate) for _ in range(10)]
        for peer in peers:
            peer.bind()
            peer.session.send(delivers(50))
        self.assertEqual(len(clock.getDelayedCalls()), 1)

    def test_faults_stay_with_their_session(self) -> None:
        """A session whose check_time raises is aborted; the timers of the others go on."""
        clock, delegate = Clock(), Recorder()
        factory = SmppServerFactory(delegate, SmppServerSettings(), clock)
        broken, other = (Peer(factory, clock, delegate) for _ in range(2))

        def fail(now: float) -> None:
            raise RuntimeError("out of time")

        self.patch(broken.session, "check_time", fail)
        clock.advance(1.0)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertTrue(broken.transport.disconnected)
        other.pass_time(10)
        self.assertTrue(other.closing)
        self.flushLoggedErrors(RuntimeError)
