"""docs/operations.rst and the files that it installs: contrib/, Dockerfile. Nothing is documented that is not there."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from smsgw.cli.arguments import parser
from smsgw.config import parse
from smsgw.dialects import STANDARD
from smsgw.frontends.admin.metrics import StoredMetrics
from smsgw.frontends.api.views import STATUSES
from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import State
from smsgw.plugins import connector_types, dialects
from smsgw.program.metrics import Metrics
from smsgw.services.passwords import ScryptHash
from tests.test_words import TEXTS

ROOT = Path(__file__).resolve().parent.parent
CONTRIB = ROOT / "contrib"
PAGE = TEXTS["docs/operations.rst"]
UNIT = (CONTRIB / "smsgw.service").read_text("utf-8")
ALERTS = (CONTRIB / "alerts.yml").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")

PROCESS = {"process_open_fds", "process_max_fds", "process_start_time_seconds", "up"}
"""Metrics of prometheus-client's process collector, and of Prometheus itself."""


def tool(name: str) -> str:
    """The path of a program that not every machine has."""
    found = shutil.which(name)
    if found is None:
        raise SkipTest(f"{name} is not installed")
    return found


def ran(*command: str) -> str:
    """Run a program, which must succeed; return its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def metrics() -> dict[str, set[str]]:
    """The metrics of the gateway, with the names of their labels; a histogram also as its series."""
    found: dict[str, set[str]] = {}
    parts = Metrics()
    objects = [one for name, one in vars(parts).items() if name != "registry"]
    for one in (*objects, StoredMetrics(CollectorRegistry())):
        for metric in vars(one).values():
            name = metric._name if isinstance(metric, Gauge) else metric.name
            labels = set(metric._labelnames if isinstance(metric, Gauge) else metric.labels)
            found[name] = labels
            found[f"{name}_bucket"] = labels | {"le"}
            found[f"{name}_sum"] = found[f"{name}_count"] = labels
    return found


def commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each command line of ``smsgw`` in a text: in blocks, and as literals."""
    shown = [literal for literal in re.findall(r"``(.+?)``", " ".join(text.split())) if literal.startswith("smsgw ")]
    lines = re.findall(r"(?m)^ +(?:\$ )?(?:\S+/|docker exec smsgw )?(smsgw [a-z].*)$", text)
    lines += re.findall(r"(?m)^\S.* root /opt/smsgw/bin/(smsgw .*)$", text)
    for one in (*shown, *lines):
        yield shlex.split(one.replace("...", ""))[1:]


class OperationsPageTests(SynchronousTestCase):
    def test_operations_commands_exist(self) -> None:
        """The command line accepts every command of every page."""
        count = 0
        for name, text in TEXTS.items():
            for words in commands(text):
                words = [word if not word.isupper() else "7" for word in words]
                with contextlib.redirect_stderr(io.StringIO()) as error, contextlib.suppress(SystemExit):
                    parser().parse_args(words)
                complete = "the following arguments are required" in error.getvalue() and len(words) == 1
                self.assertTrue(complete or not error.getvalue(), f"{name}: {words}: {error.getvalue()}")
                count += 1
        self.assertGreater(count, 30)

    def test_operations_configuration(self) -> None:
        """The configuration to begin with has no mistake, and its hashes are those of the passwords it names."""
        (text,) = re.findall(r"\.\. code-block:: ini\n\n((?:(?:    .*)?\n)+)", PAGE)
        types = connector_types()
        settings = parse(re.sub(r"(?m)^    ", "", text), "gw.ini", types, dialects())
        self.assertEqual(settings.warnings, ())
        self.assertEqual(len(settings.accounts), 2)
        for name, password in (("shop", b"secret01"), ("bank", b"secret02")):
            hashed = settings.accounts[name].password_hash
            assert hashed is not None
            self.assertTrue(ScryptHash.parse(hashed.reveal()).matches(password))

    def test_operations_files_exist(self) -> None:
        """Each file of the release that the page names is there."""
        named = set(re.findall(r"(?<!/)(?:contrib|benchmarks|docs)/[\w.]+|[a-z]+\.rst", PAGE))
        self.assertGreater(len(named), 8)
        for name in named:
            self.assertTrue((ROOT / name).exists() or (ROOT / "docs" / name).exists(), name)
        self.assertIn("graft contrib", (ROOT / "MANIFEST.in").read_text("utf-8"))

    def test_operations_metrics_exist(self) -> None:
        """Each metric that a page names exists."""
        known = metrics()
        for name, text in TEXTS.items():
            self.assertEqual(set(re.findall(r"``(smsgw_\w+)", text)) - known.keys(), set(), name)

    def test_operations_every_state_is_explained(self) -> None:
        """The page says for each state what to do; no other word is in that table but the missing message."""
        table = PAGE.rpartition("**Read its state.**")[2]
        words = re.findall(r"(?m)^([a-z]+(?: [a-z]+)?)  +\S", table)
        self.assertEqual(words[0], "not there")
        self.assertEqual(set(words[1:]), {state.word for state in State} - {State.NO_MONEY.word})

    def test_operations_refusals(self) -> None:
        """docs/refusals.rst has every refusal with its answers over each protocol and its sentence."""
        rows: list[list[str]] = []
        pattern = r"(?m)^(``\w+``| )\s+(0x\w\w|)\s+(\d{3} [\d.]+|)\s+(\d{3}|)\s+(\S.*)$"
        for reason, *columns, meaning in re.findall(pattern, TEXTS["docs/refusals.rst"].partition("===\n")[2]):
            if reason == " ":
                rows[-1][-1] += f" {meaning}"
            else:
                rows.append([reason.strip("`"), *columns, meaning])
        smpp, smtp = STANDARD.smpp, STANDARD.smtp
        assert smpp is not None
        assert smtp is not None
        expected = []
        for refusal in Refusal:
            code, enhanced = smtp.refusals[refusal]
            status = f"0x{int(smpp.statuses[refusal]):02X}"
            expected.append(
                [refusal.name.lower(), status, f"{code} {enhanced}", str(STATUSES[refusal][0]), refusal.value]
            )
        self.assertEqual(rows, expected)


class OperationsUnitTests(SynchronousTestCase):
    def installed(self) -> str:
        """A copy of the unit whose programs exist on this machine."""
        directory = Path(self.mktemp())
        directory.mkdir()
        unit = directory / "smsgw.service"
        unit.write_text(UNIT.replace("/opt/smsgw/bin/twistd", sys.executable))
        return str(unit)

    def test_operations_unit_is_valid(self) -> None:
        """systemd finds no fault in the unit."""
        self.assertNotIn("smsgw.service", ran(tool("systemd-analyze"), "verify", self.installed()))

    def test_operations_unit_is_hardened(self) -> None:
        """systemd rates the exposure of the service as the page says."""
        output = ran(tool("systemd-analyze"), "security", "--offline=true", "--no-pager", self.installed())
        rated = re.findall(r"Overall exposure level for smsgw\.service: ([\d.]+)", output)
        if not rated:
            raise SkipTest("this systemd-analyze rates no files")
        self.assertLessEqual(float(rated[0]), 1.5)
        self.assertIn(f"rates this {rated[0]}", " ".join(PAGE.split()))

    def test_operations_unit_and_page_agree(self) -> None:
        """The unit starts the program with the files that the page installs, and stops it in time."""
        (start,) = re.findall(r"(?m)^ExecStart=(.*)$", UNIT)
        self.assertIn("/usr/bin/python3 -m venv /opt/smsgw\n", PAGE)
        self.assertEqual(start.split(), [
            "/opt/smsgw/bin/twistd", "-n", "--pidfile=", "--logfile=/var/log/smsgw/gateway.log", "smsgw", "-c",
            "/etc/smsgw/gw.ini",
        ])
        settings = dict(re.findall(r"(?m)^(\w+)=(.*)$", UNIT))
        self.assertEqual((settings["User"], settings["StateDirectory"]), ("smsgw", "smsgw"))
        self.assertEqual(settings["RestartPreventExitStatus"], "78")
        self.assertGreater(int(settings["TimeoutStopSec"]), 20)

    def test_operations_rotation(self) -> None:
        """logrotate accepts its file; the log is the unit's, and SIGUSR1 has the gateway open it again."""
        text = (CONTRIB / "smsgw.logrotate").read_text("utf-8")
        self.assertRegex(text, r"(?m)^/var/log/smsgw/\*\.log \{$")
        self.assertIn("--signal=SIGUSR1 smsgw.service", text)
        file = Path(self.mktemp()).absolute()
        file.write_text(re.sub(r"(?m)^ *su .*\n", "", text).replace("/var/log/smsgw", str(file.parent)))
        file.chmod(0o644)
        self.assertNotIn("error", ran(tool("logrotate"), "--debug", str(file)))


class OperationsAlertTests(SynchronousTestCase):
    RULES = re.findall(r"- alert: (\w+)\n +expr: (.*)\n((?: {8}.*\n)+)", ALERTS)

    def test_operations_alerts_name_metrics(self) -> None:
        """Each rule uses metrics that exist, with labels that they have and states that there are."""
        self.assertGreaterEqual(len(self.RULES), 12)
        known = metrics() | {name: {"job"} for name in PROCESS}
        for alert, expression, _ in self.RULES:
            series = re.findall(r"\b([a-z][a-z0-9]*_[a-z0-9_]+|up)\b(?!\()(?:\{(.*?)\})?", expression)
            names = [(name, labels) for name, labels in series if name != "histogram_quantile"]
            self.assertTrue(names, alert)
            for name, labels in names:
                self.assertIn(name, known, alert)
                for label, value in re.findall(r'(\w+)!?="(.*?)"', labels):
                    self.assertIn(label, known[name], alert)
                    if label == "state":
                        self.assertIn(value, {state.word for state in State}, alert)
                    if label == "reason":
                        self.assertIn(value, {refusal.name.lower() for refusal in Refusal}, alert)

    def test_operations_alerts_say_what_to_do(self) -> None:
        """Each rule has a severity, a sentence about what is wrong and one about what to do."""
        self.assertEqual(len(self.RULES), ALERTS.count("- alert:"))
        for alert, expression, rest in self.RULES:
            self.assertRegex(rest, r"severity: (critical|warning)")
            self.assertRegex(rest, r'summary: \S.*\.\"?\n')
            self.assertRegex(rest, r'action: \S.*\.\"?\n')
            for label in re.findall(r"\$labels\.(\w+)", rest):
                names = re.findall(r"smsgw_\w+", expression)
                self.assertTrue(any(label in metrics()[name] for name in names), alert)

    def test_operations_alerts_are_valid(self) -> None:
        """Prometheus accepts the rules."""
        self.assertIn("SUCCESS", ran(tool("promtool"), "check", "rules", str(CONTRIB / "alerts.yml")))


class OperationsContainerTests(SynchronousTestCase):
    def instructions(self, word: str) -> list[str]:
        """The arguments of the instructions of one kind."""
        return re.findall(rf"(?m)^{word} (.*)$", DOCKERFILE)

    def test_operations_container_is_unprivileged(self) -> None:
        """The image runs as a user of its own, whose number the page names."""
        (user,) = self.instructions("USER")
        self.assertGreater(int(user), 0)
        self.assertIn(f"--uid {user} ", DOCKERFILE)
        self.assertIn(f"user {user}", " ".join(PAGE.split()))

    def test_operations_container_commands(self) -> None:
        """The health check is a command of the gateway, and the program is started as by the unit, with its log on
        standard output."""
        (check,) = re.findall(r"HEALTHCHECK .* CMD \[(.*)\]", DOCKERFILE)
        words = re.findall(r'"(.*?)"', check)
        self.assertEqual(words[0], "smsgw")
        parser().parse_args(words[1:])
        (program,) = re.findall(r"(?m)^CMD \[(.*)\]", DOCKERFILE)
        unit = re.findall(r"(?m)^ExecStart=/opt/smsgw/bin/(.*)$", UNIT)[0].split()
        self.assertEqual(re.findall(r'"(.*?)"', program), [word for word in unit if not word.startswith("--logfile")])

    def test_operations_image_has_what_the_wheel_needs(self) -> None:
        """The build context has the files of the wheel and nothing else."""
        ignore = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
        kept = {line[1:] for line in ignore if line.startswith("!")}
        self.assertIn("*", ignore)
        self.assertEqual({name for name in kept if not (ROOT / name).exists()}, set())
        self.assertLessEqual({"pyproject.toml", "setup.cfg", "README.rst", "smsgw", "twisted"}, kept)
