"""Unit tests of the window of our requests and of the functions over lists."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.smpp.rules import encode_answers, interleave, refuse
from smsgw.protocols.smpp.window import LOST, Answer, RequestWindow, SessionRequest
from smsgw.smpp.codec import Framer, decode_many
from smsgw.smpp.pdus import (
    AlertNotification,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    Pdu,
    SubmitSm,
    SubmitSmResp,
)


class WindowTests(SynchronousTestCase):
    """Numbers, matching and expiry."""

    def test_own_requests_take_no_room(self) -> None:
        """The session's own requests have numbers like others, but do not count."""
        window = RequestWindow(5)
        window.begin(SessionRequest.ENQUIRE_LINK, EnquireLink(), 0.0)
        window.number([("a", DeliverSm())], 0.0)
        self.assertEqual((len(window), window.idle), (1, False))
        self.assertTrue(window.awaits(SessionRequest.ENQUIRE_LINK))
        self.assertFalse(window.awaits(SessionRequest.UNBIND))
        answer = window.match(EnquireLinkResp(1))
        assert answer is not None
        self.assertEqual(answer[:2], (SessionRequest.ENQUIRE_LINK, 0))
        self.assertFalse(window.awaits(SessionRequest.ENQUIRE_LINK))
        self.assertEqual(len(window), 1)
        window.match(DeliverSmResp(2))
        self.assertTrue(window.idle)

    def test_notices_are_not_awaited(self) -> None:
        """A request without response has a number and is not awaited."""
        window = RequestWindow(5)
        (pdu,) = window.number([("a", AlertNotification())], 0.0)
        self.assertEqual((pdu.sequence_number, len(window)), (1, 0))

    def test_expiry_is_by_age(self) -> None:
        """expire() ends the requests sent up to a time, in the order in which they were sent."""
        window = RequestWindow(10)
        for at in range(6):
            window.number([(at, DeliverSm())], float(at))
        self.assertEqual(window.expire(2.0), [(0, LOST, None), (1, LOST, None), (2, LOST, None)])
        self.assertEqual((window.expire(2.0), len(window)), ([], 3))

    @given(st.lists(st.tuples(st.sampled_from("sren"), st.integers(1, 30)), max_size=60))
    def test_each_token_comes_back_once(self, moves: list[tuple[str, int]]) -> None:
        """However requests are answered, answered twice, nacked or expired, each token is returned exactly once."""
        window = RequestWindow(1000)
        back: list[Answer | None] = []
        sent = 0
        for now, (move, count) in enumerate(moves):
            if move == "s":
                window.number([(sent + n, DeliverSm()) for n in range(count)], float(now))
                sent += count
            elif move == "r":
                back.append(window.match(DeliverSmResp(count)))
            elif move == "e":
                back += window.expire(float(now - count))
            else:
                back.append(window.fail(count))
        back += window.lose()
        self.assertEqual(sorted(str(each[0]) for each in back if each), sorted(map(str, range(sent))))
        self.assertTrue(window.idle)


class RuleTests(SynchronousTestCase):
    """Lists of answers."""

    @given(st.lists(st.booleans(), max_size=30))
    def test_interleaving_restores_the_wire_order(self, whose: list[bool]) -> None:
        """The answers of delegate and session are merged in wire order."""
        responses: list[Pdu | None] = []
        ours: list[tuple[int, Pdu]] = []
        for number, is_ours in enumerate(whose):
            if is_ours:
                ours.append((len(responses), EnquireLinkResp(number)))
            else:
                responses.append(SubmitSmResp(number))
        self.assertEqual([pdu.sequence_number for pdu in interleave(responses, ours)], list(range(len(whose))))

    def test_requests_without_response(self) -> None:
        """A request without response leaves no gap."""
        self.assertEqual([p.sequence_number for p in interleave([None, SubmitSmResp(2), None], [])], [2])

    def test_unwritable_answers(self) -> None:
        """An answer that cannot be encoded is replaced by a system error, and its error is returned."""
        octets, wrong = encode_answers([SubmitSmResp(1, 0, b"1"), SubmitSmResp(2, 0, b"\0"), SubmitSmResp(3)], 0x34)
        statuses = [pdu.command_status for pdu in decode_many(Framer().feed(octets)) if isinstance(pdu, SubmitSmResp)]
        self.assertEqual((statuses, len(wrong)), ([0, 8, 0], 1))
        self.assertIn("message_id", wrong[0])

    def test_refusals(self) -> None:
        """A request is refused by its own response, one that has none by generic_nack."""
        self.assertEqual((refuse(SubmitSm(4), 8).name, refuse(SubmitSm(4), 8).sequence_number), ("submit_sm_resp", 4))
        self.assertEqual(refuse(AlertNotification(4), 4).name, "generic_nack")
