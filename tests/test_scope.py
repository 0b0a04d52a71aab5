"""LiteScope in the simulated SoC: its samples agree with the device's counters."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from vcd.reader import TokenKind, tokenize

from dscim.arrays import Words
from dscim.errors import LinkError, UserError
from dscim.gateware import registers
from dscim.gateware.probes import PAGE, PROBES, REGISTERS, SAMPLES, place
from dscim.gateware.specs import MacroSpec, ProductSpec, SocSpec
from dscim.host.device.controller import Counters
from dscim.host.device.scope import CAPTURE_SAMPLES, Capture, Scope, column, vcd
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
"""Seconds; enough on a loaded machine."""


def test_the_registers_are_where_the_host_expects_them() -> None:
    """The registers of LiteScope itself, in its order, one word each."""
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


def test_its_samples_agree_with_the_counters(tmp_path: Path) -> None:
    """A capture covers a whole product: its cycles equal the counters."""
    random = np.random.default_rng(4)
    x = random.integers(-128, 128, (2, 24)).astype(np.int8)
    w = random.integers(-127, 128, (24, 4)).astype(np.int8)
    with open_target("sim", SPEC, report=print, scope=True) as device:
        scope = Scope(device.link)

        def captured(trigger: dict[str, int]) -> tuple[Counters, Words]:
            """Counters and samples of a product; again if a loaded machine made the host resend."""
            for _ in range(20):
                scope.arm(Capture(trigger, BEFORE))
                counters = device.multiply(x, w, ProductSpec()).counters
                with suppress(LinkError):
                    return counters, scope.wait(LONG)
            raise AssertionError("no capture without a resent frame")

        for trigger, seen in (({"start": 1}, "start"), ({"windows": 1, "error": 0}, "windows")):
            counted, samples = captured(trigger)
            assert len(samples) == CAPTURE_SAMPLES
            first = int(np.argmax(column(samples, seen)))
            assert abs(first - BEFORE) <= 2  # LiteScope's queue
        assert counted.cycles_busy < CAPTURE_SAMPLES - BEFORE  # so one capture holds all of it
        counted, samples = captured({"start": 1})
        with pytest.raises(UserError, match=r"The trigger was not met within 0.5 s"):
            scope.arm(Capture({"error": 9}, 0))
            scope.wait(0.5)
    assert int(column(samples, "start").sum()) == 1
    assert int(column(samples, "busy").sum()) == counted.cycles_busy
    assert int(column(samples, "computing").sum()) == counted.cycles_computing
    sums = column(samples, "sums_valid") & column(samples, "sums_ready")
    assert int(sums.sum()) == counted.products
    assert _read_back(vcd(samples))[1] == _values(samples)


def _read_back(text: str) -> tuple[dict[str, int], list[dict[str, int]]]:
    """The widths of a VCD's variables, and their values in every sample of 10 ns."""
    names: dict[str, str] = {}
    widths: dict[str, int] = {}
    now: dict[str, int] = {}
    samples: list[dict[str, int]] = []
    for token in tokenize(io.BytesIO(text.encode())):
        if token.kind is TokenKind.VAR:
            names[token.var.id_code] = token.var.reference
            widths[token.var.reference] = token.var.size
        elif token.kind is TokenKind.TIMESCALE:
            assert str(token.timescale) == "1 ns"
        elif token.kind is TokenKind.CHANGE_TIME:
            samples += [dict(now)] * (token.time_change // 10 - len(samples))
        elif token.kind is TokenKind.CHANGE_SCALAR:
            now[names[token.scalar_change.id_code]] = int(token.scalar_change.value)
        elif token.kind is TokenKind.CHANGE_VECTOR:
            now[names[token.vector_change.id_code]] = int(token.vector_change.value)
    return widths, samples


@pytest.mark.parametrize("count", [1, 2, 50])
def test_a_vcd_holds_every_sample(count: int) -> None:
    """Random samples, some of them repeated."""
    random = np.random.default_rng(7)
    bits = sum(probe.width for probe in PROBES)
    samples = random.integers(0, 1 << bits, count, dtype=np.uint32)
    samples = samples.repeat(random.integers(1, 4, count))
    widths, values = _read_back(vcd(samples))
    assert widths == {probe.name: probe.width for probe in PROBES}
    assert values == _values(samples)


def _values(samples: np.ndarray) -> list[dict[str, int]]:
    return [
        {
            probe.name: int(sample) >> place(probe.name)[0] & (1 << probe.width) - 1
            for probe in PROBES
        }
        for sample in samples
    ]


def test_bad_triggers_are_refused(tmp_path: Path) -> None:
    for trigger, before, message in (
        ({"windowz": 1}, 0, "'windowz' is unknown"),
        ({"busy": 2}, 0, "1 bits and is never 2"),
        ({"busy": 1}, CAPTURE_SAMPLES, f"outside 0..{CAPTURE_SAMPLES - 1}"),
    ):
        with pytest.raises(UserError, match=message):
            Capture(trigger, before)
    assert place("error") == (2, 4)
    assert_refused(dscim("scope", "--trigger", "busy"), "'busy' is not a condition")
    assert_refused(dscim("scope", "--target", "ref"), "numpy")
    assert_refused(dscim("scope", "--trigger", "busy=2", "--quiet", folder=tmp_path), "never 2")
    assert contents(tmp_path) == []


def test_a_line_that_repeats_frames_gives_no_samples() -> None:
    """Reading a sample removes it, so a resent READ returns the next one."""

    class Line:
        """Everything reads as 1; the hundredth READ goes out twice."""

        statistics = LinkStatistics()

        def read(self, address: int, count: int) -> np.ndarray:
            self.statistics.frames_received += 1
            self.statistics.resends += self.statistics.frames_received == 100
            return np.ones(count, np.uint32)

    scope = Scope(Line())  # type: ignore[arg-type]
    with pytest.raises(LinkError, match="capture again"):
        scope.wait(1)
    assert len(scope.wait(1)) == CAPTURE_SAMPLES


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
    assert "'scope.vcd' has 1016 cycles; the macro computes in" in done.stdout
    assert len(_read_back((tmp_path / "scope.vcd").read_text())[1]) == CAPTURE_SAMPLES
