"""Tests of accounts: who is let in, who is not, and what both cost."""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent

from smsgw.config import AllowList, ConfigErrors, Secret
from smsgw.config.values import folded_network
from smsgw.model.errors import Refusal, Refused
from smsgw.services.accounts import VERIFIED_FOR, Accounts
from smsgw.services.passwords import ScryptHash, hash_password, make_key
from tests.configured import configured
from tests.services.logins import HASH, AccountsTestCase, account, secret


class LogTests(AccountsTestCase):
    """What the log has of refused logins."""

    def lines(self, *logins: tuple[str, ...]) -> list[str]:
        """Return the lines that these logins cause."""
        with capturedLogs() as logged:
            for login in logins:
                self.check(*login)
        return [formatEvent(line) for line in logged]

    def test_refused(self) -> None:
        """A refused login is logged with protocol, address and reason, with the account if there is one; never an
        unknown login, nor a password. What is let in is not logged."""
        nowhere = AllowList((folded_network("198.51.100.0/24"),))
        self.make(
            account(**secret(password="right")),
            account("far", allow_from=nowhere, **secret(password="right")),
            account("off", enabled=False, **secret(password="right")),
        )
        wrong = "wrong login or password"
        self.assertEqual(
            self.lines(
                ("demo", "right"),
                ("demo", "guess", "192.0.2.1", "smtp"),
                ("hunter2", "right", "2001:db8::7", "http"),
                ("", "hunter2", "192.0.2.1", "smpp"),
                ("far", "right"),
                ("off", "right"),
            ),
            [
                f"a login over smtp from 192.0.2.1 to account demo is refused: {wrong}",
                f"a login over http from 2001:db8::7 to an unknown account is refused: {wrong}",
                f"a login over smpp from 192.0.2.1 to an unknown account is refused: {wrong}",
                f"a login over http from 192.0.2.1 to account far is refused: {Refusal.ADDRESS_NOT_ALLOWED.value}",
                f"a login over http from 192.0.2.1 to account off is refused: {Refusal.NOT_ALLOWED.value}",
            ],
        )

    def test_many(self) -> None:
        """A series does not fill the log: twenty lines at once, then one in two seconds."""
        self.make(account(**secret(password="right")))
        guesses = [("demo", f"guess{n}") for n in range(200)]
        lines = self.lines(*guesses)
        self.assertEqual(len(lines), 20)
        self.assertNotIn("guess", "".join(lines))
        self.clock.advance(10)
        self.assertEqual(len(self.lines(*guesses)), 5)


class EnteringTests(AccountsTestCase):
    """Passwords, keys, addresses and protocols."""

    def test_plain_password(self) -> None:
        """A plain password lets in at every protocol and costs no slow check."""
        self.make(account(**secret(password="demo")))
        for protocol in ("smpp", "smtp", "http"):
            self.assertEqual(self.check("demo", "demo", protocol=protocol), "demo")
            self.assertEqual(self.check("demo", "Demo", protocol=protocol), "WRONG_CREDENTIALS")
        self.assertEqual(self.slow, 0)

    def test_octets_are_compared(self) -> None:
        """Passwords may be any text in UTF-8, and any octets may be presented."""
        self.make(account(**secret(password="пароль")))
        self.assertEqual(self.check("demo", "пароль"), "demo")
        answer = self.successResultOf(self.accounts.check(b"demo", b"\xff\x00", "192.0.2.1", "http"))
        self.assertIsInstance(answer, Refused)

    def test_smpp_password(self) -> None:
        """An account with a password for SMPP has that at SMPP and the other one elsewhere."""
        self.make(account(**secret(password="long password", smpp_password="short")))
        self.assertEqual(self.check("demo", "short", protocol="smpp"), "demo")
        self.assertEqual(self.check("demo", "long password", protocol="smpp"), "WRONG_CREDENTIALS")
        self.assertEqual(self.check("demo", "long password", protocol="http"), "demo")
        self.assertEqual(self.check("demo", "short", protocol="http"), "WRONG_CREDENTIALS")

    def test_hash(self) -> None:
        """A hashed password is checked in a thread, and remembered for a while."""
        self.make(account(password_hash=HASH))
        self.assertEqual(self.check("demo", "slow"), "demo")
        self.assertEqual(self.check("demo", "slow"), "demo")
        self.assertEqual(self.slow, 1)
        self.clock.advance(VERIFIED_FOR + 1)
        self.assertEqual(self.check("demo", "slow"), "demo")
        self.assertEqual(self.slow, 2)

    def test_wrong_passwords_are_not_remembered(self) -> None:
        """Only a right password is remembered; each wrong one costs its check, and a second."""
        self.make(account(password_hash=HASH))
        self.check("demo", "slow")
        self.assertEqual(self.check("demo", "slows"), "WRONG_CREDENTIALS")
        self.assertEqual(self.check("demo", "slows"), "WRONG_CREDENTIALS")
        self.assertEqual(self.slow, 3)

    def test_remembered_are_bounded(self) -> None:
        """Of the passwords that were verified the least recently used is forgotten first."""
        self.patch(__import__("smsgw.services.accounts", fromlist=["x"]), "MOST_VERIFIED", 2)
        self.make(*(account(name, password_hash=HASH) for name in "abc"))
        for name in "aba":
            self.check(name, "slow")
        self.assertEqual(self.slow, 2)
        self.check("c", "slow")
        self.check("a", "slow")
        self.assertEqual(self.slow, 3)
        self.check("b", "slow")
        self.assertEqual(self.slow, 4)

    def test_api_key(self) -> None:
        """An empty login means that the password is a key, and the key says whose it is."""
        key, hashed = make_key()
        self.make(account("a", **secret(password="x")), account("b", **secret(api_key_hash=hashed)))
        self.assertEqual(self.check("", key), "b")
        self.assertEqual(self.check("", key + "x"), "WRONG_CREDENTIALS")
        self.assertEqual(self.check("", ""), "WRONG_CREDENTIALS")

    def test_account_without_a_password(self) -> None:
        """An account that only has a key cannot be entered with a password, not even with an empty one."""
        key, hashed = make_key()
        self.make(account(**secret(api_key_hash=hashed)))
        for password in ("", key, hashed):
            self.assertEqual(self.check("demo", password), "WRONG_CREDENTIALS")

    def test_address_after_the_password(self) -> None:
        """Only a client with the right password learns that its address is not allowed."""
        self.make(account(allow_from=AllowList((folded_network("192.0.2.0/28"),)), **secret(password="demo")))
        self.assertEqual(self.check("demo", "demo", "192.0.2.15"), "demo")
        self.assertEqual(self.check("demo", "demo", "192.0.2.16"), "ADDRESS_NOT_ALLOWED")
        self.assertEqual(self.check("demo", "wrong", "192.0.2.16"), "WRONG_CREDENTIALS")

    def test_mapped_address(self) -> None:
        """An IPv4 address written inside IPv6 is that IPv4 address."""
        self.make(account(allow_from=AllowList((folded_network("192.0.2.1/32"),)), **secret(password="demo")))
        self.assertEqual(self.check("demo", "demo", "::ffff:192.0.2.1"), "demo")
        self.assertEqual(self.check("demo", "demo", "::ffff:192.0.2.2"), "ADDRESS_NOT_ALLOWED")

    def test_empty_allow_list(self) -> None:
        """An account without any address is closed to every address."""
        self.make(account(allow_from=AllowList(), **secret(password="demo")))
        self.assertEqual(self.check("demo", "demo"), "ADDRESS_NOT_ALLOWED")

    def test_doors(self) -> None:
        """A disabled account, and a protocol that an account may not use, are refused after the right password."""
        off = account("off", enabled=False, **secret(password="x"))
        self.make(account(protocols=("http",), **secret(password="demo")), off)
        self.assertEqual(self.check("demo", "demo", protocol="http"), "demo")
        self.assertEqual(self.check("demo", "demo", protocol="smpp"), "NOT_ALLOWED")
        self.assertEqual(self.check("demo", "wrong", protocol="smpp"), "WRONG_CREDENTIALS")
        self.assertEqual(self.check("off", "x"), "NOT_ALLOWED")

    def test_unknown_login(self) -> None:
        """An unknown login is refused in the words of a wrong password, for any octets."""
        self.make(account(**secret(password="demo")))
        for login in (b"unknown", b"DEMO", b"\xff\xfe", b"demo\0", b"x" * 1000):
            answer = self.successResultOf(self.accounts.check(login, b"demo", "192.0.2.9", "smpp"))
            assert isinstance(answer, Refused)
            self.assertEqual((answer.refusal, answer.why), (Refusal.WRONG_CREDENTIALS, ""))


class ReloadTests(AccountsTestCase):
    """Accounts that change while the gateway runs."""

    def test_look_up(self) -> None:
        """An account carries its settings and its rate."""
        self.make(account(senders=("DEMO", "*"), rate=5.0), account("b", senders=("ONE",)))
        demo, other = self.accounts.get("demo"), self.accounts.get("b")
        assert demo is not None
        assert other is not None
        self.assertEqual((demo.settings.senders, other.settings.senders), (("DEMO", "*"), ("ONE",)))
        self.assertEqual(demo.bucket.level(0.0), 5.0)
        self.assertEqual(other.bucket.level(0.0), float("inf"))
        self.assertIsNone(self.accounts.get("unknown"))
        self.assertEqual([each.name for each in self.accounts], ["demo", "b"])

    def test_changed_password(self) -> None:
        """A new password counts at once, though the old one was remembered as right."""
        self.make(account(password_hash=HASH))
        self.check("demo", "slow")
        self.accounts.apply(configured(account(password_hash=Secret(hash_password("new", 16)))))
        self.assertEqual(self.check("demo", "slow"), "WRONG_CREDENTIALS")
        self.assertEqual(self.check("demo", "new"), "demo")

    def test_changed_while_checked(self) -> None:
        """A password that is changed while it is checked does not let in any more; nor does an account that goes."""
        for after in ([account(password_hash=Secret(hash_password("new", 16)))], []):
            self.setUp()
            self.make(account(password_hash=HASH))
            self.waiting = []
            checked = self.accounts.check(b"demo", b"slow", "192.0.2.1", "http")
            self.accounts.apply(configured(*after))
            self.waiting[0][0].callback(True)
            answer = self.successResultOf(checked)
            assert isinstance(answer, Refused)
            self.assertIs(answer.refusal, Refusal.WRONG_CREDENTIALS)

    def test_rate_goes_on(self) -> None:
        """A reload forgives no debt of a rate that stays, and a new rate starts full."""
        self.make(account(rate=5.0), account("b", rate=5.0))
        for name in ("demo", "b"):
            each = self.accounts.get(name)
            assert each is not None
            each.bucket.charge(50)
        self.accounts.apply(configured(account(rate=5.0, senders=("NEW",)), account("b", rate=6.0)))
        demo, other = self.accounts.get("demo"), self.accounts.get("b")
        assert demo is not None
        assert other is not None
        self.assertEqual((demo.bucket.level(0.0), other.bucket.level(0.0)), (-45.0, 6.0))
        self.assertEqual(demo.settings.senders, ("NEW",))

    def test_all_or_nothing(self) -> None:
        """Accounts with a hash that cannot be used, or with one key for two, change nothing and say what is wrong."""
        _, hashed = make_key()
        self.make(account(**secret(password="demo")))
        wrong = [
            account("a", **secret(password_hash="scrypt$15$8$1$AAAA$" + "A" * 43)),
            account("b", **secret(api_key_hash=hashed)),
            account("c", **secret(api_key_hash=hashed.upper())),
        ]
        error = self.assertRaises(ConfigErrors, self.accounts.apply, configured(*wrong))
        self.assertEqual([problem.key for problem in error.problems], ["password_hash", "api_key_hash"])
        self.assertEqual(self.check("demo", "demo"), "demo")
        self.assertRaises(ConfigErrors, Accounts, configured(*wrong), self.clock, self.run_slowly)

    def test_hash_is_read_once(self) -> None:
        """What an account compares with at each protocol is at hand."""
        self.make(account(password_hash=HASH, **secret(smpp_password="short")))
        demo = self.accounts.get("demo")
        assert demo is not None
        self.assertEqual(demo.secret("smpp"), b"short")
        self.assertIsInstance(demo.secret("http"), ScryptHash)
