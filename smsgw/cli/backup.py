"""``backup`` and ``restore``: copy the store to a file, and make such a file the store."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Final

from smsgw.cli.addresses import read_settings
from smsgw.cli.adminclient import admin_of
from smsgw.cli.console import DONE, REFUSED, UNREACHABLE, Stop, counted
from smsgw.model.errors import StoreDown
from smsgw.stores.sqlite.backup import sync
from smsgw.stores.sqlite.engine import DATABASE, IDS, LOCK
from smsgw.stores.sqlite.opening import WAL
from smsgw.stores.sqlite.restore import check, copy_stopped
from smsgw.stores.sqlite.restore import restore as restore_store

_STORE_FILES: Final = frozenset({DATABASE, DATABASE + WAL, IDS, LOCK})

PATIENCE: Final = 3600.0
"""Seconds that the running gateway may take for a backup."""


def backup(options: argparse.Namespace) -> int:
    """Copy the store to a file: through the running gateway, or from the files of a stopped one."""
    target = Path(options.file)
    _check_target(options.config, target)
    new = target.with_name(f"{target.name}.new")
    try:
        try:
            status, value = admin_of(options.config).ask("POST", "/backup", {}, PATIENCE)
        except Stop as stop:
            if stop.status != UNREACHABLE:
                raise
            _copy_files(options.config, new, stop)
        else:
            if status != 200:
                raise Stop(REFUSED, f"the gateway refuses: {value.get('why') or value.get('reason')}")
            _move(Path(value["file"]), new)
        last = check(new)
        sync(new)
        new.replace(target)
        sync(target.absolute().parent)
    except StoreDown as why:
        raise Stop(REFUSED, f"there is no backup: {why}") from why
    except OSError as why:
        raise Stop(REFUSED, f"there is no backup: {why.filename or target}: {why.strerror}") from why
    finally:
        new.unlink(missing_ok=True)
    print(f"{target} has the store, {counted(target.stat().st_size, 'octet')}, ids up to {last}")
    return DONE


def _check_target(config: str, target: Path) -> None:
    """Refuse to replace a device, a FIFO or a directory, or a file of the state directory that the gateway may have
    open.

    :raises Stop: the target cannot be a backup.
    """
    if target.exists() and not target.is_file():
        raise Stop(REFUSED, f"there is no backup: {target} is not a file")
    state = read_settings(config).gateway.state.resolve()
    if target.resolve().parent == state and target.name in _STORE_FILES:
        raise Stop(REFUSED, f"there is no backup: {target} belongs to the store itself")


def _copy_files(config: str, new: Path, unreachable: Stop) -> None:
    """Copy the files of a gateway that does not answer.

    :raises Stop: a gateway has them, so it runs but does not answer.
    """
    try:
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        copy_stopped(read_settings(config).gateway.state, new)
    except StoreDown as why:
        raise Stop(unreachable.status, f"{unreachable}\nThe files cannot be copied either: {why}") from why


def _move(made: Path, new: Path) -> None:
    """Move the file that the gateway made, which is readable by its user only, to the place of the copy."""
    try:
        shutil.move(made, new)
    except PermissionError as why:
        raise Stop(
            REFUSED,
            f"the backup is in {made} and cannot be moved to {new}: {why.strerror}. Give the command as root or as the"
            " user of the gateway",
        ) from why


def restore(options: argparse.Namespace) -> int:
    """Make a backup the store of the stopped gateway."""
    state = read_settings(options.config).gateway.state
    new = not state.exists()
    try:
        done = restore_store(state, Path(options.file), options.skip)
    except StoreDown as why:
        raise Stop(REFUSED, f"the store is as it was: {why}") from why
    if done.replaced is not None:
        print(f"the former store is now {done.replaced}")
    if not done.known:
        print(f"the former store could not be read, so {options.skip} ids are left out")
    print(f"the store in {state} is restored; the next message gets the id {done.first_id}")
    if new and os.geteuid() == 0:
        print(f"{state} is new and belongs to root; if the gateway has a user of its own: chown -R USER: {state}")
    return DONE
