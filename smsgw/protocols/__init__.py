"""Embeddable Twisted protocols without policy: each asks a delegate and knows neither configuration nor store."""

from smsgw.protocols.connections import Surroundings
from smsgw.protocols.overload import OverloadMetrics, Overloads

__all__ = ["OverloadMetrics", "Overloads", "Surroundings"]
