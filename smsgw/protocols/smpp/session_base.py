"""The life of an SMPP session, the same for both ends: states, requests of ours, timers, and taking leave.

The timers are those of 5.0 section 2.7 and are looked at once a second, for all sessions of a factory together.
Whoever waits is told: each request of ours comes back to the delegate exactly once, answered or lost.
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
from smsgw.protocols.smpp.connection import BINDING, CROWDED, PAUSED, UNREAD, SmppConnection
from smsgw.protocols.smpp.metrics import SmppMetrics
from smsgw.protocols.smpp.settings import SessionSettings
from smsgw.protocols.smpp.window import LOST, UNSENT, Answer, SessionRequest, Window
from smsgw.smpp.codec import encode, encode_many, reader
from smsgw.smpp.consts import VERSION_3_4
from smsgw.smpp.errors import PduError
from smsgw.smpp.pdus import EnquireLink, Pdu, Request, Unbind
from smsgw.smpp.session import Role, State

log: Final = Logger()


class SessionDelegate(Protocol):
    """What both ends ask of the program; see :class:`smsgw.interfaces.ISmppDelegate`."""

    def requests(self, session: Any, pdus: Sequence[Pdu], /) -> Deferred[list[Pdu | int]]:
        """Requests of one read; their answers."""

    def answers(self, session: Any, answers: Sequence[Answer], /) -> None:
        """Answers to requests of ours."""

    def bound(self, session: Any, /) -> None:
        """The bind was answered."""

    def ready(self, session: Any, /) -> None:
        """``room()`` has grown."""

    def closed(self, session: Any, why: str, /) -> None:
        """The connection is gone; told for every session that was bound."""


@implementer(ISmppSession)
class SmppSessionBase(SmppConnection):
    """What a delegate sees of a session, and all of it that is not about the PDUs of a read.

    :ivar state: how far the session has come; the same word at both ends.
    :ivar data: the delegate's own.
    """

    peer_role: ClassVar[Role]
    """Who the peer is."""

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
        self._window = Window(window)
        self._unanswered = 0  # requests that are with the delegate
        self._unanswered_octets = 0  # and what was read with them
        # In reading time: since when we wait, and when anything, or what counts as activity, was last heard.
        self._heard = 0.0
        self._active = 0.0
        self._connected_at = 0.0
        self._faults = 0
        # Taking leave.
        self._why = ""
        self._leaving_since: float | None = None
        self._leave_by = 0.0
        self._unbinding = False
        self._last_response: Pdu | None = None
        self._enter(State.OPEN)

    # What the delegate may call

    def room(self) -> int:
        """How many more requests of ours the window takes; 0 when the peer does not receive, or does not read."""
        if not self._sends or self._unread_since is not None:
            return 0
        return max(0, self._window.size - len(self._window))

    def send(self, requests: Sequence[tuple[object, Pdu]]) -> None:
        """Send requests in one write; each token comes back through ``answers`` exactly once.

        Before this returns it does so where nothing can be sent any more (``LOST``), for a PDU that cannot be encoded
        (``UNSENT``), and for one that nothing answers (0).

        :raises ValueError: for more than the window takes; nothing was sent.
        """
        if not requests:
            return
        if not self._sends:
            self._tell([(token, LOST, None) for token, _ in requests])
            return
        window = self._window
        before = len(window)
        if len(requests) > window.size - before:
            raise ValueError(f"{len(requests)} requests, where the window takes {window.size - before}")
        pdus = window.number(requests, self._reading_time())
        try:
            self._write(encode_many(pdus, self.version))
        except PduError:
            self._send_what_can_be(requests)
            return
        if len(window) - before != len(requests):
            self._tell([(token, 0, None) for token, pdu in requests if rules.is_notice(pdu)])

    def pause(self) -> None:
        """Stop looking at what the peer sends; response timers are suspended. Not while taking leave."""
        if self._leaving_since is None:
            self._hold(PAUSED)

    def resume(self) -> None:
        """Look again."""
        self._release(PAUSED)

    def close(self, why: str = "we closed the session") -> None:
        """Refuse what is new (0x08), let both sides answer what is under way, unbind, close."""
        if self._leaving_since is not None:
            return
        if not self.state.bound:
            self._drop(why)
            return
        self._began_to_leave(why)
        self._release(PAUSED | CROWDED)
        self._advance_closing()

    # What the transport calls

    def connectionMade(self) -> None:
        """Begin: the session_init timer runs from here."""
        super().connectionMade()
        self._connected_at = self._heard = self._active = self._seconds()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end, whoever wanted it: whoever waits is told."""
        self._why = self._why or reason.getErrorMessage()
        self.connected = 0  # Twisted leaves that to us
        self._discard_input()
        self._enter(State.CLOSED)
        self._tell_of(self._window.lose())
        if self.bound is not None:
            self._tell_closed()
        self._sessions.discard(self)

    # Requests of ours

    def _send_what_can_be(self, requests: Sequence[tuple[object, Pdu]]) -> None:
        """Send those that can be encoded, in one write still, and tell of the others."""
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
        self._tell(done)

    def _ask(self, errand: SessionRequest, pdu: Request) -> None:
        """Send a request of the session's own."""
        self._window.begin(errand, pdu, self._reading_time())
        self._write(encode(pdu, self.version))

    def _tell_of(self, answers: Sequence[Answer]) -> None:
        """Tell the delegate of its own requests among these that end without an answer."""
        for token, status, pdu in answers:
            if isinstance(token, SessionRequest):
                self._errand_done(token, status, pdu)
        others = [answer for answer in answers if not isinstance(answer[0], SessionRequest)]
        if others:
            self._tell(others)

    def _tell(self, answers: Sequence[Answer]) -> None:
        self._call("answers", self.delegate.answers, answers)

    def _tell_bound(self) -> None:
        self._call("bound", self.delegate.bound)

    def _tell_closed(self) -> None:
        self._call("closed", self.delegate.closed, self._why)

    def _room_grew(self) -> None:
        if self._sends:
            self._call("ready", self.delegate.ready)

    def _call(self, name: str, method: Callable[..., None], *arguments: object) -> None:
        """Call the delegate. Its fault must not cost the peer the session."""
        try:
            method(self, *arguments)
        except Exception:  # noqa: BLE001 - see above; it is logged
            log.failure("the delegate's {method} failed for SMPP peer {peer}", method=name, peer=self.peer)

    def _errand_done(self, errand: SessionRequest, status: int, pdu: Pdu | None) -> None:
        """A request of the session itself came back."""
        if errand is SessionRequest.UNBIND:
            self._leave_by = self._seconds()

    # States, and leaving them

    def _enter(self, state: State) -> None:
        self.state = state
        peer_is_esme = self.peer_role is Role.ESME
        self.transmits = state.submits if peer_is_esme else state.receives
        self.receives = state.receives if peer_is_esme else state.submits
        self._apply_rules()

    def _apply_rules(self) -> None:
        """Settle once per change what would otherwise be asked for every PDU."""
        stays = self._leaving_since is None
        self._read = reader(self.version, self.settings.maxima)
        nacked = self.settings.nacked
        self._legal = rules.for_delegate(self.peer_role, self.state, self.version, nacked) if stays else rules.NOTHING
        self._sends = self.receives and stays

    def _become_bound(self, state: State, bound: BindAccepted) -> None:
        self.bound = bound
        self._window.size = bound.window
        self._sessions.admit(self)
        self._enter(state)

    def _count_fault(self, fault: str, why: str) -> None:
        """Count what the peer did wrong; a stranger may not do so often. Without a reason somebody else tells of it."""
        self._metrics.faults[fault].inc()
        if why and not self._faults and self._sessions.may_log(self):
            log.info("SMPP peer {peer}: {why}; further faults of this session are counted", peer=self.peer, why=why)
        self._faults += 1
        if self.bound is None and self._faults > self.settings.faults_before_bind:
            self._leave("too many faults before a bind", None)

    def _began_to_leave(self, why: str) -> None:
        self._why = self._why or why
        if self._leaving_since is None:
            self._leaving_since = self._seconds()
            self._leave_by = self._leaving_since + self.settings.close_wait
        self._apply_rules()

    def _leave(self, why: str, farewell: Pdu | None) -> None:
        """Listen no more; close as soon as what was read is answered."""
        if self._sessions.may_log(self):
            log.info("SMPP peer {peer}: closing: {why}", peer=self.peer, why=why)
        self._began_to_leave(why)
        self._last_response = farewell
        self._discard_input()

    def _advance_closing(self) -> None:
        """Take the next step of leaving, if what it waits for is there or took too long.

        Nothing that was read stays without its answer for the sake of leaving, so that comes first; the answers to our
        own requests are waited for next, then unbind_resp.
        """
        if self._leaving_since is None or self._abort_at is not None:
            return
        now = self._seconds()
        if self._unanswered:
            if now >= self._leaving_since + self.settings.response:
                self._drop(self._why)
            return
        if self._last_response is not None:
            farewell, self._last_response = self._last_response, None
            self._write(encode(farewell, self.version))
        late = now >= self._leave_by
        if self._deaf:
            self._drop(self._why)
        elif self.state is State.UNBOUND or self._unbinding:
            if late or self._window.idle:
                self._drop(self._why)
        elif late or not len(self._window):
            self._unbinding = True
            self._leave_by = now + self.settings.close_wait
            self._ask(SessionRequest.UNBIND, Unbind())

    # Timers

    def check_time(self, now: float) -> None:
        """Look at every timer; called once a second."""
        if self._leaving_since is not None:
            self._advance_closing()
        if not self._check_link(now):
            return
        settings = self.settings
        time = self._reading_time()
        if self.bound is None:
            patience = settings.session_init + (settings.response if self._holds & BINDING else 0.0)
            if now >= self._connected_at + patience:
                self._expired("session_init", "no bind in time")
            return
        self._expire(time)
        if self._leaving_since is not None:
            return
        # A peer that does not even read what we send is inactive, though we have stopped reading too.
        silence = (now - self._stopped if self._holds == UNREAD else time) - self._active
        if settings.inactivity and silence >= settings.inactivity:
            self._metrics.faults["inactivity"].inc()
            self.close("inactivity timer: nothing was heard of it")
        elif self._doubts_the_peer(time) and not self._window.awaits(SessionRequest.ENQUIRE_LINK):
            self._ask(SessionRequest.ENQUIRE_LINK, EnquireLink())

    def _doubts_the_peer(self, time: float) -> bool:
        """Whether it has been silent, while we listened, for as long as we ask nothing."""
        return 0 < self.settings.enquire_link <= time - self._heard and not self._holds

    def _expire(self, time: float) -> None:
        """Give up requests whose response does not come.

        Whatever arrived since an enquire_link is as good as its answer (5.0 section 4.1.4); nothing at all means that
        the peer is dead.
        """
        late = self._window.expire(time - self.settings.response)
        if not late:
            return
        self._metrics.unanswered.inc(len(late))
        silent = time - self._heard >= self.settings.response
        self._tell_of(late)
        if silent and any(token is SessionRequest.ENQUIRE_LINK for token, _, _ in late):
            self._expired("enquire_link", "the peer is silent")
