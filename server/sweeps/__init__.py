"""Sweeps: trainings with different options, to find those that suit best."""

from server.sweeps.course import Course, Report
from server.sweeps.halving import FACTOR, FIRST_RUNG, Halving
from server.sweeps.plan import DEFAULT_TRIALS, MAX_TRIALS, MIN_TRIALS
from server.sweeps.ranges import MAX_VALUES, SweepRange
from server.sweeps.sweep import Sweep, SweepState, Trial, TrialState
from server.sweeps.sweeps import Sweeps
from server.sweeps.tuner import OneByOne, Tuner

__all__ = [
    "DEFAULT_TRIALS",
    "FACTOR",
    "FIRST_RUNG",
    "MAX_TRIALS",
    "MAX_VALUES",
    "MIN_TRIALS",
    "Course",
    "Halving",
    "OneByOne",
    "Report",
    "Sweep",
    "SweepRange",
    "SweepState",
    "Sweeps",
    "Trial",
    "TrialState",
    "Tuner",
]
