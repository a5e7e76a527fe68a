"""Files that are spoilt while the server is down: a bit flipped, an end cut off, a file or a folder gone."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from digits.client import Client
from digits.client.errors import ClientError
from torture_disk_lab import Lab, drawing

# What a version is made of, and whether it can still answer without it.
VERSION_FILES = {
    "model.onnx": False,
    "version.json": False,
    "model.keras": True,
    "probabilities.npz": True,
}
PAGE = 4096

Spoil = Callable[[Path, random.Random], None]


def flip(path: Path, chance: random.Random) -> None:
    """Flip one bit somewhere."""
    data = bytearray(path.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)


def cut(path: Path, chance: random.Random) -> None:
    """Cut off an end."""
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))] if data else b"")


def empty(path: Path, chance: random.Random) -> None:
    """Leave nothing of it, as a power cut may."""
    path.write_bytes(b"")


def remove(path: Path, chance: random.Random) -> None:
    """Take it away."""
    path.unlink()


SPOILS: Sequence[Spoil] = (flip, cut, empty, remove)


def spoil_versions(lab: Lab, chance: random.Random, spoil: Spoil, what: str) -> tuple[int, int]:
    """Spoil a different file of each of four versions, the deployed one among them. Faults, and losses."""
    if not lab.server.is_running:
        lab.begin(versions=6)
    with lab.client() as client:
        for number in (3, 4, 5, 6, 5, 6):
            client.deploy_model(number)
        lab.known.note(client)
    lab.server.stop()
    kept = lab.data.with_name("kept")
    shutil.copytree(lab.data / "models", kept)
    # Both that were deployed last can no longer answer; the one before them can.
    spoilt = dict(zip((6, 5, 4, 3), VERSION_FILES, strict=True))
    for number, name in spoilt.items():
        spoil(lab.data / "models" / f"{number:06d}" / name, chance)
    written = lab.server.written
    lab.start()
    with lab.client() as client:
        _judge_versions(lab, client, spoilt, what)
    lost = lab.look_for_losses(what, without=set(spoilt))
    lab.look_for_bugs(what, written)
    # Brought back from elsewhere, they are what they were.
    lab.server.stop()
    for number, name in spoilt.items():
        shutil.copyfile(kept / f"{number:06d}" / name, lab.data / "models" / f"{number:06d}" / name)
    shutil.rmtree(kept)
    lab.start()
    return len(spoilt), lost + lab.look_for_losses(f"{what}, brought back")


def _judge_versions(lab: Lab, client: Client, spoilt: dict[int, str], what: str) -> None:
    answering = client.predict_pixels(drawing(1)).model_version
    lab.expect(answering == 4, f"{what}: version {answering} answers instead of the one before")
    newest = client.list_deployments(1).deployments[0]
    lab.expect("version 6 could not be loaded" in newest.cause, f"{what}: the list says {newest.cause!r}")
    page = client.list_models(100)
    damage = {model.model_version: model.damage for model in page.models if model.damage}
    damage |= {lost.model_version: lost.damage for lost in page.unreadable_models}
    for number, name in spoilt.items():
        found = damage.get(number)
        is_told = found is not None and name in found.reason and found.can_answer is VERSION_FILES[name]
        lab.expect(is_told, f"{what}: {name} of version {number}: {found}")
        if not VERSION_FILES[name]:
            refused = _reason(lambda number=number: client.deploy_model(number))
            lab.expect(refused == "MODEL_CORRUPT", f"{what}: deploying version {number}: {refused!r}")
    lab.expect(set(damage) == set(spoilt), f"{what}: damaged: {sorted(damage)}")
    lab.try_reads(client, what)


def _reason(call: Callable[[], object]) -> str:
    try:
        call()
    except ClientError as error:
        return error.reason or error.code
    return "OK"


def spoil_notes(lab: Lab, chance: random.Random, spoil: Spoil, what: str) -> tuple[int, int]:
    """Spoil every file that can be made again, all at once. Faults, and losses."""
    if not lab.server.is_running:
        lab.begin()
    lab.server.stop()
    kept = ("digits.db", *VERSION_FILES)
    notes = [path for path in sorted(lab.data.rglob("*")) if path.is_file() and path.name not in kept]
    for path in notes:
        spoil(path, chance)
    written = lab.server.written
    lab.start()
    with lab.client() as client:
        lab.wait_for_digits(client)
        lab.try_reads(client, what)
    lost = lab.look_for_losses(what)
    lab.look_for_bugs(what, written)
    return len(notes), lost


def spoil_database(lab: Lab, chance: random.Random, times: int, what: str) -> tuple[int, int]:
    """Spoil the database as SQLite can notice: refused each time. A backup brings everything back."""
    lab.begin(samples=60)
    backup = lab.data.with_name("backup.tar.gz")
    lab.run_command("backup", str(backup))
    lab.server.stop()
    database = lab.data / "digits.db"
    whole = database.read_bytes()
    pages = len(whole) // PAGE
    for number in range(times):
        damaged = bytearray(whole)
        match number % 4:
            case 0:
                how = f"bit of the head of page {(page := chance.randrange(1, pages))}"
                damaged[page * PAGE] ^= 1 << chance.randrange(8)
            case 1:
                del damaged[chance.randrange(1, pages) * PAGE :]
                how = f"{len(damaged)} of {len(whole)} bytes"
            case 2:
                damaged = bytearray()
                how = "0 bytes"
            case _:
                damaged[: 16 * PAGE] = chance.randbytes(16 * PAGE)
                how = "noise in the beginning"
        database.write_bytes(damaged)
        lab.refused_start(f"{what}, {how}", "is damaged", "python -m server restore FILE --replace")
        lab.expect(database.read_bytes() == damaged, f"{what}, {how}: the damaged file was changed")
    lab.run_command("restore", "--replace", str(backup))
    lab.start()
    lost = lab.look_for_losses(f"{what}, restored")
    with lab.client() as client:
        lab.try_reads(client, f"{what}, restored")
    return times, lost


def remove_folders(lab: Lab, what: str, *, is_running: bool) -> tuple[int, int]:
    """Take away, one after the other, every folder that can be made again. Faults, and losses."""
    if not lab.server.is_running:
        lab.begin()
    names = ("samples", "exports", "features", "logs", "tensorboard", "checkpoints", "datasets")
    written, lost = lab.server.written, 0
    for name in names:
        where = f"{what}: {name}/"
        if not is_running:
            lab.server.stop()
        shutil.rmtree(lab.data / name, ignore_errors=True)
        if not is_running:
            lab.start()
        with lab.client() as client:
            lab.wait_for_digits(client)
            lab.try_reads(client, where)
            ended = lab.try_writes(client, where)
            if not is_running:
                lab.expect(set(ended) == {"OK"}, f"{where} {dict(ended)}")
            lab.end_runs(client)
        lost += lab.look_for_losses(where)
    lab.look_for_bugs(what, written)
    return len(names), lost


def remove_models(lab: Lab, what: str) -> tuple[int, int]:
    """Take away the folder of a version, then that of all: the rest is there, and no number comes back."""
    lab.begin(versions=3)
    lab.server.stop()
    shutil.rmtree(lab.data / "models" / "000003")
    lab.start()
    with lab.client() as client:
        answering = client.predict_pixels(drawing(1)).model_version
    lab.expect(answering == 1, f"{what}: version {answering} answers")
    lost = lab.look_for_losses(f"{what}: a version", without={3})
    # While it runs: what is in memory answers on.
    shutil.rmtree(lab.data / "models")
    with lab.client() as client:
        lab.expect(_reason(lambda: client.predict_pixels(drawing(1))) == "OK", f"{what}: no predictions")
        refused = _reason(lambda: client.deploy_model(2))
        lab.expect(refused == "MODEL_NOT_FOUND", f"{what}: deploying what is gone: {refused}")
    lab.server.stop()
    lab.start()
    lost += lab.look_for_losses(f"{what}: all versions", without={1, 2, 3})
    with lab.client() as client:
        numbers = [model.model_version for model in client.list_models().models]
    lab.expect(numbers == [4], f"{what}: the versions are {numbers}: a number came back")
    lab.look_for_bugs(what)
    return 2, lost
