"""Webhooks of upstreams: which connector gets them, as what, and what the upstream gets back."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from zope.interface import implementer

from smsgw.frontends.webhooks import PathSwitch, WebhookResource
from smsgw.interfaces import IWebhookReceiver, WebhookRequest, WebhookResponse
from smsgw.model.errors import StoreDown
from smsgw.protocols.http import BoundedSite, bare_reason
from tests.protocols.http.support import Client, Response, request


@implementer(IWebhookReceiver)
@attrs.define(eq=False)
class Receiver:
    """Keeps the webhooks, and answers what the test sets."""

    answer: Deferred[WebhookResponse] | None = None
    requests: list[WebhookRequest] = attrs.field(factory=list)

    def webhook(self, request: WebhookRequest) -> Deferred[WebhookResponse]:
        self.requests.append(request)
        return self.answer or succeed(WebhookResponse(200, b"OK"))


class WebhookTests(SynchronousTestCase):
    def setUp(self) -> None:
        """One connector that takes webhooks, and one that does not."""
        self.receiver = Receiver()
        connectors = {"acme": self.receiver, "b.c-d_1": Receiver(), "sim": object()}
        self.site = BoundedSite(WebhookResource(connectors, 100, bare_reason), Clock())
        self.client = Client(self.site, "192.0.2.7")

    def ask(self, method: bytes = b"GET", path: bytes = b"/upstream/acme", *given: Any) -> Response:
        return self.client.ask(request(method, path, *given))

    def test_get(self) -> None:
        """The connector gets method, raw query, body and the upstream's address."""
        answer = self.ask(b"GET", b"/upstream/acme?id=7&text=%D1%82+x", None)
        self.assertEqual((answer.status, answer.body), (200, b"OK"))
        self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
        (got,) = self.receiver.requests
        self.assertEqual((got.method, got.query, got.body, got.peer), ("GET", "id=7&text=%D1%82+x", b"", "192.0.2.7"))

    def test_post(self) -> None:
        """The body comes as octets; of a header that occurs twice the last value counts, by its name in lower case."""
        lines = (b"X-Key: first", b"Content-Type: application/json", b"x-KEY: last\xe9")
        self.assertEqual(self.ask(b"POST", b"/upstream/acme", b'{"id":"\xff"}', *lines).status, 200)
        (got,) = self.receiver.requests
        self.assertEqual((got.method, got.query, got.body), ("POST", "", b'{"id":"\xff"}'))
        self.assertEqual((got.headers["x-key"], got.headers["content-type"]), ("lasté", "application/json"))

    def test_answer(self) -> None:
        """The upstream gets status, body and type of the connector's response, when it is there."""
        self.receiver.answer = waiting = Deferred()
        self.client.send(request(b"POST", b"/upstream/acme", b""))
        self.assertEqual(self.client.responses(), [])
        waiting.callback(WebhookResponse(202, b"<ok/>", "text/xml"))
        (answer,) = self.client.responses()
        self.assertEqual((answer.status, answer.body, answer.headers["content-type"]), (202, b"<ok/>", "text/xml"))

    def test_names(self) -> None:
        """A name may have all characters of a section's name; only a connector that takes webhooks is found."""
        self.assertEqual(self.ask(b"GET", b"/upstream/b.c-d_1").status, 200)
        for name in (b"sim", b"nowhere", b"", b"acme/", b"acme/x", b"%61cme", b"a" * 65, b"ACME"):
            answer = self.ask(b"GET", b"/upstream/" + name)
            self.assertEqual((answer.status, answer.reason), (404, "not_found"), name)
        self.assertEqual(self.ask(b"PUT").status, 405)
        self.assertEqual(self.receiver.requests, [])

    def test_not_stored(self) -> None:
        """If the connector fails, the upstream is asked to repeat the webhook: 503 with Retry-After."""
        for failure in (StoreDown("full"), ZeroDivisionError("a fault")):
            self.receiver.answer = fail(failure)
            answer = self.ask(b"POST", b"/upstream/acme", b"")
            self.assertEqual((answer.status, answer.reason, answer.headers["retry-after"]), (503, "try_again", "5"))
            self.assertEqual(len(self.flushLoggedErrors(type(failure))), 1)

    def test_body_limit(self) -> None:
        """A body above the limit of the listener is refused, and the connector does not see it."""
        self.assertEqual(self.ask(b"POST", b"/upstream/acme", b"x" * 101).status, 413)
        self.assertEqual(self.receiver.requests, [])


class Echo(Resource):
    """Responds with its name and the path below its place."""

    isLeaf = True

    def __init__(self, name: bytes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name = name

    def render(self, request: Any) -> bytes:
        octets = self.name + b" " + b"/".join(request.postpath)
        request.setHeader(b"content-length", b"%d" % len(octets))
        return octets


class PathSwitchTests(SynchronousTestCase):
    def test_first_segment(self) -> None:
        """The first segment of the path chooses the resource, which gets the full path; all others get the last one."""
        switch = PathSwitch({b"one": Echo(b"1"), b"two": Echo(b"2")}, Echo(b"other"))
        client = Client(BoundedSite(switch, Clock()))
        for path, expected in (
            (b"/one", b"1 one"),
            (b"/one/a/b", b"1 one/a/b"),
            (b"/two/", b"2 two/"),
            (b"/", b"other "),
            (b"/three/one", b"other three/one"),
            (b"//one", b"other /one"),
            (b"/One", b"other One"),
        ):
            self.assertEqual(client.ask(request(b"GET", path)).body, expected)
