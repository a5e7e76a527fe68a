// A sheet of paper that reports the drawing while the pen is still down.
//
// Every stroke is kept as points and painted here, whatever the server does: no ink waits for an answer, and none
// is lost by one. A report goes out when there is new ink and the one before was answered.

// Longer than Python waits for the server: then a report or its answer got lost, and the next one may go.
const ANSWER_TIMEOUT_MS = 8000;
// Fifteen answers a second are as many as anybody can follow; more would only heat the machine.
const PAUSE_MS = 60;

const pads = new WeakMap();

// Streamlit calls this when the pad is mounted, and again with every answer.
export default function ({ data, parentElement, setStateValue }) {
  let pad = pads.get(parentElement);
  if (!pad) {
    pad = createPad(parentElement.querySelector('.live-pad'), data);
    pads.set(parentElement, pad);
  }
  pad.take(data, (report) => setStateValue('report', report));
  return () => {
    pad.close();
    pads.delete(parentElement);
  };
}

function createPad(place, first) {
  const canvas = document.createElement('canvas');
  canvas.setAttribute('role', 'img');
  place.replaceChildren(canvas);
  // What is reported has the sheet's own pixels, however large or dense the screen shows it.
  const sheet = document.createElement('canvas');

  let data = first;
  let send = null;
  let strokes = []; // {object: as Fabric.js describes it, line: Path2D, width}
  let points = []; // of the stroke that is being drawn, the last one of `strokes`: [x, y] in the sheet's pixels
  let brush = 0; // its width
  let pointer = null;
  let revision = null;
  let frame = first.answered;
  let reported = 0; // how many strokes the last report held
  let hasNews = false;
  let waiting = null; // the time limit of a report that waits for its answer
  let sent = -PAUSE_MS; // when the last report went, in ms
  let later = null; // set while the next one pauses
  let painting = null; // set while a painting is due

  function take(next, sender) {
    data = next;
    send = sender;
    canvas.setAttribute('aria-label', data.label);
    canvas.style.aspectRatio = `${data.width} / ${data.height}`;
    if (revision !== data.revision) show(data.strokes);
    if (waiting !== null && data.answered >= frame) {
      clearTimeout(waiting);
      waiting = null;
    }
    paintSoon();
    showBusy();
  }

  // Whether there is ink that nobody has answered yet.
  function showBusy() {
    canvas.setAttribute('aria-busy', hasNews || waiting !== null);
  }

  // Undo and clear come from Python, which may not have heard of the newest ink yet: that stays.
  function show(objects) {
    const unheard = revision === null ? [] : strokes.slice(pointer === null ? reported : strokes.length - 1);
    strokes = [...objects.filter((object) => object.type === 'Path').map(strokeOf), ...unheard];
    reported = strokes.length - unheard.length;
    revision = data.revision;
    hasNews = strokes.length > 0;
  }

  function strokeOf(object) {
    const commands = object.path.map(([command, ...numbers]) => `${command} ${numbers.map(Number).join(' ')}`);
    return { object, line: new Path2D(commands.join(' ')), width: Number(object.strokeWidth) };
  }

  // Through the middles between the points, as Fabric.js's pencil does it.
  function pathOf(points) {
    const path = [['M', ...points[0]]];
    for (let i = 1; i < points.length; i++) {
      const [[x, y], [nextX, nextY]] = [points[i - 1], points[i]];
      path.push(['Q', x, y, (x + nextX) / 2, (y + nextY) / 2]);
    }
    const [x, y] = points[points.length - 1];
    // A line without length is not painted, not even its round ends.
    path.push(['L', points.length === 1 ? x + 0.01 : x, y]);
    return path;
  }

  function position(event) {
    const box = canvas.getBoundingClientRect();
    const round = (number) => Math.round(number * 10) / 10;
    return [
      round(((event.clientX - box.left) * data.width) / box.width),
      round(((event.clientY - box.top) * data.height) / box.height),
    ];
  }

  function draw(event) {
    const point = position(event);
    const last = points[points.length - 1];
    if (last && Math.hypot(point[0] - last[0], point[1] - last[1]) < 1) return;
    points.push(point);
    hasNews = true;
    showBusy();
    paintSoon();
  }

  // Take the points that have come since into the stroke.
  function extend() {
    if (pointer === null) return;
    const object = {
      type: 'Path',
      path: pathOf(points),
      fill: null,
      stroke: data.ink,
      strokeWidth: brush,
      strokeLineCap: 'round',
      strokeLineJoin: 'round',
    };
    strokes[strokes.length - 1] = strokeOf(object);
  }

  canvas.onpointerdown = (event) => {
    if (pointer !== null || !event.isPrimary || event.button !== 0) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    points = [];
    brush = data.brush;
    draw(event);
    strokes.push(null);
    extend();
  };
  canvas.onpointermove = (event) => {
    if (event.pointerId !== pointer) return;
    // All the places where the pen has been since the last frame, not only the last one.
    const between = event.getCoalescedEvents?.() ?? [];
    (between.length ? between : [event]).forEach(draw);
  };
  // However a stroke ends, its ink stays.
  canvas.onpointerup = canvas.onpointercancel = canvas.onlostpointercapture = (event) => {
    if (event.pointerId !== pointer) return;
    extend();
    pointer = null;
  };

  function paintSoon() {
    painting ??= requestAnimationFrame(() => {
      painting = null;
      extend();
      paint(canvas, canvas.width / data.width);
      report();
    });
  }

  function paint(target, scale) {
    const context = target.getContext('2d', { willReadFrequently: target === sheet });
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = data.paper;
    context.fillRect(0, 0, data.width, data.height);
    context.strokeStyle = data.ink;
    context.lineCap = context.lineJoin = 'round';
    for (const { line, width } of strokes) {
      context.lineWidth = width;
      context.stroke(line);
    }
  }

  function report() {
    if (!hasNews || waiting !== null) return;
    const pause = sent + PAUSE_MS - performance.now();
    if (pause > 0) {
      later ??= setTimeout(() => {
        later = null;
        report();
      }, pause);
      return;
    }
    hasNews = false;
    sent = performance.now();
    waiting = setTimeout(() => {
      waiting = null;
      report();
    }, ANSWER_TIMEOUT_MS);
    extend();
    sheet.width = data.width;
    sheet.height = data.height;
    paint(sheet, 1);
    frame += 1;
    reported = strokes.length;
    send({ frame, strokes: strokes.map(({ object }) => object), png: sheet.toDataURL('image/png') });
  }

  const resizing = new ResizeObserver(() => {
    const width = Math.round(canvas.clientWidth * devicePixelRatio);
    if (width === canvas.width || width === 0) return;
    canvas.width = width;
    canvas.height = Math.round((width * data.height) / data.width);
    // Setting the size has wiped it.
    paint(canvas, canvas.width / data.width);
  });
  resizing.observe(canvas);

  function close() {
    resizing.disconnect();
    cancelAnimationFrame(painting);
    clearTimeout(waiting);
    clearTimeout(later);
  }

  return { take, close };
}
