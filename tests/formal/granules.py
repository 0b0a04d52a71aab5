"""The sum of granules' hits, compared with a sum over all AND gates; the grid in simulation."""

from litex.gen import LiteXModule
from migen import Cat, ClockDomain, Mux, Signal, run_simulation

from dscim.gateware.grid import Grid
from dscim.gateware.macro.hits import Granule, HitSums
from dscim.gateware.specs import ProductSpec
from dscim.gateware.specs.product import region_side
from dscim.host.golden.reference.matrix import region_thresholds

WIDTH = 8


class Granules(LiteXModule):
    """`count` granules of `slots` slots, one column.

    Inputs: activations and weights, for each granule its slots' bits, then its sign. Output: equal,
    `latency` cycles later. broken: the last activation's sign is not seen by the simple sum.
    """

    def __init__(self, slots: int, count: int, signed: bool, broken: bool = False):
        self.cd_sys = ClockDomain("sys", reset_less=True)
        each = slots + signed
        self.activations = Signal(each * count, name_override="activations")
        self.weights = Signal(each * count, name_override="weights")
        self.equal = Signal(name_override="equal")
        self.ios = {self.cd_sys.clk, self.activations, self.weights, self.equal}

        # # #

        made, total = [], 0
        for k in range(count):
            a, w = (
                list(side[k * each : (k + 1) * each]) for side in (self.activations, self.weights)
            )
            made.append(
                Granule(
                    a[:slots],
                    a[slots] if signed else 0,
                    w[:slots],
                    w[slots] if signed else None,
                )
            )
            negative = a[slots] ^ w[slots] if signed else 0
            if broken and k == count - 1:
                negative = w[slots]
            for one, other in zip(a[:slots], w[:slots], strict=True):
                hit = Signal((2, True))
                self.comb += hit.eq(Mux(one & other, Mux(negative, -1, 1), 0))
                total = total + hit
        always = Signal()
        self.comb += always.eq(1)
        self.hits = hits = HitSums(made, always, WIDTH)
        self.latency = hits.latency
        wanted = Signal((WIDTH, True))
        self.comb += [wanted.eq(total), self.equal.eq(Cat(*hits.sums) == Cat(*wanted))]


def checker(design: Granules) -> str:
    """After the latency the sums are equal."""
    return f"""
module proof(input clk);
  (* anyconst *) reg [{len(design.activations) - 1}:0] activations;
  (* anyconst *) reg [{len(design.weights) - 1}:0] weights;
  wire equal;
  reg [7:0] cycle = 0;
  design dut(.sys_clk(clk), .activations(activations), .weights(weights), .equal(equal));
  always @(posedge clk) begin
    cycle <= cycle + 1;
    if (cycle >= {design.latency}) assert (equal);
  end
endmodule
"""


def check_grid(or_width: int, odd: int, samples_log2: int) -> None:
    """Levels and thresholds of all n samples equal the points of the first such region."""
    side, n = region_side(or_width), 1 << samples_log2
    region = odd  # (0, 0) or (0, 1)
    p, q = region_thresholds(ProductSpec(or_width, or_width * n))[:, region]
    module, grid = LiteXModule(), Grid(side, side)
    operand, log2 = Signal(grid.side_log2), Signal(3)
    level = grid.level(module, operand, log2)
    thresholds = grid.thresholds(module, n, [], odd, log2)

    def look():
        yield log2.eq(samples_log2)
        for value in range(side):
            yield operand.eq(value)
            yield
            yield
            assert (yield level) == sum(value > int(t) for t in p)
        found = []
        for threshold in thresholds:
            found.append((yield threshold))
        assert found == [int(t) for t in q]

    run_simulation(module, look())
