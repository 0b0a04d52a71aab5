"""Parts of macros that are compared with the paper's array, beside those of `components`."""

from migen import Replicate

from dscim.host.fpga.cells.components import Part


class SerialCell(Part):
    """A weight, gated by one bit of the activation."""

    def __init__(self):
        super().__init__(a=1, w=8, out=8)
        self.comb += self.out.eq(self.w & Replicate(self.a, 8))


class FixedCell(Part):
    """A cell's AND gates for the n samples of its own region, and its sign."""

    def __init__(self, samples: int):
        super().__init__(a=samples, w=samples, sign=1, positive=samples, negative=samples)
        self.comb += [
            self.positive.eq(self.a & self.w & ~Replicate(self.sign, samples)),
            self.negative.eq(self.a & self.w & Replicate(self.sign, samples)),
        ]
