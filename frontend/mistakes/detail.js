// The parts of one opened digit, written by Python; what was asked to be explained goes back.
export default function ({ data, parentElement, setTriggerValue }) {
  const place = parentElement.querySelector('.place');
  if (place.shown === data.html) return;
  place.shown = data.html;
  const focused = parentElement.activeElement?.dataset?.explain;
  place.innerHTML = data.html;
  for (const button of place.querySelectorAll('[data-explain]')) {
    button.onclick = () => setTriggerValue('explain', Number(button.dataset.explain));
    if (button.dataset.explain === focused) button.focus({ preventScroll: true });
  }
}
