"""A region's samples counted at once, compared with the same samples one by one."""

from litex.gen import LiteXModule
from migen import ClockDomain, Mux, Record, Signal, log2_int

from dscim.gateware.grid import Grid
from dscim.gateware.macro.interface import stochastic_count_width
from dscim.gateware.macro.output import COUNTER_LATENCY
from dscim.gateware.macro.samples import CELL_LATENCY, SelectedSamples
from dscim.gateware.prng import CounterGenerator
from dscim.gateware.specs import MacroSpec

SETTLED = CELL_LATENCY + COUNTER_LATENCY + 1
"""Cycles until constant operands have reached the counts."""


class FreeRow:
    """A window store and a weight store with one operand in every row, in the macro's form."""

    def __init__(self, region_bits: int, activation, weight):
        self.store = self
        self.region = Signal(region_bits)
        self.rows, self.weight = [activation], weight

    def slices(self, group: int):
        """The weight's bits, whatever the row."""
        return list(self.weight)


class FreeSamples(SelectedSamples):
    """From an issued step to the count, of `SelectedSamples`: one group, one column."""

    def __init__(self, spec: MacroSpec, grid, step, activation, weight):
        self.spec, self.count_width = spec, stochastic_count_width(spec)
        region_bits = log2_int(spec.or_width)
        self.window = self.store = FreeRow(region_bits, activation, weight)
        self.sequencer = Record([("step", len(step)), ("active", 1), ("first", 1), ("last", 1)])
        self.results = Record([("done", 1), ("counts", self.count_width)])
        self.comb += [
            self.sequencer.step.eq(step),
            self.sequencer.active.eq(1),
            self.sequencer.first.eq(1),
            self.sequencer.last.eq(1),
        ]
        self._cells(region_bits, log2_int(spec.side) - log2_int(spec.lanes))


class OneByOne(CounterGenerator):
    """The hits of samples u of a region by the contract, from the generator's points."""

    def __init__(self, grid, side: int):
        self.grid, self.side = grid, side

    def hit(self, region, u, a, w):
        """A new signal: whether sample u of `region` lies below both operands (log2 S bits)."""
        bits = log2_int(self.side)
        r_a, r_w, hit = Signal(8), Signal(8), Signal()
        self._point((r_a, r_w), region, u, self.side)
        half = len(region) // 2
        self.comb += hit.eq(
            (r_a[bits:] == region[half:])
            & (a > r_a[:bits])
            & (r_w[bits:] == region[:half])
            & (w > r_w[:bits])
        )
        return hit


class Region(LiteXModule):
    """Both counts of one step: any region and any chunk of P of its n samples.

    Inputs: a, w (operands of log2 S bits), a_sign, w_sign, step, samples_log2.
    Outputs: equal, after SETTLED cycles; allowed: n has such a chunk.
    parity: False: leaves out the generator's complement in odd regions, to see a proof fail.
    """

    def __init__(self, spec: MacroSpec, parity: bool = True):
        bits, region_bits = log2_int(spec.side), log2_int(spec.or_width)
        chunk_bits = bits - log2_int(spec.lanes)
        self.cd_sys = ClockDomain("sys", reset_less=True)
        widths = {
            "a": bits,
            "w": bits,
            "a_sign": 1,
            "w_sign": 1,
            "step": region_bits + chunk_bits,
            "samples_log2": 3,
        }
        self.inputs = {name: Signal(width, name_override=name) for name, width in widths.items()}
        a, w, a_sign, w_sign, step, samples_log2 = self.inputs.values()
        self.equal = Signal(name_override="equal")
        self.allowed = Signal(name_override="allowed")
        self.ios = {self.cd_sys.clk, self.equal, self.allowed, *self.inputs.values()}

        # # #

        self.grid = grid = Grid(spec.side)
        activation, weight = Signal(bits + 1), Signal(bits + 2)
        self.comb += [
            grid.samples_log2.eq(samples_log2),
            activation[:-1].eq(grid.level(a)),
            activation[-1].eq(a_sign),
            weight[:-1].eq(grid.scaled_level(w)),
            weight[-1].eq(w_sign),
        ]
        self.samples = samples = FreeSamples(spec, grid, step, activation, weight)
        self.points = points = OneByOne(grid, spec.side)
        region = Signal(region_bits)
        self.comb += region.eq(step[:region_bits] if parity else step[:region_bits] & ~1)
        total, samples_n = Signal(bits + 1), Signal(bits + 1)
        self.comb += samples_n.eq(1 << samples_log2)
        hits = []
        for k in range(spec.lanes):
            u = Signal(bits)
            self.comb += u.eq((step[region_bits:] << log2_int(spec.lanes) if chunk_bits else 0) + k)
            hits.append(points.hit(region, u, a, w) & (u < samples_n))
        self.comb += total.eq(sum(hits[1:], hits[0]))
        expected = Signal((self.samples.count_width, True))
        first = Signal(bits)
        self.comb += [
            expected.eq(Mux(a_sign ^ w_sign, -total, total)),
            self.equal.eq(samples.results.counts == expected[:]),
            first.eq(step[region_bits:] << log2_int(spec.lanes) if chunk_bits else 0),
            self.allowed.eq((samples_log2 <= bits) & (first < samples_n)),
        ]


def checker(region: Region) -> str:
    """For every step of n, the count is the sum of the samples' hits."""
    free = "".join(
        f"  (* anyconst *) reg [{len(signal) - 1}:0] {name};\n"
        for name, signal in region.inputs.items()
    )
    ports = ", ".join(f".{name}({name})" for name in region.inputs)
    return f"""
module proof(input clk);
{free}  wire equal, allowed;
  reg [15:0] cycle = 0;
  design dut(.sys_clk(clk), .equal(equal), .allowed(allowed), {ports});
  always @* assume (allowed);
  always @(posedge clk) begin
    cycle <= cycle + 1;
    if (cycle >= {SETTLED}) assert (equal);
  end
endmodule
"""
