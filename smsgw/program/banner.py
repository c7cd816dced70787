"""The lines that the log shows after the start: the addresses of the listeners, and a command to try for each."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from smsgw.config import HttpListenSettings, Settings, SmppListenSettings, SmtpListenSettings
from smsgw.program.ports import Listener


def banner(settings: Settings, listeners: Collection[Listener], source: Path) -> Iterator[str]:
    """Yield the lines: one for each listener, and a command for each front end."""
    yield from map(str, listeners)
    yield from _commands(settings, listeners, source)


def _interpreter() -> str:
    """Return the shortest name of the running Python interpreter."""
    inside = os.path.relpath(sys.executable)
    return sys.executable if inside.startswith(os.pardir) else inside


def _commands(settings: Settings, listeners: Collection[Listener], source: Path) -> Iterator[str]:
    """Yield a command for each front end that sends one message as the first account."""
    if not settings.accounts:
        return
    account = next(iter(settings.accounts.values()))
    known = account.password is not None and account.password.reveal() == account.name == "demo"
    password = "demo" if known else "PASSWORD"
    sender = account.default_sender or next((one for one in account.senders if one != "*"), "DEMO")
    yield "Try:"
    for listener in {type(settings.listeners[one.name]): one for one in listeners}.values():
        own, address = settings.listeners[listener.name], listener.address
        if isinstance(own, SmppListenSettings):
            config = "" if source == Path("etc/gw.ini") else f" -c {source}"
            yield f'  {_interpreter()} -m smsgw send{config} 79161234567 "Hello over SMPP"'
        elif isinstance(own, SmtpListenSettings):
            in_clear = own.auth_without_tls and own.tls != "demanded"
            tls = " --tls-on-connect" if own.tls == "implicit" else "" if in_clear else " --tls"
            yield (
                f"  swaks --server {address}{tls} --auth PLAIN --auth-user {account.name}"
                f" --auth-password {password} --from {sender}@example.org --to 79161234567@{own.domains[0]}"
                " --body 'Hello over SMTP'"
            )
        elif isinstance(own, HttpListenSettings):
            scheme = "http" if own.tls == "none" else "https"
            insecure = " --insecure" if own.tls != "none" and own.certificate is None else ""
            body = f'{{"to":"79161234567","from":"{sender}","text":"Hello over HTTP"}}'
            yield (
                f"  curl{insecure} -u {account.name}:{password} -H 'Content-Type: application/json' -d '{body}'"
                f" {scheme}://{address}/v1/messages"
            )
