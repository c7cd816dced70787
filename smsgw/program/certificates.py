"""TLS for listeners: the administrator's PEM files, or a self-signed pair made in the state directory."""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions, TLSVersion

from smsgw.program.health import SOON as DAYS_SOON

SOON: Final = datetime.timedelta(days=DAYS_SOON)
"""A certificate that expires within this time is a reason for a warning."""

_LIFETIME: Final = datetime.timedelta(days=825)
_SLACK: Final = datetime.timedelta(hours=1)
_HERE: Final = ("127.0.0.1", "::1")


class CertificateError(Exception):
    """A certificate or key cannot be used; the message names the file and the reason."""


def options(certificate: Path, key: Path) -> CertificateOptions:
    """Return a Twisted context factory for TLS 1.2 and later with these PEM files.

    :param certificate: the listener's certificate first, then the intermediate ones.
    :raises CertificateError: if a file cannot be read, or the key has a passphrase or is not the certificate's.
    """
    chain = [crypto.X509.from_cryptography(one) for one in _certificates(certificate)]
    try:
        private = crypto.PKey.from_cryptography_key(_key(key))  # type: ignore[arg-type]
        made = CertificateOptions(
            privateKey=private,
            certificate=chain[0],
            extraCertChain=chain[1:] or None,
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        made.getContext().check_privatekey()
    except (SSL.Error, crypto.Error, TypeError) as error:
        raise CertificateError(f"{key}: not the key of {certificate}") from error
    return made


def expiry(certificate: Path) -> tuple[datetime.datetime, bytes]:
    """Return when the first certificate of a file expires, and octets that are equal for equal certificates.

    :raises CertificateError: if the file cannot be read.
    """
    chain = _certificates(certificate)
    identity = b"".join([one.fingerprint(hashes.SHA256()) for one in chain])
    return min([one.not_valid_after_utc for one in chain]), identity


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise CertificateError(f"{path}: not a PEM certificate") from error


def _key(path: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
    except TypeError as error:
        raise CertificateError(f"{path}: the key has a passphrase; a service needs a key without one") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{path}: not a PEM key") from error


def self_signed(directory: Path, host: str = "localhost") -> tuple[Path, Path, bool]:
    """Return the paths of a self-signed certificate and its key in `directory`, and whether they are new.

    An existing pair is kept until it expires or cannot be used, so that clients can pin it.

    :raises CertificateError: if the files cannot be written.
    """
    certificate, key = directory / "selfsigned.crt", directory / "selfsigned.key"
    now = datetime.datetime.now(datetime.UTC)
    if _usable(certificate, key, now):
        return certificate, key, False
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    names = [x509.DNSName(host), *(x509.IPAddress(ipaddress.ip_address(address)) for address in _HERE)]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(key, pem, 0o600)
        _write(certificate, signed.public_bytes(serialization.Encoding.PEM), 0o644)
    except OSError as error:
        why = f"no self-signed certificate can be written into {directory}: {error.strerror}"
        raise CertificateError(why) from error
    return certificate, key, True


def _usable(certificate: Path, key: Path, now: datetime.datetime) -> bool:
    """Whether the files are a matching pair that has not expired."""
    try:
        own, private = _certificates(certificate)[0], _key(key)
    except CertificateError:
        return False
    return own.not_valid_after_utc > now and own.public_key() == private.public_key()


def _write(path: Path, octets: bytes, mode: int) -> None:
    """Write a file atomically, with its permissions from the start."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(octets)
    new.replace(path)
