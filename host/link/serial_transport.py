"""A serial port, as a transport."""

import errno
import time

import serial

from dscim.errors import LinkError
from dscim.host.link.transport import BRIDGE_SECONDS, BRIDGE_WORDS, Stream, Taken

POLL_SECONDS = 0.01
"""A read returns at its first byte, or after this."""


class SerialTransport(Stream):
    """A serial port through pyserial, ours alone. A UART has no way to hold the sender back."""

    reads_in_flight = 1

    def __init__(self, target: str, baudrate: int, timeout: float) -> None:
        super().__init__(target, timeout)
        self.byte_seconds = 10 / baudrate
        in_time = int(BRIDGE_SECONDS / 2 / self.byte_seconds) // 4
        self.words_per_command = max(1, min(BRIDGE_WORDS, in_time))
        try:
            self._port = serial.serial_for_url(
                target, baudrate, timeout=POLL_SECONDS, exclusive=True
            )
        except (OSError, ValueError) as error:  # SerialException is an OSError
            if isinstance(error, OSError) and error.errno in (errno.EAGAIN, errno.EBUSY):
                raise Taken(
                    f"Serial port '{target}' is in use by another program of this machine; "
                    "wait for its end (--wait SECONDS) or end it."
                ) from None
            raise LinkError(f"Serial port '{target}' does not open: {error}.") from None

    def send(self, data: bytes) -> None:
        """See Transport."""
        try:
            self._port.write_timeout = self._timeout + 2 * len(data) * self.byte_seconds
            self._port.write(data)
            self.bytes_sent += len(data)
        except serial.SerialTimeoutException:
            raise self.stalled() from None
        except OSError as error:
            raise self._failed(error) from None

    def take(self, wait: float, worth: int = 1) -> bytes:
        """See Transport."""
        deadline = time.monotonic() + wait
        try:
            while True:
                waiting = self._port.in_waiting
                if waiting or wait > 0:
                    came = bytes(self._port.read(waiting or 1))
                    if came:
                        self.bytes_received += len(came)
                        return came
                if time.monotonic() >= deadline:
                    return b""
        except (OSError, TypeError) as error:  # TypeError: pyserial's port closed under it
            raise self._failed(error) from None

    def close(self) -> None:
        """See Transport."""
        self._port.close()

    def _failed(self, error: Exception) -> LinkError:
        return LinkError(f"Serial port '{self.name}' failed: {error}.")
