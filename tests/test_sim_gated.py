"""The link with gated clocks behaves like one without them, in every cycle."""

import random
import subprocess

import pytest

from tests.ethernet_bench import CLK_FREQ, compiled
from tests.ethernet_lines import (
    HOST_IP,
    ICMP,
    IPV4,
    PROBE,
    arp_reply,
    arp_request,
    echo_request,
    ethernet,
    ip,
    line,
    record,
    udp,
)
from tests.link_bytes import OPEN, READ, WRITE, frame, wire

SESSION = 0x5E55_1014


def said(sleeping: bool, commands: str) -> str:
    """The whole output of the bench: what leaves the lines and when, and the counters."""
    return subprocess.run(
        [compiled(sleeping)], input=commands, capture_output=True, text=True, check=True
    ).stdout


def traffic(rng: random.Random, opening: int) -> list[str]:
    """Commands of one round: frames, Etherbone, ARP, pings, other hosts, damage, both carriers."""
    commands = [f"stall {rng.randrange(100)} {rng.choice([0, 0, 20, 60])}"]
    for number in range(rng.randrange(1, 12)):
        ask = rng.choice(
            [
                frame(OPEN, 0, SESSION + opening, 1),
                frame(
                    WRITE,
                    number,
                    SESSION + opening,
                    4 * rng.randrange(999),
                    [rng.getrandbits(32) for _ in range(rng.choice([0, 1, 40, 255]))],
                ),
                frame(
                    READ,
                    number,
                    SESSION + opening,
                    4 * rng.randrange(999),
                    count=rng.choice([0, 1, 40, 255]),
                ),
            ]
        )
        bone = rng.choice(
            [
                record([1] * rng.randrange(1, 256)),
                PROBE,
                record(read=[4 * i for i in range(rng.randrange(1, 256))]),
            ]
        )
        sender = rng.choice([HOST_IP] * 9 + [bytes((192, 168, 1, 9))])
        text = rng.choice(
            [
                udp(1235, ask, source=sender),
                udp(1235, ask),
                udp(1235, ask),
                udp(1234, bone),
                udp(1234, bone[: rng.randrange(len(bone))]),
                arp_request(),
                arp_reply(),
                echo_request(bytes(rng.randrange(130))),
                udp(80, bytes(rng.randrange(300))),
            ]
        )
        commands.append(f"eth {line(text, flip=rng.choice([None] * 9 + [300])).hex()}")
        if rng.random() < 0.2:
            commands.append(f"uart {wire(ask).hex()}")
    commands.append(f"run {rng.choice([50, 3000, 100_000])} {rng.choice([30, 600, 3000])}")
    return commands


def standstills() -> list[str]:
    """A line that takes nothing, a ping with a wrong length, an unknown host: the watchdog acts."""
    ask = line(udp(1235, frame(READ, 0, SESSION, 0, count=255))).hex()
    lie = line(ethernet(IPV4, ip(ICMP, b"\x08\0\0\0" + bytes(96)) + bytes(1000))).hex()
    wait = f"run 1000000 {3 * CLK_FREQ // 100}"
    return [
        f"eth {line(udp(1235, frame(OPEN, 0, SESSION, 1))).hex()}",
        "run 1000 300",
        *[f"eth {ask}"] * 4,
        "freeze 1",
        wait,
        "freeze 0",
        wait,
        f"eth {lie}",
        wait,
        f"eth {line(udp(1234, record(read=[0]), source=bytes((192, 168, 1, 8)))).hex()}",
        "arp",
        wait,
        f"arp {line(arp_reply()).hex()}",
        f"eth {ask}",
        wait,
    ]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_sleeping_link_is_the_same_in_every_cycle(seed: int) -> None:
    rng = random.Random(seed)
    commands = [f"arp {line(arp_reply()).hex()}"]
    for number in range(60):
        commands += traffic(rng, number // 9)
    commands += ["stall 1 0", *standstills()]
    for number in range(20):
        commands += traffic(rng, 20 + number // 9)
    text = "\n".join(commands) + "\n"
    awake = said(False, text)
    resets = int(awake.rsplit("count link_resets ", 1)[1].split()[0])
    print(
        f"seed {seed}: {awake.count('eth ')} frames came, {resets} resets, "
        f"{awake.rsplit('done ', 1)[1].strip()} cycles"
    )
    assert resets >= 3
    assert awake.count("eth ") > 150
    assert said(True, text) == awake
