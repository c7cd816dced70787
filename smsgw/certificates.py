"""TLS for listeners: the operator's PEM files, or a self-signed pair made in the state directory."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions, TLSVersion

_LIFETIME: Final = datetime.timedelta(days=825)


class CertificateError(Exception):
    """A certificate or key cannot be used; the message says which file and why."""


def options(certificate: Path, key: Path) -> CertificateOptions:
    """What Twisted needs to speak TLS 1.2 and up with these PEM files.

    :raises CertificateError: when a file cannot be read, or the key is not the certificate's.
    """
    chain = [crypto.X509.from_cryptography(one) for one in _certificates(certificate)]
    try:
        private = crypto.load_privatekey(crypto.FILETYPE_PEM, key.read_bytes())
        made = CertificateOptions(
            privateKey=private,
            certificate=chain[0],
            extraCertChain=chain[1:] or None,
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        made.getContext().check_privatekey()
    except OSError as error:
        raise CertificateError(f"{key}: {error.strerror}") from error
    except (SSL.Error, crypto.Error, ValueError) as error:
        raise CertificateError(f"{key}: not a PEM key, or not the key of {certificate}") from error
    return made


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise CertificateError(f"{path}: not a PEM certificate") from error


def self_signed(directory: Path, host: str = "localhost") -> tuple[Path, Path, bool]:
    """Paths of a self-signed certificate and its key in `directory`, and whether they were made just now."""
    certificate, key = directory / "selfsigned.crt", directory / "selfsigned.key"
    if certificate.exists() and key.exists():
        return certificate, key, False
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return certificate, key, True
