// Scales, zero points, multipliers and shifts: one row for each tensor, and every channel of the one chosen.

const SCALE_LISTS = [
  ['scale', 'scale'], ['zero', 'zero point'], ['multiplier', 'multiplier'],
  ['other_multiplier', 'multiplier of the second addend'], ['shift', 'shift'],
];

function extremes(list) {
  if (!list || !list.length) return null;
  let low = num(list[0]), high = low;
  for (const value of list) {
    low = Math.min(low, num(value));
    high = Math.max(high, num(value));
  }
  return [low, high];
}

function span(list, write) {
  const ends = extremes(list);
  if (!ends) return NONE;
  return ends[0] === ends[1] ? write(ends[0]) : `${write(ends[0])} … ${write(ends[1])}`;
}

function channelsOf(entry) {
  return Math.max(1, ...SCALE_LISTS.map(([key]) => (entry[key] || []).length));
}

// Lists with one entry hold for every channel.
function entryOf(list, i) { return list.length === 1 ? list[0] : list[i]; }

// What differs from channel to channel: the scales, or where they are one, the ratios of scales.
function seriesOf(entry) {
  const several = (key) => entry[key] && entry[key].length > 1;
  if (several('scale')) return {title: 'scale', at: (i) => num(entry.scale[i])};
  if (several('multiplier') || several('shift')) {
    return {title: 'multiplier / 2^shift',
            at: (i) => entryOf(entry.multiplier, i) / 2 ** entryOf(entry.shift, i)};
  }
  return null;
}

function unitOf(entry) { return entry.axis === 'tensor' ? 'channel' : entry.axis; }

function scaleChart(entry, series) {
  const n = channelsOf(entry);
  const points = Array.from({length: n}, (_, i) => ({x: i, y: series.at(i)}));
  return () => ({
    type: n > 400 ? 'scatter' : 'bar',
    data: {datasets: [{label: series.title, data: points, backgroundColor: color('accent'), pointRadius: 1.2,
                       barPercentage: 1, categoryPercentage: n > 100 ? 1 : 0.85}]},
    options: {
      parsing: false,
      scales: {
        x: axis(unitOf(entry), {type: 'linear', min: -0.5, max: n - 0.5, offset: false,
                                  ticks: {color: color('soft'), maxRotation: 0,
                                          callback: (v) => (Number.isInteger(v) ? v : null)},
                                  grid: {display: false, drawBorder: false}}),
        y: axis(series.title, {beginAtZero: true,
                          ticks: {color: color('soft'), maxTicksLimit: 5, callback: (v) => real(v, 2)}}),
      },
      plugins: {
        legend: {display: false},
        tooltip: {callbacks: {title: (items) => `${unitOf(entry)} ${items[0].parsed.x}`,
                              label: (item) => real(item.parsed.y, 6)}},
      },
    },
  });
}

const MOST_LINES = 256;

function channelTable(entry) {
  const lists = SCALE_LISTS.filter(([key]) => entry[key] && entry[key].length);
  const n = channelsOf(entry);
  const lines = Array.from({length: Math.min(n, MOST_LINES)}, (_, i) => [
    n === 1 ? 'all' : String(i),
    ...lists.map(([key]) => (key === 'scale' ? real(entryOf(entry[key], i), 7)
                                             : integer(entryOf(entry[key], i)))),
  ]);
  const rest = n > MOST_LINES ? note(`The first ${MOST_LINES} of ${integer(n)}; qsim export writes all.`) : null;
  return h('div', {class: 'channels'},
           plainTable([unitOf(entry), ...lists.map(([, title]) => title)], lines), rest);
}

function scalesSection() {
  const entries = DATA.scales;
  if (!entries.length) return null;
  const details = h('div', {class: 'details'});
  const choose = (entry, line) => {
    const parts = [h('h3', {}, h('code', {}, entry.name), ' ', h('span', {class: 'soft'},
        `one scale for each ${entry.axis}`.replace('each tensor', 'the tensor')))];
    const series = seriesOf(entry);
    const body = [channelTable(entry)];
    if (series) body.unshift(plot(`${series.title} of ${entry.name}`, 230, scaleChart(entry, series)));
    details.replaceChildren(...parts, h('div', {class: series ? 'split' : ''}, body));
    for (const other of table.lines) other.classList.toggle('chosen', other === line);
    drawCharts();
  };
  const low = (key) => (entry) => extremes(entry[key])?.[0] ?? null;
  const ratio = (entry) => {
    const ends = extremes(entry.scale);
    return ends && ends[0] > 0 ? ends[1] / ends[0] : null;
  };
  const table = new SortableTable('scales', [
    {title: 'tensor', left: true, key: (e) => e.name, cell: (e) => tapName(e.name)},
    {title: 'one for each', left: true, key: (e) => e.axis, cell: (e) => e.axis},
    {title: 'scale', key: low('scale'), cell: (e) => span(e.scale, real)},
    {title: 'largest / smallest', hint: 'ratio of the largest scale to the smallest', key: ratio,
     cell: (e) => real(ratio(e), 3)},
    {title: 'zero point', key: low('zero'), cell: (e) => span(e.zero, integer)},
    {title: 'multiplier', key: low('multiplier'), cell: (e) => span(e.multiplier, integer)},
    {title: 'shift', key: low('shift'), cell: (e) => span(e.shift, integer)},
  ], entries, (entry) => ({'data-name': entry.name, tabindex: 0, class: 'choice'}));
  table.lines.forEach((line, i) => {
    line.addEventListener('click', () => choose(entries[i], line));
    line.addEventListener('keydown', (e) => { if (e.key === 'Enter') choose(entries[i], line); });
  });
  table.element.classList.add('tall');
  const select = h('select', {'aria-label': 'Part of the network'});
  options(select, [['', 'all parts'], ...PARTS.map((part) => [part.id, part.title])], '');
  const inPart = (entry) => {
    if (!select.value) return true;
    const part = PARTS.find((p) => p.id === select.value);
    return part.taps.some((tap) => tap.name === entry.name) ||
           part.operations.some((op) => op.weight === entry.name);
  };
  select.onchange = () => table.filter(inPart);
  const richest = entries.findIndex((entry) => (entry.scale || []).length > 1);
  choose(entries[Math.max(0, richest)], table.lines[Math.max(0, richest)]);
  return section('scales', 'Scales, multipliers and shifts',
      h('div', {class: 'toolbar'}, select, table.shown), table.element, details);
}
