"""The rules of imports: they point downward, one module imports the reactor."""

from __future__ import annotations

import importlib.util
import os
import re
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
        """Modules other than tap do not import the reactor, so that an embedding program can choose it."""
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
        """The module that twistd imports to list its commands imports no other module of the gateway."""
        script = "import sys, twisted.plugins.smsgw_plugin; print([n for n in sys.modules if n.startswith('smsgw')])"
        done = python("-c", script)
        self.assertEqual((done.stdout.strip(), done.stderr), ("[]", ""))


class PageTests(SynchronousTestCase):
    """docs/architecture.rst against the tree."""

    TEXT = (ROOT / "docs" / "architecture.rst").read_text("utf-8")

    def files(self, name: str) -> list[Path]:
        """The files that a path of the page may mean: below the root, below smsgw, or of that name anywhere there."""
        found = [root / name for root in (ROOT, ROOT / "smsgw") if (root / name).exists()]
        return found or ([] if "/" in name else list((ROOT / "smsgw").rglob(name)))

    def test_files_exist(self) -> None:
        """Each file and folder that the page names is there."""
        names = set(re.findall(r"``([\w./]+(?:\.py|\.rst|\.cfg|\.ini|/))``", self.TEXT))
        self.assertGreater(len(names), 50)
        self.assertEqual({name for name in names if not self.files(name)}, set())

    def test_names_exist(self) -> None:
        """Each function, class and table that the page names behind a file is in that file."""
        named = re.findall(r"``([\w./]+\.py)``,\s+``(?![\w./]+\.py)([\w.]+)``", self.TEXT)
        self.assertGreater(len(named), 15)
        for file, name in named:
            last = name.rpartition(".")[2]
            texts = [found.read_text("utf-8") for found in self.files(file)]
            pattern = rf"(?m)^ *(async def|def|class) {last}\b|^{last}\b"
            self.assertTrue(any(re.search(pattern, text) for text in texts), f"{file}, {name}")

    def test_few_steps(self) -> None:
        """The way of one message has at most fifteen steps."""
        way = self.TEXT.partition("The way of one message")[2].partition("What follows from it")[0]
        steps = [int(number) for number in re.findall(r"(?m)^(\d+)\. ", way)]
        self.assertEqual(steps, list(range(1, len(steps) + 1)))
        self.assertLessEqual(len(steps), 15)
