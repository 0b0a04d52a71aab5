"""Networks layer by layer: agreement, the first difference, pools of devices."""

import dataclasses
import time
from threading import active_count
from typing import Any

import numpy as np
import pytest

from dscim.errors import LinkError, UserError
from dscim.gateware.specs import ProductSpec, SocSpec
from dscim.host.device import Device
from dscim.host.device.controller import Counters
from dscim.host.device.run import NetworkRun, Pool
from dscim.host.device.run.difference import REQUANTISATION
from dscim.host.device.target import open_target
from dscim.host.golden.twin import compute
from dscim.host.golden.twin.ref import ModelLink
from dscim.host.network import run as emulate
from tests.small_network import small_images, small_network

NETWORK = small_network()


def silent(_what: str, _done: int, _total: int) -> None:
    """A step that is ignored."""


def complete(run: NetworkRun) -> NetworkRun:
    """The results of a run."""
    assert len(list(run.execute(silent))) == run.total
    return run


def stick_weight(monkeypatch: pytest.MonkeyPatch, row: int) -> None:
    """One byte of every product's weights is stuck: that of row `row`, column 2."""

    def stuck(*given: Any) -> np.ndarray:
        matrix, odd = weights(*given)
        if row < len(matrix):
            matrix = matrix.copy()
            matrix[row, 2] ^= 0x40
        return matrix, odd

    weights = compute._weights
    monkeypatch.setattr(compute, "_weights", stuck)


def stick_multiplier(monkeypatch: pytest.MonkeyPatch) -> None:
    """The multiplier of channel 1 of every product has a wrong bit."""

    def stuck(*given: Any) -> np.ndarray:
        changed = parameters(*given).copy()
        changed[1, 1] ^= 1 << 29
        return changed

    parameters = compute._parameters
    monkeypatch.setattr(compute, "_parameters", stuck)


class Dying(ModelLink):
    """A device that runs three descriptors, those of three layers, and dies in the fourth."""

    left = 3

    def _run(self, place: int):
        if not self.left:
            raise LinkError("the simulator ended with status -9")
        self.left -= 1
        return super()._run(place)


@pytest.mark.parametrize(
    "arithmetic",
    [ProductSpec(), ProductSpec(exact=True), ProductSpec(64, 128), ProductSpec(signed="offset")],
)
def test_every_layer_agrees_on_ref(arithmetic: ProductSpec) -> None:
    images = small_images(3)
    macro = dataclasses.replace(SocSpec().macro, or_width=arithmetic.or_width, lanes=1)
    with open_target("ref", SocSpec(macro)) as device:
        run = complete(NetworkRun([device], NETWORK, arithmetic, images))
    assert run.holds
    expected = emulate(NETWORK, images, arithmetic)
    assert run.outputs is not None
    np.testing.assert_array_equal(run.outputs, expected["classifier"])
    names = [layer.name for layer in run.layers]
    assert names == ["stem", "first", "sum", "wide", "deep", "pool", "classifier"]
    assert run.compared == sum(expected[name].size for name in names)
    assert all(len(np.unique(expected[name])) > 10 for name in names[:-1]), "a dull test"


@pytest.mark.parametrize("row", [1, 129, 296])
def test_a_broken_weight_is_found_in_its_row_tile(
    row: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick_weight(monkeypatch, row)
    with open_target("ref", SocSpec()) as device:
        run = complete(NetworkRun([device], NETWORK, ProductSpec(exact=True), small_images(2)))
    assert not run.holds
    wrong = next(layer for layer in run.layers if layer.differing)
    assert wrong.name == ("stem" if row < 27 else "deep")
    assert wrong.first is not None
    assert wrong.first.channel == 2
    tiles = 1 if row < 27 else 3
    assert wrong.first.place == f"row tile {row // 128} of 0..{tiles - 1}"
    assert wrong.first.device != wrong.first.reference


def test_a_broken_scale_is_not_blamed_on_a_row_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    stick_multiplier(monkeypatch)
    with open_target("ref", SocSpec()) as device:
        run = complete(NetworkRun([device], NETWORK, ProductSpec(), small_images(2)))
    first = run.layers[0].first
    assert first is not None
    assert (first.channel, first.place) == (1, REQUANTISATION)
    assert run.end_to_end is False


def test_what_was_done_before_a_death_is_kept() -> None:
    with Device(Dying(SocSpec()), SocSpec()) as device:
        run = NetworkRun([device], NETWORK, ProductSpec(), small_images(1))
        with pytest.raises(LinkError, match="status -9"):
            complete(run)
    assert [layer.name for layer in run.layers] == ["stem", "first", "sum"]
    assert not run.holds
    assert run.outputs is None


def test_images_of_another_shape_are_refused() -> None:
    with open_target("ref", SocSpec()) as device, pytest.raises(UserError, match="8, 8, 3"):
        NetworkRun([device], NETWORK, ProductSpec(), small_images(1)[:, :7])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_pool_gives_what_one_device_gives(count: int) -> None:
    images = small_images(2 if count == 3 else 5)  # more devices than images, too
    seen: list[tuple[str, int, int]] = []
    with open_target("ref", SocSpec()) as device:
        alone = complete(NetworkRun([device], NETWORK, ProductSpec(), images))
    with Pool.open(count, lambda: open_target("ref", SocSpec())) as pool:
        run = NetworkRun(pool.devices, NETWORK, ProductSpec(), images)
        list(run.execute(lambda *step: seen.append(step)))
    assert run.holds
    assert run.outputs is not None and alone.outputs is not None
    np.testing.assert_array_equal(run.outputs, alone.outputs)
    assert run.counters.products == alone.counters.products
    work = len(images) * len(NETWORK.nodes)
    assert [done for name, done, _ in seen if name.startswith("layers of")] == list(
        range(1, work + 1)
    )


class _Fake:
    """A device that records when it is closed."""

    def __init__(self, events: list[str]) -> None:
        self._events = events

    def __enter__(self) -> "_Fake":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._events.append("closed")


class Stuck(ModelLink):
    """A device that hangs until it is closed, and then fails."""

    open = True

    def _run(self, place: int):
        while self.open:
            time.sleep(0.01)
        raise LinkError("closed")

    def close(self) -> None:
        self.open = False


def test_a_device_that_fails_ends_the_run_and_closing_ends_the_others() -> None:
    links = [Stuck(SocSpec()), Dying(SocSpec())]
    before = active_count()
    with Pool([Device(link, SocSpec()) for link in links]) as pool:
        run = NetworkRun(pool.devices, NETWORK, ProductSpec(), small_images(2))
        with pytest.raises(LinkError, match="status -9"):
            complete(run)
    deadline = time.monotonic() + 5
    while active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert active_count() == before


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
    assert Counters(1, products=2) + Counters(3, bytes_read=1) == Counters(
        4, products=2, bytes_read=1
    )
