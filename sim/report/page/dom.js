'use strict';
// Building elements, and writing numbers. Text always goes in as text: names, paths and notes come from
// outside.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) {
      node.addEventListener(key.slice(2), value);
    } else {
      node.setAttribute(key, value === true ? '' : value);
    }
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === '') continue;
    node.append(child);
  }
  return node;
}

function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

const NONE = '–';
const MINUS = '−';

function minus(text) { return text.replace(/-/g, MINUS); }

// JSON has no infinity: it is a string there.
function num(value) {
  if (value === 'inf') return Infinity;
  if (value === '-inf') return -Infinity;
  return typeof value === 'number' ? value : null;
}

function fixed(value, digits) {
  const v = num(value);
  if (v === null) return NONE;
  if (v === Infinity) return '∞';
  if (v === -Infinity) return MINUS + '∞';
  const text = v.toFixed(digits);
  return Number(text) === 0 ? text.replace('-', '') : minus(text);
}

function db(value) { return fixed(value, 2); }

function percent(share, digits = 2) {
  const v = num(share);
  return v === null ? NONE : fixed(100 * v, digits);
}

// Four digits, whatever the size.
function real(value, digits = 4) {
  const v = num(value);
  if (v === null) return NONE;
  if (v === 0) return '0';
  if (!Number.isFinite(v)) return fixed(v, 0);
  const size = Math.abs(v);
  if (size >= 1e6 || size < 1e-3) return minus(v.toExponential(digits - 2));
  return minus(String(Number(v.toPrecision(digits))));
}

// 1234567 as 1 234 567, with thin spaces.
function integer(value) {
  const v = num(value);
  if (v === null) return NONE;
  return minus(String(v).replace(/\B(?=(\d{3})+(?!\d))/g, '\u2009'));
}

function bytes(value) {
  if (value < 1e4) return `${value} B`;
  if (value < 1e7) return `${(value / 1e3).toFixed(1)} kB`;
  return `${(value / 1e6).toFixed(1)} MB`;
}

function count(n, one, many) { return `${integer(n)} ${n === 1 ? one : many}`; }

function shape(dimensions) { return dimensions.length ? dimensions.join('×') : 'scalar'; }

// The step of the colour scale that a QSNR is on: 0 is the worst.
const QSNR_STEPS = [0, 10, 20, 30, 40];

function quality(value) {
  const v = num(value);
  if (v === null) return 'none';
  return String(QSNR_STEPS.filter((limit) => v >= limit).length);
}

function qsnrPill(value) { return h('span', {class: `pill q${quality(value)}`}, db(value)); }

// A long name with places where a line may break.
function breakable(name) {
  return name.split(/(?<=[._])/).flatMap((part, i) => (i ? [h('wbr'), part] : [part]));
}

function section(id, title, ...children) {
  return h('section', {id, 'aria-label': title}, h('h2', {}, title), children);
}

function note(...children) { return h('p', {class: 'note'}, children); }

function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(
      ([value, text]) => h('option', {value, selected: value === chosen}, text)));
  return select;
}
