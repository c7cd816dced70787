"""Makes the listeners: for each section ``[listen NAME]`` its protocol and front end."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.ssl import CertificateOptions
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import IResource

from smsgw.config import (
    AdminListenSettings,
    ClientListenSettings,
    ConfigErrors,
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
from smsgw.program import certificates
from smsgw.program.lifecycle import Listener
from smsgw.program.parts import Parts
from smsgw.protocols.connections import Surroundings
from smsgw.protocols.http import BoundedSite, JsonResource, ResponseForm, ResponseForms
from smsgw.protocols.smpp import SmppServerFactory
from smsgw.protocols.smtp import SubmissionFactory

log = Logger()


def make_listener(parts: Parts, own: ListenSettings, admin: Any) -> Listener:
    """Return a listener for the section `own`.

    :param admin: factory of the administrator's listeners.
    :raises ConfigErrors: if the certificate or key cannot be used.
    """
    tls = _tls(parts, own) if isinstance(own, ClientListenSettings) and own.tls != "none" else None
    match own:
        case SmppListenSettings():
            factory, says = _smpp(parts, own, parts.dialects[own.dialect].smpp), "SMPP"
        case SmtpListenSettings():
            factory, says = _smtp(parts, own, parts.dialects[own.dialect].smtp, tls), "SMTP"
        case HttpListenSettings():
            factory, says = _http(parts, own, parts.dialects[own.dialect].http), "HTTP"
        case AdminListenSettings():
            factory, says = admin, "admin"
        case _:
            raise TypeError(own)
    outer = factory
    if isinstance(own, ClientListenSettings) and own.tls == "implicit":
        says += " over TLS"
        if tls is not None and not isinstance(own, SmtpListenSettings):
            outer = TLSMemoryBIOFactory(tls, False, factory)
    return Listener(own.name, serverFromString(parts.reactor, own.endpoint), own.endpoint, outer, factory, says)


def _smpp(parts: Parts, own: SmppListenSettings, manner: SmppManner | None) -> Any:
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
        parts.reactor.seconds,
    )
    parts.configured.append(front)
    return SmppServerFactory(front, own, parts.reactor, parts.metrics.smpp, _surroundings(parts, own))


def _http(parts: Parts, own: HttpListenSettings, manner: HttpManner | None) -> Any:
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
    if manner.send_message is not None:
        front = RostelecomFrontend(
            parts.settings, own, manner.send_message, parts.intake, parts.store, parts.accounts, parts.senders
        )
        parts.configured.append(front)
        ways[b"api"], headers = front.resource, RESPONSES.headers
    forms = ResponseForms(ResponseForm(error, headers), {b"v1": ResponseForm(views.error)})
    elsewhere = JsonResource((), own.body_limit, error)
    return BoundedSite(
        PathSwitch(ways, elsewhere),
        parts.reactor,
        own,
        forms=forms,
        metrics=parts.metrics.http,
        surroundings=_surroundings(parts, own),
    )


def _smtp(
    parts: Parts, own: SmtpListenSettings, manner: SmtpManner | None, tls: CertificateOptions | None
) -> Any:
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
    parts.configured.append(front)
    return SubmissionFactory(front, own, parts.reactor, tls, own.domains[0], _surroundings(parts, own))


def _surroundings(parts: Parts, own: ListenSettings) -> Surroundings:
    return Surroundings(own.name, parts.accounts.listed, parts.overloads)


def _tls(parts: Parts, own: ClientListenSettings) -> CertificateOptions:
    """Return the TLS context of a listener, with a self-signed pair if none is configured."""
    certificate, key = own.certificate, own.key
    made = certificate is None or key is None
    try:
        if certificate is None or key is None:
            certificate, key, _ = certificates.self_signed(parts.settings.gateway.state)
        context = certificates.options(certificate, key)
    except certificates.CertificateError as error:
        raise ConfigErrors([own.problem("certificate", str(error))]) from error
    if made:
        log.warn(
            "[listen {name}] uses a self-signed certificate ({path}): clients cannot verify the gateway. "
            "Set certificate and key.",
            name=own.name,
            path=str(certificate),
        )
    return context
