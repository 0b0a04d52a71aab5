"""Small devices that run descriptors of every operation, on `ref` and in the simulator."""

import pytest

from dscim.gateware.specs import MacroSpec, ProductSpec, SocSpec
from dscim.host.device.target import open_target

NARROW = SocSpec(
    MacroSpec(rows=32, columns=4, lanes=4),
    activation_words=4096,
    weight_rows=4096,
    channels=256,
    strip=4,
    banks=2,
    requant_lanes=4,
)
WIDE = SocSpec(
    MacroSpec(rows=48, columns=16, lanes=32),
    activation_words=4096,
    weight_rows=4096,
    channels=256,
    strip=16,
    requant_lanes=8,
    banks=4,
    read_ports=1,
)
MEDIUM = SocSpec(
    MacroSpec(rows=64, columns=16, lanes=32),
    activation_words=1 << 14,
    weight_rows=8192,
    channels=128,
    strip=64,
    banks=8,
    requant_lanes=16,
    read_ports=1,
)
TARGETS = {"ref": ("ref", NARROW), "narrow": ("sim", NARROW), "wide": ("sim", WIDE)}


@pytest.fixture(scope="module", params=TARGETS)
def device(request):
    with open_target(*TARGETS[request.param]) as opened:
        yield opened


def arithmetics(spec: SocSpec) -> tuple[ProductSpec, ProductSpec]:
    """A stochastic one and the exact one."""
    return ProductSpec(16, 64, spec.macro.sequence), ProductSpec(16, 16, exact=True)
