"""Training runs: the queue, and the supervision of the child program that trains (`server.trainer`)."""

from server.protocol import EpochMetrics, Phase, Progress
from server.training.run import TrainingRun, TrainingState
from server.training.trainings import MAX_WAITING, Trainings

__all__ = ["MAX_WAITING", "EpochMetrics", "Phase", "Progress", "TrainingRun", "TrainingState", "Trainings"]
