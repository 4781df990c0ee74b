"use strict";
// What every script of the report needs: data, elements, colours, text for plotly.
const Report = {
  /** Data that the page holds as JSON; null without it. */
  data(id) {
    const element = document.getElementById(id);
    return element && JSON.parse(element.textContent);
  },

  /** A new element; children are elements or text, which stays text. */
  make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  },

  /** Plotly reads a little HTML in its texts; a name is not HTML. */
  plain(text) {
    return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  },

  /** The colours of the present theme, as the style sheet computes them. */
  colours() {
    const probe = Report.make("span");
    document.body.append(probe);
    const read = (name) => {
      probe.style.color = `var(--${name})`;
      return getComputedStyle(probe).color;
    };
    const names = ["page", "panel", "ink", "quiet", "line", "control", "link"];
    const found = Object.fromEntries(names.map((name) => [name, read(name)]));
    probe.remove();
    return found;
  },

  /** Round numbers from low to high, as many as have room: the same as in the printed charts. */
  logTicks(low, high) {
    const most = 8;
    let ticks = [];
    for (const steps of [[1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 5], [1, 2, 5], [1, 3], [1]]) {
      ticks = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
        ticks.push(...steps.map((step) => Number(`${step}e${power}`)).filter((tick) => low <= tick && tick <= high));
      }
      if (ticks.length <= most) break;
    }
    const stride = Math.ceil(ticks.length / most) || 1;
    return ticks.filter((_, i) => i % stride === 0);
  },

  /** A logarithmic axis with its labels written out: plotly would shorten 20 to 2. */
  logAxis(low, high) {
    const ticks = Report.logTicks(low, high);
    return { type: "log", tickvals: ticks, ticktext: ticks.map((tick) => tick.toLocaleString("en", { maximumFractionDigits: 12 })) };
  },

  /** What all charts have in common. Fingers scroll the page; only a mouse zooms. */
  layout(colours, more) {
    const axis = { gridcolor: colours.line, linecolor: colours.control, zeroline: false, automargin: true, fixedrange: Report.touch };
    return {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 13, color: colours.ink },
      hoverlabel: { bgcolor: colours.page, bordercolor: colours.ink, font: { color: colours.ink, size: 13 }, align: "left" },
      dragmode: Report.touch ? false : "zoom",
      showlegend: false,
      margin: { l: 56, r: 16, t: 16, b: 48 },
      ...more,
      xaxis: { ...axis, ...more.xaxis },
      yaxis: { ...axis, ...more.yaxis },
    };
  },

  touch: matchMedia("(hover: none)").matches,

  settings: {
    responsive: true,
    displaylogo: false,
    displayModeBar: matchMedia("(hover: none)").matches ? false : "hover",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
    doubleClick: "reset",
  },
};
