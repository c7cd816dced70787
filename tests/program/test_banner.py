"""The banner: the addresses of the listeners, and commands that fit their settings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import Settings, parse
from smsgw.plugins import dialects
from smsgw.program.banner import banner
from smsgw.program.ports import Listener, OpenPort

SMPP = "[listen smpp]\nprotocol = smpp\nendpoint = tcp:1\ndialect = standard\n"
MAIL = "[listen mail]\nprotocol = smtp\nendpoint = tcp:2\ndialect = quicktel\ndomains = sms.example, other.example\n"
API = "[listen api]\nprotocol = http\nendpoint = tcp:3\ndialect = {}\n"
ADMIN = "[listen admin]\nprotocol = admin\nendpoint = tcp:4:interface=127.0.0.1\n"
DEMO = "[account demo]\npassword = demo\nsenders = *\n"


@attrs.frozen
class Port:
    """A listening port at an address."""

    address: Any

    def getHost(self) -> Any:
        return self.address


class BannerTests(SynchronousTestCase):
    def lines(self, text: str, source: str = "etc/gw.ini", address: Any = None) -> list[str]:
        """Return the banner of a configuration whose listeners listen at an address."""
        settings: Settings = parse(text, "gw.ini", {}, dialects())
        port: Any = Port(address or IPv4Address("TCP", "127.0.0.1", 4000))
        switch: Any = None
        listeners = [
            Listener(own, None, None, name.upper(), opened=OpenPort(port, switch))
            for name, own in settings.listeners.items()
        ]
        return list(banner(settings, listeners, Path(source)))

    def command(self, text: str, **given: Any) -> str:
        """Return the one command in the banner."""
        command = self.lines(text, **given)[-1]
        self.assertEqual(command[:2], "  ")
        return command[2:]

    def test_addresses(self) -> None:
        """Each listener has a line with its name and the address where it listens now."""
        self.assertEqual(
            self.lines(SMPP + ADMIN),
            ["SMPP           127.0.0.1:4000  [listen smpp]", "ADMIN          127.0.0.1:4000  [listen admin]"],
        )
        for address, shown in (
            (IPv6Address("TCP", "::1", 4000), "[::1]:4000"),
            (UNIXAddress("/run/gw.sock"), "tcp:4:interface=127.0.0.1"),
        ):
            self.assertEqual(self.lines(ADMIN, address=address), [f"{'ADMIN':<14} {shown}  [listen admin]"])

    def test_not_open(self) -> None:
        """A listener that is not open is shown with its endpoint."""
        settings = parse(ADMIN, "gw.ini", {}, dialects())
        listener = Listener(settings.listeners["admin"], None, None, "admin")
        line = "admin          tcp:4:interface=127.0.0.1  [listen admin]"
        self.assertEqual(list(banner(settings, [listener], Path("gw.ini"))), [line])

    def test_commands(self) -> None:
        """There is one command for each protocol, in the order of the listeners, for the last of its listeners."""
        second = MAIL.replace("mail", "second").replace("tcp:2", "tcp:5")
        lines = self.lines(SMPP + MAIL + API.format("standard") + second + ADMIN + DEMO)
        at = lines.index("Try:")
        self.assertEqual(at, 5)
        self.assertEqual([line.split()[0] for line in lines[at + 2 :]], ["swaks", "curl"])
        self.assertIn(" -m smsgw send ", lines[at + 1])

    def test_no_account(self) -> None:
        """Without an account no command would work, and none is shown."""
        self.assertEqual(len(self.lines(SMPP + MAIL + API.format("rostelecom"))), 3)

    def test_smpp(self) -> None:
        """The command for SMPP names the configuration unless it is the one that the command reads anyway."""
        command = self.command(SMPP + DEMO)
        self.assertRegex(command, r'\A\S*python\S* -m smsgw send 79161234567 "Hello over SMPP"\Z')
        self.assertIn(" -m smsgw send -c /etc/other.ini 7916", self.command(SMPP + DEMO, source="/etc/other.ini"))
        self.patch(sys, "executable", "/opt/other/bin/python9")
        self.assertTrue(self.command(SMPP + DEMO).startswith("/opt/other/bin/python9 -m smsgw"))
        self.patch(sys, "executable", str(Path.cwd() / "env" / "bin" / "python"))
        self.assertTrue(self.command(SMPP + DEMO).startswith("env/bin/python -m smsgw"))

    def test_smtp(self) -> None:
        """The command for SMTP uses TLS as the listener wants it, and the first of its domains."""
        self.assertEqual(
            self.command(MAIL + DEMO),
            "swaks --server 127.0.0.1:4000 --auth PLAIN --auth-user demo --auth-password demo"
            " --from DEMO@example.org --to 79161234567@sms.example --body 'Hello over SMTP'",
        )
        for lines, option in (
            ("tls = optional\n", ""),
            ("tls = optional\nauth_without_tls = no\n", " --tls"),
            ("tls = demanded\n", " --tls"),
            ("tls = implicit\n", " --tls-on-connect"),
        ):
            self.assertIn(f"--server 127.0.0.1:4000{option} --auth", self.command(MAIL + lines + DEMO), lines)

    def test_http(self) -> None:
        """The command for HTTP is the same for every dialect: the native API, which each HTTP listener has."""
        sent = '{"to":"79161234567","from":"DEMO","text":"Hello over HTTP"}'
        for dialect in ("standard", "rostelecom"):
            self.assertEqual(
                self.command(API.format(dialect) + DEMO),
                f"curl -u demo:demo -H 'Content-Type: application/json' -d '{sent}' http://127.0.0.1:4000/v1/messages",
            )
        command = self.command(API.format("standard") + "tls = implicit\n" + DEMO)
        self.assertRegex(command, r"\Acurl --insecure .* https://127\.0\.0\.1:4000/v1/messages\Z")
        signed = "tls = implicit\ncertificate = c.pem\nkey = k.pem\n"
        self.assertRegex(self.command(API.format("standard") + signed + DEMO), r"\Acurl -u .* https://")

    def test_password(self) -> None:
        """Only the password of the sample account is shown; the place of another one has a word."""
        own = "[account shop]\npassword = secret-1\nsenders = SHOP, DEMO\n"
        command = self.command(MAIL + own)
        self.assertIn(" --auth-user shop --auth-password PASSWORD --from SHOP@", command)
        self.assertIn("-u shop:PASSWORD ", self.command(API.format("standard") + own))
        self.assertNotIn("secret-1", "".join(self.lines(SMPP + MAIL + API.format("standard") + own)))
        self.assertIn("PASSWORD", self.command(MAIL + DEMO.replace("password = demo", "password = other-2")))

    def test_sender(self) -> None:
        """The sender is the default sender of the account, else its first agreed name."""
        for senders, expected in (
            ("senders = A, B", "A"),
            ("senders = A, B\ndefault_sender = B", "B"),
            ("senders = *, B", "B"),
            ("senders = *", "DEMO"),
        ):
            command = self.command(MAIL + f"[account shop]\npassword = secret-1\n{senders}\n")
            self.assertIn(f"--from {expected}@example.org", command, senders)
