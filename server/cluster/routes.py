"""Which process answers a method, and how its messages travel there: told by the contract, not by a list.

Predictions go to the predictors. Everything else, and so everything new, goes to the lab, which serves all.
"""

from __future__ import annotations

import importlib
import pkgutil
from enum import Enum, auto
from functools import lru_cache
from typing import Any

import digits.oip
import digits.v1
from digits.oip import open_inference_pb2
from digits.v1 import prediction_pb2
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

PREDICTORS, LAB = "Predictors", "Lab"

# The pool of descriptors knows what is imported: all of the contract, and gRPC's own services.
for _package in (digits.oip, digits.v1):
    for _module in pkgutil.iter_modules(_package.__path__, f"{_package.__name__}."):
        if _module.name.endswith("_pb2"):
            importlib.import_module(_module.name)

_PREDICTION = prediction_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name
_INFERENCE = open_inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
_OF_GRPC = (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
# An explanation names neighbours among the training digits, which are in the lab.
_ELSEWHERE = frozenset([f"/{_PREDICTION}/ExplainPrediction"])
_INFER = frozenset([f"/{_INFERENCE}/ModelInfer", f"/{_INFERENCE}/ModelStreamInfer"])


class Kind(Enum):
    """How the messages of a call travel."""

    ONCE = auto()
    """One request, one response."""
    RESPONSES = auto()
    """One request, and responses that follow each other."""
    SEPARATE = auto()
    """Requests that are answered one by one: any process may answer any of them."""
    TOGETHER = auto()
    """Requests that belong together, and one response."""


def deployment(method: str) -> str:
    """The deployment that answers a method, by its full path."""
    service = method.rpartition("/")[0].strip("/")
    is_prediction = service == _PREDICTION and method not in _ELSEWHERE
    return PREDICTORS if is_prediction or method in _INFER else LAB


# Anybody can make up names.
@lru_cache(maxsize=1024)
def kind(method: str) -> Kind | None:
    """How a method's messages travel; None: there is no such method."""
    service, _, name = method.strip("/").rpartition("/")
    try:
        found: Any = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    except KeyError:
        return None
    if found.client_streaming:
        return Kind.SEPARATE if found.server_streaming else Kind.TOGETHER
    return Kind.RESPONSES if found.server_streaming else Kind.ONCE
