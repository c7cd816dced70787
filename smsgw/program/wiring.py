"""The only module that knows every concrete class: from settings to one service that is the whole program."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.ssl import CertificateOptions
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import IResource

from smsgw.config import (
    AdminListenSettings,
    ConfigErrors,
    DoorSettings,
    HttpListenSettings,
    ListenSettings,
    Settings,
    SmppListenSettings,
    SmtpListenSettings,
)
from smsgw.frontends.admin import metrics
from smsgw.frontends.admin.frontend import AdminFrontend
from smsgw.frontends.api.resource import V1Resource
from smsgw.frontends.callbacks.path import CallbackPath
from smsgw.frontends.rostelecom.frontend import HttpFrontend, web_limits
from smsgw.frontends.smpp.frontend import SmppFrontend
from smsgw.frontends.smpp.receipts import SmppReceipts
from smsgw.frontends.smtp.frontend import MailFrontend
from smsgw.frontends.webhooks import Crossing, UpstreamResource
from smsgw.interfaces import IConnector, ISimulator
from smsgw.model.changes import Cancel
from smsgw.model.errors import Refusal, Refused
from smsgw.model.message import Incoming, Message
from smsgw.plugins import connector_factories
from smsgw.program import certificates, configfile
from smsgw.program.lifecycle import Gateway, Listener, Step
from smsgw.program.processor import Processor
from smsgw.protocols.http.client import WebClient
from smsgw.protocols.http.site import BoundedSite
from smsgw.protocols.smpp.server import SmppServerFactory, SmppServerSettings
from smsgw.protocols.smtp.factory import STANDARD_EHLO, SubmissionFactory, SubmissionSettings
from smsgw.services.accounts import Accounts
from smsgw.services.cancel import Cancelling
from smsgw.services.contacts import Contacts
from smsgw.services.dispatch.dispatch import Dispatch
from smsgw.services.incoming import Inbound
from smsgw.services.intake.intake import Intake
from smsgw.services.outbox.outbox import Outbox
from smsgw.services.passwords import WorkerPool
from smsgw.services.routing import Router
from smsgw.services.senders import Senders
from smsgw.services.sweep import Sweep
from smsgw.stores.groupcommit import StoreThread
from smsgw.stores.sqlite import SqliteStore
from smsgw.telemetry import Counter

log = Logger()

RELOADS = Counter("smsgw_config_reloads_total", "Times the configuration was taken anew.", ("result",))


def build(settings: Settings, reactor: Any, source: Path, end: Callable[[int], None]) -> Gateway:
    """The whole gateway as one service.

    :param reactor: with monotonic ``seconds``. :param source: the file that a reload reads again.
    :param end: called with the exit status when the program has to end.
    """
    return _Program(settings, reactor, source, end).gateway


class _Program:
    """Everything that runs, made from the settings and joined together."""

    def __init__(self, settings: Settings, reactor: Any, source: Path, end: Callable[[int], None]) -> None:
        self.settings = settings
        self._reactor = reactor
        self._source = source
        gateway, clock, wall = settings.gateway, reactor, time.time
        self.store = SqliteStore(gateway.state, gateway.node, wall, StoreThread(reactor))
        self.processor = Processor(reactor)
        self._hashes = WorkerPool(reactor)
        self._mails = WorkerPool(reactor, 2, "mails")
        self.accounts = Accounts(settings.accounts.values(), clock, self._hashes.run)
        self.senders = Senders(list(settings.senders.values()), list(settings.operators.values()))
        self.router = Router(settings.routes, settings.connectors.keys())
        self.outbox = Outbox(self.store, clock, wall, keep=gateway.event_keep)
        factories = connector_factories()
        self.connectors: dict[str, IConnector] = {
            name: factories[own.type].make(own, clock) for name, own in settings.connectors.items()
        }
        self.inbound = Inbound(
            self.store, self.outbox, self.accounts, settings.numbers.values(), wall, gateway.country
        )
        self.dispatch = Dispatch(
            self.store,
            self.outbox,
            clock,
            wall,
            [(self.connectors[name], own) for name, own in settings.connectors.items()],
            self.router.reroute,
            inbound=self.inbound,
            report_timeout=gateway.report_timeout,
            down=self.router.down,
            refusing=self.router.refusing,
        )
        self.intake = Intake(
            self.store,
            self.accounts,
            self.senders,
            self.router,
            self.dispatch,
            self.outbox,
            wall,
            clock.seconds,
            gateway.country,
            key_life=gateway.idempotency,
        )
        self.contacts = Contacts(settings.lists.values())
        self.cancelling = Cancelling(self.store, self.dispatch, self.outbox)
        self.sweep = Sweep(
            self.store, self.dispatch, self.outbox, clock, wall, keep=gateway.keep, event_keep=gateway.event_keep
        )
        self.smpp_receipts = SmppReceipts(gateway.timezone)
        self.outbox.attach(self.smpp_receipts)
        self.callbacks = CallbackPath(
            self.accounts, WebClient(reactor), WebClient(reactor, guard=True), clock, wall, gateway.timezone
        )
        self.outbox.attach(self.callbacks)
        self._doors: dict[str, Any] = {}
        listeners = [self._listener(own) for own in settings.listeners.values()]
        self.gateway = Gateway(reactor, end, gateway.drain, self.reload, self._banner)
        operators = [one for one in listeners if isinstance(settings.listeners[one.name], AdminListenSettings)]
        doors = [one for one in listeners if one not in operators]
        self.gateway.steps = list(self._steps(operators, doors))
        metrics.watch(self.connectors, {name: partial(_open, factory) for name, factory in self._doors.items()})

    def _steps(self, operators: Sequence[Listener], doors: Sequence[Listener]) -> Iterator[Step]:
        """What is started in this order, and stopped in the reverse order.

        The operator can ask from first to last; clients come in when everything else runs.
        """
        gateway, store, outbox, dispatch, sweep = (
            self.gateway,
            self.store,
            self.outbox,
            self.dispatch,
            self.sweep,
        )
        yield Step("warnings", lambda: self._warn(self.settings))
        yield Step("store", store.open, store.close)
        if self.settings.gateway.one_processor:
            yield Step("processor", self.processor.start, self.processor.stop)
        yield Step("admin sessions", None, partial(self._close_sessions, operators))
        yield Step("admin listeners", partial(gateway.listen, operators), partial(gateway.close, operators))
        yield Step("password checks", None, self._hashes.stop)
        yield Step("reading of mails", None, self._mails.stop)
        yield Step("watch over the store", lambda: _on_failure(store.failed, self.gateway.fail_program))
        yield Step("outbox", outbox.start, outbox.stop)
        yield Step("callbacks", None, self.callbacks.stop)
        yield Step("dispatch", dispatch.start, dispatch.drain)
        yield Step("sweep", sweep.start, sweep.stop)
        yield Step("sessions", None, partial(self._close_sessions, doors))
        yield Step("listeners", partial(gateway.listen, doors), partial(gateway.close, doors))

    def _close_sessions(self, listeners: Sequence[Listener]) -> Deferred[Any]:
        """Let sessions finish what they have begun, at all these listeners at once."""
        within = self.settings.gateway.drain / 3
        doors = [self._doors[listener.name] for listener in listeners]
        return gatherResults([door.shut_down(within) for door in doors])

    def _health(self) -> Mapping[str, Any]:
        """What /health tells besides the counts of the store."""
        return {
            "state": self.gateway.state,
            "connectors": {
                name: {"up": bool(connector.up), "room": connector.room()}
                for name, connector in self.connectors.items()
            },
        }

    def _cancel(self, number: int) -> Deferred[list[Message] | Refused]:
        """The operator takes a message back."""
        return self.cancelling.cancel([Cancel(None, number)]).addCallback(lambda answers: answers[0])

    def _simulate(self, name: str, incoming: Incoming) -> Deferred[Refused | None]:
        """The operator has a connector make up what a subscriber does."""
        able = {own: connector for own, connector in self.connectors.items() if ISimulator.providedBy(connector)}
        chosen = name or next(iter(able), "")
        if chosen not in able:
            what = f"connector {name} does not exist, or" if name else "no connector exists that"
            return succeed(Refused(Refusal.NO_ROUTE, f"{what} cannot make up what subscribers do; type = loopback can"))
        simulator: ISimulator = able[chosen]
        return simulator.simulate(incoming)

    def _listener(self, own: ListenSettings) -> Listener:
        """A listener with the protocol its section names."""
        tls = self._tls(own) if isinstance(own, DoorSettings) and own.tls != "none" else None
        match own:
            case SmppListenSettings():
                factory, says = self._smpp_door(own), "SMPP"
            case SmtpListenSettings():
                factory, says = self._smtp_door(own, tls), "SMTP"
            case HttpListenSettings():
                factory, says = self._http_door(own), "HTTP"
            case AdminListenSettings():
                front = AdminFrontend(
                    self.store, self._cancel, self.outbox.replay, self._simulate, self._health, self._reactor
                )
                factory, says = front.factory, "admin"
            case _:
                raise TypeError(own)
        self._doors[own.name] = factory
        outer = factory
        if isinstance(own, DoorSettings) and own.tls == "implicit":
            says += " over TLS"
            if tls is not None and not isinstance(own, SmtpListenSettings):
                outer = TLSMemoryBIOFactory(tls, False, factory)
        return Listener(own.name, serverFromString(self._reactor, own.endpoint), own.endpoint, outer, says)

    def _smpp_door(self, own: SmppListenSettings) -> Any:
        gateway = self.settings.gateway
        delegate = SmppFrontend(
            own,
            self.smpp_receipts,
            self.accounts,
            self.intake,
            self.store,
            self.cancelling,
            time.time,
            gateway.timezone,
            gateway.country,
        )
        settings = SmppServerSettings(
            system_id=own.system_id.encode("ascii"),
            session_init=own.session_init,
            enquire_link=own.enquire_link,
            inactivity=own.inactivity,
            response=own.response,
            window=own.window,
            pdu_limit=own.pdu_limit,
        )
        return SmppServerFactory(delegate, settings, self._reactor)

    def _http_door(self, own: HttpListenSettings) -> Any:
        """The native API and calls of upstreams everywhere; the provider's API where the dialect is."""
        native = V1Resource(
            self.intake,
            self.store,
            self.accounts,
            self.cancelling.cancel,
            self.inbound.expect,
            time.time,
            own.body_limit,
        )
        ways: dict[bytes, IResource] = {
            b"v1": native,
            b"upstream": UpstreamResource(self.connectors, own.body_limit),
        }
        if own.dialect == "rostelecom":
            country = self.settings.gateway.country
            front = HttpFrontend(self.intake, self.store, self.accounts, lambda: self.senders, own.body_limit, country)
            ways[b"api"] = front.resource
        return BoundedSite(Crossing(ways, native), self._reactor, web_limits(own))

    def _smtp_door(self, own: SmtpListenSettings, tls: CertificateOptions | None) -> Any:
        delegate = MailFrontend(
            self.intake,
            self.store,
            self.accounts,
            lambda: self.senders,
            own,
            self.contacts,
            self._mails.run,
            self._reactor,
            self.settings.gateway.country,
        )
        manners: dict[str, Any] = {}
        if own.dialect == "standard":
            host = own.domains[0]
            manners = {"greeting": f"{host} ESMTP", "ehlo": (host, *STANDARD_EHLO), "plain_challenge": ""}
        settings = SubmissionSettings(
            **manners,
            tls=own.tls,
            auth_without_tls=own.auth_without_tls,
            auth_tries=own.auth_tries,
            recipients=own.recipients,
            transactions=own.messages,
            message=own.mail_limit,
            command_time=own.inactivity,
            data_time=own.data_time,
        )
        return SubmissionFactory(delegate, settings, self._reactor, tls)

    def _tls(self, own: DoorSettings) -> CertificateOptions:
        """The TLS context of a listener; a self-signed pair where none is configured."""
        certificate, key = own.certificate, own.key
        made = certificate is None or key is None
        try:
            if certificate is None or key is None:
                certificate, key, _ = certificates.self_signed(self.settings.gateway.state)
            context = certificates.options(certificate, key)
        except certificates.CertificateError as error:
            raise ConfigErrors([own.finding("certificate", str(error))]) from error
        if made:
            log.warn(
                "[listen {name}] shows a self-signed certificate ({path}): clients cannot tell who we are. "
                "Set certificate and key.",
                name=own.name,
                path=str(certificate),
            )
        return context

    def _warn(self, settings: Settings) -> None:
        """Say what is doubtful before anything starts."""
        for warning in settings.warnings:
            log.warn("{warning}", warning=str(warning))
        for doubt in (configfile.too_open(self._source), configfile.as_root()):
            if doubt is not None:
                log.warn("{doubt}", doubt=str(doubt))

    def reload(self) -> None:
        """Take the configuration anew: all of it, or nothing and the reasons in the log (SIGHUP)."""
        try:
            new = configfile.read(self._source)
            self._reloadable(new)
            gone = self.accounts.update(new.accounts.values())
        except ConfigErrors as errors:
            RELOADS.add(1, "refused")
            for line in str(errors).splitlines():
                log.error("{line}", line=line)
            log.error("the configuration is refused, the one from before stays in force")
            return
        self.senders = self.intake.senders = Senders(list(new.senders.values()), list(new.operators.values()))
        self.router.update(new.routes)
        self.inbound.update(new.numbers.values())
        self.contacts.update(new.lists.values())
        self.smpp_receipts.expel(gone)
        self.settings = new
        RELOADS.add(1, "taken")
        for warning in new.warnings:
            log.warn("{warning}", warning=str(warning))
        log.info("the configuration is taken from {path}", path=str(self._source))

    def _reloadable(self, new: Settings) -> None:
        """Refuse what only a start can change, naming each section.

        :raises ConfigErrors: with one finding per such section.
        """
        findings = []
        if new.gateway != self.settings.gateway:
            findings.append(new.gateway.finding("", "is changed: that needs a restart"))
        for kind in ("listeners", "connectors"):
            before, after = getattr(self.settings, kind), getattr(new, kind)
            findings += [
                own.finding("", "is new or changed: that needs a restart")
                for name, own in after.items()
                if before.get(name) != own
            ]
            findings += [
                own.finding("", "is gone: that needs a restart") for name, own in before.items() if name not in after
            ]
        if findings:
            raise ConfigErrors(findings)

    def _banner(self, listeners: Sequence[Listener]) -> Sequence[str]:
        """What is said once everything listens: where, and three commands to try."""
        lines = [f"{listener.says:<14} {_address(listener)}  [listen {listener.name}]" for listener in listeners]
        return [*lines, *_commands(self.settings, listeners, self._source)]


def _open(factory: Any) -> int:
    """Connections of a door now."""
    return len(factory.connections.all)


def _on_failure(failed: Deferred[Any], act: Callable[[Any], None]) -> None:
    failed.addErrback(act)


def _address(listener: Listener) -> str:
    host = listener.port.getHost() if listener.port is not None else None
    port = getattr(host, "port", None)
    return listener.where if port is None else f"{host.host}:{port}"  # type: ignore[union-attr]


def _interpreter() -> str:
    """The Python that runs this, as short as it can be typed here."""
    inside = os.path.relpath(sys.executable)
    return sys.executable if inside.startswith(os.pardir) else inside


def _commands(settings: Settings, listeners: Sequence[Listener], source: Path) -> Iterator[str]:
    """A command per front end that sends one message, for the first account."""
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
