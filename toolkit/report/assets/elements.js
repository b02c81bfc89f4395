"use strict";
// Elements that scripts make, and long lists of them in pages.
const make = (name, { text, ...attributes } = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
};

// Shows so many of all things at once; returns the buttons for the others, if there are any.
const inPages = (all, size, things, show) => {
  if (all.length <= size) { show(all); return []; }
  let first = 0;
  const said = make("span", { role: "status" });
  const before = make("button", { type: "button", text: "Previous" }), after = make("button", { type: "button", text: "Next" });
  const turn = (start) => {
    first = start;
    const last = Math.min(first + size, all.length);
    said.textContent = `${things} ${first + 1} to ${last} of ${all.length}`;
    before.disabled = first === 0;
    after.disabled = last === all.length;
    show(all.slice(first, last));
  };
  before.addEventListener("click", () => turn(first - size));
  after.addEventListener("click", () => turn(first + size));
  turn(0);
  return [make("div", { class: "pages" }, before, after, said)];
};
