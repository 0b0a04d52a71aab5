"""The device as the host sees it: layers and products, whatever link is behind it."""

import dataclasses
import time
from collections.abc import Callable
from typing import Self

import numpy as np
import numpy.typing as npt

from dscim.gateware import descriptor, registers
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.gateware.specs.layer import MAX_SIDE
from dscim.gateware.specs.soc import BUS_BYTES, WORD_BYTES
from dscim.host.counters import Counters
from dscim.host.errors import LinkError, UserError
from dscim.host.fields import layer_fields
from dscim.host.layout import (
    Outputs,
    pack_activations,
    pack_parameters,
    pack_weights,
    pixel_words,
    tensor_words,
    unpack_activations,
)
from dscim.host.link.base import Link, Words
from dscim.host.parameters import LayerParameters
from dscim.host.reference import weight_matrix
from dscim.host.reference.operands import column_corrections

__all__ = ["Counters", "Device", "LayerParameters", "LayerRun", "ProductRun"]

Int8 = npt.NDArray[np.int8]
Progress = Callable[[int, int], None]

LAYER_SECONDS = 300.0
"""A layer that runs longer than this is taken for a device that hangs."""


@dataclasses.dataclass(frozen=True)
class LayerRun:
    """What a layer gave: outputs (N, out_h, out_w, outputs) int8, int32 when raw."""

    outputs: Outputs
    counters: Counters


@dataclasses.dataclass(frozen=True)
class ProductRun:
    """What a product gave: values (M, N) int64 in product units."""

    values: npt.NDArray[np.int64]
    counters: Counters


class Device:
    """A dscim device behind a link: `ref`, the simulator, or a board.

    Opening it checks that a dscim device of this very `spec` answers. A context manager.
    """

    def __init__(self, link: Link, spec: SocSpec) -> None:
        """Raises UserError, the link closed, when something else or another build is at its end."""
        self.spec = spec
        self._link = link
        self.traffic = Counters()
        """Bytes that crossed the link since the device was opened."""
        self._cleared = self.traffic
        self._seen: Words | None = None
        try:
            self._check_identity()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Releases the link."""
        self._link.close()

    def load(self, weights: Words, parameters: Words, descriptors: Words) -> None:
        """Writes packed words to the three memories, each from its start."""
        self._write_memory("weights", weights)
        self._write_memory("parameters", parameters)
        self._write_memory("descriptors", descriptors)

    def write_tensor(self, base: int, tensor: Int8) -> None:
        """Writes (H, W, C) int8 to the activation memory from word `base` on."""
        self._write_memory("activations", pack_activations(tensor), base * WORD_BYTES)

    def read_tensor(self, base: int, shape: tuple[int, int, int], raw: bool = False) -> Outputs:
        """The (H, W, C) tensor at word `base` of the activation memory: int8, int32 when raw."""
        count = tensor_words(shape, raw) * WORD_BYTES // BUS_BYTES
        words = self._read_memory("activations", count, base * WORD_BYTES)
        return unpack_activations(words, shape, raw)

    def start(self, first: int, count: int) -> Counters:
        """Runs descriptors first..first+count-1; what was counted since the last start's end.

        The traffic is left out. Raises UserError when the device refuses one, LinkError when it
        hangs.
        """
        if self._seen is None:
            self._clear_counters()
            self._seen = np.zeros(len(registers.COUNTERS), np.uint32)
        self._start(first, count)
        values = self._read(registers.address(registers.COUNTERS[0]), len(registers.COUNTERS))
        counted, self._seen = values - self._seen, values  # 32 bits, and so whole after a wrap
        return Counters(**dict(zip(registers.COUNTERS, map(int, counted), strict=True)))

    def run_layer(self, layer: LayerSpec, parameters: LayerParameters, x: Int8,
                  progress: Progress | None = None, *, depth: int | None = None,
                  raw: bool = False) -> LayerRun:
        """Runs a layer on x (N, H, W, C) int8, image by image; weights are uploaded once.

        depth: only the first so many inputs of each window count. raw: int32 sums in product
        units, bias included, instead of int8. progress(done, total) is called for each image.
        """
        if x.ndim != 4 or x.shape[1:] != layer.input or x.dtype != np.int8:
            raise UserError(f"The layer takes int8 inputs of shape (N, {layer.input}), not "
                            f"{x.dtype} of {x.shape}.")
        fields = layer_fields(self.spec, layer, depth=depth, raw=raw)
        self._clear_counters()
        self._upload(layer, parameters, fields)
        outputs = np.zeros((len(x), *layer.output), np.int32 if raw else np.int8)
        for index, image in enumerate(x):
            self.write_tensor(0, image)
            self._start(0, 1)
            outputs[index] = self.read_tensor(fields["output_base"], layer.output, raw)
            if progress:
                progress(index + 1, len(x))
        return LayerRun(outputs, self._counters())

    def multiply(self, x: Int8, w: Int8, product: ProductSpec, zero_point: int = 0,
                 progress: Progress | None = None) -> ProductRun:
        """sum((x - z) * w) for x (M, K) and w (K, N) int8, of any size, as `product` computes it.

        What does not fit the memories at once is cut into pieces whose sums add up; the cuts
        fall between row tiles and column tiles, so the bits stay the same.
        progress(done, total) is called for each piece.
        """
        macro = self.spec.macro
        values = np.zeros((x.shape[0], w.shape[1]), np.int64)
        deepest = self._deepest(w.shape[0])
        widest = min(w.shape[1], self.spec.channels,
                     self.spec.weight_rows // deepest * macro.columns)
        most = self.spec.activation_words // (pixel_words(deepest) + pixel_words(widest, True))
        most = min(most, MAX_SIDE)
        pieces = [(slice(m, m + most), slice(k, k + deepest), slice(n, n + widest))
                  for k in range(0, w.shape[0], deepest)
                  for n in range(0, w.shape[1], widest)
                  for m in range(0, x.shape[0], most)]
        total = Counters()
        for done, (m, k, n) in enumerate(pieces, 1):
            run = self._piece(x[m, k], w[k, n], product, zero_point)
            values[m, n] += run.outputs[0, :, 0]
            total += run.counters
            if progress:
                progress(done, len(pieces))
        return ProductRun(values, total)

    def _deepest(self, depth: int) -> int:
        """The most inputs of one piece: all, or as many whole OR groups as both memories hold.

        Whole row tiles where there is room for one.
        """
        macro = self.spec.macro
        room = min(self.spec.weight_rows, self.spec.activation_words * WORD_BYTES // 2)
        unit = macro.rows if room >= macro.rows else macro.or_width
        return min(depth, max(unit, room // unit * unit))

    def _piece(self, x: Int8, w: Int8, product: ProductSpec, zero_point: int) -> LayerRun:
        """One 1x1 layer over the rows of x as a column of pixels, raw."""
        outputs = w.shape[1]
        layer = LayerSpec((len(x), 1, x.shape[1]), outputs, input_zero=zero_point,
                          product=product)
        nothing = np.zeros(outputs, np.int32)
        weights = w.T.reshape(outputs, 1, 1, -1)
        return self.run_layer(layer, LayerParameters(weights, nothing, nothing, nothing),
                              x[None, :, None, :], raw=True)

    def _check_identity(self) -> None:
        names = ("magic", "protocol", "spec_hash")
        found = dict(zip(names, self._link.read(registers.address("magic"), 3), strict=True))
        if found["magic"] != registers.MAGIC:
            raise UserError(f"What answers is no dscim device: it reads {found['magic']:#010x} "
                            f"where {registers.MAGIC:#010x} is due.")
        if found["protocol"] != registers.PROTOCOL:
            raise UserError(f"The device speaks protocol {found['protocol']}, this host "
                            f"{registers.PROTOCOL}; rebuild the device or use its own host.")
        if found["spec_hash"] != self.spec.hash:
            raise UserError(f"The device was built from spec {found['spec_hash']:08x}, but "
                            f"{self.spec.hash:08x} is asked for; rebuild it, or give the "
                            "options that it was built with.")

    def _upload(self, layer: LayerSpec, parameters: LayerParameters, fields: dict[str, int]
                ) -> None:
        matrix = weight_matrix(parameters.weights)[:fields["depth"]]
        bias = parameters.bias.astype(np.int64)
        if not layer.product.exact:
            bias = bias + column_corrections(matrix, layer.product, layer.input_zero)
        self.load(pack_weights(matrix, self.spec.macro.columns),
                  pack_parameters(bias, parameters.multiplier, parameters.shift),
                  np.array(descriptor.pack(fields), np.uint32))

    def _start(self, first: int, count: int) -> None:
        """Runs `count` descriptors from `first` on and waits for their end."""
        self._control(start=1, first=first, count=count)
        deadline = time.monotonic() + LAYER_SECONDS
        while True:
            status = registers.BY_NAME["status"].unpack(self._read_register("status"))
            if not status["busy"]:
                break
            if time.monotonic() > deadline:
                raise LinkError(f"The device is still busy after {LAYER_SECONDS:.0f} s; "
                                "it hangs, restart it.")
        error = ErrorCode(status["error"])
        if error:
            raise UserError(f"The device refused descriptor {status['place']}: {error.text}")

    def _clear_counters(self) -> None:
        self._cleared, self._seen = self.traffic, None
        self._control(clear=1)

    def _counters(self) -> Counters:
        first = registers.address(registers.COUNTERS[0])
        values = self._read(first, len(registers.COUNTERS))
        counted = Counters(**dict(zip(registers.COUNTERS, map(int, values), strict=True)))
        return counted + (self.traffic - self._cleared)

    def _control(self, **fields: int) -> None:
        word = registers.BY_NAME["control"].pack(**fields)
        self._write(registers.address("control"), np.array([word], np.uint32))

    def _read_register(self, name: str) -> int:
        return int(self._read(registers.address(name), 1)[0])

    def _read_memory(self, name: str, count: int, offset: int = 0) -> Words:
        return self._read(registers.MEMORY_BASES[name] + offset, count)

    def _write_memory(self, name: str, words: Words, offset: int = 0) -> None:
        self._write(registers.MEMORY_BASES[name] + offset, words)

    def _read(self, address: int, count: int) -> Words:
        self.traffic += Counters(bytes_read=4 * count)
        return self._link.read(address, count)

    def _write(self, address: int, words: Words) -> None:
        self.traffic += Counters(bytes_written=4 * len(words))
        self._link.write(address, words)
