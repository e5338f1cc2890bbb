// Tables that can be sorted by any column and filtered by a text.

// columns: {title, hint, key(row) -> number, string or null to sort by, cell(row) -> content, left}.
// Rows without a value in a column come last, whichever way it is sorted.
class SortableTable {
  constructor(name, columns, rows, rowAttributes = () => ({})) {
    this.columns = columns;
    this.rows = rows;
    this.sorted = {column: -1, down: false};
    // Not buttons: a browser does not repeat a heading with controls on every sheet of paper.
    this.heads = columns.map((column, i) => h(
        'th', {class: `sorts${column.left ? ' left' : ''}`, title: column.hint, scope: 'col', tabindex: 0,
               onclick: () => this.sortBy(i), onkeydown: (e) => { if (e.key === 'Enter') this.sortBy(i); }},
        column.title));
    this.lines = rows.map((row) => h(
        'tr', rowAttributes(row),
        columns.map((column) => h('td', {class: column.left ? 'left' : null}, column.cell(row)))));
    this.body = h('tbody', {}, this.lines);
    this.shown = h('span', {class: 'soft'});
    this.element = h('div', {class: 'scroll', id: `table-${name}`},
                     h('table', {}, h('thead', {}, h('tr', {}, this.heads)), this.body));
    this.filter(() => true);
  }

  sortBy(index) {
    const down = this.sorted.column === index ? !this.sorted.down : false;
    this.sorted = {column: index, down};
    const {key} = this.columns[index];
    const order = this.rows.map((row, i) => ({i, key: key(row)}));
    const missing = (v) => v === null || v === undefined;
    order.sort((a, b) => {
      if (missing(a.key) || missing(b.key)) {
        return (missing(a.key) ? 1 : 0) - (missing(b.key) ? 1 : 0) || a.i - b.i;
      }
      const less = typeof a.key === 'string' ? a.key.localeCompare(b.key, 'en', {numeric: true})
                                             : (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
      return (down ? -less : less) || a.i - b.i;
    });
    this.body.replaceChildren(...order.map(({i}) => this.lines[i]));
    this.heads.forEach((head, i) => {
      if (i === index) {
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      } else {
        head.removeAttribute('aria-sort');
      }
    });
  }

  filter(wanted) {
    let shown = 0;
    this.rows.forEach((row, i) => {
      const visible = wanted(row);
      this.lines[i].hidden = !visible;
      if (visible) ++shown;
    });
    this.shown.textContent = shown === this.rows.length ? `${integer(shown)} rows`
                                                        : `${integer(shown)} of ${integer(this.rows.length)} rows`;
  }

  // The keys of a column in the order of the lines: what a test of the page reads.
  keysShown(index) {
    const lines = [...this.body.children].filter((line) => !line.hidden);
    return lines.map((line) => this.columns[index].key(this.rows[this.lines.indexOf(line)]));
  }
}

// A table that is short enough to be read as it is.
function plainTable(titles, rows) {
  const cellOf = (content, i) => h('td', {class: i === 0 ? 'left' : null}, content);
  return h('div', {class: 'scroll'}, h('table', {},
      h('thead', {}, h('tr', {}, titles.map(
          (title, i) => h('th', {class: i === 0 ? 'left' : null, scope: 'col'}, title)))),
      h('tbody', {}, rows.map((row) => h('tr', {}, row.map(cellOf))))));
}

function tapName(name) {
  return h('code', {title: name}, breakable(name));
}

// A horizontal bar of a share of the cell.
function meter(share, className = '') {
  const width = Math.max(0, Math.min(1, share || 0)) * 100;
  return h('span', {class: 'meter', 'aria-hidden': 'true'},
           h('i', {class: className, style: `width:${width.toFixed(1)}%`}));
}
