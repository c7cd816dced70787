"""The examples of docs/upstreams.rst, each used by the real program."""

from __future__ import annotations

import json
import re
import socket
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.esme import Esme
from tests.flows.process import GatewayProcess, free_ports

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "upstreams.rst").read_text("utf-8")
WORDS = "Привет & <всем> {to} " + "очень длинный текст " * 6


def example(name: str) -> str:
    """Return a section of the document."""
    found = re.search(rf"(    \[connector {name}\]\n(?:    .*\n)+)", TEXT)
    assert found is not None, name
    return re.sub(r"(?m)^    ", "", found[1])


class Provider:
    """Stands for smsc.ru, Kannel and Telegram: takes messages and calls back.

    :ivar asked: path, query and body of each request.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, list[str]], bytes]] = []
        self.gateway = ""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                split = urlsplit(self.path)
                answer = owner.take(split.path, parse_qs(split.query, keep_blank_values=True), body)
                self.send_response_only(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = _take  # noqa: N815 - the names that the standard library calls

            def log_message(self, *arguments: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The address of the provider."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def take(self, path: str, query: dict[str, list[str]], body: bytes) -> bytes:
        """Accept one message; return the response."""
        self.asked.append((path, query, body))
        if path.endswith("send.php"):
            form = {"id": "77", "phone": query["phones"][0], "status": "1", "err": "0", "key": "a-long-secret"}
            self.later(f"{self.gateway}/upstream/smsc", urlencode(form).encode())
            return b'{"id":77,"cnt":1}'
        if path.endswith("sendsms"):
            self.later(query["dlr-url"][0].replace("%d", "2"), None)
            return b"0: Accepted for delivery"
        return b'{"ok":true,"result":{"message_id":5}}'

    @staticmethod
    def later(url: str, body: bytes | None) -> None:
        """Send the webhook, a moment after the response."""
        threading.Timer(0.3, lambda: urllib.request.urlopen(url, body, 5).read()).start()

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.server.server_close()


class ExampleTests(SynchronousTestCase):
    """One gateway with all examples, each for its own recipients; for Rostelecom it is its own upstream."""

    def setUp(self) -> None:
        """Start a provider, and a gateway that uses it."""
        self.provider = Provider()
        self.addCleanup(self.provider.close)
        names = ("rostelecom", "smsc", "kannel", "telegram")
        sections = "\n".join(example(name) for name in names)
        routes = "[route own]\naccount = peer\nconnectors = sim\n" + "".join(
            f"[route {name}]\nto = 7{number}*\nconnectors = {name}\n" for number, name in enumerate(names, 900)
        )
        self.gateway = GatewayProcess(
            Path(self.mktemp()).absolute(),
            connector=f"delay = 0.1\n\n{sections}\n{routes}",
            sections="[account peer]\npassword = peer\nsenders = *\nallow_from = 127.0.0.0/8\n",
        )
        self.addCleanup(self.gateway.kill)
        own = f"http://127.0.0.1:{self.gateway.http}"
        self.provider.gateway = own
        text = self.gateway.config.read_text()
        text = text.replace("https://sms.rostelecom.example", own).replace("poll_every = 30s", "poll_every = 0.2s")
        text = text.replace("https://smsc.example", self.provider.url)
        text = text.replace("http://kannel.example:13013", self.provider.url)
        text = text.replace("gateway.example%3A8080", f"127.0.0.1%3A{self.gateway.http}")
        text = text.replace("https://api.telegram.example", self.provider.url)
        self.gateway.config.write_text(text)
        self.gateway.start()

    def send(self, to: str) -> str:
        """Send a long text over HTTP; return the id."""
        body = json.dumps({"to": to, "text": WORDS, "from": "DEMO"}).encode()
        asked = urllib.request.Request(
            f"{self.provider.gateway}/v1/messages",
            body,
            {"Content-Type": "application/json", "Authorization": "Basic ZGVtbzpkZW1v"},
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return str(json.load(answer)["id"])

    def outcome(self, id: str) -> dict[str, Any]:
        """Return the message when it is final."""
        found: dict[str, Any] = {}
        esme = Esme(self.gateway.smpp)
        for _ in range(100):
            _, found = self.gateway.get(f"/messages/{id}")
            found = found.get("message", found)
            if found["state"] not in ("queued", "enroute", "scheduled"):
                break
            esme.read(0.1)
        esme.close()
        return found

    def test_examples(self) -> None:
        """Each upstream gets the uncut text once, and the message gets the state that it reports."""
        ids = [self.send(f"7{number}1234567") for number in (900, 901, 902, 903)]
        states = [self.outcome(id)["state"] for id in ids]
        self.assertEqual(states, ["delivered", "delivered", "undeliverable", "delivered"])
        asked = {path.rpartition("/")[2]: (query, body) for path, query, body in self.provider.asked}
        self.assertEqual(len(self.provider.asked), 3)
        self.assertEqual((asked["send.php"][0]["mes"], asked["send.php"][0]["sender"]), ([WORDS], ["DEMO"]))
        self.assertEqual(asked["sendsms"][0]["text"], [WORDS])
        self.assertEqual(json.loads(asked["sendMessage"][1]), {"chat_id": 79031234567, "text": WORDS})
        self.assertEqual(self.gateway.stop(), 0)

    def test_forged_webhooks(self) -> None:
        """A webhook without the secret, for no connector, or for one that accepts none, is refused."""
        for path, status in (("smsc", 403), ("kannel?key=wrong&id=1&status=1", 403), ("unknown", 404), ("sim", 404)):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"{self.provider.gateway}/upstream/{path}", timeout=5)
            self.assertEqual(caught.exception.code, status, path)
            caught.exception.close()


class DownTests(SynchronousTestCase):
    """Upstreams at whose ports nothing listens, each first in a route."""

    def test_failover(self) -> None:
        """They are down with one warning each, their messages take the next connector, and one that comes up is up."""
        http, smtp = free_ports(2)
        gateway = GatewayProcess(
            Path(self.mktemp()).absolute(),
            connector="delay = 0.1\n\n"
            f"[connector web]\ntype = http\nurl = http://127.0.0.1:{http}/?to={{to}}\n\n"
            f"[connector mail]\ntype = smtp\nhost = 127.0.0.1\nport = {smtp}\ntls = none\nsender = a@b.example\n"
            "to = {to}@mail.example\n\n"
            "[route web]\nto = 7900*\nconnectors = web, sim\n[route mail]\nto = 7901*\nconnectors = mail, sim\n",
        )
        self.addCleanup(gateway.kill)
        gateway.start()
        esme = Esme(gateway.smpp)
        ids = [esme.accepted("Hello", to=f"7{number}1234567") for number in (900, 901, 900, 901)]
        self.assertEqual(sorted(esme.receipts(4)), sorted((id, "DELIVRD") for id in ids))
        _, health = gateway.get("/health")
        self.assertEqual(health["problems"], ["connector web is down", "connector mail is down"])
        listening = socket.create_server(("127.0.0.1", http))
        self.addCleanup(listening.close)
        for _ in range(100):
            _, health = gateway.get("/health")
            if health["connectors"]["web"]["up"]:
                break
            esme.read(0.1)
        esme.close()
        self.assertEqual(health["problems"], ["connector mail is down"])
        self.assertEqual(gateway.stop(), 0)
        log = gateway.log.read_text("utf-8")
        self.assertEqual((log.count("connector web is down"), log.count("connector mail is down")), (1, 1))
