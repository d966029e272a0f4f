"use strict";
// The page works without this script, which adds sorting and a filter and opens folded parts for printing.
const { compare } = new Intl.Collator();
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  if (table.closest(".data-table")) continue; // tables.js serves it
  if (!table.tHead || body.rows.length < 2 || ["plain", "confusion", "states"].some((kind) => table.classList.contains(kind))) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    const word = head.querySelector("[data-tip]");
    if (word) button.dataset.tip = word.dataset.tip;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("number");
      const down = head.hasAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : numeric;
      const value = (row) => {
        const cell = row.cells[column];
        return numeric ? ("v" in cell.dataset ? Number(cell.dataset.v) : null) : cell.textContent;
      };
      const order = ([x], [y]) => {
        if (x === null || y === null) return (x === null) - (y === null);
        return (numeric ? x - y : compare(x, y)) * (down ? -1 : 1);
      };
      const keyed = [...body.rows].map((row) => [value(row), row]);
      body.append(...keyed.sort(order).map(([, row]) => row));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
  });
}
for (const table of document.querySelectorAll("table.runs")) {
  const rows = [...table.tBodies[0].rows];
  const texts = new Map(); // made when first asked for: ten thousand rows open faster
  if (rows.length < 6) continue;
  const tools = document.createElement("div");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const count = document.createElement("span");
  tools.className = "tools";
  input.type = "search";
  const noun = table.dataset.noun || "runs";
  input.placeholder = table.dataset.hint || "crypto lightgbm";
  count.setAttribute("role", "status");
  label.append("Show only ", input);
  tools.append(label, count);
  table.closest(".scroll").before(tools);
  input.addEventListener("input", () => {
    const terms = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      if (!texts.has(row)) {
        const cells = table.dataset.noun ? [...row.cells] : [...row.cells].slice(0, 3);
        texts.set(row, cells.map((cell) => cell.textContent).join(" ").toLowerCase());
      }
      const text = texts.get(row);
      row.hidden = !terms.every((term) => text.includes(term));
      shown += !row.hidden;
    }
    count.textContent = terms.length ? `${shown} of ${rows.length} ${noun}` : "";
  });
}
// Definitions where the word stands: under the pointer, and with the keyboard's focus. Escape hides them.
const tip = document.createElement("div");
tip.id = "tip";
tip.className = "tip";
tip.role = "tooltip";
tip.hidden = true;
document.body.append(tip);
const hideTip = () => {
  document.querySelector("[aria-describedby=tip]")?.removeAttribute("aria-describedby");
  tip.hidden = true;
};
const showTip = (event) => {
  const word = event.target.closest?.("[data-tip]");
  if (!word) return;
  hideTip();
  tip.textContent = word.dataset.tip;
  word.setAttribute("aria-describedby", "tip");
  tip.hidden = false;
  const at = word.getBoundingClientRect(), size = tip.getBoundingClientRect();
  const left = Math.min(at.left, document.documentElement.clientWidth - size.width - 12);
  const above = at.top - size.height - 6;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${at.bottom + 6 + size.height > innerHeight && above > 0 ? above : at.bottom + 6}px`;
};
for (const kind of ["mouseover", "focusin"]) document.addEventListener(kind, showTip);
document.addEventListener("mouseout", (event) => { if (event.target.closest?.("[data-tip]")) hideTip(); });
document.addEventListener("focusout", hideTip);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
addEventListener("scroll", hideTip, { passive: true, capture: true });
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
