"""The one database: runs, evaluations, deployments, samples. SQLite in WAL mode unless a URL says otherwise.

Model versions are folders, not rows (see `server.models`): where the two disagree after a crash, the
folder is right.
"""

from server.database.engine import begin_durably, open_database
from server.database.integrity import refuse_damaged
from server.database.revision import HEAD
from server.database.tables import (
    UtcDateTime,
    deployment_requests,
    deployments,
    evaluations,
    metadata,
    mislabelled,
    samples,
    trainings,
)

__all__ = [
    "HEAD",
    "UtcDateTime",
    "begin_durably",
    "deployment_requests",
    "deployments",
    "evaluations",
    "metadata",
    "mislabelled",
    "open_database",
    "refuse_damaged",
    "samples",
    "trainings",
]
