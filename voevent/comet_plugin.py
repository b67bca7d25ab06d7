"""A plugin for plain Comet: puts every event it receives into a folder that ``asterism voevent listen --spool`` takes.

For those who run ``twistd comet`` themselves. Copy this one file to ``comet/plugins/`` in any folder of Python's path,
and start Comet with ``--asterism --asterism-spool=FOLDER``. It needs Comet and nothing of Asterism.

It writes to a folder and not to the journal, because a journal has one writer and Comet must not wait for it: either
process may be stopped while the other goes on. A file is named by the hash of its bytes and appears whole (temporary
name, fsync, rename, fsync of the folder), so the same event never makes two. What the plugin cannot mend is that Comet
acknowledges an event before any handler sees it; the listener's own receiver does not. It does mend a smaller loss:
Comet looks events up in a database from several threads, and when two are the first to look for its driver, one fails
and its event is discarded. Here the driver is found before Comet starts.
"""

from __future__ import annotations

import dbm
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import comet.log
from comet.icomet import IHandler, IHasOptions
from twisted.internet.threads import deferToThread
from twisted.plugin import IPlugin
from zope.interface import implementer  # type: ignore[import-untyped]

_SPOOL = "spool"

with TemporaryDirectory() as _folder:
    dbm.open(str(Path(_folder) / "first"), "c").close()


@implementer(IPlugin, IHandler, IHasOptions)
class SpoolWriter:
    """Comet's handler ``asterism``, with the option ``--asterism-spool``."""

    name = "asterism"

    def __init__(self) -> None:
        self._folder = Path("asterism-spool")

    def get_options(self) -> Iterable[tuple[str, str, str]]:
        """Return name, default and description of each option."""
        return [(_SPOOL, str(self._folder), "Folder that asterism voevent listen --spool takes events from")]

    def set_option(self, name: str, value: str) -> None:
        """Set an option; the folder is made now, so that a wrong one is noticed before the first event."""
        if name == _SPOOL:
            self._folder = Path(value).absolute()
            self._folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, event: Any) -> Any:
        """Write an event; in a thread, because fsync would stall every connection."""
        return deferToThread(self._write, event.raw_bytes).addErrback(self._failed, event.raw_bytes)

    def _write(self, content: bytes) -> None:
        name = f"{hashlib.sha256(content).hexdigest()}.xml"
        temporary = self._folder / f".{name}.tmp"
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self._folder / name)
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @staticmethod
    def _failed(failure: Any, content: bytes) -> Any:
        """Say what was lost, with the event itself: Comet would only say that handlers failed."""
        comet.log.warn(f"asterism: event not written: {failure.getErrorMessage()}: {content!r}")
        return failure


asterism = SpoolWriter()
