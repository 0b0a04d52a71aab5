"""The target `ref`: the device's memories and registers in numpy, behind a Link."""

import numpy as np

from dscim.arrays import Words
from dscim.errors import LinkError
from dscim.gateware import descriptor, registers
from dscim.gateware.layout import memory_sizes
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import SocSpec
from dscim.host.golden.twin.compute import compute
from dscim.host.golden.twin.rejection import rejection
from dscim.host.link.base import LinkStatistics
from dscim.host.link.frames import check_place, check_words


class ModelLink:
    """A device that computes with the numpy reference; its cycle counters stay 0.

    It interprets the descriptors in its memory, so it exercises the host's packing and addressing
    as the gateware does.
    """

    def __init__(self, spec: SocSpec) -> None:
        self.spec = spec
        self._memories = {
            name: np.zeros(size // 4, np.uint32) for name, size in memory_sizes(spec).items()
        }
        self._registers = {register.name: 0 for register in registers.REGISTERS}
        self._registers |= {
            "magic": registers.MAGIC,
            "protocol": registers.PROTOCOL,
            "spec_hash": spec.hash,
        }

    @property
    def statistics(self) -> LinkStatistics:
        """All zero: there is no line."""
        return LinkStatistics()

    def read(self, address: int, count: int) -> Words:
        """See `dscim.host.link.base.Link`."""
        check_place(address, count)
        first = (address - registers.BANK_BASE) // 4
        if first >= 0 and first + count <= len(registers.REGISTERS):
            return np.array(list(self._registers.values())[first : first + count], np.uint32)
        return self._window(address, count).copy()

    def write(self, address: int, words: Words) -> None:
        """See `dscim.host.link.base.Link`."""
        check_words(address, words)
        if not len(words):
            return
        if address == registers.address("control"):
            self._control(registers.BY_NAME["control"].unpack(int(words[0])))
        else:
            self._window(address, len(words))[:] = words

    def close(self) -> None:
        """See `dscim.host.link.base.Link`. Does nothing."""

    def _window(self, address: int, count: int) -> Words:
        for name, base in registers.MEMORY_BASES.items():
            first = (address - base) // 4
            if first >= 0 and first + count <= len(self._memories[name]):
                return self._memories[name][first : first + count]
        raise LinkError(f"The device does not hold {count} words at {address:#x}.")

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
        error = rejection(self.spec, fields)
        if error is ErrorCode.NONE:
            self._registers["products"] += compute(self.spec, self._memories, fields)
        return error
