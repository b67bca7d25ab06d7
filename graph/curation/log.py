"""The lake's table ``curation``: every act, one file each, on the disk before the graph hears of it.

``curation/<first two digits>/<id>.parquet``. A file appears by a hard link from a temporary name, which fails where it
exists: of writers that repeat one act, in one process or several, one writes and the others read what it wrote. Files
never change and none is removed.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from asterism.errors import LakeError
from asterism.formats import ensure_format, sync_folder
from asterism.graph.curation.acts import CURATION, Act, from_row, to_row

TABLE = "curation"


class CurationLog:
    """Appends to and reads the table.

    Parameters
    ----------
    lake : Path
        Folder of the lake.

    Raises
    ------
    FormatError
        If another format version wrote the lake.
    """

    def __init__(self, lake: Path) -> None:
        ensure_format(lake, "lake")
        self._root = lake / TABLE

    def append(self, act: Act) -> Act:
        """Return an act once it is safely on the disk: this one, or the one of its id that was there (`Act.same_as`).

        Raises
        ------
        LakeError
            If the disk does not take it; then nothing of it is left.
        """
        path = self._root / act.id[:2] / f"{act.id}.parquet"
        try:
            new = _put(path, act)
        except OSError as error:
            raise LakeError(f"{path} cannot be written: {error}", hint="check free space and permissions") from error
        return act if new else from_row(_read_file(path))

    def acts(self) -> list[Act]:
        """Return all acts, by time and id.

        Raises
        ------
        LakeError
            If the table cannot be read.
        """
        if not self._root.is_dir():
            return []
        try:
            rows = ds.dataset(self._root, schema=CURATION, format="parquet").to_table().to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise LakeError(f"{self._root} cannot be read: {error}") from error
        return sorted(map(from_row, rows), key=lambda act: (act.made_mjd_tai, act.id))


def _put(path: Path, act: Act) -> bool:
    """Put a file in its place durably; return False where one was."""
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(path.parent.parent)
        sync_folder(path.parent.parent.parent)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as stream:
            pq.write_table(pa.Table.from_pylist([to_row(act)], schema=CURATION), stream, compression="zstd")
            stream.flush()
            os.fsync(stream.fileno())
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    return True


def _read_file(path: Path) -> dict[str, object]:
    try:
        (row,) = pq.read_table(path, schema=CURATION, partitioning=None).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LakeError(f"{path} cannot be read: {error}") from error
    found: dict[str, object] = row
    return found
