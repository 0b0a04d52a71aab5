"""`dscim selftest` passes on a correct device and finds each fault of a faulty one."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dscim.arrays import Words
from dscim.gateware import registers
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.host.device import Device
from dscim.host.device.selftest import SelfTest
from dscim.host.golden.twin.ref import ModelLink
from tests.commandline import assert_refused, dscim

SMALL = SocSpec(
    MacroSpec(rows=32, columns=8),
    activation_words=512,
    weight_rows=128,
    channels=16,
    strip=4,
    requant_lanes=8,
)
ARRAY = SocSpec(
    MacroSpec(rows=16, columns=4, form="array", lanes=4),
    exact=False,
    activation_words=512,
    weight_rows=64,
    channels=16,
    strip=4,
    banks=2,
    requant_lanes=4,
)
CHECKS = [
    "identifier",
    "clock",
    "memories",
    "sequence",
    "macro",
    "layer",
    "block",
    "channels",
    "link",
]


def quiet(*_: object) -> None:
    """Takes and ignores anything."""


def verdicts(link: ModelLink) -> dict[str, bool]:
    with Device(link, link.spec) as device:
        return {one.name: one.holds for one in SelfTest(device, 5, quiet).run()}


@pytest.mark.parametrize("spec", [SMALL, ARRAY], ids=["selected", "array"])
def test_a_right_device_passes(spec: SocSpec) -> None:
    found = verdicts(ModelLink(spec))
    assert list(found) == CHECKS
    assert all(found.values())


class Faulty(ModelLink):
    """A device with one wrong answer."""

    def __init__(self, spec: SocSpec, spoil: Callable[[int, Words], Words]) -> None:
        super().__init__(spec)
        self._spoil = spoil

    def read(self, address: int, count: int) -> Words:
        return self._spoil(address, super().read(address, count))


def stuck_bit(address: int, words: Words) -> Words:
    """Bit 7 of one word of the weight memory reads as 0."""
    place = (registers.MEMORY_BASES["weights"] + 4 * 100 - address) // 4
    if 0 <= place < len(words):
        words[place] &= np.uint32(0xFFFF_FF7F)
    return words


def test_a_stuck_bit_is_found_and_named() -> None:
    with Device(Faulty(SMALL, stuck_bit), SMALL) as device:
        findings = {one.name: one for one in SelfTest(device, 5, quiet).run()}
    assert not findings["memories"].holds
    assert f"{registers.MEMORY_BASES['weights'] + 400:#x} reads" in findings["memories"].seen


class Mirrored(ModelLink):
    """An activation memory without its highest address bit: two words share one place."""

    def _places(self, address: int, count: int) -> tuple[Words, Words]:
        memory = self._memories["activations"]
        first = (address - registers.MEMORY_BASES["activations"]) // 4
        return memory, np.arange(first, first + count, dtype=np.uint32) % (len(memory) // 2)

    def read(self, address: int, count: int) -> Words:
        if address < registers.MEMORY_BASES["activations"]:
            return super().read(address, count)
        memory, places = self._places(address, count)
        return memory[places]

    def write(self, address: int, words: Words) -> None:
        if address < registers.MEMORY_BASES["activations"]:
            super().write(address, words)
        else:
            memory, places = self._places(address, len(words))
            memory[places] = words


def test_a_lost_address_bit_is_found() -> None:
    assert not verdicts(Mirrored(ARRAY))["memories"]


class Wrong(ModelLink):
    """A device that computes the lowest bit of its first output inverted."""

    def _run(self, place: int) -> registers.ErrorCode:
        error = super()._run(place)
        memory = self._memories["activations"]
        memory[len(memory) // 2 :] ^= np.uint32(1)
        memory[: len(memory) // 2] ^= np.uint32(1)
        return error


def test_wrong_products_are_found() -> None:
    found = verdicts(Wrong(SMALL))
    assert found["memories"]
    assert not any(found[name] for name in ("sequence", "macro", "layer", "block", "channels"))


def test_the_command_line_says_what_holds(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"spec": ARRAY.to_json()}))
    done = dscim(
        "selftest",
        "--target",
        "ref",
        "--build",
        tmp_path,
        "--seed",
        1,
        "--json",
        tmp_path / "s.json",
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "s.json").read_text())
    assert facts["holds"] and facts["spec_hash"] == f"{ARRAY.hash:08x}"
    assert [one["name"] for one in facts["checks"]] == CHECKS
    assert "ref passes (seed 1" in done.stdout
    assert_refused(
        dscim("selftest", "--target", "ref", "--build", tmp_path / "none"), "has no report.json"
    )


@pytest.mark.slow
def test_the_simulated_device_passes(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"spec": ARRAY.to_json()}))
    done = dscim(
        "selftest",
        "--target",
        "sim",
        "--build",
        tmp_path,
        "--json",
        tmp_path / "s.json",
        seconds=1200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = {
        one["name"]: one["seen"] for one in json.loads((tmp_path / "s.json").read_text())["checks"]
    }
    assert seen["identifier"] == f"'dscim {registers.PROTOCOL} spec {ARRAY.hash:08x}'"
    assert seen["clock"].endswith("cycles between two reads")
