"""The last stage of a search: finalists that are far apart, really trained and compared."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is missing: pip install dscim[train]")
torch.set_num_threads(1)  # two would wait for each other on a loaded machine

from dscim.host.cli import main  # noqa: E402
from dscim.host.research.prune.finalists import distance, finalists  # noqa: E402
from dscim.host.research.training import loop as fitting  # noqa: E402
from tests.dataset_examples import write_idx  # noqa: E402

SPACE = "fashion-mobilenet-v1"
FOUND = [(3, 3, 3, 3, 3, 3), (3, 3, 3, 3, 3, 4), (1, 5, 3, 3, 3, 9), (9, 1, 1, 1, 1, 1)]
FEW = ("--epochs", "2", "--images", "32", "--batch", "16", "--held-out", "40")


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory) -> Path:
    """A tiny data set, and what a search found."""
    folder = tmp_path_factory.mktemp("select")
    write_idx(folder, 120, 20)
    (folder / "found.json").write_text(
        json.dumps(
            {
                "space": SPACE,
                "budget": {"macs": 10**6},
                "uniform": None,
                "found": [
                    {"encoding": each, "fitness": 0.5 - 0.01 * place, "iteration": 0, "costs": {}}
                    for place, each in enumerate(FOUND)
                ],
            }
        )
    )
    return folder


def select(folder: Path, output: Path, *more: str) -> int:
    return main(
        [
            "prune",
            "select",
            "--space",
            SPACE,
            "--found",
            str(folder / "found.json"),
            "-o",
            str(output),
            "--data",
            str(folder),
            *FEW,
            *more,
        ]
    )


def test_finalists_are_the_best_that_are_far_apart() -> None:
    assert finalists(FOUND, 3, 8) == [FOUND[0], FOUND[2], FOUND[3]]
    assert finalists(FOUND, 2, 8) == [FOUND[0], FOUND[2]]
    assert finalists(FOUND, 9, 1) == FOUND
    assert finalists(FOUND, 9, 100) == FOUND[:1] and finalists([], 3, 1) == []
    assert distance(FOUND[0], FOUND[2]) == distance(FOUND[2], FOUND[0]) == 10


def test_the_best_trained_comes_first(folder: Path, tmp_path: Path, capsys) -> None:
    """The same with two workers and after a stop, and `retrain` takes the result."""
    output = tmp_path / "s.json"
    assert select(folder, output, "--finalists", "3", "--apart", "8") == 0
    result = json.loads(output.read_text())
    trained = [each["trained"] for each in result["found"]]
    assert trained == sorted(trained, reverse=True)
    assert {tuple(each["encoding"]) for each in result["found"]} == {FOUND[0], FOUND[2], FOUND[3]}
    assert result["budget"] == {"macs": 10**6}
    assert (
        result["selection"]
        | {"evaluated": 4, "finalists": 3, "apart": 8, "seeds": [101, 102], "held_out": 40}
        == result["selection"]
    )
    assert (
        select(folder, tmp_path / "two.json", "--finalists", "3", "--apart", "8", "--workers", "2")
        == 0
    )
    assert json.loads((tmp_path / "two.json").read_text()) == result
    capsys.readouterr()
    assert select(folder, output, "--finalists", "3", "--apart", "8") == 0
    assert "3 trained before" in capsys.readouterr().out
    assert (
        main(
            [
                "prune",
                "retrain",
                "--space",
                SPACE,
                "--found",
                str(output),
                "-o",
                str(tmp_path / "p.npz"),
                "--data",
                str(folder),
                *FEW,
                "--test",
                "20",
            ]
        )
        == 0
    )
    retrained = json.loads((tmp_path / "p.json").read_text())
    assert retrained["encoding"] == result["found"][0]["encoding"]
    assert retrained["search"]["selection"] == result["selection"]


def test_a_stopped_selection_resumes_to_the_same(folder: Path, tmp_path: Path, monkeypatch) -> None:
    """Stopped in the middle of the second finalist's training; nothing is trained twice."""
    more = ("--finalists", "2", "--apart", "8", "--training-seeds", "7")
    assert select(folder, tmp_path / "whole.json", *more) == 0
    kept, epochs = fitting.save, []

    def save(state, path, stop=3):
        kept(state, path)
        epochs.append(path)
        if len(epochs) == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "save", save)
    assert select(folder, tmp_path / "s.json", *more) not in (0, 2)
    assert not (tmp_path / "s.json").exists()
    assert select(folder, tmp_path / "s.json", *more) == 0
    assert len(epochs) == 4
    assert (tmp_path / "s.json").read_text() == (tmp_path / "whole.json").read_text()


def test_one_finalist_is_not_trained(folder: Path, tmp_path: Path) -> None:
    assert select(folder, tmp_path / "s.json", "--finalists", "1") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]
    (only,) = json.loads((tmp_path / "s.json").read_text())["found"]
    assert only["encoding"] == list(FOUND[0]) and "trained" not in only


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--finalists", "0"), "--finalists 0"),
        (("--apart", "0"), "--apart 0"),
        (("--training-seeds", "FULL"), "--training-seeds"),
        (("--held-out", "0"), "--held-out 0"),
        (("--held-out", "61"), "half of the 120"),
        (("--workers", "0"), "--workers 0"),
        (("--found", "missing.json"), "missing.json"),
        (("--epochs", "0"), "train nothing"),
        (("--training-seeds", "-1"), "must be above 0"),
        (("--space", "cifar10-resnet8"), "not of"),
    ],
)
def test_wrong_uses(folder: Path, tmp_path: Path, options, word: str, capsys) -> None:
    assert select(folder, tmp_path / "no.json", *options) == 2
    printed = capsys.readouterr().err
    assert word in printed and printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_trials_of_another_schedule_are_refused(folder: Path, tmp_path: Path, capsys) -> None:
    more = ("--finalists", "2", "--training-seeds", "7")
    assert select(folder, tmp_path / "s.json", *more) == 0
    assert select(folder, tmp_path / "s.json", *more, "--rate", "0.2") == 2
    assert "belongs to another search" in capsys.readouterr().err
