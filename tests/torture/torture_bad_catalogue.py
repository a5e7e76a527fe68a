"""Every method that a server has, by the descriptors, and a request for each that is as it should be.

What the requests are changed into is chosen from the names and ids of the server that they go to: a `Scene`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.oip import open_inference_pb2 as oip
from digits.v1 import dataset_pb2 as dataset
from digits.v1 import evaluation_pb2 as evaluation
from digits.v1 import model_pb2 as model
from digits.v1 import prediction_pb2 as prediction
from digits.v1 import sample_pb2 as sample
from digits.v1 import training_pb2 as training
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from torture_bad_archives import archives
from torture_bad_images import whole

# By name: there is no `__init__.py` under tests/.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))
from test_every_method import CONTRACT, REQUESTS

HEALTH, REFLECTION = "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"
PREDICTION = "digits.v1.PredictionService"
SAMPLE = "digits.v1.SampleService"
TRAINING = "digits.v1.TrainingService"
MODEL = "digits.v1.ModelService"
EVALUATION = "digits.v1.EvaluationService"
INFERENCE = "inference.GRPCInferenceService"
INK = bytes(200) + bytes([255] * 200) + bytes(384)
"""A model input: 784 bytes."""


def _methods() -> dict[str, MethodDescriptor]:
    files = (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
    services = [service for file in files for service in file.services_by_name.values()]
    return dict(CONTRACT) | {
        f"{service.full_name}/{method.name}": method for service in services for method in service.methods
    }


METHODS: dict[str, MethodDescriptor] = _methods()
"""By service and name."""

# Streams that stay open until their caller ends them.
ENDLESS = {f"{TRAINING}/WatchTraining", f"{HEALTH}/Watch"}


@dataclass(frozen=True)
class Scene:
    """What there is on a server, for requests to name."""

    names: tuple[str, ...]
    """Ids of samples, runs and evaluations, page tokens of other queries."""
    png: bytes
    """A seven."""


def valid(path: str, scene: Scene) -> list[Message]:
    """Requests of a method that are answered, or refused for what is not there; none starts a training."""
    found = [REQUESTS[path]] if path in REQUESTS else []
    return found + _more(scene).get(path, []) + [_empty(path)] * (not found)


def _empty(path: str) -> Message:
    # As the descriptor's own class, whichever module has it.
    from google.protobuf import message_factory

    message: Message = message_factory.GetMessageClass(METHODS[path].input_type)()
    return message


def _more(scene: Scene) -> dict[str, list[Message]]:
    images = [prediction.Image(pixels=INK), prediction.Image(encoded=scene.png)]
    images += [prediction.Image(encoded=file) for file in list(whole().values())[:4]]
    name = scene.names[0]
    test = dataset.DATASET_BUILTIN_TEST
    chosen = sample.SampleFilter(label=1, predicted_digit=1, is_misread=False, source=1, use=1)
    options = training.TrainingOptions(epochs=-1, batch_size=8, learning_rate=0.1, seed=1)
    tensor = {"name": "image", "datatype": "FP32", "shape": [2, 28, 28, 1]}
    floats = oip.ModelInferRequest(model_name="digits", inputs=[tensor], outputs=[{"name": "digit"}])
    floats.inputs[0].contents.fp32_contents.extend([0.5] * 1568)
    files = oip.ModelInferRequest(
        model_name="digits",
        model_version="1",
        id="x",
        inputs=[{"name": "encoded", "datatype": "BYTES", "shape": [2]}],
        outputs=[{"name": "probabilities"}],
        parameters={"timeout": oip.InferParameter(int64_param=10_000_000)},
    )
    files.inputs[0].contents.bytes_contents.extend([scene.png, scene.png])
    files.outputs[0].parameters["classification"].int64_param = 3
    config = json.dumps({"version_policy": {"specific": {"versions": [1]}}})
    load = oip.RepositoryModelLoadRequest(model_name="digits")
    load.parameters["config"].string_param = config
    reflect = reflection_pb2.ServerReflectionRequest
    return {
        f"{PREDICTION}/Predict": [prediction.PredictRequest(image=one, model_version=1) for one in images],
        f"{PREDICTION}/StreamPredict": [prediction.StreamPredictRequest(image=one) for one in images],
        f"{PREDICTION}/BatchPredict": [prediction.BatchPredictRequest(images=images, preprocessing=1)],
        f"{PREDICTION}/ReadNumber": [prediction.ReadNumberRequest(encoded=scene.png, model_version=1)],
        f"{PREDICTION}/ExplainPrediction": [
            prediction.ExplainPredictionRequest(image=images[1], digit=7, neighbours=3)
        ],
        f"{TRAINING}/StartTraining": [
            training.StartTrainingRequest(recipe="classic", options=options, request_id="x"),
            training.StartTrainingRequest(recipe="teach", options=options, base_version=1),
        ],
        **{
            f"{TRAINING}/{method}": [request(training_id=name)]
            for method, request in (
                ("GetTraining", training.GetTrainingRequest),
                ("WatchTraining", training.WatchTrainingRequest),
                ("StopTraining", training.StopTrainingRequest),
                ("CancelTraining", training.CancelTrainingRequest),
            )
        },
        f"{EVALUATION}/Evaluate": [evaluation.EvaluateRequest(model_version=1, dataset=test)],
        f"{EVALUATION}/GetEvaluation": [evaluation.GetEvaluationRequest(evaluation_id=name)],
        f"{EVALUATION}/ListMisclassified": [
            evaluation.ListMisclassifiedRequest(
                model_version=1, dataset=test, true_digit=4, min_confidence=0.1, max_confidence=0.9, seed=3
            )
        ],
        f"{EVALUATION}/MarkMislabelled": [
            evaluation.MarkMislabelledRequest(dataset=test, index=3, is_mislabelled=True, correct_label=2)
        ],
        f"{MODEL}/GetModel": [model.GetModelRequest(model_version=1)],
        f"{MODEL}/DeployModel": [model.DeployModelRequest(model_version=1, cause="x", request_id="y")],
        f"{MODEL}/ExportModel": [model.ExportModelRequest(model_version=1, format=model.EXPORT_FORMAT_KERAS)],
        f"{SAMPLE}/AddSample": [sample.AddSampleRequest(image=one, label=3) for one in images],
        f"{SAMPLE}/ListSamples": [sample.ListSamplesRequest(filter=chosen, page_size=5, with_drawings=True)],
        f"{SAMPLE}/UpdateSample": [sample.UpdateSampleRequest(sample_id=name, label=3)],
        f"{SAMPLE}/ImportSamples": [sample.ImportSamplesRequest(chunk=archives()["whole"])],
        f"{SAMPLE}/ExportSamples": [sample.ExportSamplesRequest(filter=chosen)],
        f"{SAMPLE}/EvaluateSamples": [sample.EvaluateSamplesRequest(model_versions=[1, 2])],
        f"{INFERENCE}/ModelInfer": [floats, files],
        f"{INFERENCE}/ModelStreamInfer": [floats, files],
        f"{INFERENCE}/RepositoryModelLoad": [load],
        **{f"{HEALTH}/{method}": [_health(method)] for method in ("Check", "Watch", "List")},
        f"{REFLECTION}/ServerReflectionInfo": [
            reflect(list_services="", host="x"),
            reflect(file_containing_symbol=SAMPLE),
            reflect(file_by_filename="digits/v1/sample.proto"),
            reflect(all_extension_numbers_of_type="digits.v1.Image"),
            reflect(file_containing_extension={"containing_type": "digits.v1.Image", "extension_number": 1}),
        ],
    }


def _health(method: str) -> Any:
    if method == "List":
        return health_pb2.HealthListRequest()
    return health_pb2.HealthCheckRequest(service=PREDICTION)
