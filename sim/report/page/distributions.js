// Histograms of a part's tensors, float against what the integers stand for.

let logarithmic = false;

// Centres of the bins, and each count as a share of its tensor's values.
function histogramChart(profile) {
  const {low, width, float: exact, quantized} = profile.histogram;
  const share = (counts) => {
    const sum = counts.reduce((a, b) => a + b, 0);
    return counts.map((n) => (sum === 0 || (logarithmic && n === 0) ? null : n / sum));
  };
  const centre = (i) => num(low) + (i + 0.5) * num(width);
  const points = (counts) => share(counts).map((y, i) => ({x: centre(i), y}));
  return () => ({
    type: 'line',
    data: {datasets: [
      {label: 'integers', data: points(quantized), borderColor: color('accent'), borderWidth: 1.5,
       pointRadius: quantized.length === 1 ? 3 : 0, stepped: 'middle', backgroundColor: color('accent')},
      {label: 'float', data: profile.float ? points(exact) : [], borderWidth: 0, pointRadius: 0, fill: 'origin',
       stepped: 'middle', backgroundColor: faint(color('soft'), 0.35)},
    ]},
    options: {
      parsing: false,
      scales: {
        x: axis('', {type: 'linear', min: num(low), max: num(low) + quantized.length * num(width),
                     ticks: {color: color('soft'), maxTicksLimit: 5, maxRotation: 0,
                             callback: (v) => real(v, 3)},
                     grid: {display: false, drawBorder: false}}),
        y: axis('', {type: logarithmic ? 'logarithmic' : 'linear', display: false}),
      },
      plugins: {
        legend: {display: false},
        tooltip: {mode: 'index', intersect: false, callbacks: {
          title: (items) => (items.length ? real(items[0].parsed.x) : ''),
          label: (item) => `${item.dataset.label} ${percent(item.parsed.y, 3)} %`}},
      },
      interaction: {mode: 'index', intersect: false},
    },
  });
}

function distributionCard(profile) {
  const {error, codes, quantized} = profile;
  const values = profile.float || quantized;
  const {rest} = splitName(profile.name);
  const facts = [
    ['KL', error ? real(error.kl, 3) : NONE], ['JS', error ? real(error.js, 3) : NONE],
    ['σ', real(values.stddev, 3)], ['> 3σ', `${percent(values.outlier_share)} %`],
    ['range used', profile.dtype === 'int32' ? NONE : `${percent(codes.range_share, 0)} %`],
    ['entropy', codes.entropy_bits === null ? NONE : `${fixed(codes.entropy_bits, 1)} bit`],
  ];
  return h('figure', {},
      h('figcaption', {}, h('code', {title: profile.name}, rest),
        error ? qsnrPill(error.qsnr_db) : null),
      plot(`Histogram of ${profile.name}`, 96, histogramChart(profile)),
      h('dl', {class: 'mini'}, facts.map(([k, v]) => h('div', {}, h('dt', {}, k), h('dd', {}, v)))));
}

function distributionsSection() {
  if (!PROFILE) return null;
  const grid = h('div', {class: 'grid'});
  const show = () => {
    const part = PARTS.find((p) => p.id === selection.part);
    const weights = part.operations.map((op) => op.weight && WEIGHT_PROFILES.get(op.weight));
    const taps = part.taps.map((tap) => TAP_PROFILES.get(tap.name));
    grid.replaceChildren(...[...taps, ...weights].filter(Boolean).map(distributionCard));
    drawCharts();
  };
  selection.listeners.push(show);
  const scale = h('input', {type: 'checkbox', onchange: () => {
    logarithmic = scale.checked;
    show();
  }});
  return section('distributions', 'Distributions',
      h('div', {class: 'toolbar'}, partSelect('Part of the network'),
        h('label', {}, scale, ' logarithmic counts'),
        h('span', {class: 'keys'}, h('span', {}, h('i', {class: 'area'}), 'float'),
          h('span', {}, h('i', {class: 'line'}), 'integers'))),
      grid,
      note('Shares of values in bins of one width, taps first, then weights; KL and JS divergence in nats. ',
           'A bin holds several codes, not always as many: small ripples of the line are that.'));
}
