"""The rules of the house: imports point downward, one module knows the reactor."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent


def modules() -> list[str]:
    """List the dotted names of all modules of the package."""
    files = (ROOT / "smsgw").rglob("*.py")
    names = (".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files)
    return sorted(name.removesuffix(".__init__") for name in names)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python on this tree, apart from what the tests have imported."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True,
                          check=False)


class ContractTests(SynchronousTestCase):
    def test_imports_point_downward(self) -> None:
        """The import contract of setup.cfg holds: layers, pure core, adapters, drivers."""
        if importlib.util.find_spec("importlinter") is None:
            raise SkipTest("import-linter is not installed")
        script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
        done = python("-c", script, "--config", str(ROOT / "setup.cfg"), "--no-cache")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertRegex(done.stdout, r"\b[1-9][0-9]* kept, 0 broken")

    def test_no_module_installs_the_reactor(self) -> None:
        """An embedder imports any module but tap, and still chooses the reactor."""
        names = [name for name in modules() if name != "smsgw.tap" and not name.endswith("__main__")]
        self.assertIn("smsgw.program.wiring", names)
        script = (
            "import importlib, sys\n"
            f"for name in {names!r}:\n"
            "    importlib.import_module(name)\n"
            "    if 'twisted.internet.reactor' in sys.modules:\n"
            "        sys.exit(name + ' installs the reactor')\n"
        )
        done = python("-c", script)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_plugin_loads_nothing(self) -> None:
        """What twistd imports to list its commands brings nothing else of the gateway with it."""
        script = "import sys, twisted.plugins.smsgw_plugin; print([n for n in sys.modules if n.startswith('smsgw')])"
        done = python("-c", script)
        self.assertEqual((done.stdout.strip(), done.stderr), ("[]", ""))
