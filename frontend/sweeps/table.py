"""The trials of a sweep as a table of one component: a trial's button shows its run, a version's what it
misreads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import streamlit as st
from digits.client.choices import TrialState
from digits.client.records import Sweep, Trial

from frontend.sweeps import words
from frontend.wording import percent


@dataclass(frozen=True)
class TrialRow:
    """One trial in words. `tone` is "", "best", "active", "ended" or "wrong"."""

    number: int
    training_id: str
    options: tuple[str, ...]
    epochs: str
    accuracy: str
    state: str
    tone: str
    version: int
    why: str


def trials_table(
    sweep: Sweep, *, key: str, on_run: Callable[[str], None], on_version: Callable[[int], None]
) -> None:
    """Show the trials: in their order, and the best first once all have ended."""

    def ran() -> None:
        on_run(str(st.session_state[key]["run"]))

    def went() -> None:
        on_version(int(st.session_state[key]["version"]))

    titles = [words.TITLES.get(each.option, each.option) for each in words.ordered(sweep.ranges)]
    _mount(
        key=key,
        data={"titles": titles, "rows": [asdict(row) for row in rows(sweep)]},
        on_run_change=ran,
        on_version_change=went,
    )


def rows(sweep: Sweep) -> Sequence[TrialRow]:
    """The lines of the table."""
    trials = list(sweep.trials)
    if sweep.state.is_final:
        trials.sort(key=lambda trial: _rank(trial, sweep))
    return [
        TrialRow(
            number=trial.number,
            training_id=trial.training_id,
            options=tuple(words.chosen(trial, each.option) for each in words.ordered(sweep.ranges)),
            epochs=str(trial.epochs) if trial.state is not TrialState.WAITING else "–",
            accuracy="–" if trial.validation_accuracy is None else percent(trial.validation_accuracy, 2),
            state=_state(trial, sweep),
            tone=_tone(trial, sweep),
            version=trial.model_version,
            why=trial.failure_reason,
        )
        for trial in trials
    ]


def _rank(trial: Trial, sweep: Sweep) -> tuple[bool, bool, float, int]:
    """The best first, then those that trained to the end; of each the most accurate first."""
    return (
        trial.number != sweep.best_trial,
        trial.state is not TrialState.SUCCEEDED,
        -(trial.validation_accuracy or 0.0),
        trial.number,
    )


def _state(trial: Trial, sweep: Sweep) -> str:
    if trial.number == sweep.best_trial:
        return "best" if sweep.state.is_final else "best so far"
    if trial.state is TrialState.RUNNING:
        return f"training, {words.epoch(trial)}"
    return words.TRIAL_STATES[trial.state]


def _tone(trial: Trial, sweep: Sweep) -> str:
    if trial.number == sweep.best_trial:
        return "best"
    tones = {TrialState.RUNNING: "active", TrialState.SUCCEEDED: "", TrialState.FAILED: "wrong"}
    return tones.get(trial.state, "ended")


_HTML = """
<table>
  <thead><tr></tr></thead>
  <tbody></tbody>
</table>
"""

_CSS = """
:host { container-type: inline-size; }
table { inline-size: 100%; border-collapse: collapse; font-family: var(--st-font); font-size: .9rem;
  color: var(--st-text-color); font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .5rem; text-align: start; vertical-align: baseline;
  border-block-end: 1px solid var(--st-border-color); }
th:first-child, td:first-child { padding-inline-start: .4rem; }
thead th { font-weight: 400; font-size: .85em; color: var(--st-gray-color); }
.figure { text-align: end; white-space: nowrap; }
tr.best { background: color-mix(in srgb, var(--st-primary-color) 9%, transparent); }
tr.best .accuracy, tr.best .state { color: var(--st-primary-color); font-weight: 600; }
tr.active .state { color: var(--st-primary-color); }
tr.ended { color: var(--st-gray-color); }
tr.wrong .state { color: var(--st-red-color); }
.why { display: block; font-size: .85em; color: var(--st-gray-color); }
button { all: unset; cursor: pointer; border-radius: 3px; text-decoration: underline;
  text-underline-offset: 3px; text-decoration-color: var(--st-border-color); }
button:hover { text-decoration-color: currentcolor; }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.brief { display: none; font-size: .85em; font-weight: 400; color: var(--st-gray-color); }
@container (max-width: 480px) {
  .wide { display: none; }
  .brief { display: block; }
  th, td { padding-inline: .3rem; }
}
/* So many columns need more than half a page. */
@container (max-width: 700px) {
  .many .wide { display: none; }
  .many .brief { display: block; }
}
"""

_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const table = parentElement.querySelector('table');
  const shown = JSON.stringify(data);
  if (table.dataset.shown === shown) return;
  table.dataset.shown = shown;
  table.className = data.titles.length > 4 ? 'many' : '';
  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    made.className = name;
    made.textContent = text;
    return made;
  };
  const link = (text, id, click) => {
    const button = make('button', '', text);
    button.type = 'button';
    button.dataset.id = id;
    button.onclick = click;
    return button;
  };
  const focused = parentElement.activeElement?.dataset?.id;
  const titles = [['', 'Trial'], ...data.titles.map((title) => ['wide', title]), ['wide figure', 'Epochs'],
    ['figure', 'Validation'], ['', 'State'], ['', 'Version']];
  table.tHead.rows[0].replaceChildren(...titles.map(([name, title]) => {
    const made = make('th', name, title);
    made.scope = 'col';
    return made;
  }));
  table.tBodies[0].replaceChildren(...data.rows.map((trial) => {
    const row = make('tr', trial.tone, '');
    const number = make('td', '', trial.training_id ? '' : trial.number);
    if (trial.training_id) {
      const shows = link(trial.number, `run-${trial.number}`,
        () => setTriggerValue('run', trial.training_id));
      shows.title = `See how trial ${trial.number} learnt`;
      shows.setAttribute('aria-label', `Trial ${trial.number}`);
      number.append(shows);
    }
    const state = make('td', 'state', trial.state);
    state.append(make('span', 'brief', trial.options.join(' · ')));
    if (trial.why) state.append(make('span', 'why', trial.why));
    const version = make('td', '', trial.version ? '' : '–');
    if (trial.version) {
      const goes = link(trial.version, `version-${trial.version}`,
        () => setTriggerValue('version', trial.version));
      goes.title = `See the mistakes of version ${trial.version}`;
      goes.setAttribute('aria-label', `Version ${trial.version}`);
      version.append(goes);
    }
    row.append(number, ...trial.options.map((option) => make('td', 'wide', option)),
      make('td', 'wide figure', trial.epochs), make('td', 'figure accuracy', trial.accuracy), state, version);
    return row;
  }));
  if (focused) table.querySelector(`button[data-id="${CSS.escape(focused)}"]`)?.focus();
}
"""

_mount = st.components.v2.component("digit_trials_table", html=_HTML, css=_CSS, js=_JS)
