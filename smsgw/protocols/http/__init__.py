"""HTTP within bounds: the site that clients of the gateway talk to, JSON resources, and requests of our own."""

from smsgw.protocols.http.channel import WebLimits
from smsgw.protocols.http.client import WebClient
from smsgw.protocols.http.jsonresource import Answer, JsonResource, Route, error_answer, json_answer
from smsgw.protocols.http.site import BoundedSite

__all__ = [
    "Answer",
    "BoundedSite",
    "JsonResource",
    "Route",
    "WebClient",
    "WebLimits",
    "error_answer",
    "json_answer",
]
