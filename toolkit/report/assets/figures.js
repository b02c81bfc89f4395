"use strict";
// The figures: one panel per device (or one for all artifacts), each with charts, a caption and tables.
const data = JSON.parse(document.getElementById("data").textContent);

const figures = {
  maxDevices: 6,
  workload: document.getElementById("workload"),
  // Charts are drawn when they come near the screen.
  observer: new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) figures.draw(entry.target);
  }, { rootMargin: "600px" }),
  waiting: new Map(),

  element(name, { text, ...attributes } = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    made.append(...children);
    return made;
  },

  // Rows of one chart: the columns of each item, turned and named.
  rows(items, chart) {
    return items.flatMap((item) => {
      const columns = item.charts[chart] ?? {};
      const [first] = Object.values(columns);
      return (first ?? []).map((_, index) => ({
        label: item.label, model: item.model, name: item.name, backend: item.backend,
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
    const head = this.element("tr", {}, this.element("th", { scope: "col", text: "configuration" }),
      ...columns.map(([, title]) => this.element("th", { scope: "col", class: "number", text: title })));
    const body = rows.map((row) => this.element("tr", {},
      this.element("td", { text: row.label.replaceAll("\n", ", ") }),
      ...columns.map(([name]) => this.element("td", { class: "number", text: this.number(row[name]) }))));
    return this.element("table", {}, this.element("thead", {}, head), this.element("tbody", {}, ...body));
  },

  chart(figure, chart, items, panel) {
    const rows = this.rows(items, chart);
    const heading = this.element("h5", { text: data.charts[chart].title });
    if (!rows.length) return this.element("div", { class: "chart" }, heading, this.element("p", { class: "muted", text: "Not measured." }));
    const drawing = this.element("div", { class: "drawing", role: "img", "aria-label": this.alternative(chart, rows, panel.where) });
    // Keeps its place before it is drawn, so that the page does not jump.
    drawing.style.minHeight = `${this.height(data.charts[chart].spec, rows) + 90}px`;
    this.waiting.set(drawing, { chart, rows, panel });
    this.observer.observe(drawing);
    const details = this.element("details", {}, this.element("summary", { text: `Values: ${data.charts[chart].title}` }));
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) {
        details.append(this.element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": data.charts[chart].title }, this.table(chart, rows)));
      }
    });
    return this.element("div", { class: "chart" }, heading, drawing, details);
  },

  height(spec, rows) {
    return spec.height.step ? spec.height.step * new Set(rows.map((row) => row.label)).size : spec.height;
  },

  async draw(drawing) {
    const { chart, rows, panel } = this.waiting.get(drawing);
    this.observer.unobserve(drawing);
    const spec = structuredClone(data.charts[chart].spec);
    for (const param of spec.params) if (param.name === "emulated") param.value = panel.emulated;
    if (panel.limits[chart]) {
      for (const layer of spec.layer ?? [spec]) {
        const x = layer.encoding.x;
        if (x.scale || spec.layer) x.scale = { ...x.scale, domainMax: panel.limits[chart] };
      }
    }
    // Vega-Lite warns where a width that fits meets a height per row.
    spec.height = this.height(spec, rows);
    spec.datasets = { rows };
    // ast: expressions are interpreted, so that the page's policy can forbid eval.
    // The drawing has a name and a table; Vega's own roles would only be in the way.
    const canvas = this.element("div", { "aria-hidden": "true" });
    drawing.replaceChildren(canvas);
    await vegaEmbed(canvas, spec, { renderer: "svg", actions: false, ast: true, config: theme.chartConfig() });
    drawing.dataset.drawn = "";
  },

  // Real devices share the bars' range, so that panels can be compared by eye.
  limits(panels) {
    const limits = {};
    for (const chart of ["prefill", "decode"]) {
      const highs = panels.filter((panel) => !panel.emulated).flatMap((panel) => this.rows(panel.items, chart).map((row) => row.high));
      if (highs.length) limits[chart] = Math.max(...highs) * 1.02;
    }
    return limits;
  },

  caption(figure, panel, left) {
    const caption = this.element("figcaption", {});
    if (panel.emulated) caption.append(this.element("strong", { text: "Emulated device: says nothing about the speed of a phone, and has axes of its own. " }));
    caption.append(`Conditions: ${panel.conditions}.`);
    if (left > 0) caption.append(` The ${panel.items.length} fastest of ${panel.items.length + left} configurations; filter to see others.`);
    return caption;
  },

  panel(figure, panel, limits) {
    const all = panel.items;
    panel.items = all.slice(0, figure.limit);
    panel.limits = panel.emulated ? {} : limits;
    const made = this.element("figure", panel.emulated ? { class: "emulated" } : {});
    const title = this.element("h4", { text: panel.where });
    if (panel.emulated) title.append(" ", this.element("span", { class: "badge warning", text: "emulated" }));
    made.append(title, this.element("div", { class: "charts" },
      ...figure.charts.map((chart) => this.chart(figure, chart, panel.items, panel))));
    made.append(this.caption(figure, panel, all.length - panel.items.length));
    return made;
  },

  panels(figure) {
    if (figure.scope === "artifact") {
      const items = data.artifacts.filter((item) => runs.passes({ backend: item.backend, quantization: item.quantization }, item.label));
      return items.length ? [{ where: "All artifacts", emulated: false, items, conditions: "fixed prompt set on the converting host, against fp32 transformers; positions are in the table" }] : [];
    }
    const workload = Number(this.workload.value);
    return data.devices.map((device, index) => ({
      where: device.label,
      emulated: device.emulated,
      items: data.configurations.filter((item) => item.workload === workload && item.device === index
        && figure.charts.some((chart) => item.charts[chart])
        && runs.passes({ backend: item.backend, quantization: item.quantization, device: device.key, emulated: device.emulated ? "yes" : "no" }, `${item.label} ${device.label} ${item.runs}`)),
      conditions: `${data.workloads[workload]}; on ${device.label}`,
    })).filter((panel) => panel.items.length);
  },

  show() {
    this.observer.disconnect();
    this.waiting.clear();
    for (const figure of data.figures) {
      const target = document.querySelector(`[data-figure="${figure.key}"] .panels`);
      const panels = this.panels(figure);
      const shown = panels.slice(0, this.maxDevices);
      const limits = this.limits(shown);
      target.replaceChildren(...shown.map((panel) => this.panel(figure, panel, limits)));
      if (!panels.length) target.append(this.element("p", { class: "muted", text: "Nothing that passes the filters was measured under these conditions." }));
      if (panels.length > shown.length) target.append(this.element("p", { class: "muted", text: `${panels.length - shown.length} more devices; choose one in the filter.` }));
    }
  },

  start() {
    this.workload?.addEventListener("change", () => this.show());
    window.addEventListener("beforeprint", () => { for (const drawing of this.waiting.keys()) this.draw(drawing); });
    this.show();
  },
};

let pending = 0;
const redraw = () => {
  cancelAnimationFrame(pending);
  pending = requestAnimationFrame(() => figures.show());
};
theme.start(redraw);
runs.start(redraw);
figures.start();
