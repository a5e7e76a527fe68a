// Tiles of digits. What stays the same from one run to the next keeps its element, and with it the focus.
const made = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector('.gallery');
  box.setAttribute('aria-label', data.label);
  const before = made.get(box) ?? new Map();
  const focused = parentElement.activeElement;
  const focusedTile = focused?.closest?.('.tile');
  const isAction = focused?.classList?.contains('action');

  const after = new Map();
  const tiles = data.tiles.map((tile) => {
    const shown = JSON.stringify(tile);
    const old = before.get(tile.key);
    const element = old?.shown === shown ? old.element : build(tile);
    after.set(tile.key, { shown, element });
    return element;
  });
  made.set(box, after);

  function build(tile) {
    const element = document.createElement('div');
    element.className = tile.marked ? 'tile is-marked' : 'tile';
    element.dataset.key = tile.key;
    const open = button('open', tile.alt, element, () => setTriggerValue('opened', tile.key));
    const part = (name, text) => {
      const span = document.createElement('span');
      span.className = name;
      span.textContent = text;
      open.append(span);
      return span;
    };
    part('ink', '').style.setProperty('--image', `url(${tile.image})`);
    part('caption', tile.caption);
    part('note', tile.note);
    for (const line of tile.lines) part(line.is_wrong ? 'line is-wrong' : 'line', line.text);
    if (tile.action) {
      const act = button('action', tile.action.name, element, () => setTriggerValue('acted', tile.key));
      act.textContent = tile.action.text;
      act.setAttribute('aria-pressed', tile.action.is_pressed);
    }
    return element;
  }

  function button(name, label, element, press) {
    const one = document.createElement('button');
    one.type = 'button';
    one.className = name;
    one.setAttribute('aria-label', label);
    one.onclick = () => { hold(element); press(); };
    element.append(one);
    return one;
  }

  // One tile is in the tab order, with its button.
  function hold(element) {
    box.dataset.held = element.dataset.key;
    for (const tile of box.children)
      for (const each of tile.children) each.tabIndex = tile === element ? 0 : -1;
  }

  const isSame = box.children.length === tiles.length && tiles.every((tile, at) => box.children[at] === tile);
  if (!isSame) {
    const isOther = ![...box.children].some((tile) => after.has(Number(tile.dataset.key)));
    box.replaceChildren(...tiles);
    if (isOther) box.scrollTop = 0;
  }
  const key = focusedTile?.dataset.key ?? box.dataset.held;
  const place = Math.max(0, tiles.findIndex((tile) => tile.dataset.key === key));
  if (tiles[place]) hold(tiles[place]);
  // Other tiles have come under somebody's fingers: the focus stays on the same one, or goes to the first.
  if (focusedTile && !isSame && tiles[place])
    (tiles[place].querySelector(isAction ? '.action' : '.open') ?? tiles[place].firstChild).focus({ preventScroll: true });

  box.onkeydown = (event) => {
    const at = tiles.indexOf((parentElement.activeElement ?? document.activeElement)?.closest?.('.tile'));
    if (at < 0) return;
    const columns = getComputedStyle(box).gridTemplateColumns.split(' ').length;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns,
      Home: 0, End: tiles.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (tiles[to]) { hold(tiles[to]); tiles[to].firstChild.focus(); }
  };
}
