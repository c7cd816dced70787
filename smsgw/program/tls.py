"""TLS of the listeners: a certificate can be renewed while connections are open, and its end is watched."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import attrs
from OpenSSL.SSL import Connection, Context
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from smsgw.config import ClientListenSettings, ConfigErrors
from smsgw.program import certificates
from smsgw.telemetry import Gauges

_LOOK: Final = 3600.0
_DAY: Final = datetime.timedelta(days=1)

log = Logger()


@attrs.frozen(eq=False)
class Pair:
    """A certificate with its key, for one listener.

    :ivar path: the file of the certificate. :ivar expires: the first expiry of a certificate in it.
    :ivar identity: equal for two pairs with the same certificates. :ivar self_made: whether the gateway signed it.
    """

    path: Path
    context: Context
    expires: datetime.datetime
    identity: bytes
    self_made: bool


def load(own: ClientListenSettings, state: Path) -> Pair | None:
    """Load the certificate and key of a listener, or the self-signed pair in `state` if it has none; None without TLS.

    :raises ConfigErrors: if they cannot be used.
    """
    if own.tls == "none":
        return None
    certificate, key = own.certificate, own.key
    self_made = certificate is None or key is None
    try:
        if certificate is None or key is None:
            certificate, key, _ = certificates.self_signed(state)
        context = certificates.options(certificate, key).getContext()
        expires, identity = certificates.expiry(certificate)
    except certificates.CertificateError as error:
        raise ConfigErrors([own.problem("certificate", str(error))]) from error
    return Pair(certificate, context, expires, identity, self_made)


def now() -> datetime.datetime:
    """Return the time with its zone."""
    return datetime.datetime.now(datetime.UTC)


@implementer(IOpenSSLServerConnectionCreator)
class ListenerTls:
    """What makes the TLS connections of one listener. Open connections keep the certificate that they began with.

    :ivar pair: the certificate for new connections.
    """

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    def serverConnectionForTLS(self, protocol: Any) -> Connection:
        return Connection(self.pair.context, None)

    def check_renewal(self, own: ClientListenSettings, pair: Pair) -> None:
        """Check a pair that is to replace this one.

        :raises ConfigErrors: if it is another and has expired.
        """
        if pair.identity != self.pair.identity and pair.expires <= now():
            why = f"{pair.path}: expired at {pair.expires:%Y-%m-%d %H:%M} UTC"
            raise ConfigErrors([own.problem("certificate", why)])

    def renew(self, name: str, pair: Pair) -> None:
        """Use `pair` for new connections of the listener `name`."""
        if pair.identity != self.pair.identity:
            log.info(
                "[listen {name}] has a new certificate ({path}), valid until {until} UTC",
                name=name,
                path=str(pair.path),
                until=f"{pair.expires:%Y-%m-%d %H:%M}",
            )
        self.pair = pair


class ExpiryWatch:
    """Exports when the certificates of the listeners expire, and logs each day those that expire soon.

    :param pairs: returns the certificates in use, each with the name of its listener.
    :param gauge: seconds since 1970 by listener. :param clock: its seconds are monotonic.
    """

    def __init__(
        self, pairs: Callable[[], Iterable[tuple[str, Pair]]], gauge: Gauges, clock: Any
    ) -> None:
        self._pairs = pairs
        self._gauge = gauge
        self._logged: dict[tuple[str, bytes], datetime.datetime] = {}
        self._loop = LoopingCall(self.look)
        self._loop.clock = clock

    def start(self) -> None:
        """Look now, and every hour from then on."""
        self._loop.start(_LOOK).addErrback(lambda failure: log.failure("the watch over certificates ended", failure))

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    def look(self) -> None:
        """Export the times, and log what expires soon and was not logged within a day."""
        pairs = dict(self._pairs())
        for name in self._gauge.keys() - pairs.keys():
            self._gauge.forget(name)
        at = now()
        logged = {}
        for name, pair in pairs.items():
            self._gauge[name].set(pair.expires.timestamp())
            before = self._logged.get((name, pair.identity))
            if pair.expires - at < certificates.SOON:
                fresh = before is not None and at - before < _DAY
                logged[name, pair.identity] = before if fresh and before is not None else at
                if not fresh:
                    log.warn(
                        "[listen {name}] the certificate {path} {expires} at {until} UTC: renew it, then send SIGHUP",
                        name=name,
                        path=str(pair.path),
                        expires="expires" if pair.expires > at else "has expired",
                        until=f"{pair.expires:%Y-%m-%d %H:%M}",
                    )
        self._logged = logged

    def shown(self) -> dict[str, Any]:
        """Return for each listener with TLS when its certificate expires, and in how many whole days."""
        at = now()
        return {
            name: {"expires": f"{pair.expires:%Y-%m-%dT%H:%M:%SZ}", "days": (pair.expires - at).days}
            for name, pair in self._pairs()
        }
