"""Makes the connectors: for each section ``[connector NAME]`` an object of the class that its type brings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from smsgw.config import ConfigErrors, ConnectorSettings, InvalidValue, Problem
from smsgw.interfaces import IConnector
from smsgw.plugins import connectors


def make_connectors(sections: Iterable[ConnectorSettings], clock: Any) -> dict[str, IConnector]:
    """Make a connector for each section, by name; they are not started.

    :param clock: the reactor, with monotonic ``seconds``.
    :raises ConfigErrors: with one problem for each section whose class cannot be imported, or raises an exception.
    """
    classes = connectors()
    made: dict[str, IConnector] = {}
    problems: list[Problem] = []
    for own in sections:
        try:
            made[own.name] = classes[own.type](own, clock)
        except InvalidValue as error:
            problems.append(own.problem("type", str(error)))
        except Exception as error:  # noqa: BLE001 - code of other packages; the administrator is told section and reason
            problems.append(own.problem("", f"no connector can be made of it: {type(error).__name__}: {error}"))
    if problems:
        raise ConfigErrors(problems)
    return made
