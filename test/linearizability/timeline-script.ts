/** Zoom, the axis, and the text of a bar. Everything else is there without it. */
export const timelineScript = `
'use strict';
const view = document.getElementById('view');
const chart = document.getElementById('chart');
const ticks = document.querySelector('#axis .track');
const detail = document.getElementById('detail');
const badWindow = document.getElementById('window');
const fromMs = Number(chart.dataset.from);
const spanMs = Number(document.body.style.getPropertyValue('--span'));
const nameWidth = () => document.querySelector('#axis .name').offsetWidth;
const trackWidth = () => Math.max(100, view.clientWidth - nameWidth() - 40);
const clamp = (scale) => Math.min(400, Math.max(trackWidth() / spanMs / 2, Math.min(scale, 12e6 / spanMs)));
let scale = 1;
const bars = [...document.querySelectorAll('.bar')].map((element) => ({
  element,
  track: element.parentElement,
  x: Number(element.style.getPropertyValue('--x')),
  w: Number(element.style.getPropertyValue('--w')),
  isShown: true,
}));

/** Keeps only the bars of this screen, and one to either side, in the page: thousands would make zooming slow. */
function drawBars(startMs) {
  const screenMs = view.clientWidth / scale;
  for (const bar of bars) {
    const isNear = bar.x < startMs + 2 * screenMs && bar.x + bar.w > startMs - screenMs;
    if (isNear === bar.isShown) continue;
    bar.isShown = isNear;
    if (isNear) bar.track.append(bar.element);
    else bar.element.remove();
  }
}

function setScale(next) {
  scale = clamp(next);
  document.documentElement.style.setProperty('--s', scale);
}

/** Keeps the time under \`x\` (pixels from the left of the tracks) where it is. */
function zoom(factor, x = trackWidth() / 2) {
  const atMs = (view.scrollLeft + x) / scale;
  setScale(scale * factor);
  scrollToMs(atMs - x / scale);
}

function show(startMs, widthMs) {
  setScale(trackWidth() / Math.max(widthMs, 0.001));
  scrollToMs(startMs);
}

function scrollToMs(startMs) {
  drawBars(startMs);
  view.scrollLeft = startMs * scale;
  drawTicks();
}

function showBadWindow() {
  const startMs = Number(badWindow.style.getPropertyValue('--x'));
  const widthMs = Number(badWindow.style.getPropertyValue('--w'));
  const marginMs = Math.max(widthMs * 0.35, 5);
  show(Math.max(0, startMs - marginMs), widthMs + 2 * marginMs);
  document.querySelector('.bar.culprit, .bar.bad')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
}

function drawTicks() {
  const roughMs = 110 / scale;
  const power = 10 ** Math.floor(Math.log10(roughMs));
  const stepMs = power * [1, 2, 5, 10].find((times) => times * power >= roughMs);
  const first = Math.floor((fromMs + view.scrollLeft / scale) / stepMs) - 1;
  const count = Math.ceil(view.clientWidth / scale / stepMs) + 2;
  ticks.replaceChildren();
  for (let i = first; i < first + count; i += 1) {
    const left = (i * stepMs - fromMs) * scale;
    if (left < 0) continue;
    const tick = document.createElement('div');
    tick.className = 'tick';
    tick.style.left = left + 'px';
    tick.textContent = Number((i * stepMs).toPrecision(12)).toLocaleString('en');
    ticks.append(tick);
  }
}

let kept = null;
chart.addEventListener('mouseover', (event) => {
  const bar = event.target.closest('[title]');
  if (bar && !kept) detail.textContent = bar.title;
});
chart.addEventListener('click', (event) => {
  kept?.classList.remove('kept');
  kept = event.target.closest('.bar, .fault');
  kept?.classList.add('kept');
  if (kept) detail.textContent = kept.title;
});
view.addEventListener('scroll', () => {
  drawBars(view.scrollLeft / scale);
  drawTicks();
});
view.addEventListener('wheel', (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 300), event.clientX - view.getBoundingClientRect().left - nameWidth());
}, { passive: false });
view.addEventListener('keydown', (event) => {
  if (event.key === '+' || event.key === '=') zoom(1.5);
  if (event.key === '-') zoom(1 / 1.5);
});
const on = (id, run) => document.getElementById(id)?.addEventListener('click', run);
on('zoom-in', () => zoom(2));
on('zoom-out', () => zoom(0.5));
on('fit', () => show(0, spanMs));
on('to-window', showBadWindow);
on('one-key', (event) => chart.classList.toggle('only-key', event.target.checked));
addEventListener('resize', drawTicks);
if (badWindow) showBadWindow();
else show(0, Math.min(spanMs, trackWidth() / 0.5));
`;
