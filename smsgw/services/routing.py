"""Chooses the connector of a message: an ordered table of routes, first match wins.

The keys of one route are ANDed, the values of one key are ORed; values are globs, case ignored. A route names its
connectors in failover order, or with weights that share the load.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from smsgw.config import Globs, RouteSettings, Settings, Way
from smsgw.model.errors import Refusal, Refused
from smsgw.model.message import Message


def _condition(globs: Globs) -> Globs | None:
    """The patterns; None if there are none or one of them matches everything."""
    return globs if globs and "*" not in globs.patterns else None


@attrs.define(eq=False)
class Route:
    """One row of the table; a condition of None matches every message.

    :ivar always: True if the route matches every message. :ivar only: its connector if it has exactly one.
    """

    name: str
    ways: tuple[Way, ...]
    recipient: Globs | None
    sender: Globs | None
    account: Globs | None
    text: Globs | None
    always: bool = attrs.field(init=False)
    only: str = attrs.field(init=False)
    _credit: dict[str, int] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.always = self.recipient is None and self.sender is None and self.account is None and self.text is None
        self.only = self.ways[0].connector if len(self.ways) == 1 else ""

    @classmethod
    def from_settings(cls, settings: RouteSettings) -> Route:
        """The route that a section of gw.ini describes."""
        return cls(
            settings.name,
            settings.connectors,
            _condition(settings.to),
            _condition(settings.sender),
            _condition(settings.account),
            _condition(settings.text),
        )

    def matches(self, account: str, sender: str, recipient: str, text: Callable[[], str]) -> bool:
        """Whether the route matches this message; `text` is called only if the route has a condition on the text."""
        return not (
            (self.recipient is not None and not self.recipient.matches(recipient))
            or (self.account is not None and not self.account.matches(account))
            or (self.sender is not None and not self.sender.matches(sender))
            or (self.text is not None and not self.text.matches(text()))
        )

    def choose(self, up: Callable[[str], bool], only_look: bool = False) -> str:
        """The connector for the next message: one that is up, or the first if none is up.

        Connectors with a weight take turns by smooth weighted round robin: in any run of messages each gets its share,
        evenly mixed. Connectors without a weight are tried in order when no weighted one is up. With `only_look` the
        turns stay as they are.
        """
        usable = [way for way in self.ways if up(way.connector)]
        weighted = [way for way in usable if way.weight]
        if len(weighted) < 2:
            return (weighted or usable or self.ways)[0].connector
        credit = dict(self._credit) if only_look else self._credit
        for way in weighted:
            credit[way.connector] = credit.get(way.connector, 0) + way.weight
        best = max(weighted, key=lambda way: credit[way.connector]).connector
        credit[best] -= sum(way.weight for way in weighted)
        return best


class Router:
    """The table of routes, and which links are down.

    :ivar down: names of connectors whose link is not usable now.
    :ivar refusing: names of connectors that have been down for longer than their ``refuse_after``.
    :ivar paused: names of connectors that an administrator has paused.
    """

    def __init__(self, settings: Settings) -> None:
        self.down: set[str] = set()
        self.refusing: set[str] = set()
        self.paused: set[str] = set()
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Replace the table; messages already routed keep their connector."""
        self._routes = [Route.from_settings(route) for route in settings.routes]
        self._forms = {name: connector.parts_form for name, connector in settings.connectors.items()}

    def route(
        self,
        account: str,
        sender: str,
        recipient: str,
        text: Callable[[], str],
        only_look: bool = False,
        usable: Callable[[str], bool] | None = None,
    ) -> str | Refused:
        """The name of the connector for this message; or NO_ROUTE; or UPSTREAM_DOWN if all connectors of its route
        refuse.

        With `only_look` the turns of weighted connectors stay as they are. `usable` says which connectors to prefer, by
        default those that are up.
        """
        for route in self._routes:
            if route.always or route.matches(account, sender, recipient, text):
                if self.refusing and all(way.connector in self.refusing for way in route.ways):
                    return Refused(Refusal.UPSTREAM_DOWN)
                return route.only or route.choose(usable or self._is_up, only_look)
        return Refused(Refusal.NO_ROUTE)

    def reroute(self, message: Message) -> str:
        """The connector for a message that is queued again: its own if it is configured and up, else another of its
        route; only one of the same form if some of its parts were sent."""
        own = message.connector
        if own in self._forms and self._is_up(own):
            return own
        content = message.content

        def usable(connector: str) -> bool:
            return self._is_up(connector) and self.may_move(message, connector)

        way = self.route(message.account, content.sender, message.recipient, content.text, usable=usable)
        return own if isinstance(way, Refused) or not self.may_move(message, way) else way

    def may_move(self, message: Message, connector: str) -> bool:
        """Whether `connector` may send what is left of a message: all of it, or the unsent parts if it sends parts in
        the same form as the message's own connector."""
        if not message.unsent or message.connector == connector:
            return True
        form = self._forms.get(connector, "")
        return form != "" and form == self._forms.get(message.connector)

    def _is_up(self, connector: str) -> bool:
        return connector not in self.down and connector not in self.paused
