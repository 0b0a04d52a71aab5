"""Models of the cells that nextpnr-ecp5 places, as our netlists use them, and their wires.

A TRELLIS_COMB is a module for each of its modes. The wide multiplexers (OFX, FXA, FXB), which
`-nowidelut` leaves unused, inverted clocks and asynchronous resets have no model: a netlist with
one of these does not compile. The modes are those of nextpnr's ecp5/pack.cc and cells.cc, the wires
those of Project Trellis's libtrellis/src/Bels.cpp.
"""

MODELS = """
module TRELLIS_COMB_LOGIC (input A, input B, input C, input D, output F);
    parameter [15:0] INITVAL = 0;
    assign F = INITVAL[{D, C, B, A}];
endmodule

module TRELLIS_COMB_CCU2 (input A, input B, input C, input D, input FCI, output F, output FCO);
    parameter [15:0] INITVAL = 0;
    parameter CCU2_INJECT1 = "NO", WREMUX = "WRE";
    wire propagate = INITVAL[{D, C, B, A}];
    wire generated = CCU2_INJECT1 == "NO" && INITVAL[{2'd0, B, A}];
    assign F = propagate ^ (CCU2_INJECT1 == "NO" && FCI);
    assign FCO = propagate ? FCI : generated;
endmodule

/* A table that is written: bit 0 of an address is at D, bit 1 at B, bit 2 at C, bit 3 at A. */
module TRELLIS_COMB_DPRAM (input A, input B, input C, input D, input WCK, input WRE, input WD,
    input WAD0, input WAD1, input WAD2, input WAD3, output F);
    parameter [15:0] INITVAL = 0;
    parameter CCU2_INJECT1 = "NO", WREMUX = "WRE", WCKMUX = "WCK";
    if (WREMUX != "WRE" || WCKMUX != "WCK") $fatal(1, "DPRAM: a use that has no model");
    reg [15:0] contents = INITVAL;
    always @(posedge WCK) if (WRE) contents[{WAD0, WAD2, WAD1, WAD3}] <= WD;
    assign F = contents[{D, C, B, A}];
endmodule

/* Carries address and data from the inputs of slice C to the tables of slices A and B. */
module TRELLIS_RAMW (input A0, input B0, input C0, input D0, input A1, input B1, input C1, input D1,
    output WADO0, output WADO1, output WADO2, output WADO3,
    output WDO0, output WDO1, output WDO2, output WDO3);
    assign {WADO3, WADO2, WADO1, WADO0} = {A0, C0, B0, D0};
    assign {WDO3, WDO2, WDO1, WDO0} = {B1, D1, A1, C1};
endmodule

module TRELLIS_FF (input CLK, input CE, input LSR, input DI, input M, output reg Q);
    parameter SD = "0", REGSET = "RESET", CEMUX = "1", CLKMUX = "CLK", LSRMUX = "LSR";
    parameter SRMODE = "LSR_OVER_CE", GSR = "DISABLED";
    if (CLKMUX != "CLK" || LSRMUX != "LSR" || SRMODE != "LSR_OVER_CE" || GSR != "DISABLED"
        || (CEMUX != "CE" && CEMUX != "1")) $fatal(1, "TRELLIS_FF: a use that has no model");
    initial Q = REGSET == "SET";
    always @(posedge CLK)
        if (LSR) Q <= REGSET == "SET";
        else if (CEMUX == "1" || CE) Q <= SD == "1" ? DI : M;
endmodule

module DCCA (input CLKI, output CLKO);
    assign CLKO = CLKI;
endmodule
"""

_HIGH = dict.fromkeys("ABCD", "1'b1")
FLOATING = {
    "TRELLIS_COMB_LOGIC": _HIGH,
    "TRELLIS_COMB_CCU2": _HIGH | {"FCI": "1'b0", "F": "", "FCO": ""},
    "TRELLIS_COMB_DPRAM": {},
    "DCCA": {},
    "TRELLIS_RAMW": {f"{pin}{half}": "1'b1" for pin in "ABCD" for half in (0, 1)},
    "TRELLIS_FF": {"CE": "1'b1", "LSR": "1'b0", "DI": "1'b0", "M": "1'b0"},
}
"""What an input reads that no wire reaches (a table's are high); no output but these may be
left without a net."""


def pin_wire(kind: str, bel: str, pin: str) -> str:
    """The wire of a cell's pin, as named by Project Trellis. bel: the cell's place."""
    tile, place = bel.rsplit("/", 1)
    if kind == "DCCA":
        return f"X0/Y0/G_{pin}_{place}"
    if kind == "TRELLIS_IO":
        return f"{tile}/{dict(I='PADDO', O='JPADDI')[pin]}{place[-1]}_PIO"
    if kind == "TRELLIS_RAMW":
        own = f"{pin}C" if pin[0] == "W" else f"{pin[0]}{4 + int(pin[1])}"  # of slice C
        return f"{tile}/{own}_SLICE"
    return f"{tile}/{_slice_wire(place[5], int(place[-1]), pin)}_SLICE"


def _slice_wire(letter: str, half: int, pin: str) -> str:
    """A pin of a table or flip-flop: `half` 0 or 1 of the slice."""
    number = "ABCD".index(letter)
    if pin in ("CLK", "LSR", "CE", "WCK", "WRE"):
        return f"{pin}{number}"
    if pin == "WD":
        return f"WD{half}{letter}"
    if pin.startswith("WAD"):
        return f"{pin}{letter}"
    if pin in ("FCI", "FCO"):
        if half == (pin == "FCI"):
            return f"FCI{letter}1"  # from the first half of the slice to the second
        return pin if letter == {"FCI": "A", "FCO": "D"}[pin] else f"{pin}{letter}"
    return f"{pin}{2 * number + half}"
