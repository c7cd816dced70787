"""What tests of logins share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import AccountSettings, AllowList, Secret
from smsgw.services.accounts import Account, Accounts
from smsgw.services.passwords import hash_password
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
