"""The questions that an engine answers: pages and look-ups that change nothing, in terms of tables.

Each says what it is answered with. Rows are in the order of :mod:`smsgw.stores.rows`; states are numbers that come with
the question.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import attrs

from smsgw.stores.steps import Key, Loaded, Question, Row

Place = tuple[Any, ...]
"""A key in the order of a table: pages go on behind it."""


@attrs.frozen
class Found(Question[Loaded]):
    """Messages, and their parts, of ids; of an id of no message those of the batch. In order of ids."""

    ids: Sequence[int]


@attrs.frozen
class QueuedConnectors(Question[list[str]]):
    """Names of the connectors for which messages wait that are due, in order."""


@attrs.frozen
class QueueDepth(Question[dict[str, int]]):
    """How many messages wait for `connector` and are due, by account."""

    connector: str


@attrs.frozen
class QueuePage(Question[Loaded]):
    """Messages that wait and are due, and their parts, behind `after` in the order of (-priority, id)."""

    connector: str
    account: str
    after: tuple[int, int]
    limit: int


@attrs.frozen
class AwaitedPage(Question[list[Row]]):
    """Rows MESSAGE and then (remote_id, seq, due) of receipts awaited from `connector`, of messages in `state`, behind
    `after` in the order of (message, seq)."""

    connector: str
    state: int
    after: tuple[int, int]
    limit: int


@attrs.frozen
class AwaitedOf(Question[list[Row]]):
    """Rows (seq, remote_id, due) of receipts awaited for the message `id`, of these `remote_ids`."""

    id: int
    remote_ids: Sequence[str]


@attrs.frozen
class EventsPage(Question[list[Row]]):
    """Rows MESSAGE (None where it is not about a message) and EVENT, behind `after` in the order of (message, seq), of
    those that `node` has."""

    node: str
    login: str
    path: str
    after: tuple[int, int]
    limit: int


@attrs.frozen
class EventsOf(Question[list[Row]]):
    """The same of all events about the message `id`, of `login` over `path`."""

    login: str
    path: str
    id: int


@attrs.frozen
class EventLogins(Question[list[str]]):
    """Logins for which `node` has events on `path`, in order."""

    node: str
    path: str


@attrs.frozen
class DeadLetters(Question[list[Row]]):
    """Rows MESSAGE (None where it is not about a message) and EVENT of dead letters behind `after` in the order of
    (message, seq); of `login`, if it is not None, and of these messages, if there are any."""

    login: str | None
    after: tuple[int, int]
    limit: int
    ids: Sequence[int] = ()


@attrs.frozen
class IncomingById(Question[list[Row]]):
    """Rows INCOMING of these ids."""

    ids: Sequence[int]


@attrs.frozen
class IncomingPage(Question[list[Row]]):
    """Rows INCOMING, newest first, with ids below `before`; of `account`, if it is not None."""

    account: str | None
    before: int
    limit: int


@attrs.frozen
class ConfirmationBy(Question[str]):
    """The account that waits for a call from `phone` to `number` still after `now`, empty for none."""

    phone: str
    number: str
    now: float


@attrs.frozen
class StateCounts(Question[dict[int, int]]):
    """How many messages are stored, by state, over all nodes."""


@attrs.frozen
class ParkedPage(Question[list[Row]]):
    """Rows PARKED, oldest first."""

    limit: int


@attrs.frozen
class NextCreated(Question[tuple[int, float] | None]):
    """(id, created) of the first message with `id` or a higher one; None if there is none."""

    id: int


@attrs.frozen
class LastCreated(Question[tuple[int, float] | None]):
    """(id, created) of the last message with an id below `id`; None if there is none."""

    id: int


@attrs.frozen
class MessageSpan(Question[list[Row]]):
    """Rows MESSAGE, newest first, with ids from `lowest` to below `before`, that fit everything given.

    :ivar states: one of these, empty for any. :ivar since, until: created at or after, and before; 0 for no bound.
    :ivar marked: the first octet of `data`, -1 for any.
    """

    lowest: int
    before: int
    limit: int
    account: str | None
    recipient: str
    since: float
    until: float
    states: Sequence[int]
    marked: int


# Upkeep. Pages of cursors say with `last` up to where they looked: the key `limit` rows behind `after`, None at the
# end.


@attrs.frozen
class Page:
    """Rows found in a page, and up to where it went."""

    last: Place | None
    rows: list[Row]
    parts: list[Row] = attrs.field(factory=list)


@attrs.frozen
class DeferredDue(Question[list[Row]]):
    """Rows (due, message, connector, account, -priority, expires, state) of what is due by `now`, in that order;
    `state` is that of the message."""

    now: float
    limit: int


@attrs.frozen
class ExpiredWaiting(Question[Page]):
    """Messages among `waiting` whose validity ended by `now`, behind (connector, account, -priority, message)."""

    after: Place
    limit: int
    now: float


@attrs.frozen
class ExpiredDeferred(Question[Page]):
    """Messages among `deferred` whose validity ended by `now`, behind (due, message)."""

    after: Place
    limit: int
    now: float


@attrs.frozen
class OverdueAwaited(Question[Page]):
    """Rows MESSAGE (None where there is none any more), then the part's state (None where it has no row) and the key
    (remote_id, connector, message, seq), of receipts due by `now`, behind such a key."""

    after: Place
    limit: int
    now: float


@attrs.frozen
class ClaimedPage(Question[Loaded]):
    """Messages, and their parts, that one of `nodes` has claimed, with ids above `after`."""

    nodes: Sequence[str]
    after: int
    limit: int


@attrs.frozen
class Nodes(Question[list[Row]]):
    """Rows (name, epoch, lease_until) of all nodes."""


@attrs.frozen
class OldEvents(Question[Page]):
    """Rows EVENT of those that `node` has, whose `at` and `since` are before `before`, behind (login, path, message,
    seq), at most `limit` of the next `span` rows."""

    node: str
    after: Place
    limit: int
    span: int
    before: float


@attrs.frozen
class OldMessages(Question[Page]):
    """Rows (id, state, batch) of messages that are in none of `states`, last changed before `before` and of which no
    event is owed, with ids above `after`, at most `limit` of the next `span` rows."""

    states: Collection[int]
    after: int
    limit: int
    span: int
    before: float


@attrs.frozen
class OldIncoming(Question[Page]):
    """Rows (id,) of what came from subscribers before `before` and of which no event is owed, with ids above `after`,
    at most `limit` of the next `span` rows."""

    after: int
    limit: int
    span: int
    before: float


@attrs.frozen
class OldParked(Question[list[Key]]):
    """Keys of receipts parked before `before`, oldest first."""

    before: float
    limit: int


@attrs.frozen
class ParkedAndAwaited(Question[list[Row]]):
    """Rows PARKED of receipts parked at `since` or later under a key that is awaited now."""

    since: float
    limit: int
