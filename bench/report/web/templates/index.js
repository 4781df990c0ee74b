"use strict";
// The page of all cells: what is chosen, and everything that follows from it.
(() => {
  const report = Report.data("report-data");
  if (!report) return;
  const strips = Report.data("strip-data") ?? {};
  const $ = (id) => document.getElementById(id);
  const [chart, filters] = [$("chart"), $("filters")];
  const groups = new Map(report.groups.map((group) => [group.slug, group]));
  // Limited runs say little, and few rows make no front: begin with the largest group.
  const first = report.groups.reduce((a, b) => (b.rows.length * !b.limited > a.rows.length * !a.limited ? b : a));
  const HOVERED = 8; // costs that a hover shows beside the axes

  // -- What is chosen ---------------------------------------------------------------------------

  const initial = { within: $("within").value };
  const state = {};

  function defaults(group) {
    const [y, x] = group.pairs[0] ?? [group.accuracies[0], group.costs[0]];
    return { group: group.slug, y, x, scale: "auto", within: initial.within, off: {} };
  }

  /** Choices from the address; what it does not know is left as it is at first. */
  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    const group = groups.get(given.get("group")) ?? first;
    Object.assign(state, defaults(group));
    if (group.accuracies.includes(given.get("y"))) state.y = given.get("y");
    if (group.costs.includes(given.get("x"))) state.x = given.get("x");
    if (["linear", "log"].includes(given.get("scale"))) state.scale = given.get("scale");
    if (given.get("within") !== null && Number(given.get("within")) >= 0) state.within = given.get("within");
    for (const set of filters.querySelectorAll("fieldset")) {
      state.off[set.dataset.facet] = new Set(given.getAll(`no-${set.dataset.facet}`));
    }
  }

  /** The address of the present view: only what differs from the first one. */
  function address() {
    const usual = defaults(groups.get(state.group));
    const kept = new URLSearchParams();
    if (state.group !== first.slug) kept.set("group", state.group);
    for (const name of ["y", "x", "scale", "within"]) if (state[name] !== usual[name]) kept.set(name, state[name]);
    for (const [facet, values] of Object.entries(state.off)) for (const value of values) kept.append(`no-${facet}`, value);
    return `#${kept}`;
  }

  // -- From choices to what is shown ------------------------------------------------------------

  function view(group) {
    const shown = group.rows.filter((row) => Object.entries(state.off).every(([facet, values]) => !values.has(row.facets[facet])));
    const [x, y] = [group.metrics[state.x], group.metrics[state.y]];
    const points = shown.flatMap((row) => {
      const [across, up] = [state.x, state.y].map((name) => Report.pareto.estimate(group, row, name));
      // What a record warns of or what is not fully counted may be looked at, but is not recommended.
      const doubtful = [state.x, state.y].some((name) => ["‡", "§"].includes(row.doubts[name]));
      return across && up ? [{ row, index: group.rows.indexOf(row), x: across, y: up, doubtful }] : [];
    });
    const others = Report.pareto.published(group, state.x, state.y, points);
    const front = group.limited ? [] : Report.pareto.front(points, x.higher, y.higher);
    const measured = points.some((point) => point.y.low !== null);
    const close = measured && !group.limited ? Report.pareto.close(points, front, x.higher, y.higher) : [];
    const advice = group.limited ? null : Report.pareto.recommend(points, Number(state.within), x.higher, y.higher);
    return {
      x: state.x, y: state.y, shown, points, front, close, measured, advice, pick: advice?.pick ?? null,
      published: others.near, outside: others.outside,
      log: isLog([...points.map((point) => point.x.value), ...others.near.map((one) => one.x)]), main: group.costs.slice(0, HOVERED),
    };
  }

  /** Logarithmic where costs lie more than a factor of ten apart, unless something else is asked for. */
  function isLog(values) {
    const low = Math.min(...values);
    if (!(low > 0) || state.scale === "linear") return false;
    return state.scale === "log" || Math.max(...values) > 10 * low;
  }

  // -- Showing ----------------------------------------------------------------------------------

  function show() {
    const group = groups.get(state.group);
    const now = view(group);
    const standings = new Map([...now.close.map((point) => [point.row, "close"]), ...now.front.map((point) => [point.row, "front"])]);
    Report.chart.draw(chart, group, now);
    $("count").textContent = `${now.shown.length} of ${group.rows.length} configurations shown`;
    $("chart-words").textContent = caption(group, now);
    $("advice").hidden = group.limited;
    $("recommendation").textContent = recommendation(group, now);
    const command = now.pick?.row.command;
    $("takeaway").hidden = !command;
    $("takeaway").querySelector("code").textContent = command ?? "";
    $("picked").replaceChildren();
    const chances = group.chances[`${state.y} ${state.x}`]; // of all rows, whatever is filtered
    Report.table.mark(group, standings, chances, now.pick?.row, [state.x, state.y]);
    current = { group, now, standings, chances };
    search();
    if (location.hash.slice(1) !== address().slice(1)) history.replaceState(null, "", address());
  }
  let current = null;

  function search() {
    const found = Report.table.filter(current.group, new Set(current.now.shown), $("search").value);
    $("found").textContent = `${found} of ${current.group.rows.length} rows`;
  }

  function caption(group, now) {
    const parts = [];
    const absent = now.shown.length - now.points.length;
    if (!now.points.length) parts.push("No point to show: relax the filters or choose another axis.");
    if (absent) parts.push(`${absent} of these configurations lack one of the two numbers and are in the table only.`);
    if (group.limited) parts.push("Limited run: no front is drawn.");
    else if (now.points.length && !now.measured) parts.push(`${group.metrics[state.y].title} has no intervals, so it cannot be told which points differ from the front.`);
    else if (now.close.length) parts.push(`${now.front.length} on the front, ${now.close.length} more not distinguishable from it (open rings).`);
    if (Report.chart.lanes(group, now).length > 1) parts.push("Methods of one cost stand side by side, the best one at what it costs.");
    if (now.measured && Report.chart.isCrowded(now)) parts.push(`So many points: only those on the front have their bars drawn. ${narrower(now)}`);
    if (now.published.length) parts.push(`Hollow diamonds: ${now.published.length} published by others, not ranked${now.outside ? `; ${now.outside} more too far below to be drawn` : ""}.`);
    else if (group.published.length) parts.push(`Published figures are by ${publishedBy(group)}: choose it as accuracy, and a cost that they have.`);
    for (const name of [state.y, state.x]) if (group.metrics[name].note) parts.push(group.metrics[name].note);
    for (const [mark, said] of Object.entries(Report.chart.DOUBTS))
      if (now.points.some((point) => [state.x, state.y].some((name) => point.row.doubts[name] === mark))) parts.push(`${mark} marks what is ${said}.`);
    return parts.join(" ");
  }

  /** By what to choose fewer points that compare more closely. */
  function narrower(now) {
    const facets = [["loss", "loss"], ["bits", "code length"]].filter(([facet]) => new Set(now.points.map((point) => point.row.facets[facet])).size > 1);
    return facets.length ? `Choose one ${facets.map(([, words]) => words).join(" or one ")} for all bars.` : "";
  }

  /** The accuracies that published figures have. */
  function publishedBy(group) {
    const has = (name) => group.published.some((figure) => figure.values[group.names.indexOf(name)] !== null);
    return group.accuracies.filter(has).map((name) => group.metrics[name].title).join(" or ");
  }

  function recommendation(group, now) {
    if (!now.advice) return now.points.length ? "No point shown is a student to take: teachers, what was measured elsewhere and what is marked ‡ or § never are." : "";
    const { top, pick } = now.advice;
    const [x, y] = [group.metrics[state.x], group.metrics[state.y]];
    const said = (metric, one) => `${Report.chart.words(metric, one)}`;
    const best = `${y.title} of the best student is ${said(y, top.y)}`;
    // Draws were made of all rows, and for the margin that the report was asked for.
    const [within, place, sure] = group.sure[`${state.y} ${state.x}`] ?? [null, null, ""];
    const how = Number(state.within) === within && pick.index === place && now.shown.length === group.rows.length ? sure : "";
    if (pick === top) return `${best}, and no cheaper one comes within ${state.within} of it: ${pick.row.name}, ${x.title} ${said(x, pick.x)}${how}.`;
    return `${best}. Cheapest within ${state.within} of it: ${pick.row.name}, with ${y.title} ${said(y, pick.y)} at ${x.title} ${said(x, pick.x)} instead of ${said(x, top.x)}${how}.`;
  }

  /** Fill the controls with what the group offers and what is chosen. */
  function controls() {
    const group = groups.get(state.group);
    const option = (name) => Report.make("option", { value: name }, group.metrics[name].title);
    $("y").replaceChildren(...group.accuracies.map(option));
    $("x").replaceChildren(...group.costs.map(option));
    for (const name of ["y", "x", "scale", "within"]) $(name).value = state[name];
    if ($("group")) $("group").value = state.group;
    for (const element of document.querySelectorAll("[data-group]")) element.hidden = element.dataset.group !== state.group;
    for (const set of filters.querySelectorAll("fieldset")) {
      const facet = set.dataset.facet;
      const present = new Set(group.rows.map((row) => row.facets[facet]));
      set.hidden = present.size < 2;
      for (const box of set.querySelectorAll("input")) {
        box.checked = !state.off[facet].has(box.value);
        box.closest("label").hidden = !present.has(box.value);
      }
    }
    Report.table.sort(group, group.accuracies[0] ?? "name", group.accuracies.length > 0, new Map());
    pictures(group);
  }

  // -- Pictures ---------------------------------------------------------------------------------

  const bestOf = (facet) => (group, rows) => {
    const best = new Map();
    const score = (row) => Report.pareto.estimate(group, row, group.accuracies[0])?.value ?? -Infinity;
    for (const row of rows) {
      const kind = row.facets[facet];
      if (!best.has(kind) || score(row) > score(best.get(kind))) best.set(kind, row);
    }
    return [...best.values()];
  };
  const CHOICES = { "best-student": ["the best of every student", bestOf("student")], "best-method": ["the best of every method", bestOf("method")] };

  function pictures(group) {
    if (!$("examples-section")) return;
    const own = strips[group.slug] ?? {};
    $("examples-section").hidden = !Object.keys(own).length;
    const single = Object.keys(own).map((i) => Report.make("option", { value: i }, group.rows[i].name));
    const several = Object.entries(CHOICES).map(([value, [words]]) => Report.make("option", { value }, words));
    $("shown").replaceChildren(...several, ...single);
    drawPictures(group);
  }

  function drawPictures(group) {
    const own = strips[group.slug] ?? {};
    const rows = Object.keys(own).map((i) => group.rows[i]);
    const chosen = CHOICES[$("shown").value]?.[1](group, rows) ?? [group.rows[$("shown").value]];
    $("strips").replaceChildren(...chosen.filter(Boolean).map((row) => Report.examples.draw(own[group.rows.indexOf(row)], row.name)));
  }

  // -- Events -----------------------------------------------------------------------------------

  for (const name of ["y", "x", "scale", "within"]) {
    $(name).addEventListener("input", () => {
      if (name === "within" && !$(name).validity.valid) return;
      state[name] = $(name).value;
      show();
    });
  }
  $("group")?.addEventListener("input", () => {
    Object.assign(state, { ...defaults(groups.get($("group").value)), within: state.within });
    for (const set of filters.querySelectorAll("fieldset")) state.off[set.dataset.facet] = new Set();
    controls();
    show();
  });
  filters.addEventListener("change", (event) => {
    const facet = event.target.closest("fieldset").dataset.facet;
    if (event.target.checked) state.off[facet].delete(event.target.value);
    else state.off[facet].add(event.target.value);
    show();
  });
  filters.addEventListener("click", (event) => {
    const { all, none } = event.target.dataset;
    const facet = all ?? none;
    if (facet === undefined && event.target.id !== "reset") return;
    const rows = groups.get(state.group).rows;
    if (facet === undefined) for (const values of Object.values(state.off)) values.clear();
    else state.off[facet] = new Set(none ? rows.map((row) => row.facets[facet]) : []);
    for (const box of filters.querySelectorAll("input")) box.checked = !state.off[box.closest("fieldset").dataset.facet].has(box.value);
    show();
  });
  filters.addEventListener("submit", (event) => event.preventDefault());
  $("search").addEventListener("input", search);
  $("shown")?.addEventListener("input", () => drawPictures(current.group));
  for (const group of report.groups) {
    Report.table.onSort(group, (name, descending) => Report.table.sort(group, name, descending, current.standings, current.chances));
  }
  document.addEventListener("themechange", () => Report.chart.draw(chart, current.group, current.now));
  addEventListener("hashchange", () => {
    if (location.hash.slice(1) === address().slice(1)) return;
    if (document.getElementById(location.hash.slice(1))) return; // a link to a section
    start();
  });

  function start() {
    read();
    controls();
    show();
  }

  start();
  chart.on("plotly_click", ({ points: [point] }) => {
    if (point.customdata === undefined) return; // published by others
    const row = current.group.rows[point.customdata];
    // A finger cannot hover: it gets the link, a mouse goes there.
    if (Report.touch) $("picked").replaceChildren(Report.make("a", { href: row.page }, `Open ${row.name}`));
    else location.href = row.page;
  });
})();
