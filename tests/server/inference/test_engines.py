"""The loaded versions: one switch from old to new, no request lost, no answer mixed, no memory kept."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from server.datasets import Data, Dataset
from server.errors import ModelCorrupt, ModelNotFound, NothingDeployed, ShuttingDown
from server.inference import Engine, Engines
from server.inference.engines import MAX_OTHERS
from server.models import ModelStore

Images = npt.NDArray[np.uint8]
PATIENCE_S = 60.0


@pytest.fixture
def versions(store: ModelStore, save: Callable[..., Any], regression: Any, beginner: Any) -> ModelStore:
    """A store with six versions: the odd ones are the trained model, the even ones the beginner."""
    for _ in range(3):
        save(store, regression)
        save(store, beginner)
    return store


@pytest.fixture
def engines(versions: ModelStore) -> Iterator[Engines]:
    engines = Engines(versions)
    yield engines
    engines.close()


@pytest.fixture(scope="session")
def images(builtin_data: Data) -> Images:
    return np.array(builtin_data.dataset(Dataset.BUILTIN_TEST).images)


def ask(engines: Engines, images: Images, version: int | None = None) -> tuple[int, npt.NDArray[np.float32]]:
    submitted = engines.submit(images, version)
    assert submitted is not None, "expected the version to be loaded"
    return submitted[0], submitted[1].result(PATIENCE_S).probabilities


def inference_threads() -> int:
    return sum(thread.name == "inference" for thread in threading.enumerate())


def test_without_a_deployed_version_nothing_answers(engines: Engines, images: Images) -> None:
    assert engines.deployed is None
    with pytest.raises(NothingDeployed):
        engines.submit(images, None)
    with pytest.raises(NothingDeployed):
        engines.load(None)


def test_the_deployed_version_answers(engines: Engines, versions: ModelStore, images: Images) -> None:
    engines.deploy(1)
    version, answers = ask(engines, images)
    assert (version, engines.deployed) == (1, 1)
    np.testing.assert_allclose(answers, Engine(versions.artifact_path(1)).probabilities(images), atol=1e-6)


def test_another_version_answers_by_its_number_once_it_is_loaded(engines: Engines, images: Images) -> None:
    engines.deploy(1)
    assert not engines.is_loaded(2)
    assert engines.submit(images, 2) is None
    engines.load(2)
    assert engines.is_loaded(2)
    assert ask(engines, images, 2)[0] == 2
    assert ask(engines, images)[0] == 1


def test_the_deployed_version_can_be_asked_by_its_number(engines: Engines, images: Images) -> None:
    engines.deploy(1)
    assert ask(engines, images, 1)[0] == 1


def test_a_free_version_answers_at_once_and_one_that_is_not_loaded_never(
    engines: Engines, versions: ModelStore, images: Images
) -> None:
    engines.deploy(2)
    answered = engines.answer_at_once(images[:1], None)
    assert answered is not None
    assert answered[0].version == 2
    expected = Engine(versions.artifact_path(2)).probabilities(images[:1])
    np.testing.assert_allclose(answered[1].probabilities, expected, atol=1e-6)
    assert engines.answer_at_once(images[:1], 1) is None


def test_an_unknown_version_is_not_found_and_changes_nothing(engines: Engines, images: Images) -> None:
    engines.deploy(1)
    for change in (engines.deploy, engines.load):
        with pytest.raises(ModelNotFound):
            change(99)
    assert ask(engines, images)[0] == 1


def test_a_damaged_version_is_refused_and_the_old_one_stays(
    engines: Engines, versions: ModelStore, images: Images
) -> None:
    engines.deploy(1)
    versions.artifact_path(2).write_bytes(b"damaged")
    for change in (engines.deploy, engines.load):
        with pytest.raises(ModelCorrupt):
            change(2)
    assert ask(engines, images)[0] == 1
    assert inference_threads() == 1


def test_a_swap_under_load_loses_no_request_and_mixes_no_answer(
    engines: Engines, versions: ModelStore, images: Images
) -> None:
    expected = {
        number: Engine(versions.artifact_path(number)).probabilities(images[:100]) for number in (1, 2)
    }
    engines.deploy(1)
    stop = threading.Event()
    answered: set[int] = set()
    failures: list[str] = []

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                version, answers = ask(engines, images[:100])  # Two batches: a swap may fall between them.
            except Exception as error:
                failures.append(repr(error))
                return
            answered.add(version)
            if not np.allclose(answers, expected[version], atol=1e-5):
                failures.append(f"version {version} gave answers of another one")

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    for swap in range(40):
        engines.deploy(2 - swap % 2)
    stop.set()
    for thread in threads:
        thread.join()

    assert failures == []
    assert answered == {1, 2}


def test_a_swap_under_load_judges_no_answer_by_another_versions_threshold(
    store: ModelStore, save: Callable[..., Any], beginner: Any, images: Images
) -> None:
    thresholds = {1: 0.25, 2: 0.75}
    for threshold in thresholds.values():
        save(store, beginner, uncertain_below=threshold)
    engines = Engines(store)
    engines.deploy(1)
    stop = threading.Event()
    seen: set[tuple[int, float]] = set()

    def keep_asking() -> None:
        while not stop.is_set():
            submitted = engines.submit(images[:1], None)
            assert submitted is not None
            submitted.answer.result(PATIENCE_S)
            seen.add((submitted.version, submitted.uncertain_below))

    threads = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    for swap in range(20):
        engines.deploy(2 - swap % 2)
    stop.set()
    for thread in threads:
        thread.join()
    engines.close()

    assert seen == set(thresholds.items())


def test_what_was_replaced_leaves_memory(engines: Engines, images: Images) -> None:
    engines.deploy(1)
    old = engines._deployed
    assert old is not None
    batcher = weakref.ref(old.batcher)
    session = weakref.ref(old.batcher._engine)
    del old
    ask(engines, images)
    engines.deploy(2)
    gc.collect()
    assert batcher() is None
    assert session() is None
    assert inference_threads() == 1


def test_a_few_versions_stay_loaded_and_the_longest_unused_goes(engines: Engines, images: Images) -> None:
    for number in (1, 2, 3):
        engines.load(number)
    ask(engines, images, 1)
    engines.load(4)
    assert [number for number in range(1, 7) if engines.is_loaded(number)] == [1, 3, 4]
    assert inference_threads() == MAX_OTHERS


def test_a_version_that_is_let_go_of_leaves_memory(engines: Engines, images: Images) -> None:
    engines.deploy(1)
    engines.load(2)
    threads = inference_threads()
    engines.evict(2)
    assert not engines.is_loaded(2)
    assert inference_threads() == threads - 1
    # Neither one that is not loaded nor the one that answers is meant.
    engines.evict(2)
    engines.evict(1)
    assert ask(engines, images)[0] == 1


def test_a_version_loaded_before_is_deployed_without_loading_it_again(
    engines: Engines, versions: ModelStore, images: Images
) -> None:
    engines.load(2)
    versions.artifact_path(2).write_bytes(b"damaged meanwhile")
    engines.deploy(2)
    assert ask(engines, images)[0] == 2
    assert inference_threads() == 1


def test_to_deploy_what_is_deployed_keeps_its_engine(engines: Engines) -> None:
    engines.deploy(1)
    before = engines._deployed
    engines.deploy(1)
    assert engines._deployed is before


def test_closing_answers_what_is_queued_and_refuses_the_rest(versions: ModelStore, images: Images) -> None:
    engines = Engines(versions)
    engines.deploy(1)
    engines.load(2)
    queued = [engines.submit(images, number) for number in (1, 2)]
    engines.close()

    assert all(submitted is not None and submitted[1].done() for submitted in queued)
    assert inference_threads() == 0
    for late in (engines.load, engines.deploy, lambda number: engines.submit(images, number)):
        with pytest.raises(ShuttingDown):
            late(1)
    assert inference_threads() == 0


def test_versions_loaded_at_once_are_loaded_once_each(
    engines: Engines, images: Images, tmp_path: Path
) -> None:
    threads = [threading.Thread(target=engines.load, args=(1 + number % 2,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inference_threads() == 2
