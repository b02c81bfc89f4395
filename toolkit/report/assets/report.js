"use strict";
// Whatever is chosen holds for all of the page.
let pending = 0;
const redraw = () => {
  cancelAnimationFrame(pending);
  pending = requestAnimationFrame(() => {
    matrix.show();
    figures.show();
  });
};
theme.start(redraw);
runs.start(redraw);
figures.workload?.addEventListener("change", redraw);
matrix.figure?.addEventListener("change", () => matrix.show());
matrix.show();
figures.start();
