"""What every IMessageStore promises, one test each.

A store passes when a class derived from :class:`MessageStoreTests` and trial's TestCase, which says how to make and
reopen one, passes without changing a line of the suite.
"""

from __future__ import annotations

from tests.stores.accepting import AcceptingTests, GroupTests
from tests.stores.answering import EventTests, LookingUpTests
from tests.stores.conditions import ConditionTests
from tests.stores.ending import EndingTests
from tests.stores.incoming import DeadLetterTests, FilterTests, IncomingTests
from tests.stores.keeping import UpkeepTests
from tests.stores.reporting import PartsTests, ReceiptTests
from tests.stores.sending import CancelTests, ClaimingTests, OutcomeTests
from tests.stores.words import WordsTests


class MessageStoreTests(
    AcceptingTests,
    GroupTests,
    ClaimingTests,
    OutcomeTests,
    CancelTests,
    ReceiptTests,
    PartsTests,
    EventTests,
    LookingUpTests,
    UpkeepTests,
    ConditionTests,
    IncomingTests,
    DeadLetterTests,
    FilterTests,
    WordsTests,
    EndingTests,
):
    """All of it; see :class:`~tests.stores.case.StoreCase` for what a store's own class has to say."""
