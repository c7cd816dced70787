"""Tests of resolving senders."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import AccountSettings, Globs, OperatorSettings, SenderSettings
from smsgw.model.errors import Refusal, Refused
from smsgw.services.senders import Sender, Senders
from tests.configured import configured


class SendersTests(SynchronousTestCase):
    """Which sender a message goes out under."""

    account = AccountSettings(name="demo", senders=("DEMO", "AVARIA", "79161234567"), default_sender="DEMO")
    senders = Senders(
        configured(
            SenderSettings(name="AVARIA", operators=("mts",)),
            OperatorSettings(name="mts", numbers=Globs(("7910*", "7911*"))),
        )
    )

    def sender(self, written: str, account: AccountSettings | None = None) -> Sender:
        """The sender, which has to be agreed."""
        answer = self.senders.resolve(account or self.account, written)
        assert isinstance(answer, Sender), answer
        return answer

    def refusal(self, written: str, account: AccountSettings | None = None) -> Refusal:
        """The refusal, which has to come."""
        answer = self.senders.resolve(account or self.account, written)
        assert isinstance(answer, Refused), answer
        return answer.refusal

    def test_default(self) -> None:
        """Nothing written means the account's default sender, and a refusal where it has none."""
        self.assertEqual(self.sender("").value, "DEMO")
        bare = AccountSettings(name="bare", senders=("DEMO",))
        self.assertIs(self.refusal("", bare), Refusal.SENDER_NOT_AGREED)

    def test_agreed_spelling(self) -> None:
        """(004-189) Any agreed name may be used, however its case is written; it goes out as agreed."""
        self.assertEqual(self.sender("avaria").value, "AVARIA")
        self.assertEqual(self.sender("79161234567").ton, 1)
        self.assertIs(self.refusal("OTHER"), Refusal.SENDER_NOT_AGREED)

    def test_malformed(self) -> None:
        """What no network would carry is malformed, agreed or not."""
        unlimited = AccountSettings(name="any", senders=("*",))
        self.assertIs(self.refusal("FAR TOO LONG A NAME", unlimited), Refusal.BAD_SENDER)
        self.assertEqual(self.sender("ANYTHING", unlimited).value, "ANYTHING")

    def test_operators(self) -> None:
        """(004-190) A name agreed for some operators reaches only their numbers; others reach all."""
        self.assertTrue(self.sender("AVARIA").agreed_for("79101112233"))
        self.assertFalse(self.sender("AVARIA").agreed_for("79161112233"))
        self.assertTrue(self.sender("DEMO").agreed_for("79161112233"))

    def test_reload(self) -> None:
        """After a change of an account its senders are resolved anew, without the cache."""
        self.sender("DEMO")
        self.assertIs(
            self.refusal("DEMO", AccountSettings(name="demo", senders=("AVARIA",))), Refusal.SENDER_NOT_AGREED
        )

    def test_memory_is_bounded(self) -> None:
        """A client that tries senders without end does not fill the memory."""
        senders = Senders(configured())
        for number in range(2500):
            senders.resolve(self.account, f"S{number}")
        self.assertLessEqual(len(senders._known), 1000)
