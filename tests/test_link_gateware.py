"""The link in the dscim SoC, and behind a UART PHY at line rate."""

from collections.abc import Iterator

import numpy as np
import pytest

from dscim.gateware import registers
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.sim.server import Simulator
from dscim.sim.soc import soc_design
from tests import link_soc
from tests.link_bytes import ADDRESS, CLOSE, OPENED, READ, REFUSED, WRITE, WRITTEN, frame, wire
from tests.link_soc import CYCLES, MEMORY, UART_CLK_FREQ, WORDS, Client

SPEC = SocSpec(
    MacroSpec(rows=32, columns=4, lanes=4),
    activation_words=4096,
    weight_rows=4096,
    channels=256,
    strip=4,
    requant_lanes=4,
)
SIZES = {
    "descriptors": SPEC.descriptors * 64,
    "parameters": SPEC.channels * 16,
    "weights": SPEC.weight_rows * SPEC.macro.columns,
    "activations": SPEC.activation_words * 8,
}
"""Bytes of the memories: 64 per descriptor, 16 for the parameters of a channel."""


@pytest.fixture
def client() -> Iterator[Client]:
    with Simulator(soc_design(SPEC)) as simulator:
        connection = Client(simulator)
        answer = connection.open(0xD5C1)
        assert answer[0] == OPENED
        assert answer[4][1] == SPEC.hash
        yield connection
        connection.close()


def test_frames_reach_memories_registers_and_identifier_only(client: Client) -> None:
    sequence = 0

    def refused(address: int, count: int) -> bool:
        """Whether READ and WRITE there are both refused because of the address."""
        nonlocal sequence
        (read,) = client.ask(frame(READ, 0, client.session, address, count=count))
        (write,) = client.ask(frame(WRITE, sequence, client.session, address, [0] * count))
        sequence += write[0] == WRITTEN
        assert (read[0] == REFUSED) == (write[0] == REFUSED)
        assert read[0] != REFUSED or read[4] == write[4] == (ADDRESS,)
        return bool(read[0] == REFUSED)

    for name, base in registers.MEMORY_BASES.items():
        end = base + SIZES[name]
        assert not refused(base, 2)
        assert not refused(end - 8, 2)
        for address, count in ((base - 4, 1), (base - 4, 2), (end - 4, 2), (end, 1), (base + 2, 1)):
            assert refused(address, count), (name, hex(address), count)
    assert client.read(registers.address("magic")) == [registers.MAGIC]
    text = client.read(0x1000, 64)
    expected = f"dscim {registers.PROTOCOL} spec {SPEC.hash:08x}"
    assert "".join(map(chr, text[: text.index(0)])) == expected
    for address in (0, 4, 0x7FC, 0x2000, 0xFFFC, 0x1_0000, 0x5000_0000, 0xFFFF_FFFC):
        assert refused(address, 1), hex(address)
    assert refused(0x0FFC, 2)  # across the end of a page


def test_counters_are_read_by_frames_and_by_the_bone(client: Client) -> None:
    counters = [register.name for register in registers.LINK_REGISTERS]
    assert counters == list(link_soc.COUNTERS)
    first = registers.address(counters[0])
    by_frames = client.read(first, len(counters))
    client.ask(frame(CLOSE, 0, client.session, 0))
    by_bone = client.bone_read(first, len(counters))
    assert by_bone[0] == by_frames[0] + 1
    assert by_bone[1:] == by_frames[1:]


def test_memories_hold_what_frames_write(client: Client) -> None:
    rng, sequence = np.random.default_rng(1), 0
    written = {}
    for name, base in registers.MEMORY_BASES.items():
        words = written[base] = [int(w) for w in rng.integers(0, 1 << 32, SIZES[name] // 4)]
        for start in range(0, len(words), 255):
            client.ask(
                frame(WRITE, sequence, client.session, base + 4 * start, words[start : start + 255])
            )
            sequence += 1
    for base, words in written.items():
        assert client.read(base, len(words)) == words


@pytest.mark.slow
@pytest.mark.parametrize("baud", [1_000_000, 3_000_000])
def test_line_rate_behind_a_real_uart(baud: int) -> None:
    """At 75 MHz at least 95 % of the bytes on the line are data in writes, 90 % in reads.

    Nothing is lost. The time is that of the SoC.
    """
    line = baud / 10 / UART_CLK_FREQ  # bytes per cycle, 8N1
    words = [int(w) for w in np.random.default_rng(2).integers(0, 1 << 32, WORDS)]
    with Simulator(link_soc.design(baud)) as simulator:
        client = Client(simulator, patience=120)
        client.open(1)
        clock = frame(READ, 0, 1, CYCLES, count=1)
        texts = [
            frame(WRITE, i, 1, MEMORY + 1020 * i, words[255 * i : 255 * i + 255])
            for i in range(-(-WORDS // 255))
        ]
        client.send(wire(clock, *texts, clock))
        came = client.frames(len(texts) + 2)
        assert [a[:2] for a in came[1:-1]] == [(WRITTEN, i) for i in range(len(texts))]
        written = 4 * WORDS / (came[-1][4][0] - came[0][4][0]) / line
        found, cycles = read_all(client, clock)
        client.close()
    read = (
        (4 * WORDS - 512) / cycles / line
    )  # 512: what the encoder may hold when the clock is read
    print(f"{baud} baud: {written:.3f} of the line's bytes written, {read:.3f} read")
    assert found == words
    assert written >= 0.95
    assert read >= 0.90


def read_all(client: Client, clock: bytes) -> tuple[list[int], int]:
    """The memory, read with up to four READs in flight, and the cycles that it took."""
    asks = [
        frame(READ, i, 1, MEMORY + 1020 * i, count=min(255, WORDS - 255 * i))
        for i in range(-(-WORDS // 255))
    ] + [clock]
    words: list[int] = []
    client.send(wire(clock, *asks[:4]))
    (begin,) = client.frames(1)
    for ask in [*asks[4:], *[b""] * 4]:
        (answer,) = client.frames(1)
        words += answer[4]
        client.send(wire(ask) if ask else b"")
    return words[:-1], words[-1] - begin[4][0]
