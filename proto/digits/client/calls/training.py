"""TrainingService: recipes and runs."""

from __future__ import annotations

import uuid

from digits.client import records
from digits.client.call import Followed, Kind, Rpc, Terms, Unary, read, unary
from digits.client.messages import training as messages
from digits.v1 import training_pb2 as pb

LIST_RECIPES = Rpc("TrainingService/ListRecipes", pb.ListRecipesResponse)
START_TRAINING = Rpc("TrainingService/StartTraining", pb.StartTrainingResponse)
GET_TRAINING = Rpc("TrainingService/GetTraining", pb.GetTrainingResponse)
LIST_TRAININGS = Rpc("TrainingService/ListTrainings", pb.ListTrainingsResponse)
WATCH_TRAINING = Rpc("TrainingService/WatchTraining", pb.WatchTrainingResponse)
STOP_TRAINING = Rpc("TrainingService/StopTraining", pb.StopTrainingResponse)
CANCEL_TRAINING = Rpc("TrainingService/CancelTraining", pb.CancelTrainingResponse)

_HoldsTraining = (
    pb.StartTrainingResponse
    | pb.GetTrainingResponse
    | pb.WatchTrainingResponse
    | pb.StopTrainingResponse
    | pb.CancelTrainingResponse
)


def list_recipes(timeout_s: float | None = None) -> Unary[records.Recipes]:
    """The recipes, their defaults, the ranges of their options, and the data a run would use."""
    return read(LIST_RECIPES, pb.ListRecipesRequest(), messages.recipes, timeout_s)


def start_training(
    recipe: str,
    options: records.TrainingOptions | None = None,
    *,
    deploy_when_done: bool = False,
    base_version: int = 0,
    request_id: str = "",
    timeout_s: float | None = None,
) -> Unary[records.Training]:
    """Start a run, or put it in the queue. The same request_id gives the same run again.

    `base_version`, for a recipe that trains on samples: the version to go on from; 0 is the deployed one.
    """
    request = pb.StartTrainingRequest(
        recipe=recipe,
        options=messages.to_training_options(options or records.TrainingOptions()),
        deploy_when_done=deploy_when_done,
        base_version=base_version,
        request_id=request_id or uuid.uuid4().hex,
    )
    return unary(START_TRAINING, request, _training, Terms(Kind.CHANGE, timeout_s, is_repeatable=True))


def get_training(training_id: str, timeout_s: float | None = None) -> Unary[records.Training]:
    """One run as it stands now."""
    return read(GET_TRAINING, pb.GetTrainingRequest(training_id=training_id), _training, timeout_s)


def list_trainings(
    page_size: int = 20, page_token: str = "", timeout_s: float | None = None
) -> Unary[records.Trainings]:
    """The runs, newest first."""
    request = pb.ListTrainingsRequest(page_size=page_size, page_token=page_token)
    return read(LIST_TRAININGS, request, messages.trainings, timeout_s)


def watch_training(training_id: str, timeout_s: float | None = None) -> Followed[records.Training]:
    """Follow a run at every change until it ends; raises ServerUnavailable after `timeout_s`."""
    request = pb.WatchTrainingRequest(training_id=training_id)
    terms = Terms(Kind.STREAM, timeout_s, is_repeatable=True)
    return Followed(WATCH_TRAINING, request, _training, terms, is_state=True)


def stop_training(training_id: str, timeout_s: float | None = None) -> Unary[records.Training]:
    """End a run that trains, and keep its best epoch as a version."""
    request = pb.StopTrainingRequest(training_id=training_id)
    return unary(STOP_TRAINING, request, _training, Terms(Kind.CHANGE, timeout_s, is_repeatable=True))


def cancel_training(training_id: str, timeout_s: float | None = None) -> Unary[records.Training]:
    """Cancel a run that waits or trains."""
    request = pb.CancelTrainingRequest(training_id=training_id)
    return unary(CANCEL_TRAINING, request, _training, Terms(Kind.CHANGE, timeout_s))


def _training(response: _HoldsTraining) -> records.Training:
    return messages.training(response.training)
