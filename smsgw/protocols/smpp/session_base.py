"""The lifecycle of an SMPP session, for both ends: states, our requests, timers, closing.

The timers are those of 5.0 section 2.7; they are checked once a second, for all sessions of a factory together. Each
request of ours is reported to the delegate exactly once, answered or lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.interfaces import BindAccepted, ISmppSession
from smsgw.protocols.connections import Connections
from smsgw.protocols.smpp import rules
from smsgw.protocols.smpp.connection import BINDING, CROWDED, FLOODING, PAUSED, UNREAD, SmppConnection
from smsgw.protocols.smpp.metrics import SmppMetrics
from smsgw.protocols.smpp.settings import SessionSettings
from smsgw.protocols.smpp.window import LOST, UNSENT, Answer, RequestWindow, SessionRequest
from smsgw.smpp.codec import encode, encode_many, reader
from smsgw.smpp.consts import VERSION_3_4
from smsgw.smpp.errors import PduError
from smsgw.smpp.pdus import EnquireLink, Pdu, Request, Unbind
from smsgw.smpp.session import Role, SessionState

log: Final = Logger()


class SessionDelegate(Protocol):
    """The delegate of either end; :class:`smsgw.interfaces.ISmppDelegate` documents the calls."""

    def requests(self, session: Any, pdus: Sequence[Pdu], /) -> Deferred[list[Pdu | int]]:
        """Answer the requests of one read."""

    def answers(self, session: Any, answers: Sequence[Answer], /) -> None:
        """Receive answers to our requests."""

    def bound(self, session: Any, /) -> None:
        """The positive bind response was written or received."""

    def ready(self, session: Any, /) -> None:
        """``room()`` has grown."""

    def closed(self, session: Any, why: str, /) -> None:
        """The connection has closed; called for every session that was bound."""


@implementer(ISmppSession)
class SmppSessionBase(SmppConnection):
    """A session without the processing of read PDUs.

    :ivar state: the state of the session, the same at both ends.
    :ivar data: for the delegate.
    """

    peer_role: ClassVar[Role]
    """The role of the other end."""

    def __init__(
        self,
        delegate: SessionDelegate,
        settings: SessionSettings,
        sessions: Connections[Any],
        window: int,
        metrics: SmppMetrics,
    ) -> None:
        super().__init__(settings, sessions, metrics)
        self.delegate = delegate
        self.bound: BindAccepted | None = None
        self.version = VERSION_3_4
        self.data: Any = None
        self._window = RequestWindow(window)
        self._unanswered = 0  # requests that the delegate has not answered
        self._unanswered_octets = 0  # octets of the reads that brought them
        # In reading time: the last PDU of any kind, and the last one that counts as activity.
        self._last_received = 0.0
        self._last_activity = 0.0
        self._connected_at = 0.0
        self._faults = 0
        # Closing.
        self._why = ""
        self._closing_since: float | None = None
        self._step_deadline = 0.0
        self._unbinding = False
        self._last_response: Pdu | None = None
        self._enter(SessionState.OPEN)

    # Calls of the delegate

    def room(self) -> int:
        """How many more of our requests fit the window; 0 if the peer is not bound to receive, or does not read."""
        if not self._sends or self._unread_since is not None:
            return 0
        return max(0, self._window.size - len(self._window))

    def send(self, requests: Sequence[tuple[object, Pdu]]) -> None:
        """Send requests in one write; each token comes back through ``answers`` exactly once.

        It comes back before this returns if the session cannot send any more (``LOST``), for a PDU that cannot be
        encoded (``UNSENT``), and for a request without response (0).

        :raises ValueError: for more requests than the window takes; none was sent.
        """
        if not requests:
            return
        if not self._sends:
            self._report_answers([(token, LOST, None) for token, _ in requests])
            return
        window = self._window
        before = len(window)
        if len(requests) > window.size - before:
            raise ValueError(f"{len(requests)} requests, but the window takes {window.size - before}")
        pdus = window.number(requests, self._reading_time())
        try:
            self._write(encode_many(pdus, self.version))
        except PduError:
            self._send_encodable(requests)
            return
        if len(window) - before != len(requests):
            self._report_answers([(token, 0, None) for token, pdu in requests if rules.is_notice(pdu)])

    def pause(self) -> None:
        """Stop reading; response timers are suspended. Ignored while closing."""
        if self._closing_since is None:
            self._hold(PAUSED)

    def resume(self) -> None:
        """Read again."""
        self._release(PAUSED)

    def close(self, why: str = "we closed the session") -> None:
        """Refuse new requests (0x08), wait for both sides' answers, unbind, close."""
        if self._closing_since is not None:
            return
        if not self.state.bound:
            self._drop(why)
            return
        self._begin_closing(why)
        self._release(PAUSED | CROWDED | FLOODING)
        self._advance_closing()

    # Calls of the transport

    def connectionMade(self) -> None:
        """Start the session_init timer."""
        super().connectionMade()
        self._connected_at = self._last_received = self._last_activity = self._seconds()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End the session; requests without answer are lost."""
        self._why = self._why or reason.getErrorMessage()
        self.connected = 0  # Twisted's Protocol does not reset it
        self._discard_input()
        if self._flood_ends is not None:
            self._flood_ends.cancel()
        self._enter(SessionState.CLOSED)
        self._end_requests(self._window.lose())
        if self.bound is not None:
            self._notify_closed()
        self._sessions.discard(self)

    # Requests of ours

    def _send_encodable(self, requests: Sequence[tuple[object, Pdu]]) -> None:
        """Send the requests that can be encoded, in one write; report the others as unsent."""
        pieces, done = [], []
        encoded = rules.encode_each([pdu for _, pdu in requests], self.version)
        for (token, pdu), piece in zip(requests, encoded, strict=True):
            if isinstance(piece, PduError):
                log.error("a request to SMPP peer {peer} was not sent: {why}", peer=self.peer, why=piece.why)
                self._window.forget(pdu.sequence_number)
                done.append((token, UNSENT, None))
            else:
                pieces.append(piece)
                if rules.is_notice(pdu):
                    done.append((token, 0, None))
        if pieces:
            self._write(b"".join(pieces))
        self._report_answers(done)

    def _ask(self, request: SessionRequest, pdu: Request) -> None:
        """Send one of the session's own requests."""
        self._window.begin(request, pdu, self._reading_time())
        self._write(encode(pdu, self.version))

    def _end_requests(self, answers: Sequence[Answer]) -> None:
        """End requests that have no answer, the delegate's and the session's own."""
        for token, status, pdu in answers:
            if isinstance(token, SessionRequest):
                self._own_request_done(token, status, pdu)
        others = [answer for answer in answers if not isinstance(answer[0], SessionRequest)]
        if others:
            self._report_answers(others)

    def _report_answers(self, answers: Sequence[Answer]) -> None:
        self._call("answers", self.delegate.answers, answers)

    def _notify_bound(self) -> None:
        self._call("bound", self.delegate.bound)

    def _notify_closed(self) -> None:
        self._call("closed", self.delegate.closed, self._why)

    def _peer_reads_again(self) -> None:
        if self._sends:
            self._call("ready", self.delegate.ready)

    def _call(self, name: str, method: Callable[..., None], *arguments: object) -> None:
        """Call the delegate; an exception of it is logged and does not end the session."""
        try:
            method(self, *arguments)
        except Exception:  # noqa: BLE001 - it is logged
            log.failure("the delegate's {method} failed for SMPP peer {peer}", method=name, peer=self.peer)

    def _own_request_done(self, request: SessionRequest, status: int, pdu: Pdu | None) -> None:
        """One of the session's own requests was answered or lost."""
        if request is SessionRequest.UNBIND:
            self._step_deadline = self._seconds()

    # States and closing

    def _enter(self, state: SessionState) -> None:
        self.state = state
        peer_is_esme = self.peer_role is Role.ESME
        self.transmits = state.submits if peer_is_esme else state.receives
        self.receives = state.receives if peer_is_esme else state.submits
        self._apply_rules()

    def _apply_rules(self) -> None:
        """Recompute the rules that depend on state and version."""
        stays = self._closing_since is None
        self._read = reader(self.version, self.settings.maxima)
        nacked = self.settings.nacked
        self._legal = rules.for_delegate(self.peer_role, self.state, self.version, nacked) if stays else rules.NOTHING
        self._sends = self.receives and stays

    def _become_bound(self, state: SessionState, bound: BindAccepted) -> None:
        self.bound = bound
        self._window.size = bound.window
        self._sessions.admit(self)
        self._enter(state)

    def _count_fault(self, fault: str, why: str) -> None:
        """Count a fault of the peer, and close if an unbound one has too many. An empty reason is not logged."""
        self._metrics.faults[fault] += 1
        if why and not self._faults and self._sessions.may_log(self):
            log.info("SMPP peer {peer}: {why}; further faults of this session are counted", peer=self.peer, why=why)
        self._faults += 1
        if self.bound is None and self._faults > self.settings.faults_before_bind:
            self._close_after_answers("too many faults before a bind", None)

    def _flooding(self) -> None:
        of = self._sessions.surroundings.listener if self.bound is None else self.bound.account
        self._sessions.overloads.hit(
            "pdus", of, f"{self.peer} sends more than {self.settings.pdu_rate:g} PDUs per second that send no message"
            " (pdu_rate); reading pauses"
        )

    def _begin_closing(self, why: str) -> None:
        self._why = self._why or why
        if self._closing_since is None:
            self._closing_since = self._seconds()
            self._step_deadline = self._closing_since + self.settings.close_wait
        self._apply_rules()

    def _close_after_answers(self, why: str, last_response: Pdu | None) -> None:
        """Stop reading; close as soon as the requests read so far are answered."""
        if self._sessions.may_log(self):
            log.info("SMPP peer {peer}: closing: {why}", peer=self.peer, why=why)
        self._begin_closing(why)
        self._last_response = last_response
        self._discard_input()

    def _advance_closing(self) -> None:
        """Take the next step of closing if the previous one is done or took too long.

        The steps are: answer all requests read so far, wait for the answers to our own requests, then for unbind_resp.
        """
        if self._closing_since is None or self._abort_at is not None:
            return
        now = self._seconds()
        if self._unanswered:
            if now >= self._closing_since + self.settings.response:
                self._drop(self._why)
            return
        if self._last_response is not None:
            last_response, self._last_response = self._last_response, None
            self._write(encode(last_response, self.version))
        late = now >= self._step_deadline
        if self._discarding:
            self._drop(self._why)
        elif self.state is SessionState.UNBOUND or self._unbinding:
            if late or self._window.idle:
                self._drop(self._why)
        elif late or not len(self._window):
            self._unbinding = True
            self._step_deadline = now + self.settings.close_wait
            self._ask(SessionRequest.UNBIND, Unbind())

    # Timers

    def check_time(self, now: float) -> None:
        """Check all timers; called once a second."""
        if self._closing_since is not None:
            self._advance_closing()
        if not self._check_link(now):
            return
        settings = self.settings
        time = self._reading_time()
        if self.bound is None:
            patience = settings.session_init + (settings.response if self._holds & BINDING else 0.0)
            if now >= self._connected_at + patience:
                self._timed_out("session_init", "no bind in time")
            return
        self._expire(time)
        if self._closing_since is not None:
            return
        # Reading is paused because the peer does not read: then it counts as inactive.
        silence = (now - self._stopped if self._holds == UNREAD else time) - self._last_activity
        if settings.inactivity and silence >= settings.inactivity:
            self._metrics.faults["inactivity"] += 1
            self.close("inactivity timer: the peer sent nothing")
        elif self._peer_is_silent(time) and not self._window.awaits(SessionRequest.ENQUIRE_LINK):
            self._ask(SessionRequest.ENQUIRE_LINK, EnquireLink())

    def _peer_is_silent(self, time: float) -> bool:
        """Whether the peer has sent nothing for `enquire_link` seconds while we read."""
        return 0 < self.settings.enquire_link <= time - self._last_received and not self._holds

    def _expire(self, time: float) -> None:
        """End requests whose response timer has run out as lost.

        Any PDU since an enquire_link counts as its answer (5.0 section 4.1.4); without one the peer is dead.
        """
        late = self._window.expire(time - self.settings.response)
        if not late:
            return
        self._metrics.unanswered[()] += len(late)
        silent = time - self._last_received >= self.settings.response
        self._end_requests(late)
        if silent and any(token is SessionRequest.ENQUIRE_LINK for token, _, _ in late):
            self._timed_out("enquire_link", "the peer is silent")
