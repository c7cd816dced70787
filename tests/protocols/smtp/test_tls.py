"""The ESMTP server over real sockets and real TLS, against the mail client of the standard library."""

from __future__ import annotations

import datetime
import smtplib
import ssl
from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from smsgw.protocols.smtp.factory import SubmissionFactory, SubmissionSettings
from tests.protocols.smtp.support import Recorder, quicktel

LETTER = b"Subject: x\r\n\r\n.dot\r\nhi\r\n"


def certificate() -> bytes:
    """A key and a self-signed certificate for 127.0.0.1, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret + signed.public_bytes(Encoding.PEM)


class RealClientTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.delegate = Recorder()
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE

    def serve(self, settings: SubmissionSettings) -> int:
        """Listen on a free port of loopback; return the port."""
        options: CertificateOptions = PrivateCertificate.loadPEM(certificate()).options()
        self.factory = SubmissionFactory(self.delegate, settings, self.reactor, options)
        port = self.reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(self.factory.shut_down, 5)
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def run_client(self, work: Callable[[], Any]) -> Deferred[Any]:
        """Run blocking work in a thread."""
        return deferToThread(work)

    async def test_starttls(self) -> None:
        """smtplib finds STARTTLS, logs in inside TLS, sends, and asks for the status (000-12), (000-13), (000-40)."""
        port = self.serve(quicktel())

        def client() -> list[Any]:
            with smtplib.SMTP("127.0.0.1", port, timeout=30) as smtp:
                smtp.ehlo()
                assert smtp.has_extn("starttls")
                smtp.starttls(context=self.context)
                smtp.ehlo()
                assert not smtp.has_extn("starttls")
                login = smtp.login("3", "freetest")[0]
                refused = smtp.sendmail("default@mydomain.ru", ["89061234567@sms.qtelecom.ru"], LETTER)
                return [login, refused, smtp.docmd("STATUS", "4418")[0]]

        self.assertEqual(await self.run_client(client), [235, {}, 250])
        self.assertEqual(self.delegate.messages, [("default@mydomain.ru", ["89061234567@sms.qtelecom.ru"], LETTER)])
        self.assertTrue(self.delegate.sessions[0].tls)
        self.assertEqual(self.delegate.sessions[0].peer, "127.0.0.1")

    async def test_implicit(self) -> None:
        """With implicit TLS the greeting is encrypted."""
        port = self.serve(SubmissionSettings(tls="implicit"))

        def client() -> int:
            with smtplib.SMTP_SSL("127.0.0.1", port, timeout=30, context=self.context) as smtp:
                smtp.login("3", "freetest")
                smtp.sendmail("a@b.c", ["7@s.ru"], LETTER)
                return len(smtp.esmtp_features)

        self.assertEqual(await self.run_client(client), 5)
        self.assertEqual(self.delegate.bodies(), [LETTER])

    async def test_big_replies_and_messages(self) -> None:
        """A message of a megabyte and thousands of pipelined replies pass through TLS complete."""
        port = self.serve(quicktel(mail_limit=1 << 20))
        body = b"\r\n" + (b"x" * 70 + b"\r\n") * 14_000
        asked = 5_000

        def client() -> int:
            with smtplib.SMTP("127.0.0.1", port, timeout=30) as smtp:
                smtp.starttls(context=self.context)
                smtp.login("3", "freetest")
                smtp.sendmail("a@b.c", ["7@s.ru"], body)
                smtp.send(b"STATUS 4418\r\n" * asked)
                return sum(smtp.getreply()[0] == 250 for _ in range(asked))

        self.assertEqual(await self.run_client(client), asked)
        self.assertEqual(self.delegate.bodies(), [body])

    async def test_injection(self) -> None:
        """Clear text in the segment of STARTTLS ends the connection before a handshake."""
        port = self.serve(quicktel())

        def client() -> tuple[int, bytes]:
            with smtplib.SMTP("127.0.0.1", port, timeout=30) as smtp:
                smtp.ehlo()
                smtp.send(b"STARTTLS\r\nNOOP\r\n")
                code = smtp.getreply()[0]
                assert smtp.sock is not None
                return code, smtp.sock.recv(100)

        self.assertEqual(await self.run_client(client), (503, b""))

    async def test_garbage_for_a_handshake(self) -> None:
        """A client that sends clear text instead of a handshake is closed, and the delegate gets closed()."""
        port = self.serve(quicktel())

        def client() -> bytes:
            with smtplib.SMTP("127.0.0.1", port, timeout=30) as smtp:
                smtp.docmd("STARTTLS")
                smtp.send(b"EHLO x\r\n" * 10)
                assert smtp.sock is not None
                octets = b""
                while piece := smtp.sock.recv(1000):
                    octets += piece
                return octets

        self.assertNotIn(b"250", await self.run_client(client))
        self.assertEqual(len(self.delegate.gone), 2)
