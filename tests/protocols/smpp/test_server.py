"""The SMPP server: binds, states, and its public interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from smsgw.interfaces import BindAccepted, ISmppDelegate, ISmppSession
from smsgw.protocols.smpp.server import SmppServerFactory, SmppServerSettings
from smsgw.smpp.codec import encode
from smsgw.smpp.consts import CommandId, Tag
from smsgw.smpp.fields import SmeAddress
from smsgw.smpp.pdus import (
    AlertNotification,
    BindReceiver,
    BindTransceiver,
    BroadcastSm,
    CancelSm,
    DataSm,
    DeliverSm,
    EnquireLink,
    Outbind,
    Pdu,
    QuerySm,
    ReplaceSm,
    SubmitMulti,
    SubmitSm,
    Unbind,
)
from smsgw.smpp.session import SessionState
from smsgw.smpp.tlvs import tlv
from tests.protocols.smpp.support import (
    Peer,
    Recorder,
    SlowTransport,
    bound,
    connect,
    delivers,
    make_tls,
    submits,
    summary,
)


class BindTests(SynchronousTestCase):
    """Binds."""

    def test_each_bind_opens_its_directions(self) -> None:
        """A transmitter submits, a receiver receives, a transceiver does both; the answer has our name and version."""
        for how, state, transmits, receives in (
            ("tx", SessionState.BOUND_TX, True, False),
            ("rx", SessionState.BOUND_RX, False, True),
            ("trx", SessionState.BOUND_TRX, True, True),
        ):
            peer = connect(system_id="gateway")
            answer = peer.bind(how)
            self.assertEqual(
                (answer.command_status, answer.system_id, answer.tlv(Tag.SC_INTERFACE_VERSION)), (0, b"gateway", 0x50)
            )
            session = peer.session
            self.assertEqual((session.state, session.transmits, session.receives), (state, transmits, receives))
            self.assertEqual(session.room(), 100 if receives else 0)

    def test_working_version(self) -> None:
        """The lower of both versions is used; version 3.3 and an unset version get no TLV."""
        for announced, spoken in ((0x00, 0x33), (0x33, 0x33), (0x34, 0x34), (0x50, 0x50), (0xFF, 0x50)):
            peer = connect()
            answer = peer.send(BindTransceiver(1, b"demo", b"demo", b"", announced))[0]
            self.assertEqual(peer.session.version, spoken)
            self.assertEqual(bool(answer.tlvs), spoken > 0x33)
        modest = connect(interface_version=0x34)
        self.assertEqual(modest.bind(interface_version=0x50).tlv(Tag.SC_INTERFACE_VERSION), 0x34)
        self.assertEqual(modest.session.version, 0x34)

    def test_the_delegate_may_choose_our_name(self) -> None:
        """A system_id in BindAccepted takes precedence over that of the settings."""

        class Named(Recorder):
            def bind(self, session: Any, pdu: Any) -> Deferred[BindAccepted | int]:
                return succeed(BindAccepted("demo", b"for you", 7))

        peer = connect(Named())
        self.assertEqual(peer.bind().system_id, b"for you")
        self.assertEqual(peer.session.room(), 7)

    def test_refusal_leaves_the_session_open(self) -> None:
        """A refused bind gets its status and no body, and the peer may bind again on the same connection."""
        peer = connect()
        self.assertEqual(peer.bind(password=b"wrong").command_status, 0x0E)
        self.assertEqual((peer.session.state, peer.session.bound), (SessionState.OPEN, None))
        self.assertEqual(peer.bind("rx").command_status, 0)
        self.assertEqual(peer.session.state, SessionState.BOUND_RX)

    def test_version_of_a_refused_bind_is_forgotten(self) -> None:
        """A peer that was refused as 3.3 may still bind as a transceiver of 3.4."""
        peer = connect()
        refused = peer.send(BindReceiver(1, b"demo", b"wrong", b"", 0x33))
        self.assertEqual(summary(refused), [("bind_receiver_resp", 1, 0x0E)])
        answer = peer.send(BindTransceiver(2, b"demo", b"demo", b"", 0x34))[0]
        self.assertEqual((answer.command_status, peer.session.version), (0, 0x34))

    def test_refusals_end(self) -> None:
        """A connection is closed after too many refused binds, each of which is answered."""
        peer = connect(faults_before_bind=3)
        for _ in range(3):
            self.assertEqual(peer.bind(password=b"wrong").command_status, 0x0E)
            self.assertFalse(peer.closing)
        self.assertEqual(peer.bind(password=b"wrong").command_status, 0x0E)
        self.assertTrue(peer.closing)

    def test_nothing_is_looked_at_before_the_verdict(self) -> None:
        """Octets after a bind wait, undecoded, for the delegate's answer, and are then processed in order."""
        delegate = Recorder()
        delegate.hold.add("bind")
        peer = connect(delegate)
        behind = [*submits(2), EnquireLink(3), *submits(4)]
        self.assertEqual(peer.send(BindTransceiver(1, b"demo", b"demo", b"", 0x34), *behind), [])
        self.assertFalse(peer.reads)
        self.assertEqual(peer.send(*submits(5)), [])
        self.assertEqual(delegate.batches, [])
        delegate.held.pop()()
        self.assertEqual(
            summary(peer.read()),
            [
                ("bind_transceiver_resp", 1, 0),
                ("submit_sm_resp", 2, 0),
                ("enquire_link_resp", 3, 0),
                ("submit_sm_resp", 4, 0),
                ("submit_sm_resp", 5, 0),
            ],
        )
        self.assertTrue(peer.reads)

    def test_behind_a_refused_bind(self) -> None:
        """PDUs after a refused bind are processed in the state open."""
        peer = connect()
        answers = peer.send(BindTransceiver(1, b"demo", b"wrong", b"", 0x34), *submits(2))
        self.assertEqual(summary(answers), [("bind_transceiver_resp", 1, 0x0E), ("submit_sm_resp", 2, 0x04)])
        self.assertEqual(peer.delegate.batches, [])

    def test_octets_behind_a_bind_are_read_in_its_version(self) -> None:
        """A PDU in the same segment as a 3.3 bind is decoded without TLVs."""
        peer = connect()
        first = encode(BindTransceiver(1, b"demo", b"demo", b"", 0x33))
        second = SubmitSm(2, destination_addr=b"1", tlvs=[tlv(Tag.MESSAGE_PAYLOAD, b"x")])
        peer.write(first + encode(second))
        self.assertEqual(peer.delegate.requested[0].tlvs, ())

    def test_second_bind(self) -> None:
        """A bound session refuses another bind with ESME_RALYBND and stays as it is."""
        peer = bound("tx")
        self.assertEqual(summary([peer.bind("trx")]), [("bind_transceiver_resp", 1, 0x05)])
        self.assertEqual((peer.session.state, len(peer.delegate.binds)), (SessionState.BOUND_TX, 1))

    def test_fields_of_a_bind_have_maxima(self) -> None:
        """Too long a field gets its own status and never reaches the delegate; the settings may raise maxima."""
        for field, value, status in (
            ("system_id", b"x" * 16, 0x0F),
            ("password", b"x" * 9, 0x0E),
            ("system_type", b"x" * 13, 0x53),
        ):
            pdu = BindTransceiver(1, b"demo", b"demo", b"", 0x34)
            setattr(pdu, field, value)
            peer = connect()
            self.assertEqual(summary(peer.send(pdu)), [("bind_transceiver_resp", 1, status)])
            self.assertEqual(peer.delegate.binds, [])
            peer = connect(maxima={field: 40})
            peer.send(pdu)
            self.assertEqual(len(peer.delegate.binds), 1)

    def test_a_failing_delegate_refuses(self) -> None:
        """If the delegate raises at a bind, the bind gets a system error, and the fault is logged."""

        class Broken(Recorder):
            def bind(self, session: Any, pdu: Any) -> NoReturn:
                raise RuntimeError("no accounts today")

        peer = connect(Broken())
        self.assertEqual(peer.bind().command_status, 0x08)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_bound_follows_the_answer(self) -> None:
        """bound() is called after the bind response is written, so requests of the delegate follow it."""
        delegate = Recorder()
        delegate.on_bound = lambda session: session.send(delivers(1))
        peer = connect(delegate)
        seen = summary(peer.send(BindReceiver(1, b"demo", b"demo", b"", 0x34)))
        self.assertEqual(seen, [("bind_receiver_resp", 1, 0), ("deliver_sm", 1, 0)])

    def test_a_transmitter_has_no_room(self) -> None:
        """For a transmitter the delegate gets bound(), and room() stays 0."""
        delegate = bound("tx").delegate
        self.assertEqual((len(delegate.bound_sessions), delegate.ready_calls), (1, 0))

    def test_peer_gone_before_the_verdict(self) -> None:
        """A delegate that accepts the bind of a closed connection gets closed()."""
        delegate = Recorder()
        delegate.hold.add("bind")
        peer = connect(delegate)
        peer.send(BindTransceiver(1, b"demo", b"demo", b"", 0x34))
        peer.lose()
        self.assertEqual(delegate.gone, [])
        delegate.held.pop()()
        self.assertEqual(len(delegate.gone), 1)
        self.assertEqual(peer.read(), [])

    def test_closing_before_the_verdict(self) -> None:
        """A delegate that accepts a bind while we close gets closed() once, after the connection is closed."""
        delegate = Recorder()
        delegate.hold.add("bind")
        peer = connect(delegate)
        peer.send(BindTransceiver(1, b"demo", b"demo", b"", 0x34))
        peer.session.close()
        delegate.held.pop()()
        self.assertEqual((delegate.gone, peer.read()), ([], []))
        peer.lose()
        self.assertEqual(len(delegate.gone), 1)

    def test_closed_is_for_bound_sessions(self) -> None:
        """The delegate gets no closed() for a connection that was never bound."""
        peer = connect()
        peer.bind(password=b"wrong")
        peer.lose()
        self.assertEqual(peer.delegate.gone, [])


ROWS: Sequence[tuple[Pdu, str]] = [
    (SubmitSm(9, destination_addr=b"1"), "tx trx"),
    (SubmitMulti(9, dest_address=[SmeAddress(1, 1, b"1")]), "tx trx"),
    (DataSm(9, destination_addr=b"1"), "tx trx"),
    (QuerySm(9, b"1"), "tx trx"),
    (CancelSm(9, b"", b"1"), "tx trx"),
    (ReplaceSm(9, b"1"), "tx trx"),
    (DeliverSm(9), ""),
    (AlertNotification(9), ""),
    (Outbind(9), ""),
]


class StateTests(SynchronousTestCase):
    """The requests of each state."""

    def test_session_table(self) -> None:
        """Each request reaches the delegate in its states, and gets ESME_RINVBNDSTS everywhere else."""
        for pdu, states in ROWS:
            for how in ("open", "tx", "rx", "trx"):
                peer = connect() if how == "open" else bound(how)
                answers = summary(peer.send(pdu))
                with self.subTest(pdu=pdu.name, state=how):
                    if how in states.split():
                        self.assertEqual([p.name for p in peer.delegate.requested], [pdu.name])
                        self.assertEqual(answers, [(pdu.name + "_resp", 9, 0)])
                    else:
                        name = "generic_nack" if pdu.name in ("alert_notification", "outbind") else pdu.name + "_resp"
                        self.assertEqual((peer.delegate.requested, answers), ([], [(name, 9, 0x04)]))
                    self.assertFalse(peer.closing)

    def test_enquire_link_is_always_answered(self) -> None:
        """enquire_link is answered in every state, before a bind too."""
        for peer in (connect(), bound("tx"), bound("rx"), bound("trx")):
            self.assertEqual(summary(peer.send(EnquireLink(0x7FFFFFFF))), [("enquire_link_resp", 0x7FFFFFFF, 0)])

    def test_unbind_needs_a_bind(self) -> None:
        """unbind before a bind is out of place."""
        peer = connect()
        self.assertEqual(summary(peer.send(Unbind(5))), [("unbind_resp", 5, 0x04)])
        self.assertFalse(peer.closing)

    def test_operations_newer_than_the_session(self) -> None:
        """A broadcast_sm on a session of 3.4 is an unknown operation; on one of 5.0 the delegate decides."""
        peer = bound()
        self.assertEqual([(p.sequence_number, p.command_status) for p in peer.send(BroadcastSm(9))], [(9, 0x03)])
        self.assertEqual(peer.delegate.requested, [])
        newer = connect()
        newer.bind(interface_version=0x50)
        newer.version = 0x50
        newer.send(BroadcastSm(9))
        self.assertEqual(len(newer.delegate.requested), 1)

    def test_unknown_commands(self) -> None:
        """An unknown request gets generic_nack ESME_RINVCMDID with its number in every state, an unknown response
        nothing."""
        for peer in (connect(), bound()):
            request = bytes.fromhex("00000010 00000777 00000000 00000009".replace(" ", ""))
            self.assertEqual(summary(peer.write(request)), [("generic_nack", 9, 0x03)])
            self.assertEqual(peer.write(bytes.fromhex("00000010800007770000000000000009")), [])
            self.assertFalse(peer.closing)

    def test_nacked_operations(self) -> None:
        """An operation that is to be nacked gets generic_nack ESME_RINVCMDID in every state, as an unknown one does,
        and never reaches the delegate; a bind can be one."""
        nacked = frozenset({int(CommandId.CANCEL_SM), int(CommandId.BIND_RECEIVER)})
        for peer in (connect(nacked=nacked), bound(nacked=nacked), bound("tx", nacked=nacked)):
            answers = peer.send(CancelSm(9), BindReceiver(10, b"demo", b"demo"), EnquireLink(11))
            self.assertEqual(
                summary(answers),
                [("generic_nack", 9, 0x03), ("generic_nack", 10, 0x03), ("enquire_link_resp", 11, 0)],
            )
            self.assertEqual(peer.delegate.requested, [])
            self.assertFalse(peer.closing)
        self.assertEqual(summary(peer.send(*submits(12))), [("submit_sm_resp", 12, 0)])

    def test_status_of_a_request_is_ignored(self) -> None:
        """A request may carry any command_status."""
        octets = bytearray(encode(submits(5)[0]))
        octets[8:12] = b"\xff\xff\xff\xff"
        self.assertEqual(summary(bound().write(bytes(octets))), [("submit_sm_resp", 5, 0)])

    def test_numbers_are_echoed(self) -> None:
        """The answer repeats any sequence number, also one that several requests have."""
        numbers = (0, 1, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1)
        answers = bound().send(*submits(*numbers))
        self.assertEqual([pdu.sequence_number for pdu in answers], list(numbers))


class ContractTests(SynchronousTestCase):
    """The public interface."""

    def test_interfaces(self) -> None:
        """The session and the delegate of these tests provide their interfaces."""
        peer = bound()
        self.assertTrue(verifyObject(ISmppSession, peer.session))
        self.assertTrue(verifyObject(ISmppDelegate, peer.delegate))

    def test_what_is_known_of_the_peer(self) -> None:
        """A session knows its peer's address, whether it is encrypted, and switches Nagle's algorithm off."""
        peer = connect()
        self.assertEqual((peer.session.peer, peer.session.tls), ("192.168.1.1", False))
        self.assertTrue(peer.transport.no_delay)
        other = SlowTransport()
        other.peerAddr = UNIXAddress(None)
        encrypted = Peer(peer.factory, peer.clock, peer.delegate, make_tls(other))
        self.assertEqual((encrypted.session.peer, encrypted.session.tls), ("", True))

    def test_sessions_are_counted(self) -> None:
        """A factory knows its connections, and runs no timer without any."""
        clock = connect().clock
        factory = SmppServerFactory(Recorder(), SmppServerSettings(), clock)
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        peers = [Peer(factory, clock, Recorder()) for _ in range(3)]
        self.assertEqual((len(factory.sessions), len(clock.getDelayedCalls())), (3, 2))
        for peer in peers:
            peer.lose()
        self.assertEqual((len(factory.sessions), len(clock.getDelayedCalls())), (0, 1))

    def test_settings_are_checked(self) -> None:
        """Maxima for fields that do not exist are a mistake at once."""
        self.assertRaises(ValueError, SmppServerSettings, maxima={"pass_word": 20})
        self.assertRaises(ValueError, SmppServerSettings, maxima={"password": 257})

    def test_bind_pdus_by_command_id(self) -> None:
        """bind_boundaries are the command_ids of the three binds, as on the wire."""
        self.assertEqual(
            SmppServerFactory(Recorder(), SmppServerSettings(), connect().clock).buildProtocol(None).bind_boundaries,
            {int(command).to_bytes(4, "big") for command in CommandId if command in (1, 2, 9)},
        )
