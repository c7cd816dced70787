"""The programs on docs/embedding.rst, copied out of the page, in an environment of their own."""

from __future__ import annotations

import ast
import atexit
import base64
import functools
import http.client
import importlib
import json
import re
import shutil
import smtplib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smsgw.smpp import codec
from smsgw.smpp.pdus import BindTransceiver, Pdu, QuerySm, SubmitSm, Unbind
from tests.pages import DOCS, ROOT, copy_out, environment, files_of

PAGE = "embedding.rst"


@functools.cache
def programs() -> tuple[Path, Path]:
    """Copy the programs out of the page; return the interpreter of their environment, and their directory."""
    directory = Path(tempfile.mkdtemp(prefix="smsgw-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    copy_out(PAGE, directory)
    return environment(directory / "venv"), directory


@contextmanager
def board() -> Iterator[tuple[dict[str, int], subprocess.Popen[str]]]:
    """Start the board on free ports; return the ports by name, and the process."""
    endpoints = ["tcp:0:interface=127.0.0.1"] * 3
    python, directory = programs()
    with subprocess.Popen(
        [python, "board.py", *endpoints], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=directory, env={"PYTHONWARNINGS": "error::DeprecationWarning"},
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            ports = {}
            for _ in endpoints:
                line = process.stdout.readline()
                name, port = line.split()
                ports[name] = int(port)
            yield ports, process
        finally:
            process.terminate()


class Esme:
    """An ESME over a blocking socket with one request at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.framer = codec.Framer()
        self.sequence_number = 0

    def ask(self, pdu: Any) -> Any:
        """Send a request and wait for its response."""
        self.sequence_number += 1
        pdu.sequence_number = self.sequence_number
        self.socket.sendall(codec.encode(pdu))
        frames: list[bytes] = []
        while not frames:
            data = self.socket.recv(65_536)
            assert data, "the server closed"
            frames = list(self.framer.feed(data))
        answer: Pdu = codec.decode(frames[0])
        assert answer.sequence_number == self.sequence_number
        return answer


def use_smpp(port: int) -> tuple[int, int, int]:
    """Bind, submit, query; return the three statuses."""
    esme = Esme(port)
    try:
        bound = esme.ask(BindTransceiver(0, b"demo", b"secret", b"", 0x34))
        submit = SubmitSm(0, source_addr=b"DEMO", destination_addr=b"79161234567", short_message=b"over SMPP")
        submitted = esme.ask(submit)
        queried = esme.ask(QuerySm(0, submitted.message_id))
        esme.ask(Unbind(0))
    finally:
        esme.socket.close()
    return bound.command_status, submitted.command_status, queried.command_status


def use_smtp(port: int) -> tuple[int, bytes]:
    """Log in, send a mail, send STATUS; return code and text of its reply."""
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.ehlo()
        client.login("demo", "secret")
        letter = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "по SMTP".encode()
        client.sendmail("demo@corp.example", ["79161234567@sms.example"], letter)
        return client.docmd("STATUS 2")


def use_http(port: int) -> tuple[Any, Any]:
    """Send and query a message; return the two values."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": "Basic " + base64.b64encode(b"demo:secret").decode()}
    try:
        body = json.dumps({"msisdn": 79161234567, "shortcode": "DEMO", "text": "over HTTP"})
        connection.request("POST", "/api/v2/send_message", body, headers)
        sent = json.load(connection.getresponse())
        connection.request("GET", f"/api/v2/send_message/{sent['result']['uid']}", headers=headers)
        return sent, json.load(connection.getresponse())
    finally:
        connection.close()


class U4Tests(SynchronousTestCase):
    def test_u4_three_protocols(self) -> None:
        """A message over each of SMPP, SMTP and HTTP reaches the program, and each protocol reports its state; SIGTERM
        ends the program."""
        with board() as (ports, process):
            self.assertEqual(use_smpp(ports["smpp"]), (0, 0, 0))
            self.assertEqual(use_smtp(ports["smtp"]), (250, b"2 1 1 2 Message is delivered"))
            sent, shown = use_http(ports["http"])
            self.assertEqual(sent, {"result": {"uid": "message-id-3"}, "status": "ok"})
            self.assertEqual((shown["result"]["status"], shown["result"]["text"]), ("delivered", "over HTTP"))
            process.terminate()
            output, _ = process.communicate(timeout=30)
        self.assertEqual(
            output.splitlines(),
            [
                "pinned 1 over smpp for 79161234567: over SMPP",
                "pinned 2 over smtp for 79161234567: по SMTP",
                "pinned 3 over http for 79161234567: over HTTP",
            ],
        )


def send_mail(port: int, password: str) -> subprocess.CompletedProcess[str]:
    """Run the program that sends a mail."""
    python, directory = programs()
    return subprocess.run(
        [python, "sendmail.py", "localhost", str(port), "demo", password, "demo@corp.example",
         "79161234567@sms.example", "79161234568@sms.example"],
        input="Subject: notice\n\n.by mail\n", capture_output=True, text=True, timeout=30, check=False,
        cwd=directory, env={},
    )  # fmt: skip


class MailerTests(SynchronousTestCase):
    def test_u4_mail(self) -> None:
        """A mail is accepted for each recipient with the right password, and refused with a wrong one."""
        with board() as (ports, _):
            done = send_mail(ports["smtp"], "secret")
            self.assertEqual((done.stderr, done.returncode), ("", 0))
            lines = [f"7916123456{digit}@sms.example taken 250 2 message accepted" for digit in "78"]
            self.assertEqual(done.stdout.splitlines(), lines)
            done = send_mail(ports["smtp"], "wrong")
            self.assertEqual((done.stdout, done.returncode), ("", 1))
            self.assertRegex(done.stderr, "^AUTH: 535 ")


class PageTests(SynchronousTestCase):
    def test_blocks(self) -> None:
        """Each block of code on the page belongs to one of its programs."""
        blocks = (DOCS / PAGE).read_text("utf-8").count(".. code-block::")
        self.assertEqual(set(files_of(PAGE)), {"board.py", "sendmail.py"})
        self.assertEqual((DOCS / PAGE).read_text("utf-8").count("``:\n\n.. code-block::"), blocks)

    def test_public_names(self) -> None:
        """Each package that the page calls public re-exports what it lists; the examples, and the packages of third
        parties that the documentation explains, import nothing else."""
        text = (DOCS / PAGE).read_text("utf-8").partition("Public names\n")[2]
        packages = re.findall(r"^``(smsgw[a-z.]*)``", text, re.MULTILINE)
        pure = set(re.findall(r"``(smsgw[a-z.]*)``", text)) - set(packages) | {"smsgw.dialects"}
        exported = {name: importlib.import_module(name).__all__ for name in packages}
        for name, names in exported.items():
            self.assertEqual([one for one in names if not hasattr(importlib.import_module(name), one)], [], name)
        self.assertGreaterEqual(len(packages), 8)
        self.assertEqual(pure, {"smsgw.text", "smsgw.dialects"})
        third = [*(ROOT / "tests" / "thirdparty").glob("acme*/**/*.py")]
        files = {file.name: file.read_text("utf-8") for file in third} | files_of(PAGE)
        private = []
        for file, code in files.items():
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.ImportFrom) and (module := node.module or "").startswith("smsgw"):
                    inside = module in pure or module.rpartition(".")[0] in pure
                    names = [one.name for one in node.names if one.name not in exported.get(module, ())]
                    private += [f"{file}: {module}.{name}" for name in names if not inside or name[0] == "_"]
        self.assertEqual(private, [])

    def test_imports(self) -> None:
        """The embeddable modules import neither the gateway's services nor a database nor the global reactor."""
        program = (
            "import sys, smsgw.protocols.smpp, smsgw.protocols.smtp, smsgw.protocols.http, smsgw.frontends.rostelecom\n"
            "apart = ('twisted.internet.reactor', 'twisted.mail', 'sqlite3', 'smsgw.services', 'smsgw.program')\n"
            "print([name for name in sys.modules if name.startswith(apart)])\n"
        )
        output = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}
        ).stdout
        self.assertEqual(output, "[]\n")
