"""Allocates the device's memories: weights, parameters and descriptors by segment, tensors."""

from dataclasses import dataclass, field

import numpy as np

from dscim.arrays import Words
from dscim.gateware import descriptor
from dscim.gateware.layout import PARAMETER_WORDS
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import BUS_BYTES
from dscim.host.compile.program import Arrays, Command, Load


@dataclass
class Segment:
    """The weights, parameters and descriptors that are loaded together.

    It grows command by command until a memory is full. Shared weights are stored once.
    """

    spec: SocSpec
    weights: list[Words] = field(default_factory=list)
    parameters: list[Words] = field(default_factory=list)
    descriptors: list[Words] = field(default_factory=list)
    _places: dict[Arrays, tuple[int, int]] = field(default_factory=dict)

    def place(self, command: Command) -> int | None:
        """Adds the command and returns the index of its descriptor, or None if it does not fit."""
        bases = self._place_arrays(command.arrays, command.fields["parameter_base"])
        if bases is None or len(self.descriptors) >= self.spec.descriptors:
            return None
        weights, parameters = bases
        fields = command.fields | {"weight_base": weights, "parameter_base": parameters}
        self.descriptors.append(np.array(descriptor.pack(fields), np.uint32))
        return len(self.descriptors) - 1

    def load(self) -> Load:
        """The action that loads the segment into the device."""
        return Load(
            *(
                np.concatenate(parts) if parts else np.zeros(0, np.uint32)
                for parts in (self.weights, self.parameters, self.descriptors)
            )
        )

    def _place_arrays(self, arrays: Arrays | None, modulo: int) -> tuple[int, int] | None:
        """(weight_base, parameter_base) of the arrays, or None if they do not fit.

        modulo: the required parameter base modulo 8.
        """
        if arrays is None:
            return 0, 0
        if arrays in self._places:
            return self._places[arrays]
        row_words = self.spec.macro.columns // BUS_BYTES
        rows = sum(map(len, self.weights)) // row_words
        channel = sum(map(len, self.parameters)) // PARAMETER_WORDS
        gap = (modulo - channel) % 8
        if (
            rows + len(arrays.weights) // row_words > self.spec.weight_rows
            or channel + gap + len(arrays.parameters) // PARAMETER_WORDS > self.spec.channels
        ):
            return None
        self.weights.append(arrays.weights)
        self.parameters += [np.zeros(gap * PARAMETER_WORDS, np.uint32), arrays.parameters]
        self._places[arrays] = rows, channel + gap
        return self._places[arrays]


class Space:
    """An allocator for the activation memory; it takes the lowest address that fits."""

    def __init__(self, words: int) -> None:
        """words: the size of the memory."""
        self.words = words
        self._taken: dict[int, int] = {}

    def take(self, words: int) -> int | None:
        """Allocates `words` words and returns their address, or None if there is no room."""
        base = 0
        for start in sorted(self._taken):
            if start - base >= words:
                break
            base = start + self._taken[start]
        if base + words > self.words:
            return None
        self._taken[base] = words
        return base

    def release(self, base: int) -> None:
        """Frees the words that were allocated at `base`."""
        del self._taken[base]
