"""Finds connectors and dialects, those of smsgw and those of other packages.

Another package puts a module into its own directory ``smsgw/plugins/`` without an ``__init__.py``, on the Python path.
Objects in it that provide `twisted.plugin.IPlugin` and one of the interfaces below are plugins, as for
`twisted.plugin.getPlugins`. The module is imported whenever plugins are listed, so it only declares what the package
has: a :class:`LazyConnector` names the classes by dotted strings, which are imported if the configuration has a section
of that type; a :class:`LazyDialect` names the dialect, which is imported if a listener or an account uses it.

Code of other packages may raise any exception when it is imported. Only what uses it fails, with
:class:`~smsgw.config.InvalidValue`. (`getPlugins` would log each such exception as one of the gateway, with its
traceback, and write a cache among the modules.)
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs
from twisted.plugin import IPlugin, pluginPackagePaths
from twisted.python.reflect import namedAny
from zope.interface import implementer

from smsgw.config import ConnectorSettings, InvalidValue
from smsgw.interfaces import IConnectorFactory, IDialectPlugin

if TYPE_CHECKING:
    from smsgw.dialects import Dialect

__path__.extend(pluginPackagePaths(__name__))
__all__ = [
    "Installed",
    "LazyConnector",
    "LazyDialect",
    "connector_types",
    "connectors",
    "dialects",
    "unreadable_modules",
]

T = TypeVar("T")


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

    def load(self) -> Callable[[Any, Any], Any]:
        found: Callable[[Any, Any], Any] = namedAny(self.connector)
        return found


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


class Installed(Mapping[str, T], Generic[T]):
    """What plugins bring, by its word in gw.ini. Each is imported at its first lookup.

    :param found: the plugins of each word, with the names of their modules. :param load: imports what one brings.
    """

    def __init__(self, found: Mapping[str, Mapping[str, Any]], load: Callable[[Any], T]) -> None:
        self._found = found
        self._load = load
        self._loaded: dict[str, T] = {}

    def __getitem__(self, kind: str) -> T:
        """Return what the plugin of this word brings, imported at the first lookup.

        :raises InvalidValue: if there are several plugins, or the import raises an exception; the text names them.
        """
        if kind in self._loaded:
            return self._loaded[kind]
        plugins = self._found[kind]
        if len(plugins) > 1:
            raise InvalidValue(f'"{kind}" is claimed by the plugins {" and ".join(sorted(plugins))}; one must go')
        ((module, plugin),) = plugins.items()
        try:
            self._loaded[kind] = self._load(plugin)
        except Exception as error:
            raise InvalidValue(f'"{kind}" of the plugin {module} cannot be used: {_said(error)}') from error
        return self._loaded[kind]

    def usable(self) -> tuple[dict[str, T], list[str]]:
        """Import all: what can be used, by its word, and the reasons why the others cannot."""
        found: dict[str, T] = {}
        faults: list[str] = []
        for kind in self:
            try:
                found[kind] = self[kind]
            except InvalidValue as error:
                faults.append(str(error))
        return found, faults

    def __contains__(self, kind: object) -> bool:
        """Whether a plugin has this word."""
        return kind in self._found

    def __iter__(self) -> Iterator[str]:
        """Iterate over the words."""
        return iter(self._found)

    def __len__(self) -> int:
        """Return the number of words."""
        return len(self._found)


def connector_types() -> Installed[type[ConnectorSettings]]:
    """Return the settings classes of all installed types of connectors."""
    return Installed(_by_kind(IConnectorFactory), _settings_class)


def connectors() -> Installed[Callable[[Any, Any], Any]]:
    """Return the callables that make connectors of all installed types, from settings and a clock."""
    return Installed(_by_kind(IConnectorFactory), lambda factory: factory.load())


def dialects() -> Installed[Dialect]:
    """Return all installed dialects."""
    return Installed(_by_kind(IDialectPlugin), _dialect)


def unreadable_modules() -> dict[str, str]:
    """Return the modules of plugins that cannot be imported, each with the exception."""
    return {name: module for name, module in _modules() if isinstance(module, str)}


def _settings_class(factory: Any) -> type[ConnectorSettings]:
    found = factory.settings()
    if not (isinstance(found, type) and issubclass(found, ConnectorSettings)):
        raise TypeError(f"{found!r} is no subclass of smsgw.config.ConnectorSettings")
    return found


def _dialect(plugin: Any) -> Dialect:
    from smsgw.dialects import Dialect

    found = plugin.load()
    if not isinstance(found, Dialect):
        raise TypeError(f"{found!r} is no smsgw.dialects.Dialect")
    return found


def _by_kind(interface: Any) -> dict[str, dict[str, Any]]:
    """Return the plugins of an interface, by their words and the names of their modules."""
    found: dict[str, dict[str, Any]] = {}
    for name, module in _modules():
        if isinstance(module, str):
            continue
        for one in vars(module).values():
            if all(each.providedBy(one) for each in (IPlugin, interface)):
                known = found.setdefault(one.kind, {})
                if one not in known.values():
                    known[name if name not in known else f"{name} ({one})"] = one
    return found


def _modules() -> Iterator[tuple[str, ModuleType | str]]:
    """Import the modules of plugins; yield each by name, or the exception as text."""
    for found in pkgutil.iter_modules(__path__):
        name = f"{__name__}.{found.name}"
        try:
            module = import_module(name)
        except Exception as error:  # noqa: BLE001 - code of others, reported by what is made of it
            yield name, _said(error)
        else:
            yield name, module


def _said(error: Exception) -> str:
    """Describe an exception in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
