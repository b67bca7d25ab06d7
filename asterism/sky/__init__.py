"""Sky geometry: HEALPix order 29, cones, maps and the one `Localization`."""
