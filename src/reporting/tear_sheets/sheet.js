"use strict";
// Chooses the scale of the equity, and lists all trades where the page holds the first ones.
(() => {
  for (const choice of document.querySelectorAll("input[name=scale]")) {
    choice.addEventListener("change", () => {
      for (const part of document.querySelectorAll("[data-scale]")) part.hidden = part.dataset.scale !== choice.value;
    });
  }
  const minus = (text) => text.replace("-", "\u2212");
  const forms = {
    count: (n) => n.toLocaleString("en-US"),
    percent: (n) => minus(`${(100 * n).toFixed(1)}%`),
    fine: (n) => minus(`${(100 * n).toFixed(3)}%`),
  };
  const column = (packed) => window.unpackedColumn(packed).map((value) => {
    if (packed.kind === "text") return { text: value ?? "\u2013" };
    if (value === null) return { text: packed.kind === "day" ? "open" : "\u2013" };
    if (packed.kind === "day") return { text: new Date(value * 864e5).toISOString().slice(0, 10) };
    const number = value / 10 ** packed.places;
    return { text: forms[packed.form](number), order: number };
  });
  for (const button of document.querySelectorAll(".all-trades")) {
    button.addEventListener("click", () => {
      const columns = Object.values(JSON.parse(document.getElementById("data-trades").textContent)).map(column);
      const body = document.querySelector("table.trades").tBodies[0];
      const numeric = [...body.rows[0].cells].map((cell) => cell.classList.contains("number"));
      const rows = columns[0].map((_, i) => {
        const row = document.createElement("tr");
        columns.forEach((cells, k) => {
          const cell = document.createElement(k ? "td" : "th");
          if (!k) cell.scope = "row";
          if (numeric[k]) cell.className = "number";
          if ("order" in cells[i]) cell.dataset.v = cells[i].order;
          cell.textContent = cells[i].text;
          row.append(cell);
        });
        return row;
      });
      body.replaceChildren(...rows);
      button.remove();
    });
  }
})();
