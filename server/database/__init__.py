"""The one database: runs, evaluations, deployments, samples. SQLite in WAL mode unless a URL says otherwise.

Model versions are folders, not rows (see `server.models`): where the two disagree after a crash, the
folder is right.
"""

from server.database.engine import begin_durably, begin_reading, open_database
from server.database.integrity import refuse_damaged
from server.database.outlast import is_away, outlast
from server.database.revision import HEAD
from server.database.settle import settle
from server.database.tables import (
    UtcDateTime,
    deployment_requests,
    deployments,
    evaluations,
    metadata,
    mislabelled,
    samples,
    sweeps,
    trainings,
)

__all__ = [
    "HEAD",
    "UtcDateTime",
    "begin_durably",
    "begin_reading",
    "deployment_requests",
    "deployments",
    "evaluations",
    "is_away",
    "metadata",
    "mislabelled",
    "open_database",
    "outlast",
    "refuse_damaged",
    "samples",
    "settle",
    "sweeps",
    "trainings",
]
