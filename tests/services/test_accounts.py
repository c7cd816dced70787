"""Tests of accounts: who is let in, who is not, and what both cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import AccountSettings, AllowList, ConfigErrors, Secret
from smsgw.config.values import folded_network
from smsgw.model.errors import Refusal, Refused
from smsgw.services.accounts import VERIFIED_FOR, WORK_RATE, Account, Accounts
from smsgw.services.checks import PLACES
from smsgw.services.passwords import ScryptHash, hash_password, make_key
from tests.configured import configured

EVERYONE = AllowList(everyone=True)
HASH = Secret(hash_password("slow", 16))


def account(name: str = "demo", **keys: Any) -> AccountSettings:
    """Settings of an account that may come from anywhere through every protocol."""
    values: dict[str, Any] = {"allow_from": EVERYONE, "protocols": ("smpp", "smtp", "http")} | keys
    return AccountSettings(name=name, **values)


def secret(**keys: str) -> dict[str, Any]:
    """Keys of a section that hold secrets."""
    return {key: Secret(value) for key, value in keys.items()}


class AccountsTestCase(SynchronousTestCase):
    """Accounts whose slow checks are counted, and wait where a test says so."""

    def setUp(self) -> None:
        """Accounts without any login attempt so far."""
        self.clock = Clock()
        self.slow = 0
        self.waiting: list[tuple[Deferred[bool], Callable[..., bool], tuple[Any, ...]]] | None = None

    def make(self, *settings: AccountSettings) -> Accounts:
        """Accounts with these settings."""
        self.accounts = Accounts(configured(*settings), self.clock, self.run_slowly)
        return self.accounts

    def run_slowly(self, check: Callable[..., bool], *args: Any) -> Deferred[bool]:
        """Take the place of the threads."""
        self.slow += 1
        if self.waiting is None:
            return maybeDeferred(check, *args)
        result: Deferred[bool] = Deferred()
        self.waiting.append((result, check, args))
        return result

    def check(self, login: str, password: str, peer: str = "192.0.2.1", protocol: str = "http") -> str:
        """The name of the account that is entered, or the refusal."""
        asked = self.accounts.check(login.encode(), password.encode(), peer, protocol)
        if not asked.called:  # a wrong password
            self.clock.pump([0, 0, 1])
        answer = self.successResultOf(asked)
        return answer.name if isinstance(answer, Account) else answer.refusal.name


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


class CostTests(AccountsTestCase):
    """What attempts cost, and how many are suffered."""

    def test_f3_failures_cost_no_check(self) -> None:
        """Unknown logins and wrong plain passwords cost no check, and time where any account has a hash."""
        plain = account("c", **secret(password="c"))
        self.make(account("a", password_hash=HASH), plain)
        for login in ("c", "unknown", ""):
            asked = self.accounts.check(login.encode(), b"wrong", "192.0.2.1", "smtp")
            self.clock.pump([0, 0, 0.5])
            self.assertNoResult(asked)
            self.clock.advance(0.5)
            self.assertIsInstance(self.successResultOf(asked), Refused)
        self.assertEqual(self.slow, 0)
        self.make(plain)
        self.assertIsInstance(self.successResultOf(self.accounts.check(b"unknown", b"", "192.0.2.1", "smtp")), Refused)

    def test_verified_need_no_place(self) -> None:
        """While all places are taken, passwords already verified and plain ones still enter."""
        many = [account(f"b{n}", password_hash=HASH) for n in range(PLACES)]
        self.make(account("a", password_hash=HASH), account("c", **secret(password="c")), *many)
        self.check("a", "slow")
        self.waiting = []
        checks = [
            self.accounts.check(f"b{number}".encode(), b"slow", f"192.0.2.{number}", "http") for number in range(PLACES)
        ]
        self.assertEqual(self.check("b1", "other"), "TOO_MANY_CHECKS")
        self.assertEqual(self.check("unknown", "x"), "TOO_MANY_CHECKS")
        self.assertEqual(self.check("a", "slow"), "a")
        self.assertEqual(self.check("c", "c"), "c")
        while self.waiting:
            result, check, args = self.waiting.pop()
            result.callback(check(*args))
        self.assertEqual(len([one for one in checks if isinstance(self.successResultOf(one), Account)]), PLACES)

    def test_a_check_that_fails(self) -> None:
        """A check that cannot be carried out is refused for now and logged; it takes no place for ever."""
        self.make(account(password_hash=HASH))
        self.waiting = []
        for _ in range(PLACES + 1):
            checked = self.accounts.check(b"demo", b"slow", "192.0.2.1", "http")
            self.waiting.pop()[0].errback(MemoryError("on purpose"))
            answer = self.successResultOf(checked)
            assert isinstance(answer, Refused)
            self.assertIs(answer.refusal, Refusal.TOO_MANY_CHECKS)
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), PLACES + 1)

    def test_guessing_is_throttled(self) -> None:
        """After ten wrong passwords a login is refused to that network for a while, even with the right one."""
        self.make(account(**secret(password="demo")))
        for _ in range(10):
            self.assertEqual(self.check("demo", "x"), "WRONG_CREDENTIALS")
        self.assertEqual(self.check("demo", "demo"), "TOO_MANY_CHECKS")
        self.assertEqual(self.check("demo", "demo", "192.0.2.2"), "demo")
        self.clock.advance(901)
        self.assertEqual(self.check("demo", "demo"), "demo")

    def test_success_forgives(self) -> None:
        """The right password, before it is too late, makes the wrong ones before it forgotten."""
        self.make(account(**secret(password="demo")))
        for _ in range(3):
            for _ in range(9):
                self.assertEqual(self.check("demo", "x"), "WRONG_CREDENTIALS")
            self.assertEqual(self.check("demo", "demo"), "demo")

    def test_unknown_logins_are_throttled_alike(self) -> None:
        """Throttling does not reveal which logins exist."""
        self.make(account(**secret(password="demo")))
        known = [self.check("demo", "x") for _ in range(12)]
        unknown = [self.check("unknown", "x", "192.0.2.2") for _ in range(12)]
        self.assertEqual(known, unknown)

    def test_occasional_mistakes(self) -> None:
        """One wrong password every other minute never throttles a login."""
        self.make(account(**secret(password="demo")))
        for _ in range(40):
            self.assertEqual(self.check("demo", "x"), "WRONG_CREDENTIALS")
            self.clock.advance(100)
        self.assertEqual(self.check("demo", "demo"), "demo")

    def test_networks(self) -> None:
        """IPv4 addresses are counted one by one, those of IPv6 by 64 bits."""
        self.make(account(**secret(password="demo")))
        for number in range(10):
            self.check("demo", "x", f"2001:db8::{number + 1:x}")
        self.assertEqual(self.check("demo", "demo", "2001:db8::ffff"), "TOO_MANY_CHECKS")
        self.assertEqual(self.check("demo", "demo", "2001:db8:0:1::1"), "demo")
        for _ in range(10):
            self.check("demo", "x", "::ffff:192.0.2.7")
        self.assertEqual(self.check("demo", "demo", "192.0.2.7"), "TOO_MANY_CHECKS")
        self.assertEqual(self.check("demo", "demo", "::ffff:192.0.2.8"), "demo")

    def test_trying_many_logins(self) -> None:
        """After fifty failures a network is refused altogether, but not by accounts that list it."""
        listed = AllowList((folded_network("192.0.2.0/24"),))
        self.make(account(**secret(password="demo")), account("agreed", allow_from=listed, **secret(password="yes")))
        for number in range(50):
            self.assertEqual(self.check(f"guess{number}", "x"), "WRONG_CREDENTIALS")
        self.assertEqual(self.check("demo", "demo"), "TOO_MANY_CHECKS")
        self.assertEqual(self.check("guess99", "x"), "TOO_MANY_CHECKS")
        self.assertEqual(self.check("agreed", "yes"), "agreed")
        self.clock.advance(901)
        self.assertEqual(self.check("demo", "demo"), "demo")

    def test_memory_of_failures_is_bounded(self) -> None:
        """However many networks and logins are tried, what is remembered of them is bounded."""
        self.make(account(**secret(password="demo")))
        self.accounts._per_login.size = self.accounts._per_source.size = 20
        for number in range(100):
            self.check(f"guess{number}", "x", f"2001:db8:{number:x}::1")
        self.assertEqual(len(self.accounts._per_login._counts), 20)
        self.assertEqual(len(self.accounts._per_source._counts), 20)


class WorkTests(AccountsTestCase):
    """What an account causes without an accepted message."""

    def answered(self, name: str, work: float) -> list[float]:
        """Charge an account; return a list that gets the time of the answer."""
        times: list[float] = []
        self.accounts.answer_after_work(name, work, None).addCallback(lambda _: times.append(self.clock.seconds()))
        return times

    def test_f5_answers_wait_for_their_turn(self) -> None:
        """An account that causes more than its share of work gets its answers as fast as the share allows; others are
        answered at once."""
        self.make(account(**secret(password="x")), account("b", **secret(password="x")))
        answers = [self.answered("demo", 1) for _ in range(int(WORK_RATE))]
        self.assertEqual((answers.count([0.0]), self.answered("b", 1)), (WORK_RATE / 2, [0.0]))
        self.clock.pump([0.01] * 60)
        times = [time for (time,) in answers]
        self.assertEqual(times, sorted(times))
        self.assertAlmostEqual(times[-1], 0.5, 1)
        self.clock.advance(10)
        self.assertEqual(self.answered("demo", 1), [self.clock.seconds()])

    def test_f5_reload(self) -> None:
        """A reload forgives no work; an account that is gone owes none."""
        self.make(account(**secret(password="x")))
        self.answered("demo", 3 * WORK_RATE)
        self.accounts.apply(configured(account(**secret(password="y"))))
        self.assertEqual(self.answered("demo", 1), [])
        self.accounts.apply(configured())
        self.assertEqual(self.answered("demo", 1), [0.0])


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
