"""The questions that an engine answers. They only read, and are expressed in tables and columns.

The docstring of a question describes its answer. Rows have the columns of :mod:`smsgw.stores.rows`; states are numbers
that the question brings.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import attrs

from smsgw.stores.steps import Key, Loaded, Question, Row

Place = tuple[Any, ...]
"""A key of a table, in its order; the next page begins behind it."""


@attrs.frozen
class Found(Question[Loaded]):
    """The messages with these ids, in order of ids; then the first `of_batch` messages of each batch with one of the
    other ids; and the parts of all of them."""

    ids: Sequence[int]
    of_batch: int = 0


@attrs.frozen
class BatchCounts(Question[list[Row]]):
    """Rows (state, error, messages, parts, first id, last id) of the next `limit` messages of the batch `id` behind the
    message `after`, one for each state and error code; of `account` unless that is None. `parts` is the sum of their
    parts."""

    account: str | None
    id: int
    after: int
    limit: int


@attrs.frozen
class QueuedConnectors(Question[list[str]]):
    """Names of the connectors for which messages wait, in order."""


@attrs.frozen
class QueueDepth(Question[dict[str, int]]):
    """How many messages wait for `connector`, by account."""

    connector: str


@attrs.frozen
class QueuePage(Question[Loaded]):
    """Waiting messages, and their parts, behind `after` in the order of (-priority, id)."""

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
class WordsOf(Question[list[Row]]):
    """Rows WORDS of the messages `ids`."""

    ids: Sequence[int]


@attrs.frozen
class EventsPage(Question[list[Row]]):
    """Rows MESSAGE (None if the event belongs to no message) and EVENT, behind `after` in the order of (message, seq),
    of events that `node` has."""

    node: str
    login: str
    path: str
    after: tuple[int, int]
    limit: int


@attrs.frozen
class EventsOf(Question[list[Row]]):
    """Rows MESSAGE and EVENT of all events of the message `id`, of `login` over `path`."""

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
    """Rows MESSAGE (None if the event belongs to no message) and EVENT of dead letters behind `after` in the order of
    (message, seq); of `login` unless that is None; of the messages `ids` unless there are none."""

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
    """Rows INCOMING, newest first, with ids below `before`; of `account` unless that is None."""

    account: str | None
    before: int
    limit: int


@attrs.frozen
class ConfirmationBy(Question[str]):
    """The account that waits for a call from `phone` to `number` until after `now`, empty for none."""

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
    """(id, created) of the first message whose id is `id` or higher; None if there is none."""

    id: int


@attrs.frozen
class LastCreated(Question[tuple[int, float] | None]):
    """(id, created) of the last message with an id below `id`; None if there is none."""

    id: int


@attrs.frozen
class MessageSpan(Question[list[Row]]):
    """Rows MESSAGE, newest first, with ids from `lowest` to below `before`, that satisfy all criteria given.

    :ivar states: one of these, empty for any. :ivar since, until: created at or after `since` and before `until`, 0
        for no limit.
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


# Maintenance. `last` of a page is the key up to which it examined rows, `limit` rows behind `after`; None at the end.


@attrs.frozen
class Page:
    """The rows found in a page, and the key where it ends."""

    last: Place | None
    rows: list[Row]
    parts: list[Row] = attrs.field(factory=list)


@attrs.frozen
class DeferredDue(Question[list[Row]]):
    """Rows (due, message, connector, account, -priority, expires, state) of deferred messages that are due by `now`, in
    that order; `state` is that of the message. Messages in `later_state` are left out that are not due by
    `earliest`."""

    now: float
    limit: int
    later_state: int
    earliest: float


@attrs.frozen
class DeferredRetries(Question[list[Row]]):
    """Rows as of :class:`DeferredDue`, of messages in `state` that are due before their validity ends."""

    state: int
    limit: int


@attrs.frozen
class DeferredOf(Question[Page]):
    """Rows MESSAGE of messages deferred for `connector`, and their parts, behind (due, message)."""

    connector: str
    after: Place
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
    """Rows MESSAGE (None if it is deleted), then the part's state (None if it has no row) and the key (remote_id,
    connector, message, seq), of awaited receipts due by `now`, behind such a key."""

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
    """Rows EVENT of events that `node` has, with `at` and `since` before `before`, behind (login, path, message, seq),
    at most `limit` of the next `span` rows."""

    node: str
    after: Place
    limit: int
    span: int
    before: float


@attrs.frozen
class OldMessages(Question[Page]):
    """Rows (id, state, batch) of messages in none of `states`, last changed before `before`, without events and without
    dead letters whose `since` is `before` or later, with ids above `after`, at most `limit` of the next `span` rows."""

    states: Collection[int]
    after: int
    limit: int
    span: int
    before: float


@attrs.frozen
class OldIncoming(Question[Page]):
    """Rows (id,) of incoming texts, calls and keys from before `before`, without events and without dead letters whose
    `since` is `before` or later, with ids above `after`, at most `limit` of the next `span` rows."""

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
    """Rows PARKED of receipts that were parked at `since` or later and are awaited now."""

    since: float
    limit: int
