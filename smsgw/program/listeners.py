"""Makes the listeners: for each section ``[listen NAME]`` its protocol and front end."""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import IResource

from smsgw.config import (
    AdminListenSettings,
    ClientListenSettings,
    HttpListenSettings,
    ListenSettings,
    SmppListenSettings,
    SmtpListenSettings,
)
from smsgw.dialects import HttpManner, SmppManner, SmtpManner
from smsgw.frontends.api import views
from smsgw.frontends.api.resource import V1Resource
from smsgw.frontends.rostelecom import RESPONSES
from smsgw.frontends.rostelecom.frontend import RostelecomFrontend
from smsgw.frontends.smpp.frontend import SmppFrontend
from smsgw.frontends.smtp.frontend import MailFrontend
from smsgw.frontends.webhooks import PathSwitch, WebhookResource
from smsgw.program.configured import Configured
from smsgw.program.parts import Parts
from smsgw.program.ports import Listener
from smsgw.program.tls import ListenerTls
from smsgw.protocols.connections import Surroundings
from smsgw.protocols.http import BoundedSite, JsonResource, ResponseForm, ResponseForms
from smsgw.protocols.smpp import SmppServerFactory
from smsgw.protocols.smtp import SubmissionFactory

log = Logger()


def make_listener(parts: Parts, own: ListenSettings, tls: ListenerTls | None) -> Listener:
    """Return a listener for the section `own`. Its port is opened by :class:`~smsgw.program.ports.Ports`.

    :param tls: None if the section has ``tls = none``.
    """
    front: Configured | None = None
    match own:
        case SmppListenSettings():
            says, (factory, front) = "SMPP", _smpp(parts, own, parts.dialects[own.dialect].smpp)
        case SmtpListenSettings():
            says, (factory, front) = "SMTP", _smtp(parts, own, parts.dialects[own.dialect].smtp, tls)
        case HttpListenSettings():
            says, (factory, front) = "HTTP", _http(parts, own, parts.dialects[own.dialect].http)
        case AdminListenSettings():
            assert parts.admin is not None
            says, factory = "admin", parts.admin.site()
        case _:
            raise TypeError(own)
    outer = factory
    if isinstance(own, ClientListenSettings) and own.tls == "implicit":
        says += " over TLS"
        if tls is not None and not isinstance(own, SmtpListenSettings):
            outer = TLSMemoryBIOFactory(tls, False, factory)
    if tls is not None and tls.pair.self_made:
        log.warn(
            "[listen {name}] uses a self-signed certificate ({path}): clients cannot verify the gateway. "
            "Set certificate and key.",
            name=own.name,
            path=str(tls.pair.path),
        )
    return Listener(own, outer, factory, says, front, tls)


def _smpp(parts: Parts, own: SmppListenSettings, manner: SmppManner | None) -> tuple[Any, Configured]:
    assert manner is not None, "the configuration checks that the dialect supports the protocol"
    front = SmppFrontend(
        parts.settings,
        own,
        manner,
        parts.smpp_receipts,
        parts.accounts,
        parts.intake,
        parts.store,
        parts.cancelling,
        parts.time.now,
    )
    return SmppServerFactory(front, own, parts.reactor, parts.metrics.smpp, _surroundings(parts, own)), front


def _http(parts: Parts, own: HttpListenSettings, manner: HttpManner | None) -> tuple[Any, Configured | None]:
    """Return a site with the native API, the webhooks of upstreams, and the provider's API if the dialect has one."""
    assert manner is not None, "the configuration checks that the dialect supports the protocol"
    native = V1Resource(
        own,
        parts.intake,
        parts.store,
        parts.accounts,
        parts.cancelling.cancel,
        parts.incoming.expect,
        parts.time.now,
    )
    error, headers = manner.error or views.error, None
    ways: dict[bytes, IResource] = {
        b"v1": native,
        b"upstream": WebhookResource(parts.connectors, own.body_limit, error),
    }
    front: RostelecomFrontend | None = None
    if manner.send_message is not None:
        front = RostelecomFrontend(
            parts.settings, own, manner.send_message, parts.intake, parts.store, parts.accounts, parts.senders
        )
        ways[b"api"], headers = front.resource, RESPONSES.headers
    forms = ResponseForms(ResponseForm(error, headers), {b"v1": ResponseForm(views.error)})
    elsewhere = JsonResource((), own.body_limit, error)
    site = BoundedSite(
        PathSwitch(ways, elsewhere),
        parts.reactor,
        own,
        forms=forms,
        metrics=parts.metrics.http,
        surroundings=_surroundings(parts, own),
    )
    return site, front


def _smtp(
    parts: Parts, own: SmtpListenSettings, manner: SmtpManner | None, tls: ListenerTls | None
) -> tuple[Any, Configured]:
    assert manner is not None, "the configuration checks that the dialect supports the protocol"
    front = MailFrontend(
        parts.settings,
        own,
        manner,
        parts.intake,
        parts.store,
        parts.accounts,
        parts.senders,
        parts.contacts,
        parts.mail_workers,
        parts.reactor,
    )
    return SubmissionFactory(front, own, parts.reactor, tls, own.domains[0], _surroundings(parts, own)), front


def _surroundings(parts: Parts, own: ListenSettings) -> Surroundings:
    return Surroundings(own.name, parts.accounts.listed, parts.overloads)
