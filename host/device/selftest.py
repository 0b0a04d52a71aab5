"""Is a device right: identity, memories, sequence, macro, layers, the link; the first to run."""

import dataclasses
from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8
from dscim.errors import LinkError
from dscim.gateware import registers
from dscim.gateware.layout import memory_sizes
from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.gateware.specs.product import SIGNED_MODES
from dscim.host.compile.parameters import LayerParameters
from dscim.host.device import Device
from dscim.host.device.bench import Bench
from dscim.host.device.run import NetworkRun
from dscim.host.golden.reference import PreparedLayer, product
from dscim.host.golden.twin.ref import ModelLink
from dscim.host.network import INPUT, Add, Conv, Network
from dscim.progress import Progress

IDENTIFIER_WORDS = 64
CHUNK = 4096
"""Words written and read at a time, between two beats of the progress bar."""

Checked = tuple[bool, str]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One check: its name, whether it holds, and what was seen, the first fault by its place."""

    name: str
    holds: bool
    seen: str


class SelfTest:
    """Checks an open device against the reference; what its memories held is lost.

    seed: of all operands. step(what, done, total) moves a progress bar.
    """

    def __init__(self, device: Device, seed: int, step: Progress) -> None:
        self._device, self._step = device, step
        self._random = np.random.default_rng(seed)
        self._spec: SocSpec = device.spec

    def run(self, only: Collection[str] = ()) -> Iterator[Finding]:
        """Every check, in the order in which a fault of one explains the next ones.

        only: the names of those that run, where not all do.
        LinkError where the device answers no more; a wrong answer is a finding.
        """
        for name, check in (
            ("identifier", self._identifier),
            ("clock", self._clock),
            ("memories", self._memories),
            ("sequence", self._sequence),
            ("macro", self._macro),
            ("layer", self._layer),
            ("block", self._block),
            ("link", self._link),
        ):
            if only and name not in only:
                continue
            holds, seen = check()
            yield Finding(name, holds, seen)

    def _identifier(self) -> Checked:
        """Magic, protocol and hash were read when the device was opened; here is the text."""
        if isinstance(self._device.link, ModelLink):
            return True, f"spec {self._spec.hash:08x}; numpy has no text"
        base = registers.BANK_BASE * registers.IDENTIFIER_PAGE
        words = self._device.link.read(base, IDENTIFIER_WORDS)
        text = bytes(int(word) & 0xFF for word in words).split(b"\0")[0].decode("latin-1")
        wanted = f"dscim {registers.PROTOCOL} spec {self._spec.hash:08x}"
        return text == wanted, f"'{text}'" + ("" if text == wanted else f", not '{wanted}'")

    def _clock(self) -> Checked:
        """Cycles pass while nothing runs."""
        if isinstance(self._device.link, ModelLink):
            return True, "numpy has none"
        self._device.counted()
        self._device.link.read(registers.address("magic"), 1)
        cycles = self._device.counted().cycles_link
        return cycles > 0, f"{cycles} cycles between two reads"

    def _memories(self) -> Checked:
        """Every word holds its own address, then the complement of a random word."""
        sizes = {name: size // 4 for name, size in memory_sizes(self._spec).items()}
        done, total = 0, 4 * sum(sizes.values())
        for name, words in sizes.items():
            base = registers.MEMORY_BASES[name]
            addresses = base + 4 * np.arange(words, dtype=np.uint32)
            noise = self._random.integers(0, 1 << 32, words, dtype=np.uint32)
            for pattern in (addresses, ~addresses ^ noise):
                for write in (True, False):
                    for first in range(0, words, CHUNK):
                        part = pattern[first : first + CHUNK]
                        if write:
                            self._device.link.write(base + 4 * first, part)
                        else:
                            found = self._device.link.read(base + 4 * first, len(part))
                            wrong = np.flatnonzero(found != part)
                            if len(wrong):
                                place = int(wrong[0])
                                return False, (
                                    f"{name}: {base + 4 * (first + place):#x} reads "
                                    f"{found[place]:#010x}, not {part[place]:#010x}"
                                )
                        done += len(part)
                        self._step("memories, words", done, total)
        return True, f"{4 * sum(sizes.values())} bytes, every word twice"

    def _sequence(self) -> Checked:
        """Every threshold of every region: one row alone, both its operands swept."""
        macro = self._spec.macro
        if macro.form == "exact":
            return True, "the device has an exact macro alone"
        rows = macro.or_width
        levels = np.linspace(0, 127, 2 * macro.side).astype(np.int8)
        count, columns = 0, macro.columns
        x = np.zeros((len(levels) * rows, rows), np.int8)
        for row in range(rows):
            x[row * len(levels) : (row + 1) * len(levels), row] = levels
        sweeps = range(0, len(levels), columns)
        for done, first in enumerate(sweeps, 1):
            part = levels[first : first + columns]
            w = np.repeat(part[None, :], rows, axis=0)
            holds, seen = self._multiply(x, w, self._product())
            if not holds:
                return False, seen
            count += x.shape[0] * len(part)
            self._step("sequence, sweeps", done, len(sweeps))
        return True, f"{count} products of one row agree"

    def _macro(self) -> Checked:
        """Random and extreme operands in every arithmetic that is built."""
        rows, columns = self._spec.macro.rows, self._spec.macro.columns
        products, count = self._products(), 0
        for done, arithmetic in enumerate(products, 1):
            x = self._operands((8, rows + 3))
            w = self._operands((rows + 3, columns + 1))
            zero = int(self._random.integers(-128, 128))
            holds, seen = self._multiply(x, w, arithmetic, zero)
            if not holds:
                return False, f"{arithmetic}: {seen}"
            count += x.shape[0] * w.shape[1]
            self._step("macro, arithmetics", done, len(products))
        return True, f"{count} outputs in {len(products)} arithmetics agree"

    def _layer(self) -> Checked:
        """A convolution with padding, stride, bias, per-channel scales and a clamp, each rounding.

        Small enough for any device: 16 rows of weights, 25 words of input, 15 pixels of output.
        """
        spec = self._spec
        outputs = min(
            spec.macro.columns + 1, spec.channels, 8 * ((spec.activation_words - 25) // 15)
        )
        plain = LayerSpec(
            (5, 5, 2),
            outputs,
            (2, 2),
            (2, 1),
            ((1, 1), (1, 0)),
            -7,
            3,
            (-120, 127),
            self._products()[0],
        )
        draw = self._random.integers
        parameters = LayerParameters(
            self._operands((outputs, 2, 2, 2)),
            draw(-9999, 9999, outputs).astype(np.int32),
            draw(1 << 30, (1 << 31) - 1, outputs).astype(np.int32),
            draw(-12, -6, outputs).astype(np.int32),
        )
        x = self._operands((2, *plain.input))
        found, wanted = [], []
        for layer in (plain, dataclasses.replace(plain, single_rounding=True)):
            found.append(self._device.run_layer(layer, parameters, x).outputs)
            wanted.append(
                PreparedLayer(
                    layer,
                    parameters.weights,
                    parameters.bias,
                    parameters.multiplier,
                    parameters.shift,
                ).run(x)
            )
        return _compare(np.stack(found), np.stack(wanted))

    def _block(self) -> Checked:
        """Two convolutions and the sum of their outputs, as a network has them: windows of several
        pixels where there are columns for them, and an addition in a product's drain.
        """
        network = residual_block(self._random)
        images = self._operands((2, *network.shape))
        run = NetworkRun([self._device], network, self._products()[0], images)
        for layer in run.execute(self._step):
            if layer.first is not None:
                return False, f"{layer.name}: {layer.first}"
        return run.holds, f"all {run.compared} outputs agree"

    def _link(self) -> Checked:
        """Words of random size to random places and back, each held against a twin."""
        bench = Bench(self._device, int(self._random.integers(1 << 31)))
        try:
            rates = bench.transfers(1 << 14, self._step)
        except LinkError as error:
            return False, str(error)
        return True, ", ".join(
            f"{name} {rate.per_second / 1e3:.0f} kB/s" for name, rate in rates.items()
        )

    def _multiply(self, x: Int8, w: Int8, arithmetic: ProductSpec, zero: int = 0) -> Checked:
        found = self._device.multiply(x, w, arithmetic, zero).values
        return _compare(found, product(x, w, arithmetic, zero))

    def _product(self, **changes: object) -> ProductSpec:
        """The stochastic product of the device, at its longest stream of the lanes."""
        macro = self._spec.macro
        signed = "split" if "split" in macro.signed else macro.signed[0]
        start = ProductSpec(
            macro.or_width, macro.or_width * macro.most_samples, macro.sequence, signed
        )
        return dataclasses.replace(start, **changes)  # type: ignore[arg-type]

    def _products(self) -> list[ProductSpec]:
        """Every signed mode at the shortest and the longest stream, and the exact one."""
        macro = self._spec.macro
        most = macro.most_samples
        lengths = tuple(macro.or_width * n for n in (1, max(1, most // 4), most))
        candidates = [
            self._product(length=length, signed=mode) for mode in SIGNED_MODES for length in lengths
        ]
        candidates += [
            self._product(activation_shift=2),
            ProductSpec(macro.or_width, macro.or_width, exact=True),
        ]
        return [
            one
            for one in candidates
            if any(built.refusal(one) is None for built in self._spec.macros)
        ]

    def _operands(self, shape: tuple[int, ...]) -> Int8:
        """Uniform int8, a tenth of them the extremes."""
        values = self._random.integers(-128, 128, shape)
        extreme = self._random.choice(np.array([-128, 127]), shape)
        return np.where(self._random.random(shape) < 0.1, extreme, values).astype(np.int8)


def residual_block(random: np.random.Generator) -> Network:
    """A random one on 2 x 4 pixels of 3 channels: small enough for any device."""

    def conv(name: str, source: str, inputs: int) -> Conv:
        return Conv(
            name,
            (source,),
            0,
            1.0,
            weights=random.integers(-127, 128, (8, 1, 1, inputs), np.int8),
            bias=random.integers(-999, 999, 8).astype(np.int32),
            multiplier=random.integers(1 << 30, (1 << 31) - 1, 8).astype(np.int32),
            shift=np.full(8, -8, np.int32),
            input_zero=0,
        )

    add = Add(
        "sum",
        ("first", "second"),
        5,
        1.0,
        input_zeros=(0, 0),
        shifts=(0, -1, -18),
        multipliers=(1 << 30, 3 << 29, 1 << 30),
    )
    return Network(
        "block", (2, 4, 3), 1.0, 0, (conv("first", INPUT, 3), conv("second", "first", 8), add)
    )


def _compare(
    found: npt.NDArray[np.signedinteger], wanted: npt.NDArray[np.signedinteger]
) -> Checked:
    """Equal in every element; else the first that is not, by its place."""
    wrong = np.argwhere(found != wanted)
    if len(wrong) == 0:
        return True, f"all {wanted.size} outputs agree"
    place = tuple(int(index) for index in wrong[0])
    return False, (
        f"{len(wrong)} of {wanted.size} outputs differ, the first at {list(place)}: "
        f"{found[place]} instead of {wanted[place]}"
    )
