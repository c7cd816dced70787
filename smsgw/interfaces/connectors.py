"""Connectors, the ways out: what the gateway asks of one, and what it tells the gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from smsgw.interfaces.store import Awaited
from smsgw.model.errors import Refused
from smsgw.model.message import DeliveryReport, Incoming, Part
from smsgw.model.outcome import Outcome


class IConnectorSink(Interface):
    """What a connector tells the gateway."""

    def outcomes(connector: str, outcomes: Sequence[tuple[Part, Outcome]]) -> None:
        """What the upstream did with parts; one outcome for each part that was sent.

        Those of one read come together, and before its receipts. Never called inside :meth:`IConnector.send`.
        """

    def receipts(connector: str, reports: Sequence[DeliveryReport]) -> Deferred[None]:
        """The upstream's statements. Acknowledge them upstream after the Deferred fires; if it fails, answer
        a temporary error so that the upstream repeats them. Never called inside :meth:`IConnector.send`.

        The commit of outcomes that were given before is asked for first. While the store does not take those, this
        fails as :class:`~smsgw.model.errors.StoreDown`."""

    def incoming(connector: str, incoming: Sequence[Incoming]) -> Deferred[list[Refused | None]]:
        """What came from subscribers; `id`, `account` and `path` are not known yet. Per item None when it is stored,
        or why nobody gets it. Acknowledge upstream after the Deferred fires; if it fails, answer a temporary error."""

    def ready(connector: str) -> None:
        """There is room again after there was none."""


class IConnector(Interface):
    """A way out of the gateway towards one upstream. Never imports services."""

    name = Attribute("The free name of its section in gw.ini.")
    up = Attribute("Whether the link is usable now; new messages prefer a connector of their route that is.")

    def start(sink: Any) -> None:
        """Begin to work; `sink` provides :class:`IConnectorSink`."""

    def room() -> int:
        """How many parts may be sent now: the window less the slots that were not released, and tokens of the rate;
        0 while down.

        Whenever this was 0 and grows, ``sink.ready`` is called.
        """

    def send(parts: Sequence[Part]) -> None:
        """Send these, in order; at most :meth:`room`. Exactly one outcome follows for each; `Lost` when the
        link goes before the answer.

        Neither outcomes nor receipts are given inside this call: a connector that knows an outcome at once gives it
        on a later turn of the reactor (``callLater(0)``, one for a whole list).
        """

    def release(count: int) -> None:
        """The outcomes of `count` parts were committed: their window slots are free."""

    def resume(awaited: Sequence[Awaited]) -> None:
        """After a restart, in pages before anything is sent: parts whose receipts are still awaited. Nothing is given
        inside this call either."""

    def stop() -> Deferred[None]:
        """Take no more, wait for outcomes on the way (the caller bounds the wait), close the link."""


class ISimulator(Interface):
    """A connector that makes up what subscribers do, so that it can be tried without any."""

    def simulate(incoming: Incoming) -> Deferred[Refused | None]:
        """As if it had come from a subscriber just now (`connector` and `at` are filled in): None when it is stored, or
        why nobody gets it. Fails as the store does."""


class IConnectorFactory(Interface):
    """How a type of connector is found and made: a plugin in ``smsgw.plugins`` provides this and IPlugin."""

    kind = Attribute("The word after `type =`.")

    def settings() -> type:
        """The settings class of its section: a subclass of :class:`smsgw.config.ConnectorSettings`."""

    def make(settings: Any, clock: Any) -> Any:
        """An :class:`IConnector` for one section. `clock` provides IReactorTime with monotonic seconds (and is
        the reactor when the program runs); nothing is started yet."""


@attrs.frozen
class WebhookRequest:
    """An HTTP request of an upstream to us: a receipt, or an incoming message.

    :ivar query: as it came, without the question mark. :ivar headers: by lower-case name, the last of each.
    :ivar peer: the IP address it came from.
    """

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    peer: str


@attrs.frozen
class WebhookResponse:
    """The response to a webhook."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class IWebhookReceiver(Interface):
    """A connector whose upstream sends webhooks, to ``/upstream/NAME`` of every HTTP listener."""

    def webhook(request: WebhookRequest) -> Deferred[WebhookResponse]:
        """Take a webhook. Fires after what it brought is committed; a failure is answered 503, so that the upstream
        repeats it. The connector itself checks who sent it."""
