"""The tree of errors.

::

    AsterismError                 every error a user can see; has a stable ``code`` and a ``hint``
    +-- SettingsError             a setting is missing, malformed or contradicts another
    +-- FormatError               data on disk was written by another format version
    +-- IdError                   an identifier is malformed
    +-- SkyError                  a localization cannot be built or read
    |     +-- SkyMapTooLargeError     ... because unpacked it would exceed the limit
    +-- LakeError                 the lake cannot be read or written
    +-- JournalError              the journal cannot be read or written
    +-- SparkError                Spark cannot be started (`asterism.spark`)

Each part adds its own branch in ``<part>/errors.py``, derived from `AsterismError`. ``docs/errors.md`` is generated
from the whole tree (``make docs``) and a test compares the two.

A code is ``<part>.<what>`` in lower case, is never reused and never changes: scripts and dashboards match on it.
"""

from __future__ import annotations

from typing import ClassVar


class AsterismError(Exception):
    """An error with a stable code, what happened, and what to do.

    Parameters
    ----------
    message : str
        What happened, with the offending value.
    hint : str, optional
        What the user can do; the default of the class if not given.
    """

    code: ClassVar[str] = "asterism.error"
    """Stable identifier of this kind of error."""
    hint: ClassVar[str] = ""
    """What to do, when the raiser knows nothing better."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = self.hint if hint is None else hint

    def as_dict(self) -> dict[str, str]:
        """Return the error as ``--json`` prints it."""
        return {"code": self.code, "message": self.message, "hint": self.advice}


class SettingsError(AsterismError):
    """A setting is missing, malformed or contradicts another."""

    code = "settings.invalid"
    hint = "asterism config show lists every setting, its value and where it came from"


class FormatError(AsterismError):
    """Data on disk was written by another format version of Asterism."""

    code = "format.mismatch"
    hint = "use the version that wrote it, or move it away and rebuild (docs/architecture.md, Format versions)"


class IdError(AsterismError):
    """An identifier is malformed."""

    code = "id.malformed"
    hint = "keys look like survey:id, for example ztf:ZTF18acsbtem (docs/glossary.md, Keys)"


class SkyError(AsterismError):
    """A localization cannot be built or read."""

    code = "sky.invalid"


class SkyMapTooLargeError(SkyError):
    """A sky map would exceed the memory limit once unpacked."""

    code = "sky.map_too_large"
    hint = "raise the limit explicitly if the source is trusted"


class LakeError(AsterismError):
    """The lake cannot be read or written."""

    code = "lake.unusable"


class JournalError(AsterismError):
    """The journal is damaged, locked by another process or cannot be written."""

    code = "journal.unusable"
