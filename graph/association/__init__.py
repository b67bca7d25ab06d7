"""Which object is the counterpart, how sure are we, and why: likelihood ratios, posteriors, chance counts and their links."""
