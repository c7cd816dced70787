"""``health``, ``backup`` and ``restore``."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from smsgw.model.errors import StoreDown
from tests.cli.test_messages import ADMIN, Canned, MessageTestCase
from tests.protocols.http.support import Client


class OperationsTests(MessageTestCase):
    def setUp(self) -> None:
        """A running gateway with one message, and a directory for backups."""
        super().setUp()
        self.given = self.admin.accept().id
        directory = Path(self.mktemp())
        directory.mkdir()
        self.file = directory / "smsgw.sqlite"
        self.state = Path(self.config).parent / "state"

    def messages(self, file: Path) -> int:
        """The number of messages in a store's file."""
        connection = sqlite3.connect(file)
        try:
            (count,) = connection.execute("SELECT count(*) FROM message").fetchone()
        finally:
            connection.close()
        return int(count)

    def gone(self) -> None:
        """Stop the gateway; its store is now that of the configuration."""
        self.admin.store.close()
        self.state.parent.mkdir(exist_ok=True)
        Path(self.admin.directory).rename(self.state)
        self.at("nowhere", lambda: None)

    def test_operations_health(self) -> None:
        """A healthy gateway gives status 0; one that is not, 1; both name store and connectors. Without a gateway it is
        69."""
        self.assertEqual(self.said("health"), "gateway running\nstore up\nconnector sim up\n")
        self.admin.state = "draining"
        ran = self.run_command("health", "-c", self.config)
        self.assertEqual((ran.status, ran.out, ran.err), (1, "gateway draining\nstore up\nconnector sim up\n", ""))
        self.admin.broken = StoreDown("I/O error")
        ran = self.run_command("health", "-c", self.config)
        self.assertEqual((ran.status, ran.out.splitlines()[1]), (1, "store down"))
        self.at("nowhere", lambda: None)
        self.assertEqual(self.refused("health")[0], 69)

    def test_operations_health_of_a_paused_connector(self) -> None:
        """A connector that is paused, down or both is shown as that, and each problem is a line."""
        self.admin.state, self.admin.problems = "degraded", ["connector mts is paused", "connector old is down"]
        self.admin.connectors = {
            "mts": {"up": True, "room": 0, "paused": True},
            "old": {"up": False, "room": 0, "paused": False},
            "own": {"up": False, "room": 0, "paused": True},
        }
        self.assertEqual(
            self.said("health").splitlines(),
            [
                "gateway degraded",
                "store up",
                "connector mts paused",
                "connector old down",
                "connector own paused, down",
                "problem: connector mts is paused",
                "problem: connector old is down",
            ],
        )

    def test_operations_backup_of_the_running_gateway(self) -> None:
        """The copy is moved from the state directory to the named file, and replaces an older one."""
        self.file.write_text("an older one")
        said = self.said("backup", str(self.file))
        octets = self.file.stat().st_size
        self.assertEqual(said, f"{self.file} has the store, {octets} octets, ids up to {self.given}\n")
        self.assertEqual(self.messages(self.file), 1)
        self.assertEqual([one.name for one in self.file.parent.iterdir()], [self.file.name])
        self.assertFalse((Path(self.admin.directory) / "backup.sqlite").exists())

    def test_operations_backup_fails(self) -> None:
        """If there is no backup the command says why, and an older one stays."""
        self.file.write_text("an older one")
        self.admin.broken = StoreDown("the disk has no room for a copy")
        status, error = self.refused("backup", str(self.file))
        self.assertEqual(status, 69)
        self.assertIn("the disk has no room", error)
        self.admin.broken = None
        status, error = self.refused("backup", str(self.file.parent / "missing" / "x"))
        self.assertEqual(status, 1)
        self.assertIn("No such file or directory", error)
        self.patch(Canned, "octets", b'HTTP/1.1 404 Not Found\r\nContent-Length: 22\r\n\r\n{"reason":"not_found"}')
        self.at(ADMIN, lambda: Canned(Client(self.admin.front.site())))
        self.assertEqual(self.refused("backup", str(self.file)), (1, "the gateway refuses: not_found\n"))
        self.assertEqual(self.file.read_text(), "an older one")
        self.assertEqual([one.name for one in self.file.parent.iterdir()], [self.file.name])

    def test_operations_backup_replaces_no_device(self) -> None:
        """Only a file is replaced: a FIFO, as a device, and a directory stay."""
        os.mkfifo(self.file)
        for target in (self.file, self.file.parent):
            self.assertEqual(self.refused("backup", str(target)), (1, f"there is no backup: {target} is not a file\n"))
        self.assertTrue(self.file.is_fifo())
        self.assertEqual([one.name for one in self.file.parent.iterdir()], [self.file.name])

    def test_operations_backup_replaces_no_file_of_the_store(self) -> None:
        """The files that the gateway has open are no place for a backup."""
        self.state.mkdir(parents=True)
        for name in ("messages.sqlite", "messages.sqlite-wal", "ids", "lock"):
            target = self.state / ".." / self.state.name / name
            target.write_text("the gateway's")
            status, error = self.refused("backup", str(target))
            self.assertEqual((status, error), (1, f"there is no backup: {target} belongs to the store itself\n"))
            self.assertEqual(target.read_text(), "the gateway's")

    def test_operations_backup_of_a_stopped_gateway(self) -> None:
        """Without a running gateway the files are copied."""
        self.gone()
        self.assertIn("has the store", self.said("backup", str(self.file)))
        self.assertEqual(self.messages(self.file), 1)

    def test_operations_restore(self) -> None:
        """A backup becomes the store; the command says where the former one is and which id is next."""
        self.said("backup", str(self.file))
        self.admin.accept()
        self.admin.accept()
        self.gone()
        said = self.said("restore", str(self.file)).splitlines()
        self.assertEqual(
            said,
            [
                f"the former store is now {self.state / 'messages.sqlite.replaced'}",
                f"the store in {self.state} is restored; the next message gets the id {self.given + 3}",
            ],
        )
        self.assertEqual(self.messages(self.state / "messages.sqlite"), 1)

    def test_operations_restore_on_a_new_machine(self) -> None:
        """Without the former store, message ids are left out."""
        self.patch(os, "geteuid", lambda: 1000)
        self.said("backup", str(self.file))
        said = self.said("restore", str(self.file), "--skip", "500").splitlines()
        self.assertEqual(
            said,
            [
                "the former store could not be read, so 500 ids are left out",
                f"the store in {self.state} is restored; the next message gets the id {self.given + 501}",
            ],
        )

    def test_operations_restore_as_root(self) -> None:
        """A state directory that the command makes as root belongs to root, which it says; one that is there keeps its
        owner."""
        self.patch(os, "geteuid", lambda: 0)
        self.patch(os, "chown", lambda *arguments: None)
        self.said("backup", str(self.file))
        advice = f"if the gateway has a user of its own: chown -R USER: {self.state}"
        said = self.said("restore", str(self.file)).splitlines()
        self.assertEqual(said[-1], f"{self.state} is new and belongs to root; {advice}")
        self.assertNotIn("chown", self.said("restore", str(self.file)))

    def test_operations_restore_refused(self) -> None:
        """A file that is no backup changes nothing."""
        self.file.write_text("no store")
        status, error = self.refused("restore", str(self.file))
        self.assertEqual((status, self.state.exists()), (1, False))
        self.assertTrue(error.startswith("the store is as it was: "), error)
