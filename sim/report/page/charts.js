// Every plot of the page, in colours that follow the theme.

const charts = [];
let mounted = false;  // whether the page is in the document: before that, no canvas has a size

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// The same colour, more transparent: "#rrggbb" and a share.
function faint(hex, alpha) {
  return hex + Math.round(255 * alpha).toString(16).padStart(2, '0');
}

function chartDefaults() {
  Chart.defaults.animation = false;
  Chart.defaults.responsive = true;
  Chart.defaults.maintainAspectRatio = false;
  Chart.defaults.font.family = 'system-ui, "DejaVu Sans", sans-serif';
  Chart.defaults.font.size = 11;
  Chart.defaults.color = color('soft');
  Chart.defaults.borderColor = color('line');
  Chart.defaults.plugins.legend.labels.boxWidth = 10;
  Chart.defaults.plugins.legend.labels.boxHeight = 10;
  Chart.defaults.plugins.legend.align = 'end';
}

// A plot of a given height. `configure` makes Chart.js's configuration; it is asked again when the
// theme changes, so it must read its colours with color().
function plot(label, height, configure, className = '') {
  const canvas = h('canvas', {role: 'img', 'aria-label': label});
  const box = h('div', {class: `plot ${className}`, style: `height:${height}px`}, canvas);
  charts.push({canvas, box, configure, chart: null});
  return box;
}

// Draws what is in the document and not drawn yet, and forgets what has left it.
function drawCharts() {
  if (!mounted) return;
  chartDefaults();
  for (let i = charts.length - 1; i >= 0; --i) {
    if (charts[i].canvas.isConnected) continue;
    if (charts[i].chart) charts[i].chart.destroy();
    charts.splice(i, 1);
  }
  for (const entry of charts) {
    if (!entry.chart) entry.chart = new Chart(entry.canvas, entry.configure());
  }
}

function redrawCharts() {
  for (const entry of charts) {
    if (entry.chart) entry.chart.destroy();
    entry.chart = null;
  }
  drawCharts();
}

function axis(title, more = {}) {
  return {
    title: {display: Boolean(title), text: title, color: color('soft')},
    grid: {color: color('line'), drawBorder: false, tickLength: 4},
    ticks: {color: color('soft'), maxRotation: 0, autoSkipPadding: 12},
    ...more,
  };
}

// Canvases are pictures: they are drawn again for paper, in light colours and at its width.
function printCharts() {
  document.documentElement.dataset.printing = '';
  redrawCharts();
}
function screenCharts() {
  delete document.documentElement.dataset.printing;
  redrawCharts();
}
