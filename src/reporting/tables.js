"use strict";
// Tables of any length. DataTables sorts, pages and draws; this script unpacks the rows, decides which of them are shown
// (search, quick filters, choices, ranges), and writes them as CSV. Cells are text nodes: no value becomes markup.
(() => {
  const DASH = "\u2013";
  const MINUS = "\u2212";
  const digits = (places, grouped) => {
    const form = new Intl.NumberFormat("en-US", {
      minimumFractionDigits: places, maximumFractionDigits: places, useGrouping: Boolean(grouped), roundingMode: "halfEven",
    });
    return (value) => {
      const text = form.format(value);
      if (!text.startsWith("-")) return text;
      return /[1-9]/.test(text) ? MINUS + text.slice(1) : text.slice(1);
    };
  };
  const [none, one, two, three] = [digits(0, true), digits(1), digits(2), digits(3)];
  const NUMERIC = {
    ratio: two,
    three,
    count: none,
    percent: (value) => (value > 0 && 100 * value < 0.05 ? "<0.1%" : `${one(100 * value)}%`),
    probability: (value) => (value >= 0 && value < 0.001 ? "<0.001" : (value < 0.1 ? three : two)(value)),
  };
  const written = (value, kind) => {
    if (kind in NUMERIC) return value === null ? DASH : NUMERIC[kind](value);
    if (kind === "flag") return value ? "yes" : "";
    if (kind === "id") return (value ?? "").slice(0, 8);
    return value === null ? (kind === "date" ? DASH : "") : value;
  };

  const absent = (value) => value === null || value === "";
  const last = (x, y) => (x === null) - (y === null);
  Object.assign(DataTable.ext.type.order, {
    "value-asc": (x, y) => (x === null || y === null ? last(x, y) : x - y),
    "value-desc": (x, y) => (x === null || y === null ? last(x, y) : y - x),
  });
  DataTable.ext.errMode = "throw";

  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const unpacked = async (text) => {
    const letters = atob(text);
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const columns = JSON.parse(await new Response(stream).text());
    for (const [name, values] of Object.entries(columns)) {
      if (!Array.isArray(values)) columns[name] = values.at.map((place) => values.of[place]);
    }
    return columns;
  };

  // What a column sorts by: its numbers, or the places of its texts among each other.
  const keys = (values, kind) => {
    if (kind in NUMERIC || kind === "flag") return values;
    const place = new Map([...new Set(values)].filter((value) => !absent(value)).sort().map((value, i) => [value, i]));
    return values.map((value) => place.get(value) ?? null);
  };

  // Which rows the form leaves: one byte a row.
  const leaves = (state, columns, texts, count) => {
    const tests = [...state.flags].map((name) => (row) => columns[name][row] === true);
    for (const [name, choice] of state.choices) tests.push((row) => String(columns[name][row] ?? "") === choice);
    for (const [name, [low, high]] of state.ranges) {
      tests.push((row) => columns[name][row] !== null && columns[name][row] >= low && columns[name][row] <= high);
    }
    for (const term of state.terms) tests.push((row) => texts()[row].includes(term));
    const mask = new Uint8Array(count);
    for (let row = 0; row < count; row += 1) mask[row] = tests.every((test) => test(row)) ? 1 : 0;
    return mask;
  };

  const quoted = (text) => (/[",\n\r\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const harmless = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text); // a spreadsheet would run it as a formula
  const exported = (value, kind) => {
    if (value === null || value === undefined) return "";
    return kind in NUMERIC || kind === "flag" ? String(value) : quoted(harmless(String(value)));
  };
  const csv = (heads, columns, rows, separator) => {
    const lines = [heads.map((head) => quoted(head.name)).join(separator)];
    for (const row of rows) lines.push(heads.map((head) => exported(columns[head.name][row], head.kind)).join(separator));
    return `${lines.join("\r\n")}\r\n`;
  };

  const started = new WeakMap();
  const start = (frame) => {
    if (!started.has(frame)) started.set(frame, build(frame).catch((error) => console.error(frame.id, error)));
    return started.get(frame);
  };

  const build = async (frame) => {
    const declared = JSON.parse(frame.querySelector(".declared").textContent);
    const packed = frame.querySelector(".packed");
    const columns = await unpacked(packed.textContent);
    packed.remove(); // the rows are held once
    const heads = declared.columns;
    const node = frame.querySelector("table");
    node.querySelectorAll("[hidden]").forEach((cell) => { cell.hidden = false; });
    const grid = new DataTable(node, options(declared, columns));
    const view = { declared, columns, heads, grid, frame, mask: new Uint8Array(declared.rows).fill(1) };
    grid.search.fixed("form", (text, data, row) => view.mask[row] === 1);
    frame.querySelector(".scroll").before(form(view));
    mark(grid, heads);
    return view;
  };

  const options = (declared, columns, sorted = []) => ({
    data: Array.from({ length: declared.rows }, (_, row) => [row]),
    columns: declared.columns.map((head, place) => ({
      title: undefined,
      type: "value",
      className: { prose: "prose" }[head.kind] ?? (head.kind in NUMERIC ? "number" : ""),
      cellType: place === 0 ? "th" : "td",
      orderSequence: head.kind in NUMERIC && head.kind !== "probability" ? ["desc", "asc", ""] : ["asc", "desc", ""],
      searchable: false,
      visible: head.shown,
      data: ([row], type) => (type === "display" ? shown(head, columns, row) : (sorted[place] ??= keys(columns[head.name], head.kind))[row]),
    })),
    createdRow: (tr, [row]) => {
      tr.cells[0]?.setAttribute("scope", "row");
      if (declared.anchors) tr.id = columns[declared.anchors][row];
    },
    order: [], autoWidth: false, typeDetect: false, deferRender: true, processing: false, orderClasses: false,
    pageLength: declared.length, lengthMenu: [10, 25, 50, 100, 250],
    layout: { topStart: null, topEnd: null, bottomStart: "info", bottomEnd: "paging", bottom2Start: "pageLength", bottom2End: null },
    language: {
      info: `_START_ to _END_ of _TOTAL_ ${declared.noun}`, infoEmpty: `No ${declared.noun}`,
      infoFiltered: "(of _MAX_)", lengthMenu: "_MENU_ a page", zeroRecords: `No ${declared.noun} match.`, emptyTable: `No ${declared.noun}.`,
    },
  });

  const shown = (head, columns, row) => {
    const text = written(columns[head.name][row], head.kind);
    const address = head.link && columns[head.link][row];
    return address ? element("a", { href: address, textContent: text }) : document.createTextNode(text);
  };

  const mark = (grid, heads) => {
    heads.forEach((head, place) => {
      const cell = grid.column(place).header();
      cell.scope = "col";
      if (head.hint) cell.title = head.hint;
    });
  };

  // The form above a table.
  const form = (view) => {
    const { declared, columns, heads, grid } = view;
    const state = { flags: new Set(), choices: new Map(), ranges: new Map(), terms: [] };
    const status = element("span", { className: "count" });
    status.setAttribute("role", "status");
    let lowered;
    const texts = () => {
      lowered ??= Array.from({ length: declared.rows }, (_, row) => (
        heads.filter((head) => !(head.kind in NUMERIC) && head.kind !== "flag").map((head) => columns[head.name][row] ?? "").join("\n").toLowerCase()
      ));
      return lowered;
    };
    const apply = () => {
      view.mask = leaves(state, columns, texts, declared.rows);
      grid.draw();
      const left = grid.page.info().recordsDisplay;
      clear.hidden = !(state.flags.size || state.choices.size || state.ranges.size || state.terms.length);
      status.textContent = left === declared.rows ? "" : `${left.toLocaleString("en-US")} of ${declared.rows.toLocaleString("en-US")} ${declared.noun}`;
    };
    const tools = element("div", { className: "tools" });
    const clear = element("button", { type: "button", textContent: "Show all", hidden: true });
    view.clear = () => {
      for (const name of state.flags) heads.filter((head) => head.appears === name).forEach((head) => view.show(head.name, head.shown));
      Object.assign(state, { flags: new Set(), choices: new Map(), ranges: new Map(), terms: [] });
      tools.querySelectorAll("[aria-pressed]").forEach((button) => button.setAttribute("aria-pressed", "false"));
      tools.querySelectorAll("select, input:not([type=checkbox])").forEach((input) => { input.value = ""; });
      apply();
    };
    clear.addEventListener("click", view.clear);
    tools.append(searchField(declared, state, apply));
    if (Object.keys(declared.filters).length) tools.append(quickFilters(view, state, apply));
    heads.filter((head) => head.choices).forEach((head) => tools.append(choice(head, columns, state, apply)));
    tools.append(ranges(heads, state, apply), visibility(view), exports(view, status), clear, status);
    return tools;
  };

  const searchField = (declared, state, apply) => {
    const input = element("input", { type: "search", placeholder: "words to find" });
    let waiting;
    input.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        state.terms = input.value.toLowerCase().split(/\s+/).filter(Boolean);
        apply();
      }, 60);
    });
    return element("label", {}, "Search ", input);
  };

  const quickFilters = (view, state, apply) => {
    const { declared, columns, heads } = view;
    const group = element("span", { className: "quick" });
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Show only");
    for (const [label, name] of Object.entries(declared.filters)) {
      const count = columns[name].reduce((sum, value) => sum + (value === true), 0);
      const button = element("button", { type: "button", textContent: `${label} ${count.toLocaleString("en-US")}`, disabled: count === 0 });
      button.dataset.flag = name;
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => {
        if (!state.flags.delete(name)) state.flags.add(name);
        button.setAttribute("aria-pressed", String(state.flags.has(name)));
        heads.filter((head) => head.appears === name).forEach((head) => view.show(head.name, state.flags.has(name)));
        apply();
      });
      group.append(button);
    }
    return group;
  };

  const choice = (head, columns, state, apply) => {
    const select = element("select", {}, element("option", { value: "", textContent: "all" }));
    select.name = head.name;
    const values = [...new Set(columns[head.name])].filter((value) => !absent(value)).map(String).sort();
    select.append(...values.map((value) => element("option", { value, textContent: value })));
    select.addEventListener("change", () => {
      if (select.value) state.choices.set(head.name, select.value);
      else state.choices.delete(head.name);
      apply();
    });
    return element("label", {}, `${head.title} `, select);
  };

  const ranges = (heads, state, apply) => {
    const box = element("div", { className: "bounds" });
    for (const head of heads.filter(({ kind }) => kind in NUMERIC)) {
      const scale = head.kind === "percent" ? 100 : 1;
      const bounds = ["at least", "at most"].map((side) => {
        const input = element("input", { type: "number", step: "any", placeholder: side });
        input.setAttribute("aria-label", `${head.title} ${side}`);
        return input;
      });
      const changed = () => {
        const [low, high] = bounds.map((input) => (input.value === "" ? null : Number(input.value) / scale));
        if (low === null && high === null) state.ranges.delete(head.name);
        else state.ranges.set(head.name, [low ?? -Infinity, high ?? Infinity]);
        apply();
      };
      bounds.forEach((input) => input.addEventListener("change", changed));
      const label = element("span", { textContent: scale === 100 ? `${head.title}, %` : head.title, title: head.hint });
      box.append(element("div", {}, label, ...bounds));
    }
    return element("details", {}, element("summary", { textContent: "Ranges" }), box);
  };

  const visibility = (view) => {
    const { heads, grid } = view;
    const box = element("div", { className: "chosen" });
    view.show = (name, on) => {
      const place = heads.findIndex((head) => head.name === name);
      box.querySelectorAll("input")[place].checked = on;
      grid.column(place).visible(on);
    };
    heads.forEach((head, place) => {
      const input = element("input", { type: "checkbox", checked: head.shown, disabled: place === 0 });
      input.addEventListener("change", () => view.show(head.name, input.checked));
      box.append(element("label", {}, input, ` ${head.title}`));
    });
    return element("details", {}, element("summary", { textContent: "Columns" }), box);
  };

  const exports = ({ declared, columns, heads, grid }, status) => {
    const rows = () => grid.rows({ search: "applied", order: "applied" }).data().toArray().map(([row]) => row);
    const save = element("button", { type: "button", textContent: "CSV", title: "Save the rows that are left, with every column" });
    save.addEventListener("click", () => {
      const text = csv(heads, columns, rows(), ",");
      const address = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
      element("a", { href: address, download: `${declared.name}.csv` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 1000);
    });
    const copy = element("button", { type: "button", textContent: "Copy", title: "Copy the rows that are left, for a spreadsheet" });
    copy.addEventListener("click", async () => {
      const chosen = rows();
      try {
        await navigator.clipboard.writeText(csv(heads, columns, chosen, "\t"));
        status.textContent = `${chosen.length.toLocaleString("en-US")} ${declared.noun} copied`;
      } catch {
        status.textContent = "This browser does not let the page copy: use CSV.";
      }
    });
    return element("span", { className: "quick" }, save, copy);
  };

  // A link to a row opens the page that it stands on.
  const jump = async () => {
    const id = location.hash.slice(1); // ids are escaped like addresses
    if (!id || document.getElementById(id)) return;
    for (const frame of frames) {
      if (!JSON.parse(frame.querySelector(".declared").textContent).anchors) continue;
      const { declared, columns, grid, mask, clear } = await start(frame);
      const row = columns[declared.anchors].indexOf(id);
      if (row < 0) continue;
      if (!mask[row]) clear();
      for (let part = frame.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
      const place = grid.rows({ search: "applied", order: "applied" }).indexes().toArray().indexOf(row);
      grid.page(Math.floor(place / grid.page.len())).draw("page");
      const found = document.getElementById(id);
      found.classList.add("sought");
      found.scrollIntoView({ block: "center" });
    }
  };

  const frames = [...document.querySelectorAll(".data-table")];
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        near.unobserve(entry.target);
        start(entry.target);
      }
    }
  }, { rootMargin: "800px" });
  frames.forEach((frame) => near.observe(frame));
  addEventListener("hashchange", jump);
  jump();
})();
