"""Clients that misbehave leave room for the others: unknown logins (F3), crowds (F4), a greedy account (F5)."""

from __future__ import annotations

import base64
import contextlib
import resource
import select
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smsgw.services.passwords import hash_password
from tests.flows.esme import BIND_TRANSCEIVER, ENQUIRE_LINK, HEADER, Esme
from tests.flows.process import GatewayProcess

ACCOUNT = """
[account {name}]
{password}
senders = *
default_sender = DEMO
allow_from = {source}
"""


def plain(name: str, source: str) -> str:
    """Return the section of an account whose password is its name."""
    return ACCOUNT.format(name=name, password=f"password = {name}", source=source)


class MailSession:
    """A session of a blocking mail client."""

    def __init__(self, port: int, login: str, source: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 20, (source, 0))
        self._read = self.socket.makefile("rb")
        credentials = base64.b64encode(f"\0{login}\0{login}".encode())
        assert [self.ask(), self.ask(b"EHLO x"), self.ask(b"AUTH PLAIN " + credentials)] == [220, 250, 235]

    def ask(self, *lines: bytes) -> int:
        """Send lines; return the code of the last reply."""
        for line in lines:
            self.socket.sendall(line + b"\r\n")
        while (reply := self._read.readline())[3:4] == b"-":
            pass
        return int(reply[:3] or 0)

    def begin(self) -> None:
        """Send the commands before a mail."""
        codes = [self.ask(b"MAIL FROM:<x@x.example>"), self.ask(b"RCPT TO:<79161234567@sms.qtelecom.ru>")]
        assert [*codes, self.ask(b"DATA")] == [250, 250, 354]

    def close(self) -> None:
        """Close the connection."""
        self._read.close()
        self.socket.close()


class IsolationTests(SynchronousTestCase):
    """One gateway for each test."""

    def setUp(self) -> None:
        """The account "hashed" lists one address, "any" none, "greedy" misbehaves."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard < 0 else min(hard, 8192), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        directory = Path(tempfile.mkdtemp(prefix="smsgw-"))
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        password = f"password_hash = {hash_password('hashed')}"
        hashed = ACCOUNT.format(name="hashed", password=password, source="127.0.0.1")
        sections = hashed + plain("any", "any") + plain("greedy", "any")
        self.gateway = GatewayProcess(directory, sections=sections)
        settings = self.gateway.config.read_text().replace("127.0.0.0/8", "127.0.0.1")
        settings = settings.replace("dialect = rostelecom", "dialect = rostelecom\nheader_time = 1m")
        self.gateway.config.write_text(settings)
        self.gateway.start()
        self.addCleanup(self.gateway.kill)
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)

    def connect(self, port: int, source: str, octets: bytes = b"") -> socket.socket:
        """Open a connection that stays until the test ends; send some octets."""
        one = socket.create_connection(("127.0.0.1", port), 20, (source, 0))
        self.stack.callback(one.close)
        if octets:
            one.sendall(octets)
        return one

    def overload(self, limit: str) -> dict[str, Any]:
        """Return the overload of a limit as /health shows it, and check its metric and its log line."""
        status, health = self.gateway.get("/health")
        self.assertEqual((status, health["state"]), (200, "running"))
        (found,) = (one for one in health["overloads"] if one["limit"] == limit)
        _, metrics = self.gateway.get("/metrics")
        self.assertIn(f'smsgw_limit_hits_total{{limit="{limit}",of="{found["of"]}"}}', metrics)
        self.gateway.logged(f"limit {limit} of {found['of'] or 'the gateway'} is exceeded")
        return dict(found)

    def test_f3_unknown_logins(self) -> None:
        """While hundreds of addresses try unknown logins, an account with a hashed password binds."""
        for number in range(300):
            body = f"unknown{number}\0x\0\0".encode() + b"\x34\0\0\0"
            self.connect(
                self.gateway.smpp,
                f"127.1.{number // 200}.{number % 200 + 1}",
                HEADER.pack(16 + len(body), BIND_TRANSCEIVER, 0, 1) + body,
            )
        self.stack.callback(Esme(self.gateway.smpp, "hashed", "hashed").close)

    def test_f4_idle_mail_sessions(self) -> None:
        """While five addresses hold as many connections as they may, others log in: listed or not."""
        for number in range(5 * 101):
            self.connect(self.gateway.smtp, f"127.1.0.{number % 5 + 1}")
        for login, source in (("any", "127.2.0.1"), ("demo", "127.0.0.1")):
            MailSession(self.gateway.smtp, login, source).close()
        self.assertEqual(self.overload("connections")["of"], "mail")

    def test_f4_half_requests(self) -> None:
        """While five addresses hold half requests, others are answered."""
        for number in range(5 * 201):
            self.connect(self.gateway.http, f"127.1.0.{number % 5 + 1}", b"GET /v1/account HTTP/1.1\r\nHost: x\r\n")
        for login, source in (("any", "127.2.0.1"), ("demo", "127.0.0.1")):
            basic = base64.b64encode(f"{login}:{login}".encode())
            head = b"GET /v1/account HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + basic + b"\r\n\r\n"
            self.assertIn(b" 200 ", self.connect(self.gateway.http, source, head).recv(4096))
        self.assertEqual(self.overload("connections")["of"], "api")

    def test_f5_refused_mails(self) -> None:
        """While sixty sessions of one account send long mails in HTML, that of another account is accepted."""
        sessions = [MailSession(self.gateway.smtp, "greedy", "127.1.0.1") for _ in range(60)]
        for session in sessions:
            self.stack.callback(session.close)
            session.begin()
        html = b"Content-Type: text/html\r\n\r\n"
        for number, session in enumerate(sessions):
            lines = 4500 if number % 3 else 18_000  # the latter are above mail_limit
            session.socket.sendall(html + b"<p>hello <i>world</i></p>\r\n" * lines + b".\r\n")
        good = MailSession(self.gateway.smtp, "demo", "127.0.0.1")
        self.stack.callback(good.close)
        good.begin()
        self.assertEqual(good.ask(html + b"<p>hello</p>", b"."), 250)
        self.assertEqual(sessions[0].ask(), 552)
        deadline = time.monotonic() + 10
        while not self.gateway.get("/health")[1]["overloads"] and time.monotonic() < deadline:
            select.select([], [], [], 0.1)
        self.assertEqual(self.overload("work")["of"], "greedy")

    def test_f5_enquire_link(self) -> None:
        """While one account floods enquire_link, another one's messages are accepted."""
        flood = Esme(self.gateway.smpp, "greedy", "greedy")
        self.stack.callback(flood.close)
        flood._socket.sendall(HEADER.pack(16, ENQUIRE_LINK, 0, 7) * 3000)
        good = Esme(self.gateway.smpp, "any", "any")
        self.stack.callback(good.close)
        good.accepted("Am I served?")
        self.assertEqual(self.overload("pdus")["of"], "greedy")
        while len(flood.answers) < 1024:
            self.assertTrue(flood.read(10))

    def test_f5_queries(self) -> None:
        """Queries of one account over HTTP are answered at the pace that it may cause."""
        basic = base64.b64encode(b"greedy:greedy")
        head = b"GET /v1/messages/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + basic + b"\r\n\r\n"
        flood = self.connect(self.gateway.http, "127.1.0.1", head * 300)
        octets = b""
        while octets.count(b"HTTP/1.1 404") < 300:
            octets += flood.recv(65_536)
        self.assertEqual(self.overload("work")["of"], "greedy")
