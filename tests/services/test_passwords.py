"""Tests of stored passwords and keys."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable
from queue import Queue
from threading import get_ident

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import AccountSettings, Secret
from smsgw.services.passwords import ScryptHash, WorkerPool, hash_password, key_hash, make_key

CHEAP = 16
"""A cost that makes a check take no time."""


class ScryptTests(SynchronousTestCase):
    """Passwords as they are kept in the configuration."""

    @given(st.text(max_size=40), st.text(max_size=40))
    def test_round_trip(self, password: str, other: str) -> None:
        """A hash is fulfilled by its password and by no other."""
        stored = ScryptHash.parse(hash_password(password, CHEAP))
        self.assertTrue(stored.matches(password.encode("utf-8")))
        self.assertEqual(stored.matches(other.encode("utf-8")), other == password)

    def test_known_vector(self) -> None:
        """The digest is that of RFC 7914 section 12, so hashes made elsewhere can be used."""
        digest = bytes.fromhex(
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
            "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
        )
        salt, result = urlsafe_b64encode(b"SodiumChloride").decode(), urlsafe_b64encode(digest).decode()
        self.assertTrue(ScryptHash.parse(f"scrypt$16384$8$1${salt}${result}").matches(b"pleaseletmein"))

    def test_hashes_differ(self) -> None:
        """Two hashes of one password have different salts, and a hash does not contain the password."""
        first, second = hash_password("secret", CHEAP), hash_password("secret", CHEAP)
        self.assertNotEqual(first, second)
        self.assertNotIn("secret", first)

    def test_written_form(self) -> None:
        """Reading and writing the stored form are inverse, whichever base64 alphabet and padding it came in."""
        text = f"scrypt${CHEAP}$8$1$" + "-_-_-_-_AA" + "$" + "A" * 43
        stored = ScryptHash.parse(text)
        self.assertEqual(str(stored), text)
        same = ScryptHash.parse(f"scrypt${CHEAP}$8$1$" + "+/+/+/+/AA==" + "$" + "A" * 43 + "=")
        self.assertEqual(same, stored)

    def test_configuration_takes_it(self) -> None:
        """What is printed for the configuration is what an account's settings carry."""
        settings = AccountSettings(name="demo", password_hash=Secret(hash_password("secret", CHEAP)))
        assert settings.password_hash is not None
        self.assertTrue(ScryptHash.parse(settings.password_hash.reveal()).matches(b"secret"))

    def test_unusable(self) -> None:
        """A hash that is malformed or would take too much memory is refused when it is read, without showing it."""
        salt, digest = "c2FsdHNhbHQ", "A" * 43
        for text in (
            "",
            "secret",
            f"bcrypt$16$8$1${salt}${digest}",
            f"scrypt$16$8${salt}${digest}",
            f"scrypt$15$8$1${salt}${digest}",
            f"scrypt$1$8$1${salt}${digest}",
            f"scrypt$0$8$1${salt}${digest}",
            f"scrypt$-16$8$1${salt}${digest}",
            f"scrypt$16$0$1${salt}${digest}",
            f"scrypt$16$8$0${salt}${digest}",
            f"scrypt$16$8$65${salt}${digest}",
            f"scrypt$1073741824$8$1${salt}${digest}",
            f"scrypt$16$8$1$${digest}",
            f"scrypt$16$8$1${salt}$AAAA",
            f"scrypt$16$8$1$A${digest}",
            f"scrypt$16$8$1${salt}$п{digest}",
        ):
            error = self.assertRaises(ValueError, ScryptHash.parse, text)
            self.assertNotIn(digest, str(error))

    def test_secrets_are_not_shown(self) -> None:
        """The representation of a hash, as logs and tracebacks show it, has neither salt nor digest."""
        stored = ScryptHash.parse(hash_password("secret", CHEAP))
        self.assertEqual(repr(stored), f"ScryptHash(cost={CHEAP}, block=8, parallel=1)")


class KeyTests(SynchronousTestCase):
    """API keys made by the gateway."""

    def test_make_key(self) -> None:
        """A key is long, fit for a header line, never the same, and known by its SHA-256."""
        key, hashed = make_key()
        self.assertEqual(hashed, hashlib.sha256(key.encode()).hexdigest())
        self.assertEqual(key_hash(key.encode()), hashed)
        self.assertGreaterEqual(len(key), 32)
        self.assertTrue(key.isascii() and key.isprintable() and " " not in key)
        self.assertNotEqual(make_key()[0], key)


class WorkerTests(SynchronousTestCase):
    """Slow checks in threads."""

    def setUp(self) -> None:
        """A pool whose results come back when the test takes them."""
        self.results: Queue[Callable[[], None]] = Queue()
        self.pool = WorkerPool(self)
        self.addCleanup(self.pool.stop)

    def callFromThread(self, call: Callable[..., None], *args: object) -> None:
        """Take the place of the reactor."""
        self.results.put(lambda: call(*args))

    def test_runs_in_a_thread(self) -> None:
        """A check runs in another thread than its caller, and its result comes back."""
        checked = self.pool.run(lambda number: get_ident() + number, 0)
        self.results.get(timeout=10)()
        self.assertNotEqual(self.successResultOf(checked), get_ident())

    def test_failure(self) -> None:
        """The failure of a check comes back as such."""

        def fail() -> bool:
            raise MemoryError("on purpose")

        checked = self.pool.run(fail)
        self.results.get(timeout=10)()
        self.failureResultOf(checked, MemoryError)

    def test_no_threads_without_checks(self) -> None:
        """A pool that was never asked has no threads, and stopping it does nothing."""
        self.pool.stop()
        self.assertFalse(self.pool._pool.threads)
