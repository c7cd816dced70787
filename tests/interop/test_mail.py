"""The submission server with swaks, curl and smtplib."""

from __future__ import annotations

import re
import smtplib
from base64 import b64encode
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.shared import shown_as
from tests.interop import peers

RECIPIENT = "79161234570@sms.qtelecom.ru"
SENDER = "DEMO@example.org"
RUSSIAN = "\u041f\u0440\u0438\u0432\u0435\u0442 \u043e\u0442 \u043f\u043e\u0447\u0442\u044b"


class MailTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = peers.gateway()

    def check_delivered(self, id: str, text: str) -> None:
        """Check that the text arrived unchanged, and STATUS reports it delivered."""
        found = shown_as(self.gateway, "mail", id, "delivered")
        self.assertEqual((found["status"], found["text"]), ("delivered", text))
        with smtplib.SMTP("127.0.0.1", self.gateway.smtp, timeout=10) as server:
            server.login("mail", "mail")
            self.assertEqual(server.docmd("STATUS", id), (250, f"{id} 1 1 2 Message is delivered".encode()))

    def swaks(self, *options: str) -> tuple[str, str]:
        """Send with swaks; return the id in the reply, and the whole session."""
        done = peers.run(
            peers.program("swaks"),
            "--server",
            f"127.0.0.1:{self.gateway.smtp}",
            *("--auth-user", "mail", "--auth-password", "mail", "--from", SENDER, "--to", RECIPIENT),
            *options,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        accepted = re.search(r"^<[-~]  250 (\d+) message accepted$", done.stdout, re.MULTILINE)
        assert accepted is not None, done.stdout
        return accepted[1], done.stdout

    def test_plain(self) -> None:
        """swaks logs in with PLAIN and sends; the id in the reply leads to a delivered message."""
        id, session = self.swaks("--auth", "PLAIN", "--body", "Hello from swaks")
        self.assertIn(" -> AUTH PLAIN AG1haWwAbWFpbA==\n", session)
        self.check_delivered(id, "Hello from swaks")

    def test_login(self) -> None:
        """swaks logs in with LOGIN and sends."""
        id, session = self.swaks("--auth", "LOGIN", "--body", "Hello by LOGIN")
        self.assertIn(" -> AUTH LOGIN\n<-  334 VXNlcm5hbWU6\n", session)
        self.check_delivered(id, "Hello by LOGIN")

    def test_starttls(self) -> None:
        """swaks starts TLS, sends EHLO again, logs in and sends."""
        if "TLS supported" not in peers.run(peers.program("swaks"), "--support").stdout:
            peers.missing("swaks has no Net::SSLeay")
        id, session = self.swaks("-tls", "--auth", "PLAIN", "--body", "Hello over TLS")
        self.assertIn("<~  235 Authentication successful.\n", session)
        self.check_delivered(id, "Hello over TLS")

    def test_charsets(self) -> None:
        """Russian text arrives from raw UTF-8, from KOI8-R, and from windows-1251 in base64."""
        for charset, transfer in (("utf-8", "8bit"), ("koi8-r", "8bit"), ("windows-1251", "base64")):
            octets = RUSSIAN.encode(charset)
            path = Path(self.mktemp()).absolute()
            path.write_bytes((b64encode(octets) if transfer == "base64" else octets) + b"\r\n")
            id, _ = self.swaks(
                *("--auth", "PLAIN", "--body", f"@{path}"),
                *("--add-header", f"Content-Type: text/plain; charset={charset}"),
                *("--add-header", f"Content-Transfer-Encoding: {transfer}"),
            )
            self.check_delivered(id, RUSSIAN)

    def test_curl(self) -> None:
        """curl logs in with either mechanism, in clear text and over TLS, and sends a mail."""
        for number, options in enumerate(
            (
                ("--login-options", "AUTH=PLAIN"),
                ("--login-options", "AUTH=LOGIN"),
                ("--ssl-reqd", "--insecure", "--mail-auth", "<>"),
            )
        ):
            text = f"Hello from curl {number}"
            done = peers.run(
                peers.program("curl"),
                *("--silent", "--show-error", "--verbose", f"smtp://127.0.0.1:{self.gateway.smtp}/client.example"),
                *("--user", "mail:mail", "--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "--upload-file", "-"),
                *options,
                stdin=f"Subject: none\r\n\r\n{text}\r\n",
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            accepted = re.search(r"^< 250 (\d+) message accepted", done.stderr, re.MULTILINE)
            assert accepted is not None, done.stderr
            self.check_delivered(accepted[1], text)

    def test_refused(self) -> None:
        """A wrong password and a foreign recipient end swaks with its statuses for these errors; no message is sent."""
        swaks = peers.program("swaks")
        server = f"127.0.0.1:{self.gateway.smtp}"
        for password, recipient, status, reply in (
            ("wrong", RECIPIENT, 28, "<** 535 5.7.8 "),
            ("mail", "unknown@example.org", 24, "<** 550 5.1.1 "),
        ):
            done = peers.run(
                *(swaks, "--server", server, "--auth", "PLAIN", "--auth-user", "mail", "--auth-password", password),
                *("--from", SENDER, "--to", recipient, "--body", "x"),
            )
            self.assertEqual(done.returncode, status, done.stdout)
            self.assertIn(reply, done.stdout)
            self.assertNotIn("DATA", done.stdout)
