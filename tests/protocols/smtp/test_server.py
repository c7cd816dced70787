"""One command at a time, bounded memory, timers, and shutdown."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.smtp.factory import SubmissionFactory
from tests.protocols.smtp.support import (
    CONTEXT,
    ENVELOPE,
    LOGGED_IN,
    Client,
    Recorder,
    Wire,
    codes,
    connect,
    quicktel,
    wait,
)

MESSAGE = ENVELOPE + b"DATA\r\nx\r\n.\r\n"


class OrderTests(SynchronousTestCase):
    def test_waits_for_the_answer(self) -> None:
        """A pipelined command waits for the answer to the one before it."""
        client = connect().log_in()
        client.delegate.hold = {"sender", "recipient", "message"}
        client.delegate.calls.clear()
        self.assertEqual(client.send(MESSAGE + b"NOOP\r\n"), b"")
        for name, answered in (("sender", [250]), ("recipient", [250, 354]), ("message", [250, 250])):
            self.assertEqual([call[0] for call in client.delegate.calls][-1], name)
            client.wire.clear()
            client.delegate.fire()
            self.assertEqual(codes(client.wire.value()), answered)
        self.assertEqual(len(client.delegate.calls), 3)

    def test_one_write(self) -> None:
        """Replies that are ready together leave in one write."""
        client = connect().log_in()
        before = len(client.wire.writes)
        client.send(MESSAGE * 10)
        self.assertEqual(len(client.wire.writes) - before, 1)
        self.assertEqual(codes(client.wire.writes[-1]), [250, 250, 354, 250] * 10)

    def test_thousand_commands(self) -> None:
        """A thousand commands in one segment are answered in order, each after the one before."""
        client = connect().log_in()
        client.delegate.hold.add("status")
        client.wire.clear()
        client.send(b"STATUS 4418\r\nSTATUS 1\r\n" * 500)
        for turn in range(1000):
            self.assertEqual(len(client.delegate.held), 1, turn)
            client.delegate.fire()
        self.assertEqual(codes(client.wire.value()), [250, 550] * 500)

    def test_one_read_one_message(self) -> None:
        """The octets after a message in the same segment are the next command."""
        client = connect().log_in()
        self.assertEqual(client.codes(MESSAGE + MESSAGE + b"QUIT\r\n"), [250, 250, 354, 250] * 2 + [221])
        self.assertEqual(client.delegate.bodies(), [b"x\r\n", b"x\r\n"])

    def test_nothing_after_quit(self) -> None:
        """Octets after QUIT are ignored."""
        client = connect().log_in()
        self.assertEqual(client.codes(b"QUIT\r\n" + MESSAGE), [221])
        self.assertEqual(client.delegate.messages, [])

    def test_answer_after_the_client_left(self) -> None:
        """An answer after the client has closed is dropped; a failure is still logged."""
        client = connect().log_in()
        client.delegate.hold.add("status")
        client.say(b"STATUS 1")
        client.leave()
        client.delegate.held.pop()[0].errback(RuntimeError("late"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class BoundTests(SynchronousTestCase):
    def test_reading_pauses(self) -> None:
        """While the delegate works, reading pauses at the backlog and resumes when it has been processed."""
        client = connect(quicktel(backlog=1000)).log_in()
        client.delegate.hold.add("status")
        client.say(b"STATUS 1")
        client.send(b"STATUS 4418\r\n" * 70)
        self.assertEqual(client.wire.producerState, "producing")
        client.send(b"STATUS 4418\r\n" * 70)
        self.assertEqual(client.wire.producerState, "paused")
        client.delegate.hold.clear()
        client.delegate.fire()
        self.assertEqual(client.wire.producerState, "producing")
        self.assertEqual(client.wire.value().count(b"250 4418"), 140)

    def test_client_that_does_not_read(self) -> None:
        """While the transport's buffer is full no command is processed, and reading pauses at the backlog."""
        client = connect(quicktel(backlog=1000)).log_in()
        client.delegate.calls.clear()
        client.protocol.pauseProducing()
        self.assertEqual(client.send(b"STATUS 4418\r\n" * 100), b"")
        self.assertEqual((client.delegate.calls, client.wire.producerState), ([], "paused"))
        client.protocol.resumeProducing()
        self.assertEqual(len(client.delegate.calls), 100)
        self.assertEqual(client.wire.producerState, "producing")

    def test_full_in_the_middle(self) -> None:
        """When a write fills the transport's buffer, the next commands wait."""
        client = connect(quicktel(junk_after_login=10_000)).log_in()
        room = 5

        class Full(list[bytes]):
            def append(self, data: bytes) -> None:
                super().append(data)
                if len(self) == room:
                    client.protocol.pauseProducing()

        client.wire.writes = Full()
        client.send(b"NOOP\r\n" * 5000)
        self.assertEqual(len(client.wire.writes), room)
        room = 0
        client.protocol.resumeProducing()
        self.assertEqual(sum(octets.count(b"250 Ok") for octets in client.wire.writes), 5000)

    def test_huge_message(self) -> None:
        """A message above the limit is measured and dropped, and answered 552 at its end."""
        client = connect(quicktel(mail_limit=100_000)).begin_data()
        chunk = b"y" * 998 + b"\r\n"
        for _ in range(1000):
            self.assertEqual(client.send(chunk), b"")
        kept = client.protocol.dialogue.message
        assert kept is not None
        self.assertEqual(kept.size, 1_000_000)
        self.assertLess(len(kept._kept), 101_100)
        self.assertEqual(client.send(b".\r\n"), b"552 5.3.4 Message too big\r\n")
        self.assertEqual(client.codes(MESSAGE), [250, 250, 354, 250])

    def test_f4_idle_connections_give_way(self) -> None:
        """However many idle connections there are, a client gets in: the oldest unauthenticated one is cut."""
        idle = [connect(quicktel(unauthenticated=3))]
        idle += [connect(factory=idle[0].factory) for _ in range(2)]
        idle[0].log_in()
        late = [connect(factory=idle[0].factory).log_in() for _ in range(5)]
        newest = connect(factory=idle[0].factory)
        connect(factory=idle[0].factory)
        wait(newest, 1)
        self.assertEqual([client.wire.disconnected for client in (*idle, *late)], [False, True] + [False] * 6)
        self.assertEqual(newest.codes(LOGGED_IN), [250, 235])

    def test_f4_one_address(self) -> None:
        """The idle connections of one address give way to each other, not those of another one."""
        first = connect(quicktel(unauthenticated_per_source=2))
        wire = Wire()
        wire.peerAddr = IPv4Address("TCP", "198.51.100.7", 40000)
        first.factory.buildProtocol(None).makeConnection(wire)
        others = [connect(factory=first.factory) for _ in range(2)]
        wait(first, 1)
        cut = [one.disconnected for one in (first.wire, wire, others[0].wire, others[1].wire)]
        self.assertEqual(cut, [True, False, False, False])


class F5Tests(SynchronousTestCase):
    """Commands and octets from which no message comes."""

    def test_f5_refused_message(self) -> None:
        """The delegate learns the size of a message that the server refuses, and the session waits for its answer."""
        client = connect(quicktel(mail_limit=2000)).begin_data()
        client.delegate.hold = {"wasted"}
        self.assertEqual(client.codes(b"x" * 998 + b"\r\n" + b"x\r\n" * 2000 + b".\r\nSTATUS 4418\r\n"), [])
        self.assertEqual(client.delegate.waste, [(1, 7003)])
        client.wire.clear()
        client.delegate.fire()
        self.assertEqual(codes(client.wire.value()), [552, 250])

    def test_f5_commands(self) -> None:
        """The delegate learns of commands that bring no message, some at a time: the next one waits for its answer."""
        for stream, waste in (
            (b"STATUS 4418\r\n" * 100, 100),
            ((ENVELOPE + b"RSET\r\n") * 40, 120),
            ((b"MAIL FROM:<a@b.example>\r\n" + b"RCPT TO:<no>\r\n" * 50 + b"RSET\r\n") * 4, 208),
        ):
            client = connect().log_in()
            client.send(stream)
            counted = sum(commands for commands, _ in client.delegate.waste)
            self.assertTrue(waste - 60 < counted <= waste + 2, counted)
        client = connect().log_in()
        client.delegate.hold = {"wasted"}
        self.assertEqual(len(client.codes(b"STATUS 4418\r\n" * 30)), 18)
        client.wire.clear()
        client.delegate.fire()
        self.assertEqual(codes(client.wire.value()), [250] * 12)

    def test_f5_messages_waste_nothing(self) -> None:
        """The commands of accepted messages are not counted, whatever the number of their recipients."""
        client = connect().log_in()
        recipients = b"RCPT TO:<89061234567@sms.qtelecom.ru>\r\n" * 100
        for _ in range(20):
            client.send(b"MAIL FROM:<a@b.example>\r\n" + recipients + b"DATA\r\nx\r\n.\r\n")
        self.assertEqual((len(client.delegate.messages), client.delegate.waste), (20, []))


class TimeTests(SynchronousTestCase):
    def assert_times_out(self, client: Client, seconds: float, reply: bytes) -> None:
        """The session ends with `reply` after `seconds` and a sweep, and is aborted five seconds later."""
        client.wire.clear()
        wait(client, seconds - 1)
        self.assertEqual((client.wire.value(), client.wire.disconnecting), (b"", False))
        wait(client, 2)
        self.assertEqual((client.wire.value(), client.wire.disconnecting), (reply, True))
        self.assertFalse(client.wire.disconnected)
        wait(client, 6)
        self.assertTrue(client.wire.disconnected)

    def test_idle(self) -> None:
        """A client without a command for a minute gets 421 and is closed."""
        self.assert_times_out(connect().log_in(), 60, b"421 4.4.2 Timeout, closing the connection\r\n")

    def test_dribble(self) -> None:
        """Octets of an incomplete command do not restart the timer."""
        client = connect()
        for _ in range(59):
            client.send(b"E")
            wait(client, 1)
        self.assertFalse(client.wire.disconnecting)
        client.send(b"E")
        wait(client, 2)
        self.assertTrue(client.wire.disconnecting)

    def test_command_buys_time(self) -> None:
        """Each command restarts the timer."""
        client = connect().log_in()
        for _ in range(5):
            wait(client, 50)
            self.assertEqual(client.code(b"NOOP"), 250)

    def test_slow_delegate(self) -> None:
        """The timer stops while the delegate works and restarts with the answer."""
        client = connect().log_in()
        client.delegate.hold.add("status")
        client.say(b"STATUS 4418")
        wait(client, 200)
        self.assertFalse(client.wire.disconnecting)
        client.delegate.fire()
        wait(client, 59)
        self.assertFalse(client.wire.disconnecting)
        wait(client, 2)
        self.assertTrue(client.wire.disconnecting)

    def test_data_time(self) -> None:
        """A message that is fast enough but does not end is refused after two minutes."""
        client = connect().begin_data()
        for _ in range(119):
            client.send(b"x" * 600 + b"\r\n")
            wait(client, 1)
        self.assertFalse(client.wire.disconnecting)
        client.send(b"x\r\n")
        wait(client, 2)
        self.assertEqual(codes(client.wire.value())[-1], 421)
        self.assertEqual(client.delegate.messages, [])

    def test_data_rate(self) -> None:
        """A message may be slow for half a minute and no longer."""
        self.assert_times_out(connect().begin_data(), 30, b"421 4.4.2 Data too slow, closing the connection\r\n")

    def test_handshake(self) -> None:
        """A TLS handshake is aborted after ten seconds; a finished one starts a full minute."""
        for settings in (quicktel(), quicktel(tls="implicit")):
            silent, quick = connect(settings), connect(settings)
            for client in (silent, quick):
                if settings.tls == "optional":
                    self.assertEqual(client.code(b"STARTTLS"), 220)
            wait(silent, 9)
            self.assertFalse(silent.wire.disconnected)
            wait(silent, 2)
            self.assertTrue(silent.wire.disconnected)
            quick.protocol.handshakeCompleted()
            wait(quick, 59)
            self.assertFalse(quick.wire.disconnecting)

    def test_no_timer_without_sessions(self) -> None:
        """Without connections no timer runs."""
        client = connect()
        self.assertEqual(len(client.clock.getDelayedCalls()), 1)
        client.leave()
        self.assertEqual(client.clock.getDelayedCalls(), [])

    def test_client_that_never_reads(self) -> None:
        """A client that never reads is closed after a minute, although it cannot get the reply."""
        client = connect().log_in()
        client.protocol.pauseProducing()
        client.send(b"NOOP\r\n" * 20_000)
        self.assertEqual(client.wire.producerState, "paused")
        wait(client, 62)
        self.assertTrue(client.wire.disconnecting)
        self.assertEqual(client.wire.producerState, "producing")
        wait(client, 6)
        self.assertTrue(client.wire.disconnected)


class RestTests(SynchronousTestCase):
    def test_no_sessions(self) -> None:
        """Without sessions shut_down fires at once."""
        factory = SubmissionFactory(Recorder(), quicktel(), Clock(), CONTEXT)
        self.successResultOf(factory.shut_down())

    def test_idle_sessions(self) -> None:
        """Sessions without a transaction get 421 and are closed; the Deferred fires after the last one."""
        first = connect().log_in()
        second = connect(factory=first.factory)
        first.wire.clear()
        gone = first.factory.shut_down()
        self.assertEqual(first.wire.value(), b"421 4.3.2 Service shutting down\r\n")
        self.assertTrue(second.wire.disconnecting)
        first.leave()
        self.assertNoResult(gone)
        second.leave()
        self.successResultOf(gone)
        self.assertEqual(first.clock.getDelayedCalls(), [])

    def test_transaction_ends_first(self) -> None:
        """An open transaction finishes; a new one is refused."""
        client = connect().open_transaction()
        client.delegate.hold.add("message")
        gone = client.factory.shut_down()
        self.assertEqual(client.codes(b"DATA\r\nx\r\n"), [354])
        self.assertEqual(client.codes(b".\r\n" + MESSAGE), [])
        client.wire.clear()
        client.delegate.fire()
        self.assertEqual(codes(client.wire.value()), [250, 421])
        self.assertEqual(len(client.delegate.messages), 1)
        self.assertNoResult(gone)

    def test_reset_ends_the_transaction(self) -> None:
        """RSET ends the transaction that the server waits for."""
        client = connect().open_transaction()
        client.factory.shut_down()
        self.assertEqual(client.codes(b"RSET\r\n"), [250, 421])

    def test_cut_off(self) -> None:
        """The connections left after the given time are closed at once."""
        client = connect().begin_data()
        gone = client.factory.shut_down(within=10)
        client.clock.advance(9.5)
        self.assertFalse(client.wire.disconnected)
        client.clock.advance(1)
        self.assertTrue(client.wire.disconnected)
        client.leave()
        self.successResultOf(gone)

    def test_new_connections(self) -> None:
        """New connections during shutdown get 421."""
        client = connect().open_transaction()
        client.factory.shut_down()
        late = connect(factory=client.factory)
        self.assertEqual(late.wire.value(), b"421 4.3.2 Service shutting down\r\n")
        self.assertTrue(late.wire.disconnecting)
