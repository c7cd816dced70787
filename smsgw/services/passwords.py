"""Passwords and API keys: their stored forms, how they are made and compared.

A password is stored as ``scrypt$N$r$p$salt$digest``: the cost parameters of scrypt (RFC 7914) as decimal numbers, salt
and digest in URL-safe base64 without padding. A key made by the gateway is long and random, so its SHA-256 will do.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

THREADS: Final = 2
"""Slow checks that run at once; each holds the memory of one scrypt."""

COST: Final = 1 << 15
"""N of the hashes made here: about a tenth of a second and 32 MiB with r = 8."""

_BLOCK: Final = 8
_MOST_MEMORY: Final = 256 << 20
_Answer = TypeVar("_Answer")


def _unpadded(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _octets(text: str) -> bytes:
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    return urlsafe_b64decode(plain + "=" * (-len(plain) % 4))


@attrs.frozen
class ScryptHash:
    """A stored password: the parameters it was hashed with, and the result."""

    cost: int
    block: int
    parallel: int
    salt: bytes = attrs.field(repr=False)
    digest: bytes = attrs.field(repr=False)

    @classmethod
    def parse(cls, text: str) -> ScryptHash:
        """Read the stored form.

        :raises ValueError: it is malformed, or checking it would take more than 256 MiB; the text is not repeated.
        """
        fields = text.split("$")
        if len(fields) != 6 or fields[0] != "scrypt" or not all(field.isascii() for field in fields):
            raise ValueError("not of the form scrypt$N$r$p$salt$digest")
        try:
            cost, block, parallel = map(int, fields[1:4])
            salt, digest = _octets(fields[4]), _octets(fields[5])
        except ValueError:
            raise ValueError("a parameter of the scrypt hash cannot be read") from None
        if cost < 2 or cost & (cost - 1):
            raise ValueError("N of the scrypt hash is not a power of 2")
        if block < 1 or not 1 <= parallel <= 64 or 128 * block * cost > _MOST_MEMORY:
            raise ValueError("the scrypt hash needs more than 256 MiB, or its r or p is out of range")
        if not salt or len(digest) < 16:
            raise ValueError("the scrypt hash has no salt or a digest under 16 octets")
        return cls(cost, block, parallel, salt, digest)

    @property
    def work(self) -> int:
        """How much one check costs, in blocks mixed: comparable between hashes."""
        return self.cost * self.block * self.parallel

    def matches(self, password: bytes) -> bool:
        """Whether this is the password. Blocks for as long as the parameters demand."""
        return hmac.compare_digest(self._derive(password), self.digest)

    def _derive(self, password: bytes) -> bytes:
        return hashlib.scrypt(
            password,
            salt=self.salt,
            n=self.cost,
            r=self.block,
            p=self.parallel,
            maxmem=128 * self.block * (self.cost + self.parallel + 8),
            dklen=len(self.digest),
        )

    def __str__(self) -> str:
        numbers = f"scrypt${self.cost}${self.block}${self.parallel}"
        return f"{numbers}${_unpadded(self.salt)}${_unpadded(self.digest)}"


def hash_password(password: str, cost: int = COST) -> str:
    """The form in which `password` is written into the configuration. Blocks for about a tenth of a second."""
    blank = ScryptHash(cost, _BLOCK, 1, secrets.token_bytes(16), bytes(32))
    return str(attrs.evolve(blank, digest=blank._derive(password.encode("utf-8"))))


def make_key() -> tuple[str, str]:
    """A new API key of 192 random bits, and its SHA-256 as the configuration wants it."""
    key = secrets.token_urlsafe(24)
    return key, key_hash(key.encode("ascii"))


def key_hash(key: bytes) -> str:
    """SHA-256 of an API key in 64 small hexadecimal digits."""
    return hashlib.sha256(key).hexdigest()


class WorkerPool:
    """The threads that one kind of slow work runs in. They are started by the first of it."""

    def __init__(self, reactor: Any, threads: int = THREADS, name: str = "passwords") -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, threads, name)

    def run(self, check: Callable[..., _Answer], *args: object) -> Deferred[_Answer]:
        """Call `check` with `args` in a thread; the caller bounds how many wait."""
        if not self._pool.started:
            self._pool.start()
        checked: Deferred[_Answer] = deferToThreadPool(self._reactor, self._pool, check, *args)
        return checked

    def stop(self) -> None:
        """Wait for the checks under way and end the threads."""
        if self._pool.started:
            self._pool.stop()
