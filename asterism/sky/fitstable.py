"""Binary tables of FITS files from strangers, read forwards with bounds on everything.

Only what sky maps use: a possibly gzipped file, headers, and scalar or repeated numeric columns of one
BINTABLE, handed out in blocks. Header values are claims: nothing is allocated because of them and every byte
unpacked is counted, so a 0.2 MB file that unpacks to 200 MB costs what the limits allow and a bomb costs no
more.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from asterism.errors import SkyError, SkyMapTooLargeError

_BLOCK = 2880
_GZIP = b"\x1f\x8b"
_MAX_HEADER_BLOCKS = 100
_MAX_HDUS = 16
_MAX_COLUMNS = 64
_MAX_ROW_BYTES = 2**20
_FORMATS = {"L": ("?", 1), "B": ("u1", 1), "A": ("S1", 1), "I": (">i2", 2), "J": (">i4", 4), "K": (">i8", 8)}
_FORMATS |= {"E": (">f4", 4), "D": (">f8", 8), "C": (">c8", 8), "M": (">c16", 16)}

Header = dict[str, str | int | float | bool]
"""Keywords of one header; the first of equal ones counts."""


@dataclass(frozen=True)
class Limits:
    """How much a sky map may cost. The defaults read every public map met so far (flat up to nside 2048)."""

    compressed_bytes: int = 256 * 2**20
    """Largest file."""
    unpacked_bytes: int = 2**30
    """Most bytes unpacked; also the most memory a flat RING map takes while it is converted."""
    pixels: int = 12 * 2048**2
    """Most pixels of a flat map."""
    rows: int = 2**20
    """Most rows of a multi-order map; a flat map that needs more is averaged where it is least dense."""


@dataclass(frozen=True)
class Column:
    """One column: where its values stand in a row."""

    name: str
    offset: int
    code: str
    repeat: int
    unit: str


class TableFile:
    """The first binary table of a FITS file, opened for one pass.

    Parameters
    ----------
    source : Path or bytes
        The file or its content, gzipped or not.
    limits : Limits
        Bounds.

    Raises
    ------
    SkyMapTooLargeError
        If a bound is exceeded, here or while reading.
    SkyError
        If the file cannot be read, is no FITS file, or holds no binary table.
    """

    def __init__(self, source: Path | bytes, limits: Limits) -> None:
        self._left = limits.unpacked_bytes
        self._limits = limits
        self._stream = _open(source, limits)
        try:
            self.header = self._find_table()
            self.columns = _columns(self.header)
        except BaseException:
            self.close()
            raise
        self.rows = _whole(self.header, "NAXIS2")
        self._row_bytes = _whole(self.header, "NAXIS1")

    def __enter__(self) -> TableFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def blocks(self, names: list[str], size: int) -> Iterator[dict[str, NDArray[np.generic]]]:
        """Yield the values of numeric columns, `size` at a time and fewer at the end, repeats flattened."""
        wanted = [self.columns[name] for name in names]
        repeat = wanted[0].repeat
        if repeat < 1 or any(column.repeat != repeat or column.code not in "BIJKED" for column in wanted):
            raise SkyError(f"columns {names} are not numbers, equally many per row")
        layout = np.dtype(
            {
                "names": names,
                "formats": [(_FORMATS[column.code][0], (repeat,)) for column in wanted],
                "offsets": [column.offset for column in wanted],
                "itemsize": self._row_bytes,
            }
        )
        rows_a_block, remainder = divmod(size, repeat)
        if remainder or not rows_a_block:
            raise SkyError(f"{repeat} values per row do not divide blocks of {size}")
        if self.rows * self._row_bytes > self._left:
            raise SkyMapTooLargeError(f"map unpacks to more than {self._limits.unpacked_bytes} bytes")
        for start in range(0, self.rows, rows_a_block):
            count = min(rows_a_block, self.rows - start)
            table = np.frombuffer(self._read(count * self._row_bytes), dtype=layout)
            yield {name: table[name].ravel() for name in names}

    def _find_table(self) -> Header:
        for number in range(_MAX_HDUS):
            header = self._read_header(b"XTENSION=" if number else b"SIMPLE  =")
            if header.get("XTENSION") == "BINTABLE":
                return header
            self._skip(_padded(_data_bytes(header)))
        raise SkyError(f"no binary table among {_MAX_HDUS} extensions")

    def _read_header(self, starts_with: bytes) -> Header:
        header: Header = {}
        for _ in range(_MAX_HEADER_BLOCKS):
            block = self._read(_BLOCK)
            if not header and not block.startswith(starts_with):
                raise SkyError("not a FITS file, or one with a damaged header")
            for start in range(0, _BLOCK, 80):
                card = block[start : start + 80].decode("latin-1")
                if card.rstrip() == "END":
                    return header
                name = card[:8].rstrip()
                if card[8:10] == "= " and name not in header:
                    header[name] = _value(card[10:])
        raise SkyError("FITS header does not end")

    def _read(self, size: int) -> bytes:
        """Return exactly `size` bytes, unpacked."""
        if size > self._left:
            raise SkyMapTooLargeError(f"map unpacks to more than {self._limits.unpacked_bytes} bytes")
        pieces, missing = [], size
        while missing:
            try:
                piece = self._stream.read(min(missing, 2**20))
            except (OSError, EOFError, zlib.error) as error:
                raise SkyError(f"map cannot be unpacked: {error}") from error
            if not piece:
                raise SkyError(f"FITS file ends {missing} bytes early")
            pieces.append(piece)
            missing -= len(piece)
        self._left -= size
        return b"".join(pieces)

    def _skip(self, size: int) -> None:
        while size:
            step = min(size, 2**20)
            self._read(step)
            size -= step


def _open(source: Path | bytes, limits: Limits) -> IO[bytes] | gzip.GzipFile:
    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if size > limits.compressed_bytes:
            raise SkyMapTooLargeError(f"map file of {size} bytes is larger than {limits.compressed_bytes}")
        if isinstance(source, bytes):
            raw: IO[bytes] = io.BytesIO(source)
            return gzip.GzipFile(fileobj=raw) if source[:2] == _GZIP else raw
        raw = source.open("rb")
        if raw.read(2) == _GZIP:
            raw.close()
            return gzip.GzipFile(source)
        raw.seek(0)
        return raw
    except OSError as error:
        raise SkyError(f"map file cannot be read: {error}") from error


def _value(text: str) -> str | int | float | bool:
    """Return the value of a card; what is no string, number or logical stays text."""
    quoted = re.match(r"\s*'((?:[^']|'')*)'", text)
    if quoted:
        return quoted[1].replace("''", "'").rstrip()
    word = text.partition("/")[0].strip()
    if word in {"T", "F"}:
        return word == "T"
    if re.fullmatch(r"[+-]?\d{1,20}", word):
        return int(word)
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([EeDd][+-]?\d+)?", word):
        return float(word.upper().replace("D", "E"))
    return word


def _whole(header: Header, name: str) -> int:
    value = header.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SkyError(f"FITS keyword {name} is {value!r:.40}, not a whole number")
    return value


def _data_bytes(header: Header) -> int:
    axes = _whole(header, "NAXIS")
    if axes > 999:
        raise SkyError(f"FITS keyword NAXIS is {axes}")
    elements = 1 if axes else 0
    for axis in range(1, axes + 1):
        elements *= _whole(header, f"NAXIS{axis}")
    bits = header.get("BITPIX")
    if bits not in {8, 16, 32, 64, -32, -64}:
        raise SkyError(f"FITS keyword BITPIX is {bits!r:.40}")
    heap = _whole(header, "PCOUNT") if "PCOUNT" in header else 0
    groups = _whole(header, "GCOUNT") if "GCOUNT" in header else 1
    return abs(int(bits)) // 8 * groups * (heap + elements)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _columns(header: Header) -> dict[str, Column]:
    """Return the columns by name in capitals."""
    count, row_bytes = _whole(header, "TFIELDS"), _whole(header, "NAXIS1")
    if count > _MAX_COLUMNS or not 0 < row_bytes <= _MAX_ROW_BYTES:
        raise SkyError(f"table of {count} columns and {row_bytes} bytes a row is no sky map")
    columns, offset = {}, 0
    for number in range(1, count + 1):
        form = re.fullmatch(r"(\d{0,7})([A-Z])\S*", str(header.get(f"TFORM{number}", "")).strip())
        if not form or form[2] not in _FORMATS:
            raise SkyError(f"format of table column {number} is not understood")
        repeat = int(form[1] or 1)
        if f"TSCAL{number}" in header or f"TZERO{number}" in header:
            raise SkyError(f"table column {number} is scaled, which sky maps are not")
        name = str(header.get(f"TTYPE{number}", f"COL{number}")).strip().upper()
        columns[name] = Column(name, offset, form[2], repeat, str(header.get(f"TUNIT{number}", "")).strip())
        offset += repeat * _FORMATS[form[2]][1]
    if offset != row_bytes:
        raise SkyError(f"table columns take {offset} bytes a row, the header says {row_bytes}")
    return columns
