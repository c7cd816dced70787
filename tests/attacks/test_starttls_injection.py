"""Clear text that could be read as encrypted, and state that could survive STARTTLS (RFC 3207)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.protocols.smtp.support import CONTEXT, ENVELOPE, LOGGED_IN, PLAIN, connect, quicktel

DEMANDED = quicktel(tls="demanded")


class InjectionTests(SynchronousTestCase):
    def test_command_in_the_same_segment(self) -> None:
        """A command after STARTTLS in the same segment is never executed: the connection ends, without TLS."""
        for injected in (b"NOOP\r\n", b"EHLO x\r\n", b"RSET\r\n" * 3, b"N", b"\r\n", b"\0", b"\x16\x03\x01"):
            client = connect()
            client.say(b"EHLO x")
            answer = client.send(b"STARTTLS\r\n" + injected)
            self.assertEqual(answer, b"503 5.5.1 Nothing may follow STARTTLS before the TLS handshake\r\n")
            self.assertTrue(client.wire.disconnecting)
            self.assertIsNone(client.wire.encrypted_from)
            self.assertEqual(client.send(LOGGED_IN), b"")
            self.assertEqual(client.delegate.calls, [])

    def test_login_in_the_same_segment(self) -> None:
        """Credentials and mail after STARTTLS in the same segment do not reach the delegate."""
        client = connect()
        client.send(b"EHLO x\r\nSTARTTLS\r\n" + LOGGED_IN + ENVELOPE + b"DATA\r\nhi\r\n.\r\n")
        self.assertEqual((client.delegate.calls, client.delegate.messages), ([], []))

    def test_behind_a_slow_command(self) -> None:
        """Clear text that was buffered during an earlier command counts as sent after STARTTLS."""
        client = connect().log_in()
        client.delegate.hold.add("status")
        client.send(b"STATUS 1\r\n", b"STARTTLS\r\n", b"NOOP\r\n")
        client.wire.clear()
        client.delegate.fire()
        self.assertEqual([line[:3] for line in client.wire.value().splitlines()], [b"550", b"503"])
        self.assertTrue(client.wire.disconnecting)
        self.assertIsNone(client.wire.encrypted_from)

    def test_reply_is_clear_and_alone(self) -> None:
        """The reply to STARTTLS is the last clear octets before TLS starts; there is no second greeting."""
        client = connect()
        client.say(b"EHLO x")
        self.assertEqual(client.say(b"STARTTLS"), b"220 Ready to start TLS\r\n")
        self.assertIs(client.wire.context, CONTEXT)
        self.assertEqual(client.wire.encrypted_from, len(client.wire.writes))
        client.protocol.handshakeCompleted()
        self.assertEqual(client.wire.encrypted_from, len(client.wire.writes))

    def test_half_a_line_before(self) -> None:
        """STARTTLS may arrive in pieces; octets after it in the last piece end the connection."""
        client = connect()
        client.say(b"EHLO x")
        self.assertEqual(client.send(b"START", b"TLS\r", b"\nNOOP\r\n")[:3], b"503")
        self.assertTrue(client.wire.disconnecting)


class ForgottenTests(SynchronousTestCase):
    def test_transaction_is_forgotten(self) -> None:
        """MAIL and RCPT from before STARTTLS do not lead to DATA after it (000-13)."""
        client = connect().open_transaction()
        self.assertEqual(client.code(b"STARTTLS"), 220)
        self.assertEqual(client.code(b"DATA"), 503)
        self.assertEqual(client.code(b"EHLO x"), 250)
        self.assertEqual(client.code(b"DATA"), 530)
        self.assertEqual(client.code(PLAIN), 235)
        self.assertEqual(client.code(b"DATA"), 503)

    def test_login_is_forgotten(self) -> None:
        """A client that logged in in clear has to log in again (000-13)."""
        client = connect().log_in()
        self.assertEqual(client.code(b"STARTTLS"), 220)
        self.assertEqual(client.code(b"EHLO x"), 250)
        self.assertEqual(client.code(b"MAIL FROM:<a@b>"), 530)
        self.assertEqual(client.code(b"STATUS 4418"), 530)

    def test_ehlo_is_forgotten(self) -> None:
        """A new EHLO is required, and its answer no longer lists STARTTLS (000-13)."""
        client = connect()
        client.say(b"EHLO before")
        client.say(b"STARTTLS")
        self.assertEqual(client.code(PLAIN), 503)
        self.assertEqual(
            client.say(b"EHLO after"), b"250-SMTP Server\r\n250-8BITMIME\r\n250-AUTH LOGIN PLAIN\r\n250 Ok\r\n"
        )
        self.assertEqual(client.protocol.dialogue.session.ehlo, "after")

    def test_new_session(self) -> None:
        """The delegate gets closed() for the old session, and an empty new one."""
        client = connect().open_transaction()
        former = client.protocol.dialogue.session
        former.data = "secret"
        client.say(b"STARTTLS")
        session = client.protocol.dialogue.session
        self.assertEqual(client.delegate.gone, [former])
        self.assertIsNot(session, former)
        self.assertEqual(
            (session.tls, session.ehlo, session.authenticated, session.account, session.data, session.envelope),
            (True, "", False, None, None, None),
        )
        client.leave()
        self.assertEqual(client.delegate.gone, [former, session])

    def test_inside_a_login(self) -> None:
        """STARTTLS in place of a response is a response (it happens to be base64), not a command."""
        client = connect()
        client.say(b"EHLO x")
        client.say(b"AUTH LOGIN")
        self.assertEqual(client.code(b"STARTTLS"), 334)
        self.assertFalse(client.protocol.dialogue.session.tls)

    def test_counters_are_kept(self) -> None:
        """Failed logins from before STARTTLS still count."""
        client = connect()
        client.say(b"EHLO x")
        bad = b"AUTH PLAIN AGEAYg=="
        self.assertEqual([client.code(bad), client.code(bad)], [535, 535])
        client.say(b"STARTTLS")
        client.say(b"EHLO x")
        self.assertEqual(client.code(bad), 421)
        self.assertTrue(client.wire.disconnecting)

    def test_encrypted_session_works(self) -> None:
        """Inside TLS the session works as in clear (000-12)."""
        client = connect()
        client.say(b"EHLO x")
        client.say(b"STARTTLS")
        stream = LOGGED_IN + ENVELOPE + b"DATA\r\nhi\r\n.\r\nQUIT\r\n"
        self.assertEqual(client.codes(stream), [250, 235, 250, 250, 354, 250, 221])
        self.assertTrue(client.delegate.sessions[0].tls)


class PolicyTests(SynchronousTestCase):
    def test_twice(self) -> None:
        """STARTTLS inside TLS is refused."""
        client = connect()
        client.say(b"EHLO x")
        client.say(b"STARTTLS")
        self.assertEqual(client.code(b"STARTTLS"), 503)
        self.assertEqual(client.code(b"EHLO x"), 250)

    def test_not_offered(self) -> None:
        """Without TLS STARTTLS is not implemented, and what follows it is an ordinary command."""
        for client in (connect(tls=None), connect(quicktel(tls="none"))):
            self.assertEqual(client.codes(b"EHLO x\r\nSTARTTLS\r\nNOOP\r\n"), [250, 502, 250])
            self.assertIsNone(client.wire.encrypted_from)

    def test_argument(self) -> None:
        """STARTTLS refuses an argument."""
        client = connect()
        self.assertEqual(client.code(b"STARTTLS now"), 501)
        self.assertIsNone(client.wire.encrypted_from)

    def test_demanded(self) -> None:
        """If TLS is demanded, AUTH is neither listed nor accepted before it, and mail is refused."""
        client = connect(DEMANDED)
        self.assertEqual(client.say(b"EHLO x"), b"250-SMTP Server\r\n250-8BITMIME\r\n250-STARTTLS\r\n250 Ok\r\n")
        for line in (PLAIN, b"AUTH LOGIN", b"MAIL FROM:<a@b>", b"RCPT TO:<a@b>", b"DATA", b"STATUS 1"):
            self.assertEqual(client.say(line), b"530 5.7.0 Must issue a STARTTLS command first\r\n")
        self.assertEqual(client.delegate.calls, [])
        self.assertEqual(client.code(b"NOOP"), 250)
        self.assertEqual(client.code(b"STARTTLS"), 220)
        self.assertEqual(client.codes(LOGGED_IN + ENVELOPE), [250, 235, 250, 250])

    def test_login_only_inside(self) -> None:
        """If AUTH needs TLS, credentials in clear are refused without a check."""
        client = connect(quicktel(auth_without_tls=False))
        client.say(b"EHLO x")
        self.assertEqual(client.say(PLAIN), b"538 5.7.11 Encryption required for authentication\r\n")
        self.assertEqual(client.code(b"AUTH LOGIN"), 538)
        self.assertEqual(client.delegate.calls, [])
        client.say(b"STARTTLS")
        self.assertEqual(client.codes(LOGGED_IN), [250, 235])
