"""Tells the gateway that there is a dialect acme."""

from __future__ import annotations

from smsgw.plugins import LazyDialect

acme = LazyDialect("acme", "acmedialect.dialect.ACME")
