"""Products of two matrices at the speed of the emulator."""

import numpy as np

from dscim.arrays import Int8, Int64
from dscim.checks import check_operands, check_range
from dscim.gateware.specs import MAX_DEPTH, ProductSpec
from dscim.gateware.specs.layer import LayerSpec
from dscim.host.golden.emulator.layer import prepare
from dscim.host.golden.emulator.parallel import over_images
from dscim.progress import Tick

ROWS = 64
"""Rows of x per thread at a time."""

COLUMNS = 4096
"""Columns of w at a time; this bounds the memory of their tables."""


def product(
    x: Int8, w: Int8, spec: ProductSpec, zero_point: int = 0, step: Tick | None = None
) -> Int64:
    """sum((x - z) * w) as `spec` computes it, in product units: (M, N) int64.

    The bits of `dscim.host.golden.reference.product`. x: (M, K) int8; w: (K, N) int8, K up to
    32,767; zero_point: z, int8. step: called with the number of values done and their total.
    ArgumentError for other arrays and numbers.
    """
    check_operands(x, w, zero_point)
    (m, k), n = x.shape, w.shape[1]
    check_range("the number K of inputs of a product", k, 1, MAX_DEPTH)
    values = np.empty((m, n), np.int64)
    for start in range(0, n, COLUMNS):
        _columns(x, w, spec, zero_point, values, slice(start, min(start + COLUMNS, n)), step)
    return values


def _columns(
    x: Int8,
    w: Int8,
    spec: ProductSpec,
    zero_point: int,
    values: Int64,
    columns: slice,
    step: Tick | None,
) -> None:
    """Sets the chosen columns of `values`; a row of x is an image of one pixel."""
    weights = np.ascontiguousarray(w[:, columns].T)[:, None, None, :]
    count = len(weights)
    layer = LayerSpec((1, 1, x.shape[1]), count, input_zero=zero_point, product=spec)
    nothing = np.zeros(count, np.int32)
    node = prepare(layer, weights, nothing, nothing, nothing)

    def part(rows: slice) -> None:
        values[rows, columns] = node.accumulate(x[rows, None, None, :])[:, 0, 0]

    def tick(done: int, total: int) -> None:
        if step:
            step(total * columns.start + done * count, total * values.shape[1])

    over_images(part, len(x), ROWS, tick)
