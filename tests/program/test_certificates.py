"""TLS for listeners: configured certificates and self-signed ones."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions
from twisted.trial.unittest import SynchronousTestCase

from smsgw.program import certificates
from smsgw.program.certificates import CertificateError, options, self_signed


def pem_of(private: CertificateIssuerPrivateKeyTypes, passphrase: bytes = b"") -> bytes:
    """Encode a private key as PEM."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def certificate_of(private: CertificateIssuerPrivateKeyTypes, name: str = "sms.example", days: int = 30) -> bytes:
    """Make a self-signed certificate as PEM."""
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(private, None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def handshake(server: CertificateOptions, trusted: bytes, method: int = SSL.TLS_METHOD) -> tuple[str, list[str]]:
    """Connect a client that trusts one certificate, in memory; return the TLS version and the names of the chain."""
    context = SSL.Context(method)
    context.get_cert_store().add_cert(  # type: ignore[union-attr]
        crypto.X509.from_cryptography(x509.load_pem_x509_certificate(trusted))
    )
    context.set_verify(SSL.VERIFY_PEER)
    client, other = SSL.Connection(context, None), SSL.Connection(server.getContext(), None)
    client.set_connect_state()
    other.set_accept_state()
    for _ in range(10):
        for one, peer in ((client, other), (other, client)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                peer.bio_write(one.bio_read(1 << 16))
    chain = client.get_peer_cert_chain(as_cryptography=True) or []
    names = [str(one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value) for one in chain]
    return client.get_protocol_version_name(), names


class OptionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Make an empty directory."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def written(self, name: str, *octets: bytes) -> Path:
        """Write a file."""
        path = self.directory / name
        path.write_bytes(b"".join(octets))
        return path

    def test_kinds_of_keys(self) -> None:
        """Certificates with the usual kinds of keys are served, with TLS 1.3 to clients that speak it."""
        kinds: tuple[CertificateIssuerPrivateKeyTypes, ...] = (
            rsa.generate_private_key(65537, 2048),
            ec.generate_private_key(ec.SECP256R1()),
            ed25519.Ed25519PrivateKey.generate(),
        )
        for private in kinds:
            pem = certificate_of(private)
            made = options(self.written("a.crt", pem), self.written("a.key", pem_of(private)))
            self.assertEqual(handshake(made, pem), ("TLSv1.3", ["sms.example"]))

    def test_chain(self) -> None:
        """The certificates after the first one are sent too."""
        own, root = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        first, second = certificate_of(own), certificate_of(root, "root.example")
        made = options(self.written("a.crt", first, second), self.written("a.key", pem_of(own)))
        self.assertEqual(handshake(made, first)[1], ["sms.example", "root.example"])

    def test_old_versions(self) -> None:
        """A client with TLS 1.1 at most is refused."""
        private = ec.generate_private_key(ec.SECP256R1())
        pem = certificate_of(private)
        made = options(self.written("a.crt", pem), self.written("a.key", pem_of(private)))
        with self.assertRaises(SSL.Error):
            handshake(made, pem, SSL.TLSv1_1_METHOD)
        self.assertEqual(handshake(made, pem, SSL.TLSv1_2_METHOD)[0], "TLSv1.2")

    def refused(self, certificate: Path, key: Path) -> str:
        """Return the error for files that cannot be used."""
        with self.assertRaises(CertificateError) as caught:
            options(certificate, key)
        return str(caught.exception)

    def test_files_that_cannot_be_used(self) -> None:
        """Every error names the file."""
        private, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        certificate = self.written("a.crt", certificate_of(private))
        key = self.written("a.key", pem_of(private))
        nowhere, junk, empty = self.directory / "x", self.written("junk", b"hello"), self.written("empty")
        self.assertEqual(self.refused(nowhere, key), f"{nowhere}: No such file or directory")
        self.assertEqual(self.refused(certificate, nowhere), f"{nowhere}: No such file or directory")
        for bad in (junk, empty, key):
            self.assertEqual(self.refused(bad, key), f"{bad}: not a PEM certificate")
        for bad in (junk, empty, certificate):
            self.assertEqual(self.refused(certificate, bad), f"{bad}: not a PEM key")
        other = self.written("b.key", pem_of(other))
        self.assertEqual(self.refused(certificate, other), f"{other}: not the key of {certificate}")

    def test_passphrase(self) -> None:
        """A key with a passphrase is refused, because a start must not wait for input."""
        private = ec.generate_private_key(ec.SECP256R1())
        key = self.written("a.key", pem_of(private, b"open sesame"))
        certificate = self.written("a.crt", certificate_of(private))
        self.assertIn("has a passphrase", self.refused(certificate, key))

    def test_key_of_another_trade(self) -> None:
        """A key of a kind that certificates do not use is refused."""
        certificate = self.written("a.crt", certificate_of(ec.generate_private_key(ec.SECP256R1())))
        private = x25519.X25519PrivateKey.generate()
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key = self.written("a.key", pem)
        self.assertEqual(self.refused(certificate, key), f"{key}: not the key of {certificate}")


class SelfSignedTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Name a state directory that does not exist."""
        self.directory = Path(self.mktemp()) / "state"

    def test_made(self) -> None:
        """The new pair works, for this machine's names, with a client that trusts it."""
        certificate, key, made = self_signed(self.directory)
        self.assertTrue(made)
        pem = certificate.read_bytes()
        self.assertEqual(handshake(options(certificate, key), pem), ("TLSv1.3", ["localhost"]))
        names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        self.assertEqual(names.value.get_values_for_type(x509.DNSName), ["localhost"])
        self.assertEqual(list(map(str, names.value.get_values_for_type(x509.IPAddress))), ["127.0.0.1", "::1"])

    def test_only_for_the_owner(self) -> None:
        """Other users can neither read the key nor list the directory."""
        _, key, _ = self_signed(self.directory)
        self.assertEqual((key.stat().st_mode & 0o777, self.directory.stat().st_mode & 0o777), (0o600, 0o700))
        self.assertEqual(sorted(path.name for path in self.directory.iterdir()), ["selfsigned.crt", "selfsigned.key"])

    def test_used_again(self) -> None:
        """The next start uses the same certificate."""
        certificate, key, _ = self_signed(self.directory)
        before = certificate.read_bytes(), key.read_bytes()
        self.assertEqual(self_signed(self.directory), (certificate, key, False))
        self.assertEqual((certificate.read_bytes(), key.read_bytes()), before)

    def test_made_anew(self) -> None:
        """An expired pair, and one of which a crash left one file, is made anew."""
        certificate, key, _ = self_signed(self.directory)
        private = ec.generate_private_key(ec.SECP256R1())

        def expire() -> None:
            certificate.write_bytes(certificate_of(private, days=-1))
            key.write_bytes(pem_of(private))

        for spoil in (
            expire,
            certificate.unlink,
            key.unlink,
            lambda: certificate.write_bytes(certificate.read_bytes()[:100]),
            lambda: key.write_bytes(b""),
            lambda: key.write_bytes(pem_of(private)),
        ):
            before = certificate.read_bytes()
            spoil()
            self.assertTrue(self_signed(self.directory)[2])
            self.assertNotEqual(certificate.read_bytes(), before)
            options(certificate, key)
            self.assertEqual(key.stat().st_mode & 0o777, 0o600)

    def test_interrupted(self) -> None:
        """A temporary file left by a crash does no harm and is not used as the key."""
        self.directory.mkdir(parents=True)
        left = self.directory / "selfsigned.key.new"
        left.write_bytes(b"left behind")
        left.chmod(0o644)
        certificate, key, made = self_signed(self.directory)
        self.assertTrue(made)
        options(certificate, key)
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        self.assertFalse(left.exists())

    def test_how_long(self) -> None:
        """The certificate is valid from now on, for a little over two years."""
        certificate, _, _ = self_signed(self.directory)
        own = x509.load_pem_x509_certificate(certificate.read_bytes())
        now = datetime.datetime.now(datetime.UTC)
        self.assertLess(own.not_valid_before_utc, now)
        left = own.not_valid_after_utc - now
        self.assertTrue(datetime.timedelta(days=824) < left <= certificates._LIFETIME)
