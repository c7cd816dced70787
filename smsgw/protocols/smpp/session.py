"""The requests and answers of one SMPP session, for both ends, in lists.

One read may bring many PDUs. Requests for the program go to its delegate in one call, in wire order. The session itself
answers enquire_link, requests in a wrong state and undecodable PDUs; its answers keep their places between those of the
delegate, and all answers to one read leave in one write. The delegate may work on several reads at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.protocols.connections import Connections
from smsgw.protocols.smpp import rules
from smsgw.protocols.smpp.connection import CROWDED
from smsgw.protocols.smpp.metrics import SmppMetrics
from smsgw.protocols.smpp.session_base import SessionDelegate, SmppSessionBase
from smsgw.protocols.smpp.settings import SessionSettings
from smsgw.protocols.smpp.window import LOST, Answer, SessionRequest
from smsgw.smpp.codec import decode, refusal
from smsgw.smpp.consts import VERSION_5_0, Status
from smsgw.smpp.errors import Answerable, Unframed
from smsgw.smpp.pdus import Bind, EnquireLink, EnquireLinkResp, GenericNack, Pdu, SubmitSmResp, Unbind, UnbindResp
from smsgw.smpp.session import SessionState, judge

MOST_UNANSWERED: Final = 4 * 1024 * 1024
"""Octets of unanswered requests at which reading pauses, in addition to the window, because PDUs may be long."""

log: Final = Logger()


class SmppSession(SmppSessionBase):
    """The base of ``SmppServer`` and ``SmppClient``."""

    bind_boundaries: ClassVar[frozenset[bytes]]
    """command_ids, as on the wire, of the PDUs that may turn an open session into a bound one."""

    def __init__(
        self,
        delegate: SessionDelegate,
        settings: SessionSettings,
        sessions: Connections[Any],
        window: int,
        metrics: SmppMetrics,
    ) -> None:
        super().__init__(delegate, settings, sessions, window, metrics)
        # Consecutive faults, and the number of good PDUs of this read before the last fault.
        self._undecodable = 0
        self._nacks = 0
        self._good = 0

    # From octets to PDUs

    def _next_frames(self) -> list[bytes]:
        """Return some frames, up to a bind or its response, which changes how the frames after it are decoded."""
        most = self._most_frames()
        frames, self._frames = self._frames[:most], self._frames[most:]
        if self.state is SessionState.OPEN:
            for at, frame in enumerate(frames):
                if frame[4:8] in self.bind_boundaries:
                    cut = at or 1
                    self._frames = frames[cut:] + self._frames
                    return frames[:cut]
        return frames

    def _framing_broken(self, broken: Unframed) -> None:
        self._metrics.faults["framing"] += 1
        self._close_after_answers(broken.why, refusal(broken))
        self._advance_closing()

    def _take(self, frames: list[bytes]) -> None:
        """Process the PDUs of one read."""
        requests, answers, ours = self._sort(frames)
        if len(requests) + len(answers) != self._good:
            self._undecodable = self._nacks = 0
        self._metrics.pdus_read[()] += len(frames)
        self._last_received = self._reading_time()
        if requests or ours or not self.settings.only_requests_keep_alive:
            self._last_activity = self._last_received
        if answers:
            self._report_answers(answers)
        if requests:
            self._hand_over(requests, ours, sum(map(len, frames)))
        elif ours:
            self._write_answers([pdu for _, pdu in ours])
        fruitless = len(frames) - len(requests) - len(answers)
        if fruitless:
            self._charge(fruitless)
        if self._closing_since is not None:
            self._advance_closing()

    def _sort(self, frames: list[bytes]) -> tuple[list[Any], list[Answer], list[tuple[int, Pdu]]]:
        """Return requests for the delegate, answers for it, and our own answers, each with the number of requests
        before it."""
        legal, match, responses = self._legal, self._window.match, rules.RESPONSES
        requests: list[Any] = []
        answers: list[Answer] = []
        ours: list[tuple[int, Pdu]] = []
        self._good = 0
        pdu: Any
        for at, pdu in enumerate(self._read(frames)):
            kind = pdu.__class__
            if kind in legal:
                requests.append(pdu)
                continue
            if kind in responses:
                answer = match(pdu)
                if answer is not None:
                    # Rarely true; a method call for each answer would cost more.
                    if answer[1] < 0 or answer[0].__class__ is SessionRequest:
                        self._sort_answer(answer, answers)
                    else:
                        answers.append(answer)
                    continue
            good = len(requests) + len(answers)
            if good != self._good:
                self._good = good
                self._undecodable = self._nacks = 0
            reply = self._answer_by_session(pdu, frames[at], answers)
            if reply is not None:
                ours.append((len(requests), reply))
            if self._discarding:
                break
            legal = self._legal
        return requests, answers, ours

    def _sort_answer(self, answer: Answer, answers: list[Answer]) -> None:
        """Process the answer to one of our own requests, or add it to those of the delegate."""
        token, status, pdu = answer
        if isinstance(token, SessionRequest):
            self._own_request_done(token, status, pdu)
            return
        if pdu is None and status == LOST:
            self._count_fault("response", "a response of another kind than its request")
        answers.append(answer)

    def _answer_by_session(self, pdu: Pdu | Answerable, frame: bytes, answers: list[Answer]) -> Pdu | None:
        """Return the session's own answer to a PDU that the delegate does not get: faulty, stray, illegal, or handled
        here."""
        if isinstance(pdu, Answerable):
            return self._undecoded(pdu, frame, answers)
        self._undecodable = 0
        if isinstance(pdu, GenericNack):
            self._nacks += 1
            self._count_fault("stray", f"generic_nack without a request of ours, status 0x{pdu.command_status:02X}")
            if self._nacks > 1:
                self._close_after_answers("repeated generic_nack without a request of ours", None)
            return None
        self._nacks = 0
        if pdu.is_response:
            self._count_fault("stray", f"unexpected {pdu.name}, number {pdu.sequence_number}")
            return None
        if pdu.command_id in self.settings.nacked:
            self._count_fault("illegal", f"{pdu.name}, which is not supported")
            return GenericNack(pdu.sequence_number, int(Status.ESME_RINVCMDID))
        version = VERSION_5_0 if isinstance(pdu, Bind) else self.version  # any version may bind
        wrong = judge(pdu, self.peer_role, self.state, version)
        if wrong is not None:
            self._count_fault("illegal", wrong.why)
            return refusal(wrong)
        return self._housekeeping(pdu)

    def _undecoded(self, wrong: Answerable, frame: bytes, answers: list[Answer]) -> Pdu | None:
        """Return the answer to an undecodable PDU or one with too long a field; a bad response ends its request as
        lost."""
        try:
            decode(frame, self.version)
        except Answerable:
            self._undecodable += 1
            self._count_fault("undecodable", wrong.why)
            if self._undecodable > self.settings.undecodable:
                self._close_after_answers("too many PDUs in a row that cannot be decoded", None)
        else:
            self._undecodable = 0
            self._count_fault("too_long", wrong.why)
        if wrong.answer_id is None and (answer := self._window.fail(wrong.sequence_number)) is not None:
            self._sort_answer(answer, answers)
        return refusal(wrong)

    def _housekeeping(self, pdu: Pdu) -> Pdu | None:
        """Return the answer to a legal request that the delegate does not get."""
        if isinstance(pdu, EnquireLink):
            return EnquireLinkResp(pdu.sequence_number)
        if isinstance(pdu, Bind):
            return self._bind_requested(pdu)
        if isinstance(pdu, Unbind):
            self._last_response = UnbindResp(pdu.sequence_number)
            self._enter(SessionState.UNBOUND)
            self._begin_closing("the peer has unbound")
            return None
        return rules.refuse(pdu, Status.ESME_RSYSERR)  # the session is closing

    def _bind_requested(self, pdu: Bind) -> Pdu | None:
        """Answer a bind that is legal in this state; the message centre's end overrides this."""
        return rules.refuse(pdu, Status.ESME_RINVCMDID)

    # From requests to answers

    def _hand_over(self, requests: list[Pdu], ours: list[tuple[int, Pdu]], octets: int) -> None:
        self._unanswered += len(requests)
        self._unanswered_octets += octets
        if self._crowded():
            self._hold(CROWDED)
        results = maybeDeferred(self.delegate.requests, self, requests)
        results.addErrback(self._refuse_all, requests)
        results.addCallback(self._answer, requests, ours, octets)
        results.addErrback(self._internal_error)

    def _crowded(self) -> bool:
        return self._unanswered >= self.settings.window or self._unanswered_octets >= MOST_UNANSWERED

    def _refuse_all(self, failure: Failure, requests: list[Any]) -> list[Pdu | int]:
        log.failure(
            "the delegate failed at {count} requests of SMPP peer {peer}", failure, count=len(requests), peer=self.peer
        )
        return [int(Status.ESME_RSYSERR)] * len(requests)

    def _internal_error(self, failure: Failure) -> None:
        log.failure("writing answers to SMPP peer {peer} failed", failure, peer=self.peer)
        self.abort("an internal error")

    def _answer(self, results: list[Pdu | int], requests: list[Any], ours: list[tuple[int, Pdu]], octets: int) -> None:
        """Write the answers to one read; `octets` is the size of its requests."""
        self._unanswered -= len(requests)
        self._unanswered_octets -= octets
        if self._abort_at is not None or not self.connected:
            return
        if len(results) != len(requests):
            found = f"{len(results)} answers to {len(requests)} requests"
            log.error("the delegate returned {found} of SMPP peer {peer}", found=found, peer=self.peer)
            results = [int(Status.ESME_RSYSERR)] * len(requests)
        responses: list[Pdu | None] = []
        complete = not ours
        fruitless = 0
        for request, result in zip(requests, results, strict=True):
            if result.__class__ is not SubmitSmResp:
                fruitless += 1
            if not isinstance(result, int):
                result.sequence_number = request.sequence_number
                responses.append(result)
            elif request.response is not None:
                responses.append(request.response(request.sequence_number, result))
            else:
                responses.append(None)
                complete = False
        self._write_answers(responses if complete else rules.interleave(responses, ours))
        if fruitless:
            self._charge(fruitless)
        if self._holds & CROWDED and not self._crowded():
            self._release(CROWDED)
        if self._closing_since is not None:
            self._advance_closing()

    def _write_answers(self, responses: Sequence[Any]) -> None:
        octets, wrong = rules.encode_answers(responses, self.version)
        for why in wrong:
            log.error("an answer to SMPP peer {peer} became a system error: {why}", peer=self.peer, why=why)
        if octets:
            self._write(octets)
