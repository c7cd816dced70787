"""What logins and other requests cost the gateway and the others."""

from __future__ import annotations

from smsgw.config import AllowList
from smsgw.config.values import folded_network
from smsgw.model.errors import Refusal, Refused
from smsgw.services.accounts import WORK_RATE, Account
from smsgw.services.checks import PLACES
from tests.configured import configured
from tests.services.logins import HASH, AccountsTestCase, account, secret


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
