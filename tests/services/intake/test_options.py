"""Tests of what few submissions bring: keys, labels, an encoding; of callbacks, and of looking without sending."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgw.config import ConnectorSettings, Globs, RouteSettings, Way
from smsgw.model.changes import Committed, Once, Unmet
from smsgw.model.content import Labels
from smsgw.model.errors import Refusal, Refused
from smsgw.model.lifecycle import Notify, State
from smsgw.model.message import CALLBACK, Accepted, Message, Options, Previewed, Submission
from smsgw.services.intake.options import LONGEST_COMMENT, LONGEST_REFERENCE
from smsgw.services.routing import Router
from tests.configured import configured
from tests.services.intake.test_intake import NOW, IntakeTestCase


class OptionsTestCase(IntakeTestCase):
    def configure(self, **changed: Any) -> None:
        """Change the settings of the account; its rate does not matter here."""
        demo = self.accounts.get("demo")
        assert demo is not None
        self.accounts.apply(configured(attrs.evolve(demo.settings, rate=0.0, **changed)))

    def with_options(self, *recipients: str, **options: Any) -> Submission:
        """A submission with these options."""
        return self.submission(*recipients, path="", options=Options(**options))


class EncodingTests(OptionsTestCase):
    def test_chosen(self) -> None:
        """Who insists on an encoding gets it, also where a shorter one would do."""
        self.configure()
        for encoding, text, data_coding in (("", "hello", 0), ("gsm", "hello", 0), ("ucs2", "hello", 8), ("", "я", 8)):
            submission = attrs.evolve(self.with_options(encoding=encoding), text=text)
            _, (message,) = self.accepted(submission)
            self.assertEqual((message.content.data_coding, message.content.text()), (data_coding, text))

    def test_impossible(self) -> None:
        """A text that cannot be written as its sender insists is refused, and so is an encoding that is none."""
        for encoding, text in (("gsm", "я"), ("utf-8", "hello")):
            refused = self.refused(attrs.evolve(self.with_options(encoding=encoding), text=text))
            self.assertIs(refused.refusal, Refusal.BAD_ENCODING)


class LabelTests(OptionsTestCase):
    def test_kept(self) -> None:
        """Labels stay with the message, with one of several parts too."""
        labels = Labels("", "order 7", "for the annual report")
        for text in ("hello", "long " * 100):
            self.configure()
            _, (message,) = self.accepted(attrs.evolve(self.with_options(labels=labels), text=text))
            self.assertEqual(message.content.labels, labels)

    def test_bounds(self) -> None:
        """Labels have a longest form, and are text."""
        fitting = Labels("", "x" * LONGEST_REFERENCE, "y" * LONGEST_COMMENT)
        self.configure()
        self.accepted(self.with_options(labels=fitting))
        for changed in ({"reference": "x" * (LONGEST_REFERENCE + 1)}, {"comment": "y" * (LONGEST_COMMENT + 1)},
                        {"comment": "\ud800"}, {"reference": "\udfff"}):
            refused = self.refused(self.with_options(labels=Labels(**changed)))
            self.assertIs(refused.refusal, Refusal.CANNOT_REGISTER)

    def test_hosts(self) -> None:
        """A message's own callback is at a host that the account agreed on, or else at that of its callback."""
        cases = [
            ((), "", "https://shop.example/sms", False),
            ((), "https://shop.example/all", "https://shop.example/one?id=7", True),
            ((), "https://shop.example/all", "http://SHOP.example:8080/one", True),
            ((), "https://shop.example/all", "https://evil.example/one", False),
            ((), "https://shop.example/all", "https://shop.example.evil.example/one", False),
            ((), "https://shop.example/all", "https://shop.example@evil.example/", False),
            (("Other.example",), "https://shop.example/all", "https://other.example/one", True),
            (("other.example",), "https://shop.example/all", "https://shop.example/one", False),
            (("shop.example",), "", "ftp://shop.example/one", False),
            (("shop.example",), "", "shop.example", False),
            (("shop.example",), "", "https://shop.example/" + "x" * 2048, False),
        ]
        for hosts, callback, url, taken in cases:
            with self.subTest(url):
                self.configure(callback=callback, callback_hosts=hosts)
                submission = self.with_options(labels=Labels(callback=url))
                if taken:
                    _, (message,) = self.accepted(submission)
                    assert message.content.labels is not None
                    self.assertEqual((message.path, message.content.labels.callback), (CALLBACK, url))
                else:
                    self.assertIs(self.refused(submission).refusal, Refusal.BAD_CALLBACK)


class CallbackTests(OptionsTestCase):
    def reports(self, **changed: Any) -> tuple[str, int]:
        """Return the path of the reports on a submission, and which reports the sender gets."""
        _, (message,) = self.accepted(self.submission(**changed))
        return message.path, message.notify

    def test_account_with_a_callback(self) -> None:
        """A callback gets the reports on messages from HTTP, SMTP and SMPP (002-107), of every state (002-105)."""
        self.configure(callback="https://shop.example/sms")
        for path in ("", "smpp"):
            self.assertEqual(self.reports(path=path), (CALLBACK, Notify.ENROUTE | Notify.FINAL))

    def test_one_address_per_account(self) -> None:
        """The address is the account's (002-104): without one no report is sent."""
        self.configure()
        self.assertEqual((self.reports(path=""), self.reports(path="smpp")), (("", 0), ("smpp", 0)))

    def test_receipts_over_smpp(self) -> None:
        """A client that asks for receipts over SMPP gets them there and no callback, like the command ``smsgw send``
        (002-106)."""
        self.configure(callback="https://shop.example/sms")
        self.assertEqual(self.reports(path="smpp", notify=int(Notify.FAILED)), ("smpp", Notify.FAILED))

    def test_refused_by_rules(self) -> None:
        """The callback gets a report on a message that is accepted only to be refused by rules."""
        self.configure(callback="https://shop.example/sms")
        reports = self.reports(path="", recipients=("4917012345678",), as_states=frozenset({Refusal.NO_ROUTE}))
        self.assertEqual(reports, (CALLBACK, Notify.ENROUTE | Notify.FINAL))


class KeyTests(OptionsTestCase):
    def setUp(self) -> None:
        """No rate is in the way."""
        super().setUp()
        self.configure()

    def committed(self, *used: tuple[int, bytes] | None) -> tuple[list[Once], list[Message]]:
        """Let the commit go, in which the keys were used before for these ids and digests: what it held."""
        changes = self.store.commits[0][0]
        keys = [one.conditions[0] for one in changes.conditions]
        unmet = [None if before is None else Unmet(key, *before) for key, before in zip(keys, used, strict=True)]
        messages = self.store.finish(Committed([], [], [], [], unmet))
        return [key for key in keys if isinstance(key, Once)], messages

    def test_new_key(self) -> None:
        """A new key goes into the commit with what it protects, for a day."""
        answers = self.intake.submit([
            self.submission(), self.with_options("79161234567", "79161234568", key="k", digest=b"d"), self.submission(),
        ])
        (conditional,) = self.store.commits[0][0].conditions
        (once,), messages = self.committed(None)
        self.assertEqual((once.scope, once.key, once.digest, once.until), ("idempotency demo", "k", b"d", NOW + 86_400))
        self.assertEqual([message.batch for message in conditional.messages], [once.id, once.id])
        self.assertEqual(len(messages), 4)
        accepted = [answer.id for answer in self.successResultOf(answers) if isinstance(answer, Accepted)]
        self.assertEqual(accepted[1], once.id)

    def test_key_life(self) -> None:
        """Keys count for as long as ``idempotency`` says."""
        self.intake.apply(configured(idempotency=60.0))
        self.intake.submit([self.with_options(key="k", digest=b"d")])
        keys, _ = self.committed(None)
        self.assertEqual([once.until for once in keys], [NOW + 60])

    def test_repeated_key(self) -> None:
        """The same key for the same request: the first id, and nothing is counted a second time."""
        answers = self.intake.submit([self.with_options(key="k", digest=b"d"), self.submission()])
        _, (_, kept) = self.committed((99, b"d"))
        first, second = self.successResultOf(answers)
        assert isinstance(first, Accepted)
        assert isinstance(second, Accepted)
        self.assertEqual((first.id, first.message_ids, first.parts, first.state, first.repeated),
                         (99, (99,), 0, State.SCHEDULED, True))
        self.assertEqual((second.id, second.repeated), (kept.id, False))
        self.assertEqual(self.metrics.repeated["demo"], 1)

    def test_reused_key(self) -> None:
        """The same key for another request is refused."""
        answers = self.intake.submit([self.with_options(key="k", digest=b"d")])
        self.committed((99, b"other"))
        (answer,) = self.successResultOf(answers)
        assert isinstance(answer, Refused)
        self.assertIs(answer.refusal, Refusal.KEY_REUSED)

    def test_refused_with_a_key(self) -> None:
        """What is refused uses up no key."""
        self.assertIs(self.refused(self.with_options("12", key="k")).refusal, Refusal.BAD_RECIPIENT)


class PreviewTests(OptionsTestCase):
    def previewed(self, submission: Submission) -> Previewed | Refused:
        """What would become of it; nothing happens."""
        (answer,) = self.intake.preview([submission])
        self.assertEqual((self.store.commits, self.store.ids), ([], 0))
        return answer

    def test_tells(self) -> None:
        """A preview returns encoding, characters, parts, the number and the connector."""
        self.assertEqual(
            self.previewed(self.submission("8 (916) 123-45-67", text="я" * 100)),
            Previewed("ucs2", 100, 2, "79161234567", "sim"),
        )
        insisted = attrs.evolve(self.with_options(encoding="ucs2"), text="hello")
        self.assertEqual(self.previewed(insisted), Previewed("ucs2", 5, 1, "79161234567", "sim"))

    def test_costs_nothing(self) -> None:
        """Looking charges no rate, and an account that is over its rate may look."""
        self.accepted(self.submission(text="x" * 1000))
        self.assertIs(self.refused(self.submission()).refusal, Refusal.OVER_RATE)
        (answer,) = self.intake.preview([self.submission()])
        self.assertIsInstance(answer, Previewed)

    def test_takes_no_turn(self) -> None:
        """Looking does not shift the turns by which a route spreads its load."""
        way = RouteSettings(name="all", to=Globs(("7*",)), connectors=(Way("sim", 2), Way("mts", 1)))
        connectors = [ConnectorSettings(name=name) for name in ("sim", "mts")]
        self.intake._router = Router(configured(*connectors, way))
        self.configure()
        taken = []
        for _ in range(6):
            looked = self.intake.preview([self.submission()])[0]
            _, (message,) = self.accepted(self.submission())
            assert isinstance(looked, Previewed)
            self.assertEqual(looked.connector, message.connector)
            taken.append(message.connector)
        self.assertEqual(taken.count("mts"), 2)

    @given(
        st.sampled_from(["79161234567", "8 916 1234567", "12", "4917012345678", "79101234567"]),
        st.sampled_from(["", "DEMO", "MTS", "OTHER", "FAR TOO LONG A NAME"]),
        st.sampled_from(["hello", "", "я" * 200, "x" * 481, "\ud800", "promise", "x" * 40_000]),
        st.sampled_from([0.0, NOW - 1, NOW + 50, NOW + 100]),
        st.sampled_from([0.0, NOW + 60]),
        st.sampled_from([None, Options("gsm"), Options("ucs2"), Options("utf-8"), Options(labels=Labels("http://x"))]),
        st.sampled_from([0, 480]),
    )
    @settings(max_examples=100)
    def test_agrees(
        self, to: str, source: str, text: str, expires: float, schedule: float, options: Options | None, limit: int
    ) -> None:
        """A preview returns the same result as the submission itself, for any submission."""
        self.setUp()
        self.configure()
        changed = {"sender": source, "text": text, "expires": expires, "schedule": schedule, "options": options,
                   "text_limit": limit}
        (looked,) = self.intake.preview([self.submission(to, **changed)])
        answers = self.intake.submit([self.submission(to, **changed)])
        messages = self.store.finish() if self.store.commits else []
        (answer,) = self.successResultOf(answers)
        if isinstance(looked, Refused):
            self.assertEqual(answer, looked)
        else:
            (message,) = messages
            self.assertEqual((looked.parts, looked.number, looked.connector),
                             (message.parts, message.recipient, message.connector))
