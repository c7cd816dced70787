"""A running gateway that many tests share: started for the first of them, stopped when the test process ends."""

from __future__ import annotations

import atexit
import base64
import functools
import json
import select
import shutil
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.flows.process import GatewayProcess

ACCOUNT = """
[account {name}]
password = {name}
senders = *
default_sender = DEMO
allow_from = 127.0.0.0/8
"""


@functools.cache
def shared_gateway(*accounts: str, connector: str = "delay = 0.1") -> GatewayProcess:
    """Return the shared gateway with these accounts, whose passwords are their names. Each test has accounts of its
    own.

    Trial has no class fixtures that span its workers, so the gateway belongs to the worker process.

    :param connector: further lines of the simulated message centre's section.
    """
    directory = Path(tempfile.mkdtemp(prefix="smsgw-"))
    gateway = GatewayProcess(
        directory,
        connector=connector,
        sections="".join(ACCOUNT.format(name=name) for name in accounts),
    )
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(gateway.kill)
    gateway.start()
    return gateway


def shown(gateway: GatewayProcess, account: str, id: str) -> dict[str, Any]:
    """Return a message by GET; the password of the account is its name."""
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.http}/api/v2/send_message/message-id-{id}")
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{account}:{account}".encode()).decode())
    with urllib.request.urlopen(request, timeout=5) as answer:
        found = json.loads(answer.read())
    assert found["status"] == "ok", found
    result: dict[str, Any] = found["result"]
    return result


def shown_as(gateway: GatewayProcess, account: str, id: str, word: str, seconds: float = 10.0) -> dict[str, Any]:
    """Return a message by GET when it has reached the state `word`, or after `seconds`."""
    deadline = time.monotonic() + seconds
    while (found := shown(gateway, account, id))["status"] != word and time.monotonic() < deadline:
        select.select([], [], [], 0.05)
    return found
