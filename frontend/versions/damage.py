"""Versions whose files are not what was saved: what is wrong, what that means, and what can be done."""

from __future__ import annotations

import streamlit as st
from digits.client.records import Damage, Model, UnreadableModel

from frontend import style, wording
from frontend.versions import actions


def say(model: Model) -> None:
    """What is wrong with the files of a version, if anything is."""
    if model.damage is not None:
        style.wrong(words(model.model_version, model.damage, is_deployed=model.is_deployed))


def show_unreadable(model: UnreadableModel, *, can_change: bool) -> None:
    """A version of which only the number is left."""
    number = model.model_version
    with st.container(border=True, key=f"model-{number}"):
        st.html(f'<div class="model"><div class="model-name"><b>Version {number}</b></div></div>')
        style.wrong(words(number, model.damage, is_deployed=False))
        actions.say_result(number)
        actions.delete_button(number, can_delete=can_change)


def words(number: int, damage: Damage, *, is_deployed: bool) -> str:
    """What is wrong and what follows, in sentences."""
    what = wording.sentence(f"on the disk, {damage.reason.removeprefix(f'version {number}: ')}")
    if damage.can_answer:
        return f"{what} It can answer, but not be exported or trained on. A backup has the file."
    if is_deployed:
        return (
            f"{what} It answers from memory; when the server starts again the version before it will. "
            "Deploy another one, or restore a backup."
        )
    return f"{what} It cannot be deployed: delete it, or restore a backup."
