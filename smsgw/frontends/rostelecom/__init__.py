"""The Rostelecom API (doc 004): its resource, and the gateway behind it."""

from smsgw.frontends.rostelecom.resource import MessageResource

__all__ = [
    "MessageResource",
]
