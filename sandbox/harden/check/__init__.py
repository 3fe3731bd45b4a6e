"""Checks: what a profile, or a foreign one, grants that a policy does not allow. Pure: `harden.gate` does the I/O."""
