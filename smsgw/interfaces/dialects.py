"""How dialects are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from smsgw.dialects import Dialect


class IDialectPlugin(Interface):
    """How a dialect is found: a plugin in ``smsgw.plugins`` provides this and IPlugin."""

    kind = Attribute("The word after `dialect =`.")

    def load() -> Dialect:
        """The dialect itself."""
