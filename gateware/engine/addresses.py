"""From the beats of windows to reads of the activation memory."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream
from migen import Array, Cat, If, Mux, Signal, bits_for, log2_int

from dscim.gateware.engine.lines import ROW_BITS, Lines, bank_bits, place_layout, rotated
from dscim.gateware.engine.table import BEFORE, EDGE, LAST, TAP_BITS, beat_layout
from dscim.gateware.specs import SocSpec

COORDINATE_BITS = 26
"""Bits of a signed coordinate: 4095 windows 4095 apart do not wrap."""


def read_layout(spec: SocSpec):
    """A read of all banks: an address for each; `bank` is that of the first word, `padding` marks
    the words outside the input, in the order of the words."""
    bits = log2_int(spec.activation_rows, need_pow2=False)
    return [("adr", spec.banks * bits), ("bank", bank_bits(spec.banks)), ("padding", spec.banks)]


def move_layout(spec: SocSpec):
    """What a beat does in the macro's window, except its words: see the macro's interface. tail:
    the words with a pixel's last plane."""
    units = spec.macro.units
    return [
        ("shift", 3),
        ("write", units),
        ("select", bank_bits(spec.banks) * units),
        ("tail", spec.banks),
        ("final", 1),
    ]


class Addresses(LiteXModule):
    """From a beat and the window's place to the addresses, in two stages.

    | port   | dir | meaning                                                               |
    |--------|-----|-----------------------------------------------------------------------|
    | sink   | in  | stream: place: of the line of the window's first tap; x: pixel of its |
    |        |     | first tap; line: row of the row tile's first tap; beat; shift, final  |
    | tile   | in  | window_layout of the row tile                                         |
    | source | out | stream: read_layout and move_layout                                   |
    """

    def __init__(self, spec: SocSpec, fields, tile):
        coordinate = (COORDINATE_BITS, True)
        self.sink = sink = stream.Endpoint(
            [
                ("place", place_layout(spec.banks)),
                ("x", coordinate),
                ("line", coordinate),
                ("beat", beat_layout(spec)),
                ("shift", 3),
                ("final", 1),
            ]
        )
        self.source = source = stream.Endpoint([*read_layout(spec), *move_layout(spec)])

        # # #

        lines = Lines(self, spec.banks, fields.input_width)
        taps = bits_for(spec.macro.units)
        first = lines.moved(sink.place, sink.beat.bank, sink.beat.row)
        kinds = [Signal(TAP_BITS, name=f"kind{k}") for k in range(3)]
        self.sync += [
            kinds[EDGE].eq(fields.kernel_width - 1),
            kinds[LAST].eq(tile.last_tap),
            kinds[BEFORE].eq(tile.last_tap - 1),
        ]
        middle = self.middle = stream.Endpoint(
            [
                ("adr", ROW_BITS),
                ("bank", bank_bits(spec.banks)),
                *((f"x{k}", coordinate) for k in range(3)),
                ("above", taps),
                ("below", taps),
                ("beat", beat_layout(spec)),
                ("shift", 3),
                ("final", 1),
            ]
        )
        beyond = Signal(coordinate)
        self.comb += [
            sink.ready.eq(~middle.valid | middle.ready),
            beyond.eq(fields.input_height - sink.line),
        ]
        most = spec.macro.units
        self.sync += If(
            sink.ready,
            middle.valid.eq(sink.valid),
            middle.last.eq(sink.last),
            middle.adr.eq(first.row),
            middle.bank.eq(first.bank),
            *[getattr(middle, f"x{k}").eq(sink.x + kind) for k, kind in enumerate(kinds)],
            middle.above.eq(_clipped(-sink.line, most)),
            middle.below.eq(_clipped(beyond, most)),
            middle.beat.eq(sink.beat),
            middle.shift.eq(sink.shift),
            middle.final.eq(sink.final),
        )
        self._address(spec, fields, middle, source)

    def _address(self, spec: SocSpec, fields, middle, source):
        """An address for each bank: of its word's pixel, and a line's width further for the banks
        before that of the first word."""
        taps, beat = bits_for(spec.macro.units), middle.beat
        sums = [[Signal(ROW_BITS, name=f"kind{k}_{w}") for w in range(2)] for k in range(3)]
        for kind, (near, far) in enumerate(sums):
            self.comb += [
                near.eq(middle.adr + getattr(middle, f"x{kind}")),
                far.eq(near + fields.input_width),
            ]
        back = Signal(bank_bits(spec.banks))
        self.comb += back.eq(0 - middle.bank)
        edges = rotated(self, beat.edge, back, 2)
        bits = len(source.adr) // spec.banks
        addresses = []
        for bank in range(spec.banks):
            kind, wraps = edges[2 * bank : 2 * bank + 2], _behind(middle.bank, bank, spec.banks)
            near, far = (Array([pair[w] for pair in sums])[kind] for w in range(2))
            address = Signal(bits)
            self.comb += address.eq(Mux(wraps, far, near))
            addresses.append(address)
        outside = Signal(3)
        self.comb += outside.eq(
            Cat(*[getattr(middle, f"x{k}")[:] >= fields.input_width for k in range(3)])
        )
        padding = []
        for word in range(spec.banks):
            tap = beat.tap[word * taps : (word + 1) * taps]
            kind = beat.edge[2 * word : 2 * word + 2]
            padding.append(
                Array([outside[k] for k in range(3)])[kind]
                | (tap < middle.above)
                | (tap >= middle.below)
            )
        self.comb += middle.ready.eq(~source.valid | source.ready)
        self.sync += If(
            middle.ready,
            source.valid.eq(middle.valid),
            source.last.eq(middle.last),
            source.adr.eq(Cat(*addresses)),
            source.bank.eq(middle.bank),
            source.padding.eq(Cat(*padding)),
            source.shift.eq(middle.shift),
            source.write.eq(beat.write),
            source.select.eq(beat.select),
            source.tail.eq(beat.tail),
            source.final.eq(middle.final),
        )


def _behind(first, bank: int, banks: int):
    """Whether the line that a beat reads from `bank` is behind the last bank of its first line."""
    return first > bank if bank < banks - 1 else 0


def _clipped(value, most: int):
    """A signed value, at least 0 and at most `most`."""
    return Mux(value < 0, 0, Mux(value > most, most, value))
