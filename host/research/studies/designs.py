"""The macros whose switching is measured, as bit streams for their parts."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from dscim.gateware.specs import ProductSpec
from dscim.host.research.studies.activity import (
    COPIES,
    LANES,
    Bits,
    Meter,
    Operands,
    Streams,
    bits_of,
)

Steps = Iterator[Mapping[str, Bits]]


def array(meter: Meter, spec: ProductSpec, operands: Operands) -> np.ndarray:
    """The paper's array, 64 copies, any sequence; the counts (M, C) in the counters."""
    streams, (rows, columns) = Streams(spec, operands), operands.w.shape
    shape, blocks = spec.or_width, COPIES // LANES

    def generator() -> Steps:
        for _, c in streams.steps():
            yield {"restart": np.array([[c == streams.cycles - 1]]), "advance": np.array([[True]])}

    def comparator(axis: int) -> Steps:
        levels = streams.levels_w if axis else streams.levels_a.T
        for m, c in streams.steps():
            mine = levels if axis else levels[:, m : m + 1]
            full = (*mine.shape, blocks)
            inside = streams.inside(axis, c).reshape(rows, 1, blocks, LANES)
            within = bits_of(streams.within(axis, c), 8 - spec.operand_shift)
            yield {
                "operand": _flat(bits_of(mine, 8 - spec.operand_shift)[..., None], full),
                "region": _flat(inside.transpose(3, 0, 1, 2), full),
                **{
                    f"within{k}": _flat(
                        bit.reshape(1, 1, blocks, LANES).transpose(3, 0, 1, 2), full
                    )
                    for k, bit in enumerate(within)
                },
            }

    def gates() -> Steps:
        groups = streams.groups
        for m, c in streams.steps():
            full = groups, columns, blocks
            x_a = streams.x_a(m, c).reshape(groups, shape, 1, blocks, LANES)
            x_w = streams.x_w(c).reshape(groups, shape, columns, blocks, LANES)
            signs = streams.negative(m).reshape(groups, shape, columns, 1)
            yield {
                "activations": _flat(_lanes(x_a), full),
                "weights": _flat(_lanes(x_w), full),
                "signs": _flat(signs.transpose(1, 0, 2, 3), full),
            }

    meter.run("generator", 1, "Generator", shape, COPIES, steps=generator())
    meter.run("activation SNG", rows * blocks, "Comparator", shape, LANES, steps=comparator(0))
    meter.run(
        "weight SNG", rows * columns * blocks, "Comparator", shape, LANES, steps=comparator(1)
    )
    meter.run("AND/OR", streams.groups * columns * blocks, "Gates", shape, LANES, steps=gates())
    return _counted(meter, streams, columns)


def fixed(meter: Meter, spec: ProductSpec, operands: Operands) -> np.ndarray:
    """64 copies with constant points (L = 64), so a row has only its region's comparators."""
    streams, (rows, columns) = Streams(spec, operands), operands.w.shape
    own = np.nonzero(streams.inside(0, 0) & streams.inside(1, 0))[1].reshape(rows, spec.samples)
    width = 8 - spec.operand_shift

    def cells() -> Steps:
        weights = np.stack([streams.x_w(0)[row][:, own[row]].T for row in range(rows)], 1)
        for m in range(streams.count):
            active = np.stack([streams.x_a(m, 0)[row, own[row]] for row in range(rows)], 1)
            full = rows, columns
            yield {
                "a": _flat(active[:, :, None], full),
                "w": _flat(weights, full),
                "sign": _flat(streams.negative(m)[None], full),
            }

    meter.run(
        "activation SNG",
        rows,
        "FixedComparators",
        spec.or_width,
        spec.samples,
        steps=({"operand": bits_of(level, width)} for level in streams.levels_a),
    )
    meter.run(
        "weight SNG",
        rows * columns,
        "FixedComparators",
        spec.or_width,
        spec.samples,
        steps=({"operand": bits_of(streams.levels_w.ravel(), width)} for _ in range(streams.count)),
    )
    meter.run("AND/OR", rows * columns, "FixedCell", spec.samples, steps=cells())
    return _counted(meter, streams, columns)


def parallel(meter: Meter, spec: ProductSpec, operands: Operands) -> np.ndarray:
    """A multiplier for every cell and an adder tree for every column; one cycle per product."""
    rows, columns = operands.w.shape

    def multipliers() -> Steps:
        for x in operands.x:
            yield {
                "a": _flat(bits_of(x.astype(np.int64), 8)[:, :, None], (rows, columns)),
                "w": _flat(bits_of(operands.w.astype(np.int64), 8), (rows, columns)),
            }

    products = [
        step["out"].reshape(16, rows, columns)
        for step in meter.run("multipliers", rows * columns, "Multiplier", steps=multipliers())
    ]
    return _signed(_trees(meter, products, rows, columns, 16))[2:]


def serial(meter: Meter, spec: ProductSpec, operands: Operands) -> np.ndarray:
    """One bit of every activation per cycle, sign first: gates, adder trees, shift and add."""
    rows, columns = operands.w.shape
    steps = [(x, bit) for x in operands.x for bit in range(7, -1, -1)]

    def cells() -> Steps:
        weights = bits_of(operands.w.astype(np.int64), 8)
        for x, bit in steps:
            yield {
                "a": _flat(
                    (x.view(np.uint8) >> bit & 1).astype(bool)[None, :, None], (rows, columns)
                ),
                "w": _flat(weights, (rows, columns)),
            }

    terms = [
        step["out"].reshape(8, rows, columns)
        for step in meter.run("multipliers", rows * columns, "SerialCell", steps=cells())
    ]
    totals = _trees(meter, terms, rows, columns, 8)
    top = [np.full((1, columns), bit == 7) for _, bit in steps]
    # The trees have two registers: a bit's total arrives two cycles later.
    shown = meter.run(
        "adders",
        columns,
        "SerialAccumulator",
        15,
        steps=(
            {"total": total, "first": first, "last": first}
            for total, first in zip(totals[2:], top, strict=False)
        ),
    )
    return _signed([step["sum"] for step in shown])[8::8]


def _trees(meter: Meter, terms: list[Bits], rows: int, columns: int, width: int) -> list[Bits]:
    """A column's tree over 128 terms (width, R, C): each cycle's total, two cycles late."""

    def inner(bits: list[Bits], count: int) -> Steps:
        for each in bits:  # (width, blocks * count, C)
            wide = each.reshape(len(each), -1, count, columns).transpose(2, 0, 1, 3)
            yield {"terms": wide.reshape(count * len(each), -1)}

    blocks = rows // 16
    first = meter.run("adders", blocks * columns, "AdderTree", 16, width, steps=inner(terms, 16))
    totals = [step["total"].reshape(width + 4, blocks, columns) for step in first]
    second = meter.run(
        "adders", columns, "AdderTree", blocks, width + 4, steps=inner(totals, blocks)
    )
    return [step["total"] for step in second]


def _counted(meter: Meter, streams: Streams, columns: int) -> np.ndarray:
    """The column counters over all steps; (M, C) finished counts."""
    groups = streams.groups

    def steps() -> Steps:
        for m, c in streams.steps():
            up, down = streams.trees(m, c)
            flag = np.full((1, columns), True)
            yield {
                "up": up.reshape(groups * COPIES, columns),
                "valid": flag,
                "down": down.reshape(groups * COPIES, columns),
                "first": flag & (c == 0),
            }

    shown = meter.run("counters", columns, "Counter", groups, COPIES, steps=steps())
    counts = _signed([step["count"] for step in shown])
    return counts[streams.cycles + 1 :: streams.cycles]  # two cycles after each product's last


def _lanes(bits: Bits) -> Bits:
    """(groups, G, C, blocks, lanes) as (G * lanes, groups, C, blocks), a row's lanes adjacent."""
    moved = bits.transpose(1, 4, 0, 2, 3)
    return moved.reshape(-1, *moved.shape[2:])


def _flat(bits: Bits, instances: tuple[int, ...]) -> Bits:
    """(width, instances): bits broadcast over the axes of `instances`."""
    return np.broadcast_to(bits, (len(bits), *instances)).reshape(len(bits), -1)


def _signed(steps: list[Bits]) -> np.ndarray:
    """(T, ...) integers of two's complement bits (width, ...) of each step."""
    every = np.stack(steps)
    weight = 1 << np.arange(every.shape[1], dtype=np.int64)
    weight[-1] *= -1
    return np.einsum("twi,w->ti", every, weight)


DESIGNS: dict[str, Callable[[Meter, ProductSpec, Operands], np.ndarray]] = {
    "array": array,
    "fixed": fixed,
    "parallel": parallel,
    "serial": serial,
}
"""The designs by name; each runs its parts and returns the final registers of each product."""
