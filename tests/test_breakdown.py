"""The cells of a design by module: of a small one that Yosys synthesises, and wrong options."""

import json
from collections import Counter
from pathlib import Path

from litex.gen import LiteXModule
from litex.gen.fhdl.verilog import convert
from migen import READ_FIRST, ClockDomain, Memory, Signal

from dscim.host.fpga.cells.breakdown import FAMILY, KINDS, Breakdown, attribute, owners
from dscim.host.fpga.cells.synthesis import run_yosys
from tests.commandline import assert_refused, dscim


class Adder(LiteXModule):
    """A sum of 24 bits in a register, with logic in the middle that has no name."""

    def __init__(self, x, y):
        self.out = Signal(24)
        self.sync += self.out.eq((x & ~y) + (x ^ (y << 1)))


class Store(LiteXModule):
    """A product, and a block RAM."""

    def __init__(self, x, address):
        self.out = Signal(18)
        held, memory = Signal(36), Memory(18, 1024)
        writer = memory.get_port(write_capable=True, mode=READ_FIRST)
        reader = memory.get_port(mode=READ_FIRST)
        self.specials += memory, writer, reader
        self.sync += held.eq(x[:18] * x[6:24])
        self.comb += [
            writer.adr.eq(x[:9]),
            writer.dat_w.eq(held[:18]),
            writer.we.eq(1),
            reader.adr.eq(address),
            self.out.eq(reader.dat_r),
        ]


class Top(LiteXModule):
    """Two modules, and a copy of the output of one."""

    def __init__(self):
        self.cd_sys = ClockDomain()
        self.x, self.y, self.out, self.read = Signal(24), Signal(24), Signal(24), Signal(18)
        self.pair = pair = LiteXModule()
        pair.adder = adder = Adder(self.x, self.y)
        self.store = store = Store(self.x, self.y[:9])
        self.comb += [self.out.eq(adder.out), self.read.eq(store.out)]


def test_cells_belong_to_the_module_of_the_signal_that_they_drive() -> None:
    top = Top()
    ports = {top.x, top.y, top.out, top.read, top.cd_sys.clk, top.cd_sys.rst}
    made = convert(top, ios=ports, name="top")
    text = run_yosys(made.main_source, f"{FAMILY.synthesis} -top top; write_json {{OUT}}")
    netlist = json.loads(text)["modules"]["top"]
    found = attribute(netlist, owners(top, made.ns))
    assert set(found.cells) == {"pair/adder", "store"}
    assert found.cells["pair/adder"]["flip_flops"] == 24
    assert found.cells["pair/adder"]["lut4"] >= 24
    assert found.cells["pair/adder"] == found.total("pair")
    store = found.cells["store"]  # Yosys adds logic for reads and writes of the same word
    assert (store["multipliers"], store["block_ram"]) == (1, 1) and store["flip_flops"] >= 36
    assert 0 <= found.named <= found.total()["lut4"]
    counted = Counter(cell["type"] for cell in netlist["cells"].values())
    for kind, cells in KINDS.items():
        assert found.total()[kind] == sum(n * counted[cell] for cell, n in cells.items())
    rows = dict(found.tree(2))
    assert set(rows) == {"pair", "pair/adder", "store"}
    assert rows["pair"] == rows["pair/adder"]


def test_a_module_is_followed_by_those_below_it_and_its_own_cells() -> None:
    cells = {"": 1, "a": 2, "a/b": 3, "a/b/c": 4, "ab": 20}
    found = Breakdown({path: Counter(lut4=count) for path, count in cells.items()}, 0)
    assert found.total()["lut4"] == 30
    assert [(path, row["lut4"]) for path, row in found.tree(1)] == [("ab", 20), ("a", 9), (".", 1)]
    rows = [("ab", 20), ("a", 9), ("a/b", 7), ("a/.", 2), (".", 1)]
    assert [(path, row["lut4"]) for path, row in found.tree(2)] == rows


def test_a_device_that_cannot_be_counted_is_one_sentence(tmp_path: Path) -> None:
    assert_refused(dscim("dev", "breakdown", "tang_nano_20k"), "only for ECP5")
    spec = tmp_path / "spec.json"
    for text in ("none", "[]", '{"rows": 3}'):
        spec.write_text(text)
        done = dscim("dev", "breakdown", "colorlight_i5", "--spec", str(spec))
        assert_refused(done, "does not have a SocSpec as JSON")
