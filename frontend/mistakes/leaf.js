// Two buttons and two keys. What is pressed adds up here, however late the answers come.
const leaves = new WeakMap();
// Whatever has the focus and knows the arrow keys itself keeps them.
const OWN_ARROWS = 'input, textarea, select, [contenteditable], [role=radiogroup], [role=listbox], [role=slider]';

export default function ({ data, parentElement, setStateValue }) {
  let leaf = leaves.get(parentElement);
  if (!leaf) {
    leaf = createLeaf(parentElement.querySelector('.leaf'));
    leaves.set(parentElement, leaf);
  }
  leaf.take(data, (wanted) => setStateValue('wanted', wanted));
  return () => {
    leaf.close();
    leaves.delete(parentElement);
  };
}

function createLeaf(place) {
  let data = null;
  let send = null;
  let wanted = 0; // the number of the digit to which everything that was pressed leads
  let press = 0; // the last press: a time, so that no later leaf begins to count below it

  const previous = button('Previous', '‹ Previous', '←', -1);
  const next = button('Next', 'Next ›', '→', 1);
  const where = document.createElement('span');
  place.replaceChildren(previous, where, next);
  document.addEventListener('keydown', onKey);

  function button(name, text, key, step) {
    const one = document.createElement('button');
    one.type = 'button';
    one.setAttribute('aria-label', name);
    one.append(text, Object.assign(document.createElement('kbd'), { textContent: key }));
    one.onclick = () => turn(step);
    return one;
  }

  function take(given, sender) {
    data = given;
    send = sender;
    // The answer to an earlier press does not tell where the later ones lead.
    if (data.taken >= press) wanted = data.number;
    show();
  }

  function show() {
    where.textContent = `${data.number.toLocaleString('en')} of ${data.total.toLocaleString('en')}`;
    previous.disabled = wanted <= 1;
    next.disabled = wanted >= data.total;
  }

  function turn(step) {
    const to = wanted + step;
    if (to < 1 || to > data.total) return;
    wanted = to;
    press = Math.max(press + 1, Date.now());
    show();
    send({ number: wanted, press });
  }

  function onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.composedPath()[0].closest?.(OWN_ARROWS)) return;
    event.preventDefault();
    turn(step);
  }

  function close() {
    document.removeEventListener('keydown', onKey);
  }

  return { take, close };
}
