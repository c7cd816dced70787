"""Tests of the table of routes."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import ConnectorSettings, Globs, RouteSettings, Settings, Way
from smsgw.connectors.http.settings import HttpConnectorSettings
from smsgw.connectors.templates import TEMPLATE
from smsgw.model.content import Content
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import State
from smsgw.model.message import Message
from smsgw.services.routing import Router
from tests.configured import configured

CONTENT = Content("DEMO", 5, 0, 1, 1, 0, 0, b"hello")
NAMES = [ConnectorSettings(name=name) for name in ("a", "b", "c", "spare", "mts", "sim")]
"""The connectors there are."""


def route(name: str, *ways: Way | str, **keys: str) -> RouteSettings:
    """A route from short words; `to="7*,8*"` gives two patterns."""
    globs = {key: Globs(tuple(value.split(","))) for key, value in keys.items()}
    connectors = tuple(Way(way) if isinstance(way, str) else way for way in ways)
    return RouteSettings(name=name, connectors=connectors, **globs)


def table(*routes: RouteSettings) -> Settings:
    """A configuration with these routes."""
    return configured(*NAMES, *routes)


class RouterTests(SynchronousTestCase):
    """Which connector a message takes."""

    def choose(self, router: Router, **keys: str) -> str | Refused:
        """Route a message of which only some things matter."""
        values = {"account": "demo", "sender": "DEMO", "recipient": "79161234567", "text": "hello"} | keys
        return router.route(values["account"], values["sender"], values["recipient"], lambda: values["text"])

    def test_first_match_wins(self) -> None:
        """Routes are tried in the order of the file."""
        router = Router(table(route("mts", "mts", to="7910*,7911*"), route("all", "sim", to="*")))
        self.assertEqual(self.choose(router, recipient="79101234567"), "mts")
        self.assertEqual(self.choose(router, recipient="79121234567"), "sim")

    def test_keys_are_anded_values_ored(self) -> None:
        """Every key given has to fit, by any of its patterns, case ignored."""
        router = Router(table(route("r", "a", to="7*", sender="bank*,shop", account="corp", text="*code*")))
        fits = {"sender": "BANK1", "account": "Corp", "text": "your CODE: 1"}
        self.assertEqual(self.choose(router, **fits), "a")
        for key, other in {"sender": "DEMO", "account": "demo", "text": "hello", "recipient": "4917"}.items():
            answer = self.choose(router, **(fits | {key: other}))
            assert isinstance(answer, Refused)
            self.assertIs(answer.refusal, Refusal.NO_ROUTE)

    def test_text_is_decoded_only_when_a_route_looks(self) -> None:
        """The text costs nothing where no route asks for it."""
        router = Router(table(route("r", "a", to="*")))
        self.assertEqual(router.route("demo", "DEMO", "7916", self.fail), "a")  # type: ignore[arg-type]

    def test_failover_in_order(self) -> None:
        """The first connector that is up takes the message; the first of all when none is."""
        router = Router(table(route("r", "a", "b", "c")))
        self.assertEqual(self.choose(router), "a")
        router.down.add("a")
        self.assertEqual(self.choose(router), "b")
        router.down.update("bc")
        self.assertEqual(self.choose(router), "a")

    def test_reroute(self) -> None:
        """A message that comes back keeps its connector while that is up, and leaves one that is down or gone."""
        router = Router(table(route("r", "a", "b")))
        message = Message(
            1, "demo", "", "a", State.QUEUED, 0, True, 0, 0, 1, 0.0, 0.0, 0.0, 0.0, 0, "79161234567", 0, CONTENT
        )
        self.assertEqual(router.reroute(message), "a")
        router.down.add("a")
        self.assertEqual(router.reroute(message), "b")
        router.down.clear()
        message.connector = "removed"
        self.assertEqual(router.reroute(message), "a")

    def test_partly_sent(self) -> None:
        """The rest of a partly sent message goes only to a connector that sends parts in the same form."""
        http = HttpConnectorSettings(name="h", url=TEMPLATE.take("http://h/"))
        router = Router(configured(*NAMES, http, route("r", "a", "h", "b")))
        message = Message(
            1, "demo", "", "a", State.QUEUED, 0, True, 0, 0, 2, 0.0, 0.0, 0.0, 0.0, 0, "79161234567", 0, CONTENT
        )
        router.down.add("a")
        self.assertEqual(router.reroute(message), "h")
        message.unsent = (2,)
        self.assertEqual(router.reroute(message), "b")
        router.down.add("b")
        self.assertEqual(router.reroute(message), "a")
        may = [router.may_move(message, name) for name in ("a", "b", "h", "gone")]
        self.assertEqual(may, [True, True, False, False])
        message.connector = "h"
        self.assertFalse(router.may_move(message, "b"))

    def test_paused(self) -> None:
        """A paused connector takes no message that another of the route can take; it refuses none."""
        router = Router(table(route("r", "a", "b")))
        router.paused.add("a")
        self.assertEqual(self.choose(router), "b")
        router.paused.add("b")
        self.assertEqual(self.choose(router), "a")

    @given(st.integers(1, 9), st.integers(1, 9))
    def test_weights_spread(self, first: int, second: int) -> None:
        """Over a whole round each weighted connector gets exactly its share."""
        router = Router(table(route("r", Way("a", first), Way("b", second), Way("spare"))))
        taken = Counter(str(self.choose(router)) for _ in range(first + second))
        self.assertEqual(taken, {"a": first, "b": second})

    def test_weights_fail_over(self) -> None:
        """A weighted connector that is down leaves its share to the other, and both to the spare."""
        router = Router(table(route("r", Way("a", 3), Way("b", 1), Way("spare"))))
        router.down.add("a")
        self.assertEqual({self.choose(router) for _ in range(8)}, {"b"})
        router.down.add("b")
        self.assertEqual(self.choose(router), "spare")

    def test_all_refusing(self) -> None:
        """When every connector of the route has been down for too long the message is refused, not queued."""
        router = Router(table(route("r", "a", "b")))
        router.down.update("ab")
        router.refusing.add("a")
        self.assertEqual(self.choose(router), "a")
        router.refusing.add("b")
        answer = self.choose(router)
        assert isinstance(answer, Refused)
        self.assertIs(answer.refusal, Refusal.UPSTREAM_DOWN)

    def test_only_look(self) -> None:
        """Who only looks learns where the next message would go, and takes no turn."""
        router = Router(table(route("all", Way("a", 2), Way("b", 1))))
        for expected in ("a", "b", "a", "a", "b", "a"):
            for _ in range(3):
                looked = router.route("demo", "DEMO", "79161234567", str, only_look=True)
                self.assertEqual(looked, expected)
            self.assertEqual(self.choose(router), expected)
