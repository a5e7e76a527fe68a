"""The application as Ray Serve's own config files name it, such as a RayService of KubeRay: examples/ray.

`python -m server.cluster` needs none: it deploys the same application by itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ray import serve

from server.cluster.deployments import build
from server.cluster.settings import read_settings
from server.config import read_config


def digits(arguments: Mapping[str, str]) -> serve.Application:
    """The application, `import_path: server.cluster.app:digits`.

    `arguments`: settings DIGITS_…, which win over those in the environment of the node that builds it. Raises
    InvalidSetting.
    """
    environment = {**os.environ, **{name: str(value) for name, value in arguments.items()}}
    config = read_config(environment)
    return build(environment, read_settings(environment), config.shutdown_grace_s)
