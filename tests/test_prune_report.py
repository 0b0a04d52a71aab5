"""`dscim prune report`: tables, gains, the Pareto front, and the commands of an experiment."""

import json
from pathlib import Path

import pytest

from dscim.errors import UserError
from dscim.host.cli import main
from dscim.host.cli.entry import make_parser
from dscim.host.research.prune import results
from dscim.host.research.prune.experiment import Experiment, Job, JobRunner, log_of
from dscim.host.research.prune.plots import pareto

ROOT = Path(__file__).parent.parent
SPACE = "fashion-mobilenet-v1"
RESULTS = {
    "search-cycles-50": ("search", 0.74, 30_000),
    "full": ("full", 0.8, 65_000),
    "uniform-cycles-50": ("uniform", 0.71, 29_000),
    "random-cycles-50": ("random", 0.745, 29_500),
}


@pytest.fixture(name="work")
def _work(tmp_path: Path) -> Path:
    for name, (method, mean, cycles) in RESULTS.items():
        (tmp_path / f"{name}.json").write_text(
            json.dumps(
                {
                    "space": SPACE,
                    "method": method,
                    "encoding": [30] * 6,
                    "mean": mean,
                    "deviation": 0.01,
                    "seeds": [1, 2, 3],
                    "int8": mean,
                    "dscim": mean - 0.02,
                    "costs": {
                        "macs": 10**6,
                        "parameters": 10**5,
                        "memory": 10**5,
                        "cycles": cycles,
                    },
                }
            )
        )
    (tmp_path / "table.json").write_text("{}")
    return tmp_path


def test_the_table_the_gains_and_the_plot(work: Path, capsys) -> None:
    pytest.importorskip("matplotlib")
    plot, out = work / "p.svg", work / "r.json.out"
    assert (
        main(
            [
                "prune",
                "report",
                "--space",
                SPACE,
                "--work",
                str(work),
                "--plot",
                str(plot),
                "--json",
                str(out),
            ]
        )
        == 0
    )
    result = json.loads(out.read_text())
    assert [each["method"] for each in result["results"]] == ["uniform", "random", "search", "full"]
    assert {gain["against"]: round(100 * gain["gain"], 1) for gain in result["gains"]} == {
        "uniform": 3.0,
        "random": -0.5,
    }
    printed = capsys.readouterr().out
    assert "+3.00 points against uniform" in printed and "74.00 %" in printed
    assert plot.read_text().lstrip().startswith("<?xml")


def test_the_pareto_front() -> None:
    assert pareto([(2, 0.5), (1, 0.4), (3, 0.45), (2, 0.6), (4, 0.7)]) == [
        (1, 0.4),
        (2, 0.6),
        (4, 0.7),
    ]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--plot", "p.txt"), ".png"),
        (("--space", "vgg"), "vgg"),
        (("--space", "resnet-50"), "no result"),
        (("--make", "--jobs", "0"), "--jobs 0"),
        (("--make", "--budget", "cycles"), "NAME=LIMIT"),
        (("--make", "--work", __file__), "cannot be created"),
    ],
)
def test_wrong_uses(work: Path, options: tuple[str, ...], word: str, capsys) -> None:
    assert main(["prune", "report", "--space", SPACE, "--work", str(work), *options]) == 2
    printed = capsys.readouterr().err
    assert word in printed and printed.count("\n") == 1


def test_every_command_of_an_experiment_is_one(tmp_path: Path) -> None:
    """Each is parsed by its step, and makes a separate file."""
    what = Experiment(
        SPACE,
        tmp_path,
        ("cycles=50%", "macs=1e6"),
        "1,2",
        ("--held-out", "9"),
        ("--epochs", "1"),
        ("--population", "4"),
        ("--finalists", "3"),
        ("--epochs", "2"),
    )
    for budget, uniform in (("cycles=50%", {"encoding": [3] * 6}), ("macs=1e6", None)):
        what.found("search", budget).write_text(json.dumps({"uniform": uniform}))
    waves = list(what.waves())
    assert [len(wave) for wave in waves] == [1, 2, 7, 6, 7]
    jobs = [job for wave in waves for job in wave]
    assert len({job.output for job in jobs}) == len(jobs)
    for job in jobs:
        words = ["prune", *job.arguments]
        options = make_parser(words).parse_args(words)
        made = getattr(options, "json", None) or options.output
        assert job.output in (made, options.output, options.output.with_suffix(".json"))


def test_jobs_run_side_by_side_and_none_is_left(tmp_path: Path) -> None:
    """Two of three commands work; a runner that is closed early stops what still runs."""
    jobs = [
        Job(
            tmp_path / f"{k}.json",
            ("cost", "--space", name, "--encoding", "FULL", "--json", str(tmp_path / f"{k}.json")),
        )
        for k, name in enumerate(("mobilenet-v1", "resnet-50", "vgg"))
    ]
    done = dict(JobRunner(3).evaluate(jobs))
    assert {job.output.stem: status for job, status in done.items()} == {"0": 0, "1": 0, "2": 2}
    assert "M MACs" in log_of(jobs[0]).read_text()
    assert "'vgg'" in log_of(jobs[2]).read_text()
    slow = tmp_path / "t.json"
    running = JobRunner(2).evaluate(
        [jobs[2], Job(slow, ("table", "--space", "mobilenet-v1", "-o", str(slow)))]
    )
    assert next(running) == (jobs[2], 2)
    running.close()
    assert not slow.exists()


def test_a_command_that_fails_is_one_sentence(tmp_path: Path, capsys) -> None:
    assert (
        main(["prune", "report", "--space", "resnet-50", "--work", str(tmp_path / "w"), "--make"])
        == 2
    )
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "4608 inputs" in printed and "resumes" in printed
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["table.log"]


def test_a_budget_that_cannot_be_met_is_said_before_anything_is_trained(
    tmp_path: Path, capsys
) -> None:
    more = ["--work", str(tmp_path / "w"), "--make", "--budget", "macs=50%"]
    assert main(["prune", "report", "--space", SPACE, *more, "--budget", "cycles=10%"]) == 2
    assert "needs at least" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "w").iterdir()} == {"table.json", "table.log"}


def test_the_shipped_experiment_is_what_the_readme_shows() -> None:
    """Every network ran on the simulated SoC, equal to the reference, within its budget."""
    facts = json.loads((ROOT / "host/data/pruned-cifar10-mobilenet-v1.json").read_text())
    assert len(facts["results"]) == 9
    for each in facts["results"]:
        counted, predicted = each["counted"], each["costs"]["cycles"]
        assert counted["holds"] and counted["outputs_differing"] == 0 < counted["outputs_compared"]
        assert abs(counted["cycles"] - predicted) <= 0.02 * predicted
        assert counted["cycles"] <= each["budget"].get("cycles", predicted)
    shown = results.shown("cifar10-mobilenet-v1")
    assert shown.count("\n") == 2 + 9
    assert f"<!-- pruned cifar10-mobilenet-v1 -->\n{shown}" in (ROOT / "README.md").read_text()
    with pytest.raises(UserError, match="no results of pruning 'nothing'"):
        results.shown("nothing")
