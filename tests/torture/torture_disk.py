"""Fill the disk, turn it read-only, spoil what is on it, and lose nothing that was acknowledged.

Each scenario has a server with data of its own, gives it something to lose, spoils its disk in one way, and
holds it to what it said: writes are refused in words or kept, reads and predictions go on, and once the disk
is mended everything is there. What needs a disk of its own is mounted, where that is allowed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torture_disk_damage as damage
import torture_disk_full as full
import torture_disk_starts as starts
from torture_disk_lab import Lab
from torture_disk_places import LimitedPlace, Place, can_mount, loop_disk, small_disk
from torture_parts import chosen_seed, say

# All of MNIST takes 53 of them, once, and what a file system keeps for itself comes on top.
DISK_MIB = 96
FEW_FILES = 300

Outcome = tuple[int, int]
"""How many faults were tried, and how much that was acknowledged is lost."""
Disk = Callable[[Path], AbstractContextManager[Place]]


@dataclass(frozen=True)
class Scenario:
    """One server, one disk, and what becomes of the two."""

    name: str
    do: Callable[[Lab, Any, random.Random], Outcome]
    """Given the server, its disk if it has one of its own, and what chance decides."""
    disk: Disk | None = None
    is_quick: bool = False
    """Whether it is one of the few that are tried quickly."""


def small(folder: Path) -> AbstractContextManager[Place]:
    return small_disk(folder, DISK_MIB)


def crowded(folder: Path) -> AbstractContextManager[Place]:
    return small_disk(folder, DISK_MIB, FEW_FILES)


def loop(folder: Path) -> AbstractContextManager[Place]:
    return loop_disk(folder, DISK_MIB)


def filled() -> Iterator[Scenario]:
    """A disk that is full, or read-only."""
    for room in (0, 4096, 20_000, 100_000, 300_000):
        name = f"full but for {room} bytes"
        yield Scenario(name, _one(full.fill_up, name, room), small, is_quick=not room)
    yield Scenario("no more files", _one(full.fill_up, "no more files", None), crowded)
    yield Scenario("full while it trains", _one(full.fill_while_training, "full while it trains"), small)
    yield Scenario("full while it converts", _one(full.convert_full, "full while it converts"), small)
    yield Scenario("full at start", _one(full.start_full, "full at start"), small)
    yield Scenario("read-only at start", _one(full.start_read_only, "read-only at start"), small)
    for number in (1, 2, 3):
        name = f"read-only at work, {number}"
        yield Scenario(name, _one(full.turn_read_only, name), loop)


def limited() -> Iterator[Scenario]:
    """What stands for those where nothing can be mounted."""
    name = "full by a limit on files"
    yield Scenario(
        name,
        lambda lab, place, chance: (1, full.fill_up(lab, LimitedPlace(lab.data), name)),
        is_quick=True,
    )


def spoilt() -> Iterator[Scenario]:
    """Files and folders that are damaged or gone, and starts out of the ordinary."""
    for spoil in damage.SPOILS:
        is_flip = spoil is damage.flip
        for turn in (1, 2, 3) if is_flip else (1,):
            name = f"versions: {spoil.__name__}, {turn}"
            yield Scenario(
                name,
                lambda lab, place, chance, spoil=spoil, name=name: damage.spoil_versions(
                    lab, chance, spoil, name
                ),
                is_quick=is_flip and turn == 1,
            )
        name = f"notes: {spoil.__name__}"
        yield Scenario(
            name,
            lambda lab, place, chance, spoil=spoil, name=name: damage.spoil_notes(lab, chance, spoil, name),
        )
    yield Scenario("database", lambda lab, place, chance: damage.spoil_database(lab, chance, 24, "database"))
    for is_running in (False, True):
        name = f"folders gone {'at work' if is_running else 'at rest'}"
        yield Scenario(
            name,
            lambda lab, place, chance, name=name, is_running=is_running: damage.remove_folders(
                lab, name, is_running=is_running
            ),
        )
    yield Scenario("versions gone", lambda lab, place, chance: damage.remove_models(lab, "versions gone"))
    for schema in starts.SCHEMAS:
        name = f"data of the {schema} release"
        yield Scenario(
            name,
            lambda lab, place, chance, schema=schema: starts.start_on_old_data(lab, schema),
            is_quick=schema == starts.SCHEMAS[-1],
        )
    yield Scenario("data of a later release", lambda lab, place, chance: starts.start_on_newer_data(lab))
    yield Scenario("two servers", lambda lab, place, chance: starts.start_twice(lab), is_quick=True)


def run(folder: Path, is_quick: bool) -> dict[str, float]:
    """Go through all scenarios, or a few. What is found is printed with the seed that brings it back."""
    seed = chosen_seed()
    if why_not := can_mount(folder):
        say(f"{why_not}: a limit on the size of files stands for a full disk, and none turns read-only")
    scenarios = [*(limited() if why_not else filled()), *spoilt()]
    figures = {"disk_faults": 0.0, "disk_lost": 0.0, "disk_acknowledged": 0.0, "disk_findings": 0.0}
    for scenario in scenarios:
        if is_quick and not scenario.is_quick:
            continue
        lab, (faults, lost) = _go_through(scenario, folder, random.Random(f"{seed} {scenario.name}"))
        findings = [f"seed {seed}, {finding}" for finding in lab.findings]
        say(f"{scenario.name}: {faults} faults, {lost} lost; {dict(lab.told)}", findings)
        for name, more in zip(
            figures, (faults, lost, lab.known.acknowledged, len(lab.findings)), strict=True
        ):
            figures[name] += more
    return figures


def _one(do: Callable[..., int], *rest: object) -> Callable[[Lab, Any, random.Random], Outcome]:
    """A scenario of one fault on a disk of its own."""
    return lambda lab, place, chance: (1, do(lab, place, *rest))


def _go_through(scenario: Scenario, folder: Path, chance: random.Random) -> tuple[Lab, Outcome]:
    own = folder / scenario.name.replace(" ", "-").replace(",", "").replace(":", "")
    if scenario.disk is None:
        return _on(Lab(own), scenario, None, chance)
    with scenario.disk(own / "disk") as place:
        return _on(Lab(own / "server", data=place.folder / "data"), scenario, place, chance)


def _on(lab: Lab, scenario: Scenario, place: Place | None, chance: random.Random) -> tuple[Lab, Outcome]:
    try:
        return lab, scenario.do(lab, place, chance)
    except Exception as error:
        # It does not hide those after it; what it had to find is a finding itself.
        # Of a server that did not start the whole log is in it; its end tells why.
        lab.findings.append(f"{scenario.name}: broken off: {type(error).__name__}: …{str(error)[-1500:]}")
        return lab, (1, 0)
    finally:
        lab.server.close()
