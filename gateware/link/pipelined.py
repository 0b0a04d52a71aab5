"""LiteEth's way in and out with registers, where `ready` would cross all of it in one cycle."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import liteeth.core.ip
import liteeth.mac
from litex.soc.interconnect import stream


def _taking(make: Any) -> Any:
    """Makes depacketizers whose sink says only by a register whether it is ready."""
    def made(dw: int) -> Any:
        part = make(dw)
        part.register = register = stream.PipeReady(part.sink.description)
        part.comb += register.source.connect(part.sink)
        part.sink = register.sink
        return part
    return made


def _giving(make: Any) -> Any:
    """Makes packetizers that see only by a register whether their source is taken."""
    def made(dw: int) -> Any:
        part = make(dw)
        part.register = register = stream.PipeReady(part.source.description)
        part.comb += part.source.connect(register.sink)
        part.source = register.source
        return part
    return made


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
