"""The ESMTP client against the ESMTP server over real sockets and real TLS."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SkipTest, TestCase

from smsgw.config.listeners.smtp import EHLO
from smsgw.program import certificates
from smsgw.protocols.smtp import SmtpClient, SmtpClientSettings, SmtpFailed, SmtpPool, SubmissionFactory, connect
from tests.protocols.smtp.support import Recorder, quicktel

MAIL = b"Subject: x\r\n\r\n.dot\r\nhi\r\n"
NAME = "relay.example"
SENDER, RECIPIENT = "default@mydomain.ru", "89061234567@sms.qtelecom.ru"


class TlsTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.delegate = Recorder()
        directory = Path(self.mktemp())
        certificate, key, _ = certificates.self_signed(directory, NAME)
        self.options = certificates.options(certificate, key)
        self.trust = trustRootFromCertificates([Certificate.loadPEM(certificate.read_bytes())])

    def serve(self, interface: str = "127.0.0.1", factory: Factory | None = None, **settings: Any) -> int:
        """Listen on a free port of loopback; the port."""
        if factory is None:
            factory = self.server = SubmissionFactory(
                self.delegate, quicktel(**settings), self.reactor, self.options
            )
            self.addCleanup(self.server.shut_down, 5)
        port = self.reactor.listenTCP(0, factory, interface=interface)
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    async def session(
        self, port: int, tls: str = "starttls", host: str = NAME, at: str = "127.0.0.1", **settings: Any
    ) -> SmtpClient:
        """A session with the server at an address, which is to be `host`."""
        trust = settings.pop("trust", self.trust)
        options = optionsForClientTLS(host, trust)
        endpoint: Any = HostnameEndpoint(self.reactor, at, port)
        if tls == "implicit":
            endpoint = wrapClientTLS(options, endpoint)
        given = {"login": "3", "password": "freetest", "timeout": 20.0, **settings}
        made = SmtpClientSettings(starttls=options if tls == "starttls" else None, **given)
        client = await connect(endpoint, made, self.reactor)
        self.addCleanup(client.quit)
        return client

    async def test_starttls(self) -> None:
        """STARTTLS, AUTH PLAIN inside, two mails, QUIT."""
        client = await self.session(self.serve(tls="demanded"))
        self.assertNotIn("STARTTLS", client.extensions)
        for _ in range(2):
            (reply,) = await client.send(SENDER, [RECIPIENT], MAIL)
            self.assertTrue(reply.positive, reply)
        await client.quit()
        self.assertEqual(self.delegate.messages, [(SENDER, [RECIPIENT], MAIL)] * 2)
        self.assertTrue(all(session.tls and session.account == "3" for session in self.delegate.sessions))

    async def test_implicit(self) -> None:
        """TLS from the first octet, and AUTH LOGIN."""
        ehlo = (*(line for line in EHLO if not line.startswith("AUTH")), "AUTH LOGIN")
        client = await self.session(self.serve(tls="implicit", ehlo=ehlo), "implicit")
        replies = await client.send(SENDER, [RECIPIENT, "unknown@sms.qtelecom.ru"], MAIL)
        self.assertEqual([reply.code for reply in replies], [250, 550])
        self.assertEqual(self.delegate.messages, [(SENDER, [RECIPIENT], MAIL)])

    async def test_addresses(self) -> None:
        """A host that is configured by its address has to have that in its certificate."""
        port = self.serve()
        for mode in ("starttls", "none"):
            (reply,) = await (await self.session(port, mode, "127.0.0.1")).send(SENDER, [RECIPIENT], MAIL)
            self.assertTrue(reply.positive)
        try:
            port = self.serve("::1")
        except OSError as error:
            raise SkipTest("no IPv6 here") from error
        await self.session(port, host="::1", at="::1")

    async def refused(self, port: int, tls: str, **given: Any) -> SmtpFailed:
        """The session fails, and the server has received no login."""
        with self.assertRaises(SmtpFailed) as caught:
            await self.session(port, tls, **given)
        self.assertEqual(self.delegate.calls, [])
        return caught.exception

    async def test_certificates(self) -> None:
        """The client does not log in to a server whose certificate is untrusted or names another host."""
        untrusted, _, _ = certificates.self_signed(Path(self.mktemp()), NAME)
        other = trustRootFromCertificates([Certificate.loadPEM(untrusted.read_bytes())])
        for tls, listening in (("starttls", "optional"), ("implicit", "implicit")):
            port = self.serve(tls=listening)
            self.assertIn("certificate", str(await self.refused(port, tls, trust=None)))
            self.assertIn("certificate", str(await self.refused(port, tls, trust=other)))
            for host in ("other.example", "127.0.0.2", "localhost"):
                self.assertIn("certificate", str(await self.refused(port, tls, host=host)))

    async def test_without_tls(self) -> None:
        """A server that has no TLS, whichever way it is asked for, gets no login either."""
        port = self.serve(tls="none")
        self.assertIn("does not offer", str(await self.refused(port, "starttls")))
        self.assertIn("no TLS", str(await self.refused(port, "implicit")))

    async def test_no_sessions(self) -> None:
        """A closed port, an unknown host, a server that says nothing: no session, in bounded time."""
        port = self.reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        number = port.getHost().port
        await port.stopListening()
        await self.refused(number, "starttls")
        await self.refused(number, "starttls", at="no-such-host.invalid")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            for tls in ("none", "implicit"):
                failed = await self.refused(silent.getsockname()[1], tls, timeout=0.2)
                self.assertIn("no reply in time", str(failed))

    async def test_wrong_password(self) -> None:
        """The refusal of a login is that of the server; the password stands nowhere."""
        observer = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        with self.assertRaises(SmtpFailed) as caught:
            await self.session(self.serve(), password="hunter2")
        reply = caught.exception.reply
        assert reply is not None
        self.assertEqual(reply.code, 535)
        self.assertNotIn("hunter2", str(caught.exception) + "".join(map(repr, observer)))

    async def test_pool(self) -> None:
        """Mails share a few sessions, which are used again as long as they live."""
        port = self.serve()
        opened = []

        def connecting() -> Any:
            opened.append(1)
            return ensureDeferred(self.session(port))

        pool = SmtpPool(connecting, 2)
        replies = [await one for one in [pool.send(SENDER, [RECIPIENT], MAIL) for _ in range(6)]]
        self.assertTrue(all(reply.positive for (reply,) in replies))
        self.assertEqual((len(opened), len(self.delegate.messages), len(self.server.sessions)), (2, 6, 2))
        with self.assertRaises(ValueError):
            await pool.send("unknown", [RECIPIENT], MAIL)
        for session in list(self.server.sessions):
            session.cut()
        (reply,) = await pool.send(SENDER, [RECIPIENT], MAIL)
        self.assertTrue(reply.positive)
        self.assertEqual(len(opened), 3)
        await pool.close()
        await pool.close()
        self.assertEqual(len(self.delegate.messages), 7)
