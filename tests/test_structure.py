"""The structure of the tree: rooms, the direction of imports, one place per kind of node."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import structure

ROOT = structure.ROOT
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
LAYERS = [layer.split(" | ") for layer in CONTRACTS[0]["layers"]]
"""From the highest layer to the lowest; members of one layer do not import each other."""

UPWARD = [
    (lower, higher)
    for place, layer in enumerate(LAYERS)
    for lower in layer
    for higher in [*LAYERS[place - 1], *(other for other in layer if other != lower)]
    if place
]


@pytest.fixture(name="tree", scope="module")
def _tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the package's sources as it is installed."""
    folder = tmp_path_factory.mktemp("tree")
    code = shutil.ignore_patterns("__pycache__", "data", "*.npz", "*.json", "*.png")
    shutil.copytree(ROOT / "host" / "dscim", folder / "dscim", ignore=code)
    for room in ("gateware", "sim", "boards"):
        shutil.copytree(ROOT / room, folder / "dscim" / room, ignore=code)
    outer = shutil.ignore_patterns("__pycache__", "data", "dscim")
    shutil.copytree(ROOT / "host", folder / "dscim" / "host", ignore=outer)
    yield folder


def kept(tree: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of that tree by the project's contracts."""
    program = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [program, "--config", ROOT / "pyproject.toml", "--no-cache"]
    return subprocess.run(
        command, cwd=tree, env=environment, check=False, capture_output=True, text=True
    )


def module_file(tree: Path, module: str) -> Path:
    """The file of a module or of a package itself."""
    place = tree.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def test_the_contracts_hold(tree: Path) -> None:
    done = kept(tree)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("lower", "higher"), UPWARD)
def test_an_import_upwards_is_found(tree: Path, lower: str, higher: str) -> None:
    path = module_file(tree, lower)
    text = path.read_text()
    try:
        path.write_text(f"{text}\nimport {higher}\n")
        done = kept(tree)
    finally:
        path.write_text(text)
    assert done.returncode == 1
    assert f"{lower} is not allowed to import {higher}" in " ".join(done.stdout.split())


def test_migen_in_a_room_that_does_not_build_is_found(tree: Path) -> None:
    path = module_file(tree, "dscim.host.device.controller")
    text = path.read_text()
    try:
        path.write_text(f"{text}\nimport migen\n")
        done = kept(tree)
    finally:
        path.write_text(text)
    assert done.returncode == 1
    assert "dscim.host.device is not allowed to import migen" in done.stdout


def test_every_room_has_its_layer_and_its_line_in_the_map() -> None:
    named = {member for layer in LAYERS for member in layer}
    page = (ROOT / "host" / "README.md").read_text()
    for room in structure.rooms():
        assert room == "dscim" or f"dscim.host.{room}" in named
        assert f"`{room}/`" in page
    base = {f"dscim.{path.stem}" for path in (ROOT / "host" / "dscim").glob("[!_]*.py")}
    assert base <= named
    assert {"dscim.gateware", "dscim.sim", "dscim.boards"} <= named


def test_rooms_are_few_and_nothing_runs_in_circles(tree: Path) -> None:
    assert len(structure.rooms()) <= 9
    assert len(structure.loose()) <= 5
    assert structure.circular(structure.graph(tree)) == []
    assert structure.circular(structure.squashed(structure.graph(tree))) == []


def test_a_circle_is_found(tree: Path) -> None:
    import dscim.errors  # noqa: F401, PLC0415 - the package is known already, as in other tests

    arrows = structure.graph(tree)
    assert len(arrows.modules) > 300
    arrows.add_import(importer="dscim.errors", imported="dscim.host.cli.run")
    assert {"dscim.errors", "dscim.host.cli.run"} <= set(structure.circular(arrows))


def test_few_lines_ask_for_a_kind_of_node() -> None:
    assert structure.kinds() >= {"Node", "Conv", "Add", "Softmax"}
    assert structure.kind_checks().total() <= 10, structure.kind_checks()
