"""Labelled digits to train and measure on: where they come from, and how they are divided."""

from server.datasets.data import Data
from server.datasets.partitions import DATASET_PARTITIONS, Dataset, Digits, Partition, Split
from server.datasets.preparation import DataPreparation
from server.datasets.source import DataSource, SourceKind

__all__ = [
    "DATASET_PARTITIONS",
    "Data",
    "DataPreparation",
    "DataSource",
    "Dataset",
    "Digits",
    "Partition",
    "SourceKind",
    "Split",
]
