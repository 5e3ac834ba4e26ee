"""The constants that balance classes are those of the formula, and what a checkpoint lacks is told."""

from __future__ import annotations

import math

import pytest

from segment.errors import RequestError
from segment.model.config import chosen_balance, read_frequencies, read_measured, read_tuned_balance
from tiler.balance import OFF, Balance, offsets_of


def test_differences_are_those_of_the_logarithms_of_the_frequencies() -> None:
    frequencies = (0.5, 0.4, 0.09, 0.01)
    offsets = offsets_of(frequencies, 0.3)
    for one in range(4):
        for two in range(4):
            expected = -0.3 * math.log(frequencies[one]) + 0.3 * math.log(frequencies[two])
            assert offsets[one] - offsets[two] == pytest.approx(expected)
    assert offsets[0] == min(offsets) == 0


def test_a_class_that_training_never_showed_gains_on_no_other() -> None:
    offsets = offsets_of((0.0, 0.7, 0.3, 0.0), 1.0)
    assert offsets[0] == offsets[3] == min(offsets)


def test_a_few_stray_pixels_are_no_frequency() -> None:
    assert offsets_of((1.0, 1e-12), 1.0) == offsets_of((1.0, 1e-9), 1.0)
    assert offsets_of((1.0, 1e-9), 1.0)[1] == pytest.approx(13.8155, abs=1e-3)


def test_what_is_added_has_a_key_of_its_own() -> None:
    keys = [
        Balance(strength, offsets_of((0.9, share), strength)).key for strength in (0.2, 0.3) for share in (0.1, 0.05)
    ]
    assert len(set(keys)) == 4
    assert OFF.key == "" == str(OFF)


def chosen(asked: object, frequencies: tuple[float, ...] = (0.9, 0.1), tuned: float | None = 0.4) -> Balance:
    return chosen_balance(asked, name="model/", frequencies=frequencies, tuned=tuned)  # type: ignore[arg-type]


def test_a_number_counts_and_auto_is_what_training_found() -> None:
    assert chosen(0.25).strength == 0.25
    assert chosen("auto") == chosen(0.4)
    assert chosen("auto", tuned=0.0) == chosen(0.0) == chosen(0, frequencies=(), tuned=None) == OFF


def test_what_a_checkpoint_does_not_say_is_named_with_what_helps() -> None:
    with pytest.raises(RequestError, match=r"model/ does not say how often .*class_frequencies.*; train it"):
        chosen(0.25, frequencies=())
    with pytest.raises(RequestError, match=r"model/ does not say which strength .*class_balance.*; give a number"):
        chosen("auto", tuned=None)
    with pytest.raises(RequestError, match=r"class_balance.*; train it with"):
        chosen("auto", frequencies=(), tuned=None)


def test_shares_of_a_config_sum_to_one() -> None:
    assert read_frequencies({"class_frequencies": [3, 0, 1]}, 3) == (0.75, 0.0, 0.25)
    assert read_frequencies({}, 3) == ()
    assert read_tuned_balance({"class_balance": {"strength": 0.35}}) == 0.35
    assert read_tuned_balance({}) is None


@pytest.mark.parametrize("entry", [[1], [1, -1], [0, 0], [1, math.nan], [1, math.inf], [1, "many"], 3, {"a": 1}])
def test_impossible_frequencies_are_refused(entry: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        read_frequencies({"class_frequencies": entry}, 2)


def test_what_was_measured_is_told_in_words() -> None:
    entry = {"on": "5 photos", "accuracy": 0.5412, "miou": 0.1}
    assert read_measured({"measured": entry}) == "54.1 % of the pixels right and a mean IoU of 10 % on 5 photos"
    assert read_measured({}) == ""


@pytest.mark.parametrize("entry", [3, {}, {"on": "x", "accuracy": 54.1, "miou": 0.1}, {"accuracy": 0.5, "miou": 0.1}])
def test_impossible_measurements_are_refused(entry: object) -> None:
    with pytest.raises((ValueError, TypeError, LookupError)):
        read_measured({"measured": entry})


@pytest.mark.parametrize("entry", [3, {"strength": -1}, {"strength": 3}, {"strength": math.nan}, {}])
def test_an_impossible_strength_is_refused(entry: object) -> None:
    with pytest.raises((ValueError, TypeError, LookupError)):
        read_tuned_balance({"class_balance": entry})
