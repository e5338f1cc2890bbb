// The document's data, indexed by tensor, and its operations grouped by block.

const DATA = JSON.parse(document.getElementById('data').textContent);
const RUN = DATA.run;
const PROFILE = DATA.profile;
const LOW_DB = DATA.low_qsnr_db;

const TAPS = new Map(RUN.taps.map((tap) => [tap.name, tap]));
const TAP_PROFILES = new Map(PROFILE ? PROFILE.taps.map((t) => [t.name, t]) : []);
const WEIGHT_PROFILES = new Map(PROFILE ? PROFILE.weights.map((t) => [t.name, t]) : []);
const ACCUMULATORS = new Map(RUN.accumulators.map((a) => [a.name, a]));

function countInputs() {
  return RUN.lengths ? count(RUN.images, 'sequence', 'sequences') : count(RUN.images, 'image', 'images');
}

// "blocks.3.norm" is norm of blocks.3, and so is "layers.3.norm" of a language model.
function splitName(name) {
  const match = /^((?:blocks|layers)\.\d+)\.(.+)$/.exec(name);
  return match ? {block: match[1], rest: match[2]} : {block: '', rest: name};
}

// Parts of the network in program order: what comes before the blocks, each block, what follows.
// A part holds its tensors, those that it only reads left out.
function findParts() {
  const parts = [];
  let seenBlock = false;
  for (const tap of RUN.taps) {
    const {block} = splitName(tap.name);
    seenBlock = seenBlock || block !== '';
    const id = block || (seenBlock ? 'head' : 'stem');
    let part = parts.find((p) => p.id === id);
    if (!part) {
      const titles = {stem: 'embed', head: 'head'};
      parts.push(part = {id, title: block ? block.replace(/^\w+\./, 'block ') : titles[id], taps: []});
    }
    part.taps.push(tap);
  }
  if (!seenBlock && parts.length) parts[0].title = 'network';
  for (const part of parts) {
    const names = new Set(part.taps.map((tap) => tap.name));
    part.operations = DATA.graph.operations.filter((op) => names.has(op.output));
  }
  return parts;
}

const PARTS = findParts();
function partOf(name) { return PARTS.find((part) => part.taps.some((tap) => tap.name === name)); }

// The part with the worst tap is where to look first.
function worstTap() {
  let worst = null;
  for (const tap of RUN.taps) {
    const v = num(tap.qsnr_db);
    if (v !== null && (worst === null || v < num(worst.qsnr_db))) worst = tap;
  }
  return worst;
}

// The findings of a diagnosis by the tensor they name.
const CULPRITS = new Map(
    (DATA.diagnosis ? DATA.diagnosis.findings : []).map((finding) => [finding.tensor, finding]).reverse());

// What is selected, and who wants to know.
const selection = {part: null, listeners: [], tapListeners: []};

function selectPart(id) {
  if (!PARTS.some((part) => part.id === id) || selection.part === id) return;
  selection.part = id;
  for (const listener of selection.listeners) listener(PARTS.find((part) => part.id === id));
}

// Selects the part that a tensor belongs to, and the tensor in it.
function showTap(name) {
  const part = partOf(name);
  if (!part) return;
  selectPart(part.id);
  for (const listener of selection.tapListeners) listener(name);
}

function partSelect(label) {
  const select = h('select', {'aria-label': label, onchange: () => selectPart(select.value)});
  options(select, PARTS.map((part) => [part.id, part.title]), selection.part);
  selection.listeners.push((part) => { select.value = part.id; });
  return select;
}
