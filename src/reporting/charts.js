"use strict";
// Draws the charts of a page when they come near the window; a change between light and dark draws them again.
(() => {
  const rows = (columns) => {
    const names = Object.keys(columns);
    const count = names.length ? columns[names[0]].length : 0;
    return Array.from({ length: count }, (_, i) => Object.fromEntries(names.map((name) => [name, columns[name][i]])));
  };
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  // Whole numbers as differences, five bits a letter and the sign first; a full stop is an undefined one.
  const numbers = (text) => {
    const found = [];
    let last = 0, rest = 0, bits = 0;
    for (const letter of text) {
      if (letter === ".") { found.push(null); continue; }
      const part = letters.indexOf(letter);
      rest += (part & 31) * 2 ** bits;
      bits += 5;
      if (part & 32) continue;
      last += (rest % 2 ? -1 : 1) * Math.floor(rest / 2);
      found.push(last);
      rest = bits = 0;
    }
    return found;
  };
  window.unpackedColumn = ({ kind, values }) => (kind === "text" ? values : numbers(values));
  const unpacked = (columns) => {
    const plain = {};
    for (const [name, column] of Object.entries(columns)) {
      const { kind, places } = column;
      const whole = window.unpackedColumn(column);
      if (kind === "day") {
        plain[name] = whole.map((day) => (day === null ? null : day * 864e5));
        plain.day = plain[name].map((time) => (time === null ? null : new Date(time).toISOString().slice(0, 10)));
      } else plain[name] = kind === "number" ? whole.map((n) => (n === null ? null : n / 10 ** places)) : whole;
    }
    return rows(plain);
  };
  const kept = new Map();
  const shared = (name) => {
    if (!kept.has(name)) kept.set(name, unpacked(JSON.parse(document.getElementById(`data-${name}`).textContent)));
    return kept.get(name).map((row) => ({ ...row }));
  };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // A specification names colours as the style sheet does, such as var(--observed).
  const coloured = (spec) => JSON.parse(JSON.stringify(spec).replace(/var\((--[\w-]+)\)/g, (_, name) => colour(name)));
  const theme = () => ({ ...coloured(THEME), font: getComputedStyle(document.body).fontFamily });
  // Charts with the same data-zoom show the same days.
  const groups = new Map();
  const group = (name) => {
    if (!groups.has(name)) groups.set(name, { views: new Map(), range: null });
    return groups.get(name);
  };
  const show = (of, range) => {
    of.range = range;
    for (const view of of.views.values()) {
      if (String(view.signal("zoom_date")) !== String(range)) view.signal("zoom_date", range).runAsync();
    }
  };
  const link = (frame, view) => {
    if (!frame.dataset.zoom) return;
    const of = group(frame.dataset.zoom);
    of.views.set(frame.id, view);
    if (of.range) view.signal("zoom_date", of.range).runAsync();
    view.addSignalListener("zoom_date", (_, range) => show(of, range));
  };
  const draw = async (frame) => {
    const { spec, data, shared: names = [] } = JSON.parse(frame.querySelector("script").textContent);
    const datasets = Object.fromEntries(Object.entries(data).map(([name, columns]) => [name, rows(columns)]));
    for (const name of names) datasets[name] = shared(name);
    const place = frame.querySelector(".drawing");
    try {
      const { view } = await vegaEmbed(place, { ...coloured(spec), datasets }, {
        ast: true, renderer: "svg", config: theme(), tooltip: { theme: "custom" },
        actions: { export: true, source: false, compiled: false, editor: false },
      });
      link(frame, view);
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
  for (const button of document.querySelectorAll("button[data-days]")) {
    button.addEventListener("click", () => {
      const days = Number(button.dataset.days), last = Date.parse(button.dataset.last);
      show(group(button.dataset.zooms), days ? [last - days * 864e5, last] : null);
      for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    frames.filter((frame) => frame.classList.contains("drawn")).forEach(draw);
  });
  addEventListener("beforeprint", () => frames.filter((frame) => !frame.classList.contains("drawn")).forEach(draw));
})();
