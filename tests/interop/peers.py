"""Finds the programs and libraries of other projects that the tests need.

Without one of them its tests are skipped; with ``SMSGW_INTEROP=required`` they fail.
``SMSGW_NODE_MODULES`` is the path of the ``node_modules`` folder with the packages ``smpp`` and ``nodemailer``.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NoReturn

from twisted.trial.unittest import FailTest, SkipTest

from tests.flows.process import GatewayProcess
from tests.flows.shared import shared_gateway

PATIENCE = 20.0
"""Seconds that a program may take, also on a loaded machine."""

GSM = "Code 1234, price 5\u20ac {today}"
UCS2 = "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440 \U0001f600"
LONG = "".join(f"line {number:03d} of a long text; " for number in range(1, 17))
"""A GSM text of 3 parts."""

NODE = {"NODE_PATH": os.environ.get("SMSGW_NODE_MODULES") or os.environ.get("NODE_PATH", "")}
"""The environment in which node finds its packages."""


def gateway() -> GatewayProcess:
    """The gateway of these tests; each kind of client has its own account."""
    return shared_gateway("smpplib", "node", "perl", "mail", "web", "tshark")


def missing(what: str) -> NoReturn:
    """Skip the test, or fail it if it is required."""
    if os.environ.get("SMSGW_INTEROP") == "required":
        raise FailTest(f"{what}, and SMSGW_INTEROP=required")
    raise SkipTest(what)


def program(name: str) -> str:
    """Return the path of a program."""
    found = shutil.which(name)
    return found if found is not None else missing(f"{name} is not installed")


def module(name: str) -> Any:
    """Import a Python module."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(f"the Python module {name} is not installed")


@functools.cache
def node(package: str) -> str:
    """Return the path of node, which finds a package in the environment :data:`NODE`."""
    path = program("node")
    if run(path, "-e", f"require.resolve('{package}')", environment=NODE).returncode:
        missing(f"the package {package} for node is not installed")
    return path


def run(*command: str, stdin: str = "", environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        command,
        input=stdin,
        env=os.environ | (environment or {}),
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        timeout=PATIENCE,
        check=False,
    )


def report(script: str, *command: str, environment: dict[str, str] | None = None, **task: object) -> Any:
    """Run a script of this directory with JSON on standard input; return the JSON that it prints."""
    path = Path(__file__).with_name(script)
    done = run(*command, str(path), stdin=json.dumps(task), environment=environment)
    if done.returncode:
        raise FailTest(f"{script} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return json.loads(done.stdout)
