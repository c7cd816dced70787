"""The files and metadata that `twistd smsgw` needs in a wheel and in a checkout."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import smsgw

ROOT = Path(__file__).resolve().parent.parent


def setup() -> configparser.ConfigParser:
    """Read setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read_string((ROOT / "setup.cfg").read_text("utf-8"))
    return parser


def lines(value: str) -> list[str]:
    """Split a value of setup.cfg into lines, without comments."""
    return [line for line in value.split("\n") if line and not line.startswith("#")]


class PackageTests(SynchronousTestCase):
    def test_every_package_is_listed(self) -> None:
        """setup.cfg names exactly the existing packages."""
        found = {".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "smsgw").rglob("__init__.py")}
        self.assertEqual(sorted(lines(setup()["options"]["packages"])), sorted(found | {"twisted.plugins"}))

    def test_every_module_is_in_a_package(self) -> None:
        """Each folder with a module has an __init__.py; a wheel would omit the module otherwise."""
        bare = {file.parent for file in (ROOT / "smsgw").rglob("*.py") if not (file.parent / "__init__.py").exists()}
        self.assertEqual(bare, set())

    def test_twisted_stays_whole(self) -> None:
        """twisted and twisted/plugins have no __init__.py, which would hide Twisted itself."""
        self.assertEqual(sorted(file.name for file in (ROOT / "twisted").rglob("*.py")), ["smsgw_plugin.py"])

    def test_root_is_mapped(self) -> None:
        """The root is mapped by name; otherwise twistd finds no plugin in an editable install."""
        self.assertEqual(lines(setup()["options"]["package_dir"]), ["= ."])

    def test_data_files_are_listed(self) -> None:
        """Each file of the package except modules is named as package data."""
        data = {file.relative_to(ROOT / "smsgw").as_posix() for file in (ROOT / "smsgw").rglob("*")
                if file.is_file() and file.suffix not in (".py", ".pyc") and file.name != "dropin.cache"}
        self.assertEqual(data, set(lines(setup()["options.package_data"]["smsgw"].replace(",", "\n"))))

    def test_version(self) -> None:
        """The version is in the package only, and setup.cfg reads it there."""
        self.assertRegex(smsgw.__version__, r"\A[0-9]+\.[0-9]+\.[0-9]+\Z")
        self.assertEqual(setup()["metadata"]["version"], "attr: smsgw.__version__")
        self.assertIn(f"smsgw {smsgw.__version__}", (ROOT / "CHANGES").read_text("utf-8"))

    def test_safe_floors(self) -> None:
        """The minimum versions exclude releases with known vulnerabilities."""
        required = lines(setup()["options"]["install_requires"])
        for floor in ("twisted[tls]>=26.10.0", "pyopenssl>=26.0.0", "service_identity>=24.1.0", "treq>=22.1.0"):
            self.assertIn(floor, required)

    def test_extras(self) -> None:
        """Each extra is installed by a command of the Makefile or the documentation, and these name no other."""
        pages = [ROOT / "Makefile", ROOT / "README.rst", *(ROOT / "docs").glob("*.rst")]
        text = "\n".join(page.read_text("utf-8") for page in pages)
        named = re.findall(r"(?:\.|smsgw)\[([a-z]+)\]", text)
        self.assertEqual(set(setup()["options.extras_require"]), set(named))

    def test_dependencies_are_used(self) -> None:
        """The package imports each required distribution, except tzdata, which zoneinfo reads."""
        required = {re.split(r"[\[>=]", line)[0] for line in lines(setup()["options"]["install_requires"])}
        modules = {"pyopenssl": "OpenSSL", "prometheus-client": "prometheus_client", "zope.interface": "zope"}
        text = "\n".join(file.read_text("utf-8") for file in (ROOT / "smsgw").rglob("*.py"))
        imported = set(re.findall(r"^\s*(?:from|import) (\w+)", text, re.MULTILINE))
        unused = {name for name in required if modules.get(name, name) not in imported}
        self.assertEqual(unused, {"tzdata"})

    def test_plugin_is_found(self) -> None:
        """twistd lists `smsgw` with the module smsgw.tap."""
        found = {maker.tapname: maker for maker in getPlugins(IServiceMaker)}
        self.assertEqual(getattr(found["smsgw"], "module", None), "smsgw.tap")


class ScriptTests(SynchronousTestCase):
    def test_make_targets(self) -> None:
        """The commands that the documentation names exist."""
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
        self.assertLessEqual({"run", "test", "lint", "bench", "sample"}, targets)

    def test_benchmarks_exist(self) -> None:
        """The benchmarks of `make bench` exist."""
        names = re.findall(r"^BENCHMARKS := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)[0].split()
        self.assertEqual([name for name in names if not (ROOT / "benchmarks" / f"{name}.py").exists()], [])

    def test_continuous_integration_can_run(self) -> None:
        """.ci/run is executable and stops at the first failure."""
        script = ROOT / ".ci" / "run"
        self.assertTrue(script.stat().st_mode & 0o100)
        self.assertIn("set -euo pipefail", script.read_text("utf-8"))
