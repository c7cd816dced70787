"""What the factories of both ends of SMPP have in common."""

from __future__ import annotations

from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

from smsgw.config import ConnectionLimits
from smsgw.protocols.connections import UNLIMITED, SessionFactory, Surroundings
from smsgw.protocols.smpp.metrics import SmppMetrics
from smsgw.protocols.smpp.session import SmppSession

_Session = TypeVar("_Session", bound=SmppSession)
_Delegate = TypeVar("_Delegate")
_Settings = TypeVar("_Settings")


class SmppFactory(SessionFactory[_Session], Generic[_Session, _Delegate, _Settings]):
    """Makes the sessions of one end. When it is shut down, they answer the requests read so far, refuse new ones with
    0x08, then unbind.

    :param delegate: what the sessions call, or what makes that for each session.
    :param settings: the limits and timers of the sessions.
    :param clock: its seconds must be monotonic.
    :param metrics: shared by the factories of a program; without it the sessions' counts are shown nowhere.
    :param limits: of unauthenticated connections.
    :param surroundings: what the connections know of the program around them.
    """

    def __init__(
        self,
        delegate: _Delegate,
        settings: _Settings,
        clock: IReactorTime,
        metrics: SmppMetrics | None = None,
        limits: ConnectionLimits = UNLIMITED,
        surroundings: Surroundings = Surroundings(),
    ) -> None:
        super().__init__(clock, limits, surroundings)
        self.delegate = delegate
        self.settings = settings
        self._metrics = metrics or SmppMetrics()
