"""Files as messages: whatever holds packets becomes (position, packet) pairs like those Kafka delivers.

Files, folders and the nightly ``.tar.gz`` archives of ZTF's public stream are read; nothing is unpacked to
disk and no path inside an archive is used. A position is a function of the file's name and content, so a file
read twice gives the same positions, and the same packet in two files gives two deliveries of one alert. What
is not a packet is passed on as it is, cut at just over the limit, for the decoder to refuse: nothing is left
out silently.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from asterism.ingest.container import MAGIC, Header, read_block, read_header, unpack, wrap
from asterism.ingest.errors import FileUnreadableError, PacketError, PathMissingError
from asterism.ingest.packets import MAX_PACKET_BYTES, Position
from asterism.ingest.plan import Plan, plan_for

SUFFIXES = (".avro", ".tar.gz", ".tgz")
"""Files taken from a folder."""
MAX_FILE_BYTES = 2**30
"""Largest file held in memory; archives are streamed and may be larger [bytes]."""
MAX_BLOCK_BYTES = 2**28
"""A block of a container may unpack to this much [bytes]."""
MAX_EXPANSION = 100
"""An archive may unpack to this many times its size, or to `MAX_FILE_BYTES` if that is more."""

_TAR_BLOCK = 512
_CHUNK = 2**20


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def iter_packets(paths: Iterable[Path]) -> Iterator[tuple[Position, bytes]]:
    """Yield every packet of files, folders (recursively, in the order of names) and tar archives.

    Parameters
    ----------
    paths : iterable of Path
        Avro containers of one or many records, framed messages, ``.tar.gz`` archives of them, or folders of
        all these.

    Yields
    ------
    Position
        Topic ``file-`` and 16 hexadecimal digits of SHA-256 over name and content, partition 0, offset
        counting from 0.
    bytes
        One packet: the file's own bytes, or a container of one record cut from a container of many.

    Raises
    ------
    PathMissingError
        If a path does not exist; before anything is yielded.
    FileUnreadableError
        If a file cannot be read, or an archive is damaged or unpacks to too much.
    """
    for path in files_below(paths):
        try:
            topic = _topic(path)
            for offset, packet in enumerate(_packets(path)):
                yield Position(topic, 0, offset), packet
        except (OSError, EOFError, zlib.error) as error:
            raise FileUnreadableError(f"{path} cannot be read: {error}") from error


def files_below(paths: Iterable[Path]) -> list[Path]:
    """Return the files that `iter_packets` reads, in order.

    Raises
    ------
    PathMissingError
        If a path does not exist.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(item for item in path.rglob("*") if item.name.endswith(SUFFIXES) and item.is_file())
        elif path.is_file():
            files.append(path)
        else:
            raise PathMissingError(f"{path} does not exist")
    return files


def _topic(path: Path) -> str:
    digest = hashlib.sha256(path.name.encode(errors="surrogateescape"))
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return f"file-{digest.hexdigest()[:16]}"


def _packets(path: Path) -> Iterator[bytes]:
    if path.name.endswith(SUFFIXES[1:]):
        for member in _members(path):
            yield from split(member)
        return
    with path.open("rb") as file:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise FileUnreadableError(f"{path} has {size} bytes, more than {MAX_FILE_BYTES}")
        yield from split(file.read(MAX_FILE_BYTES))


def split(data: bytes) -> Iterator[bytes]:
    """Yield the packets in a file: its bytes as they are, unless they are a container of several records.

    A record that cannot be found ends its block: the rest of the block is yielded as one packet, which the
    decoder refuses.
    """
    try:
        header = read_header(data) if data.startswith(MAGIC) else None
        block = None if header is None else read_block(data, header.end, header.sync)
        several = block is not None and (block.records, block.end) != (1, len(data))
        plan = plan_for(header.schema) if header is not None and several else None
    except PacketError:
        header = plan = None
    if header is None or plan is None:
        yield data[: MAX_PACKET_BYTES + 1]
        return
    at = header.end
    while at < len(data):
        try:
            block = read_block(data, at, header.sync)
            body = unpack(data[block.start : block.stop], header.codec, MAX_BLOCK_BYTES)
        except PacketError:
            yield data[: header.end] + data[at : at + MAX_PACKET_BYTES + 1]
            return
        yield from _records(plan, header, body, block.records)
        at = block.end


def _records(plan: Plan, header: Header, body: bytes, count: int) -> Iterator[bytes]:
    stream = io.BytesIO(body)
    for _ in range(count):
        start = stream.tell()
        try:
            plan.read_whole(stream)
        except PacketError:
            yield wrap(header, body[start : start + MAX_PACKET_BYTES + 1])
            return
        yield wrap(header, body[start : stream.tell()])
    if stream.tell() < len(body):
        yield wrap(header, body[stream.tell() :][: MAX_PACKET_BYTES + 1])


def _members(path: Path) -> Iterator[bytes]:
    """Yield the regular files of a gzipped tar archive, each cut at just over the limit of a packet.

    Only the fixed header blocks are interpreted: extended headers, links and directories are skipped unread,
    because the library would read a header of any size into memory.
    """
    limit = max(MAX_EXPANSION * path.stat().st_size, MAX_FILE_BYTES)
    unpacked = 0
    with gzip.open(path, "rb") as stream:
        while block := stream.read(_TAR_BLOCK):
            if not block.strip(b"\x00"):
                continue  # the archive ends with blocks of zeros
            member = _member(block, path)
            padded = -(-member.size // _TAR_BLOCK) * _TAR_BLOCK
            unpacked += _TAR_BLOCK + padded
            if unpacked > limit:
                raise FileUnreadableError(f"{path} unpacks to more than {limit} bytes")
            data = _take(stream, padded, MAX_PACKET_BYTES + 1 if member.isreg() else 0)
            if member.isreg():
                yield data[: member.size]


def _member(block: bytes, path: Path) -> tarfile.TarInfo:
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        raise FileUnreadableError(f"{path} is damaged: {error}") from error
    if member.size < 0:
        raise FileUnreadableError(f"{path} is damaged: a member of {member.size} bytes")
    return member


def _take(stream: _Readable, length: int, keep: int) -> bytes:
    """Read `length` bytes, all of which must be there, and return the first `keep` of them."""
    data = stream.read(min(length, keep))
    rest = length - len(data)
    while rest > 0 and (chunk := stream.read(min(rest, _CHUNK))):
        rest -= len(chunk)
    if rest > 0:
        raise EOFError(f"the archive ends {rest} bytes too early")
    return data
