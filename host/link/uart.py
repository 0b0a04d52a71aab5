"""The device's bus over LiteX's UARTBone: commands of up to 255 words, without a checksum."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

import numpy as np

from dscim.arrays import Words
from dscim.errors import LinkError
from dscim.host.link.base import LinkStatistics
from dscim.host.link.frames import check_place, check_words
from dscim.host.link.transport import BRIDGE_SECONDS, Disturbed, Transport, open_transport

WRITE, READ = 1, 2
"""UARTBone's commands with incrementing addresses."""

PROBE_WORDS = 16384
"""Words that are written before the probe is read."""


class UartLink:
    """A Link over a serial port or a socket.

    target: "/dev/ttyUSB0", "socket://127.0.0.1:PORT", or any other port that pyserial opens.
    timeout: seconds without a byte after which a command fails.
    retries: how often a failed read, or a failed write to `memories`, is repeated; registers are
        written once. Reads must have no side effects.
    probe: (address, word) of a word that never changes, such as an identifier. It is read when
        the link opens and after each write, so a write is complete when `write` returns. Without
        a probe, only the next read notices a lost write.
    memories: ranges of byte addresses where writing a word twice does no harm.
    settle: waits until the bridge has dropped an incomplete command (100 ms of the SoC's time);
        the default suits a SoC that runs in real time.
    """

    def __init__(
        self,
        target: str,
        *,
        baudrate: int = 115200,
        timeout: float = 2.0,
        retries: int = 2,
        probe: tuple[int, int] | None = None,
        memories: Sequence[range] = (),
        settle: Callable[[], None] = lambda: time.sleep(1.5 * BRIDGE_SECONDS),
    ) -> None:
        self._retries = retries
        self._probe = probe
        self._memories = memories
        self._settle = settle
        self._transport: Transport = open_transport(target, baudrate, timeout)
        try:
            self._attempt(self._check, self._retries)
        except BaseException:
            self.close()
            raise

    @property
    def statistics(self) -> LinkStatistics:
        """Bytes only: UARTBone has no frames and detects no damage."""
        return LinkStatistics(
            bytes_sent=self._transport.bytes_sent, bytes_received=self._transport.bytes_received
        )

    def read(self, address: int, count: int) -> Words:
        """See `dscim.host.link.base.Link`."""
        check_place(address, count)
        words: Words = np.empty(count, np.uint32)
        done = 0

        def rest() -> None:
            nonlocal done
            for part in self._read(address + 4 * done, count - done):
                words[done : done + len(part)] = part
                done += len(part)

        self._attempt(rest, self._retries)
        return words

    def write(self, address: int, words: Words) -> None:
        """See `dscim.host.link.base.Link`."""
        check_words(address, words)
        end = address + 4 * len(words)
        memory = any(part.start <= address and end <= part.stop for part in self._memories)
        for start in range(0, len(words), PROBE_WORDS):
            part = words[start : start + PROBE_WORDS]
            commands = write_commands(address + 4 * start, part, self._transport.words_per_command)
            self._attempt(partial(self._write, commands), self._retries if memory else 0)

    def close(self) -> None:
        """Releases the port. Idempotent."""
        self._transport.close()

    def _write(self, commands: bytes) -> None:
        self._transport.send(commands)
        self._check()

    def _read(self, address: int, count: int) -> Iterator[Words]:
        """The words, one part per command; the transport limits the commands in flight."""
        if self._transport.pending():
            raise Disturbed(f"{self._transport.name} sent unexpected bytes")
        step, most = self._transport.words_per_command, self._transport.reads_in_flight
        sizes = [min(step, count - start) for start in range(0, count, step)]
        sent = 0
        for done, size in enumerate(sizes):
            if sent - done <= most // 2:
                batch = range(sent, min(done + most, len(sizes)))
                self._transport.send(
                    b"".join(_header(READ, sizes[i], address + 4 * step * i) for i in batch)
                )
                sent = batch.stop
            yield np.frombuffer(self._transport.receive(4 * size), ">u4")

    def _check(self) -> None:
        """Disturbed unless the probe reads its word; does nothing without a probe."""
        if self._probe is None:
            return
        address, expected = self._probe
        (word,) = (int(part[0]) for part in self._read(address, 1))
        if word != expected:
            raise Disturbed(
                f"{self._transport.name} reads {word:#010x} at {address:#x}, expected "
                f"{expected:#010x}; it is another device, or out of step"
            )

    def _attempt(self, act: Callable[[], None], retries: int) -> None:
        """Calls `act`; if it is disturbed, resynchronises the bridge and tries again.

        Raises LinkError if it still fails after `retries` more attempts. The bridge is then in
        step, or the error says that it is not.
        """
        for left in range(retries, -1, -1):
            try:
                return act()
            except Disturbed as error:
                self._resynchronise(error)
                if not left:
                    raise LinkError(f"{error} ({retries + 1} tries).") from None
        return None

    def _resynchronise(self, cause: LinkError) -> None:
        """Waits until the bridge drops an incomplete command, discards what it sent, and checks."""
        for _ in range(self._retries + 1):
            self._settle()
            while self._transport.pending():
                self._settle()
            with suppress(Disturbed):
                return self._check()
        raise LinkError(f"{cause}; UARTBone could not be resynchronised; reset the device.")


def write_commands(address: int, words: Words, step: int) -> bytes:
    """UARTBone commands that write `words` to byte `address` onwards, `step` words each at most."""
    data = words.astype(">u4").tobytes()
    starts = range(0, len(words), step)
    return b"".join(
        _header(WRITE, min(step, len(words) - start), address + 4 * start)
        + data[4 * start : 4 * (start + step)]
        for start in starts
    )


def _header(command: int, count: int, address: int) -> bytes:
    return bytes((command, count)) + (address >> 2).to_bytes(4, "big")
