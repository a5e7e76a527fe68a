"""What a run begins from."""

from __future__ import annotations

from collections.abc import Callable

from server.errors import BaseVersionGone, InvalidArgument, ModelNotFound, NothingDeployed
from server.models import ModelStore, ModelVersion
from server.recipes import RECIPES


def base_of(
    recipe: str, number: int | None, store: ModelStore, deployed: Callable[[], int | None]
) -> ModelVersion | None:
    """The version that a run of this recipe goes on from, which has learnt no samples; None: begins anew.

    `number` is the one that was asked for, None meaning the deployed one. Raises InvalidArgument for a base
    that the recipe does not take, ModelNotFound, ModelCorrupt, NothingDeployed, BaseVersionGone.
    """
    if not RECIPES[recipe].uses_samples:
        if number is not None:
            raise InvalidArgument(
                "base_version", f"expected none, because {recipe} begins anew, got {number}"
            )
        return None
    if number is None and (number := deployed()) is None:
        raise NothingDeployed
    version = store.get(number)
    if version.base_version is None:
        return version
    try:
        return store.get(version.base_version)
    except ModelNotFound:
        raise BaseVersionGone(version.version, version.base_version) from None
