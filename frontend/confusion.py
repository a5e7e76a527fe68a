"""The confusion matrix as a table whose cells choose what the gallery shows.

A table of real buttons, not a chart: cells are reached by keyboard, read by screen readers, sharp at any
size, and clicked without coordinates. Colour goes by the logarithm of the count, because a few pairs of
digits make most of the mistakes; the diagonal, which is right, stays out of the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import streamlit as st


@dataclass(frozen=True)
class Cell:
    """A choice in the matrix: a cell, a whole row (`predicted_digit` None) or column (`true_digit` None)."""

    true_digit: int | None
    predicted_digit: int | None


def confusion_matrix(
    counts: npt.NDArray[np.int64], *, chosen: Cell, key: str, on_pick: Callable[[Cell], None]
) -> None:
    """Show (10, 10) counts, true digit x predicted digit; `on_pick` gets a clicked cell before the next run.

    A click on what is chosen already takes the choice back: `on_pick` gets Cell(None, None).
    """

    def picked() -> None:
        true_digit, predicted_digit = st.session_state[key]["picked"]
        on_pick(Cell(true_digit, predicted_digit))

    _mount(
        key=key,
        data={
            "counts": counts.tolist(),
            "heat": heat(counts).tolist(),
            "chosen": [chosen.true_digit, chosen.predicted_digit],
        },
        on_picked_change=picked,
    )


def heat(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How strongly each cell is coloured, (10, 10) in [0, 1]: 0 on the diagonal, logarithmic beside it."""
    wrong = counts * (1 - np.eye(len(counts), dtype=np.int64))
    largest = math.log1p(int(wrong.max(initial=0)))
    return np.log1p(wrong) / largest if largest else np.zeros(counts.shape)


_HTML = """
<table>
  <caption>Rows: the true digit. Columns: what was read. Click a number to see those digits.</caption>
  <thead></thead><tbody></tbody>
</table>
"""

_CSS = """
table { inline-size: 100%; max-inline-size: 540px; table-layout: fixed; border-collapse: separate;
  border-spacing: 2px; margin: 0; font-family: var(--st-font); color: var(--st-text-color);
  font-size: clamp(10px, 2.9vw, 13.5px); font-variant-numeric: tabular-nums; }
caption { caption-side: bottom; text-align: start; padding-top: 8px; font-size: 12.5px; opacity: .7; }
th, td { padding: 0; block-size: 3.3em; text-align: center; font-weight: 400; border-radius: 4px; }
th { opacity: .75; }
th.corner { font-size: .78em; line-height: 1.1; }
button { all: unset; box-sizing: border-box; display: grid; place-items: center; inline-size: 100%;
  block-size: 3.3em; border-radius: 4px; cursor: pointer; }
td button { background: color-mix(in srgb, var(--st-red-color) calc(6% + var(--heat) * 54%), transparent); }
button:hover { outline: 1.5px solid var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
td.right { opacity: .5; background: color-mix(in srgb, var(--st-text-color) 7%, transparent); }
td.none { opacity: .25; }
[aria-pressed="true"] { outline: 2.5px solid var(--st-primary-color); font-weight: 600; }
"""

_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const table = parentElement.querySelector('table');
  const shown = JSON.stringify(data);
  if (table.dataset.shown === shown) return;
  table.dataset.shown = shown;
  const focused = parentElement.activeElement?.dataset?.place;
  const [chosenTrue, chosenRead] = data.chosen;

  const button = (text, name, place, isChosen) => {
    const made = document.createElement('button');
    made.type = 'button';
    made.textContent = text;
    made.tabIndex = -1;
    made.dataset.place = place.join(',');
    made.setAttribute('aria-label', name);
    made.setAttribute('aria-pressed', isChosen);
    made.onclick = () => setTriggerValue('picked', isChosen ? [null, null] : place);
    return made;
  };
  const add = (row, kind, content, scope) => {
    const cell = document.createElement(kind);
    if (scope) cell.scope = scope;
    cell.append(content);
    row.append(cell);
    return cell;
  };

  const head = document.createElement('tr');
  add(head, 'th', 'true \\u2193 read \\u2192').className = 'corner';
  for (let read = 0; read < 10; read++)
    add(head, 'th', button(read, `everything misread as ${read}`, [null, read],
      chosenTrue === null && chosenRead === read), 'col');
  const rows = data.counts.map((counts, truth) => {
    const row = document.createElement('tr');
    add(row, 'th', button(truth, `every misread ${truth}`, [truth, null],
      chosenTrue === truth && chosenRead === null), 'row');
    counts.forEach((count, read) => {
      if (truth === read) add(row, 'td', `${count}`).className = 'right';
      else if (count === 0) add(row, 'td', '\\u00b7').className = 'none';
      else {
        const made = button(count, `true ${truth}, read ${read}: ${count}`, [truth, read],
          chosenTrue === truth && chosenRead === read);
        made.style.setProperty('--heat', data.heat[truth][read]);
        add(row, 'td', made);
      }
    });
    return row;
  });
  table.tHead.replaceChildren(head);
  table.tBodies[0].replaceChildren(...rows);

  // One button is in the tab order; the arrow keys move to the nearest one in their direction.
  const grid = [...table.rows].map((row) => [...row.cells].map((cell) => cell.querySelector('button')));
  const all = grid.flat().filter(Boolean);
  const hold = (one) => all.forEach((made) => { made.tabIndex = made === one ? 0 : -1; });
  const old = all.find((made) => made.dataset.place === focused);
  hold(old ?? all.find((made) => made.ariaPressed === 'true') ?? all[0]);
  old?.focus();
  all.forEach((made) => made.addEventListener('click', () => hold(made)));
  table.onkeydown = (event) => {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    const at = parentElement.activeElement;
    if (!step || !all.includes(at)) return;
    event.preventDefault();
    let y = grid.findIndex((row) => row.includes(at));
    let x = grid[y].indexOf(at);
    do { y += step[0]; x += step[1]; } while (grid[y] && x >= 0 && x < 11 && !grid[y][x]);
    const next = grid[y]?.[x];
    if (next) { hold(next); next.focus(); }
  };
}
"""

_mount = st.components.v2.component("digit_confusion_matrix", html=_HTML, css=_CSS, js=_JS)
