// A table of digits: true ones down, read ones across. Its buttons choose a cell, a row or a column.
export default function ({ data, parentElement, setTriggerValue }) {
  const table = parentElement.querySelector('table');
  const shown = JSON.stringify(data);
  // A rerun with the same counts must not take the keyboard focus away.
  if (table.dataset.shown === shown) return;
  table.dataset.shown = shown;
  const focused = parentElement.activeElement?.dataset?.place;
  table.setAttribute('aria-label', data.label);
  table.caption.textContent = data.caption;

  const button = (text, name, place) => {
    const isChosen = place.every((digit, at) => digit === data.chosen[at]);
    const made = document.createElement('button');
    made.type = 'button';
    made.textContent = text;
    made.tabIndex = -1;
    made.dataset.place = place.join(',');
    made.setAttribute('aria-label', name);
    made.setAttribute('aria-pressed', isChosen);
    made.onclick = () => { hold(made); setTriggerValue('picked', isChosen ? [null, null] : place); };
    return made;
  };
  const add = (row, kind, content, scope) => {
    const cell = document.createElement(kind);
    if (scope) cell.scope = scope;
    cell.append(content);
    row.append(cell);
    return cell;
  };
  const span = (text) => Object.assign(document.createElement('span'), { textContent: text });

  const head = document.createElement('tr');
  add(head, 'th', 'true \u2193 read \u2192').className = 'corner';
  for (let read = 0; read < 10; read++)
    add(head, 'th', data.columns ? button(read, `everything misread as ${read}`, [null, read]) : `${read}`, 'col');
  const rows = data.cells.map((cells, truth) => {
    const row = document.createElement('tr');
    add(row, 'th', button(truth, `every misread ${truth}`, [truth, null]), 'row');
    cells.forEach(({ text, kind, heat, name }, read) => {
      if (!text) add(row, 'td', '\u00b7').className = 'none';
      else if (kind === 'right') add(row, 'td', text).className = kind;
      else {
        const content = name ? button(text, name, [truth, read]) : span(text);
        content.style.setProperty('--heat', heat);
        add(row, 'td', content).className = kind;
      }
    });
    return row;
  });
  table.tHead.replaceChildren(head);
  table.tBodies[0].replaceChildren(...rows);

  // One button is in the tab order; the arrow keys move to the nearest one in their direction.
  const grid = [...table.rows].map((row) => [...row.cells].map((cell) => cell.querySelector('button')));
  const all = grid.flat().filter(Boolean);
  function hold(one) { all.forEach((made) => { made.tabIndex = made === one ? 0 : -1; }); }
  const old = all.find((made) => made.dataset.place === focused);
  hold(old ?? all.find((made) => made.ariaPressed === 'true') ?? all[0]);
  old?.focus({ preventScroll: true });
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
