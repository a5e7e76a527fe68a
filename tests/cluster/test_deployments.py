"""What the processes of the cluster are told when they are started."""

from __future__ import annotations

from typing import Any

from server.cluster.deployments import build
from server.cluster.settings import read_settings

URL = "postgresql://digits:a-password@host/digits"


def test_predictors_are_not_told_the_password_of_the_database() -> None:
    given = {"DIGITS_DATABASE_URL": URL, "DIGITS_TOKENS_FILE": "/etc/digits/tokens", "PATH": "/bin"}
    predictors: Any = build(given, read_settings(given), grace_s=1.0)._bound_deployment
    told, lab = predictors.init_args
    assert told == {"DIGITS_TOKENS_FILE": "/etc/digits/tokens"}
    (of_the_lab,) = lab._bound_deployment.init_args
    assert of_the_lab == {"DIGITS_DATABASE_URL": URL, "DIGITS_TOKENS_FILE": "/etc/digits/tokens"}
