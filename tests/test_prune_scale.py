"""Training at scale: images that stay in their files, several processes of torchrun."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is missing: pip install dscim[train]")
torch.set_num_threads(1)
image = pytest.importorskip("PIL.Image", reason="Pillow is missing: pip install dscim[images]")

from dscim.errors import UserError  # noqa: E402
from dscim.host.cli import main  # noqa: E402
from dscim.host.network.datasets.pixels import Input  # noqa: E402
from dscim.host.research.prune.images import parts_of  # noqa: E402
from dscim.host.research.prune.learn import pruning_net  # noqa: E402
from dscim.host.research.prune.mobilenet import mobilenet_v1  # noqa: E402
from dscim.host.research.prune.plans import pruning_recipe  # noqa: E402
from dscim.host.research.training.checkpoint import restore  # noqa: E402
from dscim.host.research.training.images import Pictures, Split, batches  # noqa: E402

TINY = mobilenet_v1("tiny", (16, 16, 3), 3, ((8, 2), (12, 2), (16, 1)))
SHORT = pruning_recipe(epochs=1, batch=8, rate=0.1, augment="crop")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for part, count in (("train", 8), ("test", 2)):
        for label in range(3):
            (tmp_path / part / f"c{label}").mkdir(parents=True)
            for k in range(count):
                pixels = rng.integers(0, 256, (20 + k, 24, 3)).astype(np.uint8)
                image.fromarray(pixels).save(tmp_path / part / f"c{label}" / f"{k}.png")
    return tmp_path


def test_files_train_as_images_in_memory_do(folder: Path) -> None:
    """Also with processes that read ahead; held-out images are not used."""
    parts = parts_of("folder", folder, TINY, 6)
    assert isinstance(parts.images, Pictures)
    assert len(parts.images) == len(parts.labels) == 18
    assert not {*parts.images.paths} & {*parts.held_images.paths}
    assert all(
        int(label) == int(path.parent.name[1:])
        for path, label in zip(parts.images.paths, parts.labels, strict=True)
    )
    held = Split(parts.images[:], parts.labels, parts.held_images[:], parts.held_labels)
    chosen = [torch.tensor([3, 1]), torch.tensor([17])]
    for readers in (0, 2):
        assert all(
            torch.equal(one, held.images[places])
            for one, places in zip(batches(parts.images, chosen, readers), chosen, strict=True)
        )
    models = []
    for name, each in (("files", parts), ("memory", held)):
        pruning_net(TINY, "generated", each, SHORT, Input(), folder / name)
        models.append(restore(folder / name)["model"])
    assert all(torch.equal(models[0][key], models[1][key]) for key in models[0])


def test_a_folder_without_training_images_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="no training images"):
        parts_of("folder", folder / "test", TINY, 0)
    with pytest.raises(UserError, match="3 classes"):
        parts_of("folder", folder, mobilenet_v1("t", (16, 16, 3), 4, ((8, 2), (12, 2))), 0)


def complete(folder: Path) -> None:
    """Adds classes up to the ten that cifar10-mobilenet-v1 requires."""
    for label in range(3, 10):
        for part in ("train", "test"):
            (folder / part / f"c{label}").mkdir()
            image.new("RGB", (32, 32)).save(folder / part / f"c{label}" / "0.png")


def torchrun(count: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`dscim prune` in `count` processes."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            str(count),
            "--no-python",
            sys.executable,
            "-c",
            "import sys; from dscim.host.cli import main; sys.exit(main())",
            "prune",
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_two_processes_train_together(folder: Path) -> None:
    """Two steps, then one more epoch from the checkpoint; only one process writes."""
    complete(folder)
    common = ("--space", "cifar10-mobilenet-v1", "--dataset", "folder", "--data", str(folder))
    few = ("--batch", "8", "--epochs", "1", "--images", "16", "--held-out", "4")
    net, log = folder / "net.pt", folder / "net.json"
    done = torchrun(2, "train", *common, *few, "-o", str(net), "--json", str(log), "--readers", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 1/1") == 1
    (entry,) = json.loads(log.read_text())["history"]
    assert 0 < entry["loss"] < 10
    done = torchrun(2, "train", *common, *few[2:], "--batch", "7", "-o", str(folder / "odd.pt"))
    assert done.returncode != 0 and "cannot be divided among 2 processes" in done.stderr
    done = torchrun(
        2,
        "retrain",
        *common,
        *few,
        "--encoding",
        ",".join("5" * 6),
        "--test",
        "4",
        "-o",
        str(folder / "p.npz"),
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads((folder / "p.json").read_text())["float"]) == 1
    assert main(["prune", "train", *common, *few, "-o", str(net)]) == 0


@pytest.mark.slow
def test_two_processes_train_finalists_together(folder: Path) -> None:
    """Only the first reports and writes; a single process then finds their results."""
    complete(folder)
    found, out = folder / "f.json", folder / "s.json"
    found.write_text(
        json.dumps(
            {
                "space": "cifar10-mobilenet-v1",
                "budget": {},
                "found": [{"encoding": [k] * 6, "fitness": 0.5, "costs": {}} for k in (1, 9)],
            }
        )
    )
    options = (
        "select",
        "--space",
        "cifar10-mobilenet-v1",
        "--dataset",
        "folder",
        "--data",
        str(folder),
        "--batch",
        "8",
        "--epochs",
        "1",
        "--images",
        "16",
        "--held-out",
        "4",
        "--found",
        str(found),
        "-o",
        str(out),
        "--training-seeds",
        "7",
    )
    done = torchrun(2, *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 of 2 structures") == done.stdout.count("0 trained before") == 1
    result = out.read_text()
    assert len(out.with_suffix(".jsonl").read_text().splitlines()) == 3
    assert main(["prune", *options]) == 0 and out.read_text() == result
    done = torchrun(2, *options, "--workers", "2")
    assert done.returncode != 0 and "leave out --workers" in done.stderr


@pytest.mark.slow
def test_shares_of_a_batch_are_the_batch(folder: Path) -> None:
    """Without batch norm's own statistics: one step by two processes is one step by one."""
    script = folder / "step.py"
    script.write_text("""
import sys, torch
from dscim.host.research.training import together
torch.manual_seed(1)
with together.together():
    net = torch.nn.Linear(5, 3)
    called = together.spread(net)
    x = torch.arange(40.0).view(8, 5).sin()[together.share(8)]
    called(x).square().mean().backward()
    if not together.rank():
        torch.save([net.weight.grad, together.count()], sys.argv[1])
    together.average(1.0)
""")
    made = []
    for count in (1, 2):
        file = folder / f"{count}.pt"
        subprocess.run(
            [
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--standalone",
                "--nproc-per-node",
                str(count),
                str(script),
                str(file),
            ],
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        grad, number = torch.load(file, weights_only=True)
        assert number == count
        made.append(grad)
    torch.testing.assert_close(*made)
