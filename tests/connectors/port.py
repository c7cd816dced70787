"""Checks of all connectors."""

from __future__ import annotations

from collections.abc import Sequence, Sized

from smsgw.interfaces import Awaited, IConnector
from smsgw.model.message import Part


def send(connector: IConnector, parts: Sequence[Part], *said: Sized) -> None:
    """Send parts as dispatch does.

    :param said: lists to which the sink appends the connector's reports; none may be reported inside the call.
    """
    before = [len(one) for one in said]
    connector.send(parts)
    assert [len(one) for one in said] == before, "a connector gave outcomes or receipts inside send"


def resume(connector: IConnector, awaited: Sequence[Awaited], *said: Sized) -> None:
    """Resume as dispatch does; `said` as in :func:`send`."""
    before = [len(one) for one in said]
    connector.resume(awaited)
    assert [len(one) for one in said] == before, "a connector gave outcomes or receipts inside resume"
