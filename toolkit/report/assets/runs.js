"use strict";
// Filters and the table of runs. The table is there without JavaScript; this hides and orders its rows.
const runs = {
  form: document.getElementById("filters"),
  text: document.getElementById("filter-text"),
  selects: [...document.querySelectorAll("[data-filter]")],
  rows: [...document.querySelectorAll("#runs-table tbody tr")],

  // Values of the filters that are set, by name.
  chosen() {
    return Object.fromEntries(
      this.selects.filter((select) => select.value).map((select) => [select.dataset.filter, select.value]),
    );
  },

  words() {
    return this.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  },

  // Whether something with these attributes and this text passes the filters that it has an attribute for.
  passes(attributes, text) {
    const lower = text.toLowerCase();
    return Object.entries(this.chosen()).every(([name, value]) => !(name in attributes) || attributes[name] === value)
      && this.words().every((word) => lower.includes(word));
  },

  filter() {
    let shown = 0;
    for (const row of this.rows) {
      row.hidden = !this.passes(row.dataset, row.textContent);
      shown += !row.hidden;
    }
    document.getElementById("shown").textContent = `${shown} of ${this.rows.length} runs`;
  },

  sort(button) {
    const heading = button.parentElement;
    const numeric = "numeric" in button.dataset;
    const column = Number(button.dataset.column);
    // Numbers are mostly looked at from the top.
    const first = numeric ? "descending" : "ascending", second = numeric ? "ascending" : "descending";
    const order = heading.getAttribute("aria-sort") === first ? second : first;
    for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => {
      const cell = row.cells[column];
      return numeric ? ("n" in cell.dataset ? Number(cell.dataset.n) : null) : cell.textContent;
    };
    const keyed = this.rows.map((row) => [key(row), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (numeric ? a - b : a.localeCompare(b, "en", { numeric: true }));
    });
    document.querySelector("#runs-table tbody").append(...keyed.map(([, row]) => row));
  },

  start(changed) {
    const apply = () => { this.filter(); changed(); };
    this.form.addEventListener("input", apply);
    this.form.addEventListener("submit", (event) => event.preventDefault());
    // The fields are cleared after this event.
    this.form.addEventListener("reset", () => requestAnimationFrame(apply));
    for (const button of document.querySelectorAll("th button")) {
      button.addEventListener("click", () => this.sort(button));
    }
    // A browser that goes back to the page brings the fields' values with it.
    this.filter();
  },
};
