"""One training from its spec to a complete staging folder."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import threading
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import onnxruntime
import tensorflow as tf

from server import networks
from server.calibration import CLASSES, temper
from server.datasets import Data, Digits, Split
from server.inference import Engine
from server.metrics import measure
from server.models import Provenance, write_version
from server.models.sample_answers import SampleAnswers, write_sample_answers
from server.protocol import EpochMetrics, Phase, TrainingSpec
from server.recipes import RECIPES, Architecture, Augmentation, Recipe
from server.trainer.calibrate import calibrate_network
from server.trainer.checkpoint import Checkpoints
from server.trainer.export import export, import_exporter
from server.trainer.feed import Extras, pictures
from server.trainer.loop import fit
from server.trainer.passes import learning_rates
from server.trainer.pen_data import PenData, together
from server.trainer.reporter import Reporter
from server.trainer.summaries import Summaries
from server.trainer.teach import Lesson, cross_validate, least_sure, part_of_the_way, steady_normalisation

MEASURED_AT_ONCE = 500
COMPARED_IMAGES = 64
# Of a recipe that learns to doubt: so many pictures of no digit for each training image.
NON_DIGITS_SHARE = 0.06
# To learn the samples once more, without some of them.
FOLD_S = {Architecture.MLP: 1.0, Architecture.CNN: 2.5}
# To export a network and to read 10,000 test images with it, on two cores.
EVALUATING_S = {Architecture.MLP: 1.0, Architecture.CNN: 4.0}


def train(
    spec: TrainingSpec,
    reporter: Reporter,
    stop: threading.Event | None = None,
    command: str = "",
    pen_strokes: Path | None = None,
) -> None:
    """Train as `spec` says and complete its staging folder; `command` goes into the provenance.

    A file of pen strokes is learnt from too, and has its say in which epoch is the best. Once `stop` is set
    it ends early, with the best epoch so far. Raises TrainingDiverged, ExportMismatch, DatasetUnavailable,
    OSError, and what Keras raises.
    """
    threads, device = use_cores(spec.cores), use_device()
    libraries = library_versions()
    reporter.on(device, libraries)
    recipe = RECIPES[spec.recipe]
    data = Data.open(spec.datasets)
    lesson = Lesson.read(spec)
    if lesson is None:
        split = data.split(recipe.uses_all_data)
    else:
        split = data.split_after(lesson.base.train_partitions)
    pens = None if pen_strokes is None else PenData.read(pen_strokes)
    kinds: tuple[Digits, ...] = () if split.validation is None else (split.validation,)
    if pens is not None and kinds:
        kinds = (*kinds, pens.to_choose_by())
    chosen_by = together(*kinds) if kinds else None
    extras = Extras(
        pen_digits=() if pens is None else pens.train,
        samples=None if lesson is None else lesson.samples,
    )
    if _learns_doubt(recipe, lesson):
        shown = pictures(len(split.train), extras)
        extras = replace(extras, non_digits=round(NON_DIGITS_SHARE * shown))
    # Weights, dropout and the order of the digits all follow from the seed.
    keras.utils.set_random_seed(spec.options.seed)
    model = networks.build(spec.options) if lesson is None else lesson.network()
    begin = model.get_weights()
    if lesson is not None:
        as_learnt = replace(spec.options, augmentation=lesson.augmentation)
        extras = replace(
            extras,
            hard=least_sure(model, split.train, as_learnt),
            varies_digits=lesson.augmentation is not Augmentation.NONE,
        )
    checkpoints = None
    if spec.checkpoints is not None:
        checkpoints = Checkpoints(spec.checkpoints, _fingerprint(spec, data, pens, lesson))
    folds = 0 if lesson is None else lesson.folds
    evaluating_s = EVALUATING_S[spec.options.architecture]
    reporter.expect_evaluating(evaluating_s + folds * FOLD_S[spec.options.architecture])
    # Half a second that the export need not take.
    threading.Thread(target=import_exporter, name="exporter", daemon=True).start()

    summaries = _summaries(spec, recipe, pictures(len(split.train), extras))
    reporter.observe(summaries.progress)
    reporter.enter(Phase.TRAINING)
    with contextlib.nullcontext() if lesson is None else steady_normalisation(model):
        kept = fit(
            model,
            split.train,
            chosen_by,
            spec.options,
            recipe.schedule,
            reporter,
            extras=extras,
            checkpoints=checkpoints,
            stop=stop,
            on_epoch=lambda metrics, answers: summaries.epoch(metrics, chosen_by, answers),
            # Validation digits cannot tell which epoch has learnt the samples best.
            is_chosen=lesson is None,
        )

    reporter.enter(Phase.EVALUATING)
    unseen = np.empty((0, CLASSES), np.float32)
    if lesson is not None:
        model.set_weights(part_of_the_way(begin, model.get_weights()))
        unseen = cross_validate(
            model, begin, split.train, spec.options, recipe.schedule, extras, folds, kept.epoch
        )
    calibration = calibrate_network(model, kinds)
    if lesson is not None:
        answers = SampleAnswers(lesson.sample_ids, temper(unseen, calibration.temperature))
        write_sample_answers(spec.staging, answers)
    engine = export(model, spec.staging, split.train.images[:COMPARED_IMAGES], threads)
    # What is measured is what serves: the artifact, not the Keras model.
    probabilities = read_all(engine, split.test.images)
    validation_accuracy = kept.validation_accuracy
    if (pens is not None or lesson is not None) and split.validation is not None:
        # The provenance tells of MNIST and of pen strokes apart, and no epoch has the weights that a lesson
        # ends with.
        validation_answers = read_all(engine, split.validation.images)
        validation_accuracy = measure(validation_answers, split.validation.labels).accuracy
    provenance = Provenance(
        recipe=spec.recipe,
        options=spec.options.to_json(),
        training_id=spec.training_id,
        command=command,
        created=datetime.now(UTC),
        description=_describe(spec, kept, pens, lesson),
        data_source=data.source,
        train_partitions=split.train_partitions,
        train_images=_train_images(data, split, lesson),
        validation_partitions=split.validation_partitions,
        validation_images=0 if split.validation is None else len(split.validation),
        validation_accuracy=validation_accuracy,
        test_dataset=split.test_dataset,
        libraries=libraries,
        parameters=model.count_params(),
        temperature=calibration.temperature,
        uncertain_below=calibration.uncertain_below,
        pen_strokes={} if pens is None else pens.record(lambda images: read_all(engine, images)),
        base_version=None if lesson is None else lesson.base.version,
        samples=0 if lesson is None else len(lesson.samples),
    )
    metrics = measure(probabilities, split.test.labels)
    write_version(spec.staging, provenance, metrics, probabilities)
    summaries.result(metrics, split.test, probabilities, validation_accuracy)
    summaries.close()


def _summaries(spec: TrainingSpec, recipe: Recipe, images: int) -> Summaries:
    """TensorBoard's logs of a training on so many images."""
    options = spec.options
    batches = math.ceil(images / options.batch_size)
    rates = learning_rates(options.learning_rate, recipe.schedule, batches * options.epochs)
    return Summaries(
        spec.tensorboard,
        spec.recipe,
        options,
        batches,
        lambda step: float(rates(step)) if callable(rates) else rates,
    )


def use_cores(asked: int = 0) -> int:
    """Let TensorFlow and OpenCV use so many cores, 0: those that serving can spare; returns how many.

    Those are all but one, but never fewer than two where there are two: the child is niced, so that serving
    comes first anyway.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(cores, asked or max(2, cores - 1))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    # Augmentation has a thread of its own; threads within its tiny images would only cost.
    cv2.setNumThreads(1)
    return threads


def use_device() -> str:
    """The name of the device that TensorFlow trains on by itself: a GPU's where it sees one, else "CPU"."""
    for gpu in tf.config.list_physical_devices("GPU"):
        # Others may want some of its memory: take what is needed, not all there is.
        tf.config.experimental.set_memory_growth(gpu, True)
    for gpu in tf.config.list_physical_devices("GPU")[:1]:
        return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    return "CPU"


def read_all(engine: Engine, images: np.ndarray) -> np.ndarray:
    """The probabilities of many images, a few hundred at a time: (N, 28, 28) uint8 -> (N, 10) float32."""
    starts = range(0, len(images), MEASURED_AT_ONCE)
    return np.concatenate(
        [engine.probabilities(images[start : start + MEASURED_AT_ONCE]) for start in starts]
    )


def library_versions() -> dict[str, str]:
    """The versions of what a training's result depends on."""
    libraries = (tf, keras, np, cv2, onnxruntime)
    return {
        "python": platform.python_version(),
        **{library.__name__: str(library.__version__) for library in libraries},
        # Not imported before the export: the first step comes sooner.
        "tf2onnx": metadata.version("tf2onnx"),
    }


def _learns_doubt(recipe: Recipe, lesson: Lesson | None) -> bool:
    """Whether it is shown what is no digit: by its own recipe, or as its base was, so as not to forget it."""
    base = None if lesson is None else RECIPES.get(lesson.base.recipe)
    return recipe.learns_doubt or (base is not None and base.learns_doubt)


def _train_images(data: Data, split: Split, lesson: Lesson | None) -> int:
    """How many digits it has learnt, those of its base included."""
    if lesson is None:
        return len(split.train)
    known = lesson.base.train_partitions
    if all(partition in known for partition in data.split(use_all=False).train_partitions):
        return lesson.base.train_images
    return lesson.base.train_images + len(split.train)


def _fingerprint(
    spec: TrainingSpec, data: Data, pens: PenData | None, lesson: Lesson | None
) -> dict[str, Any]:
    """What a checkpoint must share with the training that goes on from it."""
    shared = {"recipe": spec.recipe, "options": spec.options.to_json(), "data": data.source.sha256}
    if lesson is not None:
        shared["lesson"] = lesson.sha256
    return shared if pens is None else {**shared, "pen_strokes": pens.sha256}


def _describe(spec: TrainingSpec, kept: EpochMetrics, pens: PenData | None, lesson: Lesson | None) -> str:
    options = spec.options
    if lesson is not None:
        return (
            f"{RECIPES[spec.recipe].title}: version {lesson.base.version} trained on with "
            f"{len(lesson.samples):,} samples, {kept.epoch} epochs"
        )
    chosen = (
        "the last one" if kept.validation_accuracy is None else f"epoch {kept.epoch}, the best on validation"
    )
    learnt_too = "" if pens is None else f"; learnt from {len(pens.train):,} digits in pen strokes too"
    return (
        f"{RECIPES[spec.recipe].title}: {options.architecture.upper()}, {options.activation}, "
        f"{options.optimizer}, {options.epochs} epochs, kept {chosen}{learnt_too}"
    )
