"""The decisions of the simulated SMSC: which parts it takes, and which receipts it sends. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from smsgw.config import ConnectorSettings, Globs, fields
from smsgw.model.errorcodes import ErrorCode
from smsgw.model.lifecycle import State
from smsgw.model.message import Message, Part
from smsgw.model.outcome import Busy, Lost, Outcome, Rejected, Sent


@attrs.frozen(kw_only=True)
class LoopbackSettings(ConnectorSettings):
    """The simulated SMSC: accepts each part and reports it delivered. Lists of recipients make it misbehave."""

    rate: float = fields.number("parts per second; 0 = unlimited", 1000)
    delay: float = fields.number("simulated SMSC: seconds to the receipt", 0.1)
    latency: float = fields.number("seconds from a part to its response", 0)
    memory: int = fields.integer("receipts that may be outstanding; above it no part is accepted", 200_000, at_least=1)
    undeliverable: Globs = fields.globs("recipients reported undeliverable")
    expired: Globs = fields.globs("recipients reported expired")
    rejected: Globs = fields.globs("recipients refused at once")
    throttled: Globs = fields.globs("recipients answered busy at first")
    throttles: int = fields.integer("how many attempts to a throttled recipient are answered busy", 1, at_least=1)
    unanswered: Globs = fields.globs("recipients whose parts never get a response")
    patience: float = fields.number("seconds without a response after which a part counts as lost", 10)
    early: Globs = fields.globs("recipients whose receipt comes before the response")
    twice: Globs = fields.globs("recipients whose receipt is repeated")
    never: Globs = fields.globs("recipients whose receipt never comes")


@attrs.define(eq=False)
class Owed:
    """Receipts with the same state and error, for these ids. With `again` each is repeated once."""

    state: State
    error: int
    ids: list[str]
    again: bool = False


@attrs.define(eq=False)
class Reaction:
    """The decisions on the parts of one send.

    :ivar answers: outcomes. :ivar owed: receipts that follow the outcomes.
    :ivar early: parts whose receipt comes before their outcome.
    :ivar silent: parts that are not answered, with the outcome when the connector stops waiting.
    """

    answers: list[tuple[Part, Outcome]] = attrs.field(factory=list)
    owed: list[Owed] = attrs.field(factory=list)
    early: list[tuple[Part, Sent, Owed]] = attrs.field(factory=list)
    silent: list[tuple[Part, Outcome]] = attrs.field(factory=list)


class Behaviour:
    """Decides by the lists of recipients of a section. Without lists, all parts of a send are decided on at once."""

    def __init__(self, settings: LoopbackSettings) -> None:
        self._settings = settings
        self._plain = not any(
            (settings.rejected, settings.throttled, settings.unanswered, settings.early, settings.undeliverable,
             settings.expired, settings.twice, settings.never)
        )

    def react(self, parts: Sequence[Part]) -> Reaction:
        """Decide on each part by the lists."""
        if self._plain:
            ids = [f"{part.message.id}.{part.seq}.{part.message.attempts}" for part in parts]
            return Reaction(
                [(part, Sent(id)) for part, id in zip(parts, ids, strict=True)], [Owed(State.DELIVERED, 0, ids)]
            )
        reaction = Reaction()
        for part in parts:
            self._react(part, reaction)
        return reaction

    def _react(self, part: Part, reaction: Reaction) -> None:
        settings = self._settings
        message = part.message
        recipient = message.recipient
        if settings.rejected.matches(recipient):
            reaction.answers.append((part, Rejected(ErrorCode.UNEXPLAINED, "listed as rejected")))
        elif message.attempts < settings.throttles and settings.throttled.matches(recipient):
            reaction.answers.append((part, Busy(why="listed as throttled")))
        elif settings.unanswered.matches(recipient):
            reaction.silent.append((part, Lost("listed as unanswered")))
        else:
            sent = Sent(f"{message.id}.{part.seq}.{message.attempts}")
            owed = self._receipt(message, sent.remote_id)
            if owed is not None and settings.early.matches(recipient):
                reaction.early.append((part, sent, owed))
                return
            reaction.answers.append((part, sent))
            if owed is not None:
                reaction.owed.append(owed)

    def receipts(self, sent: Sequence[tuple[Message, str]]) -> list[Owed]:
        """The receipts of parts that were sent, as (message, id)."""
        if self._plain:
            return [Owed(State.DELIVERED, 0, [id for _, id in sent])]
        receipts = [self._receipt(message, id) for message, id in sent]
        return [owed for owed in receipts if owed is not None]

    def _receipt(self, message: Message, id: str) -> Owed | None:
        """The receipt of one part, None if the part gets none."""
        settings = self._settings
        recipient = message.recipient
        if settings.never.matches(recipient):
            return None
        again = settings.twice.matches(recipient)
        if settings.undeliverable.matches(recipient):
            return Owed(State.UNDELIVERABLE, ErrorCode.NO_SUBSCRIBER, [id], again)
        if settings.expired.matches(recipient):
            return Owed(State.EXPIRED, ErrorCode.OFFLINE, [id], again)
        return Owed(State.DELIVERED, 0, [id], again)
