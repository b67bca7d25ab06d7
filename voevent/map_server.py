"""Sky maps over HTTP: what a composed VOEvent points to instead of carrying it. Read-only, by content alone.

The only path is ``/maps/<sha256>`` (``.fits`` may follow), so nothing of the disk but the lake's folder of maps can be
named, and what a name stands for never changes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.web.resource import NoResource, Resource
from twisted.web.server import Site
from typing_extensions import override

from asterism.graph.events import map_path

DEFAULT_MAPS_PORT = 8097

_NAME = re.compile(r"([0-9a-f]{64})(\.fits)?", re.ASCII)


def map_url(base: str, sha256: str) -> str:
    """Return the address of a map.

    Parameters
    ----------
    base : str
        Address under which the server is reached, such as ``http://127.0.0.1:8097``.
    sha256 : str
        Of the map's bytes, hexadecimal.
    """
    return f"{base.rstrip('/')}/maps/{sha256}.fits"


def map_site(maps: Path) -> Any:
    """Return the server's factory, ready to listen.

    Parameters
    ----------
    maps : Path
        The lake's folder of sky maps.
    """
    root: Any = Resource()  # type: ignore[no-untyped-call]
    root.putChild(b"maps", _Maps(maps))
    site: Any = Site(root, timeout=30)  # type: ignore[no-untyped-call]
    site.noisy = False
    return site


class _Maps(Resource):
    """The folder; children are looked up by their exact names."""

    def __init__(self, maps: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._maps = maps

    @override
    def render(self, request: Any) -> bytes:
        """Refuse to list it."""
        refusal: bytes = NoResource().render(request)  # type: ignore[no-untyped-call]
        return refusal

    @override
    def getChild(self, path: bytes, request: Any) -> Resource:
        name = _NAME.fullmatch(path.decode("ascii", "replace"))
        file = None if name is None or request.postpath else map_path(self._maps, name[1])
        if file is None or not file.is_file():
            return NoResource()
        from twisted.web.static import File  # not above: importing it warns of what it deprecates itself

        resource = File(str(file), defaultType="application/fits")
        resource.isLeaf = True
        return resource
