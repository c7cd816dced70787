"""The native HTTP API under /v1/ (docs/api.rst): messages, previews, lists, incoming texts, account, confirmations."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.python.failure import Failure
from twisted.web.server import Request

from smsgw.config import HttpListenSettings
from smsgw.frontends.api import views
from smsgw.frontends.api.fields import (
    MOST_MESSAGES,
    BadFields,
    Written,
    Wrong,
    escaped,
    key,
    read_list,
    read_message,
    read_page,
)
from smsgw.frontends.api.openapi import DOCUMENT
from smsgw.frontends.api.views import STATUSES, problem, problem_answer
from smsgw.interfaces import IMessageStore
from smsgw.model.changes import Cancel, Confirmation
from smsgw.model.errors import GatewayError, Refused
from smsgw.model.lifecycle import State
from smsgw.model.message import Accepted, Message, Previewed, Submission
from smsgw.model.moments import utc
from smsgw.protocols.http.jsonresource import (
    Answer,
    BadJson,
    Credentials,
    JsonResource,
    ResourcePath,
    authenticated,
    compact,
    json_answer,
    peer,
    query,
    read_basic,
    strict_json,
)
from smsgw.services.accounts import Account

SEARCHES: Final = 2
"""The most list queries at a time for one account: a search for a rare word may read the whole store."""

REFUSALS_OF_WORK: Final = 20
"""Messages of a list that are refused for a unit of work."""

_ID: Final = re.compile(r"[1-9][0-9]{0,17}")
_BEARER: Final = re.compile(rb"[A-Za-z0-9._~+/-]{1,512}=*")
_JSON: Final = re.compile(rb'application/json\s*(?:;\s*charset="?utf-8"?\s*)?', re.IGNORECASE)

_UNAUTHENTICATED: Final = problem(401, "no-credentials", "credentials are needed: Basic, or Bearer with an API key")
_UNKNOWN: Final = problem(404, "unknown-id", "there is no such message")
_NOT_NOW: Final = problem(
    503, "store-down", "the store does not answer",
    detail="the request may have been carried out; query it, or repeat it with an idempotency key",
)  # fmt: skip
_FAILED: Final = problem(500, "internal-error", "the gateway failed; this is a fault of its own")


class AccountBook(Protocol):
    """Checks the credentials of accounts."""

    def check(self, login: bytes, password: bytes, peer: str, protocol: str) -> Deferred[Account | Refused]:
        """Return the account of a login and password, or the refusal."""

    def answer_after_work(self, name: str, work: float, answer: Answer) -> Deferred[Answer]:
        """Charge an account with work; fire with the answer when it has paid for what it caused before."""


class Submitter(Protocol):
    """Intake, with previews."""

    def submit(self, submissions: Sequence[Submission]) -> Deferred[list[Accepted | Refused]]:
        """Submit messages, as :meth:`smsgw.interfaces.IIntake.submit` does."""

    def preview(self, submissions: Sequence[Submission]) -> list[Previewed | Refused]:
        """Return how each message would be sent."""

    def faults(self, submission: Submission) -> list[Refused]:
        """Return everything that is wrong with the fields of a message."""


class _Stop(Exception):
    """Ends a request with a problem."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.problem = problem


Work = Callable[..., Awaitable[Answer]]


def _checked(work: Work) -> Callable[..., Deferred[Answer]]:
    """Authenticate the request and answer errors as problem details."""

    async def answer(self: V1Resource, request: Request, *groups: str) -> Answer:
        try:
            account = await self.enter(request)
        except _Stop as stop:
            return problem_answer(stop.problem)
        made = await asked(self, request, account, *groups)
        return made if made.status == 201 else await self.charged(account, 1, made)

    async def asked(self: V1Resource, request: Request, account: Account, *groups: str) -> Answer:
        try:
            return await work(self, request, account, *groups)
        except _Stop as stop:
            return problem_answer(stop.problem)
        except BadJson as error:
            return problem_answer(problem(400, "bad-json", "the body is not strict JSON", detail=str(error)))
        except BadFields as error:
            return problem_answer(problem(422, "bad-fields", "fields cannot be used", error.errors))
        except GatewayError:
            return problem_answer(_NOT_NOW)

    @wraps(work)
    def checked(self: V1Resource, request: Request, *groups: str) -> Deferred[Answer]:
        return Deferred.fromCoroutine(answer(self, request, *groups))

    return checked


class V1Resource(JsonResource):
    """The API as a resource for the root of a site.

    :param cancel: cancels messages. :param expect: awaits a call.
    :param now: returns seconds since 1970.
    """

    def __init__(
        self,
        settings: HttpListenSettings,
        intake: Submitter,
        store: IMessageStore,
        accounts: AccountBook,
        cancel: Callable[[Sequence[Cancel]], Deferred[list[list[Message] | Refused]]],
        expect: Callable[[str, str], Deferred[Confirmation | Refused]],
        now: Callable[[], float],
    ) -> None:
        self._listener = settings.name
        self._intake = intake
        self._store = store
        self._accounts = accounts
        self._cancel = cancel
        self._expect = expect
        self._now = now
        self._searching: defaultdict[str, DeferredSemaphore] = defaultdict(lambda: DeferredSemaphore(SEARCHES))
        id = "/v1/messages/([^/]*)"
        super().__init__(
            [
                ResourcePath("/v1/messages", {b"POST": self._post, b"GET": self._list}),
                ResourcePath(id, {b"GET": self._get, b"DELETE": self._delete}),
                ResourcePath("/v1/preview", {b"POST": self._preview}),
                ResourcePath("/v1/incoming", {b"GET": self._incoming}),
                ResourcePath("/v1/account", {b"GET": self._account}),
                ResourcePath("/v1/confirmations", {b"POST": self._confirm}),
                ResourcePath("/v1/openapi.json", {b"GET": lambda _: json_answer(DOCUMENT)}),
            ],
            settings.body_limit,
            views.error,
        )

    def failed(self, failure: Failure) -> Answer:
        """Answer an internal error without details."""
        return problem_answer(_FAILED)

    async def enter(self, request: Request) -> Account:
        """Authenticate the client; return its account.

        :raises _Stop: if the credentials are missing, wrong or not allowed.
        """
        header = (request.requestHeaders.getRawHeaders(b"authorization") or (b"",))[0]
        scheme, _, token = header.partition(b" ")
        token = token.strip(b" ")
        if scheme.lower() == b"bearer" and _BEARER.fullmatch(token):
            credentials: Credentials | None = Credentials(b"", token)
        else:
            credentials = read_basic(header)
        if credentials is None:
            raise _Stop(_UNAUTHENTICATED)
        entered = await self._accounts.check(credentials.login, credentials.password, peer(request), "http")
        if isinstance(entered, Refused):
            raise _Stop(views.refused(entered))
        authenticated(request)
        return entered

    def charged(self, account: Account, work: float, answer: Answer) -> Deferred[Answer]:
        """Charge the account for a request that sends nothing; the answer may come later."""
        return self._accounts.answer_after_work(account.name, work, answer)

    def _value(self, request: Request) -> Any:
        """Return the JSON value of a body.

        :raises BadJson: if it is no JSON. :raises _Stop: if its Content-Type is another.
        """
        kinds = request.requestHeaders.getRawHeaders(b"content-type") or ()
        if len(kinds) != 1 or not _JSON.fullmatch(kinds[0].strip()):
            raise _Stop(problem(415, "not-json", "the body must be application/json in UTF-8"))
        return strict_json(self.body(request))

    def _query(self, request: Request) -> dict[str, str]:
        try:
            return query(request)
        except ValueError as error:
            raise _Stop(problem(400, "bad-query", "the query cannot be read", detail=str(error))) from None

    def _key(self, request: Request) -> str:
        """Return the Idempotency-Key of the request, empty if it has none."""
        values = request.requestHeaders.getRawHeaders(b"idempotency-key") or ()
        if not values:
            return ""
        try:
            if len(values) > 1:
                raise ValueError("given twice")
            return key(values[0].decode("latin-1"))
        except ValueError as error:
            raise _Stop(problem(400, "bad-key", "Idempotency-Key cannot be used", detail=str(error))) from None

    # Messages

    @_checked
    async def _post(self, request: Request, account: Account) -> Answer:
        """Send one message or many."""
        value = self._value(request)
        request_key = self._key(request)
        digest = hashlib.sha256(compact(value)).digest()
        now = self._now()
        if not (isinstance(value, dict) and "messages" in value):
            key = f"http-one:{request_key}" if request_key else ""
            submission = self._submission(value, "", account, now, key, digest)
            (answer,) = await self._intake.submit([submission])
            if isinstance(answer, Refused):
                return problem_answer(self._refused(answer, submission))
            if answer.repeated:
                return json_answer(views.accepted(answer))
            return json_answer(views.accepted(answer), 201, [(b"Location", b"/v1/messages/%d" % answer.id)])
        answers = await self._post_many(value, account, now, request_key, digest)
        refused = sum("problem" in answer for answer in answers)
        return await self.charged(account, refused / REFUSALS_OF_WORK, json_answer({"messages": answers}))

    def _submission(
        self, value: object, pointer: str, account: Account, now: float, key: str, digest: bytes
    ) -> Submission:
        """Return the submission of one message.

        :raises BadFields: with every fault, also those of the readable fields that intake would refuse.
        """
        try:
            return read_message(value, pointer).submission(account.name, self._listener, now, key, digest)
        except BadFields as bad:
            if bad.read is None:
                raise
            readable = Written({"to": "", "text": "", **bad.read})
            submission = readable.submission(account.name, self._listener, now, "", b"")
            raise BadFields(*views.also(bad.errors, self._intake.faults(submission), pointer)) from None

    def _refused(self, refusal: Refused, submission: Submission, pointer: str = "") -> dict[str, Any]:
        """Return the problem details of a submission that intake refused, with every fault of its fields."""
        is_field = bool(STATUSES[refusal.refusal][1])
        return views.refused(refusal, pointer, self._intake.faults(submission) if is_field else ())

    async def _post_many(
        self, value: dict[str, Any], account: Account, now: float, request_key: str, digest: bytes
    ) -> list[dict[str, Any]]:
        """Return the result for each message; all accepted ones are stored in one commit."""
        wishes = value["messages"]
        errors = [Wrong(f"/{escaped(name)}", "unknown beside messages") for name in value if name != "messages"]
        if not isinstance(wishes, list) or not 1 <= len(wishes) <= MOST_MESSAGES:
            errors.append(Wrong("/messages", f"a list of 1 to {MOST_MESSAGES} messages"))
        if errors:
            raise BadFields(*errors)
        answers: list[dict[str, Any]] = [{} for _ in wishes]
        places: list[int] = []
        submissions: list[Submission] = []
        for place, wish in enumerate(wishes):
            key = f"http-{place}:{request_key}" if request_key else ""
            try:
                submission = self._submission(wish, f"/messages/{place}", account, now, key, digest)
            except BadFields as error:
                refused = problem(422, "bad-fields", "fields cannot be used", error.errors)
                answers[place] = {"status": 422, "problem": refused}
                continue
            submissions.append(submission)
            places.append(place)
        results: list[Accepted | Refused] = await self._intake.submit(submissions) if submissions else []
        for place, submission, result in zip(places, submissions, results, strict=True):
            if isinstance(result, Refused):
                refused = self._refused(result, submission, f"/messages/{place}")
                answers[place] = {"status": refused["status"], "problem": refused}
            else:
                answers[place] = {"status": 200 if result.repeated else 201, **views.accepted(result)}
        return answers

    @_checked
    async def _preview(self, request: Request, account: Account) -> Answer:
        """Preview a message without sending it."""
        submission = self._submission(self._value(request), "", account, self._now(), "", b"")
        answer: Previewed | Refused = self._intake.preview([submission])[0]
        if isinstance(answer, Refused):
            return problem_answer(self._refused(answer, submission))
        return json_answer(views.previewed(answer))

    @_checked
    async def _get(self, request: Request, account: Account, id: str) -> Answer:
        """Return one message."""
        (shown,) = await self._shown([await self._found(account, id)])
        return json_answer(shown)

    async def _shown(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Return messages of the account, those that failed with the upstream's words."""
        failed = [one.id for one in messages if one.state > State.DELIVERED]
        words = await self._store.last_words(failed) if failed else {}
        return [views.message(one, words.get(one.id, ())) for one in messages]

    async def _found(self, account: Account, id: str) -> Message:
        """Return a message of the account; another account's is answered like an unknown id."""
        found = (await self._store.find(account.name, [int(id)]))[0] if _ID.fullmatch(id) else []
        if len(found) != 1 or found[0].id != int(id):
            raise _Stop(_UNKNOWN)
        return found[0]

    @_checked
    async def _list(self, request: Request, account: Account) -> Answer:
        """Return a page of messages, newest first."""
        wanted, cursor, limit = read_list(self._query(request))
        found = await self._searching[account.name].run(self._store.list_messages, account.name, wanted, cursor, limit)
        following = str(found[-1].id) if len(found) == limit else None
        return json_answer({"messages": await self._shown(found), "next": following})

    @_checked
    async def _delete(self, request: Request, account: Account, id: str) -> Answer:
        """Cancel a message that was not sent yet."""
        await self._found(account, id)
        (answer,) = await self._cancel([Cancel(account.name, int(id))])
        if isinstance(answer, Refused):
            return problem_answer(views.refused(answer))
        (shown,) = await self._shown([await self._found(account, id)])
        return json_answer(shown)

    # Other resources

    @_checked
    async def _incoming(self, request: Request, account: Account) -> Answer:
        """Return a page of incoming texts, calls and keys, newest first."""
        cursor, limit = read_page(self._query(request))
        found = await self._store.list_incoming(account.name, cursor, limit)
        following = str(found[-1].id) if len(found) == limit else None
        return json_answer({"incoming": [views.incoming(one) for one in found], "next": following})

    @_checked
    async def _account(self, request: Request, account: Account) -> Answer:
        """Return the settings of the account."""
        return json_answer(views.account(account.settings))

    @_checked
    async def _confirm(self, request: Request, account: Account) -> Answer:
        """Await a call from a phone (provider document 002.6)."""
        value = self._value(request)
        if not isinstance(value, dict):
            raise BadFields(Wrong("", "an object with the phone"))
        errors = [] if isinstance(value.get("phone"), str) else [Wrong("/phone", "the number that will call, as text")]
        errors += [Wrong(f"/{escaped(name)}", "unknown; there is only phone") for name in value if name != "phone"]
        if errors:
            raise BadFields(*errors)
        answer = await self._expect(account.name, value["phone"][:30])
        if isinstance(answer, Refused):
            refused = views.refused(answer)
            return problem_answer({key: item for key, item in refused.items() if key != "errors"})
        confirmation = {"phone": answer.phone, "number": answer.number, "expires_at": utc(answer.expires)}
        return json_answer(confirmation, 201)
