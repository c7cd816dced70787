"""The port between the rules of the store and the engines that hold the data.

The rules are generators of *steps*: a generator yields :class:`Load`, :class:`Write` or a question of
:mod:`smsgw.stores.questions`, and is sent the answer. An engine runs such generators one after the other: SQLite in its
thread, the memory engine on later turns of the reactor. An engine knows tables and guards, and no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from smsgw.interfaces import StoreCondition
from smsgw.stores.writeset import WriteSet

T = TypeVar("T")
A = TypeVar("A")

Key = tuple[str, str]
"""(remote_id, connector): the key by which a receipt is matched."""

Row = tuple[Any, ...]
"""Values of one row, in the order that :mod:`smsgw.stores.rows` names."""


class Stale(Exception):
    """A guard failed: the cache or the loaded rows differ from the stored ones. The transaction was rolled back."""


@attrs.define(eq=False)
class Load:
    """The rows that a group commit needs besides the cache; answered with :class:`Loaded`, in one round trip.

    :ivar messages: ids. :ivar cancels: ids of messages or, where there is no such message, of batches.
    :ivar awaited: keys of receipts. :ivar parked: keys under which receipts may be parked.
    :ivar claims: ids of messages to be claimed.
    :ivar conditions: (scope, key) of conditions.
    """

    messages: set[int] = attrs.field(factory=set)
    cancels: set[int] = attrs.field(factory=set)
    awaited: set[Key] = attrs.field(factory=set)
    parked: set[Key] = attrs.field(factory=set)
    claims: set[int] = attrs.field(factory=set)
    conditions: set[tuple[str, str]] = attrs.field(factory=set)

    def __bool__(self) -> bool:
        return bool(self.messages or self.cancels or self.awaited or self.parked or self.claims or self.conditions)


@attrs.define(eq=False)
class Loaded:
    """The loaded rows, with the columns of :mod:`smsgw.stores.rows`.

    :ivar messages: rows with the columns MESSAGE, in order of ids, of the ids and of the batches asked for.
    :ivar awaited: rows with the columns MESSAGE and then (remote_id, connector, seq), ordered by message and seq.
    :ivar parts: rows with the columns PART of all these messages that have several.
    :ivar parked: rows with the columns PARKED.
    :ivar claimable: (id, state) of the messages to be claimed that are waiting or deferred and that no node has
        claimed; an engine of several nodes leaves out messages that another transaction has locked.
    :ivar conditions: rows with the columns CONDITION.
    """

    messages: list[Row] = attrs.field(factory=list)
    awaited: list[Row] = attrs.field(factory=list)
    parts: list[Row] = attrs.field(factory=list)
    parked: list[Row] = attrs.field(factory=list)
    claimable: list[tuple[int, int]] = attrs.field(factory=list)
    conditions: list[Row] = attrs.field(factory=list)


@attrs.define(eq=False)
class Write:
    """Write `writes`, check its guards, commit and sync; answered with None.

    The engine throws into the generator: :class:`Stale` if a guard failed; :class:`~smsgw.model.errors.StoreDown` if
    the engine failed and nothing was stored; :class:`~smsgw.model.errors.UnknownOutcome` if the commit may have
    happened; any other exception if the data cannot be stored. Unless the outcome is unknown the transaction is rolled
    back, and the next step begins a new one.
    """

    writes: WriteSet


@attrs.define(eq=False)
class Register:
    """Begin a new epoch of `node`, with a lease until `lease_until`, and reserve at least `ids` ids for it; answered
    with :class:`Registration`."""

    node: str
    lease_until: float
    ids: int


@attrs.frozen
class Registration:
    """The state of a node when it begins.

    :ivar epoch: counts the node's registrations; the engine refuses every write with another epoch.
    :ivar floor: messages that the node has claimed have ids from `floor` on, or are in the list of claims below it.
    :ivar listed: the length of that list.
    :ivar claimed: (id, parts) of the messages that the node still has claimed.
    :ivar first_id, last_id: the ids that are reserved for the node.
    :ivar parked: keys of all parked receipts; None: there are too many, or other nodes park receipts too.
    """

    epoch: int
    floor: int
    listed: int
    claimed: Sequence[tuple[int, int]]
    first_id: int
    last_id: int
    parked: Sequence[Key] | None


@attrs.define(eq=False)
class MoreIds:
    """Reserve `count` ids for `node`; answered with the (first, last) of them."""

    node: str
    count: int


class Question(Generic[A]):
    """A step that only reads; answered with an A."""


Step = Load | Write | Register | MoreIds | Question[Any]
Steps = Generator[Step, Any, T]
"""A generator of steps that returns a T."""


class Engine(Protocol):
    """Holds the data of a store."""

    shared: bool
    """Whether other nodes may change the same data."""

    def open(self, broke: Callable[[str], None]) -> Any:
        """Open or create the data; called first. May return a Deferred.

        :param broke: called once, in the reactor's thread, when the data can no longer be trusted, with the reason.
        :raises StoreDown: the data cannot be opened; the message says what to do.
        """

    def run(self, steps: Steps[T], done: Callable[[T | Failure], None]) -> None:
        """Take `steps` after those of earlier calls, then call `done` in the reactor's thread with their result or
        failure. `done` may be called before this returns."""

    def room(self) -> bool:
        """Whether there is room for new messages."""

    def check(self) -> StoreCondition:
        """Look at the disk and at the files, if the engine has any; called once a second. If the data are not those
        that were opened, `broke` is called, and no steps succeed any more."""

    def back_up(self, target: Path) -> Deferred[int]:
        """Write a copy of the data to a file, as :meth:`smsgw.interfaces.IMessageStore.back_up`."""

    def close(self) -> Any:
        """Close the data; no steps are run after that. May return a Deferred."""


NO_ID: Final = 2**63 - 1
"""A number above every id."""


def drive(steps: Steps[T], answer: Callable[[Step], Any]) -> T:
    """Take all `steps` at once; `answer` takes one step and returns its answer."""
    try:
        step = next(steps)
        while True:
            try:
                value = answer(step)
            except Exception as why:  # noqa: BLE001 - the steps decide what follows
                step = steps.throw(why)
            else:
                step = steps.send(value)
    except StopIteration as end:
        result: T = end.value
        return result
