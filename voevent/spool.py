"""A folder as a door: files put into it are taken into the journal and moved aside.

For notices that cannot travel by VTP (LVK's JSON) and for anything that writes files. A file must appear whole: write
it under a name that begins with a dot, then rename. What the journal does not take stays and is tried again.
"""

from __future__ import annotations

from pathlib import Path

from asterism.errors import JournalError
from asterism.logs import get_logger
from asterism.voevent.errors import NoticeRefusedError
from asterism.voevent.intake import FILE, Intake
from asterism.voevent.liveness import Feed

SUFFIXES = {".xml", ".json"}
TAKEN = "taken"
"""Sub-folder that files are moved to once they are in the journal."""

_log = get_logger("voevent.spool")


def take_files(folder: Path, intake: Intake, feed: Feed) -> int:
    """Take the notices of a folder, in the order of their names; return how many.

    Parameters
    ----------
    folder : Path
        Folder to look into; made if it does not exist.
    intake : Intake
        Where notices go.
    feed : Feed
        What notes its state.

    Raises
    ------
    OSError
        If the folder cannot be used.
    """
    (folder / TAKEN).mkdir(parents=True, exist_ok=True)
    taken = 0
    for path in sorted(folder.iterdir()):
        if path.suffix not in SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        try:
            receipt = intake.accept(path.read_bytes(), FILE, peer=path.name)
        except NoticeRefusedError as error:
            feed.refused()
            _log.warning("notice refused", file=path.name, code=error.code, reason=error.message)
        except JournalError as error:
            feed.failed(error)
            _log.error("notice left in the folder", file=path.name, code=error.code, reason=error.message)
            break
        else:
            feed.took(duplicate=receipt.duplicate)
        path.replace(folder / TAKEN / path.name)
        taken += 1
    return taken
