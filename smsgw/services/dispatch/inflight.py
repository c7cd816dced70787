"""The parts of one connector, from the claim of their message to the commit of their outcome."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

from smsgw.config import ConnectorSettings
from smsgw.model.changes import PartEnded, PartSent, Requeued
from smsgw.model.lifecycle import State
from smsgw.model.message import Message, Part
from smsgw.model.outcome import Lost, Outcome, Rejected, Sent
from smsgw.services.dispatch.fairqueue import parts_of
from smsgw.services.dispatch.guard import GuardedConnector
from smsgw.services.dispatch.metrics import DispatchMetrics
from smsgw.services.dispatch.outcomes import NOT_SENT, Change, OutcomeBatch, SplitMessage, batch_of, last_words
from smsgw.services.dispatch.retrypolicy import RetryPolicy


class InFlight:
    """The bookkeeping of one connector. Only its own methods change the numbers.

    A part takes one slot of the connector's window, from the claim of its message to the commit of its outcome:

    ============  ====================================================  ==============================================
    the slot is   when                                                  next
    ============  ====================================================  ==============================================
    *reserved*    the commit that claims the message is under way:      committed: :meth:`send`; else :meth:`unreserve`
                  :meth:`reserve` with its acceptance, :meth:`claim`    or :meth:`unclaim`
                  from the queue
    *reserved*    the message is claimed; the connector has no room     :meth:`flush`, or back to the queue by
                  now                                                   :meth:`recall`
    *in flight*   the connector has the part                            :meth:`answered`
    *freeing*     the commit of the outcome is under way                :meth:`committed`; else :meth:`failed`, later
                                                                        :meth:`committing`
    *free*        the outcome is committed
    ============  ====================================================  ==============================================

    So the claimed parts without an outcome in the store fit in the window, with three exceptions: a message longer than
    the window is claimed alone; a crash may leave more than the window, if the window was made smaller since; a claim
    may be committed although the commit of the outcomes that free its slots failed (its parts wait for room).

    :param report_timeout: seconds to wait for a receipt after the outcome. :param seconds: monotonic time.
    """

    def __init__(
        self, connector: GuardedConnector, settings: ConnectorSettings, policy: RetryPolicy, report_timeout: float,
        metrics: DispatchMetrics, seconds: Callable[[], float],
    ) -> None:  # fmt: skip
        self._name = settings.name
        self._metrics = metrics
        self._connector = connector
        self._policy = policy
        self._seconds = seconds
        self._claiming: set[int] = set()
        self._reserved = 0
        self._claimed: deque[Part] = deque()
        self._in_flight: set[Part] = set()
        self._split: dict[int, SplitMessage] = {}
        self._taken = 0
        self._freeing = 0
        self.apply(settings, report_timeout)

    def apply(self, settings: ConnectorSettings, report_timeout: float) -> None:
        """Use these settings from the next message on."""
        self._window = settings.window
        self._report_timeout = report_timeout

    def __len__(self) -> int:
        """How many parts the connector has and has not answered yet."""
        return len(self._in_flight)

    @property
    def claiming(self) -> AbstractSet[int]:
        """Ids of queued messages whose claim is under way; always the same set."""
        return self._claiming

    @property
    def reserved(self) -> int:
        """How many slots are reserved."""
        return self._reserved

    @property
    def claimed(self) -> int:
        """How many claimed parts wait for room."""
        return len(self._claimed)

    @property
    def idle(self) -> bool:
        """Whether no slot is taken, so that a message longer than the window may be claimed."""
        return not (self._in_flight or self._reserved or self._freeing)

    def free(self) -> int:
        """How many parts of further messages may be claimed now.

        Slots that a commit under way frees are counted, since a claim made now is durable together with that commit or
        after it. They are not counted where the rate limits the room, since a free slot adds no tokens to the bucket.
        """
        if self._claimed or not self._connector.up:
            return 0
        room = self._connector.room()
        if room >= self._window - self._taken:
            room += self._freeing
        return room - self._reserved

    # Claims

    def reserve(self, parts: int) -> None:
        """Reserve slots for `parts` parts, which the commit that accepts their messages claims."""
        self._reserved += parts

    def unreserve(self, parts: int) -> None:
        """Free reserved slots: the commit failed, or did not store the messages."""
        self._reserved -= parts

    def claim(self, messages: Sequence[Message]) -> None:
        """Reserve slots for queued messages; the commit that claims them begins."""
        self._reserved += sum(map(parts_of, messages))
        self._claiming.update([message.id for message in messages])

    def unclaim(self, messages: Sequence[Message]) -> None:
        """Free the slots of messages that are not claimed: the commit failed, or they are no longer queued."""
        self._reserved -= sum(map(parts_of, messages))
        self._claiming.difference_update([message.id for message in messages])

    def own(self, messages: Sequence[Message]) -> None:
        """Note that the messages are claimed; :meth:`send` follows."""
        self._claiming.difference_update([message.id for message in messages])
        for message in messages:
            message.claimed = True

    def restore(self, message: Message) -> None:
        """Reserve slots for a message that was claimed before a crash; its unsent parts are sent first."""
        parts = self._parts([message])
        self._reserved += len(parts)
        self._claimed += parts

    # Sending

    def send(self, messages: Sequence[Message]) -> list[tuple[Part, Outcome]]:
        """Send the unsent parts of claimed messages, behind the parts that wait for room already.

        Parts that find no room wait. Returns an outcome for each part at which the connector raised an exception.
        """
        parts = self._parts(messages)
        if self._claimed:
            self._claimed += parts
            return self.flush()
        room = self._connector.room()
        if len(parts) > room:
            self._claimed += parts[room:]
            parts = parts[:room]
        return self._send(parts, room) if parts else []

    def flush(self) -> list[tuple[Part, Outcome]]:
        """Send parts that wait for room, as far as there is room; returns the same as :meth:`send`."""
        waiting = self._claimed
        room = self._connector.room() if waiting else 0
        parts = [waiting.popleft() for _ in range(min(room, len(waiting)))]
        now = self._seconds()
        for part in parts:
            part.since = now
        return self._send(parts, room) if parts else []

    def _send(self, parts: list[Part], room: int) -> list[tuple[Part, Outcome]]:
        """Change the numbers, then call the connector: an outcome that comes during the call finds its part in
        flight."""
        count = len(parts)
        self._reserved -= count
        self._taken += count
        self._in_flight.update(parts)
        return self._connector.send(parts, room)

    def _parts(self, messages: Sequence[Message]) -> list[Part]:
        now = self._seconds()
        parts = [Part(message, 1, now) for message in messages if message.parts == 1]
        if len(parts) < len(messages):
            parts = []
            for message in messages:
                seqs = message.unsent or range(1, message.parts + 1)
                if message.parts > 1:
                    self._split[message.id] = SplitMessage(len(seqs))
                parts += [Part(message, seq, now) for seq in seqs]
        return parts

    def recall(self, now: float) -> OutcomeBatch:
        """Return claimed parts that wait for room to the queue. A message of which other parts are in flight goes back
        when their outcomes are known."""
        changes: list[Change] = []
        unreserved = 0
        waiting: dict[int, list[Part]] = {}
        for part in self._claimed:
            waiting.setdefault(part.message.id, []).append(part)
        for id, parts in waiting.items():
            message = parts[0].message
            split = self._split.get(id)
            if split is not None and split.open > len(parts):
                split.keep(parts)
            else:
                self._split.pop(id, None)
                unreserved += len(parts)
                changes += self._policy.returned(message, [(part.seq, NOT_SENT) for part in parts], now)
        self._claimed.clear()
        return batch_of(changes, 0, unreserved)

    # Outcomes

    def answered(self, answers: Sequence[tuple[Part, Outcome]], now: float, ahead: float) -> OutcomeBatch:
        """What the outcomes mean, for a commit that begins now; the slots they free stay taken until :meth:`committed`.

        Outcomes of parts that are not in flight are counted, and change nothing. `now` is the absolute time; `ahead`,
        by how many seconds it may be later.
        """
        due = now + ahead + self._report_timeout
        sent: list[Change] = [
            PartSent(part.message, 1, outcome.remote_id, due)
            for part, outcome in answers
            if type(outcome) is Sent and part.message.parts == 1
        ]
        if len(sent) == len(answers) and not self._connector.suspects and self._take_all(answers):
            self._metrics.outcomes[self._name, "sent"] += len(sent)
            self._measure(answers)
            self._freeing += len(sent)
            return OutcomeBatch(sent, len(sent))
        batch = OutcomeBatch([])
        counts: Counter[type[Outcome]] = Counter()
        for part, outcome in answers:
            if part not in self._in_flight:
                self._metrics.stray_outcomes[self._name] += 1
                continue
            self._in_flight.remove(part)
            self._measure([(part, outcome)])
            counts[type(outcome)] += 1
            self._decide(part, outcome, batch, now, due)
            if self._connector.suspects:
                self._clear_suspect(part.message, batch.changes)
        for kind, count in counts.items():
            self._metrics.outcomes[self._name, kind.__name__.lower()] += count
        batch.requeued = [one for one in batch.changes if type(one) is Requeued]
        self._freeing += batch.freed
        batch.at_once = any(not one.due and one.connector == self._name for one in batch.requeued)
        return batch

    def _measure(self, answers: Sequence[tuple[Part, Outcome]]) -> None:
        """Count how long the upstream took to answer. Parts of one read were mostly sent at the same time too."""
        if not answers:
            return
        latency = self._metrics.latency[self._name]
        now = self._seconds()
        first = answers[0][0].since
        if first == answers[-1][0].since:
            latency.observe(now - first, len(answers))
        else:
            for since, count in Counter([part.since for part, _ in answers]).items():
                latency.observe(now - since, count)

    def _take_all(self, answers: Sequence[tuple[Part, Outcome]]) -> bool:
        """Remove the parts of `answers` from those in flight if all are in flight, each once; else change nothing."""
        parts = {part for part, _ in answers}
        if len(parts) < len(answers) or not parts <= self._in_flight:
            return False
        self._in_flight -= parts
        return True

    def _decide(self, part: Part, outcome: Outcome, batch: OutcomeBatch, now: float, due: float) -> None:
        """Add the change that follows from one outcome to `batch`, and the slots that are free after its commit.

        If a part of a message was returned unsent, the slots of all its parts stay taken until the last outcome is
        known, since the message is claimed until then.
        """
        changes = batch.changes
        message = part.message
        split = self._split[message.id] if message.parts > 1 else SplitMessage(1)
        split.open -= 1
        split.slots += 1
        if isinstance(outcome, Sent):
            changes.append(PartSent(message, part.seq, outcome.remote_id, due))
        elif isinstance(outcome, Rejected):
            words = last_words(part.seq, State.REJECTED, self._name, now, outcome.why)
            changes.append(PartEnded(message, part.seq, State.REJECTED, outcome.error, words))
        elif self._connector.poisoned(message.id):
            words = last_words(part.seq, State.QUEUED, self._name, now, outcome.why)
            changes.append(PartEnded(message, part.seq, State.FAILED, 0, words))
        else:
            split.returned.append((part.seq, outcome))
            waiting = [one for one in self._claimed if one.message is message]
            if waiting:
                self._claimed = deque(one for one in self._claimed if one.message is not message)
                split.keep(waiting)
        if split.open and split.returned:
            return
        batch.freed += split.slots
        split.slots = 0
        if not split.open:
            self._split.pop(message.id, None)
            batch.unreserved += split.reserved
            if split.returned:
                changes += self._policy.returned(message, split.returned, now)

    def _clear_suspect(self, message: Message, changes: Sequence[Change]) -> None:
        """Forget that the connector raised at this message, unless the message will be sent to it again."""
        last = changes[-1] if changes else None
        again = type(last) is Requeued and last.message is message and last.connector == self._name
        if not again and message.id not in self._split:
            self._connector.clear([message.id])

    def unanswered(self) -> list[tuple[Part, Outcome]]:
        """An outcome for each part that the connector did not answer: it has stopped."""
        parts = sorted(self._in_flight, key=lambda part: (part.message.id, part.seq))
        return [(part, Lost("the connector was stopped")) for part in parts]

    def committing(self, batch: OutcomeBatch) -> None:
        """The commit of outcomes that failed before begins again."""
        self._freeing += batch.freed

    def failed(self, batch: OutcomeBatch) -> None:
        """The commit failed: the slots stay taken."""
        self._freeing -= batch.freed

    def committed(self, batch: OutcomeBatch) -> None:
        """The commit succeeded: the slots are free, and the connector may report that it is ready."""
        self._freeing -= batch.freed
        self._taken -= batch.freed
        self._reserved -= batch.unreserved
        if batch.freed:
            self._connector.release(batch.freed)
