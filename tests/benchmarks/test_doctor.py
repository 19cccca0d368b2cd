"""The doctor's benchmark still finds the parts that its faults replace."""

from __future__ import annotations

import pytest
from benchmarks.doctor import faults, scenes
from benchmarks.doctor.worlds import JUDGED, MADE, World

from stillhouse.config.schema import Training
from stillhouse.training import optim


def enters(scene: scenes.Scene) -> bool:
    """Whether everything that the scene replaces is there."""
    if scene.fault is faults.small_files:
        return True  # its limit on file sizes would stop the tests' own output
    try:
        with scene.fault(), scene.shared():
            return True
    except AttributeError:
        return False


@pytest.mark.parametrize("world", [MADE, JUDGED], ids=lambda world: world.dataset)
def test_what_the_faults_replace_is_there(world: World) -> None:
    cast = [*scenes.healthy(world), *scenes.injected(world)]
    assert len(cast) > 60
    assert [scene.name for scene in cast if not enters(scene)] == []


def test_a_changed_rate_reaches_the_optimizer() -> None:
    training = Training(epochs=2, batch_size=4, learning_rate=0.1)
    configured = optim.learning_rate(training, 0, 0, 10)
    with faults.rate(lambda epoch, rate: rate * 7)():
        assert optim.learning_rate(training, 0, 0, 10) == pytest.approx(7 * configured)
