"""The errors of notices.

::

    NoticeError
    +-- NoticeRefusedError        the bytes are no notice we can take, or cannot be understood
    |     +-- NoticeTooLargeError       ... longer, deeper or more elements than any real notice
    |     +-- NoticeMarkupError         ... not well-formed XML or JSON
    |     +-- NoticeHostileError        ... a document type, an entity or an external reference
    |     +-- NoticeSchemaError         ... well-formed, but what every notice has is missing or impossible
    |     +-- NoticeUnknownError        ... JSON of a schema Asterism does not read
    |     +-- NoticePositionError       ... a coordinate that is none
    |     +-- NoticeTimeError           ... an instant that is none
    |     +-- NoticeMapError            ... its sky map cannot be read
    +-- ComposeError              a document of ours would not be a valid VOEvent 2.0
    +-- UnsendableError           subscribers of VTP could not take a document
    +-- FilterError               a filter is no XPath
    +-- MissionTableError         a table of missions is malformed
    +-- NoticeFileError           a file of notices cannot be read
    +-- SendError                 a notice was not delivered
    |     +-- NotAcknowledgedError      ... the receiver said no
    +-- ListenError               the receiver cannot listen at its address
    +-- DoorError                 a door for notices does not do its work
          +-- DoorSettingsError         ... what it needs is not set, or set wrongly
          +-- DoorClosedError           ... the other side cannot be reached, or does not let us in
"""

from __future__ import annotations

from asterism.errors import AsterismError


class NoticeError(AsterismError):
    """Something about notices went wrong."""

    code = "voevent.failed"


class NoticeRefusedError(NoticeError):
    """The bytes are not a notice Asterism takes."""

    code = "voevent.refused"
    hint = "asterism voevent parse FILE shows what is read of a document"


class NoticeTooLargeError(NoticeRefusedError):
    """A notice is longer or deeper, or has more elements, than any real one."""

    code = "voevent.too_large"
    hint = "no real notice comes near the limits (voevent/guard.py)"


class NoticeMarkupError(NoticeRefusedError):
    """The bytes are neither well-formed XML nor JSON."""

    code = "voevent.not_well_formed"


class NoticeHostileError(NoticeRefusedError):
    """A document type declaration, an entity or an external reference stands in the document."""

    code = "voevent.hostile_markup"
    hint = "VOEvents need no document type; send the document without one"


class NoticeSchemaError(NoticeRefusedError):
    """The document is well-formed, but is no VOEvent or lacks what each has."""

    code = "voevent.not_a_voevent"


class NoticeUnknownError(NoticeRefusedError):
    """A JSON document follows a schema Asterism does not read."""

    code = "voevent.unknown_json"


class NoticePositionError(NoticeRefusedError):
    """A coordinate or error radius is not a number or outside its range."""

    code = "voevent.bad_position"


class NoticeTimeError(NoticeRefusedError):
    """An instant cannot be read."""

    code = "voevent.bad_time"


class NoticeMapError(NoticeRefusedError):
    """The sky map of a notice cannot be read."""

    code = "voevent.bad_map"


class ComposeError(NoticeError):
    """A document would not be a valid VOEvent 2.0."""

    code = "voevent.not_composable"


class UnsendableError(NoticeError):
    """A document is not broadcast, because subscribers of VTP could not take it."""

    code = "voevent.unsendable"
    hint = "it is in the journal and in the graph; only VTP cannot carry it"


class FilterError(NoticeError):
    """A filter is no XPath expression."""

    code = "voevent.bad_filter"
    hint = "a filter looks like //Param[@name='Packet_Type']/@value='151'"


class MissionTableError(NoticeError):
    """A table of missions is malformed."""

    code = "voevent.bad_mission_table"


class NoticeFileError(NoticeError):
    """A file of notices cannot be read."""

    code = "voevent.file_unreadable"


class SendError(NoticeError):
    """A notice was not delivered."""

    code = "voevent.not_sent"
    hint = "is a receiver listening there? asterism voevent listen starts one"


class NotAcknowledgedError(SendError):
    """The receiver answered that it does not take the notice."""

    code = "voevent.nak"
    hint = "the receiver's reason says what to change; sending the same bytes again may help after a full disk"


class ListenError(NoticeError):
    """The receiver cannot listen at its address."""

    code = "voevent.cannot_listen"
    hint = "is the port free? --port 0 takes any"


class DoorError(NoticeError):
    """A door for notices does not do its work."""

    code = "voevent.door_failed"


class DoorSettingsError(DoorError):
    """What a door needs is not set, or set wrongly."""

    code = "voevent.door_not_configured"
    hint = "docs/notices.md lists what each door needs"


class DoorClosedError(DoorError):
    """The other side of a door cannot be reached, or does not let us in."""

    code = "voevent.door_closed"
    hint = "asterism voevent listen --check tries every subscription and says what is wrong"
