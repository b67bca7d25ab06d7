"""Pools of cut-out images of real size, drawn once a process from a fixed seed and shared by all packets.

Noise does not compress and the wings of point-spread functions do, so sizes after gzip (ZTF) and zstd (our
archive) come out as on the sky only if the pixels look like it. ZTF: 63 x 63 float32, gzip, about 13 kB.
LSST: image, variance and PSF, not compressed, 34,560 B, and 69,120 B for the template with its larger PSF
image.
"""

from __future__ import annotations

import gzip
import io
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

POOL = 32
"""Stamps of each kind."""

_SEED = 20251121
_SKY = 280.0
"""Background of an image that is not a difference [DN]."""


class Stamps(NamedTuple):
    """The three images of a packet as their survey encodes them."""

    science: bytes
    template: bytes
    difference: bytes


@lru_cache(maxsize=1)
def ztf_stamps() -> tuple[Stamps, ...]:
    """Return the pool of gzip-compressed FITS stamps."""
    rng = np.random.default_rng(_SEED)
    return tuple(
        Stamps(
            _gzip_fits(_scene(rng, 63, 3000.0) + np.float32(_SKY)),
            _gzip_fits(_scene(rng, 63, 2200.0) + np.float32(_SKY)),
            _gzip_fits(_scene(rng, 63, 800.0)),
        )
        for _ in range(POOL)
    )


@lru_cache(maxsize=1)
def lsst_stamps() -> tuple[Stamps, ...]:
    """Return the pool of FITS stamps with variance and PSF extensions."""
    rng = np.random.default_rng(_SEED + 1)
    return tuple(
        Stamps(_plain_fits(rng, 41, 900.0), _plain_fits(rng, 77, 600.0), _plain_fits(rng, 41, 300.0))
        for _ in range(POOL)
    )


def _scene(rng: np.random.Generator, side: int, peak: float) -> NDArray[np.float32]:
    """Return a point source of a random fraction of `peak` in noise of sigma 12."""
    offsets = np.arange(side) - side // 2
    profile = np.exp(-0.5 * (offsets / 2.0) ** 2)
    source = rng.uniform(0.2, 1.0) * peak * np.outer(profile, profile)
    return (source + rng.normal(0.0, 12.0, (side, side))).astype(np.float32)


def _gzip_fits(image: NDArray[np.float32]) -> bytes:
    return gzip.compress(_fits_bytes(fits.PrimaryHDU(image)), mtime=0)


def _plain_fits(rng: np.random.Generator, psf_side: int, peak: float) -> bytes:
    image = _scene(rng, 30, peak)
    variance = rng.normal(144.0, 2.0, (30, 30)).astype(np.float32)
    offsets = np.arange(psf_side) - psf_side // 2
    radius = np.hypot(offsets[:, None], offsets[None, :])
    psf = np.exp(-radius / 2.0) * rng.uniform(0.9, 1.1, radius.shape)
    psf[radius > 0.4 * psf_side] = 0.0
    return _fits_bytes(
        fits.PrimaryHDU(image),
        fits.ImageHDU(variance, name="UNCERT"),
        fits.ImageHDU(psf / psf.sum(), name="PSFIMAGE"),
    )


def _fits_bytes(*hdus: fits.PrimaryHDU | fits.ImageHDU) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(stream)
    return stream.getvalue()
