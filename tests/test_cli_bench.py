"""`dscim bench`: the table, the JSON, misuse, and wrong words."""

import json
from pathlib import Path

import numpy as np
import pytest

from dscim.arrays import Words
from dscim.errors import LinkError
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.host.device import Device
from dscim.host.device.bench import Bench
from dscim.host.device.target import Line, line_of
from dscim.host.golden.twin.ref import ModelLink
from tests.commandline import assert_refused, dscim

SPEC = SocSpec(MacroSpec(rows=16, columns=4), requant_lanes=4)


@pytest.mark.parametrize("target", ["ref", "sim", "sim+eth"])
def test_the_table_and_the_json(target: str, tmp_path: Path) -> None:
    done = dscim(
        "bench",
        "--target",
        target,
        "--rows",
        16,
        "--columns",
        4,
        "--bytes",
        70_000,
        "--rounds",
        50,
        "--seed",
        5,
        "--json",
        "b.json",
        folder=tmp_path,
        seconds=300,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "b.json").read_text())
    assert (result["target"], result["seed"]) == (target, 5)
    assert result["latency"]["rounds"] == 50
    assert 0 < result["latency"]["least"] <= result["latency"]["median"]
    assert list(result["transfers"]) == ["write", "read", "loop-back"]
    for name, rate in result["transfers"].items():
        assert rate["bytes"] >= 70_000 * (2 if name == "loop-back" else 1)
        assert rate["bytes_per_second"] == pytest.approx(rate["bytes"] / rate["seconds"])
        assert name in done.stdout
    assert "seed 5" in done.stdout
    if target != "ref":
        moved = sum(rate["bytes"] for rate in result["transfers"].values())
        assert result["link"]["bytes_sent"] + result["link"]["bytes_received"] > moved
        assert result["link"]["round_trip"] > 0
        for name in ("write", "read"):  # on a loaded machine, the SoC's clock runs on meanwhile
            assert 0.2 < result["transfers"][name]["part_of_line"] < 1


@pytest.mark.parametrize(("target", "client"), [("sim", "CommUART"), ("sim+eth", "CommUDP")])
def test_litex_is_measured_too(target: str, client: str, tmp_path: Path) -> None:
    done = dscim(
        "bench",
        "--target",
        target,
        "--rows",
        16,
        "--columns",
        4,
        "--bytes",
        2_000,
        "--rounds",
        9,
        "--against",
        "litex",
        "--json",
        "b.json",
        folder=tmp_path,
        seconds=300,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "b.json").read_text())
    assert [(their["client"], their["what"], their["record"]) for their in result["litex"]] == [
        (client, "write", 255),
        (client, "write", 1),
        (client, "read", 255),
        ("RemoteClient", "read", 64),
    ]
    for their in result["litex"]:  # clients that lose a command on a loaded machine, and wait
        assert their["bytes"] == 2_000 or their["failed"] in done.stdout
        assert not their["wrong"] or f"{their['wrong']} words are WRONG" in done.stdout
        if their["bytes"]:
            ours = result["transfers"][their["what"]]["bytes_per_second"]
            assert their["ratio"] == pytest.approx(ours / their["bytes_per_second"])
    right = [their for their in result["litex"] if not their["wrong"] and not their["failed"]]
    assert f"LiteX's {client}, write by 255 words" in done.stdout
    assert right


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("--bytes 3", "--bytes 3"),
        ("--rounds 0", "--rounds 0"),
        ("--seed -1", "--seed -1"),
        ("--wait -1", "--wait -1"),
        ("--target uart:/dev/no-such-port", "/dev/no-such-port"),
        ("--target uart:/dev/ttyUSB0@0", "baud"),
        ("--target eth", "'eth:' has no valid address"),
        ("--target eth:10.0.0.1:0", "'eth:10.0.0.1:0' has no valid"),
        ("--target fpga", "'fpga' is unknown"),
        ("--against litex --target ref", "sim or sim+eth"),
        ("--json /no/folder/b.json", "/no/folder"),
    ],
)
def test_wrong_uses(options: str, word: str) -> None:
    assert_refused(dscim("bench", *options.split()), word)


class ForgetfulLink(ModelLink):
    """Flips a bit of the last word that is read from the activation memory."""

    def read(self, address: int, count: int) -> Words:
        words = super().read(address, count)
        if address >= 0x4000_0000 and count:
            words[-1] ^= np.uint32(0x100)
        return words


def test_a_wrong_word_is_reported() -> None:
    with (
        Device(ForgetfulLink(SPEC), SPEC) as device,
        pytest.raises(LinkError, match=r"1 of 25 words are wrong, the first at 0x40000060"),
    ):
        Bench(device, 1).transfers(100, lambda name, done, total: None)


def test_lines() -> None:
    assert line_of("ref") == Line()
    assert line_of("sim") == line_of("uart:socket://127.0.0.1:5")
    assert line_of("sim") == Line(bytes_per_cycle=1, name="1 byte per cycle")
    assert line_of("uart:/dev/ttyUSB0@3000000") == Line(300_000, name="3000000 baud")
    assert line_of("eth:10.0.0.1") == Line(bytes_per_second=125e6, name="gigabit")
    assert line_of("sim+eth").bytes_per_cycle == 4
