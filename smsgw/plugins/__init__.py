"""Finds connectors and dialects, those of smsgw and those of other packages.

Another package puts a module into its own directory ``smsgw/plugins/`` without an ``__init__.py``, on the Python path;
`twisted.plugin.getPlugins` finds it there. The module is imported whenever plugins are listed, so it only declares what
the package has: a :class:`LazyConnector` names the classes by dotted strings, which are imported if the configuration
has a section of that type; a :class:`LazyDialect` names the dialect, which is imported if a listener or an account uses
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs
from twisted.plugin import IPlugin, getPlugins, pluginPackagePaths
from twisted.python.reflect import namedAny
from zope.interface import implementer

from smsgw import plugins
from smsgw.interfaces import IConnectorFactory, IDialectPlugin

if TYPE_CHECKING:
    from smsgw.dialects import Dialect

__path__.extend(pluginPackagePaths(__name__))
__all__ = ["Dialects", "LazyConnector", "LazyDialect", "connector_factories", "dialects"]


@implementer(IPlugin, IConnectorFactory)
@attrs.frozen
class LazyConnector:
    """A type of connector, by the names of its classes.

    :ivar kind: the value of ``type =``.
    :ivar connector: dotted name of a callable that makes an :class:`~smsgw.interfaces.IConnector` from settings and
        a clock; usually its class.
    :ivar settings_class: dotted name of the settings class of its section.
    """

    kind: str
    connector: str
    settings_class: str

    def settings(self) -> type:
        found: type = namedAny(self.settings_class)
        return found

    def make(self, settings: Any, clock: Any) -> Any:
        return namedAny(self.connector)(settings, clock)


@implementer(IPlugin, IDialectPlugin)
@attrs.frozen
class LazyDialect:
    """A dialect, by the name of its object.

    :ivar kind: its name, the value of ``dialect =`` and ``callback_dialect =``.
    :ivar dialect: dotted name of a :class:`~smsgw.dialects.Dialect`.
    """

    kind: str
    dialect: str

    def load(self) -> Dialect:
        """Import the dialect."""
        found: Dialect = namedAny(self.dialect)
        return found


class Dialects(Mapping[str, "Dialect"]):
    """Dialects by the value of ``dialect =``; each is imported at its first lookup."""

    def __init__(self, found: Mapping[str, IDialectPlugin]) -> None:
        self._found = found
        self._loaded: dict[str, Dialect] = {}

    def __getitem__(self, kind: str) -> Dialect:
        """Return the dialect, imported at the first lookup."""
        if kind not in self._loaded:
            self._loaded[kind] = self._found[kind].load()
        return self._loaded[kind]

    def __contains__(self, kind: object) -> bool:
        """Whether the dialect is installed."""
        return kind in self._found

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._found)

    def __len__(self) -> int:
        """Return the number of dialects."""
        return len(self._found)


def connector_factories() -> dict[str, IConnectorFactory]:
    """Return all installed types of connectors, by the value of ``type =``.

    :raises ValueError: when two plugins claim the same word.
    """
    return _by_kind(IConnectorFactory, "connectors of type")


def dialects() -> Dialects:
    """Return all installed dialects.

    :raises ValueError: when two plugins claim the same word.
    """
    return Dialects(_by_kind(IDialectPlugin, "the dialect"))


def _by_kind(interface: Any, what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for plugin in getPlugins(interface, plugins):
        other = found.setdefault(plugin.kind, plugin)
        if other != plugin:
            raise ValueError(f"two plugins provide {what} {plugin.kind}: {other} and {plugin}")
    return found
