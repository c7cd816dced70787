"""``check`` and ``sample``."""

from __future__ import annotations

import os
from pathlib import Path

from smsgw.config import parse
from smsgw.plugins import connector_types, dialects
from smsgw.program import certificates, configfile
from tests.cli.support import CONFIG, CommandTestCase


class CheckTests(CommandTestCase):
    def test_good(self) -> None:
        """A file without mistakes is reported as good, with a summary."""
        ran = self.run_command("check", self.config)
        self.assertEqual((ran.status, ran.err), (0, ""))
        self.assertEqual(ran.out, f"{self.config} is good: 2 listeners, 2 accounts, 1 connector, 1 route\n")

    def test_every_mistake(self) -> None:
        """All mistakes are listed at once, each with file, line, section and key; the status is 78."""
        wrong = CONFIG.replace("type = loopback", "type = pigeon").replace("[gateway]", "[gateway]\nx = 1")
        config = self.written(wrong)
        ran = self.run_command("check", config)
        self.assertEqual((ran.status, ran.err), (78, ""))
        first, second, last = ran.out.splitlines()
        self.assertTrue(first.startswith(f"{config}:2: [gateway] x: "), first)
        self.assertTrue(second.startswith(f"{config}:25: [connector sim] type: "), second)
        self.assertEqual(last, f"{config} cannot be used: 2 mistakes")

    def test_no_file(self) -> None:
        """A missing file is a mistake like any other."""
        ran = self.run_command("check", "nowhere.ini")
        self.assertEqual(ran.status, 78)
        self.assertIn("nowhere.ini: cannot be read: No such file or directory\n", ran.out)

    def test_warnings(self) -> None:
        """A valid setting that is hardly intended gives a warning."""
        config = self.written(CONFIG.replace("allow_from = 127.0.0.0/8", "allow_from =", 1))
        ran = self.run_command("check", config)
        self.assertEqual(ran.status, 0)
        warning, good = ran.out.splitlines()
        self.assertRegex(warning, r"\[account hashed\] allow_from: .* \(warning\)\Z")
        self.assertIn("is good", good)

    def test_open_to_others(self) -> None:
        """Passwords that other users can read give a warning, or a mistake if other machines can connect."""
        Path(self.config).chmod(0o644)
        ran = self.run_command("check", self.config)
        self.assertEqual(ran.status, 0)
        self.assertIn(f"can be read by other users: chmod 600 {self.config} (warning)", ran.out)
        exposed = self.written(CONFIG.replace(":interface=127.0.0.1", "", 1))
        self.assertEqual(self.run_command("check", exposed).status, 0)
        Path(exposed).chmod(0o640)
        ran = self.run_command("check", exposed)
        self.assertEqual(ran.status, 78)
        self.assertIn("can be read by other users: chmod 600", ran.out)

    def test_certificates(self) -> None:
        """A certificate that cannot be used is found before the gateway is started with it."""
        certificate, key, _ = certificates.self_signed(Path(self.mktemp()))
        own = "interface=127.0.0.1\ntls = implicit\ncertificate = {}\nkey = {}\n"
        good = self.written(CONFIG.replace("interface=127.0.0.1\n", own.format(certificate, key), 1))
        self.assertEqual(self.run_command("check", good).status, 0)
        bad = self.written(CONFIG.replace("interface=127.0.0.1\n", own.format(key, key), 1))
        ran = self.run_command("check", bad)
        self.assertEqual(ran.status, 78)
        self.assertIn(f"{bad}:8: [listen smpp] certificate: {key}: not a PEM certificate", ran.out)

    def test_u7_directories(self) -> None:
        """A state directory or message log that cannot be made is found; nothing is made by looking."""
        base = Path(self.mktemp()).absolute()
        base.mkdir()
        (base / "file").touch()
        (base / "closed").mkdir(mode=0o500)
        for state, why in (
            ("file", f"{base}/file is not a directory"),
            ("file/below", f"{base}/file is not a directory"),
            ("closed/var", f"the directory {base}/closed/var cannot be made, because {base}/closed cannot be written"),
            ("closed", f"the directory {base}/closed cannot be written"),
        ):
            config = self.written(CONFIG.replace("{state}", str(base / state)))
            self.patch(os, "access", lambda path, mode: Path(path).name != "closed")  # root may write anywhere
            ran = self.run_command("check", config)
            self.assertEqual(ran.status, 78)
            self.assertIn(f"{config}:2: [gateway] state: {why}\n", ran.out)
        good = self.written(CONFIG.replace("{state}", f"{base}/a/b\nmessage_log = {base}/a/c"))
        self.assertEqual(self.run_command("check", good).status, 0)
        self.assertFalse((base / "a").exists())
        bad = self.written(CONFIG.replace("[gateway]", f"[gateway]\nmessage_log = {base}"))
        self.assertIn(f"message_log: {base} is a directory", self.run_command("check", bad).out)

    def test_u7_not_utf8(self) -> None:
        """A file in another charset is refused with the line of the first octet that is not UTF-8."""
        Path(self.config).write_bytes(CONFIG.encode() + "; комментарий\n".encode("koi8-r"))
        ran = self.run_command("check", self.config)
        number = CONFIG.count("\n") + 1
        self.assertIn(f"{self.config}:{number}: is not UTF-8: the octet 0xCB is no letter there\n", ran.out)

    def test_secrets(self) -> None:
        """No password of a file appears in the output."""
        config = self.written(CONFIG.replace("password = demopass", "password = demopass\npassword_hash = demopass"))
        ran = self.run_command("check", config)
        self.assertEqual(ran.status, 78)
        self.assertNotIn("demopass", ran.out + ran.err)


class SampleTests(CommandTestCase):
    def test_sample(self) -> None:
        """The sample is the shipped configuration and is valid as it is."""
        ran = self.run_command("sample")
        self.assertEqual((ran.status, ran.out, ran.err), (0, configfile.sample_config(), ""))
        self.assertIn("demo", parse(ran.out, "gw.ini", connector_types(), dialects()).accounts)

    def test_u6_all(self) -> None:
        """--all prints the sample with all kinds of sections, --page the page of all settings; not both."""
        ran = self.run_command("sample", "--all")
        self.assertEqual((ran.status, ran.out, ran.err), (0, configfile.sample_config(every=True), ""))
        ran = self.run_command("sample", "--page")
        self.assertEqual((ran.status, ran.out, ran.err), (0, configfile.settings_page(), ""))
        self.assertEqual(self.run_command("sample", "--all", "--page").status, 2)
