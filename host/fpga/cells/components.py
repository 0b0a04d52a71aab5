"""The parts of macros, for measuring their sizes with Yosys.

Parts are combinational, except for the generator, counters and adders with registers. The attribute
`ports` of a part lists its ports.
"""

import json
import re
from pathlib import Path

from litex.gen import LiteXModule
from migen import Cat, Replicate, Signal, log2_int

from dscim.gateware.logic import any_of, signed_sum
from dscim.gateware.macro.output import ColumnCounters
from dscim.gateware.macro.slices import count_columns, greater
from dscim.gateware.macro.sng import PointSlices
from dscim.gateware.prng import build_prng
from dscim.gateware.specs import SequenceSpec
from dscim.gateware.specs.product import region_side
from dscim.host.fpga.cells.synthesis import run_yosys, synthesised


class Part(LiteXModule):
    """A part. ports: widths of its ports, by name."""

    def __init__(self, **ports):
        self.ports = []
        for name, width in ports.items():
            signal = Signal(width, name=name)
            setattr(self, name, signal)
            self.ports.append(signal)


class Generator(Part):
    """Two LFSRs with P points per cycle, and their regions and local coordinates."""

    def __init__(self, or_width: int, lanes: int):
        super().__init__()
        side = region_side(or_width)
        self.prng = prng = build_prng(SequenceSpec("lfsr"), or_width, lanes)
        self.slices = slices = PointSlices(prng.points, side, 1)
        self.ports += [
            prng.restart,
            prng.advance,
            *slices.region_a,
            *slices.region_w,
            *slices.within_a,
            *slices.within_w,
        ]


class Comparator(Part):
    """Compares an operand with P points, gated by its row's region."""

    def __init__(self, or_width: int, lanes: int):
        bits = log2_int(region_side(or_width))
        super().__init__(
            operand=bits, region=lanes, out=lanes, **{f"within{k}": lanes for k in range(bits)}
        )
        above = greater(
            self,
            [Replicate(self.operand[k], lanes) for k in range(bits)],
            [getattr(self, f"within{k}") for k in range(bits)],
        )
        self.comb += self.out.eq(self.region & above)


class FixedComparators(Part):
    """Compares an operand with the n fixed, evenly spread thresholds of its region."""

    def __init__(self, or_width: int, samples: int):
        side = region_side(or_width)
        super().__init__(operand=log2_int(side), out=samples)
        self.comb += self.out.eq(
            Cat(*[self.operand > (2 * k + 1) * side // (2 * samples) for k in range(samples)])
        )


class Gates(Part):
    """A group's AND gates, signs and two OR trees: one column, P lanes."""

    def __init__(self, or_width: int, lanes: int):
        super().__init__(
            activations=or_width * lanes,
            weights=or_width * lanes,
            signs=or_width,
            positive=lanes,
            negative=lanes,
        )
        bits = [
            self.activations[r * lanes : (r + 1) * lanes]
            & self.weights[r * lanes : (r + 1) * lanes]
            for r in range(or_width)
        ]
        self.comb += [
            self.positive.eq(
                any_of(
                    [
                        bit & ~Replicate(sign, lanes)
                        for bit, sign in zip(bits, self.signs, strict=True)
                    ]
                )
            ),
            self.negative.eq(
                any_of(
                    [
                        bit & Replicate(sign, lanes)
                        for bit, sign in zip(bits, self.signs, strict=True)
                    ]
                )
            ),
        ]


class Counter(Part):
    """A column's counter: adds up the ones of all groups and lanes, up and down, over cycles."""

    def __init__(self, groups: int, lanes: int, width: int = 14):
        super().__init__(up=groups * lanes, down=groups * lanes, valid=1, first=1, count=width)
        up, down = (Signal(max=groups * lanes + 1) for _ in range(2))
        self.comb += [
            total.eq(
                count_columns(self, [bits[g * lanes : (g + 1) * lanes] for g in range(groups)], 1)[
                    0
                ]
            )
            for total, bits in ((up, self.up), (down, self.down))
        ]
        self.counter = counter = ColumnCounters([[up, -down]], groups * lanes, width)
        self.comb += [
            counter.valid.eq(self.valid),
            counter.first.eq(self.first),
            self.count.eq(counter.counts[0]),
        ]


class Nand(Part):
    """A NAND of two inputs, the unit of area for everything that is not a part here."""

    def __init__(self):
        super().__init__(a=1, b=1, out=1)
        self.comb += self.out.eq(~(self.a & self.b))


class Multiplier(Part):
    """One signed product of two 8-bit operands."""

    def __init__(self):
        super().__init__(a=(8, True), w=(8, True), out=(16, True))
        self.comb += self.out.eq(self.a * self.w)


class AdderTree(Part):
    """A column's exact adder tree over R signed terms, and its register."""

    def __init__(self, rows: int, width: int):
        super().__init__(terms=rows * width, total=(width + log2_int(rows), True))
        terms = []
        for row in range(rows):
            term = Signal((width, True))
            self.comb += term.eq(self.terms[row * width : (row + 1) * width])
            terms.append(term)
        self.sync += self.total.eq(signed_sum(terms))


class SerialCell(Part):
    """A weight gated by one bit of the activation."""

    def __init__(self):
        super().__init__(a=1, w=8, out=8)
        self.comb += self.out.eq(self.w & Replicate(self.a, 8))


class FixedCell(Part):
    """A cell's AND gates for the n samples of its region, and its sign."""

    def __init__(self, samples: int):
        super().__init__(a=samples, w=samples, sign=1, positive=samples, negative=samples)
        self.comb += [
            self.positive.eq(self.a & self.w & ~Replicate(self.sign, samples)),
            self.negative.eq(self.a & self.w & Replicate(self.sign, samples)),
        ]


class SerialAccumulator(Part):
    """A column's shift-and-add of bit-serial sums; the sum with `last` set counts as negative."""

    def __init__(self, width: int):
        super().__init__(total=(width, True), first=1, last=1, sum=(width + 8, True))
        shifted = Signal((width + 8, True))
        self.comb += shifted.eq(self.sum << 1)
        doubled = Signal((width + 8, True))
        self.comb += doubled.eq(shifted & Replicate(~self.first, width + 8))
        term = Signal((width + 1, True))
        self.comb += term.eq((self.total ^ Replicate(self.last, width + 1)) + self.last)
        self.sync += self.sum.eq(doubled + term)


def transistors(part: Part) -> float:
    """CMOS transistors of a part, as Yosys estimates them; FileNotFoundError without Yosys."""
    found = synthesised(
        part,
        "dfflegalize -cell $_DFF_P_ 01; opt_clean; abc -g cmos4; "
        "opt_clean; tee -q -o {OUT} stat -json -tech cmos",
    )
    return float(json.loads(found)["design"]["estimated_num_transistors"])


def library_area(part: Part, library: Path) -> float:
    """Area of a part in cells of a Liberty file, in the file's unit.

    Raises ValueError for an unsuitable file, FileNotFoundError without Yosys.
    """
    # first read the file alone: a part may need little of it, and `tee -q` also hides errors
    run_yosys("module none; endmodule", "read_liberty -lib {LIB}; tee -q -o {OUT} log", library)
    found = synthesised(
        part,
        "dfflegalize -cell $_DFF_P_ 01; opt_clean; dfflibmap -liberty {LIB}; "
        "abc -liberty {LIB}; opt_clean; tee -q -o {OUT} stat -liberty {LIB}",
        library,
    )
    # only newer versions of Yosys have the area in JSON
    area = re.search(r"Chip area for .*: ([0-9.e+]+)", found)
    if area is None:
        raise ValueError("it found no areas.")
    return float(area[1])
