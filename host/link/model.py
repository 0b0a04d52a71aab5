"""The target `ref`: the device's memories and registers in numpy, behind the same link."""

import numpy as np
import numpy.typing as npt

from dscim.gateware import descriptor, registers
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.host.errors import LinkError
from dscim.host.layout import PARAMETER_WORDS, ceil_div, memory_sizes, pixel_words
from dscim.host.link.base import Words
from dscim.host.link.refusal import refusal
from dscim.host.reference import PreparedWeights, requantise, windows
from dscim.host.reference.operands import column_corrections


class ModelLink:
    """A device that computes with the numpy reference. It has no cycles: these counters stay 0.

    It interprets the descriptors in its memory, so that packing and addressing on the host are
    exercised just as with gateware.
    """

    def __init__(self, spec: SocSpec) -> None:
        self.spec = spec
        self._memories = {name: np.zeros(size // 4, np.uint32)
                          for name, size in memory_sizes(spec).items()}
        self._registers = dict.fromkeys(registers.BY_NAME, 0)
        self._registers |= {"magic": registers.MAGIC, "protocol": registers.PROTOCOL,
                            "spec_hash": spec.hash}

    def read(self, address: int, count: int) -> Words:
        """See `dscim.host.link.base.Link`."""
        first = (address - registers.BANK_BASE) // 4
        if 0 <= first < len(registers.REGISTERS):
            return np.array(list(self._registers.values())[first:first + count], np.uint32)
        return self._window(address, count).copy()

    def write(self, address: int, words: Words) -> None:
        """See `dscim.host.link.base.Link`."""
        if address == registers.address("control"):
            self._control(registers.BY_NAME["control"].unpack(int(words[0])))
        elif len(words):
            self._window(address, len(words))[:] = words

    def close(self) -> None:
        """Nothing to release."""

    def _window(self, address: int, count: int) -> Words:
        for name, base in registers.MEMORY_BASES.items():
            first = (address - base) // 4
            if first >= 0 and first + count <= len(self._memories[name]):
                return self._memories[name][first:first + count]
        raise LinkError(f"No memory of the device holds {count} words at {address:#x}.")

    def _control(self, control: dict[str, int]) -> None:
        if control["clear"]:
            self._registers |= dict.fromkeys(registers.COUNTERS, 0)
        if not control["start"]:
            return
        error, place = ErrorCode.NONE, control["first"]
        for place in range(control["first"], control["first"] + control["count"]):
            error = self._run(place)
            if error:
                break
        self._registers["status"] = registers.BY_NAME["status"].pack(error=error, place=place)

    def _run(self, place: int) -> ErrorCode:
        if place >= self.spec.descriptors:
            return ErrorCode.DESCRIPTOR
        words = self._memories["descriptors"].reshape(-1, descriptor.WORDS)[place]
        fields = descriptor.unpack(words)
        error = refusal(self.spec, fields)
        if error is ErrorCode.NONE:
            self._compute(fields)
        return error

    def _compute(self, f: dict[str, int]) -> None:
        product = self._product(f)
        matrix = self._weights(f)
        sums = PreparedWeights(matrix, product, f["input_zero"]).product(self._unrolled(f))
        if not product.exact:  # the host has folded the columns' constants into the bias
            sums -= column_corrections(matrix, product, f["input_zero"])
        bias, multiplier, shift = self._parameters(f)
        sums += bias
        clamp = (f["clamp_low"], f["clamp_high"])
        values: npt.NDArray[np.int32] | npt.NDArray[np.int8] = sums.astype(np.int32)
        if not f["raw"]:
            values = requantise(sums, multiplier, shift, f["output_zero"], clamp)
        pixel = pixel_words(f["outputs"], bool(f["raw"])) * WORD_BYTES
        size = len(values) * pixel
        start = f["output_base"] * WORD_BYTES
        room = self._memories["activations"].view(np.uint8)[start:start + size]
        room.reshape(len(values), pixel)[:, :f["outputs"] * values.itemsize] = \
            values.view(np.uint8)
        products = len(values) * ceil_div(f["depth"], self.spec.macro.rows)
        self._registers["products"] += products * ceil_div(f["outputs"], self.spec.macro.columns)

    def _product(self, f: dict[str, int]) -> ProductSpec:
        macro = self.spec.macros[f["macro"]]
        return ProductSpec(macro.or_width, macro.or_width << f["samples_log2"], macro.sequence,
                           "offset" if f["offset"] else "split", f["activation_shift"],
                           macro.form == "exact")

    def _unrolled(self, f: dict[str, int]) -> npt.NDArray[np.int8]:
        height, width, channels = f["input_height"], f["input_width"], f["input_channels"]
        pixel = pixel_words(channels) * WORD_BYTES
        start = f["input_base"] * WORD_BYTES
        held = self._memories["activations"].view(np.int8)[start:start + height * width * pixel]
        x = held.reshape(height, width, pixel)[:, :, :channels]
        below = (f["output_height"] - 1) * f["stride_y"] + f["kernel_height"] + f["origin_y"]
        right = (f["output_width"] - 1) * f["stride_x"] + f["kernel_width"] + f["origin_x"]
        x = x[max(f["origin_y"], 0):max(below, 0), max(f["origin_x"], 0):max(right, 0)]
        padding = ((max(-f["origin_y"], 0), max(below - height, 0)),
                   (max(-f["origin_x"], 0), max(right - width, 0)))
        layer = LayerSpec((*x.shape[:2], channels), f["outputs"],
                          (f["kernel_height"], f["kernel_width"]),
                          (f["stride_y"], f["stride_x"]), padding, f["input_zero"])
        return windows(x[None], layer).reshape(-1, layer.depth)[:, :f["depth"]]

    def _weights(self, f: dict[str, int]) -> npt.NDArray[np.int8]:
        columns = self.spec.macro.columns
        tiles = ceil_div(f["outputs"], columns)
        rows = self._memories["weights"].view(np.int8).reshape(-1, columns)
        tiled = rows[f["weight_base"]:][:tiles * f["depth"]].reshape(tiles, f["depth"], columns)
        return tiled.transpose(1, 0, 2).reshape(f["depth"], -1)[:, :f["outputs"]]

    def _parameters(self, f: dict[str, int]) -> npt.NDArray[np.int64]:
        table = self._memories["parameters"].view(np.int32).reshape(-1, PARAMETER_WORDS)
        chosen = table[f["parameter_base"]:][:f["outputs"], :3]
        return chosen.T.astype(np.int64)
