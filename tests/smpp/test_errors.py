"""Errors carry the answer to the peer."""

import gc

from twisted.trial.unittest import SynchronousTestCase

from smsgw.smpp import codec
from smsgw.smpp.consts import CommandId, Status
from smsgw.smpp.errors import Answerable, PduError, Unframed
from smsgw.smpp.pdus import GenericNack, SubmitSmResp
from tests.smpp.test_quirks import framed


class ErrorTests(SynchronousTestCase):
    """Answerable and Unframed."""

    def test_answerable(self) -> None:
        """An Answerable knows its answer: the response of the request, generic_nack, or none for a response."""
        for command_id, answer_id in (
            (CommandId.SUBMIT_SM, CommandId.SUBMIT_SM_RESP),
            (CommandId.BIND_TRANSCEIVER, CommandId.BIND_TRANSCEIVER_RESP),
            (CommandId.OUTBIND, CommandId.GENERIC_NACK),
            (CommandId.ALERT_NOTIFICATION, CommandId.GENERIC_NACK),
            (0x22, CommandId.GENERIC_NACK),
            (CommandId.SUBMIT_SM_RESP, None),
            (CommandId.GENERIC_NACK, None),
            (0xFFFF_FFFF, None),
        ):
            self.assertEqual(Answerable(7, command_id, 1, "why").answer_id, answer_id)

    def test_refusal(self) -> None:
        """The refusal repeats the number and carries the status."""
        answer = codec.refusal(Answerable(7, CommandId.SUBMIT_SM, Status.ESME_RINVSRCADR, "why"))
        assert isinstance(answer, SubmitSmResp)
        self.assertEqual((answer.sequence_number, answer.command_status), (7, Status.ESME_RINVSRCADR))
        nack = codec.refusal(Unframed("why", Status.ESME_RINVCMDLEN, 9))
        assert isinstance(nack, GenericNack)
        self.assertEqual((nack.sequence_number, nack.command_status), (9, Status.ESME_RINVCMDLEN))

    def test_words(self) -> None:
        """Every error has a reason, and its repr shows it."""
        for error in (PduError("source_addr"), Answerable(7, 4, 0x0A, "source_addr"), Unframed("source_addr", 2, 9)):
            self.assertIn("source_addr", repr(error))
            self.assertEqual(str(error), error.why)
        self.assertIn("0x00000004", repr(Answerable(7, 4, 0x0A, "")))

    def test_no_garbage(self) -> None:
        """A flood of bad PDUs leaves no reference cycles."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        codec.decode_many([framed(0x04, 0, "0001"), framed(0x22, 0, ""), framed(0x80000004, 0, "41")] * 10)
        self.assertEqual(gc.collect(), 0)
