"""Checks across the sections of a file: mistakes prevent the start, warnings do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from smsgw.config.configuration import Settings
from smsgw.config.endpoint import Listening, take_apart
from smsgw.config.errors import Problem
from smsgw.config.listeners import AdminListenSettings, SmtpListenSettings
from smsgw.config.settings import SectionSettings
from smsgw.config.values import Globs, Secret


def mistakes(settings: Settings) -> Iterator[Problem]:
    """Yield the contradictions between sections. A key that already has a problem of its own gets no second one."""
    if not settings.listeners:
        yield _file_problem(settings, "nothing listens; at least one [listen NAME] section is needed")
    yield from _same_endpoints(settings)
    yield from _same_keys(settings)
    for route in settings.routes:
        if "connectors" not in route.origin.faulty:
            for way in route.connectors:
                yield from _check_reference(route, "connectors", way.connector, settings.connectors, "connector")
        for pattern in route.account:
            if not set(pattern) & set("*?") and not Globs(tuple(settings.accounts)).matches(pattern):
                yield from _check_reference(route, "account", pattern, settings.accounts, "account")
    for sender in settings.senders.values():
        for operator in sender.operators:
            yield from _check_reference(sender, "operators", operator, settings.operators, "operator")

    yield from _unowned(settings)


def _unowned(settings: Settings) -> Iterator[Problem]:
    """Yield the numbers and contact lists whose account does not exist."""
    for number in settings.numbers.values():
        if number.account and "account" not in number.origin.faulty:
            yield from _check_reference(number, "account", number.account, settings.accounts, "account")
    for one in settings.lists.values():
        if one.account not in settings.accounts:
            yield one.problem("", f'the account "{one.account}" does not exist')


def warnings(settings: Settings) -> Iterator[Problem]:
    """Yield settings that are valid but hardly intended."""
    for listener in settings.exposed:
        if isinstance(listener, SmtpListenSettings) and listener.auth_without_tls and listener.tls in _CLEAR:
            yield listener.problem("auth_without_tls", "passwords may cross the network in clear text")
    for account in settings.accounts.values():
        if account.enabled and not account.allow_from.networks and not account.allow_from.everyone:
            yield account.problem("allow_from", "empty, so every login of this account is refused")
    clients = [one for one in settings.listeners.values() if not isinstance(one, AdminListenSettings)]
    if clients and not settings.accounts:
        yield _file_problem(settings, "no [account NAME] section, so no client can log in")
    if settings.accounts and not settings.routes:
        yield _file_problem(settings, "no [route NAME] section, so every message is refused")
    used = {way.connector for route in settings.routes for way in route.connectors}
    for connector in settings.connectors.values():
        if connector.name not in used:
            yield connector.problem("", "no route leads to this connector")


_CLEAR = ("none", "optional")


def _file_problem(settings: Settings, what: str) -> Problem:
    return Problem(settings.gateway.origin.filename, 1, "", "", what)


def _check_reference(
    section: SectionSettings, key: str, name: str, known: Mapping[str, object], kind: str
) -> Iterator[Problem]:
    if name not in known:
        allowed = ", ".join(filter(None, known)) or "none, as there is no such section"
        yield section.problem(key, f'there is no {kind} "{name}"; allowed: {allowed}')


def _same_endpoints(settings: Settings) -> Iterator[Problem]:
    earlier: list[tuple[Listening, str]] = []
    for listener in settings.listeners.values():
        listening = take_apart(listener.endpoint)
        for other, name in earlier:
            if listening.clashes(other):
                yield listener.problem("endpoint", f'"{listener.endpoint}" is taken by [listen {name}]')
                break
        earlier.append((listening, listener.name))


def _same_keys(settings: Settings) -> Iterator[Problem]:
    owners: dict[Secret, str] = {}
    for account in settings.accounts.values():
        key = account.api_key_hash
        if key is None or "api_key_hash" in account.origin.faulty:
            continue
        if key in owners:
            yield account.problem("api_key_hash", f"[account {owners[key]}] has the same; a key identifies one account")
        owners.setdefault(key, account.name)
