"""The wheel of the repository, installed in a new environment outside of it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

from dscim.gateware.specs import ProductSpec
from dscim.host.golden.reference import product

ROOT = Path(__file__).parent.parent
ROOMS = ("gateware", "host", "sim", "boards")


def test_every_file_of_a_room_is_packaged() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = [
        f"{tool['package-dir'][package]}/{pattern}"
        for package, names in tool["package-data"].items()
        for pattern in names
    ]
    files = [
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file()
    ]
    data = [name for name in files if not name.endswith((".py", ".pyc"))]
    assert [name for name in data if not any(fnmatch(name, p) for p in patterns)] == []
    assert any(name.startswith("sim/harness/") for name in data)
    assert any(name.startswith("host/data/") for name in data)
    assert "host/dscim/py.typed" in data


def test_the_changelog_has_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    versions = re.findall(r"^## \[(\d[\d.]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == version


@pytest.fixture(name="installed", scope="module")
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment with the wheel installed."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    parts = [*ROOMS, "pyproject.toml", "README.md", "LICENSE"]
    source.mkdir()
    for part in parts:
        path = ROOT / part
        if path.is_dir():
            shutil.copytree(path, source / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source)
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    pip = [programs / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, source], check=True)
    (wheel,) = folder.glob("dscim-*.whl")
    shutil.rmtree(source)
    subprocess.run([*pip, "install", wheel], check=True)
    return programs


def call(programs: Path, folder: Path, *arguments: object) -> str:
    """The output of the installed `dscim`, run in `folder` with an empty cache of its own."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    environment["DSCIM_CACHE"] = str(programs.parent.parent / "cache")
    done = subprocess.run(
        [programs / "dscim", *map(str, arguments)],
        cwd=folder,
        text=True,
        capture_output=True,
        env=environment,
        timeout=900,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.slow
def test_it_is_the_wheel_that_runs(installed: Path, tmp_path: Path) -> None:
    program = "import dscim.host; print(dscim.host.__file__)"
    where = subprocess.run(
        [installed / "python", "-c", program],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=True,
    ).stdout
    assert Path(where.strip()).is_relative_to(installed.parent)
    assert Path(sys.prefix) != installed.parent
    assert Path(where.strip()).parent.with_name("py.typed").is_file()


@pytest.mark.slow
def test_the_installed_doctor_finds_everything(installed: Path, tmp_path: Path) -> None:
    assert "Everything that `dscim demo` needs is installed." in call(installed, tmp_path, "doctor")


@pytest.mark.slow
def test_the_installed_mvm_simulates(installed: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    x = rng.integers(-128, 128, (3, 40)).astype(np.int8)
    w = rng.integers(-128, 128, (40, 6)).astype(np.int8)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "w.npy", w)
    call(
        installed,
        tmp_path,
        "mvm",
        "--activations",
        "x.npy",
        "--weights",
        "w.npy",
        "--output",
        "y.npy",
        "--target",
        "sim",
        "--rows",
        16,
        "--columns",
        4,
    )
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), product(x, w, ProductSpec()))


@pytest.mark.slow
def test_the_installed_demo_agrees(installed: Path, tmp_path: Path) -> None:
    printed = call(installed, tmp_path, "demo", "--images", 1)
    assert printed.splitlines()[-1].endswith("all agree.")
    assert list(tmp_path.iterdir()) == []
