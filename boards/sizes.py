"""Devices by size: the defaults of the boards."""

from dscim.gateware.specs import MacroSpec, SocSpec

LARGE = SocSpec(
    MacroSpec(columns=32, lanes=16, samples=16),
    exact=False,
    requant_lanes=8,
    banks=4,
    read_ports=1,
)
"""128 x 32, 16 points per cycle, up to L = 256: for 84,000 LUT4s."""

MIDDLE = SocSpec(
    MacroSpec(columns=16, lanes=16, samples=16),
    exact=False,
    activation_words=4096,
    requant_lanes=4,
    banks=4,
    read_ports=1,
)
"""128 x 16, 16 points per cycle, up to L = 256: for 44,000 LUT4s."""

SMALL = SocSpec(
    MacroSpec(rows=16, columns=4, lanes=16, samples=16),
    exact=False,
    activation_words=4096,
    weight_rows=4096,
    channels=256,
    strip=256,
    requant_lanes=1,
    descriptors=64,
    banks=1,
    read_ports=1,
)
"""16 x 4, 16 points per cycle, up to L = 256, one channel requantised per cycle: for 24,000
LUT4s."""
