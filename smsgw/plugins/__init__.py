"""Where connectors are found, ours and those of other packages.

Another package puts a module into a directory ``smsgw/plugins/`` of its own, without an ``__init__.py``, that is on
the Python path; `twisted.plugin.getPlugins` finds it there. The module is imported whenever plugins are listed, so it
only says what there is: a :class:`LazyConnector` names the classes by dotted strings, which are imported when the
configuration has a section of that type.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.plugin import IPlugin, getPlugins, pluginPackagePaths
from twisted.python.reflect import namedAny
from zope.interface import implementer

from smsgw import plugins
from smsgw.interfaces import IConnectorFactory

__path__.extend(pluginPackagePaths(__name__))
__all__ = ["LazyConnector", "connector_factories"]


@implementer(IPlugin, IConnectorFactory)
@attrs.frozen
class LazyConnector:
    """A type of connector by the names of its classes.

    :ivar kind: the word after ``type =``.
    :ivar connector: dotted name of a callable that makes an :class:`~smsgw.interfaces.IConnector` of settings and
        a clock; usually its class.
    :ivar settings_class: dotted name of the settings class of its section.
    """

    kind: str
    connector: str
    settings_class: str

    def settings(self) -> type:
        """See :meth:`smsgw.interfaces.IConnectorFactory.settings`."""
        found: type = namedAny(self.settings_class)
        return found

    def make(self, settings: Any, clock: Any) -> Any:
        """See :meth:`smsgw.interfaces.IConnectorFactory.make`."""
        return namedAny(self.connector)(settings, clock)


def connector_factories() -> dict[str, IConnectorFactory]:
    """Every type of connector that is installed, by the word after ``type =``.

    :raises ValueError: when two plugins claim the same word.
    """
    found: dict[str, IConnectorFactory] = {}
    for factory in getPlugins(IConnectorFactory, plugins):
        other = found.setdefault(factory.kind, factory)
        if other != factory:
            raise ValueError(f"two plugins provide connectors of type {factory.kind}: {other} and {factory}")
    return found
