"""The sample configuration."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import ConnectorSettings, parse, sample
from smsgw.config.fields import declared
from smsgw.config.ini import read
from smsgw.connectors.loopback import LoopbackSettings
from tests.config.pigeon import DIALECTS, PigeonSettings

TYPES: dict[str, type[ConnectorSettings]] = {"loopback": LoopbackSettings}
FILE = Path(__file__).resolve().parent.parent / "etc" / "gw.ini"


class SampleTests(SynchronousTestCase):
    def test_current(self) -> None:
        """etc/gw.ini equals the generated sample; `make sample` writes it."""
        self.assertEqual(FILE.read_text("utf-8"), sample(TYPES, DIALECTS))

    def test_sound(self) -> None:
        """The sample has neither mistakes nor warnings, and other machines cannot reach its listeners."""
        settings = parse(sample(TYPES, DIALECTS), "etc/gw.ini", TYPES, DIALECTS)
        self.assertEqual((settings.warnings, settings.exposed), ((), ()))

    def test_contents(self) -> None:
        """It has the listeners, the account, the simulator and the route of the first steps; the port for mail is 2525
        (000-1)."""
        settings = parse(sample(TYPES, DIALECTS), "etc/gw.ini", TYPES, DIALECTS)
        self.assertEqual({name: (one.protocol, one.endpoint) for name, one in settings.listeners.items()}, {
            "smpp": ("smpp", "tcp:2775:interface=127.0.0.1"),
            "mail": ("smtp", "tcp:2525:interface=127.0.0.1"),
            "api": ("http", "tcp:8080:interface=127.0.0.1"),
            "admin": ("admin", "tcp:8081:interface=127.0.0.1"),
        })
        account = settings.accounts["demo"]
        assert account.password is not None
        self.assertEqual((account.password.reveal(), account.senders, account.default_sender),
                         ("demo", ("DEMO", "AVARIA"), "DEMO"))
        self.assertEqual([(name, one.type) for name, one in settings.connectors.items()], [("sim", "loopback")])
        self.assertEqual([way.connector for route in settings.routes for way in route.connectors], ["sim"])

    def test_commented_lines_are_defaults(self) -> None:
        """Uncommenting the commented keys changes nothing."""
        lines = sample(TYPES, DIALECTS).split("\n")
        keys = [line[1:] if line.startswith(";") and not line.startswith("; ") and line != ";" else line
                for line in lines]
        self.assertNotEqual(keys, lines)
        self.assertEqual(parse("\n".join(keys), "x", TYPES, DIALECTS), parse("\n".join(lines), "x", TYPES, DIALECTS))

    def test_every_key_is_shown(self) -> None:
        """Each key of its sections is in the file, with a default or a value."""
        text = sample(TYPES, DIALECTS)
        settings = parse(text, "x", TYPES, DIALECTS)
        everything = "\n".join(line.removeprefix(";") for line in text.split("\n"))
        shown = {section.title: {entry.key for entry in section.entries} for section in read(everything, "x")[0]}
        for title, one in (("gateway", settings.gateway), ("account demo", settings.accounts["demo"]),
                           ("connector sim", settings.connectors["sim"]), ("route default", settings.routes[0]),
                           ("listen smpp", settings.listeners["smpp"])):
            self.assertEqual(shown[title], {key.key for key in declared(type(one))}, title)

    def test_line_length(self) -> None:
        """The file is readable in a terminal of 120 columns."""
        self.assertEqual([line for line in sample(TYPES, DIALECTS).split("\n") if len(line) > 120], [])

    def test_other_connectors(self) -> None:
        """The connector's section is generated from the settings class of its type."""
        text = sample({"loopback": LoopbackSettings, "pigeon": PigeonSettings}, DIALECTS)
        self.assertIn("delay = 0.1", text)
        self.assertNotIn("Pigeon", text)
