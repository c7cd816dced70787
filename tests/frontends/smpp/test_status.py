"""Tests of what ESMEs are told when the gateway says no."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from smsgw.frontends.smpp.status import IN_5_0, STATUSES, status_of
from smsgw.model.errors import Refusal
from smsgw.smpp.consts import Status


class StatusTests(SynchronousTestCase):
    """The table from refusals to command_status."""

    def test_every_refusal_has_a_status(self) -> None:
        """No refusal is without a command_status that means an error and is in the specification."""
        self.assertEqual(set(STATUSES), set(Refusal))
        for refusal in Refusal:
            for version in (0x33, 0x34, 0x50):
                self.assertIn(Status(status_of(refusal, version)), set(Status) - {Status.ESME_ROK}, refusal)

    def test_older_peers(self) -> None:
        """Statuses that came with 5.0 are only told to peers of 5.0."""
        for refusal in Refusal:
            for version in (0x33, 0x34):
                self.assertLess(status_of(refusal, version), 0x100)

    def test_5_0(self) -> None:
        """Peers of 5.0 are told its own words for credentials and encodings, and else the same."""
        self.assertEqual(status_of(Refusal.WRONG_CREDENTIALS, 0x34), 0x0E)
        self.assertEqual(status_of(Refusal.WRONG_CREDENTIALS, 0x50), 0x0D)
        self.assertEqual(status_of(Refusal.BAD_ENCODING, 0x34), 0x45)
        self.assertEqual(status_of(Refusal.BAD_ENCODING, 0x50), 0x104)
        for refusal in set(Refusal) - set(IN_5_0):
            self.assertEqual(status_of(refusal, 0x50), status_of(refusal, 0x34))

    def test_temporary(self) -> None:
        """What passes by itself is answered with a status that means: try again later."""
        for refusal, status in {
            Refusal.TOO_MANY_CHECKS: 0x08,
            Refusal.STORE_DOWN: 0x08,
            Refusal.UPSTREAM_DOWN: 0x08,
            Refusal.QUEUE_FULL: 0x14,
            Refusal.OVER_RATE: 0x58,
        }.items():
            self.assertEqual(status_of(refusal, 0x34), status)

    def test_the_rest(self) -> None:
        """The permanent refusals, each with its number."""
        for refusal, status in {
            Refusal.TOO_MANY_BINDS: 0x05,
            Refusal.BAD_SENDER: 0x0A,
            Refusal.SENDER_NOT_AGREED: 0x0A,
            Refusal.SENDER_NOT_AGREED_FOR_OPERATOR: 0x0A,
            Refusal.BAD_RECIPIENT: 0x0B,
            Refusal.UNKNOWN_ID: 0x0C,
            Refusal.ADDRESS_NOT_ALLOWED: 0x0D,
            Refusal.NOT_ALLOWED: 0x0D,
            Refusal.ALREADY_FINAL: 0x11,
            Refusal.EMPTY_TEXT: 0x01,
            Refusal.TEXT_TOO_LONG: 0x01,
            Refusal.NO_ROUTE: 0x45,
            Refusal.CANNOT_REGISTER: 0x45,
            Refusal.BAD_SCHEDULE: 0x61,
            Refusal.BAD_VALIDITY: 0x62,
        }.items():
            self.assertEqual(status_of(refusal, 0x34), status, refusal)
