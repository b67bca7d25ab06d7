"""GW170817, GRB 170817A and AT2017gfo as published: the facts one scenario rests on and all kilonovae are scaled from.

Abbott et al. 2017 (PRL 119, 161101; ApJ 848, L12 and L13): time, distance 40 +- 8 Mpc, host NGC 4993; Abbott et al.
2019 (PRX 9, 031040): final 90 % area 16 deg2. Goldstein et al. 2017 (ApJ 848, L14) and GCN Circular 21506: the
burst. Photometry: rounded AB magnitudes, corrected for Galactic extinction, of Arcavi et al. 2017 (Nature 551,
64), Coulter et al. 2017 (Science 358, 1556), Cowperthwaite et al. 2017 (ApJ 848, L17), Drout et al. 2017 (Science 358,
1570) and Smartt et al. 2017 (Nature 551, 75), as compiled by Villar et al. 2017 (ApJ 851, L21).
"""

from __future__ import annotations

from typing import Final

T0_UTC: Final = "2017-08-17T12:41:04.400"
"""Time of merger at the Earth's centre, UTC."""
T0_MJD_UTC: Final = 57982.52852315
RA: Final = 197.450333
"""Right ascension of AT2017gfo, ICRS [deg]."""
DEC: Final = -23.381472
DISTANCE_MPC: Final = 40.0
HOST: Final = ("NGC4993", 197.448776, -23.383831, 39.4)
"""Name, ICRS position [deg] and distance [Mpc] of the host galaxy."""

GRB_DELAY_SECONDS: Final = 2.07
"""Trigger of the burst after the merger time above: 12:41:06.47 UTC [s]."""
GRB_TRIGGER: Final = 524666471
GRB_POSITION: Final = (176.8, -39.8, 11.6)
"""First GBM centroid and its 68 % statistical radius [deg]; AT2017gfo lies 23.9 deg away."""

MAP_CENTRE: Final = (196.25, -21.4)
"""Where our approximation of the published map is centred [deg]; it is not the published map."""
MAP_ANGLE: Final = 149.0
"""Direction of its long axis, from north through east [deg]."""
MAP_SIGMA: Final = (0.51, 2.2)
"""1 sigma across and along [deg]: 90 % area 16 deg2."""
FIRST_MAP_SIGMA: Final = (0.7, 3.05)
"""The same for the first three-detector map, 31 deg2."""
MAP_DISTANCE: Final = (40.0, 8.0)
"""Mean and standard deviation of the distance [Mpc]."""

PHOTOMETRY: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    "u": ((0.9, 18.8), (1.5, 20.2), (2.5, 22.0)),
    "g": ((0.6, 17.3), (0.9, 17.45), (1.25, 18.1), (1.8, 19.2), (2.4, 20.1), (3.4, 21.1), (6.5, 22.1), (8.0, 23.3)),
    "r": ((0.5, 17.2), (0.9, 17.3), (1.25, 17.85), (1.8, 18.4), (2.4, 19.1), (3.4, 19.8), (5.4, 20.8), (9.5, 22.2)),
    "i": ((0.45, 17.48), (0.9, 17.4), (1.4, 17.8), (2.4, 18.5), (3.4, 19.0), (5.4, 19.65), (8.5, 20.8), (10.5, 21.9)),
    "z": ((0.7, 17.3), (1.4, 17.7), (2.4, 18.3), (3.4, 18.7), (5.4, 19.2), (7.5, 19.9), (9.5, 21.1), (10.5, 21.7)),
    "y": ((0.7, 17.35), (1.4, 17.4), (2.4, 17.8), (3.4, 18.05), (5.4, 18.8), (7.5, 19.45), (9.5, 20.8), (10.5, 21.5)),
}
"""Days after merger and AB magnitude of AT2017gfo in each band."""
