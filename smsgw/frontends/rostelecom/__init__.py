"""The Rostelecom API (doc 004): its resource, and its front end."""

from smsgw.frontends.rostelecom.resource import RESPONSES, MessageResource

__all__ = [
    "RESPONSES",
    "MessageResource",
]
