"""Studies by the real command line, and what their figures rest on."""

import csv
import json

import numpy as np
import pytest

from dscim.gateware.specs import ProductSpec, SequenceSpec
from dscim.host.reference.error import uniform_rmse
from dscim.host.studies import NAMES, moments, study
from dscim.host.studies.operands import DISTRIBUTIONS, UNIFORM
from tests.commandline import assert_refused, contents, dscim

pytest.importorskip("matplotlib")

FAST = [name for name in NAMES if study(name).minutes[0] <= 0.25]
SLOW = [name for name in NAMES if name not in FAST]


@pytest.mark.parametrize("name", [*FAST, *[pytest.param(name, marks=pytest.mark.slow)
                                           for name in SLOW]])
def test_quick_study(name, tmp_path):
    done = dscim("study", name, "--quick", "--work", "work", "--json", "r.json", "--csv", "r.csv",
                 "--figure", "r.png", "--report", "r.html", folder=tmp_path, seconds=900)
    assert done.returncode == 0, done.stderr
    assert "expected about" in done.stdout.splitlines()[1]
    facts = json.loads((tmp_path / "r.json").read_text())
    assert facts["study"] == name
    assert facts["quick"]
    assert facts["rows"]
    with (tmp_path / "r.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(facts["rows"])
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "r.html").read_text()
    assert "<svg" in page
    assert "src=" not in page                           # nothing is fetched
    again = dscim("study", name, "--quick", "--work", "work", "--figure", "r.svg", "--quiet",
                  folder=tmp_path)
    assert (again.returncode, again.stdout) == (0, "")
    assert "<svg" in (tmp_path / "r.svg").read_text()


def test_a_stopped_run_goes_on_and_damage_is_computed_again(tmp_path):
    first = dscim("study", "rmse", "--quick", "--work", "w", "--json", "a.json", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    kept = sorted((tmp_path / "w").iterdir())
    kept[0].unlink()
    kept[1].write_text('{"key": 3')
    second = dscim("study", "rmse", "--quick", "--work", "w", "--json", "b.json", folder=tmp_path)
    assert second.returncode == 0, second.stderr
    one, other = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert one["rows"] == other["rows"]


@pytest.mark.parametrize(("arguments", "words"), [
    (["nosuch"], ["'nosuch'", "rmse"]),
    (["rmse", "--figure", "f.jpg"], ["f.jpg", ".svg"]),
    (["rmse", "--json", "no/r.json"], ["no"]),
    (["all", "--csv", "r.csv"], ["--csv", "--report"]),
    (["rmse", "--work", "file"], ["file", "folder"]),
])
def test_misuse_is_one_sentence(arguments, words, tmp_path):
    (tmp_path / "file").write_text("")
    assert_refused(dscim("study", *arguments, folder=tmp_path), *words)
    assert contents(tmp_path) == ["file"]


SPECS = [ProductSpec(or_width, length, sequence, signed, shift)
         for or_width, length in ((16, 64), (16, 256), (64, 64), (64, 256))
         for kind, signed, shift in (("counter", "offset", 0), ("counter", "split", 1),
                                     ("lfsr", "offset", 0), ("lfsr", "split", 2))
         for sequence in (SequenceSpec(kind),)]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_moments_are_the_enumerated_error(spec):
    error = moments.rms(128 // spec.or_width, moments.moments(spec, UNIFORM))
    assert moments.percent(error, 128) == pytest.approx(uniform_rmse(spec), rel=1e-9)


@pytest.mark.parametrize("operands", DISTRIBUTIONS, ids=lambda each: each.name)
def test_distributions_are_distributions(operands):
    for probability in (operands.activations, operands.weights):
        assert probability.min() >= 0
        assert probability.sum() == pytest.approx(1)
    values = np.arange(-128, 128)
    assert abs(operands.weights @ values) < 0.51
