"""The files that verbs write: nothing else is replaced, and `-` is standard output."""

import dataclasses
import importlib
import json
import os
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dscim.host.cli.options import KEY, Command
from dscim.host.cli.verbs import VERBS, Verb
from dscim.host.network import save
from tests.commandline import DSCIM, assert_refused, contents, dscim
from tests.small_network import small_images, small_network

MVM = ("mvm", "--activations", "x.npy", "--weights", "w.npy", "--length", 64)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    np.save(tmp_path / "x.npy", rng.integers(-128, 128, (3, 20), np.int8))
    np.save(tmp_path / "w.npy", rng.integers(-128, 128, (20, 4), np.int8))
    np.save(tmp_path / "images.npy", small_images(3))
    save(small_network(), tmp_path / "net.npz")
    return tmp_path


def commands(verbs: Mapping[str, Verb] = VERBS) -> Iterator[tuple[str, Command[Any]]]:
    """Every command of the command line, by name."""
    for name, verb in verbs.items():
        if verb.verbs:
            yield from commands(verb.verbs)
        else:
            module = importlib.import_module(f"dscim.host.cli.{verb.module}")
            yield name, getattr(module, verb.command)


def test_every_option_that_writes_a_file_is_declared_as_an_output() -> None:
    count = 0
    for name, command in commands():
        hints = typing.get_type_hints(command.options)
        for field in dataclasses.fields(command.options):
            declared = field.metadata[KEY]
            if Path not in (hints[field.name], *typing.get_args(hints[field.name])):
                continue
            folder = "FOLDER" in declared.keywords["metavar"]
            named = field.name in ("json", "output", "plot", "csv", "figure", "csr_csv")
            says = "to write" in declared.help
            assert declared.writes == ((named or says) and not folder) or (
                name == "study" and field.name == "report"
            ), (name, field.name)
            count += declared.writes
    assert count > 40


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("same", "same"), ["--output", "--json", "same"]),
        (("x.npy", "r.json"), ["--output", "x.npy", "--activations"]),
        (("y.npy", "./w.npy"), ["--json", "w.npy", "--weights"]),
        (("-", "-"), ["--output", "--json", "-"]),
        (("kept", "r.json"), ["kept", "read-only"]),
        (("no/y.npy", "r.json"), ["no/y.npy", "does not exist"]),
    ],
)
def test_outputs_that_would_destroy_something(
    folder: Path, names: tuple[str, str], words: list[str]
) -> None:
    (folder / "kept").write_text("")
    (folder / "kept").chmod(0o400)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert_refused(dscim(*MVM, "--output", names[0], "--json", names[1], folder=folder), *words)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_json_on_standard_output_is_nothing_else(folder: Path) -> None:
    for verb in (
        (*MVM, "--output", "y.npy"),
        ("run", "net.npz", "images.npy", "--compare"),
        ("boards",),
        ("selftest", "--target", "ref", "--seed", 1),
    ):
        before = contents(folder)
        done = dscim(*verb, "--json", "-", folder=folder)
        assert done.returncode == 0 and json.loads(done.stdout) and done.stderr, verb
        assert "-" not in contents(folder)
        assert set(contents(folder)) <= {*before, "y.npy"}


def test_a_device_and_a_pipe_stay_what_they_are(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "null").symlink_to("/dev/null")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = dscim(*MVM, "--output", "null", "--json", "pipe", folder=folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(os.read(reader, 1 << 16))["shape"] == [3, 20, 4]
    finally:
        os.close(reader)
    assert (folder / "null").is_symlink() and Path("/dev/null").is_char_device()
    assert (folder / "pipe").is_fifo()


def test_a_full_device_is_one_sentence(folder: Path) -> None:
    done = dscim(*MVM, "--output", "/dev/full", folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dscim: '/dev/full' cannot be written: No space left on device.\n"


def test_run_writes_its_outputs_and_prints_the_classes(folder: Path) -> None:
    done = dscim("run", "net.npz", "images.npy", "--output", "out.npy", "--json", "r.json",
                 folder=folder)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    outputs = np.load(folder / "out.npy")
    predicted = json.loads((folder / "r.json").read_text())["predictions"]
    assert outputs.dtype == np.int8 and outputs.reshape(3, -1).argmax(1).tolist() == predicted
    lines = [line.split() for line in done.stdout.splitlines()]
    names = small_network().classes
    for image, number in enumerate(predicted):
        assert [f"{image}", f"{number}", *names[number].split()] in lines


def test_run_warns_of_another_arithmetic(folder: Path) -> None:
    own = small_network().arithmetic
    assert not own.exact and own.length == 256
    for options, warned in (((), False), (("--length", 64), True), (("--exact",), False)):
        done = dscim("run", "net.npz", "images.npy", *options, "--json", "r.json", folder=folder)
        assert done.returncode == 0
        assert ("was tuned for" in done.stderr) == warned, options
        assert bool(json.loads((folder / "r.json").read_text())["warnings"]) == warned


def test_python_m_and_the_version() -> None:
    import subprocess  # noqa: PLC0415

    import dscim as package  # noqa: PLC0415

    done = subprocess.run(
        [DSCIM.with_name("python"), "-m", "dscim", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[0] == f"dscim {package.__version__}"
