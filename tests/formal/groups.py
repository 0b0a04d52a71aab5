"""The OR groups of the array with free operands and free points."""

from migen import Cat, ClockDomain, Signal, log2_int

from dscim.gateware.macro.array import Array
from dscim.gateware.macro.sng import PointSlices
from dscim.gateware.specs import MacroSpec


class FreeStore:
    """Weights and activations with arbitrary contents: inputs of the design."""

    def __init__(self, spec: MacroSpec):
        self.width = log2_int(spec.side) + 1
        self.operands = Signal(spec.rows * self.width, name_override="operands")
        self.weights = Signal(spec.rows * self.width * spec.columns, name_override="weights")
        places = [
            self.weights[k * spec.columns : (k + 1) * spec.columns]
            for k in range(spec.rows * self.width)
        ]
        self.slices = [
            places[row * self.width : (row + 1) * self.width] for row in range(spec.rows)
        ]
        rows = [
            self.operands[row * self.width : (row + 1) * self.width] for row in range(spec.rows)
        ]
        self.groups = [
            rows[first : first + spec.or_width] for first in range(0, spec.rows, spec.or_width)
        ]

    def parts(self, row):
        """Operand and sign of a row."""
        return row[:-1], row[-1]


class FreeGroups(Array):
    """The array between the generator of points and the counters.

    shared: True: two regions of the weight axis share their rows, to see a proof fail.
    """

    def __init__(self, spec: MacroSpec, shared: bool = False):
        self.spec = spec
        self.cd_sys = ClockDomain("sys", reset_less=True)
        self.operands = self.taken = self.store = store = FreeStore(spec)
        self.points = Signal(16 * spec.lanes, name_override="points")
        points = [
            (self.points[16 * p : 16 * p + 8], self.points[16 * p + 8 : 16 * p + 16])
            for p in range(spec.lanes)
        ]
        self.slices = PointSlices(points, spec.side, spec.columns)
        if shared:
            self.slices.region_w[3] = self.slices.region_w[2]
        group = self._group(0)
        width = spec.lanes * spec.columns
        self.rows = Signal(spec.or_width * width, name_override="rows")
        self.positive = Signal(width, name_override="positive")
        self.negative = Signal(width, name_override="negative")
        self.comb += [
            self.rows.eq(Cat(*[row.bits for row in group.rows])),
            self.positive.eq(group.positive),
            self.negative.eq(group.negative),
        ]
        self.ios = {
            store.operands,
            store.weights,
            self.points,
            self.rows,
            self.positive,
            self.negative,
        }


def checker(spec: MacroSpec) -> str:
    """At most one row of the group fires for a point, and OR is the sum of the rows' bits."""
    width, bits = spec.lanes * spec.columns, log2_int(spec.side) + 1
    return f"""
module proof(input clk);
  wire [{width * spec.or_width - 1}:0] rows;
  wire [{width - 1}:0] positive, negative;
  (* anyconst *) reg [{spec.rows * bits - 1}:0] operands;
  (* anyconst *) reg [{spec.rows * bits * spec.columns - 1}:0] weights;
  (* anyconst *) reg [{16 * spec.lanes - 1}:0] points;
  design dut(.operands(operands), .weights(weights), .points(points), .rows(rows),
             .positive(positive), .negative(negative));
  genvar place;
  generate for (place = 0; place < {width}; place = place + 1) begin : each
    reg [15:0] fired;
    integer row;
    always @* begin
      fired = 0;
      for (row = 0; row < {spec.or_width}; row = row + 1)
        fired = fired + rows[row*{width} + place];
      assert (fired <= 1);
      assert (fired == positive[place] + negative[place]);
    end
  end endgenerate
endmodule
"""
