"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
// What the charts of all pages share: how one is fitted to its rows, drawn, and its labels kept apart.
const charts = {
  // Round numbers around positive values, at both ends of a logarithmic axis; as toolkit/report/ticks.py.
  ticks(values) {
    const low = Math.min(...values), high = Math.max(...values);
    let found = [];
    for (const steps of [[1, 2, 5], [1, 3], [1]]) {
      const round = [];
      for (let decade = Math.floor(Math.log10(low)) - 1; decade <= Math.ceil(Math.log10(high)) + 1; decade += 1) {
        for (const step of steps) round.push(Number(`${step}e${decade}`));
      }
      const first = Math.max(...round.filter((one) => one <= low));
      const last = Math.min(...round.filter((one) => one >= high && one > first));
      found = round.filter((one) => first <= one && one <= last);
      if (found.length <= 5) return found;
    }
    const stride = Math.ceil((found.length - 1) / 5);
    return [...found.slice(0, -1).filter((_, index) => index % stride === 0), found.at(-1)];
  },

  // A chart for these rows; as `fitted` in toolkit/report/parameters.py.
  fitted(spec, rows, emulated, longest) {
    const made = structuredClone(spec);
    const about = made.usermeta;
    const values = { emulated };
    if (about.legend) values.shown = [...new Set(rows.map((row) => row[about.legend]))];
    if (about.longest) values.maximum = (longest ?? Math.max(...rows.map((row) => row[about.longest]))) * 1.3;
    for (const [name, field] of Object.entries(about.log ?? {})) values[name] = this.ticks(rows.map((row) => row[field]));
    for (const param of made.params) if (param.name in values) param.value = values[param.name];
    made.datasets = { rows };
    // An empty title would leave its room.
    if (!emulated) delete made.title;
    return made;
  },

  specs: new WeakMap(),
  // Drawn anew when the page becomes wider or narrower.
  sizes: new ResizeObserver((entries) => {
    for (const { target } of entries) if (Math.abs(target.clientWidth - Number(target.dataset.width)) > 1) requestAnimationFrame(() => charts.draw(target, charts.specs.get(target)));
  }),

  async draw(drawing, spec) {
    this.specs.set(drawing, spec);
    drawing.dataset.width = drawing.clientWidth;
    // Keeps its place meanwhile, so that the page does not jump.
    if (drawing.offsetHeight) drawing.style.minHeight = `${drawing.offsetHeight}px`;
    // The drawing has a name and a table; Vega's own roles would only be in the way.
    const canvas = document.createElement("div");
    canvas.setAttribute("aria-hidden", "true");
    drawing.replaceChildren(canvas);
    const sized = { ...spec, width: drawing.clientWidth, autosize: { type: "fit-x", contains: "padding" } };
    // ast: expressions are interpreted, so that the page's policy can forbid eval.
    await vegaEmbed(canvas, sized, { renderer: "svg", actions: false, ast: true, config: theme.chartConfig() });
    if (!canvas.isConnected) return;
    this.settle(drawing);
    drawing.style.minHeight = "";
    drawing.dataset.drawn = "";
    this.sizes.observe(drawing);
  },

  // Names beside points go where they cover nothing; those that find no place go away: the table has them.
  settle(drawing) {
    const frame = drawing.querySelector("svg").getBoundingClientRect();
    const names = [...drawing.querySelectorAll("[class*=names_marks] text")];
    const box = (element) => element.getBoundingClientRect();
    const taken = [...drawing.querySelectorAll("text, .mark-symbol.role-mark path")].filter((one) => !names.includes(one)).map(box);
    const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const sides = { right: ["start", 8, 0], above: ["middle", 0, -13], below: ["middle", 0, 15], left: ["end", -8, 0] };
    const said = new Set();
    for (const name of names) {
      const point = `${name.textContent} ${name.getAttribute("transform")}`;
      if (said.has(point)) { name.remove(); continue; }
      said.add(point);
      // Vega keeps a mark's item with its element: the side that was chosen for it is tried first.
      const own = sides[name.__data__?.datum?.place] ?? sides.right;
      const [x, y] = name.getAttribute("transform").match(/-?[\d.]+(?:e-?\d+)?/g).map(Number);
      const found = [own, ...Object.values(sides)].some(([anchor, dx, dy]) => {
        name.setAttribute("text-anchor", anchor);
        name.setAttribute("transform", `translate(${x - own[1] + dx},${y - own[2] + dy})`);
        const at = box(name);
        const inside = at.left >= frame.left && at.right <= frame.right && at.top >= frame.top && at.bottom <= frame.bottom;
        return inside && !taken.some((other) => meets(at, other));
      });
      if (found) taken.push(box(name));
      else name.remove();
    }
  },
};
