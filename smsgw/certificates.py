"""TLS for listeners: the operator's PEM files, or a self-signed pair made in the state directory."""

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
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions, TLSVersion

_LIFETIME: Final = datetime.timedelta(days=825)
_SLACK: Final = datetime.timedelta(hours=1)
_HERE: Final = ("127.0.0.1", "::1")


class CertificateError(Exception):
    """A certificate or key cannot be used; the message says which file and why."""


def options(certificate: Path, key: Path) -> CertificateOptions:
    """What Twisted needs to speak TLS 1.2 and up with these PEM files.

    :param certificate: the listener's own certificate first, then those that lead to its root.
    :raises CertificateError: when a file cannot be read, the key has a passphrase or is not the certificate's.
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


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise CertificateError(f"{path}: not a PEM certificate") from error


def _key(path: Path) -> serialization.PrivateFormat | object:
    try:
        return serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error
    except TypeError as error:
        raise CertificateError(f"{path}: the key has a passphrase, which nobody could type at a start") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{path}: not a PEM key") from error
