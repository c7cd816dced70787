"""``hash-password`` and ``make-key``."""

from __future__ import annotations

import getpass
import hashlib
import io
import sys

from smsgw.cli import main
from smsgw.services.passwords import ScryptHash
from tests.cli.support import CommandTestCase


class Terminal(io.StringIO):
    """A standard input that is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


class HashPasswordTests(CommandTestCase):
    def hashed(self, out: str) -> ScryptHash:
        """Read the hash in a line for the configuration."""
        self.assertRegex(out, r"\Apassword_hash = scrypt\$\S+\n\Z")
        return ScryptHash.parse(out.rsplit(maxsplit=1)[-1])

    def test_standard_input(self) -> None:
        """The first line of standard input is hashed, without its line end."""
        for line in (b"secret\n", b"secret\r\n", b"secret", b"secret\nsecond line\n"):
            ran = self.run_command("hash-password", stdin=line)
            self.assertEqual((ran.status, ran.err), (0, ""))
            self.assertTrue(self.hashed(ran.out).matches(b"secret"))
            self.assertNotIn("secret", ran.out)

    def test_letters(self) -> None:
        """Passwords may have any letters."""
        ran = self.run_command("hash-password", stdin="Пароль\n".encode())
        self.assertTrue(self.hashed(ran.out).matches("Пароль".encode()))

    def test_too_long_for_smpp(self) -> None:
        """A password too long for a bind is hashed with a warning."""
        ran = self.run_command("hash-password", stdin=b"123456789\n")
        self.assertTrue(self.hashed(ran.out).matches(b"123456789"))
        self.assertIn("smpp_password", ran.err)
        self.assertEqual(self.run_command("hash-password", stdin=b"12345678\n").err, "")

    def test_no_password(self) -> None:
        """An empty password and one that is not UTF-8 are refused."""
        for octets, word in ((b"", "empty"), (b"\n", "empty"), (b"\xff\n", "UTF-8")):
            ran = self.run_command("hash-password", stdin=octets)
            self.assertEqual((ran.status, ran.out), (1, ""))
            self.assertIn(word, ran.err)

    def at_terminal(self, *typed: str) -> tuple[int, str]:
        """Type on a terminal; return status and output."""
        answers = iter(typed)
        out = io.StringIO()
        self.patch(getpass, "getpass", lambda prompt: next(answers))
        self.patch(sys, "stdin", Terminal())
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", io.StringIO())
        return main(["hash-password"]), out.getvalue()

    def test_terminal(self) -> None:
        """On a terminal the command asks for the password twice and does not show it."""
        status, out = self.at_terminal("secret", "secret")
        self.assertEqual(status, 0)
        self.assertTrue(self.hashed(out).matches(b"secret"))

    def test_typed_differently(self) -> None:
        """Two different passwords give no hash."""
        self.assertEqual(self.at_terminal("secret", "secrte"), (1, ""))


class MakeKeyTests(CommandTestCase):
    def test_key(self) -> None:
        """make-key prints a key and its hash; the next key differs."""
        ran = self.run_command("make-key")
        self.assertEqual(ran.status, 0)
        first, second = ran.out.splitlines()
        key = second.split()[-1]
        self.assertEqual(first, f"api_key_hash = {hashlib.sha256(key.encode()).hexdigest()}")
        self.assertGreaterEqual(len(key), 32)
        self.assertNotEqual(self.run_command("make-key").out, ran.out)
