"""The device's bus over LiteX's UARTBone: commands of up to 255 words, no checksum."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

import numpy as np

from dscim.arrays import Words
from dscim.errors import LinkError
from dscim.host.link.base import check_place
from dscim.host.link.statistics import LinkStatistics
from dscim.host.link.transport import BRIDGE_SECONDS, Disturbed, Transport, open_transport

WRITE, READ = 1, 2  # UARTBone's commands with incrementing addresses
CONFIRMED = 16384  # words written before the device is asked whether it is still in step


class UartLink:
    """A Link over a serial port or a socket.

    target: "/dev/ttyUSB0", "socket://127.0.0.1:PORT", or what else pyserial opens.
    timeout: seconds without a byte, after which a command has failed.
    retries: how often a failed read, or a failed write into `memories`, is done again; registers
        are written once. Reads are taken to have no side effect.
    probe: (address, word) of a word that never changes, such as an identifier. It is read at the
        start and after each write, which thereby is done when `write` returns. Without a probe a
        write that was lost shows at the next read.
    memories: ranges of byte addresses where writing a word twice does no harm.
    settle: waits until the bridge has dropped a half-received command (100 ms of the SoC's time);
        the default fits a SoC that runs in real time.
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
        """Bytes alone: UARTBone has no frames, and nothing of it can be seen to be damaged."""
        return LinkStatistics(
            bytes_sent=self._transport.bytes_sent, bytes_received=self._transport.bytes_received
        )

    def read(self, address: int, count: int) -> Words:
        """The `count` words at `address`, `address + 4`, ... as uint32 of shape (count,)."""
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
        """Writes uint32 `words` of shape (n,) to `address`, `address + 4`, ...; n may be 0."""
        check_place(address, len(words))
        if words.dtype != np.uint32:
            raise ValueError(f"words to write are {words.dtype}, not uint32")
        end = address + 4 * len(words)
        memory = any(part.start <= address and end <= part.stop for part in self._memories)
        for start in range(0, len(words), CONFIRMED):
            part = words[start : start + CONFIRMED]
            frames = write_frames(address + 4 * start, part, self._transport.words_per_command)
            self._attempt(partial(self._write, frames), self._retries if memory else 0)

    def close(self) -> None:
        """Releases the port. Idempotent."""
        self._transport.close()

    def _write(self, frames: bytes) -> None:
        self._transport.send(frames)
        self._check()

    def _read(self, address: int, count: int) -> Iterator[Words]:
        """The words in parts, a part a command; as many commands in flight as the way allows."""
        if self._transport.pending():
            raise Disturbed(f"{self._transport.name} sent bytes that nobody asked for")
        step, most = self._transport.words_per_command, self._transport.reads_in_flight
        sizes = [min(step, count - start) for start in range(0, count, step)]
        asked = 0
        for done, size in enumerate(sizes):
            if asked - done <= most // 2:
                batch = range(asked, min(done + most, len(sizes)))
                self._transport.send(
                    b"".join(_header(READ, sizes[i], address + 4 * step * i) for i in batch)
                )
                asked = batch.stop
            yield np.frombuffer(self._transport.receive(4 * size), ">u4")

    def _check(self) -> None:
        """Disturbed unless the probe reads as it must; nothing to check without a probe."""
        if self._probe is None:
            return
        address, expected = self._probe
        (word,) = (int(part[0]) for part in self._read(address, 1))
        if word != expected:
            raise Disturbed(
                f"{self._transport.name} has {word:#010x} at {address:#x} instead of "
                f"{expected:#010x}; another device, or out of step"
            )

    def _attempt(self, act: Callable[[], None], retries: int) -> None:
        """Does `act`; when disturbed gets the bridge back in step and, `retries` times, acts again.

        Raises LinkError when that did not help; the bridge is in step even then, or it says so.
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
        """Lets the bridge drop what it has half received, drops what is on its way, checks."""
        for _ in range(self._retries + 1):
            self._settle()
            while self._transport.pending():
                self._settle()
            with suppress(Disturbed):
                return self._check()
        raise LinkError(f"{cause}; it did not come back in step, reset it.")


def write_frames(address: int, words: Words, step: int) -> bytes:
    """UARTBone's commands that write `words` to byte `address` on, at most `step` words each."""
    data = words.astype(">u4").tobytes()
    starts = range(0, len(words), step)
    return b"".join(
        _header(WRITE, min(step, len(words) - start), address + 4 * start)
        + data[4 * start : 4 * (start + step)]
        for start in starts
    )


def _header(command: int, count: int, address: int) -> bytes:
    return bytes((command, count)) + (address >> 2).to_bytes(4, "big")
