"""Sky geometry: HEALPix order 29, cones, maps and the one `Localization`.

``healpix`` and ``cone`` are the integers and angles everything is stored and searched by. A localization is one of
``circle``, ``mixture``, ``ellipse`` or ``skymap`` (read by ``fits``), all with the interface of ``localization``;
``kinds`` reads any of them back from its record.
"""
