"""PDUs that send no message: a session that has too many of them is read more slowly (F5)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.smpp.connection import FEW_FRAMES
from smsgw.smpp.pdus import DeliverSmResp, EnquireLink, QuerySm
from tests.protocols.smpp.support import Recorder, bound, connect, delivers, submits, summary


class F5Tests(SynchronousTestCase):
    """A client whose PDUs send no message."""

    def test_f5_flood(self) -> None:
        """Above `pdu_rate` reading pauses, and every request is answered in order when its turn comes."""
        peer = bound(pdu_rate=100)
        answers = peer.send(*[EnquireLink(n) for n in range(2, 1002)])
        self.assertEqual((len(answers), peer.reads), (1000, False))
        self.assertEqual(peer.send(EnquireLink(1002)), [])
        self.assertEqual(peer.pass_time(8), [])
        self.assertEqual((summary(peer.pass_time(2)), peer.reads), ([("enquire_link_resp", 1002, 0)], True))

    def test_f5_small_slices(self) -> None:
        """During a flood a few PDUs are processed at a time, so that other sessions are not held up."""
        peer = bound(pdu_rate=100)
        peer.send(*[EnquireLink(n) for n in range(2, 1002)])
        peer.pass_time(8)
        peer.send(*[EnquireLink(n) for n in range(1000)])
        slices = []
        for _ in range(120):
            peer.clock.advance(0.1)
            slices.append(len(peer.read()))
        self.assertTrue(0 < max(slices) <= FEW_FRAMES, slices)
        self.assertEqual(sum(slices), 1000)

    def test_f5_what_counts(self) -> None:
        """Refused requests, queries, stray responses and undecodable PDUs count; accepted messages and responses to
        our requests do not."""
        delegate = Recorder()
        refused = bound(delegate=delegate, pdu_rate=100)
        peer = bound(pdu_rate=100)
        peer.send(*submits(*range(2, 600)))
        peer.session.send(delivers(100))
        peer.read()
        peer.send(*[DeliverSmResp(number) for number in range(1, 101)])
        self.assertTrue(peer.reads)
        delegate.reply = lambda pdu: 0x0B  # type: ignore[method-assign]
        refused.send(*submits(*range(2, 103)))
        self.assertFalse(refused.reads)
        for pdus in ([DeliverSmResp(n) for n in range(200)], [QuerySm(n, b"1") for n in range(2, 202)]):
            peer = bound(pdu_rate=100)
            peer.send(*pdus)
            self.assertFalse(peer.reads)
        peer = bound(pdu_rate=50)
        peer.write(b"\0\0\0\x10\0\0\7\x77\0\0\0\0\0\0\0\5" * 60)
        self.assertFalse(peer.reads)

    def test_f5_before_the_bind(self) -> None:
        """An unbound client is paused too, and its time to bind runs on."""
        peer = connect(pdu_rate=10)
        peer.send(*[EnquireLink(n) for n in range(500)])
        self.assertFalse(peer.reads)
        peer.pass_time(11)
        self.assertTrue(peer.closing)

    def test_f5_no_limit(self) -> None:
        """pdu_rate = 0 pauses no client."""
        peer = bound(pdu_rate=0)
        self.assertEqual(len(peer.send(*[EnquireLink(n) for n in range(4096)])), 4096)
        self.assertTrue(peer.reads)

    def test_f5_told(self) -> None:
        """The administrator learns of it, by the name of the account."""
        peer = bound(pdu_rate=10)
        peer.send(*[EnquireLink(n) for n in range(50)])
        (found,) = peer.factory.connections.overloads.current()
        self.assertEqual((found["limit"], found["of"]), ("pdus", "demo"))

    def test_f5_leaving(self) -> None:
        """A session that ends or closes while it is paused leaves no timer."""
        for close in (False, True):
            peer = bound(pdu_rate=10)
            peer.send(*[EnquireLink(n) for n in range(500)])
            if close:
                peer.session.close()
                self.assertEqual(summary(peer.read()), [("unbind", 1, 0)])
            peer.lose()
            peer.pass_time(120)
            self.assertEqual(peer.clock.getDelayedCalls(), [])
