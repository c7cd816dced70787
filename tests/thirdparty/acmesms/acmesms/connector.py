"""The connector between the gateway and ACME."""

from __future__ import annotations

import time
from collections.abc import Sequence

from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from acmesms.protocol import AcmeLink
from acmesms.settings import AcmeSettings
from smsgw.interfaces import Awaited, IConnector, IConnectorSink
from smsgw.model import Busy, DeliveryReport, Lost, Outcome, Part, Rejected, Sent, State

log = Logger()


@implementer(IConnector)
class AcmeConnector:
    """Sends parts to ACME, at most a window of them without an answer."""

    def __init__(self, settings: AcmeSettings, clock: IReactorTime) -> None:
        self.name = settings.name
        self.up = False
        self._settings = settings
        self._clock = clock
        self._taken = 0
        self._sent: dict[str, tuple[Part, float]] = {}
        self._stopping = False
        self._answered: Deferred[None] = Deferred()
        self._service = ClientService(
            clientFromString(clock, settings.endpoint),
            Factory.forProtocol(lambda: AcmeLink(self, settings.key.reveal())),
            clock=clock,
        )
        self._watch = LoopingCall(self._give_up)
        self._watch.clock = clock

    def start(self, sink: IConnectorSink) -> None:
        """Connect, and reconnect whenever the connection is lost."""
        self._sink = sink
        self._service.startService()
        self._watch.start(1.0, now=False)

    def linked(self, link: AcmeLink) -> None:
        """Start sending: ACME has accepted our key."""
        self._link = link
        self.up = True
        self._feed()

    def room(self) -> int:
        """Return the free slots of the window; 0 while the link is down."""
        if not self.up or self._stopping:
            return 0
        return max(self._settings.window - self._taken, 0)

    def _feed(self) -> None:
        """Notify the gateway that there is room; a call too many does no harm."""
        if self.room():
            self._sink.ready(self.name)

    def send(self, parts: Sequence[Part]) -> None:
        """Send all parts in one write."""
        now = self._clock.seconds()
        lines = []
        for part in parts:
            message = part.message
            token = f"{message.id}.{part.seq}"
            self._sent[token] = part, now
            lines.append(("SEND", token, message.recipient, message.content.data_coding, part.octets.hex()))
        self._taken += len(parts)
        self._link.say(lines)

    def release(self, count: int) -> None:
        """Free the slots of outcomes that are on the disk."""
        self._taken -= count
        self._feed()

    def said(self, lines: Sequence[list[str]]) -> None:
        """Sort the lines of one read into outcomes and receipts, and pass on each kind together."""
        outcomes: list[tuple[Part, Outcome]] = []
        reports = []
        for line in lines:
            match line:
                case ["TAKEN", token, id] if token in self._sent:
                    outcomes.append((self._sent.pop(token)[0], Sent(id)))
                case ["BUSY", token] if token in self._sent:
                    outcomes.append((self._sent.pop(token)[0], Busy()))
                case ["NEVER", token, code] if token in self._sent and code.isdecimal():
                    outcomes.append((self._sent.pop(token)[0], Rejected(int(code))))
                case ["DONE", id]:
                    reports.append(DeliveryReport(id, State.DELIVERED, 0, time.time()))
                case ["FAILED", id, code] if code.isdecimal():
                    reports.append(DeliveryReport(id, State.UNDELIVERABLE, int(code), time.time()))
                case _:
                    log.warn("{name}: ACME said something odd: {verb}", name=self.name, verb=line[:1])
        self._tell(outcomes)
        if reports:
            stored = self._sink.receipts(self.name, reports)
            stored.addCallbacks(self._thank, lambda failure: None, (self._link, reports))

    def _thank(self, _: None, link: AcmeLink, reports: Sequence[DeliveryReport]) -> None:
        """Acknowledge receipts that are on the disk; ACME repeats the others."""
        link.say([("THANKS", report.remote_id) for report in reports])

    def _tell(self, outcomes: Sequence[tuple[Part, Outcome]]) -> None:
        if outcomes:
            self._sink.outcomes(self.name, outcomes)
        if self._stopping and not self._sent and not self._answered.called:
            self._answered.callback(None)

    def _give_up(self) -> None:
        """Abort a connection on which an answer takes too long."""
        oldest = next(iter(self._sent.values()), None)
        if oldest is not None and self._clock.seconds() - oldest[1] >= self._settings.patience:
            self._link.transport.abortConnection()

    def unlinked(self) -> None:
        """End the parts without an answer as lost: ACME may have accepted them."""
        self.up = False
        lost, self._sent = self._sent, {}
        self._tell([(part, Lost("the link went")) for part, _ in lost.values()])

    def resume(self, awaited: Sequence[Awaited]) -> None:
        """Do nothing: ACME repeats receipts until we acknowledge them."""

    def stop(self) -> Deferred[None]:
        """Wait for outstanding answers, then disconnect."""
        self._stopping = True
        if self._watch.running:
            self._watch.stop()
        self._tell([])
        return self._answered.addBoth(lambda _: self._service.stopService())
