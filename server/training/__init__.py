"""Training runs: the queue, and the supervision of the child program that trains (`server.trainer`)."""

from server.protocol import EpochMetrics, Phase, Progress
from server.training.child import TrainingChild
from server.training.launch import Child, Launch
from server.training.run import TrainingRun, TrainingState
from server.training.supervision import MAX_RESUMES
from server.training.trainings import MAX_WAITING, Trainings
from server.training.watchdog import Patience

__all__ = [
    "MAX_RESUMES",
    "MAX_WAITING",
    "Child",
    "EpochMetrics",
    "Launch",
    "Patience",
    "Phase",
    "Progress",
    "TrainingChild",
    "TrainingRun",
    "TrainingState",
    "Trainings",
]
