"""A renewed certificate is taken on SIGHUP for new connections; a faulty one is refused; its end is announced."""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from tests.flows.process import ROOT, GatewayProcess
from tests.program.test_certificates import certificate_of, pem_of

TAKEN = "the configuration is taken from"
REFUSED = "the configuration is refused; the previous one stays in force"


class U2Tests(SynchronousTestCase):
    def setUp(self) -> None:
        """A gateway with one pair of files for SMPP over TLS and for STARTTLS."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        self.certificate, self.key = directory / "tls.crt", directory / "tls.key"
        self.first = self.write(days=100)
        files = f"certificate = {self.certificate}\nkey = {self.key}"
        self.gateway = GatewayProcess(directory, smpp_listener=f"tls = implicit\n{files}")
        text = self.gateway.config.read_text().replace("tls = optional", f"tls = optional\n{files}")
        self.gateway.config.write_text(text)
        self.addCleanup(self.gateway.kill)

    def write(self, days: int, key: bool = True) -> str:
        """Write a new certificate, with its key or without; return its serial number."""
        private = ec.generate_private_key(ec.SECP256R1())
        pem = certificate_of(private, days=days)
        self.certificate.write_bytes(pem)
        if key:
            self.key.write_bytes(pem_of(private))
        return f"{x509.load_pem_x509_certificate(pem).serial_number:X}"

    def reload(self, until: str) -> str:
        """Send SIGHUP, and wait for a line."""
        return self.gateway.reload(self.gateway.config.read_text(), until)

    def wrapped(self, clear: socket.socket) -> ssl.SSLSocket:
        """Begin TLS on a connection."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = context.wrap_socket(clear)
        self.addCleanup(connection.close)
        return connection

    def smpp(self) -> ssl.SSLSocket:
        """Connect over SMPP."""
        return self.wrapped(socket.create_connection(("127.0.0.1", self.gateway.smpp), 10))

    def mail(self) -> socket.socket:
        """Connect over SMTP, without TLS yet."""
        clear = socket.create_connection(("127.0.0.1", self.gateway.smtp), 10)
        self.addCleanup(clear.close)
        self.assertEqual(clear.recv(1000)[:3], b"220")
        return clear

    def starttls(self, clear: socket.socket) -> ssl.SSLSocket:
        """Begin TLS over SMTP."""
        clear.sendall(b"STARTTLS\r\n")
        self.assertEqual(clear.recv(1000)[:3], b"220")
        return self.wrapped(clear)

    def serial(self, connection: ssl.SSLSocket) -> str:
        """Return the serial number of the gateway's certificate."""
        octets = connection.getpeercert(binary_form=True)
        assert octets is not None
        return f"{x509.load_der_x509_certificate(octets).serial_number:X}"

    def shown(self) -> tuple[int, float]:
        """Return the days of /health and the timestamp of /metrics."""
        days = self.gateway.get("/health")[1]["certificates"]["smpp"]["days"]
        name = 'smsgw_certificate_expiry_timestamp_seconds{listener="smpp"} '
        (line,) = (line for line in self.gateway.get("/metrics")[1].splitlines() if line.startswith(name))
        return days, float(line.removeprefix(name))

    def test_u2_renewed(self) -> None:
        """New connections get the new certificate, over TLS and over STARTTLS; an open one goes on."""
        self.gateway.start()
        before, open_mail = self.smpp(), self.mail()
        self.assertEqual([self.serial(before), self.serial(self.starttls(self.mail()))], [self.first] * 2)
        self.assertEqual(self.shown()[0], 99)
        second = self.write(days=200)
        log = self.reload(TAKEN)
        for name in ("smpp", "mail"):
            self.assertIn(f"[listen {name}] has a new certificate ({self.certificate}), valid until", log)
        connections = (self.smpp(), self.starttls(self.mail()), self.starttls(open_mail))
        self.assertEqual([self.serial(one) for one in connections], [second] * 3)
        before.sendall(bytes.fromhex("00000010000000150000000000000001"))
        self.assertEqual(before.recv(1000)[4:8].hex(), "80000015")
        days, at = self.shown()
        self.assertEqual(days, 199)
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=200)
        self.assertLess(abs(at - until.timestamp()), 120)
        self.assertNotIn("has a new certificate", self.reload(TAKEN))

    def test_u2_faulty(self) -> None:
        """A certificate that is not the key's, is none, is missing or has expired is refused, with its file and the
        fault; the old one stays in use."""
        self.gateway.start()
        self.write(days=200, key=False)
        whole = self.certificate.read_bytes()
        for octets, fault in (
            (whole, f"{self.key}: not the key of {self.certificate}"),
            (b"rubbish", f"{self.certificate}: not a PEM certificate"),
            (whole[:300], f"{self.certificate}: not a PEM certificate"),
            (None, f"{self.certificate}: No such file or directory"),
        ):
            self.certificate.unlink()
            if octets is not None:
                self.certificate.write_bytes(octets)
            log = self.reload(REFUSED)
            for name in ("smpp", "mail"):
                self.assertRegex(log, rf"error .*\[listen {name}\] certificate: {fault}\n")
            self.assertEqual(self.serial(self.smpp()), self.first)
            if octets is None:
                self.certificate.write_bytes(whole)
        self.write(days=-1)
        self.assertIn(f"[listen smpp] certificate: {self.certificate}: expired at ", self.reload(REFUSED))
        self.assertEqual([self.serial(self.smpp()), self.serial(self.starttls(self.mail()))], [self.first] * 2)
        self.assertIn('smsgw_config_reloads_total{result="refused"} 5.0', self.gateway.get("/metrics")[1])

    def test_u2_expires_soon(self) -> None:
        """A certificate that expires within 14 days, or has expired, is logged at the start and after a reload, and by
        `check`."""
        line = f"[listen smpp] the certificate {self.certificate} expires at "
        self.write(days=13)
        self.gateway.start()
        self.assertIn(line, self.gateway.logged(line))
        checked = subprocess.run(
            [sys.executable, "-m", "smsgw", "check", str(self.gateway.config)],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        ).stdout  # fmt: skip
        self.assertRegex(checked, rf"\[listen smpp\] certificate: {self.certificate}: expires at .* \(warning\)\n")
        self.write(days=15)
        self.assertNotIn("expires at", self.reload(TAKEN))
        self.write(days=2)
        self.reload(line)
        self.assertEqual(self.shown()[0], 1)
        self.assertEqual(self.gateway.stop(), 0)
        self.write(days=-1)
        self.gateway.log.write_text("")
        self.gateway.start()
        self.gateway.logged(f"[listen smpp] the certificate {self.certificate} has expired at ")
        self.assertEqual(self.shown()[0], -2)
