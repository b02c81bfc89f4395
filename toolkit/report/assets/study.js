"use strict";
// The charts of a study's report: each has its numbers in it and is drawn when it comes near the screen.
const data = JSON.parse(document.getElementById("data").textContent);

const study = {
  waiting: new Set(),
  observer: new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) study.draw(entry.target);
  }, { rootMargin: "600px" }),

  async draw(drawing) {
    this.observer.unobserve(drawing);
    this.waiting.delete(drawing);
    const canvas = document.createElement("div");
    // The drawing has a name and a table; Vega's own roles would only be in the way.
    canvas.setAttribute("aria-hidden", "true");
    drawing.replaceChildren(canvas);
    const spec = structuredClone(data.charts[Number(drawing.dataset.chart)]);
    // ast: expressions are interpreted, so that the page's policy can forbid eval.
    await vegaEmbed(canvas, spec, { renderer: "svg", actions: false, ast: true, config: theme.chartConfig() });
    drawing.dataset.drawn = "";
  },

  show() {
    this.observer.disconnect();
    for (const drawing of document.querySelectorAll("[data-chart]")) {
      this.waiting.add(drawing);
      this.observer.observe(drawing);
    }
  },
};

window.addEventListener("beforeprint", () => { for (const drawing of [...study.waiting]) study.draw(drawing); });
theme.start(() => study.show());
study.show();
