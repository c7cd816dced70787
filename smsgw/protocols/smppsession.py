"""One SMPP connection, the same for both ends: what is read in lists, answered in lists, and bounded everywhere.

A read brings many PDUs. Those that are for the program go to its delegate in one call, in wire order; what the session
answers itself (enquire_link, a wrong state, a PDU that cannot be decoded) keeps its place between the answers of the
delegate, and all of them leave in one write. Several reads may be with the delegate at once. Requests of ours go out
in one write each and come back through the delegate exactly once, answered or lost.

Reading stops while a bind is looked at, while the delegate wishes it, while too many requests are unanswered and while
the peer does not read what it is sent. What is there already is kept as octets, and our timers stand still: a peer
that we do not listen to is not held to have been silent. The timers are looked at once a second for all sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IPushProducer, ISSLTransport, ITCPTransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.interfaces import Bound, ISmppSession
from smsgw.protocols import smpprules as rules
from smsgw.protocols.smppsessions import Sessions
from smsgw.protocols.smppsettings import SessionSettings
from smsgw.protocols.smppwindow import LOST, UNSENT, Answer, Errand, Window
from smsgw.smpp.codec import Framer, decode_many, encode_many, refusal
from smsgw.smpp.consts import VERSION_3_4, Status
from smsgw.smpp.errors import Answerable, PduError
from smsgw.smpp.maxima import checker
from smsgw.smpp.pdus import Bind, EnquireLink, EnquireLinkResp, GenericNack, Pdu, Request, Unbind, UnbindResp
from smsgw.smpp.session import Role, State, judge
from smsgw.telemetry import Counter

READ: Final = Counter("smsgw_smpp_pdus_read_total", "SMPP PDUs read, good or bad, of all sessions.")
FAULTS: Final = Counter("smsgw_smpp_faults_total", "What SMPP peers did wrong.", ("fault",))
TIMEOUTS: Final = Counter("smsgw_smpp_unanswered_total", "Requests to SMPP peers whose response timer ran out.")

# Why nothing is read now; several reasons may hold at once.
_BINDING: Final = 1
_PAUSED: Final = 2
_WINDOW: Final = 4
_UNREAD: Final = 8

_TRANSPORT_BUFFER: Final = 64 * 1024
"""Octets not read by the peer at which a transport pauses its producer."""

log: Final = Logger()


class SessionDelegate(Protocol):
    """What both ends ask of the program; see :class:`smsgw.interfaces.ISmppDelegate`."""

    def requests(self, session: Any, pdus: Sequence[Pdu], /) -> Deferred[list[Pdu | int]]:
        """Requests of one read; their answers."""

    def answers(self, session: Any, answers: Sequence[Answer], /) -> None:
        """Answers to requests of ours; an empty list says that ``room()`` has grown."""

    def closed(self, session: Any, why: str, /) -> None:
        """The connection is gone; told for every session that was bound."""


@implementer(ISmppSession, IPushProducer)
class SmppSession(TwistedProtocol):
    """The end of a connection that :class:`SmppServer` and :class:`SmppClient` share.

    :ivar state: how far the session has come, seen from here.
    :ivar data: the delegate's own.
    """

    sender: ClassVar[Role]
    """Who the peer is."""
    turning_points: ClassVar[frozenset[bytes]]
    """command_ids, as on the wire, of what may turn an open session into a bound one."""

    transport: Any

    def __init__(self, delegate: SessionDelegate, settings: SessionSettings, sessions: Sessions, window: int) -> None:
        self.delegate = delegate
        self.settings = settings
        self.bound: Bound | None = None
        self.version = VERSION_3_4
        self.peer = ""
        self.tls = False
        self.data: Any = None
        self._sessions = sessions
        self._seconds = sessions.clock.seconds
        self._check = checker(settings.maxima)
        self._window = Window(window)
        self._framer = Framer(settings.pdu_limit)
        self._kept: list[bytes] = []  # as read, not cut
        self._frames: list[bytes] = []  # cut, not decoded
        self._pumping = False
        self._unanswered = 0  # requests that are with the delegate
        # Why nothing is read, since when, and how long that has been so in all.
        self._holds = 0
        self._held_at = 0.0
        self._stopped = 0.0
        # When things began or were last seen, for the timers.
        self._connected_at = 0.0
        self._heard = 0.0
        self._active = 0.0
        self._half_since: float | None = None
        # What the peer does not read.
        self._unread_since: float | None = None
        self._unread = 0
        self._unread_full_since: float | None = None
        # Faults.
        self._faults = 0
        self._undecodable = 0
        self._nacks = 0
        # Taking leave.
        self._why = ""
        self._leaving_since: float | None = None
        self._leave_by = 0.0
        self._unbinding = False
        self._farewell: Pdu | None = None
        self._deaf = False
        self._abort_at: float | None = None
        self._enter(State.OPEN)

    # What the delegate may call

    def room(self) -> int:
        """How many more requests of ours the window takes; 0 when the peer does not receive, or does not read."""
        if not self._sends or self._unread_since is not None:
            return 0
        return max(0, self._window.size - len(self._window))

    def send(self, requests: Sequence[tuple[object, Pdu]]) -> None:
        """Send requests in one write; each token comes back through ``answers`` exactly once.

        Before this returns it does so where nothing can be sent any more (``LOST``) and for a PDU that cannot be
        encoded (``UNSENT``).

        :raises ValueError: for more than the window takes; nothing was sent.
        """
        if not self._sends:
            self._tell([(token, LOST, None) for token, _ in requests])
            return
        before = len(self._window)
        if len(requests) > self._window.size - before:
            raise ValueError(f"{len(requests)} requests, where the window takes {self._window.size - before}")
        pdus = self._window.number(requests, self._seconds() - self._stopped)
        try:
            self._write(encode_many(pdus, self.version))
        except PduError:
            self._send_what_can_be(requests)
        if len(self._window) - before != len(requests):
            done = [(t, 0, None) for t, pdu in requests if isinstance(pdu, Request) and pdu.response is None]
            if done:
                self._tell(done)

    def pause(self) -> None:
        """Stop looking at what the peer sends; response timers are suspended. Not while taking leave."""
        if self._leaving_since is None:
            self._hold(_PAUSED)

    def resume(self) -> None:
        """Look again."""
        self._release(_PAUSED)

    def close(self, why: str = "we closed the session") -> None:
        """Take no more, let both sides answer what is under way, unbind, close."""
        if self._leaving_since is not None:
            return
        if not self.state.bound:
            self._drop(why)
            return
        self._begin_leaving(why)
        self._release(_PAUSED | _WINDOW)
        self._settle()

    def abort(self, why: str) -> None:
        """Go at once, whatever is under way."""
        self._drop(why)
        self.transport.abortConnection()

    # What the transport calls

    def connectionMade(self) -> None:
        """Begin: the session_init timer runs from here."""
        self.peer = str(getattr(self.transport.getPeer(), "host", ""))
        self.tls = ISSLTransport.providedBy(self.transport)
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self._connected_at = self._heard = self._active = self._seconds()
        self._sessions.add(self)
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Take what was read, now or when reading goes on."""
        if self._deaf:
            return
        self._kept.append(data)
        if not self._holds:
            self._pump()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end, whoever wanted it: whoever waits is told."""
        self._why = self._why or reason.getErrorMessage()
        self._deaf = True
        self._kept.clear()
        self._frames.clear()
        self._enter(State.CLOSED)
        self._sessions.discard(self)
        lost = []
        for token, status, pdu in self._window.lose():
            if isinstance(token, Errand):
                self._errand_done(token, status, pdu)
            else:
                lost.append((token, status, pdu))
        if lost:
            self._tell(lost)
        if self.bound is not None:
            self._tell_closed()

    def pauseProducing(self) -> None:
        """The peer does not read what it is sent: let it wait with its requests."""
        if self._unread_since is None:
            self._unread_since = self._seconds()
            self._unread = _TRANSPORT_BUFFER
            self._hold(_UNREAD)

    def resumeProducing(self) -> None:
        """It has read everything."""
        self._unread_since = self._unread_full_since = None
        self._release(_UNREAD)
        if self._sends:
            self._tell([])

    def stopProducing(self) -> None:
        """The transport ends; :meth:`connectionLost` follows."""

    # From octets to PDUs

    def _pump(self) -> None:
        """Go on with what is there until there is nothing, or a reason not to."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while not self._holds and not self._deaf:
                if self._frames:
                    self._take(decode_many(self._next_frames(), self.version))
                elif self._kept:
                    self._cut()
                elif self._framer.broken is not None:
                    broken = self._framer.broken
                    self._count_fault("framing", broken.why)
                    self._leave(broken.why, refusal(broken))
                    self._settle()
                else:
                    break
        finally:
            self._pumping = False

    def _cut(self) -> None:
        data = b"".join(self._kept)
        self._kept.clear()
        self._frames = self._framer.feed(data)
        if not self._framer.pending:
            self._half_since = None
        elif self._frames or self._half_since is None:
            self._half_since = self._seconds()

    def _next_frames(self) -> list[bytes]:
        """What may be decoded before anything else is known: a bind and its answer change how to read what follows."""
        frames, self._frames = self._frames, []
        if self.state is State.OPEN:
            for at, frame in enumerate(frames):
                if frame[4:8] in self.turning_points:
                    cut = at or 1
                    self._frames = frames[cut:]
                    return frames[:cut]
        return frames

    def _take(self, pdus: list[Pdu | Answerable]) -> None:
        """Sort the PDUs of one read: for the delegate, for the window, for ourselves."""
        legal, check, match = self._legal, self._check, self._window.match
        requests: list[Any] = []
        answers: list[Answer] = []
        ours: list[tuple[int, Pdu]] = []  # what we answer, and how many requests of the delegate come before it
        undecodable, nacks = self._undecodable, self._nacks
        pdu: Any
        for pdu in pdus:
            kind = pdu.__class__
            if kind in legal:
                undecodable = nacks = 0
                status = check(pdu)
                if not status:
                    requests.append(pdu)
                else:
                    ours.append((len(requests), rules.refuse(pdu, status)))
                continue
            reply: Pdu | None = None
            if kind in rules.RESPONSES:
                undecodable = 0
                answer = match(pdu)
                if answer is not None:
                    nacks = 0
                    self._sort(answer, answers)
                    if answer[1] == LOST:
                        self._count_fault("response", f"{pdu.name} to a request of another kind")
                    continue
                if kind is GenericNack:
                    nacks += 1
                    if nacks > 1:
                        self._leave("generic_nack again and again, for nothing we sent", None)
                self._count_fault("stray", f"{pdu.name} that nobody waits for, number {pdu.sequence_number}")
            elif kind is Answerable:
                undecodable += 1
                reply = self._undecoded(pdu, answers)
                if undecodable > self.settings.undecodable:
                    self._leave("too many PDUs in a row that cannot be decoded", None)
            else:
                undecodable = nacks = 0
                reply = self._own_business(pdu)
                legal = self._legal
            if reply is not None:
                ours.append((len(requests), reply))
            if self._deaf:
                break
        self._undecodable, self._nacks = undecodable, nacks
        READ.add(len(pdus))
        self._heard = self._seconds()
        if not self.settings.only_requests_keep_alive or requests or ours:
            self._active = self._heard
        if answers:
            self._tell(answers)
        if requests:
            self._hand_over(requests, ours)
        elif ours:
            self._write(self._encoded([pdu for _, pdu in ours]))
        if self._leaving_since is not None:
            self._settle()

    def _sort(self, answer: Answer, answers: list[Answer]) -> None:
        """Whose request was answered: the delegate's or our own?"""
        token, status, pdu = answer
        if isinstance(token, Errand):
            self._errand_done(token, status, pdu)
        else:
            answers.append(answer)

    def _undecoded(self, wrong: Answerable, answers: list[Answer]) -> Pdu | None:
        """The answer to a PDU that cannot be decoded; an undecodable response loses the request it belongs to."""
        self._count_fault("undecodable", wrong.why)
        if wrong.answer_id is None:
            answer = self._window.fail(wrong.sequence_number)
            if answer is not None:
                self._sort(answer, answers)
        return refusal(wrong)

    def _own_business(self, pdu: Pdu) -> Pdu | None:
        """The answer to what never reaches the delegate: housekeeping, and what is not legal now."""
        wrong = judge(pdu, self.sender, self.state)
        if wrong is not None:
            self._count_fault("illegal", wrong.why)
            return refusal(wrong)
        if isinstance(pdu, EnquireLink):
            return EnquireLinkResp(pdu.sequence_number)
        if isinstance(pdu, Unbind):
            self._begin_leaving("the peer has unbound")
            self._farewell = UnbindResp(pdu.sequence_number)
            self._enter(State.UNBOUND)
            return None
        if isinstance(pdu, Bind):
            return self._bind_requested(pdu)
        if self._leaving_since is not None:
            return rules.refuse(pdu, Status.ESME_RSYSERR)
        self._count_fault("illegal", f"{pdu.name} on a session of version 0x{self.version:02X}")
        return GenericNack(pdu.sequence_number, int(Status.ESME_RINVCMDID))

    def _bind_requested(self, pdu: Bind) -> Pdu | None:
        """A bind that is legal in this state; only a message centre sees one."""
        return rules.refuse(pdu, Status.ESME_RINVCMDID)

    def _errand_done(self, errand: Errand, status: int, pdu: Pdu | None) -> None:
        """A request of the session itself came back.

        Whatever arrived since an enquire_link is as good as its answer (5.0 section 4.1.4).
        """
        now = self._seconds()
        if errand is Errand.UNBIND:
            self._leave_by = now
        elif errand is Errand.ENQUIRE_LINK and status == LOST and now >= self._heard + self.settings.response:
            self._expired("enquire_link", "the peer is silent")

    # From requests to answers

    def _hand_over(self, requests: list[Pdu], ours: list[tuple[int, Pdu]]) -> None:
        self._unanswered += len(requests)
        if self._unanswered >= self.settings.window:
            self._hold(_WINDOW)
        results = maybeDeferred(self.delegate.requests, self, requests)
        results.addErrback(self._excuse, requests)
        results.addCallback(self._answer, requests, ours)
        results.addErrback(self._give_up)

    def _excuse(self, failure: Failure, requests: list[Pdu]) -> list[Pdu | int]:
        log.failure("{count} requests of SMPP peer {peer}", failure, count=len(requests), peer=self.peer)
        return [int(Status.ESME_RSYSERR)] * len(requests)

    def _give_up(self, failure: Failure) -> None:
        log.failure("answers to SMPP peer {peer}", failure, peer=self.peer)
        self.abort("an internal error")

    def _answer(self, results: list[Pdu | int], requests: list[Request], ours: list[tuple[int, Pdu]]) -> None:
        """Write the answers of one read."""
        self._unanswered -= len(requests)
        if self._abort_at is not None or self.state is State.CLOSED:
            return
        if len(results) != len(requests):
            log.error(
                "{count} answers to {wanted} requests of SMPP peer {peer}",
                count=len(results),
                wanted=len(requests),
                peer=self.peer,
            )
            results = [int(Status.ESME_RSYSERR)] * len(requests)
        responses: list[Pdu | None] = []
        complete = True
        for request, result in zip(requests, results, strict=True):
            if not isinstance(result, int):
                result.sequence_number = request.sequence_number
                responses.append(result)
            elif request.response is not None:
                responses.append(request.response(request.sequence_number, result))
            else:
                complete = False
                responses.append(None)
        if ours or not complete:
            responses = rules.interleave(responses, ours)
        self._write(self._encoded(responses))
        if self._holds & _WINDOW and self._unanswered < self.settings.window:
            self._release(_WINDOW)
        if self._leaving_since is not None:
            self._settle()

    def _encoded(self, responses: Sequence[Any]) -> bytes:
        """The octets of all; what cannot be written becomes a system error of the same request."""
        try:
            return encode_many(responses, self.version)
        except PduError:
            pieces = []
            for pdu in responses:
                try:
                    pieces.append(encode_many([pdu], self.version))
                except PduError as unfit:
                    log.error("an answer to SMPP peer {peer} cannot be written: {why}", peer=self.peer, why=unfit.why)
                    instead = type(pdu)(pdu.sequence_number, int(Status.ESME_RSYSERR))
                    pieces.append(encode_many([instead], self.version))
            return b"".join(pieces)

    def _send_what_can_be(self, requests: Sequence[tuple[object, Pdu]]) -> None:
        """Send those that can be encoded, in one write still, and tell of the others."""
        pieces, unsent = [], []
        for token, pdu in requests:
            try:
                pieces.append(encode_many([pdu], self.version))
            except PduError as unfit:
                log.error("a request to SMPP peer {peer} cannot be written: {why}", peer=self.peer, why=unfit.why)
                self._window.forget(pdu.sequence_number)
                unsent.append((token, UNSENT, None))
        if pieces:
            self._write(b"".join(pieces))
        self._tell(unsent)

    def _ask(self, errand: Errand, pdu: Request) -> None:
        """Send a request of the session's own."""
        self._window.begin(errand, pdu, self._seconds() - self._stopped)
        self._write(encode_many([pdu], self.version))

    def _write(self, octets: bytes) -> None:
        if self._abort_at is not None or self.state is State.CLOSED:
            return
        self.transport.write(octets)
        if self._unread_since is not None:
            self._unread += len(octets)
            if self._unread_full_since is None and self._unread > self.settings.unread_abort:
                self._unread_full_since = self._seconds()

    # Telling the delegate

    def _tell(self, answers: Sequence[Answer]) -> None:
        try:
            self.delegate.answers(self, answers)
        except Exception:
            log.failure("{count} answers of SMPP peer {peer}", count=len(answers), peer=self.peer)

    def _tell_closed(self) -> None:
        try:
            self.delegate.closed(self, self._why)
        except Exception:
            log.failure("the end of the session with SMPP peer {peer}", peer=self.peer)

    # Reading or not

    def _hold(self, reason: int) -> None:
        if not self._holds:
            self._held_at = self._seconds()
            self.transport.pauseProducing()
        self._holds |= reason

    def _release(self, reason: int) -> None:
        if not self._holds & reason:
            return
        self._holds &= ~reason
        if self._holds:
            return
        held = self._seconds() - self._held_at
        self._stopped += held
        self._heard += held
        self._active += held
        if self._half_since is not None:
            self._half_since += held
        self._pump()
        if not self._holds and not self._deaf:
            self.transport.resumeProducing()

    # States and leaving them

    def _enter(self, state: State) -> None:
        self.state = state
        peer_is_esme = self.sender is Role.ESME
        self.transmits = state.submits if peer_is_esme else state.receives
        self.receives = state.receives if peer_is_esme else state.submits
        self._apply_rules()

    def _apply_rules(self) -> None:
        """Settle once per change what is asked for every PDU."""
        stays = self._leaving_since is None
        self._legal = rules.for_delegate(self.sender, self.state, self.version) if stays else rules.NOTHING
        self._sends = self.receives and stays

    def _become_bound(self, state: State, bound: Bound) -> None:
        self.bound = bound
        self._window.size = bound.window
        self._sessions.unbound.discard(self)
        self._enter(state)

    def _count_fault(self, fault: str, why: str) -> None:
        """Count what the peer did wrong; a stranger may not do so often."""
        FAULTS.add(1.0, fault)
        if not self._faults:
            log.info("SMPP peer {peer}: {why}; more of this session are only counted", peer=self.peer, why=why)
        self._faults += 1
        if self.bound is None and self._faults > self.settings.faults_before_bind:
            self._leave("too many faults before a bind", None)

    def _begin_leaving(self, why: str) -> None:
        self._why = self._why or why
        if self._leaving_since is None:
            self._leaving_since = self._seconds()
            self._leave_by = self._leaving_since + self.settings.close_wait
        self._apply_rules()

    def _leave(self, why: str, farewell: Pdu | None) -> None:
        """Listen no more; close as soon as what was read is answered."""
        self._begin_leaving(why)
        self._farewell = farewell
        self._deaf = True

    def _settle(self) -> None:
        """Take the next step of leaving, if what it waits for is there or took too long."""
        if self._abort_at is not None or self._leaving_since is None:
            return
        now = self._seconds()
        if self._unanswered:
            if now >= self._leaving_since + self.settings.response:
                self._drop(self._why)
            return
        if self._farewell is not None:
            farewell, self._farewell = self._farewell, None
            self._write(encode_many([farewell], self.version))
        late = now >= self._leave_by
        if self._deaf:
            self._drop(self._why)
        elif self.state is State.UNBOUND or self._unbinding:
            if late or self._window.idle:
                self._drop(self._why)
        elif late or not len(self._window):
            self._unbinding = True
            self._leave_by = now + self.settings.close_wait
            self._ask(Errand.UNBIND, Unbind())

    def _drop(self, why: str) -> None:
        """Close; what was written still goes out, but the peer is not waited for long."""
        if self._abort_at is not None or self.state is State.CLOSED:
            return
        self._begin_leaving(why)
        self._deaf = True
        self._kept.clear()
        self._frames.clear()
        self._abort_at = self._seconds() + self.settings.close_wait
        if self._holds:
            self.transport.resumeProducing()  # the end of TLS has to be read
        self.transport.unregisterProducer()  # or it would be waited for
        self.transport.loseConnection()

    # Timers

    def sweep(self, now: float) -> None:
        """Look at every timer; called once a second."""
        settings = self.settings
        if self._abort_at is not None:
            if now >= self._abort_at:
                self.transport.abortConnection()
            return
        if self._leaving_since is not None:
            self._settle()
        if self._unread_full_since is not None and now >= self._unread_full_since + settings.unread_abort_after:
            self._expired("slow reader", f"{self._unread} octets unread")
            self.abort("it does not read what it is sent")
            return
        if self.bound is None:
            patience = settings.session_init + (settings.response if self._holds & _BINDING else 0.0)
            if now >= self._connected_at + patience:
                self._expired("session_init", "no bind in time")
            return
        if settings.inactivity and not self._holds & ~_UNREAD and now >= self._active + settings.inactivity:
            if self._leaving_since is None:
                FAULTS.add(1.0, "inactivity")
                self.close("nothing was heard of it: inactivity timer")
        if not self._holds:
            self._sweep_while_reading(now)

    def _sweep_while_reading(self, now: float) -> None:
        """The timers that stand still while nothing is read."""
        settings = self.settings
        if self._half_since is not None and now >= self._half_since + settings.half_pdu:
            self._expired("half a PDU", "its rest does not come")
            return
        late = self._window.expire(now - self._stopped - settings.response)
        if late:
            answers: list[Answer] = []
            for answer in late:
                self._sort(answer, answers)
            TIMEOUTS.add(len(answers))
            if answers:
                self._tell(answers)
        if not settings.enquire_link or self._leaving_since is not None:
            return
        if now >= self._heard + settings.enquire_link and not self._window.awaits(Errand.ENQUIRE_LINK):
            self._ask(Errand.ENQUIRE_LINK, EnquireLink())

    def _expired(self, timer: str, why: str) -> None:
        if self._abort_at is not None or self.state is State.CLOSED:
            return
        FAULTS.add(1.0, timer)
        log.info("SMPP peer {peer}: closed, {timer}: {why}", peer=self.peer, timer=timer, why=why)
        self._drop(f"{timer}: {why}")
