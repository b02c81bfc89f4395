"use strict";
// Everything at a glance: configurations by devices, one figure at a time, quality and size beside it.
const matrix = {
  rows: 40,
  table: document.getElementById("matrix-table"),
  figure: document.getElementById("matrix-figure"),
  // Whether more is better decides what stands first.
  falling: new Set(["first_token", "per_token", "memory", "prefill_energy", "decode_energy"]),

  value(item, chart) {
    const columns = item.charts[chart];
    return columns ? (columns.value ?? columns.total)[0] : undefined;
  },

  // Colour by the logarithm: models of one report differ by orders of magnitude.
  shade(value, values) {
    const low = Math.log(Math.min(...values)), high = Math.log(Math.max(...values));
    const share = high > low ? (Math.log(value) - low) / (high - low) : 1;
    return `background: color-mix(in srgb, var(--series-0) ${Math.round(4 + 30 * share)}%, var(--background))`;
  },

  show() {
    if (!this.table) return;
    const chart = this.figure.value;
    const items = data.configurations.filter((item) => item.workload === Number(figures.workload.value)
      && figures.passes(item) && this.value(item, chart) > 0);
    const devices = [...new Set(items.map((item) => item.device))].sort((one, other) => one - other);
    const lines = new Map();
    for (const item of items) lines.set(item.label, [...(lines.get(item.label) ?? []), item]);
    const best = (line) => Math.max(...line.map((item) => this.value(item, chart) * (this.falling.has(chart) ? -1 : 1)));
    const sorted = [...lines.values()].sort((one, other) => best(other) - best(one));
    const of = (emulated) => items.filter((item) => data.devices[item.device].emulated === emulated).map((item) => this.value(item, chart));
    const values = { real: of(false), emulated: of(true) };
    const number = (value) => make("td", { class: "number", text: value === undefined || value === null ? "-" : figures.number(value) });
    const head = make("tr", {}, ...["Configuration", "Size MB", "KL, nats", "Same top token %"].map((text, index) => make("th", { scope: "col", text, ...(index ? { class: "number" } : {}) })),
      ...devices.map((device) => make("th", { scope: "col", class: "number", text: data.devices[device].label + (data.devices[device].emulated ? " (emulated)" : "") })));
    const body = make("tbody", {});
    const pages = inPages(sorted, this.rows, "Configurations", (some) => body.replaceChildren(...some.map((line) => make("tr", {},
      make("th", { scope: "row", text: line[0].label.replaceAll("\n", ", ") }),
      number(line[0].size_mb), number(line[0].quality?.[0]), number(line[0].quality?.[1]),
      ...devices.map((device) => {
        const item = line.find((one) => one.device === device);
        const cell = number(item && this.value(item, chart));
        const { emulated } = data.devices[device];
        if (item) cell.setAttribute("style", this.shade(this.value(item, chart), emulated ? values.emulated : values.real));
        if (emulated) cell.classList.add("emulated");
        return cell;
      })))));
    const made = sorted.length
      ? [...pages, make("div", { class: "scroll tall", tabindex: "0", role: "group", "aria-label": "Configurations by devices" }, make("table", {}, make("thead", {}, head), body))]
      : [make("p", { class: "muted", text: "Nothing that passes the filters was measured under these conditions." })];
    this.table.replaceChildren(...made);
  },
};
