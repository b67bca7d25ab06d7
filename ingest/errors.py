"""Errors of ingest.

::

    IngestError
    +-- PacketError                    this packet cannot be used: it becomes a dead letter under this code
    |     +-- EmptyPacketError              no bytes, or a container without a record
    |     +-- PacketTooLargeError           refused unread
    |     +-- WrongMagicError               neither an Avro container nor a framed message
    |     +-- TruncatedPacketError          ends too early
    |     +-- CodecUnknownError             compressed in a way we do not read
    |     +-- MultipleRecordsError          one message, several records
    |     +-- SchemaInvalidError            the writer schema is malformed, hostile, or of wrong types
    |     +-- SchemaUnknownError            nobody knows this schema id
    |     +-- RegistryUnreachableError      the schema registry does not answer (transient)
    |     +-- SurveyUnknownError            a readable packet of a survey we do not know
    |     +-- UndecodableError              the bytes contradict the schema
    |     +-- NoObjectError                 names neither an object nor a Solar System object
    |     +-- BadIdError                    an identifier is missing or malformed
    |     +-- BadTimeError                  no usable time of observation
    |     +-- BadPositionError              no usable position
    +-- SchemaFolderError              a folder of writer schemas cannot be used
    +-- PathMissingError               a file to ingest does not exist
    +-- FileUnreadableError            a file to ingest cannot be read
    +-- SourceError                    Kafka cannot be read
    +-- ArchiveError                   the raw archive cannot be read or written
    +-- DiskLowError                   too little space is free to begin a batch
    +-- PacketNotFoundError            the lake does not know the alert that was asked for
"""

from __future__ import annotations

from typing import ClassVar

from asterism.errors import AsterismError


class IngestError(AsterismError):
    """Something of ingest failed."""

    code = "ingest.error"


class PacketError(IngestError):
    """A packet cannot be used; it becomes a dead letter under the code of its class."""

    code = "ingest.packet"
    hint = "the packet and its bytes are kept in the lake, table dead_letters; asterism ingest status counts them"
    transient: ClassVar[bool] = False
    """The same bytes may well be accepted later."""


class EmptyPacketError(PacketError):
    """The message has no bytes, or its container no record."""

    code = "ingest.empty"


class PacketTooLargeError(PacketError):
    """The packet, or what it unpacks to, exceeds the limit and was not read."""

    code = "ingest.too_large"


class WrongMagicError(PacketError):
    """The bytes are neither an Avro object container nor a message framed with a schema id."""

    code = "ingest.wrong_magic"


class TruncatedPacketError(PacketError):
    """The packet ends before its record does."""

    code = "ingest.truncated"


class CodecUnknownError(PacketError):
    """The container is compressed with a codec other than null and deflate."""

    code = "ingest.codec_unknown"


class MultipleRecordsError(PacketError):
    """A message carries several records; one message is one alert."""

    code = "ingest.multiple_records"
    hint = "ingest such containers as files: asterism ingest files PATH"


class SchemaInvalidError(PacketError):
    """The writer schema is malformed, could be abused, or gives a field we need a type it cannot have."""

    code = "ingest.schema_invalid"


class SchemaUnknownError(PacketError):
    """Neither the schema folder nor the registry knows the schema id of the message."""

    code = "ingest.schema_unknown"
    hint = "set ASTERISM_SCHEMA_REGISTRY or ASTERISM_SCHEMA_FOLDER, then ingest the packets again"


class RegistryUnreachableError(PacketError):
    """The schema registry does not answer, so the schema id could not be looked up; transient."""

    code = "ingest.registry_unreachable"
    hint = "bring the schema registry back, then ingest the packets again"
    transient = True


class SurveyUnknownError(PacketError):
    """The packet's schema is that of no survey we know."""

    code = "ingest.survey_unknown"
    hint = "a survey is declared in ingest/surveys; docs/architecture.md says how"


class UndecodableError(PacketError):
    """The bytes contradict the writer schema."""

    code = "ingest.undecodable"


class NoObjectError(PacketError):
    """The alert names neither an object nor a Solar System object."""

    code = "ingest.no_object"


class BadIdError(PacketError):
    """An identifier is missing, negative or holds characters no identifier has."""

    code = "ingest.bad_id"


class BadTimeError(PacketError):
    """The time of the exposure is missing, not finite or outside 1972 to 2100."""

    code = "ingest.bad_time"


class BadPositionError(PacketError):
    """Right ascension or declination is missing, not finite or out of range."""

    code = "ingest.bad_position"


class SchemaFolderError(IngestError):
    """A folder of writer schemas cannot be read or does not define exactly one alert."""

    code = "ingest.schema_folder"
    hint = "give a folder with <id>.avsc, <id>/*.avsc or LSST's own <major>/<minor>/*.avsc"


class PathMissingError(IngestError):
    """A file or folder to ingest does not exist."""

    code = "ingest.path_missing"
    hint = "give Avro files, folders of them, or .tar.gz archives"


class FileUnreadableError(IngestError):
    """A file to ingest cannot be read to its end; what came before the fault was delivered."""

    code = "ingest.file_unreadable"


class SourceError(IngestError):
    """Kafka cannot be read, or no longer holds packets that were not read yet."""

    code = "ingest.source_failed"
    hint = "asterism status shows whether Kafka runs; ASTERISM_KAFKA_BOOTSTRAP says where it is looked for"


class ArchiveError(IngestError):
    """The raw archive cannot be read or written."""

    code = "ingest.archive_failed"
    hint = "check the disk behind ASTERISM_HOME/archive"


class DiskLowError(IngestError):
    """Too little space is free for another batch to begin."""

    code = "ingest.disk_low"
    hint = "free space: packets wait in Kafka meanwhile; setting min_free_gib says how much is wanted"


class PacketNotFoundError(IngestError):
    """The lake does not know the alert whose packet was asked for."""

    code = "ingest.packet_not_found"
    hint = "keys look like ztf:697252386115015001; asterism graph cypher finds the alerts of an object"
