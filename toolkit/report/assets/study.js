"use strict";
// The charts of a study's report: each has its numbers in it and is drawn when it comes near the screen.

const study = {
  waiting: new Set(),
  observer: new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) study.draw(entry.target);
  }, { rootMargin: "600px" }),

  async draw(drawing) {
    this.observer.unobserve(drawing);
    this.waiting.delete(drawing);
    await charts.draw(drawing, structuredClone(data.charts[Number(drawing.dataset.chart)]));
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
