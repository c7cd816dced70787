"""The configured accounts, and the check of their passwords and API keys."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.config import AccountSettings, ConfigErrors, Problem, Settings
from smsgw.config.values import NetworkSet
from smsgw.model.errors import Refusal, Refused
from smsgw.model.network import network_of
from smsgw.model.pacing import Bucket, log_limit
from smsgw.protocols.overload import Overloads
from smsgw.services.checks import PasswordChecks, Question
from smsgw.services.failures import Failures
from smsgw.services.metrics import ServiceMetrics
from smsgw.services.passwords import ScryptHash, key_hash

VERIFIED_FOR: Final = 600.0
"""Seconds for which a verified password is not hashed again."""

MOST_VERIFIED: Final = 10_000
WORK_RATE: Final = 200.0
"""Units of work per second that an account may cause without an accepted message; a unit is about half a
millisecond."""

_WRONG: Final = Refused(Refusal.WRONG_CREDENTIALS)
_BUSY: Final = Refused(Refusal.TOO_MANY_CHECKS)
_THROTTLED: Final = Refused(Refusal.TOO_MANY_CHECKS, "too many wrong passwords from this address, try again later")
_ADDRESS: Final = Refused(Refusal.ADDRESS_NOT_ALLOWED)
_NOT_ALLOWED: Final = Refused(Refusal.NOT_ALLOWED)
_Answer = TypeVar("_Answer")
_log = Logger()


@attrs.define(eq=False)
class Account:
    """An account as it is configured now. Keep its name, not the object: a reload replaces the object.

    :ivar bucket: limits the account's parts per second over all protocols; its times are seconds of the clock of
        :class:`Accounts`. :ivar work: limits what it causes without an accepted message.
    """

    name: str
    settings: AccountSettings
    bucket: Bucket
    work: Bucket
    _hash: ScryptHash | None

    def secret(self, protocol: str) -> ScryptHash | bytes | None:
        """What a password is compared with at `protocol`: a hash, or the octets themselves; None: every password is
        wrong."""
        settings = self.settings
        if protocol == "smpp" and settings.smpp_password is not None:
            return settings.smpp_password.reveal().encode("utf-8")
        if settings.password is not None:
            return settings.password.reveal().encode("utf-8")
        return self._hash


class Accounts:
    """The accounts by name, and the one place where passwords are checked.

    A refusal does not show whether the login exists: an unknown login gets the same refusal as a wrong password, after
    the same time (:mod:`smsgw.services.checks`). After ten failures of a login from one network in five minutes, that
    login is refused to that network for a quarter of an hour. After fifty failures from one network in an hour, all
    logins are refused to it, except accounts that list it in ``allow_from``.

    Each refused login is a line in the log, with the account if there is one of that name; a series of them does not
    fill the disk (:func:`smsgw.model.pacing.log_limit`).

    :param clock: provides IReactorTime, with the seconds of a monotonic clock.
    :param run: calls a function in a thread: :meth:`smsgw.services.passwords.WorkerPool.run`.
    :raises smsgw.config.ConfigErrors: a hash cannot be used, or two accounts have the same key.
    """

    def __init__(
        self,
        settings: Settings,
        clock: IReactorTime,
        run: Callable[..., Deferred[bool]],
        metrics: ServiceMetrics | None = None,
        overloads: Overloads | None = None,
    ) -> None:
        self._metrics = metrics or ServiceMetrics()
        self._clock = clock
        self._overloads = overloads or Overloads(clock)
        self._checks = PasswordChecks(clock, run, self._overloads)
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, float] = OrderedDict()
        self._per_login = Failures(10, 300.0, 900.0)
        self._per_source = Failures(50, 3600.0, 900.0)
        self._by_login: dict[bytes, Account] = {}
        self._by_key: dict[str, Account] = {}
        self._dummy: ScryptHash | None = None
        self._networks = NetworkSet(())
        self._lines = log_limit()
        self.apply(settings)

    def get(self, name: str) -> Account | None:
        """The account of this name as configured now."""
        return self._by_login.get(name.encode("utf-8"))

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_login.values())

    def apply(self, settings: Settings) -> None:
        """Replace the accounts, all or none. The buckets of the rates keep their fill.

        :raises smsgw.config.ConfigErrors: a hash cannot be used, or two accounts have the same key.
        """
        by_login: dict[bytes, Account] = {}
        by_key: dict[str, Account] = {}
        problems: list[Problem] = []
        dummy: ScryptHash | None = None
        for each in settings.accounts.values():
            hashed: ScryptHash | None = None
            if each.password_hash is not None:
                try:
                    hashed = ScryptHash.parse(each.password_hash.reveal())
                except ValueError as why:
                    problems.append(each.problem("password_hash", str(why)))
                else:
                    dummy = hashed if dummy is None or hashed.work > dummy.work else dummy
            before = self.get(each.name)
            bucket = before.bucket if before is not None else None
            if bucket is None or bucket.rate != each.rate:
                bucket = Bucket(each.rate, max(each.rate, 1.0))
            work = before.work if before is not None else Bucket(WORK_RATE, WORK_RATE / 2)
            account = Account(each.name, each, bucket, work, hashed)
            by_login[each.name.encode("utf-8")] = account
            if each.api_key_hash is not None:
                key = each.api_key_hash.reveal().lower()
                if key in by_key:
                    problems.append(each.problem("api_key_hash", f"is also the key of account {by_key[key].name}"))
                by_key[key] = account
        if problems:
            raise ConfigErrors(problems)
        self._by_login, self._by_key, self._dummy = by_login, by_key, dummy
        self._networks = NetworkSet(
            network
            for each in settings.accounts.values()
            if each.enabled and not each.allow_from.everyone
            for network in each.allow_from.networks
        )

    def listed(self, peer: str) -> bool:
        """Whether an account that may be used names this address in its ``allow_from``."""
        return peer in self._networks

    def answer_after_work(self, name: str, work: float, answer: _Answer) -> Deferred[_Answer]:
        """Charge an account with work that brought no accepted message. Fires with `answer`: at once, or when the
        account has paid for what it caused before, so that one account cannot take the time of the others.

        :param work: in units of about half a millisecond.
        """
        account = self.get(name)
        wait = 0.0 if account is None else account.work.owe(work, self._clock.seconds())
        if not wait:
            return succeed(answer)
        self._overloads.hit(
            "work", name, "requests that send nothing, such as queries and refused messages, are answered later"
        )
        later: Deferred[_Answer] = Deferred()
        self._clock.callLater(wait, later.callback, answer)
        return later

    def check(self, login: bytes, password: bytes, peer: str, protocol: str) -> Deferred[Account | Refused]:
        """Whether `password` is right for `login`, coming from the address `peer` through `protocol`.

        Refusals: WRONG_CREDENTIALS, TOO_MANY_CHECKS, and with the right password ADDRESS_NOT_ALLOWED or
        NOT_ALLOWED. An empty login means that the password is an API key. The Deferred never fails.
        """
        now = self._clock.seconds()
        account = self._by_login.get(login) if login else self._by_key.get(key_hash(password))
        name = "" if account is None else account.name
        attempt = _Attempt(login[:64], network_of(peer), peer, protocol, name)
        if self._throttled(account, attempt, now):
            return succeed(self._refuse(_THROTTLED, attempt))
        if account is not None and not login:
            return succeed(self._admit(account, attempt))
        secret = None if account is None else account.secret(protocol)
        if account is None or secret is None:
            return self._refuse_slowly(password, attempt)
        if isinstance(secret, bytes):
            if hmac.compare_digest(self._mac(secret), self._mac(password)):
                return succeed(self._admit(account, attempt))
            return self._refuse_slowly(password, attempt)
        mark = self._cache_key(account, password)
        if self._verified.get(mark, 0.0) > now:
            self._verified.move_to_end(mark)
            return succeed(self._admit(account, attempt))
        allowed = account.settings.allow_from
        listed = not allowed.everyone and allowed.allows(peer)
        asked = self._checks.ask(Question(mark, attempt.login, attempt.source, listed, secret, password))
        if asked is None:
            return succeed(self._refuse(_BUSY, attempt))
        return asked.addCallbacks(
            self._checked, self._check_failed, callbackArgs=(login, secret, mark, attempt), errbackArgs=(attempt,)
        )

    def _throttled(self, account: Account | None, attempt: _Attempt, now: float) -> bool:
        if self._per_login.refuses((attempt.source, attempt.login), now):
            return True
        if not self._per_source.refuses(attempt.source, now):
            return False
        allowed = None if account is None else account.settings.allow_from
        return allowed is None or allowed.everyone or not allowed.allows(attempt.peer)

    def _checked(
        self, right: bool, login: bytes, secret: ScryptHash, mark: bytes, attempt: _Attempt
    ) -> Account | Refused:
        """Take the result of the comparison in the thread; a reload may have changed the account meanwhile."""
        account = self._by_login.get(login)
        if not right or account is None or account.secret(attempt.protocol) != secret:
            return self._wrong(attempt)
        self._verified[mark] = self._clock.seconds() + VERIFIED_FOR
        if len(self._verified) > MOST_VERIFIED:
            self._verified.popitem(last=False)
        return self._admit(account, attempt)

    def _refuse_slowly(self, password: bytes, attempt: _Attempt) -> Deferred[Account | Refused]:
        """Refuse an unknown login, or a wrong password that is not hashed, when a check of the costliest hash would
        have ended."""
        if self._dummy is None:
            return succeed(self._wrong(attempt))
        mark = self._mac(b"\0%b\0%b" % (attempt.login, password))
        question = Question(mark, attempt.login, attempt.source, False, self._dummy, password, real=False)
        asked = self._checks.ask(question)
        if asked is None:
            return succeed(self._refuse(_BUSY, attempt))
        return asked.addCallback(lambda _: self._wrong(attempt))

    def _admit(self, account: Account, attempt: _Attempt) -> Account | Refused:
        """The password is right: check the peer's address, then the protocol."""
        self._per_login.forget((attempt.source, attempt.login))
        settings = account.settings
        if not settings.allow_from.allows(attempt.peer):
            return self._refuse(_ADDRESS, attempt)
        if not settings.enabled or attempt.protocol not in settings.protocols:
            return self._refuse(_NOT_ALLOWED, attempt)
        return account

    def _wrong(self, attempt: _Attempt) -> Refused:
        now = self._clock.seconds()
        self._per_login.add((attempt.source, attempt.login), now)
        self._per_source.add(attempt.source, now)
        return self._refuse(_WRONG, attempt)

    def _check_failed(self, failure: Failure, attempt: _Attempt) -> Refused:
        _log.failure("a password check failed; the login is refused for now", failure)
        return self._refuse(_BUSY, attempt)

    def _refuse(self, refused: Refused, attempt: _Attempt) -> Refused:
        self._metrics.logins_refused[attempt.protocol, refused.refusal.name.lower()] += 1
        self.log_refused(attempt.protocol, attempt.peer, attempt.account, str(refused))
        return refused

    def log_refused(self, protocol: str, peer: str, account: str, why: str) -> None:
        """Log that a login is refused.

        :param account: its name; empty if there is no such account. Never the login that a client gave: people type
            passwords there.
        """
        if self._lines.take(self._clock.seconds()):
            _log.info(
                "a login over {protocol} from {peer} to {account} is refused: {why}",
                protocol=protocol,
                peer=peer,
                account=f"account {account}" if account else "an unknown account",
                why=why,
            )

    def _mac(self, octets: bytes) -> bytes:
        return hmac.digest(self._key, octets, hashlib.sha256)

    def _cache_key(self, account: Account, password: bytes) -> bytes:
        """The key of a verified password in the cache: a MAC, which reveals nothing without this process's key."""
        stored = account.settings.password_hash
        known = f"{account.name}\0{stored.reveal() if stored is not None else ''}\0"
        return self._mac(known.encode("utf-8") + password)


@attrs.define(eq=False)
class _Attempt:
    """One login attempt.

    :ivar account: the name of the account; empty if there is none.
    """

    login: bytes
    source: str
    peer: str
    protocol: str
    account: str
