// Puts the page together.

const page = {tapTable: null, errors: []};
window.addEventListener('error', (e) => page.errors.push(e.message));
document.addEventListener('securitypolicyviolation', (e) => page.errors.push(`refused: ${e.blockedURI}`));

const MEDIA_DARK = window.matchMedia('(prefers-color-scheme: dark)');

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : MEDIA_DARK.matches;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  redrawCharts();
}

function navigation(sections) {
  const short = (id) => id[0].toUpperCase() + id.slice(1);
  const links = sections.map((node) => h('a', {href: `#${node.id}`}, short(node.id)));
  const toggle = h('button', {type: 'button', class: 'theme', onclick: () => setTheme(isDark() ? 'light' : 'dark')},
                   'light / dark');
  return h('nav', {'aria-label': 'Sections'}, h('div', {}, links), toggle);
}

// Whether a plot has pixels in the colour of one of its series between its axes.
function showsData({canvas, chart}) {
  if (!chart) return false;
  const {left, top, width, height} = chart.chartArea;
  const device = chart.currentDevicePixelRatio;
  const [x, y, w, h] = [left, top, width, height].map((v) => Math.max(1, Math.round(v * device)));
  const pixels = canvas.getContext('2d').getImageData(x, y, w, h).data;
  const colors = chart.data.datasets.flatMap((series) => [series.borderColor, series.backgroundColor])
      .filter((name) => /^#[0-9a-f]{6}$/i.test(name))
      .map((name) => [1, 3, 5].map((at) => parseInt(name.slice(at, at + 2), 16)));
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i + 3] > 200 && colors.some(
        (rgb) => rgb.every((part, k) => Math.abs(part - pixels[i + k]) < 40))) return true;
  }
  return false;
}

// For a test in a headless browser (#selfcheck): what a person would see at a glance. The result is an
// attribute of the document element.
function selfCheck() {
  const blank = new Set();
  const seen = new Set();  // reading a canvas twice makes the browser complain
  const look = () => {
    for (const entry of charts) {
      if (seen.has(entry.canvas)) continue;
      seen.add(entry.canvas);
      if (!showsData(entry)) blank.add(entry.canvas.getAttribute('aria-label'));
    }
  };
  look();
  // Every part of the network is drawn, and every operation in it can be chosen.
  const undrawn = [];
  const chosen = selection.part;
  for (const part of PARTS) {
    selectPart(part.id);
    const nodes = [...document.querySelectorAll('.datapath .node:not(.source)')];
    if (nodes.length !== part.operations.length) undrawn.push(part.id);
    for (const node of nodes) {
      node.dispatchEvent(new MouseEvent('click'));
      if (!document.querySelector('.inspector h3')?.textContent.startsWith(node.dataset.tap))
        undrawn.push(node.dataset.tap);
    }
    look();
  }
  selectPart(chosen);
  const sorts = (column, down) => {
    page.tapTable.sortBy(column);  // a second time turns it round
    const keys = page.tapTable.keysShown(column).filter((key) => key !== null);
    return keys.every((key, i) => i === 0 || typeof key === 'string' ||
                                  (down ? keys[i - 1] >= key : keys[i - 1] <= key));
  };
  const sorted = page.tapTable.columns.every((_, i) => sorts(i, false) && sorts(i, true));
  page.tapTable.filter((tap) => tap === RUN.taps[0]);
  const filtered = page.tapTable.keysShown(0).length;
  page.tapTable.filter(() => true);
  document.documentElement.dataset.selfcheck = JSON.stringify({
    errors: page.errors, charts: charts.length, blank: [...blank], undrawn, taps: page.tapTable.rows.length, sorted, filtered,
    requests: performance.getEntriesByType('resource').map((entry) => entry.name),
    wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    edges: document.querySelectorAll('.datapath .edge').length,
    parts: document.querySelectorAll('.strip .part').length,
    theme: isDark() ? 'dark' : 'light',
  });
}

function start() {
  const options = location.hash.slice(1).split('&');
  for (const theme of ['light', 'dark']) {
    if (options.includes(theme)) document.documentElement.dataset.theme = theme;
  }
  const sections = [
    summarySection(), diagnosisSection(), mismatchSection(), datapathSection(), lossSection(), tapsSection(),
    distributionsSection(), weightsSection(), scalesSection(), accumulatorsSection(), cyclesSection(),
    sizeSection(), costsSection(), notesSection(), contractSection(),
  ].filter(Boolean);
  document.getElementById('app').replaceChildren(navigation(sections), h('main', {}, sections));
  const worst = worstTap();
  const culprit = DATA.diagnosis?.findings.find((finding) => partOf(finding.tensor));
  const first = culprit ? partOf(culprit.tensor) : worst ? partOf(worst.name) : PARTS[0];
  if (first) selectPart(first.id);
  mounted = true;
  drawCharts();
  MEDIA_DARK.addEventListener('change', redrawCharts);
  window.addEventListener('beforeprint', printCharts);
  window.addEventListener('afterprint', screenCharts);
  if (options.includes('selfcheck')) setTimeout(selfCheck, 200);
}

start();
