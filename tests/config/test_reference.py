"""U6: the complete sample and docs/settings.rst, both generated from the declarations of the settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import LISTEN_TYPES, ConnectorSettings, SectionSettings, parse, reference, sample
from smsgw.config.fields import declared
from smsgw.config.ini import read
from smsgw.config.settings import (
    AccountSettings,
    GatewaySettings,
    ListSettings,
    NumberSettings,
    OperatorSettings,
    RouteSettings,
    SenderSettings,
)
from smsgw.plugins import LazyConnector, builtin
from tests.config.pigeon import DIALECTS, PigeonSettings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.rst"

TYPES: dict[str, type[ConnectorSettings]] = {
    one.kind: one.settings() for one in vars(builtin).values() if isinstance(one, LazyConnector)
}
PLAIN: dict[str, type[SectionSettings]] = {
    "gateway": GatewaySettings,
    "account": AccountSettings,
    "route": RouteSettings,
    "sender": SenderSettings,
    "operator": OperatorSettings,
    "number": NumberSettings,
    "list": ListSettings,
}


def kinds() -> Iterator[tuple[str, str, type[SectionSettings]]]:
    """The settings class of each kind of section, with the value of the key that selects the class."""
    for kind, settings in PLAIN.items():
        yield kind, "", settings
    for protocol, listener in LISTEN_TYPES.items():
        yield "listen", protocol, listener
    for kind, connector in TYPES.items():
        yield "connector", kind, connector


def uncommented(text: str) -> str:
    """The text with the keys and headers that are commented out."""
    return re.sub(r"(?m)^;(?=[a-z\[])", "", text)


class U6SampleTests(SynchronousTestCase):
    TEXT = sample(TYPES, DIALECTS, every=True)

    def test_u6_sound(self) -> None:
        """The complete sample can be used as it is: it has neither mistakes nor warnings."""
        settings = parse(self.TEXT, "gw.ini", TYPES, DIALECTS)
        self.assertEqual((settings.warnings, settings.exposed), ((), ()))
        self.assertEqual({one.type for one in settings.connectors.values()}, set(TYPES))

    def test_u6_every_section_and_key(self) -> None:
        """It has a section of each kind, protocol and type, with all its keys."""
        sections, problems = read(uncommented(self.TEXT), "gw.ini")
        self.assertEqual(problems, [])
        for kind, choice, settings in kinds():
            alike = [{entry.key: entry.value for entry in one.entries} for one in sections if one.kind == kind]
            shown = [one for one in alike if not choice or choice in (one.get("protocol"), one.get("type"))]
            self.assertTrue(shown, f"{kind} {choice}")
            for keys in shown:
                self.assertEqual(list(keys), [one.key for one in declared(settings)], f"{kind} {choice}")

    def test_u6_every_key_is_explained(self) -> None:
        """Behind or below each key are its meaning and its values, also where an earlier section has the same key."""
        blocks = re.split(r"(?m)^(?=;?[a-z_]+ =)", self.TEXT)[1:]
        for block in blocks:
            self.assertRegex(block, r"(?s) ; .+\(.+\)", block)

    def test_u6_commented_keys_are_defaults(self) -> None:
        """Uncommenting the commented keys changes nothing."""
        self.assertEqual(
            parse(uncommented(self.TEXT), "x", TYPES, DIALECTS), parse(self.TEXT, "x", TYPES, DIALECTS)
        )

    def test_u6_line_length(self) -> None:
        """The file is readable in a terminal of 120 columns."""
        self.assertEqual([line for line in self.TEXT.split("\n") if len(line) > 120], [])

    def test_u6_connectors_of_third_parties(self) -> None:
        """A connector of another package has its section too, commented out if its example lacks a required key."""
        types = TYPES | {"pigeon": PigeonSettings}
        text = sample(types, DIALECTS, every=True)
        for one in declared(PigeonSettings):
            self.assertRegex(text, rf"(?m)^;+{one.key} =")
        self.assertNotIn("pigeon", parse(text, "x", types, DIALECTS).connectors)


class U6PageTests(SynchronousTestCase):
    TEXT = PAGE.read_text("utf-8")

    def test_u6_current(self) -> None:
        """docs/settings.rst equals the generated page; `make sample` writes it."""
        self.assertEqual(self.TEXT, reference(TYPES, DIALECTS))

    def test_u6_every_section_and_key(self) -> None:
        """The page has a section of each kind, protocol and type, and each key with meaning, values and default."""
        found = re.findall(r"(?m)^(\[.*)\n-+\n((?:.*\n)*?)(?=\[|\Z)", self.TEXT)
        sections = {title: dict(re.findall(r"(?m)^``([a-z_]+)``\n((?:    .*\n)+)", body)) for title, body in found}
        common = sections["[connector NAME]"]
        for kind, choice, settings in kinds():
            key = "protocol" if kind == "listen" else "type"
            titles = [one for one in sections if re.match(rf"\[{kind}\b.*\](?:, {key} = {choice}\Z|\Z)", one)]
            shown = sections[titles[-1]] | (common if kind == "connector" else {})
            missing = {one.key for one in declared(settings)} - shown.keys() - ({key} if choice else set())
            self.assertEqual(missing, set(), titles)
            for name, text in shown.items():
                words = " ".join(text.split())
                self.assertRegex(words, r"\A\S.*\. Values: .+; (required|default: (``.+``|empty)).*\.\Z", name)

    def test_u6_defaults_of_dialects(self) -> None:
        """Where a dialect has another default than the gateway, the page has both."""
        self.assertRegex(" ".join(self.TEXT.split()), r"``auth_without_tls`` .*?default: ``no``, in the dialect "
                                                      r"quicktel ``yes``")
