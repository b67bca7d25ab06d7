"""Structured logs on stderr. Names of the keys are shared by all parts, so that one packet or notice can be followed.

``alert_key``, ``object_key``, ``event_key``, ``notice_key``, ``topic``, ``partition``, ``offset``, ``batch_id``,
``code``. Values of `SecretStr` print as stars; nothing else may carry a secret.
"""

from __future__ import annotations

import io
import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from typing_extensions import override


class _Stderr(io.TextIOBase):
    """The stderr of the moment; a line it does not take, as on a full disk, must not stop the work it tells of."""

    @override
    def write(self, text: str) -> int:
        with suppress(OSError):
            return sys.stderr.write(text)
        return 0

    @override
    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


_STDERR = cast("TextIO", _Stderr())


def configure_logs(level: str, *, as_json: bool) -> None:
    """Send logs to stderr, as text for people or as one JSON object a line.

    Parameters
    ----------
    level : str
        Least severe level shown: DEBUG, INFO, WARNING or ERROR.
    as_json : bool
        One JSON object a line.
    """
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: structlog.PrintLogger(_STDERR),
        cache_logger_on_first_use=False,
    )


def get_logger(part: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a part, such as ``ingest.hot``."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(part=part)
    return logger
