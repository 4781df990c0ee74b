"use strict";
// The table of all configurations: sorting, searching, standings.
Report.table = (() => {
  const BADGES = { front: "on the front", close: "not distinguishable" };

  const board = (group) => document.querySelector(`table[data-board="${group.slug}"]`);
  const lines = (group) => [...board(group).tBodies[0].rows];

  /** What a row is sorted by; rows without it go last. */
  function key(group, row, name, standings, chances) {
    if (name === "name") return row.name;
    if (name === "size") return row.pixels;
    if (name === "standing") return ["front", "close"].indexOf(standings.get(row)) + 1 || 3;
    if (name === "chance") return chances?.[group.rows.indexOf(row)] ?? null;
    return Report.pareto.estimate(group, row, name)?.value ?? null;
  }

  function compare(a, b) {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
  }

  /** Order the lines by a column; lines that are equal keep their order. */
  function sort(group, name, descending, standings, chances) {
    const table = board(group);
    const keyed = lines(group).map((line) => [key(group, group.rows[line.dataset.row], name, standings, chances), line]);
    keyed.sort(([a], [b]) => (descending && a !== null && b !== null ? compare(b, a) : compare(a, b)));
    table.tBodies[0].append(...keyed.map(([, line]) => line));
    for (const button of table.tHead.querySelectorAll("button")) {
      const head = button.parentElement;
      if (button.dataset.key === name) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  /** Show the lines that pass the filters and hold every word; returns how many. */
  function filter(group, shown, text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const line of lines(group)) {
      const content = line.textContent.toLowerCase();
      line.hidden = !(shown.has(group.rows[line.dataset.row]) && words.every((word) => content.includes(word)));
      count += !line.hidden;
    }
    return count;
  }

  /** Write standings and chances beside the rows, and show the columns that are axes or have anything. */
  function mark(group, standings, chances, pick, axes) {
    for (const cell of board(group).querySelectorAll("[data-chance]")) cell.hidden = !chances;
    for (const line of lines(group)) {
      const row = group.rows[line.dataset.row];
      const standing = standings.get(row);
      const cell = line.querySelector("[data-standing]");
      cell.replaceChildren();
      if (standing) cell.append(Report.make("span", { class: `badge ${standing}` }, BADGES[standing]));
      if (row === pick) cell.append(Report.make("span", { class: "badge pick" }, "recommended"));
      line.classList.toggle("front", standing === "front");
      const share = chances?.[line.dataset.row] ?? null;
      const chance = line.querySelector("[data-chance]");
      if (chance) chance.textContent = share === null ? "–" : Report.chart.percent(share);
    }
    for (const head of board(group).tHead.querySelectorAll("[data-optional]")) {
      const hidden = !axes.includes(head.dataset.metric);
      for (const line of board(group).rows) line.cells[head.cellIndex].hidden = hidden;
    }
  }

  /** Call back with the column of a button that was pressed, and the direction it asks for. */
  function onSort(group, callback) {
    board(group).tHead.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const name = button.dataset.key;
      const sorted = button.parentElement.getAttribute("aria-sort");
      const first = name === "chance" || group.metrics[name]?.higher ? "descending" : "ascending";
      const next = { ascending: "descending", descending: "ascending" }[sorted] ?? first;
      callback(name, next === "descending");
    });
  }

  return { sort, filter, mark, onSort };
})();
