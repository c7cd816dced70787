"""The submission server as other mail programs see it: msmtp, s-nail, and Postfix relaying to us with SASL over TLS."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import Esme
from tests.flows.process import GatewayProcess, free_ports
from tests.flows.shared import shown_as
from tests.interop import peers

RECIPIENT = "79161234570@sms.qtelecom.ru"
SENDER = "DEMO@example.org"
TEXT = "Привет от почты"


class MailerTests(SynchronousTestCase):
    """Mail programs that people use."""

    def setUp(self) -> None:
        """The gateway, and a directory."""
        self.gateway = peers.gateway()
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.highest = self.newest()

    def newest(self) -> int:
        """The id of the newest message."""
        _, found = self.gateway.get("/messages?limit=1")
        return int(found["messages"][0]["id"]) if found["messages"] else 0

    def arrived(self, text: str = TEXT) -> None:
        """The next message has this text and is delivered."""
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
        """s-nail sends, with a text that it wraps up by itself."""
        self.run_with_mail(
            *(peers.program("s-nail"), "-:/", "-S", "v15-compat", "-S", "sendwait", "-S", "ttycharset=utf-8"),
            *("-S", f"mta=smtp://mail:mail@127.0.0.1:{self.gateway.smtp}", "-S", "smtp-auth=plain"),
            *("-S", f"from={SENDER}", "-r", SENDER, "-s", "Subject", RECIPIENT),
            mail=TEXT + "\n",
        )
        self.arrived()

    def test_postfix(self) -> None:
        """Postfix relays to us: it logs in over STARTTLS and hands on a mail of two parts."""
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


class Postfix:
    """An instance of its own, on a free port, in a directory of its own with a short path: its sockets allow no
    other."""

    def __init__(self, relay: int) -> None:
        (self.port,) = free_ports(1)
        self._relay = relay
        program = shutil.which("postfix") or ("/usr/sbin/postfix" if Path("/usr/sbin/postfix").exists() else "")
        if not program:
            peers.missing("postfix is not installed")
        if os.geteuid() != 0:
            peers.missing("postfix only starts as root")
        self._program = program
        self.directory = Path(tempfile.mkdtemp(prefix="pf-"))

    def start(self) -> None:
        """Write its configuration and start it."""
        config, queue, data = (self.directory / name for name in ("config", "queue", "data"))
        for path in (config, queue, data):
            path.mkdir()
        self.directory.chmod(0o755)
        shutil.chown(data, "postfix", "postfix")
        (config / "sasl").write_text(f"[127.0.0.1]:{self._relay} mail:mail\n")
        (config / "main.cf").write_text(
            f"""\
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example.org
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
relayhost = [127.0.0.1]:{self._relay}
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:{config}/sasl
smtp_sasl_security_options = noanonymous
smtp_tls_security_level = encrypt
maillog_file = {self.directory}/log
maillog_file_prefixes = {self.directory}
"""
        )
        (config / "master.cf").write_text(
            f"""\
127.0.0.1:{self.port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
        )
        self._run("start")

    def _run(self, word: str) -> None:
        done = subprocess.run(
            [self._program, "-c", str(self.directory / "config"), word],
            capture_output=True, text=True, timeout=peers.PATIENCE, check=False,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"postfix {word}: {done.stdout}{done.stderr}{self.log()}")

    def log(self) -> str:
        """What it wrote."""
        path = self.directory / "log"
        return path.read_text("utf-8", "replace")[-3000:] if path.exists() else "no log"

    def stop(self) -> None:
        """End it, whatever it is at."""
        if re.search(r"\d", self._pid()):
            self._run("stop")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _pid(self) -> str:
        path = self.directory / "queue" / "pid" / "master.pid"
        return path.read_text() if path.exists() else ""


class RelayTests(SynchronousTestCase):
    """Messages that leave as e-mail."""

    def test_through_postfix(self) -> None:
        """A message leaves as e-mail through Postfix, counts as delivered, and what arrives has its text."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        (smtp,) = free_ports(1)
        postfix = Postfix(smtp)
        self.addCleanup(postfix.stop)
        postfix.start()
        gateway = GatewayProcess(
            directory / "gateway",
            connector="delay = 0.1\n[connector mailbox]\ntype = smtp\nhost = 127.0.0.1\ntls = none\n"
            f"port = {postfix.port}\nsender = DEMO@example.org\nto = {{to}}@sms.qtelecom.ru\n"
            "[route back]\naccount = mail\nconnectors = sim\n[route out]\nto = 7904*\nconnectors = mailbox\n",
            sections="[account mail]\npassword = mail\nsenders = *\nallow_from = 127.0.0.0/8\n",
        )
        text = gateway.config.read_text().replace(f"tcp:{gateway.smtp}:", f"tcp:{smtp}:")
        gateway.config.write_text(text)
        self.addCleanup(gateway.kill)
        gateway.start()
        esme = Esme(gateway.smpp)
        id = esme.accepted("Hello by mail", to="79041234567")
        self.assertEqual(esme.receipts(1), [(id, "DELIVRD")])
        esme.close()
        deadline = time.monotonic() + peers.PATIENCE
        while True:
            _, found = gateway.get("/messages?account=mail&text=1")
            if found["messages"]:
                break
            self.assertLess(time.monotonic(), deadline, postfix.log())
            select.select([], [], [], 0.1)
        _, details = gateway.get(f"/messages/{found['messages'][0]['id']}?text=1")
        self.assertIn("Hello by mail", json.dumps(details))
        self.assertEqual(gateway.stop(), 0)
