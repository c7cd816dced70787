"""The package of docs/dialects.rst: found, configured, and used by a running gateway."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from twisted.plugin import pluginPackagePaths
from twisted.trial.unittest import SynchronousTestCase

from smsgw import plugins
from smsgw.config import InvalidValue, SmppListenSettings, parse
from tests.flows.esme import ENQUIRE_LINK, QUERY_SM, Esme
from tests.flows.process import ROOT, GatewayProcess
from tests.flows.receiver import CallbackReceiver

PROJECT = Path(__file__).resolve().parent / "acmedialect"
PAGE = PROJECT.parents[2] / "docs" / "dialects.rst"
BLOCK = re.compile(r"^In ``(\S+)``:\n\n\.\. code-block:: \w+\n\n((?:   .*\n|\n)+)", re.MULTILINE)

LISTENER = "[listen acme]\nprotocol = smpp\nendpoint = tcp:0:interface=127.0.0.1\ndialect = acme\n"
PASSWORD = "a password of forty-two characters, spaced"
OTHER = f"[account other]\npassword = {PASSWORD}\nsenders = *\nallow_from = 127.0.0.0/8\n"
CANCEL_SM, GENERIC_NACK = 0x8, 0x80000000


def installed(case: SynchronousTestCase) -> Path:
    """Return a copy of the package in a writable directory."""
    place = Path(case.mktemp()).resolve()
    shutil.copytree(PROJECT, place, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
    return place


class FoundTests(SynchronousTestCase):
    """Finding and configuring the dialect."""

    def setUp(self) -> None:
        """Put the package on the path of this process."""
        self.patch(sys, "path", [str(installed(self)), *sys.path])
        self.patch(plugins, "__path__", [*plugins.__path__, *pluginPackagePaths("smsgw.plugins")])
        self.forget()
        self.addCleanup(self.forget)

    def forget(self) -> None:
        """Remove the package from the imported modules."""
        for name in [name for name in sys.modules if name.startswith(("acmedialect", "smsgw.plugins.acmedialect"))]:
            del sys.modules[name]

    def test_found(self) -> None:
        """The dialect is listed beside those of the gateway, and imported at its first use."""
        dialects = plugins.dialects()
        self.assertEqual(set(dialects), {"standard", "quicktel", "rostelecom", "smsc", "native", "acme"})
        self.assertEqual((len(dialects), "acme" in dialects, "klingon" in dialects), (6, True, False))
        self.assertNotIn("acmedialect.dialect", sys.modules)
        self.assertEqual(dialects["acme"].name, "acme")
        self.assertIn("acmedialect.dialect", sys.modules)

    def test_two_of_a_kind(self) -> None:
        """Two packages with the same name of a dialect cannot be used, and the error names both."""
        directory = Path(self.mktemp()) / "smsgw" / "plugins"
        directory.mkdir(parents=True)
        (directory / "acmedialect_rival.py").write_text(
            "from smsgw.plugins import LazyDialect\nrival = LazyDialect('acme', 'rival.ACME')\n"
        )
        self.patch(plugins, "__path__", [*plugins.__path__, str(directory)])
        dialects = plugins.dialects()
        error = self.assertRaises(InvalidValue, dialects.__getitem__, "acme")
        self.assertIn("smsgw.plugins.acmedialect_plugin and smsgw.plugins.acmedialect_rival", str(error))
        self.assertEqual(dialects["standard"].name, "standard")

    def test_settings(self) -> None:
        """Its settings are defaults of the listener; keys in the file take precedence."""
        own = parse(LISTENER, "gw.ini", {}, plugins.dialects()).listeners["acme"]
        assert isinstance(own, SmppListenSettings)
        self.assertEqual((own.connections, own.maxima, own.nacked, own.window), (1, {"password": 65}, {8}, 2000))
        own = parse(LISTENER + "connections = 3\n", "gw.ini", {}, plugins.dialects()).listeners["acme"]
        assert isinstance(own, SmppListenSettings)
        self.assertEqual(own.connections, 3)


class SpokenTests(SynchronousTestCase):
    """The dialect over SMPP."""

    def setUp(self) -> None:
        """A gateway with the dialect on its SMPP listener, and for callbacks."""
        self.receiver = CallbackReceiver()
        self.addCleanup(self.receiver.close)
        self.gateway = GatewayProcess(
            Path(self.mktemp()).absolute(), connector="delay = 0.05\nrejected = 7999*", sections=OTHER,
            account=f"callback = {self.receiver.url}/x\ncallback_dialect = acme",
            environment={"PYTHONPATH": os.pathsep.join(map(str, (installed(self), ROOT)))},
        )  # fmt: skip
        text = self.gateway.config.read_text().replace("dialect = standard", "dialect = acme", 1)
        self.gateway.config.write_text(text)
        self.addCleanup(self.gateway.kill)
        self.gateway.start()

    def bound(self, account: str = "demo", password: str = "demo") -> Esme:
        """Return a bound ESME."""
        esme = Esme(self.gateway.smpp, account, password)
        self.addCleanup(esme.close)
        return esme

    def receipt(self, esme: Esme) -> str:
        """Return the text of the next receipt."""
        while not esme.deliveries:
            self.assertTrue(esme.read(10))
        body = esme.deliveries.popleft()
        at = body.index(b"ACME ")
        return body[at : at + body[at - 1]].decode()

    def test_manner(self) -> None:
        """Ids, receipts, refusals, unknown operations and long passwords are ACME's."""
        esme = self.bound("other", PASSWORD)
        id = esme.accepted("Hello")
        self.assertEqual(id, "0000000001")
        self.assertRegex(self.receipt(esme), r"\AACME id:0000000001 at:\d{10} over:\d{10} stat:DELIVRD err:0\Z")
        self.assertEqual([esme.state("0000000001"), esme.state("1")], [2, 2])
        esme.accepted("Hello", to="79991234567")
        self.assertRegex(self.receipt(esme), r" stat:REJECTD err:255\Z")
        status, _ = esme.answer(esme.submit("Hello", to="12"))
        self.assertEqual(status, 0x0420)
        self.assertEqual(esme.request(QUERY_SM, b"77\0\0\0\0")[0], 0x0C)
        self.assertEqual(esme.request(CANCEL_SM, b"\0" + b"1\0" + b"\0\0\0" * 2)[0], 0x03)
        self.assertEqual(esme.kinds[-1], GENERIC_NACK)

    def test_callbacks(self) -> None:
        """Callbacks have ACME's form."""
        self.bound().accepted("Hello", notify=0)
        calls = self.receiver.wait(lambda taken: len(taken) == 2)
        self.assertEqual(
            [(one.method, one.path) for one in calls],
            [("GET", "/x?uid=0000000001&state=enroute"), ("GET", "/x?uid=0000000001&state=delivered")],
        )

    def test_newest_bind_wins(self) -> None:
        """A second bind unbinds the first session and stays bound."""
        first = self.bound()
        second = self.bound()
        with self.assertRaises(ConnectionError):
            while first.read(10):
                pass
        self.assertEqual(second.request(ENQUIRE_LINK)[0], 0)
        self.assertRegex(second.accepted("Hello"), r"\A\d{10}\Z")


class PageTests(SynchronousTestCase):
    """The code in docs/dialects.rst is that of the package."""

    def test_blocks(self) -> None:
        """Each block of code is part of the file that it names, and each file has a block."""
        found = BLOCK.findall(PAGE.read_text("utf-8"))
        files = {file.relative_to(PROJECT).as_posix() for file in PROJECT.rglob("*")
                 if file.suffix in (".py", ".cfg") and file.name != "__init__.py"}
        self.assertEqual({name for name, _ in found}, files)
        for name, text in found:
            block = re.sub(r"^ {3}", "", text, flags=re.MULTILINE).strip("\n")
            self.assertIn(block, (PROJECT / name).read_text("utf-8"), name)
