"use strict";
// Draws the charts of a page when they come near the window; a change between light and dark draws them again.
(() => {
  const rows = (columns) => {
    const names = Object.keys(columns);
    const count = names.length ? columns[names[0]].length : 0;
    return Array.from({ length: count }, (_, i) => Object.fromEntries(names.map((name) => [name, columns[name][i]])));
  };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const theme = () => ({
    background: "transparent",
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: null },
    axis: { labelColor: colour("--soft"), titleColor: colour("--soft"), gridColor: colour("--rule"), domainColor: colour("--rule"), tickColor: colour("--rule"), titleFontWeight: "normal" },
    legend: { labelColor: colour("--soft"), titleColor: colour("--soft"), orient: "top", title: null },
    title: { color: colour("--ink"), subtitleColor: colour("--soft"), anchor: "start" },
  });
  const draw = async (frame) => {
    const { spec, data } = JSON.parse(frame.querySelector("script").textContent);
    const datasets = Object.fromEntries(Object.entries(data).map(([name, columns]) => [name, rows(columns)]));
    const place = frame.querySelector(".drawing");
    try {
      await vegaEmbed(place, { ...spec, datasets }, {
        ast: true, renderer: "svg", config: theme(), tooltip: { theme: "custom" },
        actions: { export: true, source: false, compiled: false, editor: false },
      });
      frame.classList.add("drawn");
    } catch (error) {
      place.textContent = `This chart can't be drawn: ${error.message}`;
      console.error(frame.id, error);
    }
  };
  const frames = [...document.querySelectorAll("figure.chart")];
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target); }
    }
  }, { rootMargin: "400px" });
  frames.forEach((frame) => seen.observe(frame));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    frames.filter((frame) => frame.classList.contains("drawn")).forEach(draw);
  });
  addEventListener("beforeprint", () => frames.filter((frame) => !frame.classList.contains("drawn")).forEach(draw));
})();
