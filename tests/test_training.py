"""Training: the torch forms give the numpy reference's bits, and a run resumes as if unbroken."""

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is missing: pip install dscim[train]")

from dscim.errors import UserError  # noqa: E402
from dscim.gateware.specs import LayerSpec, ProductSpec, SequenceSpec  # noqa: E402
from dscim.host.cli import main  # noqa: E402
from dscim.host.golden.reference import multiply_by_quantized_multiplier, product  # noqa: E402
from dscim.host.golden.reference.depthwise import PreparedDepthwise  # noqa: E402
from dscim.host.network import (  # noqa: E402
    INPUT,
    datasets,
    run,
    save,
)
from dscim.host.network.shipped import as_integers  # noqa: E402
from dscim.host.research.training import checkpoint, evaluation, floating, inputs, integers, loop  # noqa: E402
from dscim.host.research.training.calibrate import calibrate  # noqa: E402
from dscim.host.research.training.experiment import experiment  # noqa: E402
from dscim.host.research.training.loop import Average  # noqa: E402
from dscim.host.research.training.models import RESNET8, ResidualNet  # noqa: E402
from dscim.host.research.training.product import ConvShape, Product  # noqa: E402
from dscim.host.research.training.quantised import QuantisedNet  # noqa: E402
from dscim.host.research.training.recipe import Recipe  # noqa: E402
from dscim.host.research.training.trace import trace  # noqa: E402
from tests.dataset_examples import write_idx  # noqa: E402

torch.set_num_threads(1)

POINTS = [ProductSpec(width, length) for width in (16, 64) for length in (64, 128, 256)]
OTHERS = [
    *(ProductSpec(length=256, activation_shift=e) for e in (1, 2, 3)),
    ProductSpec(length=1024),
    ProductSpec(64, 2048),
    ProductSpec(exact=True),
]
OFFSET = [
    ProductSpec(signed="offset"),
    ProductSpec(64, signed="offset"),
    ProductSpec(length=128, signed="offset", sequence=SequenceSpec("lfsr")),
]


def operands(spec, channels, signed):
    """Activations x - z of all kinds, (2, channels, 5, 5), and a zero point they may have."""
    generator = np.random.default_rng(spec.hash)
    x = generator.choice([0, 1, 127, 128, 254, 255], (2, channels, 5, 5))
    x = np.where(generator.random(x.shape) < 0.7, generator.integers(0, 256, x.shape), x)
    return (x - 100, -28) if signed else (x, -128)


def some_weights(spec, *shape):
    """Any integers of a weight, and the greatest."""
    w = np.random.default_rng(spec.hash).integers(-127, 128, shape)
    w[0], w[1, 0] = 127, -127
    return w


def sums(product, x, w, zero):
    w = torch.from_numpy(w).float()
    return product.sums(torch.from_numpy(x).float(), w, w, zero).numpy()


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("spec", [*POINTS, *OTHERS, *OFFSET])
def test_product_is_the_references(spec, signed):
    """Windows of 3 x 2 over 5 channels, activations and weights of all values."""
    x, zero = operands(spec, 5, signed)
    w = some_weights(spec, 6, 5, 3, 2)
    got = sums(Product(spec, ConvShape((3, 2), (1, 1), 5)), x, w, zero)
    columns = w.transpose(0, 2, 3, 1).reshape(6, -1).T.astype(np.int8)
    for i, j in np.ndindex(2, 3):
        window = x[:, :, i : i + 3, j : j + 2].transpose(0, 2, 3, 1).reshape(2, -1)
        wanted = product((window + zero).astype(np.int8), columns, spec, zero)
        assert np.array_equal(got[:, :, i, j], wanted)


@pytest.mark.parametrize("spec", [*POINTS, *OTHERS])
def test_depthwise_product_is_the_references(spec):
    """Windows of 3 x 3 over 17 channels, more than in a tile, two outputs per channel, stride 2."""
    x, zero = operands(spec, 17, True)
    w = some_weights(spec, 34, 1, 3, 3)
    got = sums(Product(spec, ConvShape((3, 3), (2, 2), 17, 17)), x, w, zero)
    layer = LayerSpec(
        (5, 5, 17), 34, (3, 3), (2, 2), ((0, 0), (0, 0)), zero, 0, (-128, 127), spec, depthwise=True
    )
    given = (x + zero).astype(np.int8).transpose(0, 2, 3, 1)
    zeros = np.zeros(34, np.int32)
    kernel = w[:, 0].transpose(1, 2, 0).astype(np.int8)
    wanted = PreparedDepthwise(layer, kernel, zeros, zeros, zeros).accumulate(given)
    assert np.array_equal(got.transpose(0, 2, 3, 1), wanted)


@pytest.mark.parametrize("spec", [*POINTS, *OTHERS[:3], OTHERS[-1]])
def test_operands_stand_for_what_they_count_alone(spec):
    """An operand times the greatest other one counts its own level, in product units."""
    form, top = Product(spec, ConvShape((1, 1), (1, 1), 1)), np.array([[127]], np.int8)
    whole = 127 if spec.exact else 128  # the value of the greatest weight
    for zero in (-128, -28):
        x = np.arange(-128, 128, dtype=np.int8)
        counts = product(x[:, None], top, spec, zero)[:, 0]
        stand = form.activations(torch.from_numpy(x - np.float32(zero)).reshape(1, 1, 1, -1), zero)
        assert np.array_equal(stand.flatten().numpy() * whole, counts)
    written, values = form.nearest(torch.arange(-127, 128).float())
    assert torch.equal(form.nearest(written)[1], values)
    assert float((values - torch.arange(-127, 128)).abs().max()) <= 64 / spec.samples + 1
    counts = product(top, written.numpy().astype(np.int8)[None], spec, -128)[0]
    greatest = float(form.activations(torch.full((1, 1, 1, 1), 255.0), -128))
    assert np.array_equal(values.numpy() * greatest, counts)


@pytest.mark.parametrize("spec", [POINTS[1], POINTS[4], *OTHERS[:2], OFFSET[0]])
@pytest.mark.parametrize("groups", [1, 4])
def test_the_gradient_is_that_of_the_plain_product(spec, groups):
    """Of the values that the operands represent; 0 for activations that the shift saturates."""
    if groups > 1 and spec.signed == "offset":
        pytest.skip("depthwise products run in split only")
    generator = torch.Generator().manual_seed(5)
    x = torch.randint(-30, 226, (2, 4, 6, 6), generator=generator).float().requires_grad_()
    w = torch.randint(-127, 128, (8, 4 // groups, 3, 3), generator=generator).float()
    form = Product(spec, ConvShape((3, 3), (1, 1), 4, groups))
    values = form.nearest(w)[1].requires_grad_()
    weight = torch.randn(2, 8, 4, 4, generator=generator)
    (form.sums(x, w, values, -98) * weight).sum().backward()
    stand = form.activations(x.detach(), -98).requires_grad_()
    again = values.detach().clone().requires_grad_()
    (form.shape.convolve(stand, again) * weight).sum().backward()
    inside = x.detach().abs() <= 255 >> spec.activation_shift
    torch.testing.assert_close(values.grad, again.grad)
    torch.testing.assert_close(x.grad, stand.grad * inside)
    assert x.grad.abs().sum() > 0


def test_multiply_is_the_references():
    generator = np.random.default_rng(7)
    x = np.concatenate([generator.integers(-(2**27), 2**27, 5000), np.arange(-600, 600)])
    for shift in (-20, -9, -1, 0, 2):
        for multiplier in (1 << 30, (1 << 31) - 1, 1_234_567_890, 0):
            wanted = multiply_by_quantized_multiplier(x, np.int64(multiplier), np.int64(shift))
            got = integers.multiply(
                torch.from_numpy(x), torch.tensor(multiplier), torch.tensor(shift)
            )
            assert np.array_equal(got.numpy(), wanted)


def test_straight_is_exact_and_passes_the_gradient():
    surrogate = torch.tensor([0.1, 1e6], requires_grad=True)
    value = integers.straight(torch.tensor([100.0, 3.0]), surrogate)
    (value * torch.tensor([2.0, 3.0])).sum().backward()
    assert value.tolist() == [100.0, 3.0]
    assert surrogate.grad.tolist() == [2.0, 3.0]


@pytest.fixture(scope="module")
def model():
    """An untrained network whose batch norms have varied parameters."""
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


def test_a_stopped_training_resumes_as_if_it_never_stopped(folder, monkeypatch):
    """Two epochs in one run, and two with a stop in between, end in the same weights."""
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
    whole, broken = (
        checkpoint.restore(folder / f"{name}.pt")["model"] for name in ("whole", "broken")
    )
    assert all(torch.equal(whole[key], broken[key]) for key in whole)
    with pytest.raises(UserError, match="another recipe"):
        floating.train(FASHION, data, dataclasses.replace(recipe, epochs=3), folder / "broken.pt")


def test_provenance_is_the_whole_chain(folder):
    data = datasets.load("fashion-mnist", folder)
    for name, start, epochs in (("a", None, 1), ("b", "a", 2), ("c", "b", 1)):
        recipe = Recipe(epochs, 0.05, seed=9, images=16, batch=16, held_out=20)
        floating.train(
            FASHION, data, recipe, folder / f"{name}.pt", folder / f"{start}.pt" if start else None
        )
    facts = checkpoint.provenance(folder / "c.pt")
    assert facts["start"]["recipe"]["epochs"] == 2
    assert facts["start"]["start"]["recipe"]["epochs"] == 1
    assert facts["start"]["start"]["start"] is None


def test_a_missing_checkpoint_is_one_sentence(folder, capsys):
    where = ["--data", str(folder), "--work", str(folder)]
    assert main(["dev", "train", "export", *where, "--name", "x"]) == 2
    assert "no checkpoint" in capsys.readouterr().err


def test_a_stopped_evaluation_resumes(model, images, folder, monkeypatch):
    data = datasets.load("fashion-mnist", folder)
    for name, spec in (
        ("fashion-resnet8-int8.npz", ProductSpec(exact=True)),
        ("fashion-resnet8.npz", ProductSpec(64, 64)),
    ):
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


@pytest.mark.parametrize("total", [1, 6, 20, 33])
def test_the_rate_is_that_of_one_cycle_to_the_bit(total):
    """At every step the rates of torch's scheduler, for two groups."""
    recipe, highest = Recipe(1, 0.05, seed=1), [0.05, 0.05 * 0.3]
    optimiser = torch.optim.SGD(
        [{"params": [torch.zeros(1)], "lr": rate} for rate in highest], lr=1.0
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, highest, total_steps=total, pct_start=recipe.warm, cycle_momentum=False
    )
    for step in range(total):
        rates = [group["lr"] for group in optimiser.param_groups]
        assert rates == [recipe.rate_at(step, total, top) for top in highest]
        optimiser.step()
        schedule.step()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"epochs": 0}, "train nothing"),
        ({"images": 64}, "train nothing"),
        ({"rate": 0.0}, "must be above 0"),
        ({"seed": -1}, "must be above 0"),
        ({"average": 1.0}, "below 1"),
    ],
)
def test_recipes_that_train_nothing_are_refused(values, words):
    with pytest.raises(UserError, match=words):
        dataclasses.replace(Recipe(1, 0.05), **values)


def test_the_average_forgets_its_beginning_and_leaves_the_model_alone():
    model = torch.nn.BatchNorm1d(1)  # weights, statistics and a whole number
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
