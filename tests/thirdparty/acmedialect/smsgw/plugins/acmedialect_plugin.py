"""Declares the dialect acme to the gateway."""

from __future__ import annotations

from smsgw.plugins import LazyDialect

acme = LazyDialect("acme", "acmedialect.dialect.ACME")
