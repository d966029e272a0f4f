"use strict";
// The page works without this script, which adds sorting and a filter and opens folded parts for printing.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  if (body.rows.length < 2 || table.classList.contains("confusion") || table.classList.contains("states")) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("number");
      const down = head.hasAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : numeric;
      const value = (row) => {
        const cell = row.cells[column];
        return numeric ? ("v" in cell.dataset ? Number(cell.dataset.v) : null) : cell.textContent;
      };
      const order = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        return (numeric ? x - y : x.localeCompare(y)) * (down ? -1 : 1);
      };
      body.append(...[...body.rows].sort(order));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
  });
}
for (const table of document.querySelectorAll("table.runs")) {
  const rows = [...table.tBodies[0].rows];
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
      const cells = table.dataset.noun ? [...row.cells] : [...row.cells].slice(0, 3);
      const text = cells.map((cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !terms.every((term) => text.includes(term));
      shown += !row.hidden;
    }
    count.textContent = terms.length ? `${shown} of ${rows.length} ${noun}` : "";
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
