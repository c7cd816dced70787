"""U10: the public modules. docs/embedding.rst lists them; an embedding program needs no others."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "embedding.rst").read_text("utf-8").partition("Public names\n")[2]
PACKAGES = re.findall(r"(?m)^``(smsgw[a-z.]*)``", TEXT)
"""The packages whose public names are in ``__all__``."""

WHOLE = [f"smsgw.text.{name}" for name in re.findall(r"``([a-z0-9]+)``", TEXT.rpartition("Public are also")[2])]
"""The modules of which every name without an underscore is public."""


def names(module: ModuleType) -> list[str]:
    """The public names of a module."""
    return list(getattr(module, "__all__", None) or [name for name in vars(module) if name[0] != "_"])


def public() -> Iterator[tuple[str, str, Any]]:
    """Yield module, name and value of everything public."""
    for module in (*PACKAGES, *WHOLE):
        found = importlib.import_module(module)
        yield from ((module, name, getattr(found, name)) for name in names(found))


def argument_types(value: type) -> Iterator[type]:
    """Yield the classes of the arguments of a constructor."""
    if getattr(value, "_is_protocol", False) or value.__init__ is object.__init__:  # type: ignore[misc]
        return
    constructor: Any = value.__init__  # type: ignore[misc]
    try:
        hints = typing.get_type_hints(constructor)
    except NameError:  # names that are imported for type checks only
        return
    for name in inspect.signature(constructor).parameters:
        waiting = [hints[name]] if name in hints else []
        while waiting:
            one = waiting.pop()
            waiting += one if isinstance(one, list) else typing.get_args(one)
            if inspect.isclass(one):
                yield one


class U10Tests(SynchronousTestCase):
    def test_u10_listed(self) -> None:
        """The page lists the public packages and modules; each exists, and each name in __all__ is there."""
        self.assertGreaterEqual(len(PACKAGES), 13)
        self.assertEqual(WHOLE, ["smsgw.text.coding", "smsgw.text.parts", "smsgw.text.udh", "smsgw.text.gsm0338"])
        for name in PACKAGES:
            module = importlib.import_module(name)
            self.assertTrue(module.__all__, name)
            self.assertEqual(len(set(module.__all__)), len(module.__all__), name)
            self.assertEqual([one for one in module.__all__ if not hasattr(module, one)], [], name)

    def test_u10_importable_alone(self) -> None:
        """Each is importable as the first module of a program, and none of them installs the reactor."""
        for name in (*PACKAGES, *WHOLE):
            script = f"import sys, {name}; print('twisted.internet.reactor' in sys.modules)"
            done = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, check=False,
                env={"PYTHONPATH": str(ROOT)},
            )
            self.assertEqual((done.stdout, done.stderr), ("False\n", ""), name)

    def test_u10_complete(self) -> None:
        """What the constructor of a public class takes is public itself, except structural types (protocols) and the
        cache of the store, whose other limits are for tests."""
        known = {id(value) for _, _, value in public()}
        private = {
            f"{module}.{name} needs {one.__module__}.{one.__name__}"
            for module, name, value in public() if inspect.isclass(value) and module in PACKAGES
            for one in argument_types(value)
            if one.__module__.startswith("smsgw.") and id(one) not in known and not getattr(one, "_is_protocol", False)
        }
        self.assertEqual(private, {"smsgw.stores.MessageStore needs smsgw.stores.cache.Cache"})

    def test_u10_interfaces(self) -> None:
        """Every class of the gateway that an interface names is public."""
        exported = {name for _, name, _ in public()}
        for file in (ROOT / "smsgw" / "interfaces").glob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("smsgw."):
                    hidden = {one.name for one in node.names} - exported
                    self.assertEqual(hidden, set(), file.name)
