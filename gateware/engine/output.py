"""Where outputs go: a pixel's place in the output, and the words of a step into their banks."""

from litex.gen import LiteXModule
from migen import C, Cat, If, Mux, Record, Replicate, Signal, log2_int

from dscim.gateware.descriptor import Operation
from dscim.gateware.engine.lines import Lines, bank_bits, each_bank, place_layout, rotated
from dscim.gateware.engine.setup import vector_channels
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

SUM_BYTES = 4


class OutputPlace(LiteXModule):
    """The place of a pixel's first word that its column tile writes, in the order of pixels.

    | port         | dir | meaning                                                     |
    |--------------|-----|-------------------------------------------------------------|
    | start        | in  | pulse: a layer begins                                       |
    | fields, plan | in  | the layer's                                                 |
    | opens        | in  | the pixel is the first of its column tile                   |
    | second       | in  | it is in the second one of two output rows                  |
    | stays        | in  | the pixel below it in the second row is the next one        |
    | advance      | in  | go to the next pixel                                        |
    | place        | out | bank and address of the pixel's word                        |
    | octet        | out | first byte in it                                            |
    """

    def __init__(self, spec: SocSpec, fields, plan):
        self.start = Signal()
        self.opens = Signal()
        self.second = Signal()
        self.stays = Signal()
        self.advance = Signal()
        self.place = Record(place_layout(spec.banks))
        self.octet = Signal(log2_int(WORD_BYTES))

        # # #

        self._spec, self._fields = spec, fields
        lines = Lines(self, spec.banks, fields.output_width)
        first, line, now = (lines.place(name) for name in ("first", "line", "now"))
        column, here = Signal(12), Signal(12)
        octet, first_octet = Signal.like(self.octet), Signal.like(self.octet)
        banks, rows, octets = self._column_tile(plan)
        line_of = lines.place("line_of")
        below = lines.moved(now, plan.write_planes & (spec.banks - 1), plan.next_rows)
        self.comb += [
            line_of.eq(line),
            here.eq(column),
            If(self.opens, line_of.eq(first), here.eq(0)),
            now.eq(line_of),
            self.place.bank.eq(now.bank),
            self.place.row.eq(now.row + here),
            self.octet.eq(Mux(self.opens, first_octet, octet)),
        ]
        if spec.depthwise:
            second = lines.moved(line_of, plan.write_planes & (spec.banks - 1), plan.next_rows)
            self.comb += If(self.second, now.eq(second))
        after = lines.moved(first, banks, rows)
        total = Signal(len(octet) + 1)
        self.comb += total.eq(first_octet + octets)
        self.sync += [
            If(
                self.advance,
                If(self.stays, column.eq(here), line.eq(line_of))
                .Elif(here == fields.output_width - 1, column.eq(0), line.eq(below))
                .Else(column.eq(here + 1), line.eq(line_of)),
                If(
                    self.opens,
                    octet.eq(first_octet),
                    first_octet.eq(total),
                    If((octets == 0) | total[-1], first.eq(after)),
                ),
            ),
            If(
                self.start,
                first_octet.eq(
                    Mux(
                        fields.raw,
                        SUM_BYTES * fields.output_channel[0],
                        fields.output_channel[: len(octet)],
                    )
                ),
                first.bank.eq(plan.first_line & (spec.banks - 1)),
                first.row.eq(fields.output_base + plan.first_rows),
            ),
        ]

    def _column_tile(self, plan):
        """From a column tile to the next one: lines as banks and rows, or bytes within a word.

        The values are known long before the first pixel."""
        spec, fields = self._spec, self._fields
        depthwise = fields.operation == Operation.DEPTHWISE
        banks, rows = Signal(bank_bits(spec.banks)), Signal(17)
        octets = Signal(log2_int(WORD_BYTES))

        def of(channels: int, size: int):
            count = channels * size
            if count < WORD_BYTES:
                return [octets.eq(count), banks.eq(1 % spec.banks), rows.eq(self._rows(1))]
            lines = count // WORD_BYTES
            return [octets.eq(0), banks.eq(lines % spec.banks), rows.eq(self._rows(lines))]

        self.sync += [
            If(plan.apart & fields.raw, *of(WORD_BYTES * spec.banks, SUM_BYTES))
            .Elif(plan.apart, *of(WORD_BYTES * spec.banks, 1))
            .Elif(plan.vector & fields.raw, *of(vector_channels(spec), SUM_BYTES))
            .Elif(plan.vector, *of(vector_channels(spec), 1))
            .Elif(depthwise & fields.raw, *of(WORD_BYTES, SUM_BYTES))
            .Elif(depthwise, *of(WORD_BYTES, 1))
            .Elif(fields.raw, *of(spec.macro.columns, SUM_BYTES))
            .Else(*of(spec.macro.columns, 1)),
        ]
        return banks, rows, octets

    def _rows(self, lines: int):
        """The words of as many whole rows of banks as `lines` has; a power of two or none."""
        whole = lines // self._spec.banks
        return self._fields.output_width << (whole.bit_length() - 1) if whole else 0


class BankWriter(LiteXModule):
    """Puts a step's bytes or sums into the banks of their words; combinational.

    | port    | dir | meaning                                                         |
    |---------|-----|-----------------------------------------------------------------|
    | place   | in  | of the first word                                               |
    | octet   | in  | first byte in it                                                |
    | present | in  | the lanes that have an output                                   |
    | octets  | in  | the lanes' outputs, int8                                        |
    | sums    | in  | the lanes' sums, 32 bits                                        |
    | raw     | in  | sums are written                                                |
    | width   | in  | words of a line                                                 |

    write: the `write` record of a `WindowedMemory`.
    """

    def __init__(self, spec: SocSpec, width, write):
        lanes, banks = spec.requant_lanes, spec.banks
        self.place = Record(place_layout(banks))
        self.octet = Signal(log2_int(WORD_BYTES))
        self.present = Signal(lanes)
        self.octets = Signal(8 * lanes)
        self.sums = Signal(32 * lanes)
        self.raw = Signal()

        # # #

        data, enable = self._words(lanes, banks)
        back = Signal(bank_bits(banks))
        self.comb += back.eq(0 - self.place.bank)
        bits = len(write.adr) // banks
        near, far = Signal(bits), Signal(bits)
        self.comb += [
            near.eq(self.place.row),
            far.eq(self.place.row + width),
            write.dat_w.eq(rotated(self, data, back, 8 * WORD_BYTES)),
            write.we.eq(rotated(self, enable, back, WORD_BYTES)),
            write.adr.eq(each_bank(banks, self.place.bank, near, far)),
        ]

    def _words(self, lanes: int, banks: int):
        """Words and byte enables, from that of the first word on: new signals for all banks."""
        data, enable = Signal(8 * WORD_BYTES * banks), Signal(WORD_BYTES * banks)
        octets = Cat(*[self.octets] * max(1, WORD_BYTES // lanes))
        sums = Cat(*[self.sums] * max(1, WORD_BYTES // (SUM_BYTES * lanes)))
        wide = Cat(*[Replicate(bit, SUM_BYTES) for bit in self.present])
        self.comb += If(
            self.raw, data.eq(sums), enable.eq(wide << Cat(C(0, 2), self.octet[2]))
        ).Else(data.eq(octets), enable.eq(self.present << self.octet))
        return data, enable
