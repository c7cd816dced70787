"""The port of dialect plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from smsgw.dialects import Dialect


class IDialectPlugin(Interface):
    """Finds a dialect. A plugin in ``smsgw.plugins`` provides this and IPlugin."""

    kind = Attribute("The name of the dialect: the value of `dialect =` and `callback_dialect =`.")

    def load() -> Dialect:
        """Return the dialect."""
