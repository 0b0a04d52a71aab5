"""Training of PruningNets and plain networks, recalibration, fitness, the verbs that use them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is missing: pip install dscim[train]")
torch.set_num_threads(1)  # two would wait for each other on a loaded machine

import onnxruntime  # noqa: E402

from dscim.errors import UserError  # noqa: E402
from dscim.gateware.specs import ProductSpec, SocSpec  # noqa: E402
from dscim.host.cli import main  # noqa: E402
from dscim.host.compile.cycles import product_cycles  # noqa: E402
from dscim.host.network import load  # noqa: E402
from dscim.host.network.datasets.pixels import Input  # noqa: E402
from dscim.host.research.prune import operations, space  # noqa: E402
from dscim.host.research.prune.fitness import Measure  # noqa: E402
from dscim.host.research.prune.images import parts_of  # noqa: E402
from dscim.host.research.prune.learn import from_scratch, load_pruning_net, pruning_net  # noqa: E402
from dscim.host.research.prune.mobilenet import mobilenet_v1  # noqa: E402
from dscim.host.research.prune.operations import Kind  # noqa: E402
from dscim.host.research.prune.plain import PlainNet  # noqa: E402
from dscim.host.research.prune.plans import PLANS, pruning_recipe  # noqa: E402
from dscim.host.research.prune.recalibrate import recalibrate  # noqa: E402
from dscim.host.research.prune.space import Space, Width  # noqa: E402
from dscim.host.research.training import loop as fitting  # noqa: E402
from dscim.host.research.training.checkpoint import restore  # noqa: E402
from dscim.host.research.training.images import Split, resized_crop  # noqa: E402
from dscim.host.research.training.loop import Training, fit, sgd  # noqa: E402
from tests.dataset_examples import write_idx  # noqa: E402

TINY = mobilenet_v1("tiny", (8, 8, 3), 5, ((8, 1), (12, 2), (16, 1)))
SHORT = pruning_recipe(epochs=2, batch=8, rate=0.1, reach=1, seed=5)


def random_parts(where: Space, count: int = 32) -> Split:
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (count, *where.image), generator=generator).byte()
    labels = torch.randint(0, where.classes, (count,), generator=generator)
    return Split(images, labels, images[:8], labels[:8])


def test_a_stopped_training_resumes_as_if_it_never_stopped(tmp_path: Path, monkeypatch) -> None:
    parts = random_parts(TINY)
    train = [
        lambda name: pruning_net(TINY, "generated", parts, SHORT, Input(), tmp_path / name),
        lambda name: from_scratch(TINY, (9, 4), parts, SHORT, Input(), tmp_path / name),
    ]
    for place, run in enumerate(train):
        run(f"whole{place}")
        kept = fitting.save

        def save_and_stop(state, path, kept=kept):
            kept(state, path)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(fitting, "save", save_and_stop)
            run(f"broken{place}")
        assert restore(tmp_path / f"broken{place}")["epoch"] == 1
        run(f"broken{place}")
        whole, broken = (
            restore(tmp_path / f"{name}{place}")["model"] for name in ("whole", "broken")
        )
        assert all(torch.equal(whole[key], broken[key]) for key in whole)
    with pytest.raises(UserError, match="another recipe"):
        pruning_net(
            TINY,
            "generated",
            parts,
            dataclasses.replace(SHORT, rate=0.2),
            Input(),
            tmp_path / "whole0",
        )
    with pytest.raises(UserError, match="another facts"):
        pruning_net(TINY, "shared", parts, SHORT, Input(), tmp_path / "whole0")
    net, _ = load_pruning_net(TINY, tmp_path / "whole0")
    assert not net.training
    with pytest.raises(UserError, match="not a PruningNet"):
        load_pruning_net(TINY, tmp_path / "whole1")


def test_training_learns(tmp_path: Path) -> None:
    parts = random_parts(TINY, 16)
    recipe = pruning_recipe(epochs=20, batch=16, rate=0.1, reach=0, smoothing=0.0, decay=0.0)
    pruning_net(TINY, "generated", parts, recipe, Input(), tmp_path / "n.pt")
    history = [entry["loss"] for entry in restore(tmp_path / "n.pt")["history"]]
    assert history[-1] < 0.9 * history[0]


def test_recalibration_equals_brute_force() -> None:
    """The averages of each batch's own statistics, every layer fed by normalised ones."""
    torch.manual_seed(3)
    where = space("fashion-resnet8")
    net = PlainNet(where, tuple(range(4, 4 + where.genes)))
    seen: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    batches = [torch.rand(6, 1, 28, 28) for _ in range(3)]
    norms = {
        name: module
        for name, module in net.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    }
    for name, module in norms.items():
        module.running_mean.fill_(7.0)  # must be overwritten
        module.register_forward_hook(
            lambda _, given, out, name=name: seen.setdefault(name, []).append(
                (given[0].mean((0, 2, 3)), given[0].var((0, 2, 3)))
            )
        )
    recalibrate(net, batches)
    for name, module in norms.items():
        means, variances = zip(*seen[name], strict=True)
        torch.testing.assert_close(module.running_mean, torch.stack(means).mean(0))
        torch.testing.assert_close(module.running_var, torch.stack(variances).mean(0))
        assert module.momentum == 0.1 and not module.training


def test_rates_follow_the_recipe() -> None:
    linear = pruning_recipe(10, 4, 0.5)
    assert [linear.rate_at(step, 4, 0.5) for step in (0, 2, 3)] == [0.5, 0.25, 0.125]
    falling = PLANS["resnet-50"].scratch
    assert falling.rate_at(31, 128, falling.rate) == 0.2
    assert falling.rate_at(32, 128, falling.rate) == pytest.approx(0.02)
    assert falling.rate_at(96, 128, falling.rate) == pytest.approx(0.0002)


def test_crops_are_parts_of_the_picture() -> None:
    images = torch.randint(0, 256, (20, 16, 16, 3)).byte()
    made = resized_crop(images, torch.Generator().manual_seed(1))
    assert made.shape == images.shape and made.dtype == torch.uint8
    assert all(
        made[k].min() >= images[k].min() and made[k].max() <= images[k].max() for k in range(20)
    )
    flat = torch.full((3, 8, 8, 1), 77, dtype=torch.uint8)
    assert torch.equal(resized_crop(flat, torch.Generator().manual_seed(1)), flat)


def reduced(name: str) -> Space:
    """The space with a 24th of the widths, for small images and ten classes."""
    where = space(name)
    widths = (
        where.widths[0],
        *(Width(max(4, width.base // 24), width.gene) for width in where.widths[1:]),
    )
    return dataclasses.replace(where, image=(48, 48, 3), classes=10, widths=widths)


@pytest.mark.parametrize("name", PLANS)
def test_the_published_plans_start(name: str, tmp_path: Path) -> None:
    """Two steps of both trainings with their own constants, on random images at reduced size."""
    where, plan = reduced(name), PLANS[name]
    parts = random_parts(where, 8)
    for place, schedule in enumerate((plan.pruning, plan.scratch)):
        short = dataclasses.replace(schedule, epochs=1, batch=4)
        file = tmp_path / str(place)
        if place:
            from_scratch(where, where.least, parts, short, Input(), file)
        else:
            pruning_net(where, "generated", parts, short, Input(), file)
        (entry,) = restore(file)["history"]
        assert 0 < entry["loss"] < 10


def test_the_published_constants() -> None:
    """Section 4 of the contract: epochs, batch, rate, weight decay of both trainings."""
    table = {
        "mobilenet-v1": ((64, 512, 0.25, 4e-5), (256, 1024, 0.5, 4e-5)),
        "mobilenet-v2": ((64, 512, 0.25, 0.0), (256, 1024, 0.5, 4e-5)),
        "resnet-50": ((32, 256, 0.1, 1e-4), (128, 512, 0.2, 1e-4)),
    }
    for name, wanted in table.items():
        plan = PLANS[name]
        assert (
            tuple(
                (each.epochs, each.batch, each.rate, each.decay)
                for each in (plan.pruning, plan.scratch)
            )
            == wanted
        )
        assert {each.smoothing for each in (plan.pruning, plan.scratch)} == {0.1}
        assert plan.held_out == 50 * space(name).classes


@pytest.fixture(scope="module", name="trained")
def _trained(tmp_path_factory) -> Path:
    """A folder with a tiny data set and a PruningNet of fashion-mobilenet-v1, from the verb."""
    folder = tmp_path_factory.mktemp("prune")
    write_idx(folder, 120, 20)
    assert (
        main(
            [
                "prune",
                "train",
                "--space",
                "fashion-mobilenet-v1",
                "-o",
                str(folder / "net.pt"),
                "--data",
                str(folder),
                "--held-out",
                "40",
                "--epochs",
                "1",
                "--images",
                "32",
                "--batch",
                "16",
                "--plot",
                str(folder / "loss.png"),
                "--json",
                str(folder / "train.json"),
            ]
        )
        == 0
    )
    return folder


def test_the_verb_trains_and_says_how(trained: Path) -> None:
    result = json.loads((trained / "train.json").read_text())
    assert (result["source"], len(result["history"])) == ("generated", 1)
    assert (trained / "loss.png").read_bytes()[:4] == b"\x89PNG"


def test_a_fitness_depends_on_the_structure_alone(trained: Path) -> None:
    where = space("fashion-mobilenet-v1")
    rng = np.random.default_rng(1)
    chosen = [tuple(int(k) for k in rng.integers(0, 31, where.genes)) for _ in range(3)]
    measure = Measure(where.name, trained / "net.pt", "fashion-mnist", trained, 40, 40, 2, 16)
    first, again = measure(), measure()
    assert [first(each) for each in chosen] == [again(each) for each in reversed(chosen)][::-1]
    integers = dataclasses.replace(measure, validation=8, product=ProductSpec(exact=True))()
    assert integers(chosen[0]) == integers(chosen[0])


@pytest.mark.slow
def test_the_fitness_by_the_emulator(trained: Path) -> None:
    where = space("fashion-mobilenet-v1")
    fitness = Measure(
        where.name,
        trained / "net.pt",
        "fashion-mnist",
        trained,
        40,
        8,
        2,
        16,
        ProductSpec(length=64),
        calibration=8,
    )()
    assert 0 <= fitness(where.least) == fitness(where.least) <= 1


def test_the_parts_never_change_and_bad_ones_are_refused(trained: Path) -> None:
    where = space("fashion-mobilenet-v1")
    one, other = (parts_of("fashion-mnist", trained, where, 40) for _ in range(2))
    assert torch.equal(one.images, other.images) and len(one.held_labels) == 40
    with pytest.raises(UserError, match="half of the 120"):
        parts_of("fashion-mnist", trained, where, 61)
    with pytest.raises(UserError, match="takes"):
        parts_of("fashion-mnist", trained, space("cifar10-resnet8"), 40)


def search(trained: Path, *more: str) -> int:
    return main(
        [
            "prune",
            "search",
            "--space",
            "fashion-mobilenet-v1",
            "--net",
            str(trained / "net.pt"),
            "--data",
            str(trained),
            "--held-out",
            "40",
            "--validation",
            "40",
            "--batches",
            "1",
            "--population",
            "4",
            "--iterations",
            "2",
            "--parents",
            "2",
            "--mutations",
            "1",
            "--crossovers",
            "1",
            *more,
        ]
    )


def test_the_search_verb(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, found = trained / "t.json", trained / "found.json"
    assert main(["prune", "table", "--space", "fashion-mobilenet-v1", "-o", str(table)]) == 0
    more = (
        "--costs",
        str(table),
        "-o",
        str(found),
        "--budget",
        "cycles=50%",
        "--budget",
        "macs=2e6",
    )
    assert search(trained, *more) == 0
    result = json.loads(found.read_text())
    assert len(result["found"]) == 8
    assert all(
        each["costs"]["cycles"] <= result["full"]["cycles"] // 2
        and each["costs"]["macs"] <= 2_000_000
        for each in result["found"]
    )
    capsys.readouterr()
    assert search(trained, *more) == 0  # all of it is in the cache
    assert "8 evaluations known" in capsys.readouterr().out
    assert json.loads(found.read_text()) == result
    assert search(trained, *more[:-4], "--budget", "cycles=10") == 2
    assert "at least" in capsys.readouterr().err
    assert search(trained, "-o", str(trained / "r.json"), "--budget", "macs=50%", "--random") == 0
    assert {
        each["iteration"] for each in json.loads((trained / "r.json").read_text())["found"]
    } == {0}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--budget", "flops=1"), "flops"),
        (("--budget", "macs"), "NAME=LIMIT"),
        (("--budget", "cycles=50%"), "--costs"),
        (("--budget", "macs=-1"), "NAME=LIMIT"),
        (("--budget", "macs=50%", "--workers", "0"), "--workers 0"),
        (("--budget", "macs=50%", "--validation", "41"), "--validation 41"),
        (("--budget", "macs=50%", "--population", "0"), "population"),
        (("--budget", "macs=50%", "--net", "missing.pt"), "no checkpoint 'missing.pt'"),
        (("--budget", "macs=50%", "--net", __file__), "not a checkpoint"),
        (("--budget", "macs=50%", "--budget", "macs=40%"), "twice"),
        (("--budget", "macs=50%", "--costs", "missing.json"), "missing.json"),
    ],
)
def test_wrong_uses(trained: Path, options, word: str, capsys) -> None:
    assert search(trained, "-o", str(trained / "no.json"), *options) == 2
    printed = capsys.readouterr().err
    assert word in printed and printed.count("\n") == 1
    assert not list(trained.glob("no.*"))


def test_a_table_of_another_arithmetic_is_refused(trained: Path, tmp_path: Path, capsys) -> None:
    name, table = ["--space", "fashion-mobilenet-v1"], str(tmp_path / "t.json")
    assert main(["prune", "table", *name, "-o", table, "--length", "128"]) == 0
    retrain = ["prune", "retrain", *name, "--costs", table, "-o", str(tmp_path / "p.npz")]
    capsys.readouterr()
    for verb, word in (
        ([*retrain, "--encoding", "FULL"], "L = 128"),
        ([*retrain, "--found", table], "not a result of `dscim prune search`"),
        ([*retrain, "--found", "missing.json"], "missing.json"),
    ):
        assert main(verb) == 2
        printed = capsys.readouterr().err
        assert word in printed and printed.count("\n") == 1
    assert (
        search(
            trained,
            "-o",
            str(tmp_path / "f.json"),
            "--budget",
            "cycles=50%",
            "--costs",
            table,
            "--emulator",
            "--length",
            "256",
        )
        == 2
    )
    assert "--length 256 is not 128" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


def test_fit_refuses_a_file_that_is_not_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "c.pt").write_text("no")
    parts = random_parts(TINY)
    net = PlainNet(TINY, TINY.full)
    training = Training(
        net, sgd(net, SHORT), lambda *_: torch.zeros(()), parts.images, parts.labels
    )
    with pytest.raises(UserError, match="not a checkpoint"):
        fit(training, SHORT, tmp_path / "c.pt")


def test_from_training_to_a_network_that_runs(tmp_path: Path, capsys) -> None:
    """Train, search, retrain, export, run on `ref`: cycles as predicted."""
    write_idx(tmp_path, 200, 20)
    where = space("fashion-mobilenet-v1")
    name, data = ["--space", where.name], ["--data", str(tmp_path), "--held-out", "40"]
    few = ["--epochs", "1", "--images", "32", "--batch", "16"]
    net, table, found, out = (
        str(tmp_path / each) for each in ("net.pt", "t.json", "f.json", "pruned.npz")
    )
    assert main(["prune", "train", *name, "-o", net, *data, *few]) == 0
    assert main(["prune", "table", *name, "-o", table]) == 0
    assert (
        main(
            [
                "prune",
                "search",
                *name,
                "--net",
                net,
                "--costs",
                table,
                "-o",
                found,
                *data,
                "--budget",
                "cycles=40%",
                "--population",
                "4",
                "--iterations",
                "2",
                "--validation",
                "40",
                "--batches",
                "1",
            ]
        )
        == 0
    )
    assert (
        main(
            [
                "prune",
                "retrain",
                *name,
                "--found",
                found,
                "--costs",
                table,
                "-o",
                out,
                *data,
                *few,
                "--training-seeds",
                "1,2",
                "--test",
                "20",
            ]
        )
        == 0
    )
    result = json.loads((tmp_path / "pruned.json").read_text())
    assert len(result["float"]) == 2 and 0 <= result["dscim"] <= 1
    assert (
        result["costs"]["cycles"]
        <= 0.4 * json.loads((tmp_path / "f.json").read_text())["full"]["cycles"]
    )
    network = load(tmp_path / "pruned.npz")
    images = np.random.default_rng(1).integers(0, 256, (2, 28, 28, 1)).astype(np.uint8)
    np.save(tmp_path / "x.npy", (images ^ 128).view(np.int8))
    assert main(["run", out, str(tmp_path / "x.npy"), "--target", "ref"]) == 0
    assert result["costs"]["cycles"] <= result["budget"]["cycles"]
    real = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    exported = torch.export.load(tmp_path / "pruned.pt2").module()(real)
    session = onnxruntime.InferenceSession(
        tmp_path / "pruned.onnx", providers=["CPUExecutionProvider"]
    )
    (answers,) = session.run(None, {"input": real.numpy()})
    np.testing.assert_allclose(answers, exported.detach().numpy(), rtol=1e-4, atol=1e-4)
    weighted = [layer for _, layer in network.layers()]
    wanted = [
        each.layer
        for each in operations(where, where.decode(tuple(result["encoding"])))
        if each.kind in (Kind.CONVOLUTION, Kind.CLASSIFIER)
    ]
    assert [product_cycles(SocSpec(), layer) for layer in weighted] == [
        product_cycles(SocSpec(), layer) for layer in wanted
    ]


@pytest.mark.slow
def test_pruned_networks_on_the_soc(trained: Path, tmp_path: Path, capsys) -> None:
    """Every layer equal to the reference, cycles within 2 % of the predicted, within the budget."""
    name = ["--space", "fashion-mobilenet-v1"]
    table, found = tmp_path / "table.json", tmp_path / "found.json"
    assert main(["prune", "table", *name, "-o", str(table)]) == 0
    assert search(trained, "--costs", str(table), "-o", str(found), "--budget", "cycles=40%") == 0
    for stem, which in (
        ("search-x", ("--found", str(found))),
        ("uniform-x", ("--encoding", ",".join("9" * 6))),
    ):
        assert (
            main(
                [
                    "prune",
                    "retrain",
                    *name,
                    *which,
                    "--costs",
                    str(table),
                    "-o",
                    str(tmp_path / f"{stem}.npz"),
                    "--method",
                    stem[:-2],
                    "--data",
                    str(trained),
                    "--epochs",
                    "1",
                    "--images",
                    "32",
                    "--batch",
                    "16",
                    "--test",
                    "20",
                ]
            )
            == 0
        )
    out = tmp_path / "report.out"
    report = [
        "prune",
        "report",
        *name,
        "--work",
        str(tmp_path),
        "--target",
        "sim",
        "--json",
        str(out),
    ]
    assert main(report) == 0
    printed = capsys.readouterr().out
    assert printed.count("layers equal to the reference") == 2 and "x: search" in printed
    for each in json.loads(out.read_text())["results"]:
        assert each["counted"]["holds"] and each["counted"]["outputs_compared"] > 10_000
        assert each["counted"]["cycles"] == pytest.approx(each["costs"]["cycles"], rel=0.02)
        assert each["counted"]["cycles"] <= each["budget"].get("cycles", 10**9)
    file = tmp_path / "search-x.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"budget": {"cycles": 10}}))
    assert main(report) == 1
