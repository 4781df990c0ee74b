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

  /** A logarithmic axis with its labels written out: plotly would shorten 20 to 2. */
  logAxis(low, high) {
    const steps = high / low > 6 ? [1, 2, 5] : [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9];
    const values = [];
    for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.log10(high) + 1; power += 1) {
      values.push(...steps.map((step) => Number(`${step}e${power}`)));
    }
    return { type: "log", tickvals: values, ticktext: values.map((value) => value.toLocaleString("en", { maximumSignificantDigits: 3 })) };
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
