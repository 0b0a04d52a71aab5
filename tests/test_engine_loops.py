"""The order of work of a layer, compared with plain nested loops."""

import dataclasses

import numpy as np
from litex.gen import LiteXModule
from migen import Record, run_simulation

from dscim.gateware.descriptor import VECTOR, Operation
from dscim.gateware.engine.loops import Loops
from dscim.gateware.engine.setup import PLAN_LAYOUT, descriptor_layout
from tests.geometry import SOC, Geometry, random_geometry, row_tiles
from tests.streams import pulse, set_fields


class LoopsOfALayer(LiteXModule):
    """Loops with a layer's fields and plan."""

    def __init__(self):
        self.fields, self.plan = Record(descriptor_layout()), Record(PLAN_LAYOUT)
        self.loops = Loops(SOC, self.fields, self.plan)


def expected_loops(geometry: Geometry):
    """The outputs of `Loops` at each row tile, in the order of work."""
    columns = SOC.macro.columns
    words, total = geometry.plan()["output_pixel_words"], geometry.plan()["pixels"]
    for column, pixel, pixels, row, rows in row_tiles(geometry, columns):
        final = geometry.vector or row + rows == geometry.depth
        done, column_final = column * columns, pixel + pixels == total
        outputs = min(columns, geometry.outputs - done)
        yield {
            "pixels": pixels,
            "rows": 1 if geometry.vector else rows,
            "weight_adr": geometry.weight_base + column * geometry.depth + row,
            "input_first": geometry.channel + (done if geometry.vector else 0),
            "inputs": outputs if geometry.vector else geometry.channels,
            "output_first": geometry.output_channel + done,
            "output_end": geometry.output_channel + done + outputs,
            "output_adr": geometry.output_base + pixel * words,
            "first": int(row == 0),
            "final": int(final),
            "column_final": int(column_final),
            "layer_final": int(done + columns >= geometry.outputs),
        }


def random_loops(rng, operation: Operation) -> Geometry:
    """Some row tiles, column tiles and strips, anywhere."""
    outputs, first = int(rng.integers(1, 20)), int(rng.integers(20))
    vector = operation in VECTOR
    return dataclasses.replace(
        random_geometry(rng),
        depth=1 if vector else int(rng.choice((1, 15, 16, 17, 32, 47))),
        outputs=outputs,
        output_base=int(rng.integers(1 << 12)),
        operation=operation,
        weight_base=int(rng.integers(64)),
        output_channel=first,
        output_channels=first + outputs + int(rng.integers(9)),
    )


def test_order_of_work():
    rng = np.random.default_rng(11)
    seen = []
    geometries = [random_loops(rng, Operation.PRODUCT) for _ in range(30)]
    geometries += [random_loops(rng, Operation.MAX_POOL) for _ in range(10)]

    def control(module):
        loops = module.loops
        for geometry in geometries:
            yield from set_fields(module.fields, geometry.fields())
            yield from set_fields(module.plan, geometry.plan())
            yield from pulse(loops.start)
            for expected in expected_loops(geometry):
                yield
                yield  # outputs are registers
                shown = {}
                for name in expected:
                    shown[name] = yield getattr(loops, name)
                seen.append((shown, expected))
                yield from pulse(loops.advance)

    module = LoopsOfALayer()
    run_simulation(module, control(module))
    for shown, expected in seen:
        assert shown == expected
