"""The ESME's end, with our own message centre in memory and with one that the test plays by PDUs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError, ConnectionClosed, ConnectionDone
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump
from twisted.test.iosim import connect as join
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from smsgw.interfaces import ISmppSession
from smsgw.protocols.smpp.client import Esme, SmppClient, SmppClientFactory, SmppClientSettings
from smsgw.protocols.smpp.server import SmppServerFactory, SmppServerSettings
from smsgw.smpp.codec import Framer, decode_many, encode_many
from smsgw.smpp.consts import Tag
from smsgw.smpp.pdus import (
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    DataSm,
    DeliverSm,
    DeliverSmResp,
    GenericNack,
    Outbind,
    Pdu,
    QuerySm,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from smsgw.smpp.session import SessionState
from smsgw.smpp.tlvs import tlv
from tests.protocols.smpp.support import Recorder, SlowTransport, delivers, submits, summary


@implementer(IStreamClientEndpoint)
class Wired:
    """An endpoint to a server of ours in memory."""

    def __init__(self, factory: IProtocolFactory) -> None:
        self._factory = factory
        self.pump: IOPump | None = None
        self.server: Any = None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        address = IPv4Address("TCP", "127.0.0.1", 2775)
        self.server = self._factory.buildProtocol(address)
        client: Any = protocolFactory.buildProtocol(address)
        self.pump = join(
            self.server, FakeTransport(self.server, True), client, FakeTransport(client, False), greet=False
        )
        return succeed(client)

    def flush(self) -> None:
        assert self.pump is not None
        self.pump.flush()


class EsmeTests(SynchronousTestCase):
    """The complete client with the complete server."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.delegate = Recorder()
        self.wire = Wired(SmppServerFactory(self.delegate, SmppServerSettings(), self.clock))

    def esme(self, **settings: Any) -> Esme:
        return Esme(self.clock, settings=SmppClientSettings(**settings))

    def bound(self, esme: Esme, bind: Any = None) -> Any:
        answer = esme.connect(self.wire, bind or BindTransceiver(0, b"demo", b"demo", b"", 0x34))
        self.wire.flush()
        return self.successResultOf(answer)

    def test_bind(self) -> None:
        """bind fires with the response; the session then has its version and directions."""
        for bind, transmits, receives in (
            (BindTransceiver(0, b"demo", b"demo", b"", 0x34), True, True),
            (BindTransmitter(0, b"demo", b"demo", b"", 0x50), False, True),
            (BindReceiver(0, b"demo", b"demo", b"", 0x33), True, False),
        ):
            esme = self.esme()
            answer = self.bound(esme, bind)
            assert esme.session is not None
            self.assertEqual((answer.command_status, answer.system_id), (0, b"smsgw"))
            self.assertEqual((esme.session.transmits, esme.session.receives), (transmits, receives))
            self.assertEqual(esme.session.version, self.wire.server.version)
            self.assertEqual(esme.session.room(), 10 if receives else 0)

    def test_refused(self) -> None:
        """A refused bind fires with the response, and the client may bind again on the same connection."""
        esme = self.esme()
        self.assertEqual(self.bound(esme, BindTransceiver(0, b"demo", b"wrong", b"", 0x34)).command_status, 0x0E)
        assert esme.session is not None
        self.assertEqual((esme.session.state, esme.session.room()), (SessionState.OPEN, 0))
        again = esme.session.bind(BindTransceiver(0, b"demo", b"demo", b"", 0x34))
        self.wire.flush()
        self.assertEqual(self.successResultOf(again).command_status, 0)

    def test_any_number_at_a_time(self) -> None:
        """More requests than the window takes are sent as it allows; their answers come in the order of the call."""
        esme = self.esme(requests=10)
        self.bound(esme)
        answers = esme.submit([*submits(*range(95)), QuerySm(0, b"1")])
        self.wire.flush()
        result = self.successResultOf(answers)
        numbers = [pdu.sequence_number for pdu in self.delegate.requested]
        self.assertEqual(len(result), 96)
        self.assertEqual([status for status, _ in result], [0] * 96)
        ids = [pdu.message_id for _, pdu in result if isinstance(pdu, SubmitSmResp)]
        self.assertEqual(ids, [b"id-%d" % n for n in numbers[:-1]])
        self.assertEqual(numbers, sorted(numbers))
        self.assertEqual({len(batch) for batch in self.delegate.batches}, {10, 6})

    def test_batches_do_not_mix(self) -> None:
        """Each call gets its own answers, an empty one at once."""
        esme = self.esme(requests=4)
        self.bound(esme)
        first, none, second = esme.submit(submits(1, 2, 3)), esme.submit([]), esme.submit(submits(4, 5))
        self.assertEqual(self.successResultOf(none), [])
        self.wire.flush()
        self.assertEqual([len(self.successResultOf(each)) for each in (first, second)], [3, 2])

    def test_deliveries(self) -> None:
        """The program gets the message centre's requests in lists, and its answers are sent."""
        seen: list[list[Pdu]] = []

        def deliver(pdus: list[Pdu]) -> list[Pdu | int]:
            seen.append(pdus)
            return [0x64 if number == 1 else 0 for number in range(len(pdus))]

        esme = Esme(self.clock, deliver)
        self.bound(esme)
        self.wire.server.send([*delivers(3), ("alert", AlertNotification(0, 1, 1, b"79161234567"))])
        self.wire.flush()
        self.assertEqual([[pdu.name for pdu in batch] for batch in seen], [["deliver_sm"] * 3 + ["alert_notification"]])
        self.assertEqual(
            [(token, status) for token, status, _ in self.delegate.answered],
            [("alert", 0), (0, 0), (1, 0x64), (2, 0)],
        )

    def test_deliveries_behind_the_bind(self) -> None:
        """Requests in the same segment as the bind response are processed."""
        self.delegate.on_bound = lambda session: session.send(delivers(2))
        self.bound(self.esme())
        self.assertEqual([status for _, status, _ in self.delegate.answered], [0, 0])

    def test_unbind(self) -> None:
        """unbind() waits for open answers, unbinds, and fires when the connection has closed at both ends."""
        esme = self.esme()
        self.bound(esme)
        done = esme.unbind()
        self.wire.flush()
        self.successResultOf(done)
        self.assertEqual(self.delegate.gone, ["the peer has unbound"])
        self.assertEqual(self.successResultOf(esme.submit(submits(1))), [(-1, None)])

    def test_the_server_unbinds(self) -> None:
        """A client answers the server's unbind and closes; only unanswered requests are lost."""
        esme = self.esme(requests=2)
        self.bound(esme)
        self.delegate.hold.add("requests")
        answers = esme.submit(submits(1, 2, 3))
        self.wire.flush()
        self.wire.server.close("closing time")
        self.delegate.hold.clear()
        self.delegate.held[0]()
        self.wire.flush()
        self.assertEqual([status for status, _ in self.successResultOf(answers)], [0, 0, -1])
        self.assertEqual(self.delegate.gone, ["closing time"])

    def test_lost_connection(self) -> None:
        """When the connection is lost, every request is lost, sent or queued."""
        esme = self.esme(requests=2)
        self.bound(esme)
        answers = esme.submit(submits(1, 2, 3))
        assert esme.session is not None
        esme.session.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.successResultOf(answers), [(-1, None)] * 3)

    def test_before_the_bind(self) -> None:
        """Requests submitted before the bind are sent after it; without a bind they are lost."""
        early = self.esme()
        answers = early.submit(submits(1))
        self.bound(early)
        self.wire.flush()
        self.assertEqual([status for status, _ in self.successResultOf(answers)], [0])
        refused = self.esme()
        answers = refused.submit(submits(1))
        self.bound(refused, BindTransceiver(0, b"demo", b"wrong"))
        done = refused.unbind()
        self.wire.flush()
        self.successResultOf(done)
        self.assertEqual(self.successResultOf(answers), [(-1, None)])

    def test_no_connection(self) -> None:
        """If the connection fails, connect() fails with the reason."""

        @implementer(IStreamClientEndpoint)
        class Unreachable:
            def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
                return fail(ConnectError())

        esme = self.esme()
        answers = esme.submit(submits(1))
        self.failureResultOf(esme.connect(Unreachable(), BindTransceiver(0, b"demo", b"demo")), ConnectError)
        self.assertEqual(self.successResultOf(answers), [(-1, None)])


class ByHand:
    """A client whose message centre the test plays."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.delegate = Recorder()
        self.transport = SlowTransport()
        factory = SmppClientFactory(lambda: self.delegate, SmppClientSettings(**settings), self.clock)
        self.client: SmppClient = factory.buildProtocol(None)
        self.client.makeConnection(self.transport)
        self.bind = self.client.bind(BindTransceiver(0, b"demo", b"demo", b"", 0x34))
        self.transport.clear()

    def receive(self, *pdus: Pdu, version: int = 0x34) -> list[Any]:
        """Send PDUs to the client; return those that it sends in turn."""
        self.transport.clear()
        self.client.dataReceived(encode_many(pdus, version))
        return self.sent()

    def sent(self) -> list[Any]:
        return decode_many(Framer().feed(self.transport.value()))

    @classmethod
    def bound(cls, **settings: Any) -> ByHand:
        """Connect and bind as a transceiver of 3.4."""
        made = cls(**settings)
        made.receive(BindTransceiverResp(1, 0, b"mc", tlvs=[tlv(Tag.SC_INTERFACE_VERSION, 0x34)]))
        assert made.client.bound is not None
        return made


class ClientTests(SynchronousTestCase):
    """The client's reaction to all that a message centre may send."""

    def test_interface(self) -> None:
        """A client's session provides the same interface as a server's."""
        self.assertTrue(verifyObject(ISmppSession, ByHand().client))

    def test_version(self) -> None:
        """The lower of both versions is used; without a TLV 3.3, or our own version if so configured."""
        for tlvs, settings, version in (
            ([tlv(Tag.SC_INTERFACE_VERSION, 0x34)], {}, 0x34),
            ([tlv(Tag.SC_INTERFACE_VERSION, 0x50)], {}, 0x34),
            ([tlv(Tag.SC_INTERFACE_VERSION, 0x33)], {}, 0x33),
            ([], {}, 0x33),
            ([], {"assume_version": True}, 0x34),
        ):
            peer = ByHand(**settings)
            peer.receive(BindTransceiverResp(1, 0, b"mc", tlvs=tlvs))
            self.assertEqual(peer.client.version, version)

    def test_wrong_answers_to_a_bind(self) -> None:
        """A generic_nack refuses the bind; a response of another kind ends the connection."""
        nacked = ByHand()
        nacked.receive(GenericNack(1, 0x03))
        self.assertEqual(self.successResultOf(nacked.bind).command_status, 0x03)
        other = ByHand()
        other.receive(BindReceiverResp(1, 0, b"mc"))
        self.failureResultOf(other.bind, ConnectionClosed)
        self.assertTrue(other.transport.disconnecting)

    def test_no_answer_to_a_bind(self) -> None:
        """A bind without answer closes the connection after session_init, and then fails."""
        peer = ByHand()
        peer.clock.pump([1.0] * 14)
        self.assertFalse(peer.transport.disconnecting)
        peer.clock.advance(1.0)
        self.assertTrue(peer.transport.disconnecting)
        self.assertNoResult(peer.bind)
        peer.client.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(peer.bind, ConnectionClosed)

    def test_one_bind_at_a_time(self) -> None:
        """A second bind during the first one, or on a bound session, fails at once and is not sent."""
        peer = ByHand()
        self.failureResultOf(peer.client.bind(BindReceiver()), ConnectionClosed)
        peer = ByHand.bound()
        self.failureResultOf(peer.client.bind(BindReceiver()), ConnectionClosed)
        self.assertEqual(peer.sent(), [])

    def test_requests_of_a_message_centre(self) -> None:
        """deliver_sm, data_sm and alert_notification reach the delegate; requests that only an ESME may send do not."""
        peer = ByHand.bound()
        answers = peer.receive(DeliverSm(5), DataSm(6), AlertNotification(7), SubmitSm(8), Outbind(9))
        self.assertEqual([pdu.name for pdu in peer.delegate.requested], ["deliver_sm", "data_sm", "alert_notification"])
        self.assertEqual(
            summary(answers),
            [("deliver_sm_resp", 5, 0), ("data_sm_resp", 6, 0), ("submit_sm_resp", 8, 4), ("generic_nack", 9, 4)],
        )

    def test_nothing_before_the_bind(self) -> None:
        """Before the bind is answered, a message centre may not deliver."""
        peer = ByHand()
        self.assertEqual(summary(peer.receive(DeliverSm(5))), [("deliver_sm_resp", 5, 4)])
        self.assertEqual(peer.delegate.requested, [])

    def test_acknowledged_after_the_delegate(self) -> None:
        """deliver_sm_resp is sent after the delegate's answer; its failure gives a temporary error."""
        peer = ByHand.bound()
        peer.delegate.hold.add("requests")
        self.assertEqual(peer.receive(DeliverSm(5)), [])
        peer.delegate.held[0]()
        self.assertEqual(summary(peer.sent()), [("deliver_sm_resp", 5, 0)])

        def refuse(session: Any, pdus: Sequence[Pdu]) -> Deferred[list[Pdu | int]]:
            return fail(RuntimeError("no store"))

        self.patch(peer.delegate, "requests", refuse)
        self.assertEqual(summary(peer.receive(DeliverSm(6))), [("deliver_sm_resp", 6, 8)])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_error_responses_in_any_shape(self) -> None:
        """A refusal is accepted with a body, with a message_id in it, or without one."""
        peer = ByHand.bound()
        peer.client.send([(n, SubmitSm()) for n in range(3)])
        header = b"%c\x80\x00\x00\x04\x00\x00\x00\x58\x00\x00\x00%c"
        for number, body in ((2, b""), (3, b"\0"), (4, b"id\0")):
            peer.client.dataReceived(b"\0\0\0" + header % (16 + len(body), number) + body)
        self.assertEqual([(token, status) for token, status, _ in peer.delegate.answered], [(0, 88), (1, 88), (2, 88)])

    def test_out_of_order(self) -> None:
        """Responses may arrive in any order."""
        peer = ByHand.bound()
        peer.client.send([(n, SubmitSm()) for n in range(3)])
        peer.receive(SubmitSmResp(4, 0, b"c"), SubmitSmResp(2, 0, b"a"), SubmitSmResp(3, 0, b"b"))
        self.assertEqual([token for token, _, _ in peer.delegate.answered], [2, 0, 1])

    def test_they_unbind(self) -> None:
        """The message centre's unbind is answered after its deliveries, and the connection closes."""
        peer = ByHand.bound()
        self.assertEqual(
            summary(peer.receive(DeliverSm(5), Unbind(6))), [("deliver_sm_resp", 5, 0), ("unbind_resp", 6, 0)]
        )
        self.assertTrue(peer.transport.disconnecting)

    def test_close_after_unbind(self) -> None:
        """A message centre that closes the connection instead of answering unbind counts as having answered it."""
        peer = ByHand.bound()
        peer.client.close("done")
        self.assertEqual(summary(peer.sent()), [("unbind", 2, 0)])
        peer.client.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(peer.delegate.gone, ["done"])

    def test_we_unbind_behind_our_requests(self) -> None:
        """unbind waits for the responses to what was submitted."""
        peer = ByHand.bound()
        peer.client.send([(1, SubmitSm())])
        peer.transport.clear()
        peer.client.close()
        self.assertEqual(peer.sent(), [])
        self.assertEqual(summary(peer.receive(SubmitSmResp(2, 0, b"x"))), [("unbind", 3, 0)])
        peer.receive(UnbindResp(3))
        self.assertTrue(peer.transport.disconnecting)
        self.assertEqual([status for _, status, _ in peer.delegate.answered], [0])

    def test_receipts_without_tlvs_from_old_centres(self) -> None:
        """TLVs of a 3.3 message centre are not read."""
        peer = ByHand()
        peer.receive(BindTransceiverResp(1, 0, b"mc"))
        peer.receive(DeliverSm(5, tlvs=[tlv(Tag.RECEIPTED_MESSAGE_ID, b"7")]), version=0x34)
        self.assertEqual(peer.delegate.requested[0].tlvs, ())
        self.assertEqual(DeliverSmResp.name, "deliver_sm_resp")
