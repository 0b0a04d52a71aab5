"""The device's end of a UART in Python: frames in bytes, and those that are UARTBone's."""

from collections.abc import Callable

from dscim.host.golden.twin.link import Twin
from dscim.host.link import cobs
from dscim.host.link.frames import DamagedFrame


class LineTwin:
    """A twin behind a UART: bytes in, bytes out, and who owns those outside frames.

    bone: is given the bytes that belong to UARTBone, and answers them.
    """

    def __init__(self, twin: Twin, bone: Callable[[bytes], bytes] = lambda data: b"") -> None:
        self.twin = twin
        self._bone = bone
        self._inside: bytearray | None = None  # of a frame: its code so far

    def answer(self, data: bytes) -> bytes:
        """The bytes that answer these."""
        return b"".join(self._byte(byte) for byte in data)

    def quiet(self) -> bytes:
        """What follows when no byte comes for so long that a frame in its middle is given up."""
        answer = self._end() if self._inside else b""
        self._inside = None
        return answer

    def _byte(self, byte: int) -> bytes:
        if byte == 0:
            if self._inside is None:
                self._inside = bytearray()
                return b""
            return self._end() if self._inside else b""
        if self._inside is not None:
            if len(self._inside) <= cobs.MOST_CODE:
                self._inside.append(byte)
            return b""
        if self.twin.open:
            self.twin.counters.stray_bytes += 1
            return b""
        return self._bone(bytes([byte]))

    def _end(self) -> bytes:
        """A frame is complete; after a bad one its last 0x00 also begins the next."""
        assert self._inside is not None
        dropped = self.twin.counters.frames_dropped
        try:
            raw = cobs.decode(bytes(self._inside))
        except DamagedFrame:
            raw = b""
        answer = self.twin.answer(raw)
        self._inside = bytearray() if self.twin.counters.frames_dropped != dropped else None
        return cobs.wire(answer) if answer else b""
