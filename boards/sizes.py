"""Devices by the room that they take: what boards declare as theirs."""

from dscim.gateware.specs import MacroSpec, SocSpec

LARGE = SocSpec(MacroSpec(columns=32), exact=False)
"""128 x 32, 16 samples a cycle: for 84 k four-input tables."""

MIDDLE = SocSpec(MacroSpec(columns=16), exact=False, activation_words=4096)
"""128 x 16, 16 samples a cycle: for 44 k."""

SMALL = SocSpec(
    MacroSpec(rows=16, columns=4),
    exact=False,
    activation_words=4096,
    weight_rows=4096,
    channels=256,
    strip=256,
    requant_lanes=1,
    descriptors=64,
)
"""16 x 4, 16 samples a cycle, one channel requantised a cycle: for 24 k."""
