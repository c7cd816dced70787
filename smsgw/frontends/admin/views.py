"""JSON values of messages, receipts and events for the administrator, without private data by default.

Times are seconds since 1970. Unless `private` is set, numbers are masked, and of a text only its alphabet and size are
shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from smsgw.interfaces import BatchCount, MessageDetails, Parked
from smsgw.model.address import masked, masked_sender
from smsgw.model.content import Content
from smsgw.model.errorcodes import meaning
from smsgw.model.lifecycle import FINAL, Notify, State
from smsgw.model.message import Event, Incoming, IncomingKind, Message
from smsgw.text import coding

Fact = dict[str, Any]
"""A JSON object."""

_KINDS: Final = (Notify.ENROUTE, Notify.DELIVERED, Notify.FAILED)
_WORDS: Final[Mapping[str, State]] = {state.word: state for state in State}


def states(words: str) -> list[State]:
    """Parse comma-separated states; case is ignored.

    :raises ValueError: for an unknown word, with the list of the known ones.
    """
    found = []
    for word in filter(None, (word.strip().lower() for word in words.split(","))):
        if word not in _WORDS:
            raise ValueError(f"state: {word!r} is none; there are {', '.join(_WORDS)}")
        found.append(_WORDS[word])
    return found


def summary(message: Message, private: bool = False) -> Fact:
    """Return a message for a list."""
    return {
        "id": message.id,
        "batch": message.batch or None,
        "account": message.account,
        "listener": message.listener or None,
        "path": message.path,
        "connector": message.connector,
        "state": message.state.word,
        "error": message.error,
        "error_meaning": meaning(message.error),
        "from": message.content.sender if private else masked_sender(message.content.sender),
        "to": message.recipient if private else masked(message.recipient),
        "text": _text(message.content, private),
        "parts": message.parts,
        "created": _moment(message.created),
        "changed": _moment(message.changed),
    }


def batch_counts(counts: Iterable[BatchCount]) -> list[Fact]:
    """Return how many messages of a batch are in each state."""
    return [
        {"state": one.state.word, "error": one.error, "messages": one.messages, "parts": one.parts} for one in counts
    ]


def details(traced: MessageDetails, health: Mapping[str, Any], private: bool = False) -> Fact:
    """Return all details of a message, with a ``timeline`` of past and expected steps.

    :param health: has the ``connectors``, and the messages ``without_connector``, by name.
    """
    message = traced.message
    return {
        **summary(message, private),
        "final": message.state in FINAL,
        "priority": message.priority,
        "attempts": message.attempts,
        "notify": [str(kind.name).lower() for kind in _KINDS if message.notify & kind],
        "timeline": list(timeline(traced, _condition(message.connector, health))),
        "upstream_words": [
            {
                "seq": one.seq,
                "connector": one.connector,
                "state": one.state.word,
                "at": _moment(one.at),
                "words": one.text if private else one.text.replace(message.recipient, masked(message.recipient)),
            }
            for one in traced.words
        ],
        "part_states": [
            {"seq": seq, "state": State(state).word, "error": error, "remote_id": remote_id or None}
            for seq, state, error, remote_id in traced.parts
        ],
        "awaited": [
            {"seq": one.seq, "remote_id": one.remote_id, "until": _moment(one.due)} for one in traced.awaited
        ],
        "events": [_event(event) for event in traced.events],
    }


def _condition(name: str, health: Mapping[str, Any]) -> str | None:
    """Return whether a connector is ``up``, ``down``, ``paused`` or ``missing``; None while that is not known."""
    if name in health["without_connector"]:
        return "missing"
    connector = health["connectors"].get(name)
    if connector is None:
        return None
    if connector["paused"]:
        return "paused"
    return "up" if connector["up"] else "down"


def timeline(traced: MessageDetails, condition: str | None) -> Iterator[Fact]:
    """Yield the steps of a message: first the past ones by time, then the ``expected`` ones.

    Of repeated steps (sent, retried) the store keeps the first and the last time.

    :param condition: of the message's connector now.
    """
    message = traced.message
    yield {
        "step": "accepted",
        "at": _moment(message.created),
        "account": message.account,
        "listener": message.listener or None,
    }
    if message.sent:
        yield {
            "step": "handed over",
            "at": _moment(message.sent),
            "connector": message.connector,
            "remote_id": message.remote_id or None,
        }
    if message.state in FINAL:
        yield {"step": message.state.word, "at": _moment(message.changed), "error": message.error}
    else:
        yield from _expected(traced, condition)
    for event in traced.events:
        yield {
            "step": "to be reported",
            "at": _moment(event.due),
            "expected": True,
            "path": message.path,
            "state": event.state.word,
            "attempts": event.attempts,
        }


def _expected(traced: MessageDetails, condition: str | None) -> Iterator[Fact]:
    """Yield the steps that an open message waits for."""
    message = traced.message
    if message.state is State.SCHEDULED:
        yield {"step": "due", "at": _moment(message.due), "expected": True, "connector": message.connector}
    elif message.claimed:
        yield {"step": "answer", "at": None, "expected": True, "connector": message.connector}
    elif any(state < State.ENROUTE for _, state, _, _ in traced.parts):
        yield {
            "step": "room",
            "at": _moment(message.due),
            "expected": True,
            "connector": message.connector,
            "condition": condition,
            "attempts": message.attempts,
        }
    for one in traced.awaited:
        yield {"step": "receipt", "at": _moment(one.due), "expected": True, "seq": one.seq, "remote_id": one.remote_id}
    if message.expires and message.state is not State.ENROUTE:
        yield {"step": "expiry", "at": _moment(message.expires), "expected": True}


def parked(receipts: Iterable[Parked], private: bool = False) -> Sequence[Fact]:
    """Return receipts that match no message. Their text may quote a message, so it is private."""
    return [
        {
            "connector": one.connector,
            "remote_id": one.report.remote_id,
            "state": None if one.report.state is None else one.report.state.word,
            "error": one.report.error,
            "at": _moment(one.report.at),
            "since": _moment(one.since),
            "octets": len(one.report.raw),
            **({"words": one.report.raw.decode("utf-8", "replace")} if private else {}),
        }
        for one in receipts
    ]


def incoming(one: Incoming, private: bool = False) -> Fact:
    """Return an incoming text, call or keys."""
    return {
        "id": one.id,
        "account": one.account,
        "path": one.path,
        "kind": one.kind.name.lower(),
        "connector": one.connector,
        "from": one.sender if private else masked_sender(one.sender),
        "to": one.recipient if private else masked_sender(one.recipient),
        "at": _moment(one.at),
        "answers": one.answers or None,
        "seconds": one.seconds or None,
        "characters": len(one.text) if one.kind is IncomingKind.MESSAGE else None,
        **({"text": one.text} if private else {}),
    }


def given_up(event: Event, private: bool = False) -> Fact:
    """Return a dead letter with the addresses of its message."""
    about = event.message
    number = about.sender if isinstance(about, Incoming) else about.recipient
    return {
        "message": about.id,
        "account": about.account,
        "path": about.path,
        "kind": event.kind.name.lower(),
        "number": number if private else masked(number),
        **_event(event),
    }


def _text(content: Content, private: bool) -> Fact:
    text = content.text()
    return {
        "encoding": coding.alphabet(content.data_coding).value,
        "octets": len(content.octets),
        "characters": len(text),
        **({"text": text} if private else {}),
    }


def _event(event: Event) -> Fact:
    return {
        "state": event.state.word,
        "error": event.error,
        "at": _moment(event.at),
        "attempts": event.attempts,
        "due": _moment(event.due),
    }


def _moment(at: float) -> float | None:
    """Round seconds since 1970 to the millisecond; None if there is no such time."""
    return round(at, 3) if at else None
