"""HTTP within bounds: the site that clients of the gateway talk to, JSON resources, and requests of our own."""

from smsgw.protocols.http.channel import WebLimits
from smsgw.protocols.http.client import RequestFailed, WebClient, WebResponse
from smsgw.protocols.http.jsonresource import Answer, JsonResource, Route, error_answer, json_answer
from smsgw.protocols.http.metrics import HttpMetrics
from smsgw.protocols.http.site import BoundedSite

__all__ = [
    "Answer",
    "BoundedSite",
    "HttpMetrics",
    "JsonResource",
    "RequestFailed",
    "Route",
    "WebClient",
    "WebLimits",
    "WebResponse",
    "error_answer",
    "json_answer",
]
