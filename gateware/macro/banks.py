"""The two banks of weights: which is in use, which is written, and what belongs to each."""

from litex.gen import LiteXModule
from migen import If, Record, Signal


def _config():
    return [("samples_log2", 3), ("offset", 1), ("zero_point", (8, True)), ("activation_shift", 2)]


class Banks(LiteXModule):
    """Keeps the configurations and the used rows of both banks, and when they are exchanged.

    | port           | dir | meaning                                                          |
    |----------------|-----|------------------------------------------------------------------|
    | writable       | out | rows are accepted                                                |
    | closing        | in  | the last row of the bank is accepted, with `closing_config`      |
    | writing        | in  | an accepted row is not yet stored                                |
    | write, row     | in  | a row is stored at the end of the cycle                          |
    | stored         | in  | ... the last row of its bank                                     |
    | waiting        | out | rows are stored that are not in use                              |
    | next_config    | out | the configuration of the closed bank                             |
    | open           | out | the window may take beats, with `window_config`                  |
    | leave          | in  | the last beat of a bank's last window is accepted                |
    | swap           | in  | the closed bank is in use from the next cycle on                 |
    | config         | out | the configuration of the bank in use                             |
    | used           | out | for each row, whether it is used in the bank in use              |
    | used_next      | out | ... in the next cycle                                            |
    | bank           | out | the bank in use; rows are written to the other                   |
    | apart          | in  | beats are not for this window: they pass with `apart_config`     |
    """

    def __init__(self, spec):
        self.writable = Signal()
        self.closing = Signal()
        self.writing = Signal()
        self.write = Signal()
        self.stored = Signal()
        self.rows = Signal(spec.rows)
        self.waiting = Signal()
        self.open = Signal()
        self.leave = Signal()
        self.swap = Signal()
        self.bank = Signal()
        self.used = Signal(spec.rows)
        self.used_next = Signal(spec.rows)
        self.config, self.next_config, self.window_config = (
            Record(_config(), name=name) for name in ("config", "next_config", "window_config")
        )
        self.closing_config = Signal(len(self.config.raw_bits()))
        self.apart, self.apart_config = Signal(), Record(_config(), name="apart_config")

        # # #

        ending, closed, claimed, passing = Signal(), Signal(), Signal(), Signal()
        written = Signal(spec.rows)
        self.comb += [
            self.writable.eq(~ending),
            self.waiting.eq(ending | self.writing | (written != 0)),
            self.used_next.eq(self.used),
            If(self.swap, self.used_next.eq(written)),
        ]
        self.sync += [
            If(self.closing, ending.eq(1), self.next_config.raw_bits().eq(self.closing_config)),
            If(self.write, written.eq(written | self.rows)),
            If(self.stored, closed.eq(1)),
            If(self.leave, self.open.eq(0)),
            If(
                ~self.open & closed & ~claimed,
                self.open.eq(1),
                claimed.eq(1),
                self.window_config.raw_bits().eq(self.next_config.raw_bits()),
            ),
            passing.eq(self.apart),
            If(passing, self.open.eq(0)),
            If(
                self.apart,
                self.open.eq(1),
                self.window_config.raw_bits().eq(self.apart_config.raw_bits()),
            ),
            self.used.eq(self.used_next),
            If(
                self.swap,
                self.bank.eq(~self.bank),
                self.config.raw_bits().eq(self.next_config.raw_bits()),
                written.eq(0),
                ending.eq(0),
                closed.eq(0),
                claimed.eq(0),
            ),
        ]
