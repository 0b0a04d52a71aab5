"""LiteEth's way in and out with registers, where `ready` would cross all of it in one cycle."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import liteeth.core.ip
import liteeth.mac
from litex.soc.interconnect import stream


def _taking(own: type) -> Any:
    """The depacketizer `own`, whose sink says only by a register whether it is ready."""

    class Depacketizer(own):
        def __init__(self, dw: int = 8):
            own.__init__(self, dw)
            self.register = register = stream.PipeReady(self.sink.description)
            inner, self.sink = self.sink, register.sink
            self.comb += register.source.connect(inner)

    return Depacketizer


def _giving(own: type) -> Any:
    """The packetizer `own`, which sees only by a register whether its source is taken."""

    class Packetizer(own):
        def __init__(self, dw: int = 8):
            own.__init__(self, dw)
            self.register = register = stream.PipeReady(self.source.description)
            inner, self.source = self.source, register.source
            self.comb += inner.connect(register.sink)

    return Packetizer


@contextmanager
def repaired() -> Iterator[None]:
    """Within, LiteEth's MAC and IP are built so: as they come, `ready` goes from the comparison
    of an IP header through five modules to the memory behind the PHY, 18 ns on an ECP5."""
    places = [(liteeth.mac, "LiteEthMACDepacketizer", _taking),
              (liteeth.core.ip, "LiteEthIPV4Depacketizer", _taking),
              (liteeth.mac, "LiteEthMACPacketizer", _giving)]
    own = [getattr(module, name) for module, name, _ in places]
    for (module, name, change), part in zip(places, own, strict=True):
        setattr(module, name, change(part))
    try:
        yield
    finally:
        for (module, name, _), part in zip(places, own, strict=True):
            setattr(module, name, part)
