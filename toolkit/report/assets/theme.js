"use strict";
// The page follows the system until the button is used.
const theme = {
  button: document.getElementById("theme"),
  system: window.matchMedia("(prefers-color-scheme: dark)"),

  isDark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : this.system.matches;
  },

  colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  },

  // The charts' look; colours come from the page's CSS variables.
  chartConfig() {
    const text = this.colour("text"), muted = this.colour("muted"), grid = this.colour("grid");
    const font = getComputedStyle(document.body).fontFamily;
    const series = [...Array(8).keys()].map((number) => this.colour(`series-${number}`));
    return {
      background: "transparent",
      font,
      // The drawing has a text alternative of its own; thousands of labelled marks would bury it.
      aria: false,
      view: { stroke: null },
      range: { category: series },
      axis: {
        labelColor: text, titleColor: muted, gridColor: grid, domainColor: grid, tickColor: grid,
        labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal",
      },
      axisY: { grid: true },
      legend: { symbolBaseFillColor: muted, symbolBaseStrokeColor: muted, labelColor: text, titleColor: muted, labelFontSize: 12, layout: { top: { direction: "vertical", margin: 4 } } },
      title: { color: this.colour("warning"), fontSize: 12, fontWeight: "bold" },
      rule: { color: text }, tick: { color: text }, text: { color: text },
    };
  },

  start(changed) {
    // Says what a click brings.
    const label = () => { this.button.textContent = this.isDark() ? "Light theme" : "Dark theme"; };
    const show = () => { label(); changed(); };
    this.button.addEventListener("click", () => {
      document.documentElement.dataset.theme = this.isDark() ? "light" : "dark";
      show();
    });
    this.system.addEventListener("change", show);
    label();
  },
};
