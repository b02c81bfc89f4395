"use strict";
// The figures: one panel per device (or one for all artifacts), each with charts, a caption and tables.

const figures = {
  // Panels of a figure that are shown at once.
  devices: 6,
  workload: document.getElementById("workload"),
  // Charts are drawn when they come near the screen.
  observer: new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting && figures.waiting.has(entry.target)) figures.draw(entry.target);
  }, { rootMargin: "600px" }),
  waiting: new Map(),

  // Rows of one chart: the columns of each item, turned and named.
  rows(items, chart) {
    return items.flatMap((item) => {
      const columns = item.charts[chart] ?? {};
      const [first] = Object.values(columns);
      return (first ?? []).map((_, index) => ({
        label: item.label, model: item.model, name: item.name, backend: item.backend, place: "right",
        ...Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[index]])),
      }));
    });
  },

  number(value) {
    if (typeof value !== "number" || Number.isInteger(value)) return String(value);
    return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
  },

  // The chart in words, for those who do not see it.
  alternative(chart, rows, where) {
    const title = data.charts[chart].title;
    const field = ["value", "ms", "mb"].find((name) => name in rows[0]);
    const sorted = [...rows].sort((a, b) => a[field] - b[field]);
    const flat = (row) => row.label.replaceAll("\n", ", ");
    const [low, high] = [sorted[0], sorted.at(-1)];
    const configurations = new Set(rows.map((row) => row.label)).size;
    return `${title}, ${where}: ${configurations} configurations, `
      + `from ${this.number(low[field])} (${flat(low)}) to ${this.number(high[field])} (${flat(high)}). `
      + "All values are in the table that follows.";
  },

  table(chart, rows) {
    const columns = Object.entries(data.charts[chart].columns);
    const head = make("tr", {}, make("th", { scope: "col", text: "configuration" }),
      ...columns.map(([, title]) => make("th", { scope: "col", class: "number", text: title })));
    const body = rows.map((row) => make("tr", {},
      make("td", { text: row.label.replaceAll("\n", ", ") }),
      ...columns.map(([name]) => make("td", { class: "number", text: this.number(row[name]) }))));
    return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
  },

  chart(figure, chart, items, panel) {
    const rows = this.rows(items, chart);
    const heading = make("h5", { text: data.charts[chart].title });
    if (!rows.length) return make("div", { class: "chart" }, heading, make("p", { class: "muted", text: "Not measured." }));
    const drawing = make("div", { class: "drawing", role: "img", "aria-label": this.alternative(chart, rows, panel.where) });
    // Keeps its place before it is drawn, so that the page does not jump.
    drawing.style.minHeight = `${this.height(data.charts[chart].spec, rows) + 90}px`;
    this.waiting.set(drawing, { chart, rows, panel });
    this.observer.observe(drawing);
    const details = make("details", {}, make("summary", { text: `Values: ${data.charts[chart].title}` }));
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) {
        details.append(make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": data.charts[chart].title }, this.table(chart, rows)));
      }
    });
    return make("div", { class: "chart" }, heading, drawing, details);
  },

  height(spec, rows) {
    return spec.height.step ? spec.height.step * new Set(rows.map((row) => row.label)).size : spec.height;
  },

  async draw(drawing) {
    const { chart, rows, panel } = this.waiting.get(drawing);
    this.observer.unobserve(drawing);
    this.waiting.delete(drawing);
    const { spec } = data.charts[chart];
    const fitted = charts.fitted(spec, rows, panel.emulated, panel.longest[chart]);
    // Vega-Lite warns where a width that fits meets a height per row.
    fitted.height = this.height(spec, rows);
    await charts.draw(drawing, fitted);
  },

  // Real devices share the bars' range, so that panels can be compared by eye; pages of a panel do, too.
  longest(figure, panels) {
    const longest = {};
    for (const chart of figure.charts) {
      const field = data.charts[chart].spec.usermeta.longest;
      const ends = field ? panels.flatMap((panel) => this.rows(panel.items, chart).map((row) => row[field])) : [];
      if (ends.length) longest[chart] = ends.reduce((one, other) => Math.max(one, other));
    }
    return longest;
  },

  caption(panel) {
    const caption = make("figcaption", {});
    if (panel.emulated) caption.append(make("strong", { text: "Emulated device: says nothing about the speed of a phone, and has axes of its own. " }));
    caption.append(`Conditions: ${panel.conditions}.`);
    return caption;
  },

  panel(figure, panel) {
    const made = make("figure", panel.emulated ? { class: "emulated" } : {});
    const title = make("h4", { text: panel.where });
    if (panel.emulated) title.append(" ", make("span", { class: "badge warning", text: "emulated" }));
    const drawings = make("div", { class: "charts" });
    const pages = inPages(panel.items, figure.limit, "Configurations", (items) => {
      this.forget(drawings);
      // What was measured at one length only is no line.
      const charts = figure.charts.filter((chart) => figure.key !== "lengths" || items.some((item) => item.charts[chart]));
      drawings.replaceChildren(...charts.map((chart) => this.chart(figure, chart, items, panel)));
    });
    made.append(title, ...pages, drawings, this.caption(panel));
    return made;
  },

  // What leaves the page is no longer drawn.
  forget(element) {
    for (const drawing of element.querySelectorAll(".drawing")) {
      this.observer.unobserve(drawing);
      this.waiting.delete(drawing);
    }
  },

  panels(figure) {
    if (figure.scope === "artifact") {
      const items = data.artifacts.filter((item) => runs.passes({ backend: item.backend, quantization: item.quantization }, item.label));
      return items.length ? [{ where: "All artifacts", emulated: false, items, conditions: "fixed prompt set on the converting host, against fp32 transformers; positions are in the table" }] : [];
    }
    const workload = Number(this.workload.value);
    const items = this.items(figure, workload);
    return data.devices.map((device, index) => ({
      where: device.label,
      emulated: device.emulated,
      items: items.filter((item) => item.device === index),
      conditions: `${data.workloads[workload].text}; on ${device.label}`,
    })).filter((panel) => panel.items.length);
  },

  passes(item) {
    const device = data.devices[item.device];
    return runs.passes({ backend: item.backend, quantization: item.quantization, device: device.key, emulated: device.emulated ? "yes" : "no" }, `${item.label} ${device.label} ${item.runs}`);
  },

  // What a figure shows under these conditions; over lengths, a line for all that differ in this length alone.
  items(figure, workload) {
    const own = data.configurations.filter((item) => item.workload === workload && this.passes(item));
    if (figure.key !== "lengths") return own.filter((item) => figure.charts.some((chart) => item.charts[chart]));
    const passing = data.configurations.filter((item) => this.passes(item));
    const lines = new Map();
    for (const chart of figure.charts) {
      const { measured, length } = data.over[chart];
      const apart = (item) => data.workloads[item.workload].apart[length];
      const points = new Map();
      for (const item of passing) {
        if (apart(item) !== data.workloads[workload].apart[length] || !item.charts[measured]) continue;
        const key = `${item.device} ${item.series}`;
        points.set(key, [...(points.get(key) ?? []), item]);
      }
      for (const [key, found] of points) {
        if (new Set(found.map((item) => item.workload)).size < 2) continue;
        const at = (item) => data.workloads[item.workload].lengths[length];
        const sorted = [...found].sort((one, other) => at(one) - at(other));
        const [first] = sorted;
        if (!lines.has(key)) lines.set(key, { ...first, label: first.series, charts: {} });
        const columns = { length: sorted.map(at) };
        for (const field of Object.keys(first.charts[measured])) columns[field] = sorted.map((item) => item.charts[measured][field][0]);
        lines.get(key).charts[chart] = columns;
      }
    }
    return [...lines.values()];
  },

  show() {
    this.observer.disconnect();
    this.waiting.clear();
    for (const figure of data.figures) {
      const target = document.querySelector(`[data-figure="${figure.key}"] .all`);
      const panels = this.panels(figure);
      const shared = this.longest(figure, panels.filter((panel) => !panel.emulated));
      for (const panel of panels) panel.longest = panel.emulated ? this.longest(figure, [panel]) : shared;
      const list = make("div", { class: "panels" });
      const pages = inPages(panels, this.devices, "Devices", (some) => {
        this.forget(list);
        list.replaceChildren(...some.map((panel) => this.panel(figure, panel)));
      });
      target.replaceChildren(...pages, list);
      if (!panels.length) target.replaceChildren(make("p", { class: "muted", text: "Nothing that passes the filters was measured under these conditions." }));
    }
  },

  start() {
    window.addEventListener("beforeprint", () => { for (const drawing of [...this.waiting.keys()]) this.draw(drawing); });
    this.show();
  },
};
