"""On-chip memory for the engine, which the host reads and writes through a window of the bus."""

from litex.gen import LiteXModule
from litex.soc.interconnect import stream, wishbone
from migen import READ_FIRST, Array, Cat, If, Memory, Record, Replicate, Signal, log2_int

BUS_WIDTH = 32


class WindowedMemory(LiteXModule):
    """A memory with a read port and a write port, each shared by the engine and the bus.

    It consists of banks, a word each per row, and every bank has its own addresses. The bus sees
    the words of a row side by side, bank 0 first.

    The engine always has priority. A write from the bus is acknowledged when a buffer takes it, so
    that no path leads from the engine to the link, and done as soon as the engine does not write.
    A read from the bus follows such writes and waits until `locked` is low. The bus moves whole
    32-bit words.

    | port   | dir | meaning                                                                  |
    |--------|-----|--------------------------------------------------------------------------|
    | bus    | in  | Wishbone, 32 bits, word addressing                                       |
    | locked | in  | the engine uses the read port                                            |
    | read   | in  | adr of each bank, re; dat_r is valid from the cycle after re until the   |
    |        |     | next re                                                                  |
    | write  | in  | adr of each bank, dat_w, we: one bit per `granularity` bits              |
    | second | in  | as read, a port of the engine's own, if there is one                     |
    """

    def __init__(
        self,
        width: int,
        depth: int,
        granularity: int = BUS_WIDTH,
        banks: int = 1,
        second: bool = False,
    ):
        assert width % BUS_WIDTH == 0
        self.width, self.depth, self.banks = width, depth, banks
        self.bus = wishbone.Interface(data_width=BUS_WIDTH, address_width=32, addressing="word")
        self.locked = Signal()
        bits = log2_int(depth, need_pow2=False)
        enables = width // granularity
        self.read = Record([("adr", banks * bits), ("re", 1), ("dat_r", banks * width)])
        self.write = Record(
            [("adr", banks * bits), ("we", banks * enables), ("dat_w", banks * width)]
        )

        # # #

        parts = banks * width // BUS_WIDTH
        part = self.bus.adr[: log2_int(parts)] if parts > 1 else 0
        word = self.bus.adr[log2_int(parts) :]
        self.writes = writes = stream.Buffer(
            [("adr", bits), ("part", max(1, log2_int(parts))), ("data", BUS_WIDTH)],
            pipe_valid=True,
            pipe_ready=True,
        )
        asked, written, answered = Signal(), Signal(), Signal()
        self.comb += [
            asked.eq(self.bus.cyc & self.bus.stb),
            writes.sink.valid.eq(asked & self.bus.we),
            writes.sink.adr.eq(word),
            writes.sink.part.eq(part),
            writes.sink.data.eq(self.bus.dat_w),
            written.eq(writes.sink.valid & writes.sink.ready),
            self.bus.ack.eq(written | answered),
        ]
        self.second = None
        memories, readers, writers = [], [], []
        for bank in range(banks):
            memory = Memory(width, depth, name=f"bank{bank}")
            memories.append(memory)
            readers.append(memory.get_port(has_re=True, mode=READ_FIRST))
            writers.append(
                memory.get_port(write_capable=True, we_granularity=granularity, mode=READ_FIRST)
            )
            self.specials += memory, readers[-1], writers[-1]
        if second:
            self.second = self._add_reader(memories, bits)
        self._connect_writers(writers, parts, writes.source)
        self._connect_readers(
            readers, parts, part, word, answered, asked & ~self.bus.we & ~writes.source.valid
        )

    def _add_reader(self, memories, bits: int):
        """One more read port of every bank: a new record."""
        read = Record(self.read.layout)
        for bank, memory in enumerate(memories):
            port = memory.get_port(has_re=True, mode=READ_FIRST)
            self.specials += port
            self.comb += [
                port.adr.eq(read.adr[bank * bits : (bank + 1) * bits]),
                port.re.eq(read.re),
                read.dat_r[bank * self.width : (bank + 1) * self.width].eq(port.dat_r),
            ]
        return read

    def _connect_writers(self, writers, parts: int, waiting):
        """The writes of the engine, otherwise those of the bus."""
        select, writing = Signal(parts), Signal()
        bits, enables = len(waiting.adr), len(self.write.we) // len(writers)
        own = parts // len(writers)
        self.comb += [
            select.eq(1 << waiting.part),
            writing.eq(self.write.we != 0),
            waiting.ready.eq(~writing),
        ]
        for bank, writer in enumerate(writers):
            chosen = select[bank * own : (bank + 1) * own]
            self.comb += If(
                writing,
                writer.adr.eq(self.write.adr[bank * bits : (bank + 1) * bits]),
                writer.dat_w.eq(self.write.dat_w[bank * self.width : (bank + 1) * self.width]),
                writer.we.eq(self.write.we[bank * enables : (bank + 1) * enables]),
            ).Elif(
                waiting.valid,
                writer.adr.eq(waiting.adr),
                writer.dat_w.eq(Replicate(waiting.data, own)),
                writer.we.eq(Cat(*[Replicate(bit, enables // own) for bit in chosen])),
            )

    def _connect_readers(self, readers, parts: int, part, word, answered, asked):
        """The engine's reads while it has locked the port; otherwise those of the bus, in two
        cycles. The part is kept for the second cycle, so that no path leads from the address to the
        answer. The memory reads the bus's address in every cycle, requested or not."""
        request, answer = Signal(), Signal(max=max(2, parts))
        bits = len(self.read.adr) // len(readers)
        for bank, reader in enumerate(readers):
            self.comb += If(
                self.locked,
                reader.adr.eq(self.read.adr[bank * bits : (bank + 1) * bits]),
                reader.re.eq(self.read.re),
            ).Else(
                reader.adr.eq(word),
                reader.re.eq(1),
            )
        held = Cat(*[reader.dat_r for reader in readers])
        self.comb += [
            request.eq(asked & ~self.locked & ~answered),
            self.read.dat_r.eq(held),
            self.bus.dat_r.eq(
                Array([self.read.dat_r[BUS_WIDTH * p : BUS_WIDTH * (p + 1)] for p in range(parts)])[
                    answer
                ]
            ),
        ]
        self.sync += [answered.eq(request), answer.eq(part)]
