"""What all commands share: help, versions, misuse, stopping, broken pipes."""

import os
import platform
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dscim as package
from dscim.host.cli.verbs import VERBS, Verb, commands
from tests.commandline import DSCIM, assert_refused, dscim

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("group", ["", "prune", "dev", "dev train"])
def test_help_has_each_verb_and_its_summary_in_columns(group: str) -> None:
    verbs: Mapping[str, Verb] = VERBS
    for word in group.split():
        verbs = verbs[word].verbs
    lines = dscim(*group.split(), "--help").stdout.splitlines()
    column = 2 + max(len(left) for left in ("  -h, --help", *(f"    {name}" for name in verbs)))
    for name, verb in verbs.items():
        start = verb.summary.split()[0]
        assert any(line.startswith(f"    {name}".ljust(column) + start) for line in lines), name


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(verb: str) -> None:
    done = dscim(verb, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: dscim {verb} ")
    assert done.stderr == ""


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [DSCIM, "--help"],
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "argparse" in modules
    assert not modules & {"numpy", "migen", "litex", "torch", "rich"}


def test_no_command_imports_migen_or_torch_to_start() -> None:
    modules = sorted({verb.module for _, verb in commands()} - {"sim"})
    code = (
        "import importlib, sys\n"
        f"for name in {modules}: importlib.import_module('dscim.host.cli.' + name)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "dscim.host.cli.dev_train" in loaded
    assert not loaded & {"migen", "litex", "torch"}


def test_version_names_dscim_and_its_tools() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    done = subprocess.run(
        [DSCIM, "--version"],
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    first, system, tools = done.stdout.splitlines()
    assert first == f"dscim {version}"
    assert system == f"Python {platform.python_version()}, {platform.platform()}"
    for tool in ("verilator 5.", "g++ ", f"numpy {np.__version__}", "migen 0.10", "litex 2024.12"):
        assert tool in tools
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not modules & {"migen", "litex", "torch"}
    assert package.__version__ == version
    with pytest.raises(AttributeError, match="no attribute 'version'"):
        _ = package.version


def test_python_m_dscim_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dscim", "mvm"], capture_output=True, text=True, check=False
    )
    assert_refused(done, "--activations", "`dscim mvm --help`")


def test_every_package_is_listed_for_installation() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = set()
    for name, folder in tool["package-dir"].items():
        inside = {path.parent for path in (ROOT / folder).rglob("__init__.py")}
        found |= {".".join((name, *path.relative_to(ROOT / folder).parts)) for path in inside}
    found.remove("dscim.host.dscim")  # where the package `dscim` itself lies
    assert found == set(tool["packages"])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "VERB"),
        (["fly"], "'fly'"),
        (["mvm", "--length", "many"], "'many'"),
        (["doctor", "--strange"], "--strange"),
        (["dev"], "VERB"),
        (["dev", "fly"], "'fly'"),
        (["prune", "cost"], "--space"),
        (["dev", "train", "float", "--threads", "0"], "--threads 0 is below 1"),
        (["mvm"], "--activations"),
        (["doctor", "--json", "/no/such/folder/x.json"], "/no/such/folder"),
    ],
)
def test_misuse_is_one_sentence(arguments: list[str], word: str) -> None:
    assert_refused(dscim(*arguments), word)


def test_broken_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [DSCIM, "doctor"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode not in (0, 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_is_quiet(number: signal.Signals, tmp_path: Path) -> None:
    fifo = tmp_path / "x.npy"  # a read from it waits for a writer
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [DSCIM, "mvm", "--activations", fifo, "--weights", fifo, "--output", tmp_path / "y.npy"],
        stderr=subprocess.PIPE,
        text=True,
    )
    with fifo.open("wb"):  # returns when the other side reads: it runs by now
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "dscim: stopped.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_the_readmes_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text()
    example = text.partition("```python\n")[2].partition("```")[0]
    assert 'open_target("sim"' in example
    ones = np.ones((2, 2), np.int8)
    names: dict[str, Any] = {"x": ones, "w": ones}
    exec(example.replace('open_target("sim"', 'open_target("ref"'), names)
    assert names["estimate"].shape == (2, 2)
    assert capsys.readouterr().out.splitlines()[-2:] == ["classifier 0 0", "True"]


def test_the_readme_names_every_verb() -> None:
    text = (ROOT / "README.md").read_text()
    assert all(f"    dscim {verb}" in text for verb in VERBS)


def test_a_width_that_is_not_a_number_is_ignored() -> None:
    done = subprocess.run(
        [DSCIM, "boards"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "wide"},
    )
    assert "ecpix5" in done.stdout
