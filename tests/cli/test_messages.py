"""``list``, ``show`` and ``cancel``, against the real admin listener in memory."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
from twisted.internet.testing import StringTransport

from smsgw.cli import console
from smsgw.frontends.admin import frontend
from smsgw.model.errors import StoreDown, UnknownOutcome
from smsgw.model.lifecycle import State
from tests.cli.support import CONFIG, CommandTestCase
from tests.frontends.admin.support import NUMBER, PERSON, TEXT, Admin
from tests.protocols.http.support import Client

ADMIN = "127.0.0.1:8081"


@attrs.define
class Wire:
    """A socket in memory for the blocking HTTP client."""

    client: Client
    sent: bytearray = attrs.field(factory=bytearray)

    def sendall(self, octets: bytes) -> None:
        """Pass the request to the listener."""
        self.sent += bytes(octets)
        self.client.send(bytes(octets))

    def makefile(self, *how: object) -> io.BytesIO:
        """Return the response of the listener."""
        transport = self.client.transport
        assert isinstance(transport, StringTransport)
        return io.BytesIO(transport.value())

    def close(self) -> None:
        """Close the connection."""
        self.client.hang_up()


class Canned(Wire):
    """A listener with one fixed response."""

    octets = b""

    def makefile(self, *how: object) -> io.BytesIO:
        """Return the fixed response."""
        return io.BytesIO(self.octets)


class MessageTestCase(CommandTestCase):
    def setUp(self) -> None:
        """Run a gateway at the configured address."""
        super().setUp()
        self.admin = Admin(self.mktemp())
        self.addCleanup(self.admin.store.close)
        self.at(ADMIN, lambda: Wire(Client(self.admin.front.site())))

    def said(self, *arguments: str) -> str:
        """Return the output of a command that succeeds."""
        ran = self.run_command(*arguments, "-c", self.config)
        self.assertEqual((ran.status, ran.err), (0, ""))
        return ran.out

    def refused(self, *arguments: str) -> tuple[int, str]:
        """Return status and error text of a command that fails."""
        ran = self.run_command(*arguments, "-c", self.config)
        self.assertEqual(ran.out, "")
        return ran.status, ran.err


class ListTests(MessageTestCase):
    def ids(self, *arguments: str) -> list[int]:
        """Return the message ids of a table, from top to bottom."""
        return [int(line.split()[0]) for line in self.said("list", *arguments).splitlines()[1:]]

    def test_table(self) -> None:
        """Messages stand in a table, newest first."""
        self.admin.accept()
        self.admin.accept(account="shop", state=State.REFUSED, error=22)
        heads, first, second = self.said("list").splitlines()
        self.assertRegex(heads, r"\AID +ACCEPTED +STATE +ERROR +ACCOUNT +FROM +TO +PARTS +CONNECTOR\Z")
        pattern = r" *2  2019-11-1[78] [0-9:]{8}[+-][0-9:]{5}  refused +22  shop +DEMO  7916\.\.\.67 +1  sim"
        self.assertRegex(first, rf"\A{pattern}\Z")
        self.assertIn("queued", second)

    def test_narrower(self) -> None:
        """Options select by account, states, failure and age."""
        for state in (State.QUEUED, State.NO_MONEY, State.DELIVERED, State.CANCELLED, State.UNKNOWN, State.REFUSED):
            self.admin.accept(state=state)
        self.admin.accept(account="shop")
        self.assertEqual(self.ids(), [7, 6, 5, 4, 3, 2, 1])
        self.assertEqual(self.ids("failed"), [6, 5, 2])
        self.assertEqual(self.ids("--account", "shop"), [7])
        self.assertEqual(self.ids("--state", "queued,no_money", "--account", "demo"), [2, 1])
        self.assertEqual(self.ids("messages", "--before", "3"), [2, 1])

    def test_pages(self) -> None:
        """A full page ends with the option for the next page."""
        for _ in range(3):
            self.admin.accept()
        ran = self.run_command("list", "--limit", "2", "-c", self.config)
        self.assertEqual(ran.err, "There are more: --before 2\n")
        self.assertEqual(self.ids("--before", "2", "--limit", "2"), [1])

    def test_empty(self) -> None:
        """An empty list is a table with heads only."""
        self.assertEqual(len(self.said("list").splitlines()), 1)
        self.assertEqual(len(self.said("list", "parked").splitlines()), 1)

    def test_unknown_state(self) -> None:
        """An unknown state is refused with the list of the known ones."""
        status, words = self.refused("list", "--state", "lost")
        self.assertEqual(status, 1)
        self.assertIn("there are scheduled, queued", words)

    def test_parked(self) -> None:
        """Parked receipts are listed too, their text only with --text."""
        self.admin.reported("r1", raw=f"id:r1 text:{TEXT}\n".encode())
        self.assertRegex(self.said("list", "parked").splitlines()[1], r"  sim +r1  delivered +0  29 octets\Z")
        self.assertTrue(self.said("list", "parked", "--text").endswith(f"id:r1 text:{TEXT}\\n\n"))
        status, words = self.refused("list", "parked", "--account", "demo")
        self.assertEqual(status, 2)
        self.assertIn("--account", words)

    def test_json(self) -> None:
        """Programs get the answer itself."""
        self.admin.accept()
        self.assertEqual([one["id"] for one in json.loads(self.said("list", "--json"))["messages"]], [1])
        self.assertEqual(json.loads(self.said("list", "parked", "--json")), {"parked": []})


class ShowTests(MessageTestCase):
    def timeline(self, *arguments: str) -> list[str]:
        """The lines of a timeline, times left out."""
        out = self.said("show", *arguments)
        return [re.sub(r"20[12]\d-\d\d-\d\d [0-9:.]+[+-][0-9:]+", "TIME", line.strip()) for line in out.splitlines()]

    def test_delivered(self) -> None:
        """The timeline goes from the acceptance to the reports that are not yet confirmed."""
        message = self.admin.accept(claimed=True)
        self.admin.sent(message, "abc")
        self.admin.reported("abc")
        self.assertEqual(
            self.timeline("1"),
            [
                "message 1 is delivered",
                "from        DEMO",
                "to          7916...67",
                "text        17 characters in gsm (17 octets), 1 part",
                "connector   sim",
                "reports     delivery, failure over smpp",
                "",
                "TIME  accepted from demo by [listen api]",
                "TIME  taken by sim as abc",
                "TIME  delivered",
                "still to come:",
                "the client has not yet confirmed the report over smpp: delivered",
            ],
        )

    def expected(self) -> list[str]:
        """Return the expected steps of message 1."""
        lines = self.timeline("1")
        return lines[lines.index("still to come:") + 1 :]

    def test_waiting(self) -> None:
        """A waiting message shows what it waits for."""
        self.admin.accept()
        self.assertEqual(self.expected(), ["waits for sim", "expires at TIME, if it is not sent by then"])

    def test_waiting_in_vain(self) -> None:
        """It also shows why the connector takes nothing."""
        self.admin.accept()
        self.admin.connectors["sim"]["paused"] = True
        self.assertEqual(self.expected()[0], "waits for sim, which is paused")
        self.admin.connectors["sim"] |= {"up": False, "paused": False}
        self.assertEqual(self.expected()[0], "waits for sim, which is down")
        self.admin.connectors, self.admin.stranded = {}, {"sim": 1}
        self.assertEqual(self.expected()[0], "waits for sim, which is not configured")
        self.admin.accept(due=self.admin.clock.seconds() + 60)
        self.assertEqual(self.timeline("2")[-2], "waits for sim, which is not configured, next time at TIME")

    def test_scheduled(self) -> None:
        """A scheduled message shows when it will be sent."""
        self.admin.accept(state=State.SCHEDULED, due=self.admin.clock.seconds() + 60)
        self.assertEqual(self.expected()[0], "will be sent over sim at TIME")

    def test_offered(self) -> None:
        """A message in flight shows that its answer is awaited."""
        self.admin.accept(claimed=True)
        self.assertEqual(self.expected()[0], "sent to sim, whose answer is awaited")

    def test_receipt_awaited(self) -> None:
        """A sent message shows until when its receipt is awaited."""
        self.admin.sent(self.admin.accept(claimed=True), "abc")
        self.assertEqual(self.expected(), ["the receipt for part 1 (abc), awaited until TIME"])

    def test_failed_parts(self) -> None:
        """A text in parts shows each of them; an error has its code and its meaning."""
        message = self.admin.accept(parts=(b"one", b"two"), claimed=True)
        self.admin.sent(message, "a", 1)
        self.admin.sent(message, "b", 2)
        self.admin.reported("a", State.UNDELIVERABLE)
        self.assertEqual(self.timeline("1")[-2:], ["part 1: undeliverable, a", "part 2: enroute, b"])
        rejected = self.admin.accept(claimed=True)
        self.admin.ended(rejected, State.REJECTED, 255)
        self.assertEqual(
            self.timeline("2")[0], "message 2 is rejected, error 255 (the operator gave no reason)"
        )
        unknown = self.admin.accept(claimed=True)
        self.admin.ended(unknown, State.REJECTED, 4711)
        self.assertEqual(self.timeline("3")[0], "message 3 is rejected, error 4711 (a number of the upstream)")

    def test_u7_listener(self) -> None:
        """A message is shown with the listener that it came by, whatever way its reports go."""
        message = self.admin.accept(path="callback", listener="api")
        shown = self.timeline(str(message.id))
        self.assertIn("TIME  accepted from demo by [listen api]", shown)
        self.assertIn("reports     delivery, failure over callback", shown)

    def test_u5_words(self) -> None:
        """The upstream's last words are shown, with the number masked unless texts are asked for."""
        message = self.admin.accept(claimed=True)
        self.admin.sent(message, "abc")
        self.admin.reported("abc", State.UNDELIVERABLE, f"stat:UNDELIV {NUMBER} text:{TEXT}".encode())
        said = self.timeline("1")
        at = said.index("last words of the upstream:")
        self.assertTrue(said[at + 1].endswith("  sim: stat:UNDELIV 7916...67"), said)
        several = self.admin.accept(parts=(b"one", b"two"), claimed=True)
        self.admin.sent(several, "x", 1)
        self.admin.reported("x", State.UNDELIVERABLE, b"first")
        self.assertIn("part 1, sim: first", self.said("show", "2"))
        self.assertIn(f"stat:UNDELIV {NUMBER}\n", self.said("show", "1", "--text"))

    def test_batch(self) -> None:
        """A batch shows its messages."""
        batch = self.admin.store.next_id()
        self.admin.accept(batch=batch)
        self.admin.accept(batch=batch)
        lines = self.timeline(f"message-id-{batch}")
        self.assertEqual(lines[0], "1 is a batch of 2 messages: 2 queued")
        self.assertEqual(len(lines), 4)

    def test_long_batch(self) -> None:
        """A batch with more messages than are listed shows how many there are in each state."""
        self.patch(frontend, "MOST", 50)
        batch = self.admin.store.next_id()
        for state, error in (*[(State.QUEUED, 0)] * 49, (State.REFUSED, 248), (State.REFUSED, 249)):
            self.admin.accept(batch=batch, state=state, error=error)
        lines = self.timeline(str(batch))
        self.assertEqual(lines[0], "1 is a batch of 51 messages: 49 queued, 2 refused")
        self.assertEqual(lines[-1], "these are the first 50 of 51")
        self.assertEqual(len(lines), 53)

    def test_unknown(self) -> None:
        """An unknown id is refused."""
        self.assertEqual(self.refused("show", "7"), (1, "there is no message or batch 7 (any more)\n"))

    def test_json(self) -> None:
        """Programs get the answer itself."""
        self.admin.accept()
        self.assertEqual(json.loads(self.said("show", "1", "--json"))["state"], "queued")


class CommandNameTests(MessageTestCase):
    def test_u7_as_it_was_called(self) -> None:
        """Commands to try are printed as this one was called: with the path of a virtual environment that is not on the
        search path, as python -m smsgw, or as the bare name."""
        here = Path.cwd()
        self.patch(shutil, "which", lambda name: "/usr/bin/smsgw")
        for called, executable, name in (
            (str(here / ".venv/bin/smsgw"), "", ".venv/bin/smsgw"),
            ("/opt/smsgw/bin/smsgw", "", "/opt/smsgw/bin/smsgw"),
            ("/usr/bin/smsgw", "", "smsgw"),
            ("/x/smsgw/__main__.py", str(here / ".venv/bin/python"), ".venv/bin/python -m smsgw"),
        ):
            with mock.patch.multiple(sys, argv=[called], executable=executable):
                self.assertEqual(console.command(), name)


class CancelTests(MessageTestCase):
    def test_cancel(self) -> None:
        """A waiting message is cancelled; a final one stays."""
        self.admin.accept()
        self.assertEqual(self.said("cancel", "1"), "message 1 is cancelled\n")
        status, words = self.refused("cancel", "1")
        self.assertEqual((status, words), (1, "1 cannot be cancelled: the message can no longer be changed\n"))

    def test_unknown(self) -> None:
        """An unknown message cannot be cancelled."""
        self.assertEqual(self.refused("cancel", "7"), (1, "there is no message or batch 7 (any more)\n"))


class PrivacyTests(MessageTestCase):
    def test_nothing_private_by_default(self) -> None:
        """Whole numbers and texts are shown only with --text."""
        self.admin.accept(sender=PERSON)
        self.admin.reported("early", raw=f"id:early text:{TEXT}".encode())
        commands = (["list"], ["list", "--json"], ["list", "parked"], ["list", "parked", "--json"], ["show", "1"],
                    ["show", "1", "--json"])
        for command in commands:
            out = self.said(*command)
            for private in (NUMBER, PERSON, TEXT, TEXT[:8]):
                self.assertNotIn(private, out, command)
        shown = "".join(self.said(*command, "--text") for command in commands)
        for private in (NUMBER, PERSON, TEXT):
            self.assertIn(private, shown)

    def test_hostile_text(self) -> None:
        """A text cannot move the cursor, colour the terminal or change the direction of writing."""
        self.admin.accept(parts=("\x1b[2J\u202efdp".encode("utf-16-be"),))
        self.admin.accept(parts=(b"a\nb\rc",))
        for command in (["list", "--text"], ["show", "1", "--text"], ["show", "2", "--text"]):
            out = self.said(*command)
            self.assertTrue(all(char.isprintable() for line in out.split("\n") for char in line), repr(out))


class GatewayTests(MessageTestCase):
    def test_not_running(self) -> None:
        """If the connection is refused, the error names the address and how to start the gateway."""
        self.at("nowhere", lambda: None)
        status, words = self.refused("list")
        self.assertEqual(status, 69)
        self.assertEqual(
            words,
            f"nothing answers at 127.0.0.1:8081 (Connection refused), where {self.config} has [listen admin].\n"
            f"Is the gateway running? It is started with: twistd -n --pidfile= smsgw -c {self.config}\n",
        )

    def test_another_server(self) -> None:
        """A server that is not the gateway is reported."""
        for octets in (b"SSH-2.0-x\r\n", b"", b"HTTP/1.1 200 OK\r\n\r\n<html>", b"HTTP/1.1 200 OK\r\n\r\n[]"):
            canned = Canned(Client(self.admin.front.site()))
            canned.octets = octets
            self.at(ADMIN, lambda canned=canned: canned)  # type: ignore[misc]
            status, words = self.refused("show", "1")
            self.assertEqual(status, 69)
            self.assertIn("is not the gateway", words)

    def test_store_down(self) -> None:
        """The gateway's reason for a temporary refusal is shown."""
        self.admin.broken = StoreDown("the disk is full")
        self.assertEqual(self.refused("list"), (69, "the gateway cannot answer at present: the disk is full\n"))
        self.admin.broken = UnknownOutcome("the disk failed")
        self.assertEqual(self.refused("cancel", "1"), (69, "the gateway cannot answer at present: the disk failed\n"))

    def test_silence(self) -> None:
        """If the gateway hangs, the command ends after its timeout."""

        class Silent(Canned):
            def makefile(self, *how: object) -> Any:
                raise TimeoutError

        self.at(ADMIN, lambda: Silent(Client(self.admin.front.site())))
        status, words = self.refused("list")
        self.assertEqual(status, 69)
        self.assertIn("no answer within 30 s", words)

    def test_no_admin_listener(self) -> None:
        """Without an admin listener the error shows the lines to add."""
        self.config = self.written(re.sub(r"\[listen admin\]\n.*\n.*\n", "", CONFIG))
        status, words = self.refused("list")
        self.assertEqual(status, 78)
        self.assertIn("protocol = admin\nendpoint = tcp:8081:interface=127.0.0.1", words)

    def test_mistakes(self) -> None:
        """The mistakes of a configuration are listed."""
        self.config = self.written(CONFIG + "\n[nonsense]\n")
        status, words = self.refused("list")
        self.assertEqual(status, 78)
        self.assertIn("nonsense", words)


class EmptyTests(MessageTestCase):
    def test_u7_nothing_listed(self) -> None:
        """A list of nothing says so in place of a bare header."""
        for what, things in (
            ("messages", "messages"), ("failed", "messages"), ("parked", "receipts"),
            ("incoming", "incoming texts, calls or keys"), ("events", "dead letters"),
        ):  # fmt: skip
            self.assertEqual(self.said("list", what), f"there are no such {things}\n")

    def test_u7_nothing_to_replay(self) -> None:
        """That there are no dead letters is no failure; that there is none of a message is one."""
        self.assertEqual(self.said("replay", "--all"), "there are no dead letters\n")
        self.assertEqual(
            self.refused("replay", "7"), (1, "there is no such dead letter: smsgw list events shows them\n")
        )
