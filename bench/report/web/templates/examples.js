"use strict";
// Queries with their first results, cut from one picture per cell by moving it behind small windows.
Report.examples = (() => {
  const WORDS = { 1: "right", 0: "wrong" };
  const SIGNS = { 1: "✓", 0: "✗" };
  const SMALL = 48; // pictures of fewer pixels are shown with hard edges, not blurred

  function tile(strip, row, column, words, kind, sign) {
    const element = Report.make("li", { class: `tile ${kind}`, role: "img", "aria-label": words, title: words, tabindex: "0" });
    element.classList.toggle("small", strip.tile < SMALL);
    element.style.backgroundImage = `url("${document.documentElement.dataset.root}${strip.sprite}")`;
    element.style.backgroundSize = `calc(var(--tile) * ${strip.columns}) calc(var(--tile) * ${strip.rows.length})`;
    element.style.backgroundPosition = `calc(var(--tile) * ${-column}) calc(var(--tile) * ${-row})`;
    if (sign) element.append(Report.make("span", { "aria-hidden": "true", class: kind }, sign));
    return element;
  }

  function line(strip, [query, results], row) {
    const list = Report.make("ol", { "aria-label": `query ${query}` });
    list.append(tile(strip, row, 0, `query, image ${query}`, "query"));
    results.forEach(([place, distance, right], i) => {
      const kind = WORDS[right] ?? "unknown";
      const said = right === null ? "" : `, ${kind}`;
      list.append(tile(strip, row, i + 1, `result ${i + 1}, image ${place}, distance ${distance}${said}`, kind, SIGNS[right]));
    });
    return list;
  }

  /** One configuration's queries below each other; a title where there is one. */
  function draw(strip, title) {
    const element = Report.make("div", { class: "strip" });
    if (title) element.append(Report.make("h3", {}, title));
    element.append(...strip.rows.map((row, i) => line(strip, row, i)));
    return element;
  }

  return { draw };
})();
