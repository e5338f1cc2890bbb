// What qsim diagnose found: culprits with evidence and repair, the ranking, and the loss budget.

function findingCard(finding) {
  const {before_db: before, after_db: after} = finding;
  const change = num(before) !== null && num(after) !== null
      ? h('div', {class: 'change'}, qsnrPill(before), h('span', {class: 'soft'}, ' → '), qsnrPill(after),
          h('span', {class: 'soft'}, ` dB at ${finding.measured_at || 'the output'}`))
      : null;
  return h('article', {class: 'finding'},
      h('div', {class: 'rank'}, String(finding.rank)),
      h('div', {},
        h('h3', {}, finding.cause, ' ', h('a', {href: '#datapath', onclick: () => showTap(finding.tensor)},
                                          h('code', {}, finding.tensor))),
        h('p', {}, finding.text),
        finding.evidence.length ? h('ul', {class: 'evidence'}, finding.evidence.map((e) => h('li', {}, e))) : null,
        finding.repair ? h('p', {class: 'repair'}, h('b', {}, 'Repair tried: '), finding.repair) : null,
        change));
}

function budgetChart(rows) {
  return () => ({
    type: 'bar',
    data: {
      labels: rows.map((row) => row.cause),
      datasets: [{data: rows.map((row) => 100 * num(row.noise_share)), backgroundColor: color('accent'),
                  barPercentage: 0.75}],
    },
    options: {
      indexAxis: 'y',
      scales: {x: axis('% of the noise power at the output'),
               y: axis('', {ticks: {color: color('soft'), autoSkip: false},
                           grid: {display: false, drawBorder: false}})},
      plugins: {legend: {display: false},
                tooltip: {callbacks: {label: (item) => `${fixed(item.parsed.x, 2)} %`}}},
    },
  });
}

function budgetBlock(rows) {
  if (!rows.length) return null;
  const orders = (row) => (row.low === null ? NONE : `${percent(row.low, 1)} … ${percent(row.high, 1)}`);
  return [
    h('h3', {}, 'Loss budget by cause'),
    h('div', {class: 'split'},
      plot('Loss budget by cause', 34 + 26 * rows.length, budgetChart(rows)),
      plainTable(['cause', 'noise %', 'over the orders %', 'then dB', 'top-1 %'], rows.map((row) => [
        row.cause, percent(row.noise_share, 1), orders(row), db(row.after_db), percent(row.top1_after, 2)]))),
    note('Causes are replaced by their exact version in this order, one after the other, so that the shares add up.'),
  ];
}

function rankingBlock(rows) {
  if (!rows.length) return null;
  const column = (title, hint, key) => ({title, hint, key: (row) => num(row[key]), cell: (row) => db(row[key])});
  const table = new SortableTable('ranking', [
    {title: 'operation', left: true, key: (row) => row.tensor, cell: (row) => tapName(row.tensor)},
    {title: 'part', left: true, key: (row) => row.part, cell: (row) => row.part},
    column('own', 'the operation’s output, from exact operands', 'own_db'),
    column('alone', 'at the output: this step in integers, the others in float', 'alone_db'),
    column('gain', 'at the output: this step in float, the others in integers', 'gain_db'),
    column('up to here', 'at the output: this step and all before it in integers', 'cumulative_db'),
  ], rows);
  table.element.classList.add('tall');
  return [h('h3', {}, 'Ranking of the operations, dB'), table.element];
}

function diagnosisSection() {
  const page = DATA.diagnosis;
  if (!page) return null;
  const ends = [];
  if (page.output) ends.push(`QSNR of ${page.output}: ${db(page.output_db)} dB`);
  if (num(page.top1) !== null) ends.push(`top-1 ${percent(page.top1)} %`);
  return section('diagnosis', 'Diagnosis',
      h('p', {class: 'lead'}, page.verdict),
      ends.length ? h('p', {class: 'soft'}, ends.join(', ')) : null,
      page.findings.map(findingCard), budgetBlock(page.budget), rankingBlock(page.ranking));
}
