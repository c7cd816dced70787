"""Messages sent as e-mail through Postfix, in clear text, over STARTTLS and inside TLS, which Postfix sends back."""

from __future__ import annotations

import select
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import Esme
from tests.flows.process import GatewayProcess, free_ports
from tests.interop import peers
from tests.interop.postfix import LOGIN, PASSWORD, Postfix

CONNECTOR = """\
[connector {name}]
type = smtp
host = 127.0.0.1
port = {port}
tls = {tls}
sender = DEMO@example.org
to = {{to}}@sms.qtelecom.ru
retry_first = 0.1s
retry_limit = 0.1s
{login}
[route {name}]
to = {number}
connectors = {name}
"""

CREDENTIALS = f"login = {LOGIN}\npassword = {PASSWORD}\n"


class RelayTests(SynchronousTestCase):
    """A gateway with connectors to Postfix, which relays to the gateway's submission server."""

    def setUp(self) -> None:
        """Postfix is there."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        (self.submission,) = free_ports(1)
        self.postfix = Postfix(self.submission)
        self.addCleanup(self.postfix.stop)

    def gateway(self, connectors: str, **environment: str) -> GatewayProcess:
        """Start a gateway with these connectors. Mails from Postfix go to the simulated message centre."""
        gateway = GatewayProcess(
            self.directory / "gateway",
            connector=f"delay = 0.1\n[route back]\naccount = mail\nconnectors = sim\n{connectors}",
            sections="[account mail]\npassword = mail\nsenders = *\nallow_from = 127.0.0.0/8\n",
            environment=environment,
        )
        text = gateway.config.read_text().replace(f"tcp:{gateway.smtp}:", f"tcp:{self.submission}:")
        gateway.config.write_text(text)
        self.addCleanup(gateway.kill)
        gateway.start()
        return gateway

    def came_back(self, gateway: GatewayProcess, text: str) -> None:
        """Wait until Postfix has sent this text back."""
        deadline = time.monotonic() + peers.PATIENCE
        while True:
            _, found = gateway.get("/messages?account=mail")
            for message in found["messages"]:
                _, details = gateway.get(f"/messages/{message['id']}?text=1")
                if details["text"]["text"] == text:
                    return
            self.assertLess(time.monotonic(), deadline, self.postfix.log())
            select.select([], [], [], 0.1)

    def test_in_clear(self) -> None:
        """A message is sent as e-mail, counts as delivered, and arrives with its text."""
        self.postfix.start()
        gateway = self.gateway(
            CONNECTOR.format(name="mailbox", port=self.postfix.port, tls="none", login="", number="7904*")
        )
        esme = Esme(gateway.smpp)
        id = esme.accepted("Hello by mail", to="79041234567")
        self.assertEqual(esme.receipts(1), [(id, "DELIVRD")])
        esme.close()
        self.came_back(gateway, "Hello by mail")
        self.assertEqual(gateway.stop(), 0)

    def test_tls_and_login(self) -> None:
        """Messages are sent over STARTTLS and inside TLS, with a login; each connection carries several mails."""
        self.postfix.take_logins()
        self.postfix.start()
        ways = {"starttls": (self.postfix.starttls, "79041*"), "implicit": (self.postfix.implicit, "79042*")}
        gateway = self.gateway(
            "".join(
                CONNECTOR.format(name=tls, port=port, tls=tls, login=CREDENTIALS + "connections = 1\n", number=number)
                for tls, (port, number) in ways.items()
            ),
            SSL_CERT_FILE=str(self.postfix.certificate),
        )
        esme = Esme(gateway.smpp)
        sent = {
            esme.accepted(f"Hello {number} over {tls}", to=f"{numbers[:-1]}{number:06d}")
            for tls, (_, numbers) in ways.items()
            for number in range(3)
        }
        self.assertEqual(set(esme.receipts(6)), {(id, "DELIVRD") for id in sent})
        esme.close()
        for tls in ways:
            for number in range(3):
                self.came_back(gateway, f"Hello {number} over {tls}")
        log = self.postfix.log()
        self.assertEqual(log.count(f"sasl_method=PLAIN, sasl_username={LOGIN}"), 6, log)
        self.assertEqual(log.count(": connect from"), 2, log)
        self.assertEqual(gateway.stop(), 0)

    def test_not_trusted(self) -> None:
        """A relay with an untrusted certificate, or that refuses the login, gets no mail; the message is retried."""
        self.postfix.take_logins()
        self.postfix.start()
        wrong = CREDENTIALS.replace(PASSWORD, "another secret")
        connectors = CONNECTOR.format(
            name="login", port=self.postfix.starttls, tls="starttls", login=wrong, number="79041*"
        )
        gateway = self.gateway(connectors, SSL_CERT_FILE=str(self.postfix.certificate))
        esme = Esme(gateway.smpp)
        esme.accepted("Hello", to="79041234567")
        self.logged("authentication failed")
        esme.close()
        self.assertEqual(gateway.stop(), 0)
        gateway = self.gateway(connectors.replace("another secret", PASSWORD))
        self.logged("unknown ca|alert")
        self.assertEqual(gateway.stop(), 0)
        self.assertNotIn("status=sent", self.postfix.log())

    def logged(self, words: str) -> None:
        """Wait until Postfix has written this, or one of these with a bar between, twice."""
        deadline = time.monotonic() + peers.PATIENCE
        while not any(self.postfix.log().count(one) >= 2 for one in words.split("|")):
            self.assertLess(time.monotonic(), deadline, self.postfix.log())
            select.select([], [], [], 0.1)
