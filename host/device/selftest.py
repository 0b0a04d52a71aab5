"""Tests a device: identity, memories, sequence, macro, layers and the link."""

import dataclasses
import itertools
from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8, Words
from dscim.errors import LinkError
from dscim.gateware import registers
from dscim.gateware.layout import memory_sizes, product_rows, tensor_rows
from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.gateware.specs.product import SIGNED_MODES
from dscim.host.compile.parameters import LayerParameters
from dscim.host.device import Device
from dscim.host.device.bench import Bench
from dscim.host.device.run import NetworkRun
from dscim.host.golden.reference import PreparedLayer, product
from dscim.host.golden.twin.ref import ModelLink
from dscim.host.network import INPUT, Add, Conv, Depthwise, Network
from dscim.progress import Progress

IDENTIFIER_WORDS = 64

CHUNK = 4096
"""Words per transfer, between two steps of the progress bar."""

Checked = tuple[bool, str]
"""Whether a check passed, and what was seen."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One check: its name, whether it passed, and what was seen, with the first fault."""

    name: str
    holds: bool
    seen: str


class SelfTest:
    """Compares an open device with the reference. Overwrites its memories.

    seed: seed of all operands. step(what, done, total) moves a progress bar.
    """

    def __init__(self, device: Device, seed: int, step: Progress) -> None:
        self._device, self._step = device, step
        self._random = np.random.default_rng(seed)
        self._spec: SocSpec = device.spec

    def run(self, only: Collection[str] = ()) -> Iterator[Finding]:
        """Runs the checks in an order in which a fault in one explains those in later ones.

        only: the names of the checks to run; empty for all. Raises LinkError if the device stops
        answering; a wrong answer is a finding.
        """
        for name, check in (
            ("identifier", self._identifier),
            ("clock", self._clock),
            ("memories", self._memories),
            ("sequence", self._sequence),
            ("macro", self._macro),
            ("layer", self._layer),
            ("block", self._block),
            ("channels", self._channels),
            ("link", self._link),
        ):
            if only and name not in only:
                continue
            holds, seen = check()
            yield Finding(name, holds, seen)

    def _identifier(self) -> Checked:
        """Compares the text; opening the device has checked magic, protocol and hash."""
        if isinstance(self._device.link, ModelLink):
            return True, f"spec {self._spec.hash:08x}; the numpy device has no text"
        base = registers.BANK_BASE * registers.IDENTIFIER_PAGE
        words = self._device.link.read(base, IDENTIFIER_WORDS)
        text = bytes(int(word) & 0xFF for word in words).split(b"\0")[0].decode("latin-1")
        expected = f"dscim {registers.PROTOCOL} spec {self._spec.hash:08x}"
        return text == expected, f"'{text}'" + ("" if text == expected else f", not '{expected}'")

    def _clock(self) -> Checked:
        """Checks that cycles pass while nothing runs."""
        if isinstance(self._device.link, ModelLink):
            return True, "the numpy device has none"
        self._device.counted()
        self._device.link.read(registers.address("magic"), 1)
        cycles = self._device.counted().cycles_link
        return cycles > 0, f"{cycles} cycles between two reads"

    def _memories(self) -> Checked:
        """Writes each word's address to it, then a random word xor the inverted address."""
        sizes = {name: size // 4 for name, size in memory_sizes(self._spec).items()}
        done, total = 0, 4 * sum(sizes.values())
        for name, words in sizes.items():
            base = registers.MEMORY_BASES[name]
            addresses = base + 4 * np.arange(words, dtype=np.uint32)
            noise = self._random.integers(0, 1 << 32, words, dtype=np.uint32)
            for pattern in (addresses, ~addresses ^ noise):
                for write, first in itertools.product((True, False), range(0, words, CHUNK)):
                    part = pattern[first : first + CHUNK]
                    if write:
                        self._device.link.write(base + 4 * first, part)
                    elif fault := self._read_fault(base + 4 * first, part):
                        return False, f"{name}: {fault}"
                    done += len(part)
                    self._step("memories, words", done, total)
        return True, f"{4 * sum(sizes.values())} bytes, each word twice"

    def _read_fault(self, address: int, expected: Words) -> str:
        """Reads words at the byte `address`; the first one that is wrong, or ''."""
        found = self._device.link.read(address, len(expected))
        wrong = np.flatnonzero(found != expected)
        if not len(wrong):
            return ""
        place = int(wrong[0])
        return f"{address + 4 * place:#x} reads {found[place]:#010x}, not {expected[place]:#010x}"

    def _sequence(self) -> Checked:
        """Sweeps both operands, one row at a time: every threshold of every region."""
        macro = self._spec.macro
        if macro.form == "exact":
            return True, "the device has only an exact macro"
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
        """Multiplies random and extreme operands in every arithmetic of the device."""
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
        """Runs a convolution with padding, stride, bias, scales per channel and clamp.

        It runs with both roundings, and is small enough for any device. In an ordered macro a tap
        has a whole unit.
        """
        ordered = self._spec.macro.ordered
        plain = LayerSpec(
            (5, 2, 8 if ordered else 2),
            1,
            (1, 2) if ordered else (2, 2),
            (2, 1),
            ((1, 1), (1, 0)),
            -7,
            3,
            (-120, 127),
            self._products()[0],
        )
        outputs = self._layer_outputs(plain)
        plain = dataclasses.replace(plain, outputs=outputs)
        draw = self._random.integers
        parameters = LayerParameters(
            self._operands((outputs, *plain.kernel, plain.input[2])),
            draw(-9999, 9999, outputs).astype(np.int32),
            draw(1 << 30, (1 << 31) - 1, outputs).astype(np.int32),
            draw(-12, -6, outputs).astype(np.int32),
        )
        x = self._operands((2, *plain.input))
        found, expected = [], []
        for layer in (plain, dataclasses.replace(plain, single_rounding=True)):
            found.append(self._device.run_layer(layer, parameters, x).outputs)
            expected.append(
                PreparedLayer(
                    layer,
                    parameters.weights,
                    parameters.bias,
                    parameters.multiplier,
                    parameters.shift,
                ).run(x)
            )
        return _compare(np.stack(found), np.stack(expected))

    def _layer_outputs(self, layer: LayerSpec) -> int:
        """The outputs of more than one column tile, or as many as the memories hold."""
        spec = self._spec
        rows = product_rows(spec, layer.input[2], layer.depth)
        most = min(spec.channels, spec.weight_rows // rows * spec.macro.columns)
        room = spec.activation_rows - tensor_rows(layer.input, spec.banks)
        outputs = min(spec.macro.columns + 1, most)
        while tensor_rows((*layer.output[:2], outputs), spec.banks) > room:
            outputs -= 1
        return outputs

    def _block(self) -> Checked:
        """Runs two convolutions and their sum.

        This covers windows of several pixels, if there are enough columns, and an addition in a
        product's drain.
        """
        return self._network(residual_block(self._random), self._products()[0])

    def _channels(self) -> Checked:
        """Runs a depthwise layer of two planes, in the unit of its own if the device has one."""
        arithmetic = next((one for one in self._products() if depthwise_too(one)), None)
        if arithmetic is None:
            return True, "no arithmetic of the device has depthwise layers"
        shape = (4, 2, 16)
        layer = Depthwise(
            "channels",
            (INPUT,),
            -9,
            1.0,
            weights=self._operands((3, 2, 16)),
            bias=self._random.integers(-999, 999, 16).astype(np.int32),
            multiplier=self._random.integers(1 << 30, (1 << 31) - 1, 16).astype(np.int32),
            shift=np.full(16, -7, np.int32),
            input_zero=3,
            padding=((1, 1), (1, 0)),
        )
        network = Network("channels", shape, 1.0, 3, (layer,))
        return self._network(network, arithmetic)

    def _network(self, network: Network, arithmetic: ProductSpec) -> Checked:
        """Runs a network on two images and compares every layer."""
        images = self._operands((2, *network.shape))
        run = NetworkRun([self._device], network, arithmetic, images)
        for layer in run.execute(self._step):
            if layer.first is not None:
                return False, f"{layer.name}: {layer.first}"
        return run.holds, f"all {run.compared} outputs agree"

    def _link(self) -> Checked:
        """Transfers words in random sizes to random addresses, and verifies each."""
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
        """The device's stochastic product with its longest stream."""
        macro = self._spec.macro
        signed = "split" if "split" in macro.signed else macro.signed[0]
        start = ProductSpec(
            macro.or_width, macro.or_width * macro.max_samples, macro.sequence, signed
        )
        return dataclasses.replace(start, **changes)  # type: ignore[arg-type]

    def _products(self) -> list[ProductSpec]:
        """Every signed mode with short, medium and long streams, and the exact product."""
        macro = self._spec.macro
        most = macro.max_samples
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
            if any(built.rejection(one) is None for built in self._spec.macros)
        ]

    def _operands(self, shape: tuple[int, ...]) -> Int8:
        """Uniform int8, about a tenth of them extreme values."""
        values = self._random.integers(-128, 128, shape)
        extreme = self._random.choice(np.array([-128, 127]), shape)
        return np.where(self._random.random(shape) < 0.1, extreme, values).astype(np.int8)


def depthwise_too(arithmetic: ProductSpec) -> bool:
    """Whether depthwise layers run in this arithmetic: not in the signed mode offset."""
    return arithmetic.exact or arithmetic.signed == "split"


def residual_block(random: np.random.Generator) -> Network:
    """A random residual block on 4 x 1 pixels of 16 channels: small enough for any device."""

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
        "block", (4, 1, 16), 1.0, 0, (conv("first", INPUT, 16), conv("second", "first", 8), add)
    )


def _compare(
    found: npt.NDArray[np.signedinteger], expected: npt.NDArray[np.signedinteger]
) -> Checked:
    """Whether all elements are equal, and a sentence with the first difference."""
    wrong = np.argwhere(found != expected)
    if len(wrong) == 0:
        return True, f"all {expected.size} outputs agree"
    place = tuple(int(index) for index in wrong[0])
    return False, (
        f"{len(wrong)} of {expected.size} outputs differ, the first at {list(place)}: "
        f"{found[place]} instead of {expected[place]}"
    )
