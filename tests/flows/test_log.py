"""The log of a complete run, which must not hold secrets."""

from __future__ import annotations

import json
import signal
import smtplib
import socket
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import Esme
from tests.flows.process import GatewayProcess

PASSWORD = "Zq7wXv"
WRONG = "Kp9Yrt"
KEY = "Gb4Lsn"
TEXT = "Umbrella1705"
NUMBER = "79160004711"
REJECTED = "79160004712"
SENDER = "79160004713"

ACCOUNT = f"""
[account secret]
password = {PASSWORD}
senders = *
allow_from = 127.0.0.0/8

[account slow]
password = {PASSWORD}
senders = *
allow_from = 127.0.0.0/8
rate = 2

[account spare]
password = {KEY}
senders = DEMO
allow_from = 10.0.0.0/8
"""


class LogTests(SynchronousTestCase):
    def run_everything(self, kind: str) -> tuple[GatewayProcess, str]:
        """Run all kinds of good and bad requests; return the log."""
        gateway = GatewayProcess(
            Path(self.mktemp()).absolute(),
            gateway=f"log = {kind}",
            connector=f"delay = 0.05\nrejected = {REJECTED}\nundeliverable = *4714\ntwice = *4715",
            sections=ACCOUNT,
        )
        self.addCleanup(gateway.kill)
        gateway.start()
        self.over_smpp(gateway)
        self.by_mail(gateway)
        self.as_json(gateway)
        seen = len(gateway.log.read_text())
        good = gateway.config.read_text()
        gateway.config.write_text(good + f"\n[account broken]\npassword = {WRONG}\npasword_hash = {WRONG}\n")
        gateway.signal(signal.SIGHUP)
        gateway.logged("stays in force", after=seen)
        gateway.config.write_text(good.replace(KEY, KEY + "new"))
        gateway.signal(signal.SIGHUP)
        gateway.logged("is taken from", after=seen)
        self.assertEqual(gateway.stop(), 0)
        return gateway, gateway.log.read_text()

    def over_smpp(self, gateway: GatewayProcess) -> None:
        """Send good and bad binds and messages, and octets of other protocols."""
        for account, password in (("secret", WRONG), ("unknown", WRONG), ("spare", KEY)):
            self.assertRaises(AssertionError, Esme, gateway.smpp, account, password)
        esme = Esme(gateway.smpp, "secret", PASSWORD)
        for to in (NUMBER, REJECTED, "79160004714", "79160004715", "no" + NUMBER):
            esme.submit(TEXT, to=to, source=SENDER)
        self.assertEqual(len(esme.receipts(4)), 4)
        esme.request(0x777, TEXT.encode())
        esme.close()
        fast = Esme(gateway.smpp, "slow", PASSWORD)
        statuses = [fast.answer(fast.submit(TEXT, to=NUMBER))[0] for _ in range(10)]
        self.assertEqual(set(statuses), {0, 0x58})
        fast.close()
        for octets in (b"GET %b HTTP/1.1\r\n\r\n" % TEXT.encode(), b"\0\0\0\x20\0\0\0\4" + TEXT.encode() * 2):
            with socket.create_connection(("127.0.0.1", gateway.smpp), 10) as other:
                other.sendall(octets)
                other.shutdown(socket.SHUT_WR)
                while other.recv(1024):
                    pass

    def by_mail(self, gateway: GatewayProcess) -> None:
        """Send a good mail, and bad commands at each step."""
        with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=10) as server:
            self.assertRaises(smtplib.SMTPAuthenticationError, server.login, "secret", WRONG)
            server.docmd("AUTH PLAIN " + PASSWORD)
        with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=10) as server:
            server.login("secret", PASSWORD)
            server.sendmail("DEMO@x.example", [f"{NUMBER}@sms.qtelecom.ru"], f"Subject: {TEXT}\r\n\r\n{TEXT}")
            server.docmd("MAIL", "FROM:<DEMO@x.example>")
            server.docmd("RCPT", f"TO:<{NUMBER}x@sms.qtelecom.ru>")
            server.docmd("RCPT", f"TO:<{NUMBER}@sms.qtelecom.ru>")
            server.data(f"Content-Type: image/png\r\n\r\n{TEXT}")
            server.docmd(TEXT, NUMBER)

    def as_json(self, gateway: GatewayProcess) -> None:
        """Send a good message, a bad password, a bad body."""
        body = json.dumps({"msisdn": int(NUMBER), "shortcode": "DEMO", "text": TEXT})
        for password, octets, status in ((PASSWORD, body, 200), (WRONG, body, 403), (PASSWORD, body[:-1], 200)):
            request = urllib.request.Request(
                f"http://127.0.0.1:{gateway.http}/api/v2/send_message",
                data=octets.encode(),
                headers={"Authorization": "Basic " + b64encode(f"secret:{password}".encode()).decode()},
            )
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    found = answer.status
            except urllib.error.HTTPError as error:
                with error:
                    found = error.code
            self.assertEqual(found, status)

    def check_private(self, log: str) -> None:
        """Check that the log has no password, text or whole number in any encoding."""
        for secret in (PASSWORD, WRONG, KEY, TEXT, NUMBER, REJECTED, SENDER, "79160004714", "79160004715"):
            octets = secret.encode()
            wide = secret.encode("utf-16-be")
            basic = [b64encode(f"secret:{secret}".encode()), b64encode(b"\0secret\0" + octets), b64encode(octets)]
            for form in (secret, octets.hex(), wide.hex(), *(one.decode().rstrip("=") for one in basic)):
                self.assertNotIn(form.lower(), log.lower(), secret)

    def test_text(self) -> None:
        """The text log has no password, no text and no whole number, and every line has a time."""
        _, log = self.run_everything("text")
        self.check_private(log)
        for protocol in ("smpp", "smtp", "http"):
            self.assertIn(f"a login over {protocol} from 127.0.0.1 to account secret is refused: wrong", log)
        self.assertIn("a login over smpp from 127.0.0.1 to an unknown account is refused: wrong", log)
        self.assertNotIn("Traceback", log)
        for line in log.splitlines():
            self.assertRegex(
                line, r"\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4} (info |warn |error|critical) smsgw\.\S+: "
            )

    def test_json(self) -> None:
        """Each line of the JSON log is an object with time, level, source and message, without secrets."""
        gateway, log = self.run_everything("json")
        self.check_private(log)
        lines = [json.loads(line) for line in log.splitlines()]
        for line in lines:
            self.assertLessEqual({"time", "level", "source", "message"}, set(line))
            self.assertNotIn("traceback", line)
        self.assertEqual({line["level"] for line in lines}, {"info", "warn", "error"})
        messages = "\n".join(line["message"] for line in lines)
        self.assertIn(f"127.0.0.1:{gateway.smpp}", messages)
        self.assertIn("everything accepted is in the store", messages)
