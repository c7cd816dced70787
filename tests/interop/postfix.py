"""Postfix, as the relay in front of the gateway's submission server and as the relay behind its connectors."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from smsgw.program import certificates
from tests.flows.process import free_ports
from tests.interop import peers

LOGIN, PASSWORD, REALM = "gateway", "a long secret", "relay.example.org"


class Postfix:
    """A separate instance in its own directory with a short path, because the length of socket paths is limited.

    It relays everything to the submission server on port `relay`, where it logs in as ``mail`` over STARTTLS.

    :ivar port: takes mail from this machine, without login. :ivar starttls: takes mail after STARTTLS and a login.
    :ivar implicit: the same inside TLS. :ivar certificate: the PEM file of its certificate, for 127.0.0.1.
    """

    def __init__(self, relay: int) -> None:
        self.port, self.starttls, self.implicit = free_ports(3)
        self._relay = relay
        program = shutil.which("postfix") or ("/usr/sbin/postfix" if Path("/usr/sbin/postfix").exists() else "")
        if not program:
            peers.missing("postfix is not installed")
        if os.geteuid() != 0:
            peers.missing("postfix only starts as root")
        self._program = program
        self.directory = Path(tempfile.mkdtemp(prefix="pf-"))
        self.certificate, self._key, _ = certificates.self_signed(self.directory / "tls", REALM)

    def take_logins(self) -> None:
        """Add a login for the gateway; call it before the start."""
        saslpasswd = shutil.which("saslpasswd2") or "/usr/sbin/saslpasswd2"
        if not Path(saslpasswd).exists():
            peers.missing("saslpasswd2 is not installed")
        sasl = self.directory / "config" / "sasl"
        sasl.mkdir(parents=True)
        (sasl / "smtpd.conf").write_text(
            f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {sasl}/users\nmech_list: PLAIN LOGIN\n"
        )
        subprocess.run(
            [saslpasswd, "-p", "-c", "-f", str(sasl / "users"), "-u", REALM, LOGIN],
            input=PASSWORD, text=True, check=True, timeout=peers.PATIENCE,
        )  # fmt: skip
        shutil.chown(sasl / "users", "postfix")

    def start(self) -> None:
        """Write its configuration and start it."""
        config, queue, data = (self.directory / name for name in ("config", "queue", "data"))
        for path in (config, queue, data):
            path.mkdir(exist_ok=True)
        self.directory.chmod(0o755)
        shutil.chown(data, "postfix", "postfix")
        (config / "passwords").write_text(f"[127.0.0.1]:{self._relay} mail:mail\n")
        (config / "main.cf").write_text(
            f"""\
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {REALM}
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
relayhost = [127.0.0.1]:{self._relay}
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:{config}/passwords
smtp_sasl_security_options = noanonymous
smtp_tls_security_level = encrypt
smtpd_tls_cert_file = {self.certificate}
smtpd_tls_key_file = {self._key}
smtpd_tls_auth_only = yes
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = {REALM}
cyrus_sasl_config_path = {config}/sasl
maillog_file = {self.directory}/log
maillog_file_prefixes = {self.directory}
"""
        )
        login = "-o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject"
        (config / "master.cf").write_text(
            f"""\
127.0.0.1:{self.port} inet n - n - - smtpd
127.0.0.1:{self.starttls} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt {login}
127.0.0.1:{self.implicit} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes {login}
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
        )
        self._run("start")

    def _run(self, word: str) -> None:
        done = subprocess.run(
            [self._program, "-c", str(self.directory / "config"), word],
            capture_output=True, text=True, timeout=peers.PATIENCE, check=False,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"postfix {word}: {done.stdout}{done.stderr}{self.log()}")

    def log(self) -> str:
        """Return the log."""
        path = self.directory / "log"
        return path.read_text("utf-8", "replace") if path.exists() else "no log"

    def stop(self) -> None:
        """End Postfix at once."""
        if re.search(r"\d", self._pid()):
            self._run("stop")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _pid(self) -> str:
        path = self.directory / "queue" / "pid" / "master.pid"
        return path.read_text() if path.exists() else ""
