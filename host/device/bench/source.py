"""Words that the device itself makes, and their twin in numpy."""

import numpy as np

from dscim.arrays import Words
from dscim.gateware import descriptor, registers
from dscim.gateware.layout import pack_parameters, pack_weights, pixel_words, tensor_words
from dscim.gateware.specs import LayerSpec, ProductSpec
from dscim.gateware.specs.layer import MAX_SIDE
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.compile.descriptors import layer_fields
from dscim.host.device.controller import Controller
from dscim.host.golden.reference import product
from dscim.host.golden.reference.operands import column_corrections

DEPTH, MOST_OUTPUTS = 16, 32


class Source:
    """The engine as a source of words: sums of products of random operands, 32 bits each.

    The host has sent none of the words that it then reads. Their twin is the numpy reference of
    the same product.
    """

    def __init__(self, device: Controller, random: np.random.Generator) -> None:
        spec = device.spec
        self._device, self._random = device, random
        self._outputs = min(
            MOST_OUTPUTS, spec.channels, spec.weight_rows // DEPTH * spec.macro.columns
        )
        most = spec.activation_words // (pixel_words(DEPTH) + pixel_words(self._outputs, True))
        self._pixels = min(most, MAX_SIDE)
        macro = spec.macro
        self._product = ProductSpec(
            macro.or_width,
            macro.or_width,
            macro.sequence,
            macro.signed[0],
            exact=macro.form == "exact",
        )

    def make(self, count: int) -> tuple[int, Words]:
        """Has the device make `count` words or some more, or as many as fit: their address
        and twin."""
        pixels = min(self._pixels, -(-count // self._outputs))
        x = self._random.integers(-128, 128, (pixels, DEPTH)).astype(np.int8)
        w = self._random.integers(-128, 128, (DEPTH, self._outputs)).astype(np.int8)
        layer = LayerSpec((pixels, 1, DEPTH), self._outputs, product=self._product)
        bias = np.zeros(self._outputs, np.int64)
        if not self._product.exact:
            bias = bias + column_corrections(w, self._product, 0)
        fields = layer_fields(self._device.spec, layer, raw=True)
        self._device.load(
            pack_weights(w, self._device.spec.macro.columns),
            pack_parameters(bias, np.zeros_like(bias), np.zeros_like(bias)),
            np.array(descriptor.pack(fields), np.uint32),
        )
        self._device.write_tensor(0, x[:, None, :])
        self._device.start(0, 1)
        base = tensor_words(layer.input) * WORD_BYTES
        twin = product(x, w, self._product, 0)
        return registers.MEMORY_BASES["activations"] + base, _words(twin)


def _words(values: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Words:
    return (values.reshape(-1) & 0xFFFF_FFFF).astype(np.uint32)
