"""Training: the torch forms give the numpy reference's bits, and a run resumes as if unbroken."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is missing: pip install dscim[train]")

from dscim.gateware.specs import LayerSpec, ProductSpec, SequenceSpec  # noqa: E402
from dscim.host import datasets  # noqa: E402
from dscim.host.errors import UserError  # noqa: E402
from dscim.host.network import INPUT, run, save  # noqa: E402
from dscim.host.reference import multiply_by_quantized_multiplier, product  # noqa: E402
from dscim.host.reference.depthwise import PreparedDepthwise  # noqa: E402
from dscim.host.training import (  # noqa: E402
    checkpoint,
    evaluation,
    floating,
    inputs,
    integers,
    loop,
    tuning,
)
from dscim.host.training.average import Average  # noqa: E402
from dscim.host.training.calibrate import calibrate  # noqa: E402
from dscim.host.training.command import main  # noqa: E402
from dscim.host.training.experiment import experiment  # noqa: E402
from dscim.host.training.images import as_integers  # noqa: E402
from dscim.host.training.model import RESNET8, ResidualNet  # noqa: E402
from dscim.host.training.product import Counter, Window, arithmetic  # noqa: E402
from dscim.host.training.quantised import QuantisedNet  # noqa: E402
from dscim.host.training.recipe import Recipe  # noqa: E402
from dscim.host.training.trace import trace  # noqa: E402
from tests.dataset_examples import write_idx  # noqa: E402

torch.set_num_threads(1)

POINTS = [ProductSpec(width, length) for width in (16, 64) for length in (64, 128, 256)]
SHIFTED = [ProductSpec(length=256, activation_shift=e) for e in (1, 2, 3)]
LONG = [ProductSpec(length=512), ProductSpec(64, 1024)]


def operands(spec, channels, signed):
    """Activations x - z of all kinds, (2, channels, 5, 5), and a zero point they may have."""
    generator = np.random.default_rng(spec.hash)
    x = generator.choice([0, 1, 127, 128, 254, 255], (2, channels, 5, 5))
    x = np.where(generator.random(x.shape) < 0.7, generator.integers(0, 256, x.shape), x)
    return (x - 100, -28) if signed else (x, -128)


def counted(form, x, w, signed):
    """The sums of a form for weights in the middle of their levels, and those weights."""
    w = form.effective_weights(w).clamp(-127, 127).round().float()
    w[0], w[1, 0] = 127, -127
    levels = form.levels(torch.from_numpy(x).float(), signed)
    plain = form.window.convolve(levels * form.unit, form.effective_weights(w))
    return form.sums(plain, levels, w, signed).numpy(), w.numpy().astype(np.int8)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("grid", [2, 4, 8])
@pytest.mark.parametrize("spec", [*POINTS, *SHIFTED, *LONG, ProductSpec(exact=True)])
def test_product_is_the_references(spec, grid, signed):
    """Windows of 3 x 2 over 5 channels, activations of all values, weights in their levels."""
    generator = np.random.default_rng(spec.hash)
    x, zero = operands(spec, 5, signed)
    form = arithmetic(spec, Window((3, 2), (1, 1), 5), grid)
    got, w = counted(form, x, torch.from_numpy(generator.integers(-127, 128, (6, 5, 3, 2))), signed)
    columns = w.transpose(0, 2, 3, 1).reshape(6, -1).T
    for i, j in np.ndindex(2, 3):
        window = x[:, :, i:i + 3, j:j + 2].transpose(0, 2, 3, 1).reshape(2, -1)
        wanted = product((window + zero).astype(np.int8), columns, spec, zero)
        assert np.array_equal(got[:, :, i, j], wanted)


@pytest.mark.parametrize("grid", [2, 4])
@pytest.mark.parametrize("spec", [*POINTS, *SHIFTED[:1], ProductSpec(exact=True)])
def test_depthwise_product_is_the_references(spec, grid):
    """Windows of 3 x 3 over 17 channels, more than a tile has, two outputs a channel, stride 2."""
    generator = np.random.default_rng(spec.hash)
    x, zero = operands(spec, 17, True)
    form = arithmetic(spec, Window((3, 3), (2, 2), 17, 17), grid)
    got, w = counted(form, x, torch.from_numpy(generator.integers(-127, 128, (34, 1, 3, 3))), True)
    layer = LayerSpec((5, 5, 17), 34, (3, 3), (2, 2), ((0, 0), (0, 0)), zero, 0, (-128, 127), spec,
                      depthwise=True)
    given = (x + zero).astype(np.int8).transpose(0, 2, 3, 1)
    zeros = np.zeros(34, np.int32)
    prepared = PreparedDepthwise(layer, w[:, 0].transpose(1, 2, 0), zeros, zeros, zeros)
    wanted = prepared.accumulate(given)
    assert np.array_equal(got.transpose(0, 2, 3, 1), wanted)


@pytest.mark.parametrize("spec", [*POINTS, *LONG])
def test_levels_are_what_the_reference_counts(spec):
    """A lone operand against the greatest other one counts its own level."""
    form = arithmetic(spec, Window((1, 1), (1, 1), 1))
    x, top = np.arange(-128, 128, dtype=np.int8), np.array([[127]], np.int8)
    unit = 1 << spec.decode_shift
    counts = product(x[:, None], top, spec, -128)[:, 0] // unit
    assert np.array_equal(form.levels(torch.arange(256).float(), False).numpy(), counts)
    w = form.effective_weights(torch.arange(-127, 128).float())
    whole = w.clamp(-127, 127).round()
    assert torch.equal(form.effective_weights(whole), w)
    counts = product(top, whole.numpy().astype(np.int8)[None], spec, -128)[0] // unit
    assert np.array_equal((w * spec.samples / 128).numpy(), counts)


@pytest.mark.parametrize("spec", [
    ProductSpec(signed="offset"), ProductSpec(sequence=SequenceSpec("lfsr"))])
def test_other_arithmetics_are_refused(spec):
    with pytest.raises(UserError, match="split with the sequence counter only"):
        Counter(spec, Window((1, 1), (1, 1), 1), 2)


def test_the_longest_streams_are_refused():
    with pytest.raises(UserError, match="train for 512 or less"):
        Counter(ProductSpec(length=1024), Window((1, 1), (1, 1), 1), 2)


def test_multiply_is_the_references():
    generator = np.random.default_rng(7)
    x = np.concatenate([generator.integers(-2**27, 2**27, 5000), np.arange(-600, 600)])
    for shift in (-20, -9, -1, 0, 2):
        for multiplier in (1 << 30, (1 << 31) - 1, 1_234_567_890, 0):
            wanted = multiply_by_quantized_multiplier(x, np.int64(multiplier), np.int64(shift))
            got = integers.multiply(
                torch.from_numpy(x), torch.tensor(multiplier), torch.tensor(shift))
            assert np.array_equal(got.numpy(), wanted)


def test_straight_is_exact_and_passes_the_gradient():
    surrogate = torch.tensor([0.1, 1e6], requires_grad=True)
    value = integers.straight(torch.tensor([100.0, 3.0]), surrogate)
    (value * torch.tensor([2.0, 3.0])).sum().backward()
    assert value.tolist() == [100.0, 3.0]
    assert surrogate.grad.tolist() == [2.0, 3.0]


@pytest.fixture(scope="module")
def model():
    """An untrained network with lively batch norms."""
    torch.manual_seed(3)
    model = ResidualNet(1, 10, RESNET8)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.rand(8, 1, 28, 28))
    return model.eval()


@pytest.fixture(scope="module")
def images():
    return torch.randint(0, 256, (8, 28, 28, 1), generator=torch.Generator().manual_seed(4)).byte()


def quantised(model, images, spec):
    net = QuantisedNet(trace(model, (28, 28, 1)), spec)
    calibrate(net, images)
    return net.eval()


def export(net):
    return net.export("test", (28, 28, 1), tuple("0123456789"), {})


@pytest.mark.parametrize("spec", [*POINTS[:1], *POINTS[4:5], ProductSpec(exact=True)])
def test_the_exported_network_is_the_forward_pass_bit_for_bit(model, images, spec):
    net = quantised(model, images, spec)
    signals = net.signals(images[:1])
    outputs = run(export(net), as_integers(images[:1, :, :, 0].numpy()))
    assert set(outputs) == set(signals) - {INPUT}
    for name, output in outputs.items():
        wanted = (signals[name].value + signals[name].zero).detach().permute(0, 2, 3, 1)
        assert np.array_equal(output, wanted.numpy()), name
        assert len(np.unique(output)) > 1 or spec.samples == 1, name


def test_batch_norm_is_folded_and_rounding_stays_small(model, images):
    net = quantised(model, images, ProductSpec(exact=True))
    with torch.no_grad():
        wanted = model(inputs.real(FASHION.input, images))
        real = list(net.real(images).values())[-1].flatten(1)
        torch.testing.assert_close(real, wanted, rtol=1e-3, atol=1e-4)
        assert (net(images) - wanted).std() < 0.1 * wanted.std()


def test_everything_trainable_gets_a_gradient(model, images):
    net = quantised(model, images, POINTS[0])
    net.round_as_kernels(False)
    torch.nn.functional.cross_entropy(net(images), torch.arange(8)).backward()
    without = [name for name, p in net.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


@pytest.fixture
def folder(tmp_path):
    """A tiny data set: 300 images to train on and 20 to test on."""
    write_idx(tmp_path, 300, 20)
    return tmp_path


FASHION = experiment("fashion-resnet8")


def test_a_stopped_training_goes_on_as_if_it_never_stopped(folder, monkeypatch):
    """Two epochs at one go, and two with a stop between, end in the same weights."""
    data = datasets.load("fashion-mnist", folder)
    recipe = Recipe(2, 0.05, seed=9, images=32, batch=16, held_out=20)
    floating.train(FASHION, data, recipe, folder / "whole.pt")
    saved = loop.save

    def save_and_stop(state, path):
        saved(state, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "save", save_and_stop)
        floating.train(FASHION, data, recipe, folder / "broken.pt")
    assert checkpoint.restore(folder / "broken.pt")["epoch"] == 1
    floating.train(FASHION, data, recipe, folder / "broken.pt")
    whole, broken = (checkpoint.restore(folder / f"{name}.pt")["model"]
                     for name in ("whole", "broken"))
    assert all(torch.equal(whole[key], broken[key]) for key in whole)
    with pytest.raises(UserError, match="another recipe"):
        floating.train(FASHION, data, dataclasses.replace(recipe, epochs=3), folder / "broken.pt")


def test_fine_tuning_runs_and_its_checkpoint_is_its_network(folder):
    data = datasets.load("fashion-mnist", folder)
    recipe = Recipe(1, 0.05, seed=9, images=32, batch=16, held_out=20)
    floating.train(FASHION, data, recipe, folder / "float.pt")
    parts, model = loop.split(data, recipe), floating.load(FASHION, folder / "float.pt")
    net = tuning.quantise(trace(model, data.shape), FASHION.input, parts, POINTS[3])
    origin = checkpoint.provenance(folder / "float.pt")
    tuning.finetune(net, floating.answers(FASHION, model), parts, recipe, folder / "tuned.pt",
                    origin=origin)
    loaded = tuning.load(trace(model, data.shape), FASHION.input, folder / "tuned.pt", POINTS[3])
    image = torch.from_numpy(data.test_images[:4].copy())
    assert torch.equal(net(image), loaded(image))
    facts = checkpoint.provenance(folder / "tuned.pt")
    assert facts["recipe"]["seed"] == 9 and facts["start"] == origin and facts["cpu_hours"] >= 0


def test_provenance_is_the_whole_chain(folder):
    data = datasets.load("fashion-mnist", folder)
    for name, start, epochs in (("a", None, 1), ("b", "a", 2), ("c", "b", 1)):
        recipe = Recipe(epochs, 0.05, seed=9, images=16, batch=16, held_out=20)
        floating.train(FASHION, data, recipe, folder / f"{name}.pt",
                       folder / f"{start}.pt" if start else None)
    facts = checkpoint.provenance(folder / "c.pt")
    assert facts["start"]["recipe"]["epochs"] == 2
    assert facts["start"]["start"]["recipe"]["epochs"] == 1
    assert facts["start"]["start"]["start"] is None


def test_a_missing_checkpoint_is_one_sentence(folder):
    with pytest.raises(UserError, match="no checkpoint"):
        main(["finetune", "--data", str(folder), "--work", str(folder), "--name", "x"])


def test_an_evaluation_goes_on_where_it_stopped(model, images, folder, monkeypatch):
    data = datasets.load("fashion-mnist", folder)
    for name, spec in (("fashion-resnet8-int8.npz", ProductSpec(exact=True)),
                       ("fashion-resnet8.npz", ProductSpec(64, 64))):
        save(export(quantised(model, images, spec)), folder / name)
    measure, measured = evaluation._measure, []

    def stop_at_third(*arguments):
        measured.append(arguments)
        if len(measured) == 3:
            raise KeyboardInterrupt
        return measure(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(evaluation, "_measure", stop_at_third)
        evaluation.evaluate("fashion-resnet8", data, folder, 2)
    stopped = json.loads((folder / "evaluation.json").read_text())["results"]
    results = evaluation.evaluate("fashion-resnet8", data, folder, 2)
    assert len(stopped) == 2 and results[:2] == stopped
    assert len(results) == 8 == len(list(evaluation.pairs("fashion-resnet8", folder)))
    again = json.loads((folder / "evaluation.json").read_text())["results"]
    assert again == evaluation.evaluate("fashion-resnet8", data, folder, 2) == results


def test_the_average_forgets_its_beginning_and_leaves_the_model_alone():
    model = torch.nn.BatchNorm1d(1)                     # weights, statistics and a whole number
    average = Average(model, 0.9)
    for step in range(1, 60):
        with torch.no_grad():
            model.weight.fill_(5.0 if step > 5 else -100.0)
            model.num_batches_tracked.fill_(step)
        average.update()
    assert 4 < float(average.state["weight"]) < 5
    assert int(average.state["num_batches_tracked"]) == 59
    with average.applied() as state:
        assert model.weight.item() == float(state["weight"]) < 5
    assert model.weight.item() == 5
    plain = Average(model, 0.0)
    model.weight.data.fill_(7.0)
    plain.update()
    assert float(plain.state["weight"]) == 7
