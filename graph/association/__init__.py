"""Which object is the counterpart, how sure are we, and why: likelihood ratios, posteriors and links."""
