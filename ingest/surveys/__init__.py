"""The surveys whose alerts are read, each a declaration."""

from __future__ import annotations

from typing import Any

from asterism.ingest.errors import SurveyUnknownError
from asterism.ingest.surveys.lsst import LSST
from asterism.ingest.surveys.survey import Survey
from asterism.ingest.surveys.ztf import ZTF
from asterism.ingest.writer import WriterSchema

SURVEYS: tuple[Survey, ...] = (ZTF, LSST)

__all__ = ["SURVEYS", "Survey", "recognise"]


def recognise(schema: WriterSchema | dict[str, Any]) -> Survey:
    """Return the survey whose signature the writer schema has; topics and names of records play no part.

    Raises
    ------
    SurveyUnknownError
        If it is that of no survey in `SURVEYS`.
    """
    writer = schema if isinstance(schema, WriterSchema) else WriterSchema(schema)
    for survey in SURVEYS:
        if all(writer.locate(path) is not None for path in survey.signature):
            return survey
    raise SurveyUnknownError(
        f"schema {writer.full_name!r:.80} with fields {writer.field_names!r:.200} is of no known survey"
    )
