from __future__ import annotations

import pytest

from stillhouse.show.pace import SAMPLES, Pace, about, seconds_between


def test_nothing_is_promised_before_something_was_seen() -> None:
    pace = Pace(0.0)
    assert pace.seconds_left(1.0) is None
    pace.add(1.0, 0.5, 64.0)
    assert pace.seconds_left(1.0) is None and pace.images_per_second() is None
    pace.add(10.0, 0.5, 64.0)
    assert pace.seconds_left(1.0) == pytest.approx(20.0)


def test_a_steady_pace_gives_the_true_time_left() -> None:
    pace = Pace(100.0)
    for second in range(1, 500):
        pace.add(100.0 + second, second * 0.25, second * 32.0)
    assert pace.seconds_left(10.0) == pytest.approx(40.0)
    assert pace.images_per_second() == pytest.approx(32.0)
    assert len(pace.samples) <= SAMPLES + 2


def test_the_start_is_forgotten() -> None:
    """60 s of preparation, then two units a second: soon the estimate knows of the two alone."""
    pace = Pace(0.0)
    for second in range(1, 181):
        pace.add(float(second), max(0.0, 2.0 * (second - 60)), 0.0)
    assert pace.seconds_left(100.0) == pytest.approx(50.0, rel=0.05)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "time left not known yet"),
        (0.0, "about 5 s left"),
        (42.0, "about 40 s left"),
        (58.0, "about 1 min left"),
        (3599.0, "about 60 min left"),
        (9000.0, "about 2.5 h left"),
        (400_000.0, "about 4.6 days left"),
    ],
)
def test_a_time_is_shown_as_exactly_as_it_is_known(seconds: float | None, text: str) -> None:
    assert about(seconds) == text


def test_an_epoch_takes_as_long_as_its_cohort_does() -> None:
    """Seven runs of 10 s each: an epoch ends every 70 s, whatever a run's own seconds are."""
    assert seconds_between([70.0, 140.0, 210.0]) == 70.0
    assert seconds_between([70.0, 140.0, 9000.0, 9070.0, 9140.0]) == 70.0  # a night between
    assert seconds_between([70.0]) is None and seconds_between([]) is None
