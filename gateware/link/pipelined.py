"""LiteEth's way in and out with registers, where `ready` would cross all of it in one cycle."""

from collections.abc import Iterator
from contextlib import contextmanager

import liteeth.core.arp
import liteeth.core.icmp
import liteeth.core.ip
import liteeth.core.udp
import liteeth.mac
from litex.soc.interconnect.stream import DIR_SINK, DIR_SOURCE, BufferizeEndpoints

PLACES = (
    (liteeth.mac, "LiteEthMACDepacketizer", {"sink": DIR_SINK}),
    (liteeth.core.arp, "LiteEthARPRX", {"sink": DIR_SINK}),
    (liteeth.core.ip, "LiteEthIPV4Depacketizer", {"sink": DIR_SINK}),
    (liteeth.mac, "LiteEthMACPacketizer", {"source": DIR_SOURCE}),
    (liteeth.core.udp, "LiteEthUDPRX", {"sink": DIR_SINK}),
    (liteeth.core.udp, "LiteEthUDPTX", {"sink": DIR_SINK}),
    (liteeth.core.icmp, "LiteEthICMPRX", {"sink": DIR_SINK}),
    (liteeth.core.icmp, "LiteEthICMPTX", {"sink": DIR_SINK}),
)
"""Who makes a part, the part's name there, and the end that gets registers both ways."""


@contextmanager
def repaired() -> Iterator[None]:
    """Within, LiteEth's MAC and IP are built so: as they come, `ready` goes from the comparison
    of an IP header through five modules to the memory behind the PHY, 18 ns on an ECP5."""
    own = [getattr(module, name) for module, name, _ in PLACES]
    for (module, name, ends), part in zip(PLACES, own, strict=True):
        setattr(module, name, BufferizeEndpoints(ends, pipe_valid=True, pipe_ready=True)(part))
    try:
        yield
    finally:
        for (module, name, _), part in zip(PLACES, own, strict=True):
            setattr(module, name, part)
