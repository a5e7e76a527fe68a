"""ModelService: the versions, and which of them answers."""

from __future__ import annotations

import uuid

from digits.client import records
from digits.client.call import Gathered, Kind, Rpc, Terms, Unary, read, unary
from digits.client.choices import ExportFormat
from digits.client.messages import model as messages
from digits.v1 import model_pb2 as pb

LIST_MODELS = Rpc("ModelService/ListModels", pb.ListModelsResponse)
GET_MODEL = Rpc("ModelService/GetModel", pb.GetModelResponse)
DEPLOY_MODEL = Rpc("ModelService/DeployModel", pb.DeployModelResponse)
LIST_DEPLOYMENTS = Rpc("ModelService/ListDeployments", pb.ListDeploymentsResponse)
DELETE_MODEL = Rpc("ModelService/DeleteModel", pb.DeleteModelResponse)
EXPORT_MODEL = Rpc("ModelService/ExportModel", pb.ExportModelResponse)


def list_models(
    page_size: int = 20, page_token: str = "", timeout_s: float | None = None
) -> Unary[records.Models]:
    """The versions, newest first."""
    request = pb.ListModelsRequest(page_size=page_size, page_token=page_token)
    return read(LIST_MODELS, request, messages.models, timeout_s)


def get_model(model_version: int = 0, timeout_s: float | None = None) -> Unary[records.Model]:
    """One version; 0 is the deployed one."""
    return read(GET_MODEL, pb.GetModelRequest(model_version=model_version), _model, timeout_s)


def deploy_model(
    model_version: int, *, cause: str = "", request_id: str = "", timeout_s: float | None = None
) -> Unary[records.Model]:
    """Make a version the one that answers. `cause` is kept in the list of deployments."""
    request = pb.DeployModelRequest(
        model_version=model_version, cause=cause, request_id=request_id or uuid.uuid4().hex
    )
    return unary(DEPLOY_MODEL, request, _model, Terms(Kind.CHANGE, timeout_s, is_repeatable=True))


def list_deployments(
    page_size: int = 20, page_token: str = "", timeout_s: float | None = None
) -> Unary[records.Deployments]:
    """What was deployed, undeployed and deleted, newest first, and the version to roll back to."""
    request = pb.ListDeploymentsRequest(page_size=page_size, page_token=page_token)
    return read(LIST_DEPLOYMENTS, request, messages.deployments, timeout_s)


def delete_model(model_version: int, *, cause: str = "", timeout_s: float | None = None) -> Unary[None]:
    """Delete a version with its files and evaluations."""
    request = pb.DeleteModelRequest(model_version=model_version, cause=cause)
    return unary(DELETE_MODEL, request, lambda response: None, Terms(Kind.CHANGE, timeout_s))


def export_model(
    export_format: ExportFormat, model_version: int = 0, timeout_s: float | None = None
) -> Gathered[records.ExportedModel]:
    """A version as a file for other software, checked against its checksum; 0 is the deployed one."""
    request = pb.ExportModelRequest(
        model_version=model_version, format=pb.ExportFormat.ValueType(export_format)
    )
    terms = Terms(Kind.TRANSFER, timeout_s, is_repeatable=True)
    return Gathered(EXPORT_MODEL, request, messages.exported_model, terms)


def _model(response: pb.GetModelResponse | pb.DeployModelResponse) -> records.Model:
    return messages.model(response.model)
