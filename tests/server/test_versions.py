"""Versions taken up, deployed, rolled back and deleted: folder, engines and record always agree."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from live_postgres import on_both
from lost_answers import losing_an_answer
from sqlalchemy import Engine as Database
from sqlalchemy.exc import DatabaseError

from server.database import open_database
from server.datasets import DataPreparation, Dataset
from server.errors import (
    EvaluationNotFound,
    InvalidArgument,
    ModelCorrupt,
    ModelInUse,
    ModelNotFound,
)
from server.evaluation import Evaluations
from server.gate import Gate, GateReport
from server.inference import Engines
from server.models import DeploymentAction, ModelStore, ModelVersion
from server.samples import Samples
from server.versions import Versions

Save = Callable[..., ModelVersion]


class House:
    """A data directory whose shipped version is the beginner; `restart` is what a new server does."""

    def __init__(self, folder: Path, data: DataPreparation, shipped: Path, database_url: str) -> None:
        self.folder = folder
        self._database_url = database_url
        self._data = data
        self._shipped = shipped
        self.open()

    def open(self) -> None:
        """Start a server's part of it."""
        self.database: Database = open_database(self._database_url)
        self.store = ModelStore(self.folder / "models")
        self.engines = Engines(self.store)
        self.evaluations = Evaluations(self.database, self.store, self._data)
        self.samples = Samples(self.database, self.store, self._data, self.folder / "samples")
        self.gate = Gate(self.store, self._data, self.samples)
        self.versions = Versions(
            self.database, self.store, self.engines, self.evaluations, self.gate, self._shipped
        )

    def close(self) -> None:
        """End it."""
        self.versions.close()
        self.evaluations.close()
        self.samples.close()
        self.engines.close()
        self.database.dispose()

    def restart(self) -> None:
        """Begin anew on what is there."""
        self.close()
        self.open()

    def delete(self, number: int) -> None:
        """Delete a version that no run goes on from."""
        self.versions.delete(number, "a test", nobody)

    @property
    def actions(self) -> list[tuple[int, DeploymentAction]]:
        """What happened to which version, oldest first."""
        entries, _ = self.versions.history(0, 100)
        return [(entry.model_version, entry.action) for entry in reversed(entries)]


def nobody(number: int) -> AbstractContextManager[None]:
    return nullcontext()


@pytest.fixture(scope="session")
def preparation(builtin_root: Path) -> Iterator[DataPreparation]:
    with DataPreparation(builtin_root) as preparation:
        preparation.wait(60)
        yield preparation


@pytest.fixture
def house(
    tmp_path: Path,
    preparation: DataPreparation,
    complete: Callable[..., Path],
    beginner: Any,
    database_url: str,
) -> Iterator[House]:
    (tmp_path / "shipped").mkdir()
    house = House(
        tmp_path, preparation, complete(tmp_path / "shipped", beginner, training_id=""), database_url
    )
    yield house
    house.close()


DEPLOYED, ROLLED_BACK, DELETED, UNDEPLOYED = DeploymentAction


def test_at_the_first_start_the_shipped_version_answers(house: House) -> None:
    assert house.engines.deployed == 1
    assert house.actions == [(1, DEPLOYED)]
    assert house.versions.rollback_version() is None


def test_a_better_version_is_deployed_by_itself_when_that_is_wanted(
    house: House, save: Save, regression: Any
) -> None:
    save(house.store, regression)
    report = house.versions.take_up(2, deploy=True)
    assert report.passed
    assert house.engines.deployed == 2
    assert house.versions.history(0, 1)[0][0].cause == "its training asked for it, and it passed the gate"


def test_it_stays_a_candidate_when_nobody_wants_it_deployed_and_is_judged_all_the_same(
    house: House, save: Save, regression: Any
) -> None:
    save(house.store, regression)
    assert house.versions.take_up(2, deploy=False).passed
    assert house.engines.deployed == 1


def test_a_worse_version_stays_a_candidate_until_a_person_deploys_it(
    house: House, save: Save, regression: Any, beginner: Any
) -> None:
    save(house.store, regression)
    house.versions.deploy(2, "a person asked for it")
    save(house.store, beginner)
    report = house.versions.take_up(3, deploy=True)
    assert not report.passed
    assert report.reasons
    assert house.engines.deployed == 2

    house.versions.deploy(3, "a person asked for it")
    assert house.engines.deployed == 3


def test_a_version_is_held_against_the_one_that_serves_when_it_would_be_deployed(
    house: House, save: Save, regression: Any, beginner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(house.store, beginner)
    save(house.store, regression)
    judge = house.gate.judge

    def judge_while_somebody_deploys(candidate: ModelVersion, serving: int | None) -> GateReport:
        if serving == 1:
            house.versions.deploy(3, "somebody was faster")
        return judge(candidate, serving)

    monkeypatch.setattr(house.gate, "judge", judge_while_somebody_deploys)
    report = house.versions.take_up(2, deploy=True)
    assert (report.passed, report.serving_version) == (False, 3)
    assert house.engines.deployed == 3


def test_a_version_that_a_crash_left_deployed_but_unreported_keeps_its_place(
    house: House, save: Save, regression: Any
) -> None:
    save(house.store, regression)
    house.versions.take_up(2, deploy=True)
    house.restart()
    report = house.versions.take_up(2, deploy=True)
    assert (report.passed, report.serving_version) == (True, 1)
    assert house.actions == [(1, DEPLOYED), (2, DEPLOYED)]


def test_to_deploy_the_version_before_is_to_roll_back(house: House, save: Save, regression: Any) -> None:
    for number in (2, 3):
        save(house.store, regression)
        house.versions.deploy(number, "")
    assert house.versions.rollback_version() == 2
    house.versions.deploy(2, "3 reads my sevens as ones")
    assert house.engines.deployed == 2
    assert house.versions.rollback_version() == 1
    assert house.actions[-1] == (2, ROLLED_BACK)


def test_one_rolls_back_past_what_is_gone_or_damaged(house: House, save: Save, regression: Any) -> None:
    for number in (2, 3, 4):
        save(house.store, regression)
        house.versions.deploy(number, "")
    house.delete(3)
    (house.folder / "models" / "000002" / "model.onnx").write_bytes(b"damaged")
    assert house.versions.rollback_version() == 1
    house.versions.deploy(1, "")
    assert house.actions[-1] == (1, ROLLED_BACK)


def test_a_request_deploys_once_whatever_was_deployed_since(
    house: House, save: Save, regression: Any
) -> None:
    save(house.store, regression)
    house.versions.deploy(2, "", request_id="mine")
    house.versions.deploy(1, "")
    house.versions.deploy(2, "", request_id="mine")
    assert house.engines.deployed == 1
    with pytest.raises(InvalidArgument):
        house.versions.deploy(1, "", request_id="mine")


def test_a_request_that_failed_may_be_made_again(house: House, save: Save, regression: Any) -> None:
    save(house.store, regression)
    artifact = house.folder / "models" / "000002" / "model.onnx"
    whole = artifact.read_bytes()
    artifact.write_bytes(b"damaged")
    with pytest.raises(ModelCorrupt):
        house.versions.deploy(2, "", request_id="mine")
    assert house.engines.deployed == 1
    artifact.write_bytes(whole)
    house.versions.deploy(2, "", request_id="mine")
    assert house.engines.deployed == 2


def test_a_deleted_version_is_gone_with_its_files_and_evaluations(
    house: House, save: Save, regression: Any
) -> None:
    save(house.store, regression)
    house.versions.take_up(2, deploy=False)
    evaluation = house.evaluations.latest(2, Dataset.BUILTIN_TEST)
    house.engines.load(2)
    house.delete(2)

    assert not house.engines.is_loaded(2)
    assert [version.version for version in house.store.list()] == [1]
    for look in (
        lambda: house.store.get(2),
        lambda: house.engines.load(2),
        lambda: house.versions.deploy(2, ""),
    ):
        with pytest.raises(ModelNotFound):
            look()
    with pytest.raises(EvaluationNotFound):
        house.evaluations.get(evaluation.evaluation_id)
    assert list((house.folder / "models" / ".staging").iterdir()) == []
    assert house.actions == [(1, DEPLOYED), (2, DELETED)]
    with pytest.raises(ModelNotFound):
        house.delete(2)


def test_the_number_of_a_deleted_version_is_never_given_again(
    house: House, save: Save, regression: Any
) -> None:
    save(house.store, regression)
    # As after a crash between the version and the note of its number.
    (house.folder / "models" / ".last_number").unlink()
    house.delete(2)
    house.restart()
    assert save(house.store, regression).version == 3


def test_the_deployed_version_cannot_be_deleted(house: House, save: Save, regression: Any) -> None:
    save(house.store, regression)
    house.versions.deploy(2, "")
    with pytest.raises(ModelInUse, match="version 2 is deployed; deploy another one first"):
        house.delete(2)
    # Nor while it does not answer: the next start serves it.
    house.versions.undeploy("a rest")
    with pytest.raises(ModelInUse, match="is deployed"):
        house.delete(2)
    assert house.store.get(2).version == 2


def test_the_shipped_version_cannot_be_deleted(house: House, save: Save, regression: Any) -> None:
    save(house.store, regression)
    house.versions.deploy(2, "")
    with pytest.raises(ModelInUse, match="version 1 came with the software and stays"):
        house.delete(1)


def test_what_a_run_goes_on_from_cannot_be_deleted(house: House, save: Save, regression: Any) -> None:
    save(house.store, regression)

    @contextmanager
    def a_run_needs_it(number: int) -> Iterator[None]:
        raise ModelInUse(number, "is what the training abc goes on from")
        yield

    with pytest.raises(ModelInUse, match="goes on from"):
        house.versions.delete(2, "", a_run_needs_it)
    assert house.store.get(2).version == 2
    assert house.actions == [(1, DEPLOYED)]


def test_a_version_whose_description_is_damaged_can_be_deleted(
    house: House, save: Save, regression: Any
) -> None:
    save(house.store, regression)
    house.restart()
    (house.folder / "models" / "000002" / "version.json").write_text("{")
    house.delete(2)
    assert not (house.folder / "models" / "000002").exists()


def test_a_request_under_way_is_answered_by_the_version_that_is_deleted_meanwhile(
    house: House, save: Save, regression: Any, builtin_data: Any
) -> None:
    save(house.store, regression)
    house.engines.load(2)
    images = builtin_data.dataset(Dataset.BUILTIN_TEST).images
    submitted = house.engines.submit(images, 2)
    assert submitted is not None
    deleting = threading.Thread(target=house.delete, args=(2,))
    deleting.start()
    assert submitted.answer.result(60).probabilities.shape == (1000, 10)
    deleting.join(60)
    assert not deleting.is_alive()


def test_the_next_start_ends_a_deletion_that_was_cut_off(house: House, save: Save, regression: Any) -> None:
    save(house.store, regression)
    house.versions.take_up(2, deploy=False)
    evaluation = house.evaluations.latest(2, Dataset.BUILTIN_TEST)
    # The folder is renamed away, and the server dies before it can say so.
    house.store.delete(2)
    assert list((house.folder / "models" / ".staging").iterdir())
    house.restart()

    assert house.actions == [(1, DEPLOYED), (2, DELETED)]
    assert list((house.folder / "models" / ".staging").iterdir()) == []
    with pytest.raises(EvaluationNotFound):
        house.evaluations.get(evaluation.evaluation_id)
    house.restart()
    assert house.actions == [(1, DEPLOYED), (2, DELETED)]


def test_an_undeployment_is_in_the_list_and_told_to_replicas(house: House) -> None:
    house.versions.undeploy("a test")
    assert house.engines.deployed is None
    assert house.actions == [(1, DEPLOYED), (1, UNDEPLOYED)]
    assert house.store.announced_deployed() == 0

    house.versions.redeploy("a test")
    assert house.engines.deployed == 1
    assert house.actions == [(1, DEPLOYED), (1, UNDEPLOYED), (1, DEPLOYED)]
    assert house.store.announced_deployed() == 1


def test_a_start_after_an_undeployment_deploys_again_and_says_so(house: House) -> None:
    house.versions.undeploy("a test")
    house.restart()
    assert house.engines.deployed == 1
    newest = house.versions.history(0, 1)[0][0]
    assert (newest.action, newest.cause) == (DEPLOYED, "the server started anew")
    assert house.store.announced_deployed() == 1


def test_what_was_deployed_last_is_served_after_a_restart(house: House, save: Save, regression: Any) -> None:
    save(house.store, regression)
    house.versions.deploy(2, "")
    house.restart()
    assert house.engines.deployed == 2
    assert house.actions == [(1, DEPLOYED), (2, DEPLOYED)]


def test_when_the_last_one_cannot_be_loaded_the_one_before_it_answers_and_the_list_says_why(
    house: House, save: Save, regression: Any
) -> None:
    for number in (2, 3, 4):
        save(house.store, regression)
        house.versions.deploy(number, "")
    house.close()
    models = house.folder / "models"
    (models / "000004" / "model.onnx").write_bytes(b"damaged")
    (models / "000003" / "version.json").write_bytes(b"damaged")
    house.open()
    assert house.engines.deployed == 2
    newest = house.versions.history(0, 1)[0][0]
    assert (newest.model_version, newest.action) == (2, DeploymentAction.ROLLED_BACK)
    assert newest.cause.startswith("version 4 could not be loaded at start: model.onnx is damaged: 7 bytes")
    assert newest.previous_version == 4
    assert house.store.announced_deployed() == 2


def test_when_none_before_it_can_be_loaded_either_the_shipped_one_answers(
    house: House, save: Save, regression: Any
) -> None:
    save(house.store, regression)
    house.versions.deploy(2, "")
    house.close()
    shutil.rmtree(house.folder / "models" / "000002")
    (house.folder / "models" / "000001" / "model.onnx").unlink()
    house.open()
    # A new copy of it: the first one stays as it is, for whoever wants to look.
    assert house.engines.deployed == 3
    newest = house.versions.history(0, 1)[0][0]
    assert newest.cause.startswith("version 2 could not be loaded at start: no version 2")


def test_the_numbers_of_versions_whose_folders_are_lost_are_not_given_again(
    house: House, save: Save, regression: Any
) -> None:
    save(house.store, regression)
    save(house.store, regression)
    house.versions.deploy(3, "")
    house.close()
    shutil.rmtree(house.folder / "models")
    house.open()
    assert house.engines.deployed == 4
    assert house.store.get(4).is_shipped


@pytest.mark.parametrize("fault", ["record", "announcement"])
def test_a_deployment_that_cannot_be_kept_changes_nothing(
    house: House, save: Save, regression: Any, fault: str
) -> None:
    save(house.store, regression)
    before = house.actions
    announcement = house.folder / "models" / "deployed"
    if fault == "record":
        with house.database.begin() as connection:
            connection.exec_driver_sql(
                "CREATE TRIGGER full BEFORE INSERT ON deployments BEGIN SELECT RAISE(FAIL, 'full'); END"
            )
    else:
        announcement.with_name("deployed.new").mkdir()
    with pytest.raises((DatabaseError, OSError)):
        house.versions.deploy(2, "")
    assert (house.engines.deployed, house.store.announced_deployed()) == (1, 1)
    with house.database.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS full")
    assert house.actions == before
    shutil.rmtree(announcement.with_name("deployed.new"), ignore_errors=True)
    house.versions.deploy(2, "")
    assert (house.engines.deployed, house.store.announced_deployed()) == (2, 2)


@on_both
def test_a_deployment_whose_record_arrived_though_nobody_said_so_is_done(
    house: House, save: Save, regression: Any
) -> None:
    save(house.store, regression)
    with losing_an_answer(house.database, "deployments") as is_lost:
        house.versions.deploy(2, "", request_id="once")
    assert is_lost.is_set()
    assert (house.engines.deployed, house.store.announced_deployed()) == (2, 2)
    house.versions.deploy(2, "", request_id="once")
    assert house.actions == [(1, DEPLOYED), (2, DEPLOYED)]
    with losing_an_answer(house.database, "deployments") as is_lost:
        house.versions.undeploy("")
    assert is_lost.is_set()
    assert (house.engines.deployed, house.store.announced_deployed()) == (None, 0)


@on_both
def test_what_was_recorded_answers_as_soon_as_the_record_can_be_read_again(
    house: House, save: Save, regression: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.versions.LOOK_AGAIN_S", 0.01)
    save(house.store, regression)
    with losing_an_answer(house.database, "deployments", is_away_then=True):
        with pytest.raises(DatabaseError):
            house.versions.deploy(2, "")
        # Nobody knows yet.
        assert (house.engines.deployed, house.store.announced_deployed()) == (1, 1)
    deadline = time.monotonic() + 60
    while (house.engines.deployed, house.store.announced_deployed()) != (2, 2):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert house.actions == [(1, DEPLOYED), (2, DEPLOYED)]


@on_both
@pytest.mark.parametrize("by", ["request", "training"])
def test_who_tries_a_deployment_again_that_was_recorded_has_it(
    house: House, save: Save, regression: Any, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr("server.versions.LOOK_AGAIN_S", 3600.0)
    save(house.store, regression)

    def deploy() -> None:
        if by == "request":
            house.versions.deploy(2, "", request_id="once")
        else:
            assert house.versions.take_up(2, deploy=True).passed

    with losing_an_answer(house.database, "deployments", is_away_then=True):
        with pytest.raises(DatabaseError):
            deploy()
        assert house.engines.deployed == 1
    deploy()
    assert (house.engines.deployed, house.store.announced_deployed()) == (2, 2)
    assert house.actions == [(1, DEPLOYED), (2, DEPLOYED)]
