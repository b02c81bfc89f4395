"use strict";
// Filters and the table of runs. Without JavaScript the page has the newest of them; this shows all, a hundred at a time.
const runs = {
  size: 100,
  form: document.getElementById("filters"),
  text: document.getElementById("filter-text"),
  selects: [...document.querySelectorAll("[data-filter]")],
  body: document.querySelector("#runs-table tbody"),
  order: data.runs ? [...Array(data.runs.count).keys()] : [],

  // A column's text in a row: each text is in the page once.
  at(column, row) {
    const { values, at } = data.runs.columns[column];
    return values[at[row]];
  },

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
    const { titles } = data.runs;
    const names = this.selects.map((select) => select.dataset.filter);
    const matching = this.order.filter((row) => this.passes(Object.fromEntries(names.map((name) => [name, this.at(name, row)])),
      titles.map((title) => this.at(title, row)).join(" ")));
    document.getElementById("shown").textContent = `${matching.length} of ${data.runs.count} runs`;
    const pages = inPages(matching, this.size, "Runs", (some) => this.body.replaceChildren(...some.map((row) => this.row(row))));
    document.getElementById("runs-pages").replaceChildren(...pages);
  },

  row(row) {
    const emulated = this.at("emulated", row) === "yes";
    const cells = data.runs.titles.map((title) => {
      const text = this.at(title, row);
      const cell = make("td", data.runs.numeric.includes(title) ? { class: "number" } : {});
      if (title === "Status" && text !== "ok") cell.append(make("span", { class: "badge bad", title: this.at("error", row), text }));
      else cell.append(text);
      if (title === "Device" && emulated) cell.append(" ", make("span", { class: "badge warning", text: "emulated" }));
      return cell;
    });
    return make("tr", { class: emulated ? "run emulated" : "run" }, ...cells);
  },

  sort(button) {
    const heading = button.parentElement;
    const numeric = "numeric" in button.dataset;
    const title = button.textContent;
    // Numbers are mostly looked at from the top.
    const first = numeric ? "descending" : "ascending", second = numeric ? "ascending" : "descending";
    const order = heading.getAttribute("aria-sort") === first ? second : first;
    for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const { values, at } = data.runs.columns[title];
    // Times sort as text, and what has no number comes last.
    const keys = values.map((text) => (!numeric || text.includes(":") ? text : Number.isNaN(Number.parseFloat(text)) ? null : Number.parseFloat(text)));
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    this.order.sort((one, other) => {
      const a = keys[at[one]], b = keys[at[other]];
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (typeof a === "number" ? a - b : compare(a, b));
    });
    this.filter();
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
