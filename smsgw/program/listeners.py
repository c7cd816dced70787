"""What listens: for each section ``[listen NAME]`` the protocol that it names, with the front end behind it."""

from __future__ import annotations

import time
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
from smsgw.frontends.api.resource import V1Resource
from smsgw.frontends.rostelecom.frontend import HttpFrontend, web_limits
from smsgw.frontends.smpp.frontend import SmppFrontend
from smsgw.frontends.smtp.frontend import MailFrontend
from smsgw.frontends.webhooks import PathSwitch, WebhookResource
from smsgw.program import certificates
from smsgw.program.lifecycle import Listener
from smsgw.program.parts import Parts
from smsgw.protocols.http import BoundedSite
from smsgw.protocols.smpp import SmppServerFactory, SmppServerSettings
from smsgw.protocols.smtp import SubmissionFactory, SubmissionSettings
from smsgw.protocols.smtp.factory import STANDARD_EHLO

log = Logger()


def make_listener(parts: Parts, own: ListenSettings, admin: Any) -> Listener:
    """A listener with the protocol that the section `own` names.

    :param admin: factory of the administrator's listeners.
    :raises ConfigErrors: when certificate or key cannot be used.
    """
    tls = _tls(parts, own) if isinstance(own, ClientListenSettings) and own.tls != "none" else None
    match own:
        case SmppListenSettings():
            factory, says = _smpp(parts, own), "SMPP"
        case SmtpListenSettings():
            factory, says = _smtp(parts, own, tls), "SMTP"
        case HttpListenSettings():
            factory, says = _http(parts, own), "HTTP"
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


def _smpp(parts: Parts, own: SmppListenSettings) -> Any:
    front = SmppFrontend(
        parts.settings,
        own,
        parts.smpp_receipts,
        parts.accounts,
        parts.intake,
        parts.store,
        parts.cancelling,
        time.time,
        parts.reactor.seconds,
    )
    parts.configured.append(front)
    settings = SmppServerSettings(
        system_id=own.system_id.encode("ascii"),
        session_init=own.session_init,
        enquire_link=own.enquire_link,
        inactivity=own.inactivity,
        response=own.response,
        window=own.window,
        pdu_limit=own.pdu_limit,
    )
    return SmppServerFactory(front, settings, parts.reactor, parts.metrics.smpp)


def _http(parts: Parts, own: HttpListenSettings) -> Any:
    """The native API and requests of upstreams everywhere; the provider's API where the dialect is."""
    native = V1Resource(
        parts.intake,
        parts.store,
        parts.accounts,
        parts.cancelling.cancel,
        parts.incoming.expect,
        time.time,
        own.body_limit,
    )
    ways: dict[bytes, IResource] = {
        b"v1": native,
        b"upstream": WebhookResource(parts.connectors, own.body_limit),
    }
    if own.dialect == "rostelecom":
        front = HttpFrontend(
            parts.settings, parts.intake, parts.store, parts.accounts, parts.senders, own.body_limit
        )
        parts.configured.append(front)
        ways[b"api"] = front.resource
    return BoundedSite(PathSwitch(ways, native), parts.reactor, web_limits(own), metrics=parts.metrics.http)


def _smtp(parts: Parts, own: SmtpListenSettings, tls: CertificateOptions | None) -> Any:
    front = MailFrontend(
        parts.settings,
        own,
        parts.intake,
        parts.store,
        parts.accounts,
        parts.senders,
        parts.contacts,
        parts.mail_reading.run,
        parts.reactor,
    )
    parts.configured.append(front)
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
    return SubmissionFactory(front, settings, parts.reactor, tls)


def _tls(parts: Parts, own: ClientListenSettings) -> CertificateOptions:
    """The TLS context of a listener; a self-signed pair where none is configured."""
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
            "[listen {name}] shows a self-signed certificate ({path}): clients cannot tell who we are. "
            "Set certificate and key.",
            name=own.name,
            path=str(certificate),
        )
    return context
