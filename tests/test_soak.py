"""The soak of `tests.soak` for a short time; $DSCIM_SOAK makes it longer, in seconds."""

import os

import pytest

from tests.soak import soak


@pytest.mark.slow
def test_disturbed_runs_end_right_or_with_one_sentence() -> None:
    done = soak(float(os.environ.get("DSCIM_SOAK", "60")), seed=7)
    print(dict(done.counts))
    assert done.counts["all: right"] >= 1
    early, late = done.memory[: len(done.memory) // 4 + 1], done.memory[-3:]
    assert max(late) < 1.5 * max(early)
