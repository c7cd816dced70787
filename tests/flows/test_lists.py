"""A mail to a contact list in a file, through the real program and a kill -9; the dialect standard of SMTP."""

from __future__ import annotations

import contextlib
import smtplib
import sqlite3
import threading
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.process import GatewayProcess

NUMBERS = 30_000


class ListTests(SynchronousTestCase):
    """One list, one mail, twice."""

    def send(self) -> None:
        """Send the mail; a broken connection is ignored."""
        with smtplib.SMTP("127.0.0.1", self.gateway.smtp, timeout=60) as server:
            server.login("demo", "demo")
            text = "Message-ID: <1@shop.example>\r\nSubject: x\r\n\r\nHello everybody\r\n"
            server.sendmail("DEMO@shop.example", ["list_big@sms.qtelecom.ru"], text)

    def test_killed_in_the_middle(self) -> None:
        """A mail that is sent again after a kill in the middle of the list reaches each number exactly once
        (000-18)."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        rows = "".join(f"7916{number:07};x\n" for number in range(NUMBERS))
        (directory / "list.csv").write_text("phone;name\n" + rows)
        self.gateway = GatewayProcess(
            directory, connector="delay = 0.05\nwindow = 2000\nrate = 0",
            sections=f"[list demo big]\nfile = {directory}/list.csv\n",
        )  # fmt: skip
        self.addCleanup(self.gateway.kill)
        self.gateway.start()

        def try_once() -> None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self.send()

        sending = threading.Thread(target=try_once)
        sending.start()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            _, health = self.gateway.get("/health")
            if sum(health["messages"].values()) >= 3_000:
                break
        self.gateway.kill()
        sending.join(30)
        self.gateway.start()
        self.send()
        self.assertEqual(self.gateway.stop(), 0)
        with contextlib.closing(sqlite3.connect(directory / "state" / "messages.sqlite")) as store:
            counted = "SELECT count(*), count(DISTINCT recipient), count(DISTINCT batch) FROM message"
            found = store.execute(counted).fetchone()
        self.assertEqual(found, (NUMBERS, NUMBERS, 1))

    def test_status(self) -> None:
        """STATUS of a list of many numbers reports all its parts, while it is sent and when all are delivered
        (000-32) (000-35)."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        (directory / "list.csv").write_text("".join(f"7916{number:07}\n" for number in range(NUMBERS)))
        self.gateway = GatewayProcess(
            directory, connector="delay = 0.05\nwindow = 2000\nrate = 0",
            sections=f"[list demo big]\nfile = {directory}/list.csv\n",
        )  # fmt: skip
        self.addCleanup(self.gateway.kill)
        self.gateway.start()
        with smtplib.SMTP("127.0.0.1", self.gateway.smtp, timeout=60) as server:
            server.login("demo", "demo")
            server.mail("DEMO@shop.example")
            server.rcpt("list_big@sms.qtelecom.ru")
            code, accepted = server.data(b"Subject: x\r\n\r\n" + b"Hello everybody " * 11)
            self.assertEqual(code, 250)
            id = accepted.split()[0].decode()
            deadline = time.monotonic() + 60
            closed = code = ""
            while closed != "1" and time.monotonic() < deadline:
                _, reply = server.docmd("STATUS", id)
                named, parts, closed, code, *_ = reply.decode().split()
                self.assertEqual((named, parts), (id, str(2 * NUMBERS)))
                self.assertIn((closed, code), {("0", "0"), ("0", "1"), ("1", "2")})
            self.assertEqual((closed, code), ("1", "2"))
            _, shown = self.gateway.get(f"/messages/{id}")
        delivered = {"state": "delivered", "error": 0, "messages": NUMBERS, "parts": 2 * NUMBERS}
        self.assertEqual(shown["counts"], [delivered])
        self.assertEqual(self.gateway.stop(), 0)


class DialectTests(SynchronousTestCase):
    """The dialect standard of SMTP."""

    def test_standard(self) -> None:
        """A mail program gets SIZE, PIPELINING and ENHANCEDSTATUSCODES, and too large a declared size is refused."""
        gateway = GatewayProcess(Path(self.mktemp()).absolute())
        self.addCleanup(gateway.kill)
        text = gateway.config.read_text().replace("dialect = quicktel", "dialect = standard\nauth_without_tls = yes")
        gateway.config.write_text(text)
        gateway.start()
        with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=20) as server:
            server.login("demo", "demo")
            self.assertEqual(server.esmtp_features["size"], str(1 << 17))
            for word in ("pipelining", "enhancedstatuscodes", "8bitmime", "starttls"):
                self.assertIn(word, server.esmtp_features)
            self.assertEqual(server.mail("DEMO@a.example", ["SIZE=99999999"])[0], 552)
            code, words = server.mail("DEMO@a.example", ["SIZE=100"])
            self.assertEqual((code, words[:6]), (250, b"2.1.0 "))
            server.rset()
            server.sendmail("DEMO@a.example", ["79161234567@sms.qtelecom.ru"], "Subject: x\r\n\r\nHello\r\n")
        self.assertEqual(gateway.stop(), 0)
