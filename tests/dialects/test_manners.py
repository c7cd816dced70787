"""The records of a dialect."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.dialects import (
    NATIVE,
    QUICKTEL,
    ROSTELECOM,
    SMSC,
    STANDARD,
    Dialect,
    IdForm,
    SmppManner,
    by_registered_delivery,
)
from smsgw.dialects.standard import RECEIPTS, SMPP
from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import State
from smsgw.plugins import dialects
from smsgw.smpp.consts import VERSIONS, MessageState

DIALECTS = (STANDARD, QUICKTEL, ROSTELECOM, SMSC, NATIVE)
IDS = st.integers(1, (1 << 31) - 1)
PADDED = IdForm(b"%010d", 10, (b"%d",))


class IdFormTests(SynchronousTestCase):
    """Ids in responses and requests."""

    @given(IDS, st.sampled_from([IdForm(), IdForm(b"%08X", 16), PADDED]))
    def test_read_back(self, id: int, form: IdForm) -> None:
        """Every id is read back from the form it is written in."""
        self.assertEqual(form.read(form.write(id)), id)

    @given(st.binary(max_size=20), st.sampled_from([IdForm(), IdForm(b"%08X", 16), PADDED]))
    def test_nothing_else(self, octets: bytes, form: IdForm) -> None:
        """An id that is read equals one of the forms."""
        id = form.read(octets)
        if id is not None:
            self.assertIn(octets.upper(), [one % id for one in (form.written, *form.also)])

    def test_forms(self) -> None:
        """Small hexadecimal digits are read; other paddings, signs, blanks, underscores and zero are not."""
        self.assertEqual(IdForm(b"%08X", 16).read(b"0000abcd"), 0xABCD)
        self.assertEqual((PADDED.read(b"0000004711"), PADDED.read(b"4711")), (4711, 4711))
        for octets in (b"", b"0", b"04711", b"+4711", b" 4711", b"47_11", b"4711\0", b"-1", b"1" * 19):
            self.assertIsNone(IdForm().read(octets), octets)


class ReceiptFormTests(SynchronousTestCase):
    """The text of a receipt as a form."""

    def test_form(self) -> None:
        """The form contains state, error code and number of delivered parts; id, dates and excerpt stay open."""
        self.assertEqual(
            RECEIPTS.form(MessageState.DELIVERED, 0) % (b"7", b"A", b"B", b"Hi"),
            b"id:7 sub:001 dlvrd:001 submit date:A done date:B stat:DELIVRD err:000 text:Hi",
        )
        self.assertIn(b"dlvrd:000", RECEIPTS.form(MessageState.EXPIRED, 0))
        self.assertIn(b"stat:REJECTD err:255", RECEIPTS.form(MessageState.REJECTED, 255))

    def test_longest_error(self) -> None:
        """Error codes above 999 are written as 999."""
        self.assertIn(b"err:999 ", RECEIPTS.form(MessageState.REJECTED, 70_000))

    def test_without_excerpt(self) -> None:
        """A text without ``{excerpt}`` omits the excerpt."""
        bare = attrs.evolve(RECEIPTS, text="id:{id} {submitted}-{done} 100% {stat}")
        self.assertEqual(bare.excerpts, 0)
        self.assertEqual(bare.form(MessageState.DELIVERED, 0) % (b"7", b"A", b"B", b"Hi"), b"id:7 A-B 100% DELIVRD")

    def test_order(self) -> None:
        """A text in which a field is missing, repeated or out of order is refused."""
        behind = "{submitted} {done}"
        for text in ("{id}", "{submitted} {id} {done}", "{id} {id} " + behind, "{excerpt} {id} " + behind):
            self.assertRaises(ValueError, attrs.evolve, RECEIPTS, text=text)


class SmppTests(SynchronousTestCase):
    """Statuses and states by version."""

    def test_statuses(self) -> None:
        """A 5.0 ESME gets the status of 5.0 if there is one."""
        manner = attrs.evolve(SMPP, statuses_5_0={Refusal.NO_ROUTE: 0x10B})
        statuses = [manner.status(Refusal.NO_ROUTE, version) for version in VERSIONS]
        self.assertEqual(statuses, [0x45, 0x45, 0x10B])
        self.assertEqual(manner.status(Refusal.BAD_SENDER, 0x50), 0x0A)

    def test_scheduled(self) -> None:
        """Before 5.0, scheduled messages are reported as ENROUTE."""
        self.assertEqual([SMPP.message_state(State.SCHEDULED, version) for version in VERSIONS], [1, 1, 0])

    def test_notify_table(self) -> None:
        """The table has the function's result for each octet and version."""
        table = by_registered_delivery(lambda octet, version: octet ^ version)
        self.assertEqual({version: len(row) for version, row in table.items()}, {0x33: 256, 0x34: 256, 0x50: 256})
        self.assertEqual(table[0x34][0x11], 0x11 ^ 0x34)


class DialectTests(SynchronousTestCase):
    """The dialects of smsgw."""

    def test_protocols(self) -> None:
        """A dialect has settings for the protocols that it supports, and None for others."""
        protocols = ("smpp", "smtp", "http", "admin", "name")
        spoken = {
            dialect.name: {protocol for protocol in protocols if dialect.settings(protocol) is not None}
            for dialect in DIALECTS
        }
        expected = {
            "standard": {"smpp", "smtp", "http"},
            "quicktel": {"smtp"},
            "rostelecom": {"http"},
            "smsc": set(),
            "native": set(),
        }
        self.assertEqual(spoken, expected)

    def test_callbacks(self) -> None:
        """Dialects with callbacks; that of Rostelecom never repeats them, and each checks its URLs."""
        once = {dialect.name: dialect.callback.once for dialect in DIALECTS if dialect.callback is not None}
        self.assertEqual(once, {"rostelecom": True, "smsc": False, "native": False})
        for dialect in DIALECTS:
            if dialect.callback is not None:
                dialect.callback.check("https://h.example/?a=b")
                self.assertRaises(ValueError, dialect.callback.check, "https://user@h.example/")

    def test_plugins(self) -> None:
        """Each dialect is found by its name."""
        found = dialects()
        self.assertEqual(set(found), {dialect.name for dialect in DIALECTS})
        for dialect in DIALECTS:
            self.assertIs(found[dialect.name], dialect)

    def test_settings(self) -> None:
        """The settings come from the dialect's record of the protocol."""
        manner: SmppManner = attrs.evolve(SMPP, settings={"window": 7})
        self.assertEqual(Dialect(name="x", smpp=manner).settings("smpp"), {"window": 7})
