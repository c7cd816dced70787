"""The submission server with other mail programs: msmtp, s-nail, and Postfix as a relay with SASL over TLS."""

from __future__ import annotations

import select
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.shared import shown_as
from tests.interop import peers
from tests.interop.postfix import Postfix

RECIPIENT = "79161234570@sms.qtelecom.ru"
SENDER = "DEMO@example.org"
TEXT = "Привет от почты"


class MailerTests(SynchronousTestCase):
    """Mail programs."""

    def setUp(self) -> None:
        """The gateway, and a directory."""
        self.gateway = peers.gateway()
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.highest = self.newest()

    def newest(self) -> int:
        """Return the id of the newest message."""
        _, found = self.gateway.get("/messages?limit=1")
        return int(found["messages"][0]["id"]) if found["messages"] else 0

    def arrived(self, text: str = TEXT) -> None:
        """Check that the next message has this text and is delivered."""
        deadline = time.monotonic() + peers.PATIENCE
        while (id := self.newest()) <= self.highest:
            if time.monotonic() > deadline:
                raise AssertionError("no message came")
            select.select([], [], [], 0.1)
        self.assertEqual(shown_as(self.gateway, "mail", str(id), "delivered")["text"], text)

    def run_with_mail(self, *command: str, mail: str) -> None:
        """Run a program with a mail on its standard input."""
        done = peers.run(*command, stdin=mail, environment={"HOME": str(self.directory), "LC_ALL": "C.UTF-8"})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_msmtp(self) -> None:
        """msmtp sends over STARTTLS, with either mechanism."""
        for mechanism in ("plain", "login"):
            self.highest = self.newest()
            self.run_with_mail(
                *(peers.program("msmtp"), "--file=/dev/null", "--host=127.0.0.1", f"--port={self.gateway.smtp}"),
                *("--tls=on", "--tls-starttls=on", "--tls-certcheck=off", f"--auth={mechanism}", "--user=mail"),
                *("--passwordeval=echo mail", f"--from={SENDER}", RECIPIENT),
                mail=f"From: {SENDER}\nSubject: x\nContent-Type: text/plain; charset=utf-8\n\n{TEXT}\n",
            )
            self.arrived()

    def test_s_nail(self) -> None:
        """s-nail sends a text in its own encoding."""
        self.run_with_mail(
            *(peers.program("s-nail"), "-:/", "-S", "v15-compat", "-S", "sendwait", "-S", "ttycharset=utf-8"),
            *("-S", f"mta=smtp://mail:mail@127.0.0.1:{self.gateway.smtp}", "-S", "smtp-auth=plain"),
            *("-S", f"from={SENDER}", "-r", SENDER, "-s", "Subject", RECIPIENT),
            mail=TEXT + "\n",
        )
        self.arrived()

    def test_postfix(self) -> None:
        """Postfix relays to the gateway: it logs in over STARTTLS and sends a mail of two parts."""
        postfix = Postfix(self.gateway.smtp)
        self.addCleanup(postfix.stop)
        postfix.start()
        done = peers.run(
            *(peers.program("swaks"), "--server", f"127.0.0.1:{postfix.port}", "--from", SENDER, "--to", RECIPIENT),
            *("--body", "Hello through Postfix", "--attach-type", "text/html", "--attach", "<p>Hello</p>"),
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        try:
            self.arrived("Hello through Postfix")
        except AssertionError as error:
            raise AssertionError(postfix.log()) from error
