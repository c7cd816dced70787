"""HTTP with limits: a server site, JSON resources, and a client."""

from smsgw.config import WebLimits
from smsgw.protocols.http.client import RequestFailed, WebClient, WebResponse
from smsgw.protocols.http.jsonresource import (
    Answer,
    JsonResource,
    ResourcePath,
    authenticated,
    error_answer,
    json_answer,
)
from smsgw.protocols.http.metrics import HttpMetrics
from smsgw.protocols.http.responses import ResponseForm, ResponseForms, bare_reason, problem_details
from smsgw.protocols.http.site import BoundedSite

__all__ = [
    "Answer",
    "BoundedSite",
    "HttpMetrics",
    "JsonResource",
    "RequestFailed",
    "ResourcePath",
    "ResponseForm",
    "ResponseForms",
    "WebClient",
    "WebLimits",
    "WebResponse",
    "authenticated",
    "bare_reason",
    "error_answer",
    "json_answer",
    "problem_details",
]
