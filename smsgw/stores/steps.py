"""The port between the stores' rules and the engines that hold the data.

What is decided is a generator of *steps*: it yields :class:`Load`, :class:`Write` or one of
:mod:`smsgw.stores.questions` and is sent the answer. An engine runs such generators one after the other: SQLite at once
in its thread, others on later turns. It knows tables and guards, and no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import attrs
from twisted.python.failure import Failure

from smsgw.stores.writeset import WriteSet

T = TypeVar("T")
A = TypeVar("A")

Key = tuple[str, str]
"""(remote_id, connector): what a receipt is recognised by."""

Row = tuple[Any, ...]
"""Values of one row, in the order that :mod:`smsgw.stores.rows` names."""


class Stale(Exception):
    """A guard failed: the cache, or what was loaded, is not what is stored. Nothing of the transaction was kept."""


@attrs.define(eq=False)
class Load:
    """What a group commit has to know beyond the cache; answered with :class:`Loaded`, in one round trip.

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
    """Rows, in the order of :mod:`smsgw.stores.rows`.

    :ivar messages: rows with the columns MESSAGE, in order of ids, of the ids and of the batches asked for.
    :ivar awaited: rows with the columns MESSAGE and then (remote_id, connector, seq), ordered by message and seq.
    :ivar parts: rows with the columns PART of all these messages that have several.
    :ivar parked: rows with the columns PARKED.
    :ivar claimable: (id, state) of messages to be claimed that wait, due or not, and that no node has claimed; an
        engine of several nodes leaves out those that another transaction holds.
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
    """Write all of `writes`, guarded, and commit, synced; answered with None.

    The engine throws into the generator: :class:`Stale` when a guard failed; :class:`~smsgw.model.errors.StoreDown`
    when nothing was kept and the data are not to blame; :class:`~smsgw.model.errors.UnknownOutcome` when the commit may
    have happened; anything else when the data cannot be stored. Unless the outcome is unknown nothing of it is kept,
    and the next step begins a new transaction.
    """

    writes: WriteSet


@attrs.define(eq=False)
class Register:
    """Take the lease of `node` for a new epoch, until `lease_until`, and set ids aside for it, `ids` at least; answered
    with :class:`Registration`."""

    node: str
    lease_until: float
    ids: int


@attrs.frozen
class Registration:
    """What a node begins with.

    :ivar epoch: counts the node's registrations; a write with another one is refused as stale for good.
    :ivar floor: what the node claimed has ids from here on, or is listed. :ivar listed: how many are listed.
    :ivar claimed: (id, parts) of the messages that it still has claimed. :ivar first_id, last_id: ids it may give out.
    :ivar parked: keys of all parked receipts where only this node parks any; None: too many, or others do, too.
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
    """Set `count` ids aside for `node`; answered with the (first, last) of them."""

    node: str
    count: int


class Question(Generic[A]):
    """A step that changes nothing; answered with an A."""


Step = Load | Write | Register | MoreIds | Question[Any]
Steps = Generator[Step, Any, T]
"""What is decided, as the steps it takes; returns its result."""


class Engine(Protocol):
    """Where the data are."""

    shared: bool
    """Whether other nodes may change the same data."""

    def open(self, broke: Callable[[str], None]) -> Any:
        """Open or create; before anything else. May return a Deferred.

        :param broke: is called, once, in the reactor's thread, when the data can no longer be trusted, with the reason.
        :raises StoreDown: when it cannot be opened, saying what to do.
        """

    def run(self, steps: Steps[T], done: Callable[[T | Failure], None]) -> None:
        """Take all `steps`, behind those of earlier calls, and then call `done` in the reactor's thread with what they
        returned or raised. `done` may be called before this returns."""

    def room(self) -> bool:
        """Whether there is room for new messages."""

    def close(self) -> Any:
        """Let go of everything; nothing is run any more. May return a Deferred."""


NO_ID: Final = 2**63 - 1
"""Above every id that is given out."""


def drive(steps: Steps[T], answer: Callable[[Step], Any]) -> T:
    """Take all `steps` at once; `answer` takes one of them."""
    try:
        step = next(steps)
        while True:
            try:
                value = answer(step)
            except Exception as why:  # noqa: BLE001 - whatever it is, the steps decide what follows
                step = steps.throw(why)
            else:
                step = steps.send(value)
    except StopIteration as end:
        result: T = end.value
        return result
