"""Two forms of a macro on the same symbolic operands, over one whole product."""

from litex.gen import LiteXModule
from migen import Array, Cat, ClockDomain, If, Signal, log2_int, run_simulation

from dscim.gateware.logic import delayed_all
from dscim.gateware.macro.interface import BEAT_ROWS


class Driver(LiteXModule):
    """Loads a macro with weights and one window as fast as possible, and keeps the product.

    | port   | dir | meaning                                    |
    |--------|-----|--------------------------------------------|
    | done   | out | the product is there                       |
    | counts | out | its counts                                 |
    | sum    | out | its activation_sum                         |
    """

    def __init__(self, macro, weights, window):
        rows, width = macro.spec.rows, 8 * macro.spec.columns
        self.done = Signal()
        self.counts = Signal.like(macro.products.counts)
        self.sum = Signal.like(macro.products.activation_sum)

        # # #

        row, beat = Signal(max=rows + 1), Signal(max=rows // BEAT_ROWS + 1)
        words = Array([weights[width * r : width * (r + 1)] for r in range(rows)])
        beats = Array([window[64 * b : 64 * (b + 1)] for b in range(rows // BEAT_ROWS)])
        last = rows // BEAT_ROWS - 1
        self.comb += [
            macro.weights.valid.eq(row != rows),
            macro.weights.row.eq(row),
            macro.weights.data.eq(words[row]),
            macro.activations.valid.eq((row == rows) & (beat != last + 1)),
            macro.activations.row.eq(beat << log2_int(BEAT_ROWS)),
            macro.activations.count.eq(BEAT_ROWS),
            macro.activations.last.eq(beat == last),
            macro.activations.data.eq(beats[beat]),
            macro.products.ready.eq(~self.done),
        ]
        self.sync += [
            If(macro.weights.valid & macro.weights.ready, row.eq(row + 1)),
            If(macro.activations.valid & macro.activations.ready, beat.eq(beat + 1)),
            If(
                macro.products.valid & ~self.done,
                self.done.eq(1),
                self.counts.eq(macro.products.counts),
                self.sum.eq(macro.products.activation_sum),
            ),
        ]


class Pair(LiteXModule):
    """Two macros, same operands, same configuration, started together.

    samples_log2: fixed. Inputs: weights, window, offset, zero_point, activation_shift.
    Outputs: done (both), equal (the products, once both are done), and running (the column counters
    are equal all the time).
    later: cycles by which the second macro's counters are behind the first's, if both take the same
    points in the same order; None if they do not, then `running` is always 1.
    """

    def __init__(self, first, second, samples_log2: int, later: int | None = None):
        spec = first.spec
        self.cd_sys = ClockDomain("sys", reset_less=True)
        widths = {
            "weights": 8 * spec.rows * spec.columns,
            "window": 8 * spec.rows,
            "offset": 1,
            "zero_point": 8,
            "activation_shift": 2,
        }
        self.inputs = {name: Signal(width, name_override=name) for name, width in widths.items()}
        self.done = Signal(name_override="done")
        self.equal = Signal(name_override="equal")
        self.running = Signal(name_override="running")
        self.ios = {self.cd_sys.clk, self.done, self.equal, self.running, *self.inputs.values()}

        # # #

        drivers = []
        for name, macro in (("first", first), ("second", second)):
            driver = Driver(macro, self.inputs["weights"], self.inputs["window"])
            self.add_module(f"{name}_macro", macro)
            self.add_module(f"{name}_driver", driver)
            drivers.append(driver)
            self.comb += [
                getattr(macro, port).eq(self.inputs[port])
                for port in ("offset", "zero_point", "activation_shift")
            ]
            self.comb += macro.samples_log2.eq(samples_log2)
        one, two = drivers
        self.comb += [
            self.done.eq(one.done & two.done),
            self.equal.eq(
                (one.counts == two.counts) & ((one.sum == two.sum) | ~self.inputs["offset"])
            ),
        ]
        self.comb += self.running.eq(1)
        if later is not None:
            before = delayed_all(self, first.counters.counts, later)
            self.comb += self.running.eq(Cat(*before) == Cat(*second.counters.counts))


def checker(pair: Pair, depth: int) -> str:
    """Once both products are there they are equal, and they are there at the last step.

    Equal counters on the way are asserted too, if they are: this guides the solver.
    """
    free = "".join(
        f"  (* anyconst *) reg [{len(signal) - 1}:0] {name};\n"
        for name, signal in pair.inputs.items()
    )
    ports = ", ".join(f".{name}({name})" for name in pair.inputs)
    return f"""
module proof(input clk);
{free}  wire done, equal, running;
  reg [15:0] cycle = 0;
  design dut(.sys_clk(clk), .done(done), .equal(equal), .running(running), {ports});
  always @* assume (!offset || activation_shift == 0);
  always @(posedge clk) begin
    cycle <= cycle + 1;
    if (done) assert (equal);
    assert (running);
    if (cycle == {depth - 1}) assert (done);
  end
endmodule
"""


def cycles(pair: Pair) -> int:
    """Cycles until both products are there, in Migen's simulator."""
    count = []

    def wait():
        while not (yield pair.done):
            count.append(1)
            yield
            assert len(count) < 10_000

    run_simulation(pair, wait())
    return len(count) + 1
