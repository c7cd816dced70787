"""Faulty plugins: only what uses one fails, with a line that names section, plugin and exception."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.process import ROOT, GatewayProcess

DECLARES = """\
from smsgw.plugins import LazyConnector, LazyDialect

one = LazyConnector("broken", "brokensms.Connector", "brokensms.Settings")
two = LazyDialect("brogue", "brokensms.BROGUE")
late = LazyConnector("late", "latesms.absent.Connector", "latesms.Settings")
"""
LATE = """\
import attrs
from smsgw.config import ConnectorSettings


@attrs.frozen(kw_only=True)
class Settings(ConnectorSettings):
    pass
"""
USES = "[connector bad]\ntype = {}\n\n[route bad]\nto = 7999*\nconnectors = bad\n"
NO_CRYSTALS = "ModuleNotFoundError: No module named 'crystals'"


class U4Tests(SynchronousTestCase):
    def setUp(self) -> None:
        """Put a plugin on the path whose module cannot be imported, and one whose classes cannot."""
        self.place = Path(self.mktemp()).absolute()
        modules = self.place / "smsgw" / "plugins"
        modules.mkdir(parents=True)
        (modules / "declaresbroken.py").write_text(DECLARES)
        (modules / "unreadable.py").write_text("import crystals\n")
        (self.place / "brokensms.py").write_text("import crystals\n")
        (self.place / "latesms").mkdir()
        (self.place / "latesms" / "__init__.py").write_text(LATE)

    def gateway(self, sections: str = "") -> GatewayProcess:
        """Return a gateway with the plugins on its path."""
        path = os.pathsep.join(map(str, (self.place, ROOT)))
        gateway = GatewayProcess(
            Path(self.mktemp()).absolute(), sections=sections, environment={"PYTHONPATH": path}
        )
        self.addCleanup(gateway.kill)
        return gateway

    def smsgw(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (self.place, ROOT)))}
        environment.pop("PYTHONWARNINGS", None)
        return subprocess.run(
            [sys.executable, "-m", "smsgw", *arguments],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def test_u4_not_used(self) -> None:
        """A gateway without a section of the plugins starts, `check` and `list` work; the log and `check` name the
        module that cannot be imported."""
        gateway = self.gateway()
        gateway.start()
        line = f"smsgw.plugins.unreadable: cannot be imported: {NO_CRYSTALS}"
        log = gateway.log.read_text()
        self.assertIn(line, log)
        self.assertNotIn("Traceback", log)
        for arguments in (("check", str(gateway.config)), ("list", "-c", str(gateway.config)), ("sample",)):
            done = self.smsgw(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)
            self.assertEqual(line in done.stdout, arguments[0] == "check")
        for option in ("--all", "--page"):
            done = self.smsgw("sample", option)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("loopback", done.stdout)
            for kind in ("broken", "brogue"):
                self.assertIn(f'"{kind}" of the plugin smsgw.plugins.declaresbroken cannot be used: ', done.stderr)

    def test_u4_used(self) -> None:
        """A section that uses a plugin which cannot be imported ends the start with 78; `check` says the same."""
        for kind, key, why in (
            ("broken", "type", NO_CRYSTALS),
            ("late", "type", "latesms"),
            ("unheard", "type", NO_CRYSTALS),
        ):
            gateway = self.gateway(USES.format(kind))
            gateway.launch()
            self.assertEqual(gateway.wait(), 78)
            log, checked = gateway.log.read_text(), self.smsgw("check", str(gateway.config))
            for text in (log, checked.stdout):
                self.assertIn(f"[connector bad] {key}: ", text)
                self.assertIn(why, text)
                self.assertIn("smsgw.plugins.unreadable" if kind == "unheard" else "smsgw.plugins.declaresbroken", text)
            self.assertNotIn("Traceback", log + checked.stderr)
            self.assertEqual(checked.returncode, 78)

    def test_u4_dialect(self) -> None:
        """The same for a dialect; a mistaken dialect elsewhere is reported although one cannot be imported."""
        for dialect, why in (("brogue", NO_CRYSTALS), ("klingon", "allowed: standard")):
            gateway = self.gateway()
            text = gateway.config.read_text().replace("dialect = standard", f"dialect = {dialect}")
            gateway.config.write_text(text)
            gateway.launch()
            self.assertEqual(gateway.wait(), 78)
            log = gateway.log.read_text()
            self.assertRegex(log, r"\[listen smpp\] dialect: .*" + why)
            self.assertNotIn("Traceback", log)

    def test_u4_two_of_a_kind(self) -> None:
        """Two plugins with one word: only a section with that word is refused, and both are named."""
        (self.place / "smsgw" / "plugins" / "rival.py").write_text(
            "from smsgw.plugins import LazyConnector\nrival = LazyConnector('late', 'rival.Connector', 'rival.Set')\n"
        )
        gateway = self.gateway(USES.format("late"))
        gateway.launch()
        self.assertEqual(gateway.wait(), 78)
        self.assertRegex(
            gateway.log.read_text(),
            r"\[connector bad\] type: .*smsgw\.plugins\.declaresbroken and smsgw\.plugins\.rival",
        )
        other = self.gateway()
        other.start()
        self.assertEqual(other.stop(), 0)
