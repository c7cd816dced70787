"""Finding connectors and dialects: which there are, when they are imported, and what a faulty plugin does."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.python.reflect import ObjectNotFound
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from smsgw import plugins
from smsgw.config import ConnectorSettings, InvalidValue
from smsgw.connectors.loopback import Loopback, LoopbackSettings
from smsgw.dialects import Dialect
from smsgw.interfaces import IConnector, IConnectorFactory, IDialectPlugin
from smsgw.plugins import (
    LazyConnector,
    LazyDialect,
    builtin,
    connector_types,
    connectors,
    dialects,
    unreadable_modules,
)

LOOPBACK = ("loopback", "smsgw.connectors.loopback.Loopback", "smsgw.connectors.loopback.LoopbackSettings")
CONNECTORS = sorted(one.kind for one in vars(builtin).values() if isinstance(one, LazyConnector))
DIALECTS = sorted(one.kind for one in vars(builtin).values() if isinstance(one, LazyDialect))


class BuiltinTests(SynchronousTestCase):
    """The connectors and dialects of the gateway."""

    def test_declared(self) -> None:
        """Each declared plugin is found by its kind; each kind of connector and of dialect is declared once."""
        self.assertLessEqual({"loopback", "http", "smtp"}, set(CONNECTORS))
        self.assertLessEqual({"standard", "quicktel", "rostelecom"}, set(DIALECTS))
        self.assertEqual(sorted(connectors()), CONNECTORS)
        self.assertEqual(sorted(dialects()), DIALECTS)

    def test_connectors(self) -> None:
        """Each type has a class of connectors and one of settings, under the names that its plugin gives."""
        for kind, settings in connector_types().items():
            self.assertTrue(issubclass(settings, ConnectorSettings), kind)
        for kind, made in connectors().items():
            self.assertTrue(IConnector.implementedBy(made), kind)
        for declared in vars(builtin).values():
            if isinstance(declared, LazyConnector):
                verifyObject(IConnectorFactory, declared)
                verifyObject(IPlugin, declared)

    def test_dialects(self) -> None:
        """Each dialect has the name by which it is chosen."""
        for kind, dialect in dialects().items():
            self.assertIsInstance(dialect, Dialect)
            self.assertEqual(dialect.name, kind)

    def test_nothing_is_imported(self) -> None:
        """Listing the plugins imports neither connectors nor dialects; a look-up imports the one it finds."""
        script = inspect.cleandoc("""
            import sys
            from smsgw.plugins import connector_types, dialects
            def imported(package):
                return sorted(name for name in sys.modules if name.startswith(package + "."))
            connectors, spoken = connector_types(), dialects()
            print(sorted(connectors), sorted(spoken), len(spoken), "klingon" in spoken)
            print(imported("smsgw.connectors"), imported("smsgw.dialects"))
            connectors["smtp"]
            spoken["quicktel"]
            print("smsgw.connectors.smtp" in sys.modules, "smsgw.connectors.http" in sys.modules)
        """)
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(
            ran.stdout.splitlines(),
            [f"{CONNECTORS} {DIALECTS} {len(DIALECTS)} False", "[] []", "True False"],
        )


class LazyTests(SynchronousTestCase):
    """The two declarations."""

    def test_connector(self) -> None:
        """It makes a connector of its class from settings and clock."""
        lazy = LazyConnector(*LOOPBACK)
        self.assertIs(lazy.settings(), LoopbackSettings)
        connector = lazy.load()(LoopbackSettings(name="sim"), Clock())
        self.assertIsInstance(connector, Loopback)
        self.assertEqual(connector.name, "sim")

    def test_dialect(self) -> None:
        """It provides the port of dialects, and returns the object of its name."""
        lazy = LazyDialect("other", "smsgw.dialects.standard.STANDARD")
        verifyObject(IDialectPlugin, lazy)
        self.assertEqual(lazy.load().name, "standard")

    def test_missing(self) -> None:
        """A name that does not exist is an error when it is needed."""
        self.assertRaises(AttributeError, LazyDialect("other", "smsgw.dialects.klingon.KLINGON").load)
        self.assertRaises(AttributeError, LazyConnector("x", "x.X", "smsgw.config.NoSettings").settings)
        self.assertRaises(ObjectNotFound, LazyConnector("x", "far.X", "far.Settings").settings)


class OtherPackagesTests(SynchronousTestCase):
    """Modules in a directory of another package."""

    def setUp(self) -> None:
        """Make a directory for plugins and put it on the path."""
        self.directory = Path(self.mktemp()).resolve() / "smsgw" / "plugins"
        self.directory.mkdir(parents=True)
        self.patch(plugins, "__path__", [*plugins.__path__, str(self.directory)])

    def write(self, name: str, text: str) -> None:
        """Add a module, which is forgotten after the test."""
        (self.directory / f"{name}.py").write_text(text)
        self.addCleanup(sys.modules.pop, f"smsgw.plugins.{name}", None)

    def test_found(self) -> None:
        """Its declarations are found beside those of the gateway."""
        self.write(
            "far_plugin",
            "from smsgw.plugins import LazyConnector, LazyDialect\n"
            "far = LazyConnector('far', 'far.Far', 'far.Settings')\n"
            "spoken = LazyDialect('far', 'far.FAR')\n",
        )
        self.assertEqual(set(connectors()), {*CONNECTORS, "far"})
        self.assertIn("far", dialects())

    def test_same_declaration_twice(self) -> None:
        """Two modules with equal declarations are one plugin; of two with different ones none can be used, the error
        names both; the others can."""
        line = "from smsgw.plugins import LazyConnector\none = LazyConnector({!r}, {!r}, {!r})\n"
        self.write("same_plugin", line.format(*LOOPBACK))
        self.assertEqual(sorted(connectors()), CONNECTORS)
        self.write("rival_plugin", line.format("loopback", "rival.Connector", "rival.Settings"))
        for found in (connectors(), connector_types()):
            error = self.assertRaises(InvalidValue, lambda found=found: found["loopback"])
            for name in ("smsgw.plugins.builtin", "smsgw.plugins.rival_plugin", "loopback"):
                self.assertIn(name, str(error))
            self.assertTrue(found["http"])
        self.assertEqual(sorted(dialects()), DIALECTS)

    def test_broken_module(self) -> None:
        """A module that cannot be imported is left out and named; the others are found."""
        self.write("broken_plugin", "from smsgw.plugins import NoSuchThing\n")
        self.assertEqual(sorted(connectors()), CONNECTORS)
        ((name, why),) = unreadable_modules().items()
        self.assertEqual(name, "smsgw.plugins.broken_plugin")
        self.assertRegex(why, r"\AImportError: cannot import name 'NoSuchThing'")

    def test_broken_classes(self) -> None:
        """What raises an exception when it is imported, or is of another kind than declared, cannot be used; the error
        has the plugin and the exception."""
        (self.directory.parents[1] / "tornpackage.py").write_text("1 / 0\n")
        self.patch(sys, "path", [*sys.path, str(self.directory.parents[1])])
        self.write(
            "torn_plugin",
            "from smsgw.plugins import LazyConnector, LazyDialect\n"
            "one = LazyConnector('torn', 'tornpackage.Torn', 'tornpackage.Settings')\n"
            "two = LazyDialect('torn', 'tornpackage.TORN')\n"
            "odd = LazyConnector('odd', 'sys.path', 'sys.path')\n"
            "off = LazyDialect('off', 'sys.path')\n",
        )
        for found, kind, why in (
            (connectors(), "torn", "ZeroDivisionError: division by zero"),
            (connector_types(), "torn", "ZeroDivisionError: division by zero"),
            (dialects(), "torn", "ZeroDivisionError: division by zero"),
            (connector_types(), "odd", "TypeError: "),
            (dialects(), "off", "TypeError: "),
        ):
            error = self.assertRaises(InvalidValue, lambda found=found, kind=kind: found[kind])
            self.assertIn(f'"{kind}" of the plugin smsgw.plugins.torn_plugin cannot be used: {why}', str(error))

    def test_unknown(self) -> None:
        """A dialect that is not installed is missing from the mapping."""
        known: Any = dialects()
        self.assertNotIn("klingon", known)
        self.assertNotIn(7, known)
        self.assertRaises(KeyError, lambda: known["klingon"])
