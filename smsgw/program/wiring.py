"""Makes the whole program from settings, as one service. It is the only module that knows all concrete classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from smsgw.config import ClientListenSettings, Settings
from smsgw.frontends.admin.frontend import AdminFrontend
from smsgw.frontends.callbacks.path import CallbackPath
from smsgw.frontends.smpp.binds import Binds
from smsgw.frontends.smpp.receipts import SmppReceipts
from smsgw.interfaces import IConnector, IMessageStore, ISimulator
from smsgw.model.changes import Cancel
from smsgw.model.errors import Refusal, Refused
from smsgw.model.message import Incoming, Message
from smsgw.plugins import dialects
from smsgw.program import health
from smsgw.program.banner import banner
from smsgw.program.connectors import make_connectors
from smsgw.program.lifecycle import CannotStart, Gateway, Step
from smsgw.program.listeners import make_listener
from smsgw.program.messagelog import MessageLog
from smsgw.program.metrics import Metrics
from smsgw.program.parts import Parts
from smsgw.program.ports import Ports
from smsgw.program.reload import reload, warn
from smsgw.program.tls import ExpiryWatch, ListenerTls, load
from smsgw.protocols.http import WebClient
from smsgw.protocols.overload import Overloads
from smsgw.services.accounts import Accounts
from smsgw.services.cancel import Cancellation
from smsgw.services.clock import CheckedClock
from smsgw.services.commits import Commits
from smsgw.services.contacts import Contacts
from smsgw.services.dispatch import Dispatch
from smsgw.services.fairworkers import FairWorkers
from smsgw.services.incoming import IncomingRouter
from smsgw.services.intake.intake import Intake
from smsgw.services.operations import Operations
from smsgw.services.outbox.outbox import Outbox
from smsgw.services.passwords import WorkerPool
from smsgw.services.routing import Router
from smsgw.services.senders import Senders
from smsgw.services.sweep import Sweep
from smsgw.services.watch import Watch
from smsgw.stores import MessageStore, StoreMetrics
from smsgw.stores.sqlite import SqliteEngine, StoreThread

BACKUP: Final = "backup.sqlite"
"""The file in the state directory that a backup is written to; the command ``smsgw backup`` moves it."""

log = Logger()


def _sqlite(settings: Settings, reactor: Any, time: CheckedClock, metrics: StoreMetrics) -> IMessageStore:
    """Return a store with a database in the state directory."""
    gateway = settings.gateway
    listing = gateway.message_log is not None
    return MessageStore(
        SqliteEngine(gateway.state, StoreThread(reactor)), gateway.node, time.now, metrics, listing=listing, clock=time
    )


_STORES: Final[Mapping[str, Callable[[Settings, Any, CheckedClock, StoreMetrics], IMessageStore]]] = {
    "sqlite:": _sqlite,
}
"""The functions that make a store, by the value of ``store =``."""


MAIL_THREADS: Final = 2
"""Threads that read mails and contact lists."""


def build(settings: Settings, reactor: Any, source: Path, end: Callable[[int], None]) -> Gateway:
    """Return the whole gateway as one service.

    :param reactor: with monotonic ``seconds``. :param source: the file that a reload reads.
    :param end: called with the exit status when the program must end.
    :raises ConfigErrors: if the certificate or key of a listener cannot be used, or no connector can be made of
        a section.
    """
    parts = make_parts(settings, reactor)
    gateway = Gateway(
        reactor,
        end,
        settings.gateway.drain,
        partial(reload, parts, source),
        lambda: banner(parts.settings, parts.ports.listeners.values(), source),
    )
    parts.admin = AdminFrontend(
        parts.store,
        partial(_cancel, parts),
        parts.outbox.replay,
        partial(_simulate, parts.connectors),
        Operations(parts.store, parts.dispatch, parts.router, parts.connectors, parts.time.now),
        partial(_health, gateway, parts),
        parts.watch,
        reactor,
        parts.metrics.registry,
        parts.metrics.http,
        backup=(settings.gateway.state / BACKUP).resolve(),
    )
    for own in settings.listeners.values():
        pair = load(own, settings.gateway.state) if isinstance(own, ClientListenSettings) else None
        parts.ports.add(make_listener(parts, own, None if pair is None else ListenerTls(pair)))
    gateway.steps = list(_steps(gateway, parts, source))
    if parts.message_log is not None:
        gateway.reopen = partial(_reopen_message_log, parts.message_log)
    return gateway


def make_parts(settings: Settings, reactor: Any) -> Parts:
    """Make all parts behind the listeners from the settings, and connect them."""
    clock, time = reactor, CheckedClock()
    now = time.now
    metrics = Metrics()
    store = _STORES[settings.gateway.store](settings, reactor, time, metrics.store)
    password_checks = WorkerPool(reactor)
    mail_reading = WorkerPool(reactor, MAIL_THREADS, "mails")
    overloads = Overloads(clock, metrics.overloads)
    accounts = Accounts(settings, clock, password_checks.run, metrics.services, overloads)
    senders = Senders(settings)
    router = Router(settings)
    outbox = Outbox(settings, store, clock, time, metrics=metrics.outbox)
    message_log = _message_log(settings, reactor, metrics)
    commits = Commits(store, outbox, metrics.services, message_log)
    known = dialects()
    connectors = make_connectors(settings.connectors.values(), clock)
    incoming = IncomingRouter(settings, store, commits, accounts, now, metrics.services)
    dispatch = Dispatch(
        settings,
        store,
        commits,
        clock,
        time,
        connectors,
        router.reroute,
        incoming=incoming,
        down=router.down,
        refusing=router.refusing,
        paused=router.paused,
        metrics=metrics.dispatch,
    )
    intake = Intake(
        settings,
        store,
        accounts,
        senders,
        router,
        dispatch,
        time,
        clock.seconds,
        metrics=metrics.intake,
    )
    sweep = Sweep(settings, store, commits, dispatch, clock, time, metrics.services)
    smpp_receipts = SmppReceipts(settings, Binds(metrics.binds), metrics.binds)
    outbox.attach(smpp_receipts)
    callbacks = CallbackPath(
        settings,
        accounts,
        known,
        WebClient(reactor),
        WebClient(reactor, guard=True),
        clock,
        now,
        metrics=metrics.callbacks,
    )
    outbox.attach(callbacks)
    contacts = Contacts(settings)
    ports = Ports(reactor, metrics.program)
    return Parts(
        settings=settings,
        configured=[
            accounts, senders, router, outbox, incoming, intake, sweep, contacts, smpp_receipts, callbacks
        ],
        reactor=reactor,
        metrics=metrics,
        dialects=known,
        store=store,
        time=time,
        watch=Watch(store, time, clock, metrics.services),
        message_log=message_log,
        password_checks=password_checks,
        mail_reading=mail_reading,
        mail_workers=FairWorkers(mail_reading.run, clock, MAIL_THREADS, overloads),
        overloads=overloads,
        accounts=accounts,
        senders=senders,
        router=router,
        outbox=outbox,
        connectors=connectors,
        incoming=incoming,
        dispatch=dispatch,
        intake=intake,
        contacts=contacts,
        cancelling=Cancellation(commits, dispatch),
        sweep=sweep,
        smpp_receipts=smpp_receipts,
        callbacks=callbacks,
        ports=ports,
        expiry=ExpiryWatch(ports.pairs, metrics.program.expiry, clock),
    )


def _message_log(settings: Settings, reactor: Any, metrics: Metrics) -> MessageLog | None:
    own = settings.gateway
    if own.message_log is None:
        return None
    return MessageLog(own.message_log, own.message_log_private, reactor, metrics.program.message_log)


def _open_message_log(message_log: MessageLog) -> None:
    """Open the message log.

    :raises CannotStart: it cannot be opened.
    """
    try:
        message_log.start()
    except OSError as error:
        raise CannotStart(f"the message log {message_log.path} cannot be opened: {error.strerror}") from error


def _reopen_message_log(message_log: MessageLog) -> None:
    """Open the message log again, after it was renamed (SIGUSR1)."""
    try:
        message_log.reopen()
    except OSError as error:
        log.error(
            "the message log {path} cannot be opened again: {why}; lines go on to the former file",
            path=str(message_log.path), why=error.strerror,
        )
    else:
        log.info("the message log {path} was opened again", path=str(message_log.path))


def _steps(gateway: Gateway, parts: Parts, source: Path) -> Iterator[Step]:
    """Yield the steps of the start in order; they stop in reverse order.

    The administrator's listeners start early and stop late. The clients' listeners start when all other parts run.
    """
    ports = parts.ports
    within = parts.settings.gateway.drain / 3
    yield Step("warnings", partial(warn, parts.settings, source))
    if parts.message_log is not None:
        yield Step("message log", partial(_open_message_log, parts.message_log), parts.message_log.stop)
    yield Step("store", parts.store.open, parts.store.close)
    yield Step("watch", parts.watch.start, parts.watch.stop)
    yield Step("admin sessions", None, partial(ports.close_sessions, admin=True, within=within))
    yield Step("admin listeners", partial(ports.open, admin=True), partial(ports.close, admin=True))
    yield Step("password checks", None, parts.password_checks.stop)
    yield Step("reading of mails", None, parts.mail_reading.stop)
    yield Step("watch over the store", lambda: _on_failure(parts.store.failed, gateway.fail_program))
    yield Step("outbox", parts.outbox.start, parts.outbox.stop)
    yield Step("callbacks", None, parts.callbacks.stop)
    yield Step("dispatch", parts.dispatch.start, parts.dispatch.drain)
    yield Step("sweep", parts.sweep.start, parts.sweep.stop)
    yield Step("watch over certificates", parts.expiry.start, parts.expiry.stop)
    yield Step("sessions", None, partial(ports.close_sessions, admin=False, within=within))
    yield Step("listeners", partial(ports.open, admin=False), partial(ports.close, admin=False))


def _health(gateway: Gateway, parts: Parts) -> Mapping[str, Any]:
    """Return the content of /health except what the store answers."""
    facts = {
        "without_connector": parts.dispatch.without_connector,
        "certificates": parts.expiry.shown(),
        "reload": parts.reloaded,
        **parts.watch.health(),
    }
    overloads = parts.overloads.current()
    return health.report(gateway.state, parts.dispatch.health(), facts, overloads)


def _cancel(parts: Parts, number: int) -> Deferred[list[Message] | Refused]:
    """Cancel a message for the administrator."""
    return parts.cancelling.cancel([Cancel(None, number)]).addCallback(lambda answers: answers[0])


def _simulate(
    connectors: Mapping[str, IConnector], name: str, incoming: Incoming
) -> Deferred[Refused | None]:
    """Simulate an item of a subscriber for the administrator, with the named or first connector that can."""
    able = {own: connector for own, connector in connectors.items() if ISimulator.providedBy(connector)}
    chosen = name or next(iter(able), "")
    if chosen not in able:
        what = f"connector {name} does not exist or cannot" if name else "no connector can"
        return succeed(Refused(Refusal.NO_ROUTE, f"{what} simulate subscribers; type = loopback can"))
    simulator: ISimulator = able[chosen]
    return simulator.simulate(incoming)


def _on_failure(failed: Deferred[Any], act: Callable[[Any], None]) -> None:
    failed.addErrback(act)
