"""What a device counts while it works."""

import dataclasses


@dataclasses.dataclass
class Counters:
    """What the device counted, and the bytes that crossed the link. They add up.

    All but the bytes are the registers of these names; see `dscim.gateware.registers`.
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
