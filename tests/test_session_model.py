"""The protocol of sessions over all interleavings of a few steps: see `tests.session_model`."""

import pytest

from dscim.gateware.link.protocol import Kind
from dscim.host.golden.twin.link import Twin
from dscim.host.link.frames import Frame
from tests.session_model import Model, Violation


@pytest.mark.parametrize(
    ("model", "states"),
    [
        pytest.param(Model(words=1, packets=2, faults=(0, 0, 0, 0)), 657, id="no fault"),
        pytest.param(Model(words=2, packets=2, faults=(0, 0, 0, 0)), 6003, id="two words"),
        pytest.param(Model(words=1, packets=2, faults=(0, 1, 0, 0)), 3560, id="expiry"),
        pytest.param(Model(words=1, packets=2, faults=(1, 0, 0, 0)), 3674, id="reset"),
        pytest.param(Model(words=1, packets=2, faults=(0, 0, 1, 0)), 5136, id="doubled"),
        pytest.param(Model(words=1, packets=2, faults=(0, 1, 0, 1)), 40648, id="expiry, repeated"),
        pytest.param(Model(words=2, packets=3, faults=(0, 1, 0, 0)), 84_146, id="three packets"),
        pytest.param(
            Model(words=1, packets=2, faults=(1, 1, 0, 1)),
            215_106,
            id="reset, expiry, repeated",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            Model(words=2, packets=2, faults=(0, 1, 0, 1)),
            331_998,
            id="two words, expiry, repeated",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_no_interleaving_breaks_an_invariant(model: Model, states: int) -> None:
    assert model.explore() == states


def test_frames_that_outlive_a_reset_could_open_a_lost_session_again() -> None:
    """The assumption about the network is needed, and the search finds what happens without it."""
    model = Model(words=1, packets=2, faults=(1, 0, 0, 1), lifetime=False)
    with pytest.raises(
        Violation, match=r"host 0 writes word 0 in a session that it has lost after"
    ):
        model.explore()


def test_a_device_that_takes_writes_of_any_session_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = Twin._ours
    monkeypatch.setattr(
        Twin, "_ours", lambda twin, frame: frame.kind == Kind.WRITE or ours(twin, frame)
    )
    with pytest.raises(Violation, match=r"in a session that it has lost|without a session"):
        Model(words=1, packets=2, faults=(0, 0, 0, 0)).explore()


def test_a_device_that_answers_before_it_writes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    writes = Twin._writes

    def lazy(twin: Twin, frame: Frame) -> Frame | None:
        link, twin._link = twin._link, Nowhere()
        answer = writes(twin, frame)
        twin._link = link
        return answer

    monkeypatch.setattr(Twin, "_writes", lazy)
    with pytest.raises(Violation, match=r"word 0 of host . is acknowledged, but not written"):
        Model(words=1, packets=2, faults=(0, 0, 0, 0)).explore()


class Nowhere:
    """A link that forgets what is written."""

    def write(self, address: int, words: object) -> None:
        pass
