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
        bases = self._place_arrays(command.arrays)
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

    def _place_arrays(self, arrays: Arrays | None) -> tuple[int, int] | None:
        """(weight_base, parameter_base) of the arrays, or None if they do not fit."""
        if arrays is None:
            return 0, 0
        if arrays in self._places:
            return self._places[arrays]
        row_words = self.spec.macro.columns // BUS_BYTES
        rows = sum(map(len, self.weights)) // row_words
        channel = sum(map(len, self.parameters)) // PARAMETER_WORDS
        if (
            rows + len(arrays.weights) // row_words > self.spec.weight_rows
            or channel + len(arrays.parameters) // PARAMETER_WORDS > self.spec.channels
        ):
            return None
        self.weights.append(arrays.weights)
        self.parameters.append(arrays.parameters)
        self._places[arrays] = rows, channel
        return self._places[arrays]


class Space:
    """An allocator for the activation memory; it takes the lowest rows that fit."""

    def __init__(self, rows: int) -> None:
        """rows: the size of the memory."""
        self.rows = rows
        self._taken: dict[int, int] = {}

    def take(self, rows: int) -> int | None:
        """Allocates `rows` rows and returns the first, or None if there is no room."""
        base = 0
        for start in sorted(self._taken):
            if start - base >= rows:
                break
            base = start + self._taken[start]
        if base + rows > self.rows:
            return None
        self._taken[base] = rows
        return base

    def release(self, base: int) -> None:
        """Frees the rows that were allocated from `base` on."""
        del self._taken[base]
