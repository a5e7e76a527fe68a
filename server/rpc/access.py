"""Which role each method needs, and whether a call's token has it.

A method that is not in the table needs the highest role: what is new is closed until somebody opens it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import NamedTuple

from server.credentials import Role, Tokens
from server.errors import RoleTooLow, TokenMissing, TokenUnknown

AUTHORIZATION = "authorization"
SCHEME = "bearer "

Metadata = Iterable[tuple[str, str | bytes]]


class Effect(Enum):
    """What a call leaves behind."""

    READS = auto()
    CHANGES = auto()
    """Something is different afterwards: the log tells who changed what, and when."""


class Method(NamedTuple):
    """What there is to know of a method before it is called."""

    role: Role | None
    """The role that it needs; None: it is open to all."""
    effect: Effect = Effect.READS


OPEN = Method(None)
PREDICTS = Method(Role.PREDICT)
READS = Method(Role.TRAIN)
CHANGES = Method(Role.TRAIN, Effect.CHANGES)
UNLISTED = CHANGES

# By service and name. Models, evaluations, recipes and data sets are there to be read by all who predict;
# runs, and the drawings of people, belong to those who train. So do whole models as files.
TABLE: Mapping[str, Mapping[str, Method]] = {
    "digits.v1.PredictionService": {
        "Predict": PREDICTS,
        "BatchPredict": PREDICTS,
        "StreamPredict": PREDICTS,
        "ReadNumber": PREDICTS,
        "ExplainPrediction": PREDICTS,
    },
    "digits.v1.TrainingService": {
        "ListRecipes": PREDICTS,
        "StartTraining": CHANGES,
        "GetTraining": READS,
        "ListTrainings": READS,
        "WatchTraining": READS,
        "StopTraining": CHANGES,
        "CancelTraining": CHANGES,
    },
    "digits.v1.SweepService": {
        "StartSweep": CHANGES,
        "GetSweep": READS,
        "ListSweeps": READS,
        "StopSweep": CHANGES,
    },
    "digits.v1.EvaluationService": {
        "ListDatasets": PREDICTS,
        "Evaluate": CHANGES,
        "GetEvaluation": PREDICTS,
        "ListTestDigits": PREDICTS,
        "ListMisclassified": PREDICTS,
        "CompareModels": PREDICTS,
        "ListLikelyLabelErrors": PREDICTS,
        "MarkMislabelled": CHANGES,
    },
    "digits.v1.ModelService": {
        "ListModels": PREDICTS,
        "GetModel": PREDICTS,
        "DeployModel": CHANGES,
        "ListDeployments": PREDICTS,
        "DeleteModel": CHANGES,
        "ExportModel": READS,
    },
    "digits.v1.SampleService": {
        "AddSample": CHANGES,
        "ListSamples": READS,
        "UpdateSample": CHANGES,
        "DeleteSample": CHANGES,
        "ImportSamples": CHANGES,
        "ExportSamples": READS,
        "EvaluateSamples": READS,
    },
    "inference.GRPCInferenceService": {
        "ServerLive": OPEN,
        "ServerReady": OPEN,
        "ModelReady": OPEN,
        "ServerMetadata": PREDICTS,
        "ModelMetadata": PREDICTS,
        "ModelInfer": PREDICTS,
        "ModelStreamInfer": PREDICTS,
        "ModelConfig": PREDICTS,
        "ModelStatistics": PREDICTS,
        "RepositoryIndex": PREDICTS,
        "RepositoryModelLoad": CHANGES,
        "RepositoryModelUnload": CHANGES,
        # Not served, which whoever may predict is told.
        "SystemSharedMemoryStatus": PREDICTS,
        "SystemSharedMemoryRegister": PREDICTS,
        "SystemSharedMemoryUnregister": PREDICTS,
        "CudaSharedMemoryStatus": PREDICTS,
        "CudaSharedMemoryRegister": PREDICTS,
        "CudaSharedMemoryUnregister": PREDICTS,
        "TraceSetting": PREDICTS,
        "LogSettings": PREDICTS,
    },
    "grpc.health.v1.Health": {"Check": OPEN, "List": OPEN, "Watch": OPEN},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": PREDICTS},
}

METHODS = {
    f"/{service}/{name}": method for service, methods in TABLE.items() for name, method in methods.items()
}


class Access:
    """Lets a call through, or not, by the token in its metadata."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def check(self, method: str, metadata: Metadata) -> None:
        """Return for a call that may go on. Raises TokenMissing, TokenUnknown, RoleTooLow."""
        needed = METHODS.get(method, UNLISTED).role
        if needed is None:
            return
        token = bearer_token(metadata)
        if token is None:
            raise TokenMissing
        role = self._tokens.role(token)
        if role is None:
            raise TokenUnknown
        if role < needed:
            raise RoleTooLow(method, needed.name.lower())


def bearer_token(metadata: Metadata) -> str | None:
    """What the metadata `authorization: Bearer …` carries; None without.

    Also None with several: a proxy that looks at one of them and this server at another would let a call
    through for somebody else's reasons.
    """
    shown = [value for key, value in metadata if key == AUTHORIZATION]
    if len(shown) != 1 or not isinstance(shown[0], str) or shown[0][: len(SCHEME)].lower() != SCHEME:
        return None
    return shown[0][len(SCHEME) :].strip(" ")
