"""What the connector of one pump reports to. A connector that was replaced still reports to its own pump."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from smsgw.interfaces import IConnectorSink
from smsgw.model.errors import Refused, StoreDown
from smsgw.model.message import DeliveryReport, Incoming, Part
from smsgw.model.outcome import Outcome
from smsgw.services.dispatch.pump import Pump
from smsgw.services.incoming import IncomingSink
from smsgw.services.receipts import Receipts


@implementer(IConnectorSink)
@attrs.frozen(eq=False)
class Sink:
    """The reports of one connector: outcomes go to its pump, receipts and incoming texts to the store."""

    _pump: Pump
    _receipts: Receipts
    _incoming: IncomingSink

    def outcomes(self, connector: str, outcomes: Sequence[tuple[Part, Outcome]]) -> None:
        self._pump.outcomes(outcomes)

    def receipts(self, connector: str, reports: Sequence[DeliveryReport]) -> Deferred[None]:
        """Outcomes are stored before receipts: while outcomes of this connector wait for the store, its receipts are
        refused."""
        if not self._pump.storing:
            return fail(StoreDown("outcomes that came before wait for the store"))
        return self._receipts.receipts(connector, reports)

    def incoming(self, connector: str, incoming: Sequence[Incoming]) -> Deferred[list[Refused | None]]:
        return self._incoming.incoming(connector, incoming)

    def ready(self, connector: str) -> None:
        self._pump.ready()
