"""The lines that the log shows after the start: the addresses of the listeners, and a command to try for each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from smsgw.config import HttpListenSettings, Settings, SmppListenSettings, SmtpListenSettings
from smsgw.program.lifecycle import Listener


def banner(settings: Settings, listeners: Sequence[Listener], source: Path) -> Sequence[str]:
    """Return the lines: one for each listener, and a command for each front end."""
    lines = [f"{listener.says:<14} {_address(listener)}  [listen {listener.name}]" for listener in listeners]
    return [*lines, *_commands(settings, listeners, source)]


def _address(listener: Listener) -> str:
    host = listener.port.getHost() if listener.port is not None else None
    port = getattr(host, "port", None)
    return listener.where if port is None else f"{host.host}:{port}"  # type: ignore[union-attr]


def _interpreter() -> str:
    """Return the shortest name of the running Python interpreter."""
    inside = os.path.relpath(sys.executable)
    return sys.executable if inside.startswith(os.pardir) else inside


def _commands(settings: Settings, listeners: Sequence[Listener], source: Path) -> Iterator[str]:
    """Yield a command for each front end that sends one message as the first account."""
    if not settings.accounts:
        return
    account = next(iter(settings.accounts.values()))
    known = account.password is not None and account.password.reveal() == account.name == "demo"
    password = "demo" if known else "PASSWORD"
    sender = account.default_sender or next((one for one in account.senders if one != "*"), "DEMO")
    kinds = {type(settings.listeners[listener.name]): listener for listener in listeners}
    yield "Try:"
    for kind, listener in kinds.items():
        address = _address(listener)
        if kind is SmppListenSettings:
            config = "" if source == Path("etc/gw.ini") else f" -c {source}"
            yield f'  {_interpreter()} -m smsgw send{config} 79161234567 "Hello over SMPP"'
        elif kind is SmtpListenSettings:
            domain = settings.listeners[listener.name].domains[0]  # type: ignore[attr-defined]
            yield (
                f"  swaks --server {address} --auth PLAIN --auth-user {account.name} --auth-password {password}"
                f" --from {sender}@example.org --to 79161234567@{domain} --body 'Hello over SMTP'"
            )
        elif kind is HttpListenSettings:
            body = f'{{"msisdn":79161234567,"shortcode":"{sender}","text":"Hello over HTTP"}}'
            yield f"  curl -u {account.name}:{password} -d '{body}' http://{address}/api/v2/send_message"
