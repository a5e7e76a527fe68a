"""Data sets and their source."""

from __future__ import annotations

from digits.client import choices, records
from digits.v1 import dataset_pb2, evaluation_pb2, model_pb2, training_pb2


def data_source(message: dataset_pb2.DataSource) -> records.DataSource:
    return records.DataSource(choices.DataSourceKind(message.kind), message.description, message.sha256)


def dataset_info(message: dataset_pb2.DatasetInfo) -> records.DatasetInfo:
    return records.DatasetInfo(choices.Dataset(message.dataset), message.images, message.is_available)


def data_source_of(
    message: training_pb2.Training
    | training_pb2.ListRecipesResponse
    | model_pb2.Provenance
    | evaluation_pb2.ListDatasetsResponse,
) -> records.DataSource | None:
    """The source of the digits, None while there is none."""
    return data_source(message.data_source) if message.HasField("data_source") else None


def datasets(message: evaluation_pb2.ListDatasetsResponse) -> records.Datasets:
    return records.Datasets(
        tuple(dataset_info(info) for info in message.datasets), data_source_of(message), message.data_progress
    )
