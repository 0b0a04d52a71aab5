"""The build of a model: cached by contents, safe next to another build, with clear errors."""

import errno
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dscim.cache import build_beside, cache_folder, digest, forget_old, used
from dscim.errors import SimulationError
from dscim.sim.verilate import verilate

VERILOG = """
module counter #(parameter STEP = 1) (input clk, output reg [7:0] q = 0);
  reg [7:0] table_ [0:0];
  initial $readmemh("table.init", table_);
  always @(posedge clk) q <= q + STEP[7:0] + table_[0];
endmodule
"""
MAIN = """
#include <cstdio>
#include "Vtop.h"
int main() {
    Vtop top;
    for (int i = 0; i < 10; ++i) {
        top.clk = 0; top.eval();
        top.clk = 1; top.eval();
    }
    std::printf("%d\\n", static_cast<int>(top.q));
}
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty cache, but for the run-time library from earlier builds."""
    folder = tmp_path_factory.mktemp("cache")
    for runtime in cache_folder().glob("runtime-*"):
        shutil.copytree(runtime, folder / runtime.name)
    return folder


@pytest.fixture
def sources(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("DSCIM_CACHE", str(cache))
    (tmp_path / "counter.v").write_text(VERILOG)
    (tmp_path / "main.cpp").write_text(MAIN)
    return [tmp_path / "counter.v", tmp_path / "main.cpp"]


def run(executable: Path) -> int:
    done = subprocess.run([executable], cwd=executable.parent, capture_output=True, check=True)
    return int(done.stdout)


def test_built_once_for_the_same_contents(sources: list[Path]) -> None:
    said: list[str] = []

    def build(step: int, table: str) -> Path:
        return verilate(
            "c", sources, "counter", files={"table.init": table}, flags=[f"-GSTEP={step}"],
            optimise="-O0", say=said.append,
        )  # fmt: skip

    def steps_said() -> list[str]:
        steps = [line.split(":")[0] for line in said]
        said.clear()
        return steps

    first = build(3, "05")
    assert run(first) == 10 * 8
    assert steps_said() == ["compile c"] * 2
    assert build(3, "05") == first
    assert steps_said() == []
    sources[0].write_text(VERILOG.replace("q +", "q + 1 +"))
    with ThreadPoolExecutor(2) as pool:  # both build at the same time
        second, twin = pool.map(lambda _: build(3, "06"), range(2))
    assert second == twin != first
    assert run(second) == 10 * 10
    assert steps_said() == ["compile c"] * 4
    assert not list(cache_folder().glob("*.building*"))


@pytest.mark.parametrize(
    ("file", "text", "step"),
    [(0, "module counter(input clk); assign", "verilator_bin"), (1, "int main( {", "make")],
)
def test_failed_build_is_one_sentence_and_a_log(
    sources: list[Path], file: int, text: str, step: str
) -> None:
    sources[file].write_text(text)
    with pytest.raises(SimulationError) as raised:
        verilate("broken", sources, "counter")
    message = str(raised.value)
    assert f"{step} failed" in message
    assert "rror" in message
    assert "\n" not in message
    log = Path(message.rsplit("see ", 1)[1].removesuffix("."))
    assert "rror" in log.read_text()
    assert not list(cache_folder().glob("*.building*"))


def test_cache_folder_with_a_blank_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSCIM_CACHE", str(tmp_path / "a b"))
    with pytest.raises(SimulationError, match="DSCIM_CACHE"):
        cache_folder()


def test_cache_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DSCIM_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(SimulationError, match="cannot be created"):
        cache_folder()


def test_what_is_there_first_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for text in ("first", "second"):
        with build_beside(home) as beside:
            (beside / "text").write_text(text)
    assert (home / "text").read_text() == "first"
    with pytest.raises(KeyError), build_beside(tmp_path / "other"):
        raise KeyError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_what_nobody_used_for_a_month_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSCIM_CACHE", str(tmp_path))
    for name in ("toy-old", "toy-new", "other-old"):
        (tmp_path / name).mkdir()
    (tmp_path / "toy-old.log").write_text("")
    for path in tmp_path.glob("*old*"):
        os.utime(path, (0, 0))
    forget_old("toy-*")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other-old", "toy-new"]


def test_digest_depends_on_where_parts_end() -> None:
    assert digest(["ab", "c"]) != digest(["a", "bc"])
    assert digest(["ab"]) == digest([b"ab"])


def test_a_cache_that_is_full_or_read_only_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSCIM_CACHE", str(tmp_path))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(SimulationError, match=r"No space left on device.*DSCIM_CACHE"):
            verilate("toy", [], "toy", files={"a": "b"})
    assert list(tmp_path.iterdir()) == []
    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", full)
        used(tmp_path)
