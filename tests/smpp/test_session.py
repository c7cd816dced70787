"""The rules of a session."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.smpp import codec, session
from smsgw.smpp.consts import VERSION_3_3, VERSION_3_4, VERSION_5_0, CommandId, Status
from smsgw.smpp.pdus import (
    BY_ID,
    AlertNotification,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    BroadcastSm,
    CancelSm,
    DataSm,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    QuerySm,
    ReplaceSm,
    SubmitMulti,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from smsgw.smpp.session import Role, Sequence, SessionState, allowed, judge, negotiate

ESME, MC = Role.ESME, Role.MC
BOUND = (SessionState.BOUND_TX, SessionState.BOUND_RX, SessionState.BOUND_TRX)
SUBMISSIONS = (SubmitSm(7), SubmitMulti(7), QuerySm(7), CancelSm(7), ReplaceSm(7), BroadcastSm(7), DataSm(7))
BINDS = (BindTransmitter(7), BindReceiver(7), BindTransceiver(7))


class MatrixTests(SynchronousTestCase):
    """The operations that each end may send in each state."""

    def status(self, pdu: Pdu, sender: Role, state: SessionState, version: int = VERSION_5_0) -> int:
        """Return the status that a PDU is refused with, or 0."""
        verdict = judge(pdu, sender, state, version)
        return 0 if verdict is None else verdict.status

    def test_every_operation_is_in_the_table(self) -> None:
        """The table has every PDU and allows none after the connection is closed."""
        self.assertEqual(set(session.MATRIX), set(CommandId))
        for sender in Role:
            self.assertEqual(allowed(sender, SessionState.CLOSED), frozenset())

    def test_before_a_bind(self) -> None:
        """Before a bind known operations get ESME_RINVBNDSTS; binds, enquire_link and generic_nack pass."""
        for state in (SessionState.OPEN, SessionState.OUTBOUND):
            for refused in (*SUBMISSIONS, Unbind(7), AlertNotification(7), Outbind(7), DeliverSm(7)):
                self.assertEqual(self.status(refused, ESME, state), Status.ESME_RINVBNDSTS, refused)
            for passed in (*BINDS, EnquireLink(7), EnquireLinkResp(7), GenericNack(7)):
                self.assertIsNone(judge(passed, ESME, state))

    def test_submissions(self) -> None:
        """Submissions, queries, cancels and replacements need a transmitter or transceiver bind."""
        for pdu in SUBMISSIONS:
            self.assertEqual(self.status(pdu, ESME, SessionState.BOUND_TX), 0)
            self.assertEqual(self.status(pdu, ESME, SessionState.BOUND_TRX), 0)
            self.assertEqual(self.status(pdu, ESME, SessionState.BOUND_RX), Status.ESME_RINVBNDSTS)
            if not isinstance(pdu, DataSm):
                for state in BOUND:
                    self.assertEqual(self.status(pdu, MC, state), Status.ESME_RINVBNDSTS)

    def test_deliveries(self) -> None:
        """Deliveries and alerts come from the message centre, on a receiver or transceiver bind."""
        for pdu in (DeliverSm(7), DataSm(7), AlertNotification(7)):
            self.assertEqual(self.status(pdu, MC, SessionState.BOUND_RX), 0)
            self.assertEqual(self.status(pdu, MC, SessionState.BOUND_TRX), 0)
            self.assertEqual(self.status(pdu, MC, SessionState.BOUND_TX), Status.ESME_RINVBNDSTS)
        self.assertEqual(self.status(DeliverSm(7), ESME, SessionState.BOUND_TRX), Status.ESME_RINVBNDSTS)

    def test_answers_flow_backwards(self) -> None:
        """Wherever a request is legal, its response is legal from the other side in the same state."""
        for command, row in session.MATRIX.items():
            response = getattr(BY_ID[command], "response", None)
            if response is not None:
                answers = session.MATRIX[CommandId(response.command_id)]
                self.assertLessEqual(row[0], answers[1])
                self.assertLessEqual(row[1], answers[0])

    def test_second_bind(self) -> None:
        """A second bind gets ESME_RALYBND by its own response and changes nothing."""
        for state in BOUND:
            for pdu in BINDS:
                verdict = judge(pdu, ESME, state)
                assert verdict is not None
                self.assertEqual((verdict.status, verdict.sequence_number), (Status.ESME_RALYBND, 7))
                self.assertEqual(verdict.answer_id, pdu.command_id | 0x8000_0000)

    def test_after_unbind(self) -> None:
        """After unbind only enquire_link, its answer, generic_nack and a crossing unbind_resp are left."""
        alive = {CommandId.ENQUIRE_LINK, CommandId.ENQUIRE_LINK_RESP, CommandId.GENERIC_NACK, CommandId.UNBIND_RESP}
        for sender in Role:
            self.assertEqual(allowed(sender, SessionState.UNBOUND), alive)
        self.assertEqual(self.status(SubmitSm(7), ESME, SessionState.UNBOUND), Status.ESME_RINVBNDSTS)
        self.assertEqual(self.status(BindTransmitter(7), ESME, SessionState.UNBOUND), Status.ESME_RINVBNDSTS)

    def test_enquire_link_always(self) -> None:
        """enquire_link passes in every state with a connection, from both ends."""
        for sender in Role:
            for state in SessionState:
                self.assertEqual(EnquireLink.command_id in allowed(sender, state), state is not SessionState.CLOSED)

    def test_misplaced_without_response(self) -> None:
        """alert_notification and outbind out of place are refused by generic_nack."""
        for pdu in (AlertNotification(7), Outbind(7)):
            verdict = judge(pdu, MC, SessionState.BOUND_TX)
            assert verdict is not None
            answer = codec.refusal(verdict)
            assert isinstance(answer, GenericNack)
            self.assertEqual((answer.sequence_number, answer.command_status), (7, Status.ESME_RINVBNDSTS))

    def test_misplaced_responses(self) -> None:
        """A response out of place is ignored."""
        for pdu, sender, state in (
            (SubmitSmResp(7), ESME, SessionState.BOUND_TRX),
            (DeliverSmResp(7), ESME, SessionState.OPEN),
            (UnbindResp(7), MC, SessionState.OPEN),
        ):
            verdict = judge(pdu, sender, state)
            assert verdict is not None
            self.assertIsNone(codec.refusal(verdict))

    def test_outbind(self) -> None:
        """The message centre sends outbind first; then the ESME binds."""
        self.assertIsNone(judge(Outbind(7), MC, SessionState.OPEN))
        self.assertIsNotNone(judge(Outbind(7), MC, SessionState.OUTBOUND))
        self.assertIsNotNone(judge(Outbind(7), ESME, SessionState.OPEN))
        self.assertIsNone(judge(BindReceiver(7), ESME, SessionState.OUTBOUND))

    def test_newer_operations(self) -> None:
        """An operation that the version of the session does not have is unknown there."""
        self.assertEqual(self.status(BroadcastSm(7), ESME, SessionState.BOUND_TX, VERSION_3_4), Status.ESME_RINVCMDID)
        self.assertEqual(self.status(DataSm(7), ESME, SessionState.BOUND_TX, VERSION_3_4), 0)
        self.assertEqual(self.status(DataSm(7), ESME, SessionState.BOUND_TX, VERSION_3_3), Status.ESME_RINVCMDID)
        for version in (VERSION_3_3, VERSION_3_4, VERSION_5_0):
            self.assertIn(GenericNack.command_id, allowed(ESME, SessionState.OPEN, version))
            self.assertIn(SubmitSmResp.command_id, allowed(MC, SessionState.BOUND_TX, version))

    def test_states(self) -> None:
        """Each bind leads to its state, and each state has its permissions."""
        self.assertEqual([session.BOUND_BY[pdu.command_id] for pdu in BINDS], list(BOUND))
        self.assertEqual([state for state in SessionState if state.bound], list(BOUND))
        submits = [state for state in SessionState if state.submits]
        self.assertEqual(submits, [SessionState.BOUND_TX, SessionState.BOUND_TRX])
        receives = [state for state in SessionState if state.receives]
        self.assertEqual(receives, [SessionState.BOUND_RX, SessionState.BOUND_TRX])


class VersionTests(SynchronousTestCase):
    """The version of a session."""

    def test_negotiation(self) -> None:
        """Any interface_version leads to 3.3, 3.4 or 5.0, the lower of both ends."""
        for octet, wanted in (
            (0x00, 0x33), (0x22, 0x33), (0x33, 0x33), (0x34, 0x34), (0x35, 0x34), (0x4F, 0x34), (0x50, 0x50),
            (0xFF, 0x50),
        ):  # fmt: skip
            self.assertEqual(negotiate(octet), wanted)
            self.assertEqual(negotiate(octet, 0x34), min(wanted, 0x34))
            self.assertEqual(negotiate(0x34, octet), min(wanted, 0x34))
            self.assertEqual(negotiate(octet, 0x33), 0x33)


class SequenceTests(SynchronousTestCase):
    """Sequence numbers of our own requests."""

    def test_from_one(self) -> None:
        """Numbers begin with 1 and grow by 1."""
        sequence = Sequence()
        self.assertEqual([sequence.next() for _ in range(5)], [1, 2, 3, 4, 5])

    def test_wraps(self) -> None:
        """After 0x7FFFFFFF comes 1 again."""
        sequence = Sequence(last=0x7FFF_FFFD)
        self.assertEqual([sequence.next() for _ in range(4)], [0x7FFF_FFFE, 0x7FFF_FFFF, 1, 2])

    @given(st.sets(st.integers(1, 30)), st.integers(0, 30))
    def test_skips_what_is_open(self, in_use: set[int], last: int) -> None:
        """A number that still awaits its response is never given again, also after the wrap."""
        sequence = Sequence(in_use, last=(0x7FFF_FFFF - last))
        for _ in range(80):
            number = sequence.next()
            self.assertNotIn(number, in_use)
            self.assertTrue(1 <= number <= 0x7FFF_FFFF)
            in_use.add(number)
