"""``resend``, ``retry``, ``pause``, ``resume`` and ``move``, against the listener in memory."""

from __future__ import annotations

import os
import pwd

from tests.cli.test_messages import ADMIN, MessageTestCase, Wire
from tests.protocols.http.support import Client


class OperationTests(MessageTestCase):
    def test_words(self) -> None:
        """Each command asks the gateway and says what was done."""
        self.assertEqual(self.said("resend", "4"), "message 4 is sent now\n")
        self.assertEqual(
            self.said("resend", "message-id-7"),
            "message 7 is sent again as message 8; its account gets no report of that\n",
        )
        self.assertEqual(
            self.said("retry", "sim"), "sim tries now: 7 messages did not wait for another attempt\n"
        )
        self.assertEqual(
            self.said("pause", "sim"), f"sim is paused until: smsgw resume sim -c {self.config}, or a restart\n"
        )
        self.assertEqual(self.said("resume", "sim"), "sim sends again\n")
        self.assertEqual(
            self.said("move", "sim", "mts"),
            "5 messages moved to mts\n1 message stayed: partly sent, or about to be sent\n",
        )

    def test_clock(self) -> None:
        """Accepting a jump says by how much; without a jump there is nothing to do, which is no failure."""
        self.admin.jump = 61.0
        self.assertEqual(self.said("clock", "accept"), "the jump of +61.0 s is accepted\n")
        self.assertEqual(self.said("clock", "accept"), "the wall clock has not jumped\n")

    def test_refused(self) -> None:
        """A refusal is shown in the gateway's words."""
        self.assertEqual(self.refused("resend", "999"), (1, "there is no such thing\n"))
        self.assertEqual(self.refused("pause", "gone"), (1, "there is no such thing\n"))
        self.assertEqual(self.refused("move", "sim", "no"), (1, "not now\n"))
        self.assertEqual(self.refused("pause", "a/../b")[0], 2)

    def test_who(self) -> None:
        """The gateway learns who asks: the user of the process, and who ran sudo."""
        own = pwd.getpwuid(os.getuid()).pw_name
        wires: list[Wire] = []

        def connected() -> Wire:
            wires.append(Wire(Client(self.admin.front.site())))
            return wires[-1]

        self.at(ADMIN, connected)
        for environment, user in (({}, own), ({"SUDO_USER": "алиса"}, f"????? as {own}")):
            self.patch(os, "environ", environment)
            self.said("pause", "sim")
            self.assertIn(f"\r\nX-Smsgw-User: {user}\r\n".encode(), wires[-1].sent)
