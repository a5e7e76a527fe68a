"""The settings of the cluster: what they mean, and how a bad one is told."""

from __future__ import annotations

import pytest

from server.cluster.settings import ClusterSettings, read_settings
from server.config import InvalidSetting


def test_without_any_setting_ray_is_started_here_with_one_to_four_predictors() -> None:
    assert read_settings({}) == ClusterSettings(
        address="", smallest=1, largest=4, predictor_cpus=0.5, training_cpus=2, training_gpus=0
    )


@pytest.mark.parametrize(("raw", "range_"), [("3", (3, 3)), ("1-8", (1, 8)), (" 2 - 2 ", (2, 2))])
def test_the_number_of_predictors_is_one_or_a_range(raw: str, range_: tuple[int, int]) -> None:
    settings = read_settings({"DIGITS_RAY_REPLICAS": raw})
    assert (settings.smallest, settings.largest) == range_


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:6379", "head.example:6379", "[::1]:6379"])
def test_an_address_is_auto_or_of_a_ray_that_runs(address: str) -> None:
    assert read_settings({"DIGITS_RAY_ADDRESS": address}).address == address


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("DIGITS_RAY_ADDRESS", "ray://head:10001"),
        ("DIGITS_RAY_ADDRESS", "head"),
        ("DIGITS_RAY_REPLICAS", "0"),
        ("DIGITS_RAY_REPLICAS", "4-1"),
        ("DIGITS_RAY_REPLICAS", "many"),
        ("DIGITS_RAY_REPLICAS", "1-1001"),
        ("DIGITS_RAY_PREDICTOR_CPUS", "0"),
        ("DIGITS_RAY_PREDICTOR_CPUS", "1.5"),
        ("DIGITS_RAY_PREDICTOR_CPUS", "nan"),
        ("DIGITS_RAY_TRAINING_CPUS", "two"),
        ("DIGITS_RAY_TRAINING_GPUS", "-1"),
    ],
)
def test_a_bad_setting_is_told_by_its_name_with_what_was_expected_and_what_came(name: str, raw: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        read_settings({name: raw})
    assert str(refused.value).startswith(f"{name}: expected ")
    assert repr(raw) in str(refused.value)
