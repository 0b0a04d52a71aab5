"""The order of work of a layer, compared with plain nested loops."""

import numpy as np
import pytest
from litex.gen import LiteXModule
from migen import Record, run_simulation

from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.setup import PLAN_LAYOUT, descriptor_layout
from dscim.gateware.engine.tiles import Tiles
from dscim.gateware.specs import MacroSpec, SocSpec
from tests.streams import drain, pulse, set_fields

SOC = SocSpec(
    MacroSpec(rows=48, columns=16),
    activation_words=4096,
    weight_rows=4096,
    strip=16,
    requant_lanes=16,
)
VECTOR_CHANNELS = 16


class TilesOfALayer(LiteXModule):
    """Row tiles with a layer's fields and plan."""

    def __init__(self):
        self.fields, self.plan = Record(descriptor_layout()), Record(PLAN_LAYOUT)
        self.tiles = Tiles(SOC, self.fields, self.plan)


def random_layer(rng, operation: Operation) -> dict[str, int]:
    """Some column tiles, strips and row tiles; pixels are not a field."""
    vector = operation > Operation.DEPTHWISE
    return {
        "operation": int(operation),
        "outputs": int(rng.choice((1, 7, 8, 9, 15, 16, 17, 32, 40, 100))),
        "units": 1 if vector else int(rng.choice((1, 5, 6, 7, 12, 13, 30))),
        "pixels": int(rng.choice((1, 2, 15, 16, 17, 40))),
        "weight_base": int(rng.integers(1 << 12)),
        "weight_rows": int(rng.integers(1, 200)),
    }


def expected_tiles(layer: dict[str, int]) -> list[dict[str, int]]:
    """The row tiles of a layer by plain loops."""
    operation = layer["operation"]
    wide = SOC.macro.columns if operation == Operation.PRODUCT else 8
    wide = VECTOR_CHANNELS if operation > Operation.DEPTHWISE else wide
    return [
        {
            "opens": int(pixel == 0),
            "begins": int(unit == 0),
            "final": int(unit + 6 >= layer["units"]),
            "pixels": min(SOC.strip, layer["pixels"] - pixel),
            "units": min(6, layer["units"] - unit),
            "width": min(wide, layer["outputs"] - channel),
            "weights": layer["weight_base"] + column * layer["weight_rows"],
            "last": 0,
        }
        for column, channel in enumerate(range(0, layer["outputs"], wide))
        for pixel in range(0, layer["pixels"], SOC.strip)
        for unit in range(0, layer["units"], 6)
    ]


@pytest.mark.parametrize("operation", (Operation.PRODUCT, Operation.DEPTHWISE, Operation.MAX_POOL))
def test_order_of_work(operation):
    rng, seed = np.random.default_rng(11 + int(operation)).spawn(2)
    module = TilesOfALayer()

    def control():
        for _ in range(30):
            layer = random_layer(rng, operation)
            expected = expected_tiles(layer)
            yield module.plan.pixels.eq(layer.pop("pixels"))
            yield from set_fields(module.fields, layer)
            yield module.plan.vector.eq(int(operation > Operation.DEPTHWISE))
            yield  # as after the set-up: before the layer begins
            yield
            assert not (yield module.tiles.busy)
            yield from pulse(module.tiles.start)
            tiles: list[dict[str, int]] = []
            stall = float(rng.choice((0, 0.5)))
            yield from drain(module.tiles.source, tiles, len(expected), seed, stall)
            assert tiles == expected, layer
            yield
            assert not (yield module.tiles.busy)

    run_simulation(module, control())
