"""Sends one mail from standard input through a relay, with smsgw's ESMTP client.

    python docs/examples/sendmail.py relay.example 587 login password FROM TO [TO ...] < mail.txt

STARTTLS is demanded, and the relay's certificate has to be valid for its name, unless the relay is ``localhost``.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import react

from smsgw.protocols.smtp import SmtpClientSettings, SmtpFailed, connect


async def send(reactor: Any, host: str, port: str, login: str, password: str, sender: str, *recipients: str) -> None:
    """Open a session, send the mail, print the relay's reply for each recipient."""
    mail = "".join(line.rstrip("\n") + "\r\n" for line in sys.stdin).encode("ascii")
    tls = None if host == "localhost" else optionsForClientTLS(host)
    settings = SmtpClientSettings(starttls=tls, login=login, password=password, timeout=10.0)
    try:
        session = await connect(HostnameEndpoint(reactor, host, int(port)), settings, reactor)
        replies = await session.send(sender, recipients, mail)
        await session.quit()
    except SmtpFailed as failed:
        sys.exit(f"{failed}{'; the relay may have taken the mail' if failed.sent else ''}")
    for recipient, reply in zip(recipients, replies, strict=True):
        print(recipient, "taken" if reply.positive else "refused", reply)


def main(reactor: Any, *arguments: str) -> Deferred[None]:
    """Run :func:`send` under `react`."""
    return ensureDeferred(send(reactor, *arguments))


if __name__ == "__main__":
    react(main, sys.argv[1:])
