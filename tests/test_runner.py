"""Networks layer by layer: agreement, the first difference, pools of devices."""

import dataclasses
import time

import numpy as np
import pytest

from dscim.gateware.specs import LayerSpec, ProductSpec, SocSpec
from dscim.host.device import Counters, Device, LayerParameters, LayerRun
from dscim.host.errors import LinkError, UserError
from dscim.host.link.model import ModelLink
from dscim.host.network import run as emulate
from dscim.host.run import NetworkRun, Pool
from dscim.host.run.difference import REQUANTISATION
from dscim.host.target import open_target
from tests.small_network import small_images, small_network

NETWORK = small_network()


def silent(_what: str, _done: int, _total: int) -> None:
    """A step that nobody sees."""


def complete(run: NetworkRun) -> NetworkRun:
    """The run, carried out."""
    assert len(list(run.execute(silent))) == run.total
    return run


class BrokenWeight(ModelLink):
    """A device with one byte of weights stuck: the one of row `row`, column 2."""

    row = 0

    def _weights(self, f: dict[str, int]) -> np.ndarray:
        matrix = super()._weights(f).copy()
        if self.row < len(matrix):
            matrix[self.row, 2] ^= 0x40
        return matrix


class BrokenScale(ModelLink):
    """A device whose multiplier of channel 1 has a wrong bit."""

    def _parameters(self, f: dict[str, int]) -> np.ndarray:
        parameters = super()._parameters(f).copy()
        parameters[1, 1] ^= 1 << 29
        return parameters


class Dying(ModelLink):
    """A device that starts two layers and dies in the third."""

    left = 2

    def _run(self, place: int):
        if not self.left:
            raise LinkError("the simulator ended with status -9")
        self.left -= 1
        return super()._run(place)


@pytest.mark.parametrize("arithmetic", [
    ProductSpec(), ProductSpec(exact=True), ProductSpec(64, 128), ProductSpec(signed="offset")])
def test_every_layer_agrees_on_ref(arithmetic: ProductSpec) -> None:
    images = small_images(3)
    macro = dataclasses.replace(SocSpec().macro, or_width=arithmetic.or_width, lanes=1)
    with open_target("ref", SocSpec(macro)) as device:
        run = complete(NetworkRun(device, NETWORK, arithmetic, images))
    assert run.holds
    expected = emulate(NETWORK, images, arithmetic)
    assert run.outputs is not None
    np.testing.assert_array_equal(run.outputs, expected["classifier"])
    names = [layer.name for layer in run.layers]
    assert names == ["stem", "first", "wide", "deep", "classifier"]
    assert run.compared == sum(expected[name].size for name in names)
    assert all(len(np.unique(expected[name])) > 10 for name in names[:-1]), "a dull test"


@pytest.mark.parametrize("row", [1, 129, 296])
def test_a_broken_weight_is_found_in_its_row_tile(row: int) -> None:
    link = BrokenWeight(SocSpec())
    link.row = row
    with Device(link, SocSpec()) as device:
        run = complete(NetworkRun(device, NETWORK, ProductSpec(exact=True), small_images(2)))
    assert not run.holds
    wrong = next(layer for layer in run.layers if layer.differing)
    assert wrong.name == ("stem" if row < 27 else "deep")
    assert wrong.first is not None
    assert wrong.first.channel == 2
    tiles = 1 if row < 27 else 3
    assert wrong.first.place == f"row tile {row // 128} of 0..{tiles - 1}"
    assert wrong.first.device != wrong.first.reference


def test_a_broken_scale_is_not_blamed_on_a_row_tile() -> None:
    with Device(BrokenScale(SocSpec()), SocSpec()) as device:
        run = complete(NetworkRun(device, NETWORK, ProductSpec(), small_images(2)))
    first = run.layers[0].first
    assert first is not None
    assert (first.channel, first.place) == (1, REQUANTISATION)
    assert run.end_to_end is False


def test_what_was_done_before_a_death_is_kept() -> None:
    with Device(Dying(SocSpec()), SocSpec()) as device:
        run = NetworkRun(device, NETWORK, ProductSpec(), small_images(1))
        with pytest.raises(LinkError, match="status -9"):
            complete(run)
    assert [layer.name for layer in run.layers] == ["stem", "first"]
    assert not run.holds
    assert run.outputs is None


def test_images_of_another_shape_are_refused() -> None:
    with open_target("ref", SocSpec()) as device, pytest.raises(UserError, match="8, 8, 3"):
        NetworkRun(device, NETWORK, ProductSpec(), small_images(1)[:, :7])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_pool_gives_what_one_device_gives(count: int) -> None:
    images = small_images(2 if count == 3 else 5)   # more devices than images, too
    seen: list[tuple[str, int, int]] = []
    with open_target("ref", SocSpec()) as device:
        alone = complete(NetworkRun(device, NETWORK, ProductSpec(), images))
    with Pool.open(count, lambda: open_target("ref", SocSpec())) as pool:
        run = NetworkRun(pool, NETWORK, ProductSpec(), images)
        list(run.execute(lambda *step: seen.append(step)))
    assert run.holds
    assert run.outputs is not None and alone.outputs is not None
    np.testing.assert_array_equal(run.outputs, alone.outputs)
    assert run.counters.products == alone.counters.products
    assert [done for name, done, _ in seen if name == "[1/5] stem"] == list(range(len(images) + 1))


class _Fake:
    """Devices that tell when they are closed, and one that never answers until then."""

    def __init__(self, events: list[str]) -> None:
        self.spec, self._events, self._open = SocSpec(), events, True

    def __enter__(self) -> "_Fake":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._open = False
        self._events.append("closed")

    def run_layer(self, *_: object, **__: object) -> LayerRun:
        while self._open:
            time.sleep(0.01)
        raise LinkError("closed")


def test_closing_a_pool_ends_devices_that_still_run() -> None:
    events: list[str] = []
    layer = LayerSpec((1, 1, 1), 1)
    nothing = np.zeros(1, np.int32)
    parameters = LayerParameters(np.zeros((1, 1, 1, 1), np.int8), nothing, nothing, nothing)

    def opener() -> Device:
        return _Fake(events)  # type: ignore[return-value]
    with Pool.open(2, opener) as pool:
        future = pool._threads.submit(pool._devices[0].run_layer, layer, parameters,
                                      np.zeros((1, 1, 1, 1), np.int8))
    assert events == ["closed", "closed"]
    with pytest.raises(LinkError):
        future.result(timeout=5)


def test_a_pool_that_cannot_be_opened_leaves_no_device_open() -> None:
    events: list[str] = []

    def opener() -> Device:
        if len(opened) == 2:
            raise UserError("no third")
        opened.append(_Fake(events))
        return opened[-1]  # type: ignore[return-value]
    opened: list[_Fake] = []
    with pytest.raises(UserError, match="no third"):
        Pool.open(3, opener)
    assert events == ["closed", "closed"]


def test_counters_add_up() -> None:
    assert Counters(1, products=2) + Counters(3, bytes_read=1) == \
        Counters(4, products=2, bytes_read=1)
