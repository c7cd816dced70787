"""What strict HTTP clients and generators of clients need: Location, content codings, phrases, every fault, types."""

from __future__ import annotations

import gzip
import json
from typing import Any

from smsgw.frontends.api.openapi import DOCUMENT
from tests.frontends.api.test_resource import BASIC, JSON, NUMBER, V1TestCase
from tests.protocols.http.support import request

SOUND = {"to": NUMBER, "text": "Hello"}


class I5Tests(V1TestCase):
    """Item I5."""

    def pointers(self, *path_and_value: Any) -> list[str]:
        """Return the fields that a request is refused for."""
        answer = self.ask("POST", *path_and_value)
        self.assertEqual(answer.status, 422, answer.body)
        return [error["pointer"] for error in answer.json["errors"]]

    def test_i5_location(self) -> None:
        """The 201 names the new message, which is there; a repeat and a batch name none."""
        for id in (1, 2):
            answer = self.send(text=f"Hello {id}")
            self.assertEqual((answer.status, answer.headers["location"]), (201, f"/v1/messages/{id}"))
            found = self.ask("GET", answer.headers["location"])
            self.assertEqual((found.status, found.json["text"]), (200, f"Hello {id}"))
        first = self.send(idempotency_key="k")
        self.assertEqual((first.status, "location" in first.headers), (201, True))
        again = self.send(idempotency_key="k")
        self.assertEqual((again.status, "location" in again.headers), (200, False))
        many = self.ask("POST", "/v1/messages", {"messages": [SOUND]})
        self.assertEqual((many.status, "location" in many.headers), (200, False))
        declared = DOCUMENT["paths"]["/v1/messages"]["post"]["responses"]
        self.assertEqual([status for status, one in declared.items() if "Location" in one.get("headers", {})], ["201"])

    def test_i5_content_coding(self) -> None:
        """A compressed body gets 415, which names the coding that is taken; identity is no coding."""
        octets = json.dumps(SOUND).encode()
        for coding, body in ((b"gzip", gzip.compress(octets)), (b"GZIP, br", octets), (b"zstd", octets)):
            for path in (b"/v1/messages", b"/v1/preview", b"/v1/confirmations"):
                answer = self.client.ask(request(b"POST", path, body, BASIC, JSON, b"Content-Encoding: " + coding))
                self.problem(answer, 415, "content-coding-not-supported")
                self.assertEqual(answer.headers["accept-encoding"], "identity")
        self.assertEqual(self.stored(), [])
        for line in (b"Content-Encoding: identity", b"Content-Encoding: Identity", b"Content-Encoding:"):
            self.assertEqual(self.ask("POST", "/v1/messages", SOUND, line).status, 201)

    def test_i5_phrases(self) -> None:
        """Every status has its reason phrase of the standards."""
        for octets, line in (
            (request(b"POST", b"/v1/messages", b"{}", BASIC, JSON), b"HTTP/1.1 422 Unprocessable Content\r\n"),
            (request(b"POST", b"/v1/messages", b"x" * 70_000, BASIC, JSON), b"HTTP/1.1 413 Content Too Large\r\n"),
        ):
            self.client.send(octets)
            written = self.client.transport.value()
            self.client.transport.clear()
            self.assertTrue(written.startswith(line), written)
            self.setUp()
        other = b"Authorization: Basic b3RoZXI6c2VjcmV0"
        for _ in range(3):
            self.client.transport.clear()
            self.client.send(request(b"POST", b"/v1/messages", json.dumps(SOUND).encode(), other, JSON))
        self.assertTrue(self.client.transport.value().startswith(b"HTTP/1.1 429 Too Many Requests\r\n"))

    def test_i5_every_field(self) -> None:
        """Faults of several fields are all named, whether the API or intake finds them."""
        wrong: dict[str, Any] = {
            "to": "12", "from": "NOBODY", "text": "\u65e5\u672c", "encoding": "gsm", "callback": "https://a.example/",
            "valid_until": "2019-01-01T00:00:00Z",
        }  # fmt: skip
        named = ["/to", "/callback", "/from", "/encoding", "/valid_until"]
        for path in ("/v1/messages", "/v1/preview"):
            self.assertEqual(self.pointers(path, wrong), named)
            self.assertEqual(self.pointers(path, {**wrong, "priority": 9}), ["/priority", *named])
            self.assertEqual(self.pointers(path, {"to": "12", "from": "NOBODY"}), ["/text", "/to", "/from"])
            self.assertEqual(self.pointers(path, {"to": "12", "text": ""}), ["/text", "/to"])
            self.assertEqual(self.pointers(path, {"to": True, "text": "a"}), ["/to"])
            self.assertEqual(self.pointers(path, {"to": "33123456789", "text": "a"}), ["/to"])
        answer = self.ask("POST", "/v1/messages", {"messages": [wrong, {"from": "NOBODY", "text": ""}]})
        pointers = [[one["pointer"] for one in each["problem"]["errors"]] for each in answer.json["messages"]]
        self.assertEqual(pointers[0], [f"/messages/0{pointer}" for pointer in named])
        self.assertEqual(pointers[1], ["/messages/1/text", "/messages/1/to", "/messages/1/from"])
        self.assertEqual(self.stored(), [])

    def test_i5_every_name_in_a_query(self) -> None:
        """Faults of a list's page and of its filter are named together, and so are those of a confirmation."""
        answer = self.ask("GET", "/v1/messages?limit=0&state=sent&colour=red&to=x")
        named = [error["pointer"] for error in self.problem(answer, 422, "bad-fields")["errors"]]
        self.assertEqual(named, ["colour", "limit", "state", "to"])
        self.assertEqual(self.pointers("/v1/confirmations", {"a/b": 1, "c": 2}), ["/phone", "/a~1b", "/c"])

    def test_i5_types(self) -> None:
        """In the document the items of a batch and their answers have named types."""
        post = DOCUMENT["paths"]["/v1/messages"]["post"]
        schemas = DOCUMENT["components"]["schemas"]
        sent = post["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
        self.assertEqual(sent, [{"$ref": f"#/components/schemas/{name}"} for name in ("NewMessage", "NewMessages")])
        answered = post["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
        self.assertEqual(answered, [{"$ref": f"#/components/schemas/{name}"} for name in ("Accepted", "Answers")])
        for name, item in (("NewMessages", "NewMessage"), ("Answers", "Answer")):
            self.assertEqual(
                schemas[name]["properties"]["messages"]["items"], {"$ref": f"#/components/schemas/{item}"}
            )
            self.assertEqual(schemas[item]["type"], "object")
