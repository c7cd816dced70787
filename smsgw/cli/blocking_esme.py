"""A small blocking ESME: one bind, one request at a time."""

from __future__ import annotations

import socket
import time
from collections import deque
from typing import Final

from smsgw.smpp.codec import Framer, decode_many, encode
from smsgw.smpp.consts import VERSION_3_4
from smsgw.smpp.errors import Answerable
from smsgw.smpp.pdus import (
    BindTransceiver,
    DeliverSm,
    EnquireLink,
    GenericNack,
    Pdu,
    Request,
    Response,
    Unbind,
    UnbindResp,
)
from smsgw.smpp.session import Sequence

ANSWER: Final = 10.0
"""Seconds that the message centre may take to answer."""


class SessionEnded(Exception):
    """The session has ended, or the peer broke the SMPP protocol; the text gives the reason."""


class BlockingEsme:
    """A transceiver session over a connected socket.

    :ivar deliveries: received requests of the peer that wait for :meth:`delivery`.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._framer = Framer()
        self._numbers = Sequence()
        self._answers: dict[int, Response] = {}
        self._ending = False
        self.deliveries: deque[DeliverSm] = deque()

    def bind(self, system_id: bytes, password: bytes) -> Response:
        """Bind as transceiver; return the response, which may be a refusal."""
        return self.ask(BindTransceiver(0, system_id, password, b"", VERSION_3_4))

    def ask(self, request: Request) -> Response:
        """Send a request and return its response, with any status.

        :raises SessionEnded: if none arrives within :data:`ANSWER`.
        """
        request.sequence_number = self._numbers.next()
        self._send(request)
        deadline = time.monotonic() + ANSWER
        while request.sequence_number not in self._answers:
            if not self._read(deadline):
                raise SessionEnded(f"no answer to {request.name} within {ANSWER:g} s")
        return self._answers.pop(request.sequence_number)

    def delivery(self, seconds: float) -> DeliverSm | None:
        """Return the next deliver_sm, which the caller has to answer; None if none arrives within `seconds`."""
        deadline = time.monotonic() + seconds
        while not self.deliveries:
            if not self._read(deadline):
                return None
        return self.deliveries.popleft()

    def answer(self, request: Request, status: int = 0) -> None:
        """Answer a request of the peer."""
        assert request.response is not None
        self._send(request.response(request.sequence_number, status))

    def unbind(self) -> None:
        """Unbind; a connection that the peer has closed is ignored."""
        self._ending = True
        try:
            self.ask(Unbind())
        except SessionEnded:
            pass
        finally:
            self._socket.close()

    def _send(self, pdu: Pdu) -> None:
        try:
            self._socket.sendall(encode(pdu))
        except OSError as error:
            raise SessionEnded(f"the connection broke: {error.strerror or error}") from None

    def _read(self, deadline: float) -> bool:
        """Read once and take the complete PDUs; return False if `deadline` passes first."""
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        try:
            self._socket.settimeout(left)
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return False
        except OSError as error:
            raise SessionEnded(f"the connection broke: {error.strerror or error}") from None
        if not data:
            raise SessionEnded("the connection was closed by the other side")
        for pdu in decode_many(self._framer.feed(data)):
            self._take(pdu)
        if self._framer.broken is not None:
            raise SessionEnded(f"the other side does not speak SMPP: {self._framer.broken.why}")
        return True

    def _take(self, pdu: Pdu | Answerable) -> None:
        if isinstance(pdu, Answerable):
            raise SessionEnded(f"a PDU of the other side cannot be read: {pdu.why}")
        if isinstance(pdu, Response):
            if isinstance(pdu, GenericNack) and not pdu.sequence_number:
                raise SessionEnded(f"the other side could not read a request (0x{pdu.command_status:02X})")
            self._answers[pdu.sequence_number] = pdu
        elif isinstance(pdu, DeliverSm):
            self.deliveries.append(pdu)
        elif isinstance(pdu, EnquireLink):
            self.answer(pdu)
        elif isinstance(pdu, Unbind):
            self._send(UnbindResp(pdu.sequence_number))
            if not self._ending:
                raise SessionEnded("the other side ended the session")
