"""At a start the data folder of the server that owns the versions and the shared artifacts are made to agree.

Whatever was cut off, and whichever of the two was lost: what either has the other one gets. A deletion holds.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from server.config import CannotStart
from server.errors import ModelCorrupt, ModelNotFound
from server.models.shared import NumberTaken, SharedArtifacts
from server.models.version import DESCRIPTION

if TYPE_CHECKING:
    from server.models.store import ModelStore

log = logging.getLogger(__name__)

# Files that travel at a time: they wait for the network, not for this machine.
AT_ONCE = 8


def agree(store: ModelStore, shared: SharedArtifacts) -> None:
    """Bring the versions of both to each other. For the start of a server, before any run.

    Raises ArtifactsUnreachable, and CannotStart when the two are of different servers.
    """
    here, there, deleted = frozenset(store.numbers()), shared.numbers(), shared.deleted()
    # First whether they are of one server: only then is anything changed.
    damaged = _compare(store, shared, here & (there | deleted))
    for number in sorted(here & deleted):
        store.take_out(number)
    store.reserve(max(there | deleted, default=0))
    _each((there - here) | (there & damaged), lambda number: _pull(store, shared, number))
    _each(here - deleted - damaged, lambda number: _push(store, shared, number))
    shared.clean()


def _compare(store: ModelStore, shared: SharedArtifacts, numbers: Iterable[int]) -> frozenset[int]:
    """The versions of the folder that are damaged. Raises CannotStart when another is not the shared one."""
    damaged = set()

    def compare(number: int) -> None:
        if store.damage(number) is not None:
            damaged.add(number)
        elif shared.description(number) != (store.folder(number) / DESCRIPTION).read_bytes():
            raise _of_another_server(shared, number)

    _each(numbers, compare)
    return frozenset(damaged)


def _pull(store: ModelStore, shared: SharedArtifacts, number: int) -> None:
    """Take a version into the folder. One that is damaged there is told, and left out."""
    staging = store.staging(f"fetch-{number}")
    try:
        shared.fetch(number, staging)
    except (ModelCorrupt, ModelNotFound) as error:
        shutil.rmtree(staging)
        log.error("shared version not taken", extra={"model_version": number, "reason": error.message})
        return
    store.take_in(staging, number)
    log.info("version fetched", extra={"model_version": number})


def _push(store: ModelStore, shared: SharedArtifacts, number: int) -> None:
    """Publish a version, or put back what is missing of it there."""
    try:
        shared.publish(store.folder(number), number)
    except ModelCorrupt as error:
        log.error("version not published", extra={"model_version": number, "reason": error.message})
    except NumberTaken:
        raise _of_another_server(shared, number) from None


def _of_another_server(shared: SharedArtifacts, number: int) -> CannotStart:
    return CannotStart(
        f"DIGITS_ARTIFACTS_URL: {shared.url} has another version {number} than this data folder: it is "
        "another server's; give this one a place of its own, or an empty data folder"
    )


def _each(numbers: Iterable[int], action: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="agree") as pool:
        for _ in pool.map(action, sorted(numbers)):
            pass
