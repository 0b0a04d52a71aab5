"""LiteScope in the simulated SoC: what it sees is what the device counts."""

import re
from pathlib import Path

import numpy as np
import pytest

from dscim.errors import LinkError, UserError
from dscim.gateware import registers
from dscim.gateware.probes import PAGE, PROBES, REGISTERS, SAMPLES, place
from dscim.gateware.specs import MacroSpec, ProductSpec, SocSpec
from dscim.host.device.scope import TAKEN, Look, Scope, column, vcd
from dscim.host.device.target import open_target
from dscim.host.link.base import LinkStatistics
from tests.commandline import assert_refused, contents, dscim

pytest.importorskip("litescope")

SPEC = SocSpec(
    MacroSpec(rows=16, columns=4),
    exact=False,
    activation_words=512,
    weight_rows=512,
    channels=64,
    strip=16,
    requant_lanes=1,
    descriptors=16,
)
BEFORE = 20
LONG = 600
"""Seconds, for a starved machine."""


def test_the_registers_are_where_the_host_looks_for_them() -> None:
    """LiteScope's own, in its order, a word each."""
    from litescope import LiteScopeAnalyzer  # noqa: PLC0415
    from migen import Signal  # noqa: PLC0415

    scope = LiteScopeAnalyzer(
        [Signal(sum(probe.width for probe in PROBES))], SAMPLES, clock_domain="sys", csr_csv=None
    )
    found = scope.get_csrs()
    assert tuple(one.name for one in found) == REGISTERS
    assert all(one.size <= 32 for one in found)
    assert PAGE not in (registers.BANK_PAGE, registers.IDENTIFIER_PAGE, registers.LINK_PAGE)
    assert len({probe.name for probe in PROBES}) == len(PROBES)


def test_it_sees_what_the_device_counts(tmp_path: Path) -> None:
    """A whole product lies between two samples: its cycles are those of the counters."""
    random = np.random.default_rng(4)
    x = random.integers(-128, 128, (2, 24)).astype(np.int8)
    w = random.integers(-127, 128, (24, 4)).astype(np.int8)
    with open_target("sim", SPEC, report=print, scope=True) as device:
        scope = Scope(device.link)
        for trigger, seen in (({"start": 1}, "start"), ({"windows": 1, "error": 0}, "windows")):
            scope.arm(Look(trigger, BEFORE))
            device.counted()
            counted = device.multiply(x, w, ProductSpec()).counters
            samples = scope.wait(LONG)
            assert len(samples) == TAKEN
            first = int(np.argmax(column(samples, seen)))
            assert abs(first - BEFORE) <= 2  # LiteScope's queue
        assert counted.cycles_busy < TAKEN - BEFORE  # so that one look sees all of it
        scope.arm(Look({"start": 1}, BEFORE))
        counted = device.multiply(x, w, ProductSpec()).counters
        samples = scope.wait(LONG)
        with pytest.raises(UserError, match=r"The trigger was not met in 0.5 s"):
            scope.arm(Look({"error": 9}, 0))
            scope.wait(0.5)
    assert int(column(samples, "start").sum()) == 1
    assert int(column(samples, "busy").sum()) == counted.cycles_busy
    assert int(column(samples, "computing").sum()) == counted.cycles_computing
    sums = column(samples, "sums_valid") & column(samples, "sums_ready")
    assert int(sums.sum()) == counted.products
    assert _read_back(vcd(samples)) == [
        {probe.name: int(column(samples, probe.name)[k]) for probe in PROBES} for k in range(TAKEN)
    ]


def _read_back(text: str) -> list[dict[str, int]]:
    """The samples of a VCD, 10 ns each."""
    names = {key: name for _, key, name in re.findall(r"\$var wire (\d+) (\S) (\w+) \$end", text)}
    body = text.split("$enddefinitions $end\n")[1].splitlines()
    now: dict[str, int] = {}
    samples: list[dict[str, int]] = []
    for line in body:
        if line.startswith("#"):
            samples += [dict(now)] * (int(line[1:]) // 10 - len(samples))
        else:
            bits, key = line[1:].split() if line[0] == "b" else (line[0], line[1:])
            now[names[key]] = int(bits, 2)
    return samples


def test_bad_triggers_are_refused(tmp_path: Path) -> None:
    for trigger, before, told in (
        ({"windowz": 1}, 0, "no probe 'windowz'"),
        ({"busy": 2}, 0, "1 bits and is never 2"),
        ({"busy": 1}, TAKEN, f"outside 0..{TAKEN - 1}"),
    ):
        with pytest.raises(UserError, match=told):
            Look(trigger, before)
    assert place("error") == (2, 4)
    assert_refused(dscim("scope", "--trigger", "busy"), "'busy' is no condition")
    assert_refused(dscim("scope", "--target", "ref"), "numpy")
    assert_refused(dscim("scope", "--trigger", "busy=2", "--quiet", folder=tmp_path), "never 2")
    assert contents(tmp_path) == []


def test_a_line_that_repeats_frames_gives_no_samples() -> None:
    """A sample is gone once it is read: what a resent READ brings is the next one."""

    class Line:
        """Everything reads as 1; the hundredth READ goes out twice."""

        statistics = LinkStatistics()

        def read(self, address: int, count: int) -> np.ndarray:
            self.statistics.frames_received += 1
            self.statistics.resends += self.statistics.frames_received == 100
            return np.ones(count, np.uint32)

    scope = Scope(Line())  # type: ignore[arg-type]
    with pytest.raises(LinkError, match="look again"):
        scope.wait(1)
    assert len(scope.wait(1)) == TAKEN


@pytest.mark.slow
def test_the_command_writes_a_vcd(tmp_path: Path) -> None:
    done = dscim(
        "scope",
        "--rows",
        16,
        "--columns",
        4,
        "--trigger",
        "busy=1",
        "--trigger",
        "error=0",
        "--before",
        8,
        folder=tmp_path,
        seconds=600,
    )
    assert done.returncode == 0, done.stderr
    assert "'scope.vcd' has 1016 cycles, the macro at work in" in done.stdout
    assert len(_read_back((tmp_path / "scope.vcd").read_text())) == TAKEN
