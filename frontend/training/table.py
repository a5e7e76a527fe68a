"""The runs so far as a table of one component: a row's button shows that run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import streamlit as st


@dataclass(frozen=True)
class RunRow:
    """One run in words. `tone` is "", "wrong" or "active"; `training_id` is what a click hands back."""

    training_id: str
    started: str
    title: str
    state: str
    tone: str
    result: str
    took: str
    options: str


def runs_table(
    rows: Sequence[RunRow], *, shown: str | None, key: str, on_pick: Callable[[str], None]
) -> None:
    """Show the runs, the one with the id `shown` marked; `on_pick` gets the id of a clicked one."""

    def picked() -> None:
        on_pick(str(st.session_state[key]["picked"]))

    _mount(key=key, data={"rows": [asdict(row) for row in rows], "shown": shown}, on_picked_change=picked)


_HTML = """
<table>
  <thead><tr><th scope="col">Run</th><th scope="col">State</th><th scope="col">Result</th>
    <th scope="col" class="wide">Took</th><th scope="col" class="wide">Options</th></tr></thead>
  <tbody></tbody>
</table>
"""

_CSS = """
:host { container-type: inline-size; }
table { inline-size: 100%; border-collapse: collapse; font-family: var(--st-font); font-size: .9rem;
  color: var(--st-text-color); font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .5rem; text-align: start; vertical-align: baseline;
  border-block-end: 1px solid var(--st-border-color); }
thead th { font-weight: 400; font-size: .85em; color: var(--st-gray-color); }
tbody tr { cursor: pointer; }
tbody tr:hover { background: color-mix(in srgb, var(--st-text-color) 4%, transparent); }
tr.shown { background: color-mix(in srgb, var(--st-primary-color) 9%, transparent); }
button { all: unset; cursor: pointer; font-weight: 600; border-radius: 3px; }
button:hover { text-decoration: underline; text-underline-offset: 3px; }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.started { display: block; font-size: .85em; color: var(--st-gray-color); }
.wrong { color: var(--st-red-color); }
.active { color: var(--st-primary-color); font-weight: 600; }
.options { font-size: .92em; color: var(--st-gray-color); }
@container (max-width: 620px) { .wide { display: none; } }
"""

_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const table = parentElement.querySelector('table');
  const shown = JSON.stringify(data);
  if (table.dataset.shown === shown) return;
  table.dataset.shown = shown;
  const focused = parentElement.activeElement?.dataset?.id;
  const rows = data.rows.map((run) => {
    const row = document.createElement('tr');
    const cell = (name, text) => {
      const made = document.createElement('td');
      made.className = name;
      made.textContent = text;
      row.append(made);
      return made;
    };
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = run.title;
    button.dataset.id = run.training_id;
    const started = document.createElement('span');
    started.className = 'started';
    started.textContent = run.started;
    cell('', '').append(button, started);
    cell(run.tone, run.state);
    cell('', run.result);
    cell('wide', run.took);
    cell('wide options', run.options);
    row.onclick = () => setTriggerValue('picked', run.training_id);
    if (run.training_id === data.shown) {
      row.className = 'shown';
      button.setAttribute('aria-current', 'true');
    }
    return row;
  });
  table.tBodies[0].replaceChildren(...rows);
  rows.map((row) => row.querySelector('button')).find((button) => button.dataset.id === focused)?.focus();
}
"""

_mount = st.components.v2.component("digit_runs_table", html=_HTML, css=_CSS, js=_JS)
