"use strict";
// The page of one cell: curves of training and retrieval, and its pictures.
(() => {
  // Okabe and Ito's colours, each with its own dash, so that lines differ without colour too.
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
  const LOG_SPAN = 50; // a loss that falls by more than this is drawn on a logarithmic scale
  const { plain } = Report;
  const charts = Report.data("curve-data");
  const strip = Report.data("strip-data");

  const line = (name, x, y, i, more = {}) => ({
    type: "scatter", mode: y.filter((value) => value !== null).length > 40 ? "lines" : "lines+markers", name: plain(name), x, y, connectgaps: true,
    line: { color: COLOURS[i % COLOURS.length], dash: DASHES[i % DASHES.length], width: 2 }, marker: { size: 5 }, ...more,
  });

  const legend = { showlegend: true, legend: { orientation: "h", y: -0.26, yanchor: "top", x: 0, font: { size: 12 } }, margin: { l: 48, r: 48, t: 12, b: 40 } };

  /** Loss terms above; learning rate and validation score below. */
  function training(curve, colours) {
    const terms = Object.entries(curve.terms);
    const scores = Object.entries(curve.scores);
    const length = Math.max(...[...terms, ...scores].map(([, values]) => values.length), curve.rate?.length ?? 0);
    const epochs = Array.from({ length }, (_, i) => i + 1);
    const traces = terms.map(([name, values], i) => line(name, epochs, values, i));
    if (curve.rate) traces.push(line("learning rate", epochs, curve.rate, 0, { mode: "lines", yaxis: "y2", line: { color: colours.quiet, width: 1.5 } }));
    scores.forEach(([name, values], i) => traces.push(line(name, epochs, values, terms.length + i, { yaxis: "y3" })));
    const flat = terms.flatMap(([, values]) => values).filter((value) => value !== null);
    const isLog = Math.min(...flat) > 0 && Math.max(...flat) > LOG_SPAN * Math.min(...flat);
    const axis = { gridcolor: colours.line, zeroline: false, fixedrange: Report.touch, automargin: true };
    return [traces, {
      ...legend,
      xaxis: { title: { text: "epoch" }, anchor: "y2" },
      yaxis: { title: { text: "loss" }, domain: [0.36, 1], ...(isLog ? Report.logAxis(Math.min(...flat), Math.max(...flat)) : {}) },
      yaxis2: { ...axis, title: { text: "rate" }, domain: [0, 0.26], rangemode: "tozero", nticks: 4 },
      yaxis3: { ...axis, title: { text: scores.length ? "validation" : "" }, overlaying: "y2", side: "right", showgrid: false, tickmode: "auto", nticks: 4, visible: scores.length > 0 },
    }];
  }

  /** Precision against recall, with the best and the worst order of ties as thin lines. */
  function recall(curve) {
    const traces = [];
    ["best", "worst"].forEach((ties, i) => {
      const across = curve[`recall_${ties}_ties`];
      if (!across.length) return;
      traces.push(line(`${ties} order of ties`, across, curve[`precision_${ties}_ties`], i + 1, { mode: "lines" }));
    });
    const text = curve[curve.along].map((value, i) => `${curve.along} ${value}: precision ${curve.precision[i]}, recall ${curve.recall[i]}`);
    traces.push(line(traces.length ? "expected over ties" : "precision", curve.recall, curve.precision, 0, { hovertext: text.map(plain), hoverinfo: "text" }));
    return [traces, {
      ...legend,
      showlegend: traces.length > 1,
      xaxis: { title: { text: "recall" }, range: [-0.02, 1.02] },
      yaxis: { title: { text: "precision" }, range: [-0.02, 1.02] },
    }];
  }

  const figures = [
    ...(charts?.training ?? []).map((curve) => [curve.title, (colours) => training(curve, colours)]),
    ...(charts?.recall ?? []).map((curve) => [`Precision and recall ${curve.title}, area ${curve.area}`, () => recall(curve)]),
  ].map(([title, make]) => {
    const plot = Report.make("div", { class: "plot", role: "img", "aria-label": title });
    document.getElementById("figures").append(Report.make("div", {}, Report.make("h3", {}, title), plot));
    return () => {
      const colours = Report.colours();
      const [traces, layout] = make(colours);
      Plotly.react(plot, traces, Report.layout(colours, layout), Report.settings);
    };
  });
  const drawAll = () => figures.forEach((draw) => draw());
  drawAll();
  document.addEventListener("themechange", drawAll);
  if (strip) document.getElementById("strips").append(Report.examples.draw(strip));
})();
