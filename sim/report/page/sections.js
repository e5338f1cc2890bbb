// The sections that are mostly tables.

function diagnosisBadge() {
  if (!DATA.diagnosis) return null;
  const found = DATA.diagnosis.findings.length;
  return h('span', {class: `badge ${found ? 'bad' : 'good'}`}, found ? count(found, 'culprit', 'culprits') : 'no culprit');
}

function summarySection() {
  const compared = RUN.rtl && RUN.taps.some((tap) => tap.mismatches !== null);
  let badge = 'none';
  if (compared) badge = RUN.total_mismatches === 0 ? 'good' : 'bad';
  const worst = worstTap();
  const last = [...RUN.taps].reverse().find((tap) => num(tap.qsnr_db) !== null);
  const clipped = [...RUN.taps].sort((a, b) => num(b.saturated_share) - num(a.saturated_share))[0];
  const below = RUN.taps.filter((tap) => num(tap.qsnr_db) !== null && num(tap.qsnr_db) < LOW_DB).length;
  const acc = RUN.accumulators.reduce((most, a) => Math.max(most, a.bits_needed), 0);
  const cycles = RUN.cycles.reduce((sum, entry) => sum + entry.cycles, 0);
  const tile = (title, value, detail) => h('div', {class: 'tile'}, h('dt', {}, title),
                                           h('dd', {}, value, h('small', {}, detail)));
  const name = (tap) => h('code', {title: tap.name}, breakable(tap.name));
  const tiles = [
    last ? tile('QSNR at the end', [db(last.qsnr_db), ' dB'], name(last)) : null,
    worst ? tile('lowest QSNR', [db(worst.qsnr_db), ' dB'], name(worst)) : null,
    worst ? tile(`taps below ${LOW_DB} dB`, integer(below), `of ${integer(RUN.taps.length)}`) : null,
    clipped ? tile('most clipped', [percent(clipped.saturated_share), ' %'], name(clipped)) : null,
    acc ? tile('widest accumulator', [acc, ' bits'], 'proven worst case') : null,
    RUN.size ? tile('size', bytes(RUN.size.integer_bytes), `${fixed(RUN.size.ratio, 2)} times smaller than float32`) : null,
    cycles ? tile('RTL cycles', integer(cycles), countInputs()) : null,
  ];
  const {hardware} = RUN;
  const fact = (title, value) => (value ? [h('dt', {}, title), h('dd', {}, value)] : null);
  const files = RUN.config_files.map((file) => h('div', {}, h('code', {}, file)));
  const stalls = RUN.stall_seed === null ? '' : `, random stalls with seed ${RUN.stall_seed}`;
  return h('section', {id: 'summary', 'aria-label': 'Summary'},
      h('header', {}, h('h1', {}, DATA.diagnosis ? DATA.diagnosis.title : 'qsim run'), diagnosisBadge(),
        RUN.rtl || !DATA.diagnosis ? h('span', {class: `badge ${badge}`}, DATA.verdict) : null),
      h('dl', {class: 'tiles'}, tiles),
      h('dl', {class: 'about'},
        fact('Scope', `${RUN.scope}, ${countInputs()}`),
        fact('Configuration', files.length ? files : null),
        fact('Input', RUN.input ? h('code', {}, RUN.input) : null),
        fact('Array', `${hardware.array_rows} × ${hardware.array_cols} processing elements, ` +
             (hardware.power_of_two ? 'power-of-two shifts' : `${hardware.multiplier_bits}-bit multipliers`)),
        fact('Float reference', last ? null : 'none: a bundle has no float weights to compare with'),
        fact('RTL', RUN.rtl ? `Verilator${stalls}` : 'not run')));
}

function mismatchSection() {
  const wrong = RUN.taps.filter((tap) => tap.mismatches);
  if (!wrong.length) return null;
  return section('mismatches', 'Mismatches between golden and RTL', plainTable(
      ['tap', 'differ', 'first at', 'golden', 'RTL', 'computed in', 'waveform'],
      wrong.map((tap) => {
        const first = tap.first_mismatch;
        return [tapName(tap.name), integer(tap.mismatches),
                ...(first ? [`[${first.index.join(', ')}]`, integer(first.golden), integer(first.rtl),
                             first.tile || NONE, first.waveform ? h('code', {}, breakable(first.waveform)) : NONE]
                          : [NONE, NONE, NONE, NONE, NONE])];
      })));
}

// Infinite values have no place on an axis: they leave a gap.
function finite(value) {
  const v = num(value);
  return v !== null && Number.isFinite(v) ? v : null;
}

function lossChart() {
  const series = (label, key, colorName, more) => ({
    label, data: RUN.taps.map((tap) => finite(tap[key])), borderColor: color(colorName),
    backgroundColor: color(colorName), borderWidth: 1.5, pointRadius: RUN.taps.length > 120 ? 0 : 2,
    spanGaps: false, ...more});
  // A title only where its part has room for it, about 1100 pixels for all of them.
  const fits = (part) => part.title.length * 7 < 1100 * part.taps.length / RUN.taps.length;
  const starts = new Map(PARTS.map((part) => [RUN.taps.indexOf(part.taps[0]), fits(part) ? part.title : '']));
  // A step alone can be exact to 140 dB; the axis is for the others.
  const most = Math.max(0, ...RUN.taps.flatMap((tap) => [finite(tap.qsnr_db), finite(tap.ideal_qsnr_db)]));
  return {
    type: 'line',
    data: {
      labels: RUN.taps.map((tap) => tap.name),
      datasets: [
        series('ideal fake quantization', 'ideal_qsnr_db', 'second', {pointRadius: 0, borderDash: [4, 4]}),
        series('against float', 'qsnr_db', 'accent', {borderWidth: 2}),
        series('step alone', 'step_qsnr_db', 'soft', {showLine: false, pointStyle: 'crossRot', pointRadius: 3}),
      ],
    },
    options: {
      scales: {
        x: axis('', {ticks: {color: color('soft'), autoSkip: false, maxRotation: 0, align: 'start',
                             callback: (_, i) => starts.get(i) ?? null}}),
        y: axis('dB', {max: 10 * Math.ceil(most / 10 + 1)}),
      },
      interaction: {mode: 'index', intersect: false},
      plugins: {tooltip: {callbacks: {label: (item) => `${item.dataset.label} ${fixed(item.parsed.y, 2)} dB`}}},
    },
  };
}

function lossSection() {
  if (!RUN.taps.some((tap) => finite(tap.qsnr_db) !== null)) return null;
  return section('losses', 'Loss along the network', plot('QSNR of every tap in program order', 250, lossChart),
      note('Against float, the loss of all steps so far; ideal fake quantization, the part of it that the bits ',
           'cost; step alone, each operation against its exact self on the same integers (beyond the axis where it ',
           'loses nothing).'));
}

function tapsSection() {
  const profiled = (tap, read) => {
    const profile = TAP_PROFILES.get(tap.name);
    return profile ? read(profile) : null;
  };
  const column = (title, hint, key, write) => ({title, hint, key, cell: (tap) => write(key(tap))});
  const step = (v) => (v === null ? NONE : db(v));
  const columns = [
    {title: 'tap', left: true, key: (tap) => tap.name, cell: (tap) => tapName(tap.name)},
    {title: 'shape', left: true, key: (tap) => tap.shape.reduce((a, b) => a * b, 1), cell: (tap) => shape(tap.shape)},
    {title: 'type', left: true, key: (tap) => tap.dtype, cell: (tap) => tap.dtype},
    {title: 'QSNR', hint: 'dB, against the float reference', key: (tap) => num(tap.qsnr_db),
     cell: (tap) => qsnrPill(tap.qsnr_db)},
    column('ideal', 'dB, ideal fake quantization: what the bits alone cost', (tap) => num(tap.ideal_qsnr_db), step),
    column('step', 'dB, this operation alone', (tap) => num(tap.step_qsnr_db), step),
    column('cosine', 'cosine similarity', (tap) => num(tap.cosine), (v) => fixed(v, 5)),
    column('max |err|', 'largest absolute error', (tap) => num(tap.max_abs_error), (v) => real(v, 3)),
    column('clip %', 'elements that a clamp changed', (tap) => num(tap.saturated_share), (v) => percent(v)),
  ];
  if (PROFILE) {
    columns.push(
        column('3σ %', 'float values beyond three standard deviations',
               (tap) => profiled(tap, (p) => p.float && num(p.float.outlier_share)), (v) => percent(v)),
        column('KL', 'Kullback-Leibler divergence, nats',
               (tap) => profiled(tap, (p) => p.error && num(p.error.kl)), (v) => real(v, 2)),
        column('use %', 'part of the integer range between the smallest and the largest code',
               (tap) => profiled(tap, (p) => (p.dtype === 'int32' ? null : num(p.codes.range_share))),
               (v) => percent(v, 0)));
  }
  if (RUN.rtl) columns.push(column('RTL diff', 'elements in which golden and RTL differ', (tap) => tap.mismatches, integer));
  // Without a float reference, or with --until, some columns have nothing to say.
  const told = columns.filter((c) => c.left || RUN.taps.some((tap) => ![null, undefined].includes(c.key(tap))));
  const table = new SortableTable('taps', told, RUN.taps, (tap) => ({class: tap.mismatches ? 'wrong' : null}));
  table.element.classList.add('tall');
  const text = h('input', {type: 'search', placeholder: 'filter by name', 'aria-label': 'Filter the taps by name'});
  const low = h('input', {type: 'checkbox'});
  const apply = () => table.filter((tap) => tap.name.toLowerCase().includes(text.value.toLowerCase()) &&
                                            (!low.checked || (num(tap.qsnr_db) ?? Infinity) < LOW_DB));
  text.oninput = apply;
  low.onchange = apply;
  page.tapTable = table;
  return section('taps', 'Taps',
      h('div', {class: 'toolbar'}, text, h('label', {}, low, ` below ${LOW_DB} dB`), table.shown), table.element);
}

function weightsSection() {
  if (!PROFILE || !PROFILE.weights.length) return null;
  const side = (w) => w.float || w.quantized;
  const error = (key) => (w) => (w.error ? num(w.error[key]) : null);
  const table = new SortableTable('weights', [
    {title: 'weight', left: true, key: (w) => w.name, cell: (w) => tapName(w.name)},
    {title: 'shape', left: true, key: (w) => w.elements, cell: (w) => shape(w.shape)},
    {title: 'QSNR', hint: 'dB, with the scales that the program applies', key: error('qsnr_db'), cell: (w) => qsnrPill(w.error?.qsnr_db)},
    {title: 'range', key: (w) => num(side(w).max) - num(side(w).min), cell: (w) => range(side(w))},
    {title: 'σ', key: (w) => num(side(w).stddev), cell: (w) => real(side(w).stddev)},
    {title: '3σ %', key: (w) => num(side(w).outlier_share), cell: (w) => percent(side(w).outlier_share)},
    {title: 'MSE', key: error('mse'), cell: (w) => real(w.error?.mse, 3)},
    {title: 'KL', key: error('kl'), cell: (w) => real(w.error?.kl, 2)},
    {title: 'codes used', key: (w) => w.codes.distinct, cell: (w) => integer(w.codes.distinct)},
    {title: 'entropy', hint: 'bits', key: (w) => num(w.codes.entropy_bits), cell: (w) => fixed(w.codes.entropy_bits, 2)},
  ], PROFILE.weights);
  table.element.classList.add('tall');
  return section('weights', 'Weights', table.element);
}

function accumulatorChart() {
  const rows = RUN.accumulators;
  const seen = rows.map((a) => a.bits_seen ?? 0);
  const bar = (label, data, name) => ({label, data, backgroundColor: color(name), stack: 'bits',
                                       barPercentage: 0.9, categoryPercentage: 0.9});
  return {
    type: 'bar',
    data: {
      labels: rows.map((a) => a.name),
      datasets: [
        bar('seen', seen, 'accent'),
        bar('proven worst case', rows.map((a, i) => Math.max(0, a.bits_needed - seen[i])), 'second'),
        {type: 'line', label: 'given', data: rows.map((a) => a.bits), borderColor: color('ink'), borderWidth: 1.5,
         pointRadius: 0, stepped: 'middle', borderDash: [4, 3]},
      ],
    },
    options: {
      scales: {x: axis('', {stacked: true, ticks: {display: false}, grid: {display: false, drawBorder: false}}),
               y: axis('bits', {stacked: true, min: 0})},
      interaction: {mode: 'index', intersect: false},
      plugins: {tooltip: {callbacks: {label: (item) => {
        const a = rows[item.dataIndex];
        return [`seen ${a.bits_seen ?? NONE}`, `proven worst case ${a.bits_needed}`, `given ${a.bits}`][item.datasetIndex];
      }}}},
    },
  };
}

function accumulatorsSection() {
  if (!RUN.accumulators.length) return null;
  const ends = (r) => (r ? `${integer(r.min)} … ${integer(r.max)}` : NONE);
  const table = new SortableTable('accumulators', [
    {title: 'accumulator', left: true, key: (a) => a.name, cell: (a) => tapName(a.name)},
    {title: 'policy', left: true, key: (a) => a.policy, cell: (a) => a.policy},
    {title: 'given', key: (a) => a.bits, cell: (a) => a.bits},
    {title: 'proven', hint: 'bits of the worst case for these weights', key: (a) => a.bits_needed,
     cell: (a) => (a.fits ? a.bits_needed : h('b', {class: 'low'}, `${a.bits_needed} !`))},
    {title: 'seen', key: (a) => a.bits_seen, cell: (a) => a.bits_seen ?? NONE},
    {title: 'worst case', key: (a) => num(a.worst_case.max), cell: (a) => ends(a.worst_case)},
    {title: 'seen range', key: (a) => (a.seen ? num(a.seen.max) : null), cell: (a) => ends(a.seen)},
    {title: 'channel', hint: 'the output channel that needs it', key: (a) => a.worst_channel,
     cell: (a) => a.worst_channel ?? NONE},
  ], RUN.accumulators);
  table.element.classList.add('tall');
  return section('accumulators', 'Accumulator bits',
      plot('Accumulator bits seen, proven and given', 180, accumulatorChart), table.element,
      note('Proven: the worst case over all inputs for these very weights; ! where it does not fit, which the ',
           'policies wrap and saturate allow.'));
}

function cyclesSection() {
  if (!RUN.rtl || !RUN.cycles.length) return null;
  const total = RUN.cycles.reduce((sum, entry) => sum + entry.cycles, 0);
  const table = new SortableTable('cycles', [
    {title: 'operation', left: true, key: (c) => c.name, cell: (c) => tapName(c.name)},
    {title: 'cycles', key: (c) => c.cycles, cell: (c) => integer(c.cycles)},
    {title: 'share', key: (c) => c.cycles, cell: (c) => [meter(c.cycles / total), ` ${percent(c.cycles / total, 1)} %`]},
    {title: 'MACs', key: (c) => c.macs, cell: (c) => (c.macs ? integer(c.macs) : NONE)},
    {title: 'tiles', key: (c) => c.tiles, cell: (c) => integer(c.tiles)},
    {title: 'array use', key: (c) => num(c.utilisation),
     cell: (c) => (num(c.utilisation) === null ? NONE : [meter(num(c.utilisation)), ` ${percent(c.utilisation, 1)} %`])},
  ], RUN.cycles);
  table.element.classList.add('tall');
  return section('cycles', 'RTL cycles', table.element, note(`${integer(total)} cycles in all.`));
}

function sizeChart() {
  const {size} = RUN;
  const bar = (label, values, name) => ({label, data: values, backgroundColor: color(name), barPercentage: 0.8});
  return {
    type: 'bar',
    data: {
      labels: ['float32', 'integers'],
      datasets: [
        bar('float32', [size.float_bytes, 0], 'soft'), bar('weights', [0, size.weight_bytes], 'accent'),
        bar('biases, positions', [0, size.bias_bytes], 'second'), bar('tables', [0, size.table_bytes], 'q4'),
      ],
    },
    options: {
      indexAxis: 'y',
      scales: {x: axis('', {stacked: true, ticks: {color: color('soft'), callback: bytes, maxRotation: 0}}),
               y: axis('', {stacked: true, grid: {display: false, drawBorder: false}})},
      plugins: {tooltip: {callbacks: {label: (item) => `${item.dataset.label} ${bytes(item.parsed.x)}`}}},
    },
  };
}

function sizeSection() {
  const {size} = RUN;
  if (!size) return null;
  const share = (n) => `${percent(n / size.integer_bytes, 1)} %`;
  const row = (title, n) => [title, bytes(n), share(n)];
  return section('size', 'Size of the parameters', h('div', {class: 'split'},
      plot('Size as float32 and as integers', 120, sizeChart),
      plainTable(['', 'bytes', 'of the integers'], [
        row('weights, int8', size.weight_bytes), row('biases and positions, int32', size.bias_bytes),
        row('tables: multipliers, shifts, constants', size.table_bytes), row('integers together', size.integer_bytes),
        ['the same in float32', bytes(size.float_bytes), `${fixed(size.ratio, 2)} times`]])));
}

function costsSection() {
  if (!PROFILE || !PROFILE.operations.length) return null;
  const total = PROFILE.operations.reduce((sum, op) => sum + op.seconds, 0);
  const table = new SortableTable('costs', [
    {title: 'operation', left: true, key: (op) => op.name, cell: (op) => tapName(op.name)},
    {title: 'kind', left: true, key: (op) => op.kind, cell: (op) => op.kind.replace('_', ' ')},
    {title: 'ms', key: (op) => op.seconds, cell: (op) => fixed(1e3 * op.seconds, 2)},
    {title: 'share', key: (op) => op.seconds, cell: (op) => [meter(op.seconds / total), ` ${percent(op.seconds / total, 1)} %`]},
    {title: 'MACs', key: (op) => op.macs, cell: (op) => op.macs ? op.macs.toLocaleString('en') : ''},
    {title: 'operands', key: (op) => op.operand_bytes, cell: (op) => bytes(op.operand_bytes)},
    {title: 'result', key: (op) => op.result_bytes, cell: (op) => bytes(op.result_bytes)},
  ], PROFILE.operations);
  table.element.classList.add('tall');
  return section('costs', 'Time and memory of the golden model', table.element,
      note(`${fixed(total, 2)} s of processor time for ${countInputs()}; the process needed `,
           `${bytes(PROFILE.peak_memory_bytes)} at most. MACs, operands and results are those of one input.`));
}

function notesSection() {
  if (!RUN.notes.length) return null;
  const groups = new Map();
  for (const entry of RUN.notes) {
    const key = `${entry.kind}\n${entry.text}`;
    if (!groups.has(key)) groups.set(key, {...entry, tensors: []});
    groups.get(key).tensors.push(entry.tensor);
  }
  return section('notes', 'Notes of the lowering', h('ul', {class: 'notes'}, [...groups.values()].map((group) => h('li', {},
      h('span', {class: `kind ${group.kind}`}, group.kind.replace('_', ' ')), group.text,
      h('div', {class: 'soft'}, group.tensors.map((name, i) => [i ? ', ' : '', h('code', {}, name)]))))));
}

function contractSection() {
  const {provenance} = RUN;
  const fact = (title, value) => (value ? [h('dt', {}, title), h('dd', {}, h('code', {}, value))] : null);
  return section('contract', 'Numerics contract and provenance',
      h('div', {class: 'split'}, h('pre', {}, DATA.contract),
        h('dl', {class: 'about'}, fact('qsim', provenance.qsim_version), fact('contract', provenance.contract),
          fact('contract SHA-256', provenance.contract_sha256), fact('configuration SHA-256', provenance.config_sha256),
          fact('weights SHA-256', provenance.weights_sha256))));
}
