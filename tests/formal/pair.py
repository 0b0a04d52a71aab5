"""Two forms of a macro on the same symbolic operands, over one whole product of one used row.

That a product of several rows is the sum of theirs is another proof (granules.py, groups.py).
"""

from litex.gen import LiteXModule
from migen import Array, ClockDomain, If, Signal, log2_int, run_simulation

from dscim.gateware.macro.interface import select_bits


class Driver(LiteXModule):
    """Loads a macro with a row of weights and one window, and keeps the product.

    | port   | dir | meaning                                    |
    |--------|-----|--------------------------------------------|
    | done   | out | the product is there                       |
    | counts | out | its counts                                 |
    | sum    | out | its activation_sum                         |
    """

    def __init__(self, macro, samples_log2: int, inputs):
        spec = macro.spec
        self.done = Signal()
        self.counts = Signal.like(macro.products.counts)
        self.sum = Signal.like(macro.products.activation_sum)

        # # #

        stored, given = Signal(), Signal()
        root = int(spec.or_width**0.5)
        odd = Array([sum(divmod(r % spec.or_width, root)) % 2 for r in range(spec.rows)])
        weights, activations = macro.weights, macro.activations
        bits = select_bits(macro.words)
        self.comb += [
            weights.valid.eq(~stored),
            weights.last.eq(1),
            weights.row.eq(inputs["row"]),
            weights.odd.eq(odd[inputs["row"]]),
            weights.data.eq(inputs["weights"]),
            weights.samples_log2.eq(samples_log2),
            *[
                getattr(weights, name).eq(inputs[name])
                for name in ("offset", "zero_point", "activation_shift")
            ],
            activations.valid.eq(~given),
            activations.write.eq(-1),
            activations.select.eq(sum(unit << bits * unit for unit in range(spec.units))),
            activations.used.eq(-1),
            activations.last.eq(1),
            activations.final.eq(1),
            activations.data.eq(inputs["window"]),
            macro.products.ready.eq(~self.done),
        ]
        self.sync += [
            If(weights.valid & weights.ready, stored.eq(1)),
            If(activations.valid & activations.ready, given.eq(1)),
            If(
                macro.products.valid & ~self.done,
                self.done.eq(1),
                self.counts.eq(macro.products.counts),
                self.sum.eq(macro.products.activation_sum),
            ),
        ]


class Pair(LiteXModule):
    """Two macros with a word for each unit, same operands, same configuration, started together.

    samples_log2: fixed. Inputs: row, weights, window, offset, zero_point, activation_shift.
    Outputs: done (both) and equal (the products, once both are done).
    """

    def __init__(self, first, second, samples_log2: int):
        spec = first.spec
        self.cd_sys = ClockDomain("sys", reset_less=True)
        widths = {
            "row": log2_int(spec.rows),
            "weights": 8 * spec.columns,
            "window": 8 * spec.rows,
            "offset": 1,
            "zero_point": 8,
            "activation_shift": 2,
        }
        self.inputs = {name: Signal(width, name_override=name) for name, width in widths.items()}
        self.done = Signal(name_override="done")
        self.equal = Signal(name_override="equal")
        self.ios = {self.cd_sys.clk, self.done, self.equal, *self.inputs.values()}

        # # #

        drivers = []
        for name, macro in (("first", first), ("second", second)):
            driver = Driver(macro, samples_log2, self.inputs)
            self.add_module(f"{name}_macro", macro)
            self.add_module(f"{name}_driver", driver)
            drivers.append(driver)
        one, two = drivers
        self.comb += [
            self.done.eq(one.done & two.done),
            self.equal.eq(
                (one.counts == two.counts) & ((one.sum == two.sum) | ~self.inputs["offset"])
            ),
        ]


def checker(pair: Pair, depth: int) -> str:
    """Once both products are there they are equal, and they are there at the last step."""
    free = "".join(
        f"  (* anyconst *) reg [{len(signal) - 1}:0] {name};\n"
        for name, signal in pair.inputs.items()
    )
    ports = ", ".join(f".{name}({name})" for name in pair.inputs)
    return f"""
module proof(input clk);
{free}  wire done, equal;
  reg [15:0] cycle = 0;
  design dut(.sys_clk(clk), .done(done), .equal(equal), {ports});
  always @* assume (!offset || activation_shift == 0);
  always @(posedge clk) begin
    cycle <= cycle + 1;
    if (done) assert (equal);
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
