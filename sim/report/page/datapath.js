// The network as a strip, and one part of it as a picture: operations are boxes, tensors are edges that
// carry their QSNR and its colour.

const PITCH = 113, NODE_W = 71, NODE_H = 44, LANE = 58, PILL_W = 29;

function drawStrip() {
  const width = 1180, gap = 6, height = 26;
  const cells = PARTS.reduce((sum, part) => sum + part.taps.length, 0);
  const cell = (width - gap * (PARTS.length - 1)) / Math.max(1, cells);
  const groups = [];
  let x = 0;
  for (const part of PARTS) {
    const w = cell * part.taps.length;
    const frame = s('rect', {class: 'frame', x: x - 2, y: 0, width: w + 4, height: height + 8, rx: 4});
    const bars = part.taps.map((tap, i) => s(
        'rect', {class: `fill q${quality(tap.qsnr_db)}`, x: (x + i * cell).toFixed(2), y: 4,
                 width: Math.max(0.8, cell - 1).toFixed(2), height, rx: 1},
        s('title', {}, `${tap.name}: ${db(tap.qsnr_db)} dB`)));
    const marks = part.taps.map((tap, i) => (CULPRITS.has(tap.name) ? s(
        'path', {class: 'mark', d: `M${(x + (i + 0.5) * cell).toFixed(1)} 5l-4 -6h8z`}) : null));
    // Neighbours must not overlap: a short title where there is little room.
    const number = /^block (\d+)$/.exec(part.title)?.[1] ?? '';
    const label = part.title.length * 6 < w ? part.title : number.length * 6 < w ? number : '';
    const text = s('text', {x: (x + w / 2).toFixed(1), y: height + 22, class: 'middle'}, label);
    groups.push(s('g', {class: 'part', tabindex: 0, role: 'button', 'data-part': part.id,
                        'aria-label': part.title, onclick: () => selectPart(part.id),
                        onkeydown: (e) => { if (e.key === 'Enter') selectPart(part.id); }},
                  frame, bars, marks, text));
    x += w + gap;
  }
  const strip = s('svg', {class: 'strip', viewBox: `-3 -2 ${width + 6} ${height + 30}`, role: 'group',
                          'aria-label': 'QSNR of every tensor, part by part'}, groups);
  selection.listeners.push((part) => {
    for (const g of groups) g.classList.toggle('chosen', g.dataset.part === part.id);
  });
  return strip;
}

// Rows of the picture: a residual add ends one.
function rowsOf(part) {
  const rows = [];
  let row = [];
  for (const op of part.operations) {
    row.push(op);
    if (op.kind === 'residual_add') {
      rows.push(row);
      row = [];
    }
  }
  if (row.length) rows.push(row);
  return rows;
}

// Boxes of a row with their columns (the longest way from the left) and lanes (0 is the middle).
function layOut(ops) {
  const made = new Set(ops.map((op) => op.output));
  const nodes = new Map();
  for (const op of ops) {
    for (const input of op.inputs) {
      if (!made.has(input)) nodes.set(input, {name: input, kind: 'source', inputs: [], column: 0});
    }
  }
  for (const op of ops) {
    const columns = op.inputs.map((input) => nodes.get(input)?.column ?? 0);
    nodes.set(op.output, {name: op.output, kind: op.kind, inputs: [...new Set(op.inputs)],
                          column: 1 + Math.max(0, ...columns)});
  }
  const columns = [];
  for (const node of nodes.values()) (columns[node.column] ??= []).push(node);
  for (const column of columns) {
    column.forEach((node, i) => { node.lane = i - (column.length - 1) / 2; });
  }
  const lanes = Math.max(...columns.map((column) => (column.length - 1) / 2));
  return {nodes, columns: columns.length, lanes};
}

// The name in at most two lines.
function nameLines(name) {
  const {rest} = splitName(name);
  const dot = rest.indexOf('.', 1);
  const lines = dot > 0 ? [rest.slice(0, dot), rest.slice(dot)] : [rest];
  return lines.map((line) => (line.length > 13 ? line.slice(0, 12) + '…' : line));
}

function edgePath(from, to, top) {
  const x1 = from.x + NODE_W + PILL_W, y1 = from.y, x2 = to.x - 5, y2 = to.y;
  if (to.column - from.column === 1) {
    const bend = (x2 - x1) * 0.6;
    return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  }
  // Over or along several columns: beside the boxes, and into the target from that side.
  const y = from.lane === 0 ? top : y1;
  const into = y2 + Math.sign(y - y2) * 12;
  const out = from.lane === 0 ? `C${x1 + 12} ${y1} ${x1 - 4} ${y} ${x1 + 18} ${y}` : '';
  return `M${x1} ${y1}${out}H${x2 - 36}C${x2 - 12} ${y} ${x2 - 22} ${into} ${x2} ${into}`;
}

function arrow(from, to, top) {
  const long = to.column - from.column > 1;
  const y = from.lane === 0 ? top : from.y;
  const tip = long ? to.y + Math.sign(y - to.y) * 12 : to.y;
  return `M${to.x} ${tip}l-6 -3.5v7z`;
}

function describeTap(name) {
  const tap = TAPS.get(name);
  return tap ? `${name}\n${shape(tap.shape)} ${tap.dtype}\nQSNR ${db(tap.qsnr_db)} dB` : name;
}

function drawNode(node, choose) {
  const tap = TAPS.get(node.name);
  const lines = nameLines(node.name);
  const q = tap ? quality(tap.qsnr_db) : 'none';
  const middle = node.x + NODE_W / 2;
  const first = node.y + (lines.length === 2 ? 3 : 8);
  const kind = node.kind === 'source' ? 'input' : node.kind.replace('_', ' ');
  const culprit = node.kind !== 'source' && CULPRITS.get(node.name);
  return s('g', {class: `node ${node.kind}${culprit ? ' culprit' : ''}`, tabindex: 0, role: 'button', 'data-tap': node.name,
                 'aria-label': describeTap(node.name), onclick: () => choose(node.name),
                 onkeydown: (e) => { if (e.key === 'Enter') choose(node.name); }},
      s('title', {}, describeTap(node.name)),
      s('rect', {class: 'box', x: node.x, y: node.y - NODE_H / 2, width: NODE_W, height: NODE_H, rx: 5}),
      s('text', {class: 'kind', x: middle, y: node.y - 11}, kind),
      lines.map((line, i) => s('text', {class: 'name', x: middle, y: first + 12 * i}, line)),
      s('rect', {class: `port q${q}`, x: node.x + NODE_W, y: node.y - 8, width: PILL_W, height: 16, rx: 3}),
      s('text', {class: 'db', x: node.x + NODE_W + PILL_W / 2, y: node.y + 3.5},
        tap && num(tap.qsnr_db) !== null ? fixed(tap.qsnr_db, 1) : NONE),
      culprit ? [s('circle', {class: 'rank', cx: node.x, cy: node.y - NODE_H / 2, r: 7.5}),
                 s('text', {class: 'rank', x: node.x, y: node.y - NODE_H / 2 + 3.5}, culprit.rank)] : null);
}

function drawPart(part, choose) {
  const edges = [], boxes = [];
  let y = 0;
  let columns = 1;
  for (const ops of rowsOf(part)) {
    const {nodes, columns: used, lanes} = layOut(ops);
    columns = Math.max(columns, used);
    const over = [...nodes.values()].some((to) => to.inputs.some(
        (name) => nodes.get(name).lane === 0 && to.column - nodes.get(name).column > 1));
    const top = y + 10;
    const middle = y + (over ? 26 : 6) + NODE_H / 2 + lanes * LANE;
    for (const node of nodes.values()) {
      node.x = node.column * PITCH;
      node.y = middle + node.lane * LANE;
    }
    for (const to of nodes.values()) {
      for (const name of to.inputs) {
        const from = nodes.get(name);
        const q = quality(TAPS.get(name)?.qsnr_db ?? null);
        edges.push(s('path', {class: `edge q${q}`, d: edgePath(from, to, top)}),
                   s('path', {class: `tip q${q}`, d: arrow(from, to, top)}));
      }
      boxes.push(drawNode(to, choose));
    }
    y = middle + lanes * LANE + NODE_H / 2 + 14;
  }
  const width = (Math.max(columns, 11) - 1) * PITCH + NODE_W + PILL_W + 4;
  return s('svg', {class: 'datapath', viewBox: `-2 0 ${width} ${Math.max(y, 60)}`, role: 'group',
                   'aria-label': `The operations of ${part.title}`}, edges, boxes);
}

function legend() {
  const names = ['below 0', '0 to 10', '10 to 20', '20 to 30', '30 to 40', '40 dB and more'];
  return h('div', {class: 'legend'}, names.map((name, i) => h('span', {}, h('i', {class: `q${i}`}), name)),
           h('span', {}, h('i', {class: 'qnone'}), 'not measured'));
}

function range(summary) {
  return summary ? `[${real(summary.min)}, ${real(summary.max)}]` : NONE;
}

// Everything about one tensor, in a line of small facts.
function inspector(name) {
  const tap = TAPS.get(name);
  if (!tap) return h('div', {class: 'inspector'});
  const profile = TAP_PROFILES.get(name);
  const acc = ACCUMULATORS.get(name);
  const op = DATA.graph.operations.find((o) => o.output === name);
  const weight = op && op.weight ? WEIGHT_PROFILES.get(op.weight) : null;
  const fact = (title, value) => h('div', {}, h('dt', {}, title), h('dd', {}, value));
  return h('div', {class: 'inspector'},
      h('h3', {}, h('code', {}, name), ' ', h('span', {class: 'soft'}, op ? op.kind : 'input')),
      h('dl', {class: 'facts'},
        fact('shape, type', `${shape(tap.shape)} ${tap.dtype}`),
        num(tap.qsnr_db) === null ? null : fact('QSNR', [qsnrPill(tap.qsnr_db), ' dB']),
        num(tap.ideal_qsnr_db) === null ? null : fact('ideal fake quantization', `${db(tap.ideal_qsnr_db)} dB`),
        num(tap.step_qsnr_db) === null ? null : fact('this step alone', `${db(tap.step_qsnr_db)} dB`),
        profile ? [profile.float ? fact('float range', range(profile.float)) : null,
                   fact('integers stand for', range(profile.quantized)),
                   fact('codes seen', `${integer(profile.codes.min)} … ${integer(profile.codes.max)} of ` +
                        `${integer(profile.codes.qmin)} … ${integer(profile.codes.qmax)}`)] : null,
        fact('clipped', `${percent(tap.saturated_share)} %`),
        acc ? fact('accumulator bits', `${acc.bits_seen ?? NONE} seen, ${acc.bits_needed} proven, ` +
                   `${acc.bits} given`) : null,
        weight?.error ? fact('weights, as the program scales them', `${db(weight.error.qsnr_db)} dB`) : null,
        tap.mismatches ? fact('golden against RTL', `${integer(tap.mismatches)} differ`) : null));
}

function datapathSection() {
  if (!DATA.graph.operations.length) return null;
  const picture = h('div', {class: 'scroll'});
  const details = h('div', {});
  const choose = (name) => {
    details.replaceChildren(inspector(name));
    for (const node of picture.querySelectorAll('.node'))
      node.classList.toggle('chosen', node.dataset.tap === name);
  };
  selection.listeners.push((part) => {
    picture.replaceChildren(drawPart(part, choose));
    const worst = part.taps.filter((tap) => num(tap.qsnr_db) !== null)
                      .sort((a, b) => num(a.qsnr_db) - num(b.qsnr_db))[0];
    const first = part.taps.find((tap) => CULPRITS.has(tap.name)) || worst || part.taps[0];
    if (first) choose(first.name);
  });
  selection.tapListeners.push(choose);
  return section('datapath', 'Datapath',
      h('div', {class: 'toolbar'}, partSelect('Part of the network'), legend()),
      h('div', {class: 'scroll'}, drawStrip()), picture, details,
      note('QSNR in dB of each tensor against the float reference: on an edge, the tensor that flows along it. ',
           'Choose a part in the strip and an operation in the picture.'));
}
