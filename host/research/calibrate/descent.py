"""Chooses weights for the least error of the actual product: coordinate descent over their levels.

Each row of the weights is set, for every output, to the best level while all other rows stay. A row
contributes the same to all points with the same activation, so their residuals are summed first,
and then all levels are tried at little cost.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from dscim.arrays import Float32, Floats, Int8, Int64
from dscim.gateware.specs import LayerSpec
from dscim.host.golden.emulator import kernel
from dscim.host.golden.emulator.parallel import thread_count
from dscim.host.golden.reference.depthwise import tap_rows
from dscim.host.research.calibrate.levels import Levels

RIDGE = 0.05
"""Penalty for moving a weight: the power of noise that each activation is assumed to have,
relative to its own."""

BLOCK = 16
"""Outputs per thread at a time."""


class Descent:
    """The points from which the weights of a layer are chosen."""

    def __init__(self, levels: Levels, x: Int8, layer: LayerSpec) -> None:
        """x: (P, KH, KW, C) windows of the layer."""
        self.levels = levels
        points, channels = len(x), layer.input[2]
        if layer.depthwise:
            taps = x.reshape(points, -1, channels)
            rows = tap_rows(layer.depth, channels)
            each = layer.outputs // channels
            self._parts = [
                (
                    np.ascontiguousarray(taps[:, :, c].T),
                    levels.tables_of(rows[:, c]),
                    slice(c * each, (c + 1) * each),
                )
                for c in range(channels)
            ]
        else:
            lines = np.ascontiguousarray(x.reshape(points, -1).T)
            tables = levels.tables_of(np.arange(len(lines)))
            self._parts = [
                (lines, tables, slice(start, min(start + BLOCK, layer.outputs)))
                for start in range(0, layer.outputs, BLOCK)
            ]

    def sweep(self, level: Int64, wanted: Floats, gain: Floats, residual: Floats) -> None:
        """Improves level (K, O) in place, row by row; residual (P, O): prediction less target.

        wanted: (K, O) weights, in the levels' values; the distance from them is penalised.
        gain: (O,).
        """

        def part(x: Int8, tables: Int64, outputs: slice) -> None:
            mine = np.ascontiguousarray(level[:, outputs])
            single = [
                np.ascontiguousarray(array, np.float32)
                for array in (wanted[:, outputs], gain[outputs], residual[:, outputs])
            ]
            _sweep(self.levels, x, tables, mine, *single)
            level[:, outputs] = mine

        with ThreadPoolExecutor(thread_count()) as pool:
            for done in [pool.submit(part, *each) for each in self._parts]:
                done.result()


def _sweep(
    levels: Levels,
    x: Int8,
    tables: Int64,
    level: Int64,
    wanted: Float32,
    gain: Float32,
    residual: Float32,
) -> None:
    """One sweep over rows x (K, P), by the compiled kernel if there is one."""
    library = kernel()
    if library is None:
        for row, table in enumerate(tables):
            _best_levels(
                x[row], levels, levels.tables[table], level[row], wanted[row], gain, residual
            )
        return
    library.dscim_descend(
        x.ctypes.data,
        *x.shape,
        level.shape[1],
        len(levels.values),
        levels.tables.ctypes.data,
        tables.ctypes.data,
        levels.values.ctypes.data,
        level.ctypes.data,
        wanted.ctypes.data,
        gain.ctypes.data,
        residual.ctypes.data,
        RIDGE,
    )


def _best_levels(
    x: Int8,
    levels: Levels,
    table: Float32,
    level: Int64,
    wanted: Float32,
    gain: Float32,
    residual: Float32,
) -> None:
    """Sets one row's level (O,) to the best for each output and updates the residual (P, O)."""
    seen, inverse = np.unique(x, return_inverse=True)
    chosen = (inverse.ravel() == np.arange(len(seen))[:, None]).astype(np.float32)
    table = table[seen.astype(np.int64) + 128]
    count = chosen.sum(axis=1)
    gram = (table * count[:, None]).T @ table
    power = np.diag(gram)
    stay = RIDGE * power.max() / levels.values[-1] ** 2
    away = np.square(levels.values - wanted[:, None])
    cost = 2 * gain[:, None] * ((chosen @ residual).T @ table) + gain[:, None] ** 2 * (
        power - 2 * gram[level] + stay * away
    )
    best = cost.argmin(axis=1)
    residual += ((table[:, best] - table[:, level]) * gain)[inverse.ravel()]
    level[:] = best
