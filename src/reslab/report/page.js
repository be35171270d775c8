// Draws the charts of a report from the JSON in the page; asks nothing of any network.
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const charts = read('charts'), packed = read('sets'), themes = read('themes');
const dark = matchMedia('(prefers-color-scheme: dark)'), narrow = matchMedia('(max-width: 600px)');
const unpacked = {}, views = {}, errors = [];
window.reslab = { views, errors };

function rows(name) {
  if (!(name in unpacked)) {
    const columns = packed[name], count = columns.length ? columns[0][1].length : 0;
    unpacked[name] = Array.from({ length: count }, (_, i) =>
      Object.fromEntries(columns.map(([key, values, levels]) =>
        [key, levels && values[i] !== null ? levels[values[i]] : values[i]])));
  }
  return unpacked[name];
}

const wide = "split(replace(datum.label, regexp('¦', 'g'), ' '), '|')", folded = "split(datum.label, regexp('[|¦]'))";

function fitted(spec, room) { // a facet does not know its container; a phone has room for short lines only
  const text = JSON.stringify(spec);
  if (narrow.matches && text.includes(wide))
    return { ...JSON.parse(text.replaceAll(wide, folded)), height: 1.6 * spec.height };
  if (spec.hconcat) { // pictures side by side; one below the other on a phone
    const { hconcat, ...rest } = spec, across = narrow.matches ? 1 : hconcat.length;
    const own = Math.max(Math.floor((room - 20 - 25 * across) / across), 120);
    return { ...rest, [narrow.matches ? 'vconcat' : 'hconcat']: hconcat.map((part) => ({ ...part, width: own })) };
  }
  if (!spec.facet) return spec;
  const columns = narrow.matches ? 1 : spec.columns || 1;
  const width = Math.floor((room - 75 - 25 * (columns - 1)) / columns);
  return { ...spec, columns, spec: { ...spec.spec, width: Math.max(width, 120) } };
}

async function draw() {
  const name = dark.matches ? 'dark' : 'light', theme = themes[name];
  const config = !narrow.matches ? theme : // a phone: small letters, legends below one another
    { ...theme, legend: { ...theme.legend, columns: 1 }, axis: { ...theme.axis, labelFontSize: 10.5 } };
  for (const [id, { spec, sets, renderer }] of Object.entries(charts)) {
    const place = document.getElementById(id);
    try {
      if (views[id]) views[id].finalize();
      const datasets = Object.fromEntries(sets.map((set) => [set, rows(set).map((row) => ({ ...row }))]));
      const made = await vegaEmbed(place, { ...fitted(spec, place.clientWidth), datasets }, {
        mode: 'vega-lite', renderer, ast: true, config, downloadFileName: id,
        actions: { export: true, source: false, compiled: false, editor: false }, tooltip: { theme: name },
      });
      views[id] = made.view;
    } catch (error) {
      errors.push(`${id}: ${error}`);
      place.textContent = `This figure could not be drawn (${error}); its data are below, its picture in figures/${id}.png`;
    }
  }
  const root = document.documentElement.dataset;
  root.drawn = String(Number(root.drawn || 0) + 1);
}

let queue = Promise.resolve(), width = innerWidth, timer;
const again = () => { queue = queue.then(draw); };
dark.addEventListener('change', again);
narrow.addEventListener('change', again);
addEventListener('resize', () => { // a turned phone; charts without facets follow their container by themselves
  clearTimeout(timer);
  timer = setTimeout(() => { if (innerWidth !== width) { width = innerWidth; again(); } }, 300);
});

function csv(name) {
  const columns = packed[name], count = columns.length ? columns[0][1].length : 0;
  const cell = (value) => value === null ? '' : /[",\n\r]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
  const lines = [columns.map(([key]) => cell(key))];
  for (let i = 0; i < count; i++)
    lines.push(columns.map(([, values, levels]) => cell(levels && values[i] !== null ? levels[values[i]] : values[i])));
  return lines.map((line) => line.join(',') + '\n').join('');
}

for (const button of document.querySelectorAll('button[data-set]'))
  button.addEventListener('click', () => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([csv(button.dataset.set)], { type: 'text/csv' }));
    link.download = `${button.dataset.name}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

// While a sweep is watched the page loads itself again; the reader stays where he was.
const key = `reslab ${location.pathname}`;
const keep = (action) => { try { return action(); } catch { return null; } };
addEventListener('pagehide', () => keep(() => sessionStorage.setItem(key, String(scrollY))));
again();
queue.then(() => {
  const before = document.documentElement.dataset.watch && keep(() => sessionStorage.getItem(key));
  if (before) scrollTo(0, Number(before));
});
