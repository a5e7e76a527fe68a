// A row for each digit. The whole row can be clicked; its button is what the keyboard and a screen reader find.
const NAMES = ['Digit', 'Precision', 'Recall', 'F1', 'Images'];

export default function ({ data, parentElement, setTriggerValue }) {
  const table = parentElement.querySelector('table');
  const shown = JSON.stringify(data);
  if (table.dataset.shown === shown) return;
  table.dataset.shown = shown;
  const focused = parentElement.activeElement?.dataset?.digit;
  table.caption.textContent = 'Precision: of what was read as this digit, the share that is it. Recall: of this digit, '
    + 'the share that was read as it. F1: their harmonic mean. Below: 95 % intervals. Click a row to see its mistakes.';

  const add = (row, kind, text, below) => {
    const cell = document.createElement(kind);
    cell.textContent = text;
    if (below) cell.append(Object.assign(document.createElement('small'), { textContent: below }));
    row.append(cell);
    return cell;
  };
  const head = document.createElement('tr');
  for (const name of NAMES) add(head, 'th', name).scope = 'col';
  const rows = data.rows.map((each) => {
    const isChosen = each.digit === data.chosen;
    const row = document.createElement('tr');
    row.className = [each.isWeakest && 'is-weakest', isChosen && 'is-chosen'].filter(Boolean).join(' ');
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = each.digit;
    button.dataset.digit = each.digit;
    button.setAttribute('aria-label', `mistakes of the digit ${each.digit}`);
    button.setAttribute('aria-pressed', isChosen);
    const name = add(row, 'th', '');
    name.scope = 'row';
    name.append(button);
    add(row, 'td', each.precision, each.precisionInterval);
    add(row, 'td', each.recall, each.recallInterval);
    add(row, 'td', each.f1);
    add(row, 'td', each.support);
    // In a list, because a bare null is no trigger.
    row.onclick = () => setTriggerValue('picked', [isChosen ? null : each.digit]);
    return row;
  });
  table.tHead.replaceChildren(head);
  table.tBodies[0].replaceChildren(...rows);
  rows.map((row) => row.querySelector('button')).find((one) => one.dataset.digit === focused)
    ?.focus({ preventScroll: true });
}
