"""The form of a new run: a recipe, its options with their explanations, and the button that starts it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TypeVar

import streamlit as st
from digits.client.choices import Activation, Architecture, Optimizer
from digits.client.errors import ClientError, Refused
from digits.client.records import OptionRange, Recipe, Recipes, TrainingOptions

from frontend import connection, style, wording
from frontend.explain import explain
from frontend.training import taught, words
from frontend.verdict import RULE

Choice = TypeVar("Choice")

_REQUEST = "train_request_id"
_ASKED = "train_asked"
_FAULT = "train_fault"


def form(recipes: Recipes) -> None:
    """Show the form. A started run is kept as `train_run` in the session, and its id in the address."""
    by_name = {recipe.name: recipe for recipe in recipes.recipes}
    name = st.radio(
        "Recipe",
        list(by_name),
        format_func=lambda each: f"**{wording.plain(by_name[each].title)}**",
        captions=[wording.plain(recipe.description) for recipe in recipes.recipes],
        key="train_recipe",
        persist_state="session",
    )
    recipe = by_name[name]
    base_version, why_not = taught.base(recipe) if recipe.uses_samples else (0, "")
    options = _options(recipe, recipes)
    _fixed_parts()
    deploy = st.checkbox(
        "Deploy it when it is done",
        key="train_deploy",
        persist_state="session",
        help=f"If it passes the gate, the new version answers everybody. {RULE} "
        "Otherwise it stays a candidate, which can be tried, and deployed by hand.",
    )
    style.small_print("Only if it passes the gate: no worse than the deployed version.")
    if recipes.data_source is None:
        why_not = "Training can start when the digits are there."
    st.button(
        "Start training",
        type="primary",
        icon=":material/play_arrow:",
        disabled=bool(why_not),
        key="train_start",
        on_click=_ask,
        width="stretch",
    )
    if st.session_state.pop(_ASKED, False):
        _start(recipe.name, options, deploy, base_version)
        st.rerun()
    if why_not:
        style.notice(why_not)
    if fault := st.session_state.pop(_FAULT, None):
        style.wrong(fault)


def fill(recipe: str, options: TrainingOptions, deploy: bool, base_version: int = 0) -> None:
    """Put a run's choices into the form, to be changed and started. Call it before the form is shown."""
    st.session_state["train_recipe"] = recipe
    st.session_state["train_deploy"] = deploy
    taught.choose(base_version)
    for option, value in asdict(options).items():
        if option != "learning_rate":
            st.session_state[_key(recipe, option)] = value
    st.session_state[_rate_key(recipe, options.optimizer)] = options.learning_rate


def _ask() -> None:
    """Note the click. Only this run of the page knows what the form says: a callback's arguments are those
    of the run before, without an option that was changed just before the click.
    """
    st.session_state[_ASKED] = True


def _start(recipe: str, options: TrainingOptions, deploy: bool, base_version: int) -> None:
    # The id stays until an answer comes, so that a second click after a lost answer starts no second run.
    request_id = st.session_state.setdefault(_REQUEST, uuid.uuid4().hex)
    try:
        started = connection.client().start_training(
            recipe,
            options,
            deploy_when_done=deploy,
            base_version=base_version,
            request_id=request_id,
        )
        st.session_state["train_run"] = started.training_id
    except Refused as error:
        st.session_state[_FAULT] = wording.sentence(
            f"{error.field.removeprefix('options.')}: {error.message}".lstrip(": ")
        )
    except ClientError as error:
        connection.note(error)
        st.session_state[_FAULT] = error.message
        return
    del st.session_state[_REQUEST]


def _options(recipe: Recipe, recipes: Recipes) -> TrainingOptions:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("**Options**", width="content")
        st.button(
            "As the recipe has them",
            type="tertiary",
            icon=":material/restart_alt:",
            on_click=_reset,
            args=(recipe,),
            key="train_reset",
        )
    defaults, ranges = recipe.defaults, recipes.option_ranges
    # Three optimizers in a row need the whole width of a phone.
    rows: Sequence[tuple[tuple[float, float], bool]] = (
        *([] if recipe.uses_samples else [((1.0, 1.0), False)]),
        ((1.4, 1.0), True),
        ((1.0, 1.0), False),
        ((1.0, 1.0), False),
    )
    pairs = [st.columns(shares, gap="small", wrap=wraps) for shares, wraps in rows]
    cells = iter([column.container(gap="xxsmall") for pair in pairs for column in pair])
    # A version that goes on learning keeps its network.
    architecture, activation = Architecture.UNSPECIFIED, Activation.UNSPECIFIED
    if not recipe.uses_samples:
        with next(cells):
            architecture = _choice(recipe, "architecture", words.ARCHITECTURES, defaults.architecture)
        with next(cells):
            activation = _choice(recipe, "activation", words.ACTIVATIONS, defaults.activation)
    with next(cells):
        optimizer = _choice(recipe, "optimizer", words.OPTIMIZERS, defaults.optimizer)
    with next(cells):
        augmentation = _choice(recipe, "augmentation", words.AUGMENTATIONS, defaults.augmentation)
    with next(cells):
        rate = _learning_rate(recipe, ranges["learning_rate"], optimizer)
    with next(cells):
        batch_size = _whole(recipe, ranges["batch_size"], defaults.batch_size)
    with next(cells):
        epochs = _whole(recipe, ranges["epochs"], defaults.epochs)
    with next(cells):
        seed = _whole(recipe, ranges["seed"], defaults.seed)
    return TrainingOptions(
        architecture=architecture,
        activation=activation,
        optimizer=optimizer,
        learning_rate=rate,
        epochs=epochs,
        batch_size=batch_size,
        augmentation=augmentation,
        seed=seed,
    )


def _choice(recipe: Recipe, option: str, names: Mapping[Choice, str], default: Choice) -> Choice:
    explain(option)
    return st.segmented_control(
        option.capitalize(),
        list(names),
        default=default,
        required=True,
        format_func=lambda each: names[each],
        label_visibility="collapsed",
        key=_key(recipe.name, option),
        persist_state="session",
        width="stretch",
    )


def _whole(recipe: Recipe, bounds: OptionRange, default: int | None) -> int:
    explain(bounds.option)
    low = int(bounds.min)
    return st.number_input(
        bounds.option.replace("_", " ").capitalize(),
        low,
        int(bounds.max),
        value=low if default is None else default,
        step=1,
        label_visibility="collapsed",
        key=_key(recipe.name, bounds.option),
        persist_state="session",
    )


def _learning_rate(recipe: Recipe, bounds: OptionRange, optimizer: Optimizer) -> float | None:
    """The chosen rate. None: the server takes the one that suits the optimizer."""
    explain("learning_rate")
    # A rate that suits one optimizer makes another one crawl: each keeps its own.
    is_the_recipes = optimizer == recipe.defaults.optimizer
    return st.number_input(
        "Learning rate",
        bounds.min,
        bounds.max,
        value=recipe.defaults.learning_rate if is_the_recipes else None,
        placeholder=f"suits {words.OPTIMIZERS[optimizer]}",
        step=0.0005,
        format="%g",
        label_visibility="collapsed",
        key=_rate_key(recipe.name, optimizer),
        persist_state="session",
    )


def _fixed_parts() -> None:
    """What is the same in every run, explained where the choices are."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="train_fixed"):
        st.caption("In every run:", width="content")
        for name in ("normalisation", "softmax", "cross_entropy"):
            explain(name)


def _key(recipe: str, field: str) -> str:
    # Each recipe keeps its own changes: going from one to the other and back loses nothing.
    return f"train_{recipe}_{field}"


def _rate_key(recipe: str, optimizer: Optimizer) -> str:
    return _key(recipe, f"learning_rate_{optimizer.name.lower()}")


def _reset(recipe: Recipe) -> None:
    for optimizer in words.OPTIMIZERS:
        st.session_state[_rate_key(recipe.name, optimizer)] = None
    fill(recipe.name, recipe.defaults, bool(st.session_state.get("train_deploy")))
