"""Every number of a run, measured and written down: one module a suite; `results` is what they fill in."""
