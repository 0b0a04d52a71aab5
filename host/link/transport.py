"""Byte streams that a UART link runs over: a serial port, or a TCP socket without its delays."""

from typing import Protocol

from dscim.errors import LinkError

BRIDGE_WORDS = 255
"""Words of a command of UARTBone, at most."""

BRIDGE_SECONDS = 0.1
"""UARTBone drops a command that takes longer, in the SoC's time."""


class Disturbed(LinkError):
    """Nothing came or went for the time-out, or what came is out of step; trying again may help."""


class Taken(LinkError):
    """Another program on this machine has the port."""


class Transport(Protocol):
    """Bytes both ways. Every call is bounded: `timeout` seconds without a byte end it.

    byte_seconds: what a byte takes on the line; 0 where nothing but the SoC limits it.
    words_per_command: as many as the bridge receives or sends in half its time-out, 255 at most.
    reads_in_flight: read commands that may wait for the bridge; 1 where a busy bridge loses them.
    bytes_sent, bytes_received: counted on the line.
    """

    name: str
    byte_seconds: float
    words_per_command: int
    reads_in_flight: int
    bytes_sent: int
    bytes_received: int

    def send(self, data: bytes) -> None:
        """Sends all of `data`, or raises Disturbed or LinkError."""

    def take(self, wait: float, worth: int = 1) -> bytes:
        """What has come, after at most `wait` seconds for a first byte; LinkError when closed.

        worth: fewer bytes than so many need not end the wait.
        """

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes; Disturbed when they do not come, LinkError when closed."""

    def pending(self) -> bytes:
        """What has come and was not asked for, without waiting; LinkError when closed."""

    def close(self) -> None:
        """Releases the port. Idempotent."""


def open_transport(target: str, baudrate: int, timeout: float) -> Transport:
    """The transport for `target`: "socket://HOST:PORT", or a port as pyserial names it."""
    if target.startswith("socket://"):
        from dscim.host.link.socket_transport import SocketTransport  # noqa: PLC0415 - its child

        return SocketTransport(target, timeout)
    from dscim.host.link.serial_transport import SerialTransport  # noqa: PLC0415 - who has a port

    return SerialTransport(target, baudrate, timeout)


class Stream:
    """What both transports do with the bytes that `take` gives."""

    def __init__(self, name: str, timeout: float) -> None:
        self.name = name
        self.bytes_sent = self.bytes_received = 0
        self._timeout = timeout
        self._kept = bytearray()

    def take(self, wait: float, worth: int = 1) -> bytes:
        """See Transport."""
        raise NotImplementedError

    def receive(self, count: int) -> bytes:
        """See Transport."""
        while len(self._kept) < count:
            came = self.take(self._timeout, count - len(self._kept))
            if not came:
                raise Disturbed(f"{self.name} sent no byte for {self._timeout:g} s")
            self._kept += came
        data = bytes(self._kept[:count])
        del self._kept[:count]
        return data

    def pending(self) -> bytes:
        """See Transport."""
        data = bytes(self._kept) + self.take(0)
        self._kept.clear()
        return data

    def stalled(self) -> Disturbed:
        """What to raise when nothing can be sent."""
        return Disturbed(f"{self.name} took no byte for {self._timeout:g} s")
