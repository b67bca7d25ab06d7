"""The errors of the science modules.

::

    EnrichError
    +-- ModuleSetupError     a module was set up with values that contradict each other
    +-- ModuleInputError     the rows given to a module lack what it declares to need
    +-- ModuleOutputError    a module returned other columns than it declares: a bug in it
    +-- CatalogueError       a catalogue file is missing or no catalogue
"""

from __future__ import annotations

from asterism.errors import AsterismError


class EnrichError(AsterismError):
    """Something about a science module went wrong."""

    code = "enrich.failed"


class ModuleSetupError(EnrichError):
    """A module was set up with values that contradict each other."""

    code = "enrich.bad_setup"


class ModuleInputError(EnrichError):
    """The rows given to a module lack what it declares to need."""

    code = "enrich.bad_input"
    hint = "asterism enrich list tells which columns each module needs"


class ModuleOutputError(EnrichError):
    """A module returned something else than it declares."""

    code = "enrich.bad_output"
    hint = "this is a bug in the module: its contract stands in enrich/module.py"


class CatalogueError(EnrichError):
    """A catalogue file is missing or is no catalogue."""

    code = "enrich.catalogue_unusable"
    hint = "a catalogue is a Parquet file with the columns that enrich/catalogues.py states"
