"""Studies by the real command line, and the computations behind their figures."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dscim.errors import UserError
from dscim.gateware.specs import TABLES, ProductSpec, SequenceSpec, table_gain, table_sequence
from dscim.gateware.specs.tables import GAINS
from dscim.host.golden.reference import product
from dscim.host.golden.reference.error import uniform_rmse
from dscim.host.research import pages
from dscim.host.research.studies import NAMES, length, moments, results, study
from dscim.host.research.studies.beyond import SHIFTS
from dscim.host.research.studies.operands import DISTRIBUTIONS, GAUSSIAN, RELU, UNIFORM, axes
from dscim.host.research.studies.points import best_points, form_of
from dscim.host.research.studies.tables import MADE_FOR, entry
from tests.commandline import DSCIM, assert_refused, contents, dscim

pytest.importorskip("matplotlib")

ROOT = Path(__file__).parent.parent
DATA = ROOT / "host" / "data"

FAST = [name for name in NAMES if study(name).minutes[0] <= 0.25]
SLOW = [name for name in NAMES if name not in FAST]


@pytest.mark.parametrize(
    "name", [*FAST, *[pytest.param(name, marks=pytest.mark.slow) for name in SLOW]]
)
def test_quick_study(name, tmp_path):
    done = dscim(
        "study",
        name,
        "--quick",
        "--work",
        "work",
        "--json",
        "r.json",
        "--csv",
        "r.csv",
        "--figure",
        "r.png",
        "--report",
        "r.html",
        folder=tmp_path,
        seconds=900,
    )
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
    assert page.count("<svg") == 2  # for wide and narrow screens
    assert "src=" not in page  # nothing is fetched


def test_rows_are_the_same_for_any_number_of_workers(tmp_path):
    """Computed by this process, by two others, and taken from stored results."""
    rows = []
    for work, *more in (("one",), ("two", "--workers", "2"), ("two",)):
        done = dscim(
            "study",
            "sparsity",
            "--quick",
            "--work",
            work,
            "--json",
            "r.json",
            *more,
            folder=tmp_path,
            seconds=300,
        )
        assert done.returncode == 0, done.stderr
        rows.append(json.loads((tmp_path / "r.json").read_text())["rows"])
    assert rows[0] == rows[1] == rows[2]
    assert_refused(dscim("study", "sparsity", "--workers", "0", folder=tmp_path), "is below 1")


@pytest.mark.parametrize("name", ["README.md", "host/research/studies/README.md"])
def test_readme_shows_what_the_json_says(name, tmp_path):
    text = (ROOT / name).read_text()
    assert pages.rendered(text) == text
    assert "<!-- study " in text
    wrong = tmp_path / "wrong.md"
    before, mark, after = text.partition("<!-- study ")
    wrong.write_text(before + mark + after.replace(" % |", " % worse |", 1))
    done = dscim("dev", "pages", wrong)
    assert done.returncode == 1
    assert "--write" in done.stdout


@pytest.mark.parametrize("block", ["rmse", "beyond", "length"])
def test_results_are_found_by_name_in_any_order(block):
    name, table = results.BLOCKS[block]
    facts = json.loads((DATA / f"study-{name}.json").read_text())
    wanted = table(facts)
    for part in ("published", "aims"):
        facts[part].reverse()
    if block != "length":  # whose networks are shown in the order of their rows
        facts["rows"].reverse()
    assert table(facts) == wanted
    facts["rows"] = facts["rows"][:1]
    if block != "beyond":  # which shows "-" where it was not run
        with pytest.raises(UserError, match=f"study '{name}' have no row with"):
            table(facts)


@pytest.mark.parametrize(("operands", "form"), [(GAUSSIAN, 16.0), (UNIFORM, 21.0)])
def test_points_as_a_table_reach_their_error_bit_by_bit(operands, form):
    """A table of optimised points, by the reference on random operands, its gain folded in."""
    start = ProductSpec(16, 256, SequenceSpec(), "split", 1)
    found = best_points(
        form_of(*axes(start, operands), 64), np.ones(16), None, 4, np.random.default_rng(1)
    )
    points = [tuple(point) for point in (4 * found.points.T).tolist()]
    table = tuple((0, tuple(points[: 1 << place])) for place in range(5))
    spec = ProductSpec(16, 256, SequenceSpec("table", table=table), "split", 1)
    rng = np.random.default_rng(2)
    x = rng.choice(np.arange(-128, 128), (200, 128), p=operands.activations).astype(np.int8)
    w = rng.choice(np.arange(-128, 128), (128, 200), p=operands.weights).astype(np.int8)
    gain = found.decode[0] / (1 << spec.decode_shift)
    exact = product(x, w, ProductSpec(exact=True))
    error = gain * product(x, w, spec) - exact
    reached = 10 * np.log10(np.mean(exact.astype(float) ** 2) / np.mean(error**2))
    assert reached == pytest.approx(moments.snr(operands, 128, (128 * found.error) ** 0.5), abs=0.4)
    assert reached > form


def test_shipped_tables_are_the_best_of_their_shifts():
    assert set(MADE_FOR) == set(TABLES)
    assert {name for name, purpose in MADE_FOR.items() if purpose.scaled} == set(GAINS)
    for name, purpose in MADE_FOR.items():
        for place in range(2):
            made = entry(purpose, place)
            assert TABLES[name][place] == (made.shift, made.points)
            if purpose.scaled:
                assert GAINS[name][place] == pytest.approx(made.gain, abs=1e-4)


@pytest.mark.parametrize("operands", [GAUSSIAN, RELU], ids=lambda each: each.name)
def test_the_scaled_table_keeps_its_aim_bit_by_bit(operands):
    """Random operands, the reference's sums, and the gain that ships with the table."""
    spec = ProductSpec(16, 256, table_sequence("gaussian-scaled"), "split", SHIFTS[operands.name])
    rng = np.random.default_rng(3)
    x = rng.choice(np.arange(-128, 128), (300, 128), p=operands.activations).astype(np.int8)
    w = rng.choice(np.arange(-128, 128), (128, 300), p=operands.weights).astype(np.int8)
    exact = product(x, w, ProductSpec(exact=True), operands.zero_point)
    sums = product(x, w, spec, operands.zero_point)
    assert not (sums % (1 << spec.decode_shift)).any()  # a hit still counts a power of two
    error = table_gain(spec.sequence, spec.samples) * sums - exact
    reached = 10 * np.log10(np.mean(exact.astype(float) ** 2) / np.mean(error**2))
    computed = moments.scaled_rms(8, moments.moments(spec, operands))[0]
    assert reached == pytest.approx(moments.snr(operands, 128, computed), abs=0.2)
    assert reached >= 16


def test_a_table_without_a_gain_of_its_own_has_one():
    assert table_gain(SequenceSpec(), 16) == 1
    assert table_gain(table_sequence("gaussian"), 16) == 1
    other = SequenceSpec("table", table=TABLES["gaussian-scaled"][:5])
    assert table_gain(other, 16) == 1


def test_all_asks_for_its_tools_before_it_computes(tmp_path):
    """Without Yosys on PATH or beside Python, `all` fails before it computes anything."""
    code = (
        "import sys, shutil; shutil.which = lambda *names, **options: None; "
        "from dscim.host.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "study", "all", "--quick", "--work", "w"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert_refused(done, "area needs Yosys", "dscim[formal]")
    assert contents(tmp_path) == []


def test_a_stopped_run_resumes_and_damage_is_computed_again(tmp_path):
    first = dscim("study", "rmse", "--quick", "--work", "w", "--json", "a.json", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    kept = sorted((tmp_path / "w").iterdir())
    kept[0].unlink()
    kept[1].write_text('{"key": 3')
    second = dscim("study", "rmse", "--quick", "--work", "w", "--json", "b.json", folder=tmp_path)
    assert second.returncode == 0, second.stderr
    one, other = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    assert one["rows"] == other["rows"]
    again = dscim(
        "study", "rmse", "--quick", "--work", "w", "--figure", "r.svg", "--quiet", folder=tmp_path
    )
    assert (again.returncode, again.stdout) == (0, "")
    assert "<svg" in (tmp_path / "r.svg").read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_a_run_with_its_workers(workers, tmp_path):
    """Only the command itself gets the signal, and it does not wait for its workers."""
    started = subprocess.Popen(
        [DSCIM, "study", "rmse", "--workers", workers, "--work", "w"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert started.stdout.readline().startswith("Study rmse")
    time.sleep(2)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)  # ends when no worker holds the pipes
    assert started.returncode == 130
    assert said == "dscim: stopped.\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch"], ["'nosuch'", "rmse"]),
        (["rmse", "--figure", "f.jpg"], ["f.jpg", ".svg"]),
        (["rmse", "--json", "no/r.json"], ["no"]),
        (["all", "--csv", "r.csv"], ["--csv", "--report"]),
        (["rmse", "--work", "file"], ["file", "folder"]),
        (["rmse", "--quick", "--work", "file/work"], ["file", "folder"]),
    ],
)
def test_misuse_is_one_sentence(arguments, words, tmp_path):
    (tmp_path / "file").write_text("")
    assert_refused(dscim("study", *arguments, folder=tmp_path), *words)
    assert contents(tmp_path) == ["file"]


SPECS = [
    ProductSpec(or_width, length, sequence, signed, shift)
    for or_width, length in ((16, 64), (16, 256), (64, 64), (64, 256))
    for kind, signed, shift in (
        ("counter", "offset", 0),
        ("counter", "split", 1),
        ("lfsr", "offset", 0),
        ("lfsr", "split", 2),
    )
    for sequence in (SequenceSpec(kind),)
]


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


def test_the_engine_takes_longer_than_its_macro():
    """Both count the same products: a window that serves two pixels is one product."""
    rows = [
        row for cell in length.cells(quick=True) for row in cell.compute() if "macro_cycles" in row
    ]
    assert len(rows) > 20
    for row in rows:
        assert row["array_cycles"] <= row["macro_cycles"] < row["engine_cycles"], row
