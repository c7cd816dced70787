"""The ports of connectors: what the gateway calls, and what a connector calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from smsgw.interfaces.store import Awaited
from smsgw.model.errors import Refused
from smsgw.model.message import DeliveryReport, Incoming, Part
from smsgw.model.outcome import Outcome


class IConnectorSink(Interface):
    """What a connector calls to report to the gateway."""

    def outcomes(connector: str, outcomes: Sequence[tuple[Part, Outcome]]) -> None:
        """Report what the upstream did with parts; one outcome for each part that was sent.

        The outcomes of one read are reported in one call, before its receipts. Never called inside
        :meth:`IConnector.send`.
        """

    def receipts(connector: str, reports: Sequence[DeliveryReport]) -> Deferred[None]:
        """Report receipts. The connector acknowledges them upstream after the Deferred fires; if it fails, it answers
        a temporary error, so that the upstream repeats them. Never called inside :meth:`IConnector.send`.

        Outcomes reported earlier are committed first. If the store fails to commit those, the Deferred fails with
        :class:`~smsgw.model.errors.StoreDown`."""

    def incoming(connector: str, incoming: Sequence[Incoming]) -> Deferred[list[Refused | None]]:
        """Report what subscribers sent; `id`, `account` and `path` are not set. Fires with None for each stored item,
        or with the reason why no account gets it. The connector acknowledges the items upstream after the Deferred
        fires; if it fails, it answers a temporary error."""

    def ready(connector: str) -> None:
        """Report that :meth:`IConnector.room` has grown from 0."""


class IConnector(Interface):
    """A connector to one upstream. Its module must not import services."""

    name = Attribute("The free name of its section in gw.ini.")
    up = Attribute("Whether the link is usable now. Routes prefer connectors with usable links.")

    def start(sink: Any) -> None:
        """Begin to connect; `sink` provides :class:`IConnectorSink`."""

    def room() -> int:
        """Return how many parts may be sent now: the free slots of the window, limited by the tokens of the rate; 0
        while the link is down.

        When this grows from 0, the connector calls ``sink.ready``.
        """

    def send(parts: Sequence[Part]) -> None:
        """Send parts, in order, at most :meth:`room`. The connector reports exactly one outcome for each: `Lost` if
        the link ends before the answer.

        It reports neither outcomes nor receipts inside this call. An outcome that is known at once is reported on
        a later turn of the reactor (one ``callLater(0)`` for a whole list).
        """

    def release(count: int) -> None:
        """Free the window slots of `count` parts, whose outcomes were committed."""

    def resume(awaited: Sequence[Awaited]) -> None:
        """Take parts whose receipts are still awaited; called after a restart, in pages, before parts are sent.

        Neither outcomes nor receipts are given inside this call."""

    def stop() -> Deferred[None]:
        """Send no more parts, wait for outstanding outcomes (the caller bounds the wait), close the link."""


class IRetrying(Interface):
    """A connector that pauses before it uses its link again after a failure."""

    def retry() -> None:
        """End such a pause now. Nothing is reported inside this call."""


class IAdjustable(Interface):
    """A connector that can take changed settings while it works. A reload replaces other connectors whose section has
    changed: it stops the former one and starts one with the new settings."""

    def apply(settings: Any) -> bool:
        """Use the changed settings of its section, of the same class, from now on; or return False and change nothing,
        if only a new connector can."""


class ISimulator(Interface):
    """A connector that simulates what subscribers send."""

    def simulate(incoming: Incoming) -> Deferred[Refused | None]:
        """Report an item as if a subscriber had sent it now; the connector sets `connector` and `at`. The Deferred
        fires with None when the item is stored, or with the reason why no account gets it; it fails with the store's
        error."""


class IConnectorFactory(Interface):
    """Finds and makes a type of connector. A plugin in ``smsgw.plugins`` provides this and IPlugin."""

    kind = Attribute("The value of `type =`.")

    def settings() -> type:
        """The settings class of its section: a subclass of :class:`smsgw.config.ConnectorSettings`."""

    def load() -> Callable[[Any, Any], Any]:
        """Return the callable that makes an :class:`IConnector`, not started, from the settings of its section and
        a clock. The clock provides IReactorTime with monotonic seconds; in the running program it is the reactor. What
        is made and never started must not need to be stopped."""


@attrs.frozen
class WebhookRequest:
    """An HTTP request of an upstream to the gateway: a receipt or an incoming message.

    :ivar query: the raw query, without the question mark. :ivar headers: by lower-case name, the last of each.
    :ivar peer: the IP address of the upstream.
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
        """Handle a webhook. The Deferred fires after its content is committed; if it fails, the upstream gets 503 and
        repeats the webhook. The connector authenticates the upstream."""
