"""A device behind a link: writes and reads its memories, starts it, reads its counters."""

import dataclasses
import time
from typing import Self

import numpy as np

from dscim.arrays import Int8, Words
from dscim.checks import check_array, check_range
from dscim.errors import ArgumentError, LinkError, UserError
from dscim.gateware import registers
from dscim.gateware.layout import (
    Outputs,
    memory_sizes,
    pack_activations,
    tensor_rows,
    unpack_activations,
)
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import BUS_BYTES, WORD_BYTES
from dscim.host.link.base import Link

START_SECONDS = 300.0
"""Seconds after which a device that is still busy is considered hung."""


@dataclasses.dataclass
class Counters:
    """The device's counters, and the bytes of data that crossed the link; they can be added.

    All but the bytes are registers of the same names; see `dscim.gateware.registers`.
    """

    cycles_busy: int = 0
    cycles_computing: int = 0
    cycles_weights: int = 0
    cycles_activations: int = 0
    cycles_vector: int = 0
    cycles_link: int = 0
    products: int = 0
    bytes_written: int = 0
    bytes_read: int = 0

    def __add__(self, other: "Counters") -> "Counters":
        fields = [f.name for f in dataclasses.fields(self)]
        return Counters(*(getattr(self, name) + getattr(other, name) for name in fields))


class Controller:
    """A dscim device behind a link: `ref`, the simulator, or a board.

    Creating it checks that a dscim device built from `spec` answers. A context manager.
    """

    def __init__(self, link: Link, spec: SocSpec) -> None:
        """Closes the link and raises UserError if another device or build answers."""
        self.spec = spec
        self._link = link
        self._moved = Counters()
        try:
            self._check_identity()
            self._seen = self._read_counters()
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

    @property
    def link(self) -> Link:
        """Direct access to the bus, and its statistics; `counted` does not include these bytes."""
        return self._link

    def load(self, weights: Words, parameters: Words, descriptors: Words) -> None:
        """Writes packed words, each (n,) uint32, to the three memories, each from its start.

        ArgumentError for other arrays and for more words than a memory holds.
        """
        sizes = memory_sizes(self.spec)
        for name, words in (
            ("weights", weights),
            ("parameters", parameters),
            ("descriptors", descriptors),
        ):
            check_array(name, words, np.uint32, ("n",))
            check_range(f"the number of words for {name}", len(words), 0, sizes[name] // 4)
        self._write_memory("weights", weights)
        self._write_memory("parameters", parameters)
        self._write_memory("descriptors", descriptors)

    def write_tensor(self, base: int, tensor: Int8) -> None:
        """Writes (H, W, C) int8 to the activation memory, starting at row `base`.

        ArgumentError for another array, or if it does not fit there.
        """
        check_array("tensor", tensor, np.int8, ("H", "W", "C"))
        self._check_rows(base, tensor.shape)
        words = pack_activations(tensor, self.spec.banks)
        self._write_memory("activations", words, base * self.spec.banks * WORD_BYTES)

    def read_tensor(self, base: int, shape: tuple[int, int, int], raw: bool = False) -> Outputs:
        """The (H, W, C) tensor at row `base` of the activation memory: int8, or int32 if raw.

        ArgumentError if such a tensor does not fit there.
        """
        self._check_rows(base, shape, raw)
        row = self.spec.banks * WORD_BYTES
        count = tensor_rows(shape, self.spec.banks, raw) * row // BUS_BYTES
        words = self._read_memory("activations", count, base * row)
        return unpack_activations(words, shape, self.spec.banks, raw)

    def start(self, first: int, count: int) -> None:
        """Runs descriptors first..first+count-1 and waits until they are done.

        Raises UserError if the device rejects one, LinkError if it hangs, ArgumentError for
        descriptors that it does not have.
        """
        check_range("the first descriptor", first, 0, self.spec.descriptors - 1)
        check_range("the number of descriptors", count, 0, self.spec.descriptors - first)
        control = registers.BY_NAME["control"].pack(start=1, first=first, count=count)
        self._write(registers.address("control"), np.array([control], np.uint32))
        deadline = time.monotonic() + START_SECONDS
        while True:
            word = int(self._read(registers.address("status"), 1)[0])
            status = registers.BY_NAME["status"].unpack(word)
            if not status["busy"]:
                break
            if time.monotonic() > deadline:
                raise LinkError(
                    f"The device is still busy after {START_SECONDS:.0f} s; it hangs, restart it."
                )
        error = ErrorCode(status["error"])
        if error:
            raise UserError(f"The device refused descriptor {status['place']}: {error.text}")

    def counted(self) -> Counters:
        """The counts since the last call, or since the device was opened."""
        values = self._read_counters()
        counted = Counters(
            **dict(zip(registers.COUNTERS, map(int, values - self._seen), strict=True))
        )  # right even after a 32-bit wrap
        moved, self._moved, self._seen = self._moved, Counters(), values
        return counted + moved

    def _check_rows(self, base: int, shape: tuple[int, ...], raw: bool = False) -> None:
        """ArgumentError unless a tensor (H, W, C) fits the activation memory at row `base`."""
        if len(shape) != 3 or min(shape) < 1:
            raise ArgumentError(f"A tensor of shape {shape} is not (H, W, C), each at least 1.")
        rows = tensor_rows((shape[0], shape[1], shape[2]), self.spec.banks, raw)
        if base < 0 or base + rows > self.spec.activation_rows:
            raise ArgumentError(
                f"A tensor of shape {shape} takes {rows} rows from row {base} on; the device has "
                f"{self.spec.activation_rows}."
            )

    def _check_identity(self) -> None:
        names = ("magic", "protocol", "spec_hash")
        found = dict(zip(names, self._link.read(registers.address("magic"), 3), strict=True))
        if found["magic"] != registers.MAGIC:
            raise UserError(
                f"Not a dscim device: read {found['magic']:#010x}, "
                f"expected {registers.MAGIC:#010x}."
            )
        if found["protocol"] != registers.PROTOCOL:
            raise UserError(
                f"The device uses protocol {found['protocol']}, this host protocol "
                f"{registers.PROTOCOL}; rebuild the device or use the host software it came with."
            )
        if found["spec_hash"] != self.spec.hash:
            raise UserError(
                f"The device was built from spec {found['spec_hash']:08x}, but the options "
                f"describe {self.spec.hash:08x}; rebuild it, or use the options of its build."
            )

    def _read_counters(self) -> Words:
        return self._read(registers.address(registers.COUNTERS[0]), len(registers.COUNTERS))

    def _read_memory(self, name: str, count: int, offset: int = 0) -> Words:
        return self._read(registers.MEMORY_BASES[name] + offset, count)

    def _write_memory(self, name: str, words: Words, offset: int = 0) -> None:
        self._write(registers.MEMORY_BASES[name] + offset, words)

    def _read(self, address: int, count: int) -> Words:
        self._moved += Counters(bytes_read=4 * count)
        return self._link.read(address, count)

    def _write(self, address: int, words: Words) -> None:
        self._moved += Counters(bytes_written=4 * len(words))
        self._link.write(address, words)
