"use strict";
// The scatter chart of accuracy against cost.
Report.chart = (() => {
  const STAR = 1.6; // stars are drawn larger, as in the printed charts
  const CROWD = 60; // with more points than this, only those on the front have their bars drawn
  const DOUBTS = { "†": "unsteady", "‡": "not fully counted", "§": "warned of in the record" };
  const { plain } = Report;

  /** A number in the unit of its axis, with half its interval, or its ends where a bound cuts it. */
  function words(metric, estimate) {
    const number = (value) => (value / metric.divisor).toFixed(metric.places);
    const unit = metric.unit ? ` ${metric.unit}` : "";
    return number(estimate.value) + spread(estimate, number) + unit;
  }

  function spread({ value, low, high, seeds }, number) {
    if (low === null) return "";
    const [below, above] = [value - low, high - value];
    // Intervals over seeds are symmetric by themselves.
    if (seeds > 1 && Math.abs(above - below) > 1e-6 * Math.max(above, below)) return ` [${number(low)}, ${number(high)}]`;
    return ` ± ${number((high - low) / 2)}`;
  }

  /** A metric as the title of an axis. */
  function axisTitle(metric) {
    return plain(`${metric.title}${metric.detail ? ` (${metric.detail})` : ""}, ${metric.higher ? "more" : "less"} is better`);
  }

  /** Limits of an axis: bars may be cut, points must stay apart, and a per mille must not fill the chart. */
  function limits(values, bars, least, log) {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    if (log) {
      const margin = Math.max(Math.log10(high / low) * 0.08, 0.05);
      return [Math.log10(low) - margin, Math.log10(high) + margin];
    }
    const reach = Math.max(high - low, least * Math.abs(high)) || 1;
    const from = Math.max(Math.min(low, ...bars), low - reach / 2);
    const to = Math.min(Math.max(high, ...bars), high + reach / 2);
    const margin = Math.max(0.06 * (to - from), (1.16 * reach - (to - from)) / 2);
    return [from - margin, to + margin];
  }

  /** Fill, outline and symbol of a row's marker. */
  function look(mark, colours) {
    const [own, shape, fill, size] = mark;
    const colour = own ?? colours.ink;
    const inside = fill.startsWith("hollow") ? colours.page : fill.startsWith("pale") ? mix(colour, colours.page) : colour;
    return {
      symbol: fill.endsWith("-dot") ? `${shape}-dot` : shape,
      size: size * (shape === "star" ? STAR : 1),
      inside,
      outline: fill.startsWith("solid") ? colours.ink : colour,
      width: fill === "solid" ? 0.8 : 2,
    };
  }

  /** A share of one colour on another, opaque so that nothing shows through. */
  function mix(colour, ground, share = 0.3) {
    const parts = (text) => (text.startsWith("#") ? text.match(/\w\w/g).map((hex) => parseInt(hex, 16)) : text.match(/[\d.]+/g).map(Number));
    const [a, b] = [parts(colour), parts(ground)];
    return `rgb(${[0, 1, 2].map((i) => Math.round(share * a[i] + (1 - share) * b[i])).join(",")})`;
  }

  /** Bars of the points along one axis; null and an axis without intervals draw none. */
  const bars = (estimates, divisor, colour) => ({
    type: "data",
    symmetric: false,
    array: estimates.map((one) => (one?.low == null ? 0 : (one.high - one.value) / divisor)),
    arrayminus: estimates.map((one) => (one?.low == null ? 0 : (one.value - one.low) / divisor)),
    visible: estimates.some((one) => one?.low != null),
    color: colour,
    thickness: 1,
    width: 0,
  });

  function hover(group, view, point) {
    const lines = [`<b>${plain(point.row.name)}</b>`];
    const named = [view.y, view.x, ...view.main.filter((name) => name !== view.y && name !== view.x)];
    for (const name of named) {
      const metric = group.metrics[name];
      const estimate = Report.pareto.estimate(group, point.row, name);
      if (!estimate) continue;
      const mark = point.row.doubts[name];
      const doubt = mark ? ` ${mark} ${DOUBTS[mark]}` : "";
      lines.push(`${plain(metric.title)}: ${plain(words(metric, estimate))}${doubt}`);
    }
    lines.push(`${point.row.seeds} ${point.row.seeds === 1 ? "seed" : "seeds"}`);
    if (view.front.includes(point)) lines.push("on the front");
    if (view.close.includes(point)) lines.push("not distinguishable from the front");
    return lines.join("<br>");
  }

  const isCrowded = (view) => view.points.length > CROWD;

  /** One trace per colour: plotly draws all bars of a trace alike. */
  function pointTraces(group, view, colours) {
    const [x, y] = [group.metrics[view.x], group.metrics[view.y]];
    const withBar = (point, estimate) => (isCrowded(view) && !view.front.includes(point) ? null : estimate);
    const byColour = Map.groupBy(view.points, (point) => point.row.mark[0] ?? colours.ink);
    return [...byColour].map(([colour, points]) => {
      const looks = points.map((point) => look(point.row.mark, colours));
      return {
        meta: "points",
        type: "scatter",
        mode: "markers+text",
        x: points.map((point) => point.x.value / x.divisor),
        y: points.map((point) => point.y.value / y.divisor),
        text: points.map((point) => [...new Set([view.y, view.x].map((name) => point.row.doubts[name] ?? ""))].join("")),
        textposition: "bottom right",
        customdata: points.map((point) => point.index),
        hovertext: points.map((point) => hover(group, view, point)),
        hoverinfo: "text",
        error_x: bars(points.map((point) => withBar(point, point.x)), x.divisor, mix(colour, colours.page, 0.75)),
        error_y: bars(points.map((point) => withBar(point, point.y)), y.divisor, mix(colour, colours.page, 0.75)),
        marker: {
          symbol: looks.map((one) => one.symbol),
          size: looks.map((one) => one.size),
          color: looks.map((one) => one.inside),
          opacity: 1,
          line: { color: looks.map((one) => one.outline), width: looks.map((one) => one.width) },
        },
      };
    });
  }

  /** The staircase, on to the edge of the chart and beyond. */
  function frontTrace(group, view, colours, range) {
    const [x, y] = [group.metrics[view.x], group.metrics[view.y]];
    const steps = [...view.front].sort((a, b) => a.x.value - b.x.value || a.y.value - b.y.value);
    const xs = steps.map((point) => point.x.value / x.divisor);
    const ys = steps.map((point) => point.y.value / y.divisor);
    const end = view.log ? 10 ** (range[1] + 2) : range[1] + 10 * (range[1] - range[0]);
    const start = view.log ? 10 ** (range[0] - 2) : range[0] - 10 * (range[1] - range[0]);
    if (xs.length && x.higher) (xs.unshift(start), ys.unshift(ys[0]));
    else if (xs.length) (xs.push(end), ys.push(ys.at(-1)));
    return {
      meta: "front",
      type: "scatter",
      mode: "lines",
      x: xs,
      y: ys,
      customdata: steps.map((point) => point.index),
      hoverinfo: "skip",
      line: { shape: x.higher ? "vh" : "hv", color: colours.ink, width: 1.6 },
    };
  }

  /** Rings around some points. */
  function rings(group, view, points, kind, colour, size, width) {
    const [x, y] = [group.metrics[view.x], group.metrics[view.y]];
    return {
      meta: kind,
      type: "scatter",
      mode: "markers",
      x: points.map((point) => point.x.value / x.divisor),
      y: points.map((point) => point.y.value / y.divisor),
      customdata: points.map((point) => point.index),
      hoverinfo: "skip",
      marker: { symbol: "circle-open", size, color: colour, line: { color: colour, width } },
    };
  }

  /** The end of a horizontal line at which fewer points are in the way of its label. */
  function freeEnd(view, height, xs, ys, reach) {
    const [low, high] = [Math.min(...xs), Math.max(...xs)];
    const place = (x) => (high > low ? (view.log ? Math.log(x / low) / Math.log(high / low) : (x - low) / (high - low)) : 0.5);
    const near = (inEnd) => xs.filter((x, i) => inEnd(place(x)) && Math.abs(ys[i] - height) < reach).length;
    return near((at) => at < 0.35) < near((at) => at > 0.65) ? "start" : "end";
  }

  /** Horizontal lines at the best teacher and at the best student that was not distilled. */
  function references(group, view, colours, xs, ys) {
    const y = group.metrics[view.y];
    const reach = 0.08 * (Math.max(...ys) - Math.min(...ys));
    const roles = [["teacher", "dash", "best teacher"], ["undistilled", "dot", "best without distillation"]];
    return roles.flatMap(([role, dash, text]) => {
      const best = Report.pareto.best(view.points, y.higher, (point) => point.row.role === role);
      if (!best) return [];
      const height = best.y.value / y.divisor;
      return [{
        type: "line", xref: "paper", x0: 0, x1: 1, y0: height, y1: height, layer: "below",
        line: { dash, width: 1.2, color: colours.quiet },
        label: { text, textposition: freeEnd(view, height, xs, ys, reach), yanchor: "bottom", font: { size: 12, color: colours.quiet } },
      }];
    });
  }

  /** An arrow to the recommended point, from the side with more room. */
  function pointer(group, view, colours, range, ys, heights) {
    if (!view.pick) return [];
    const [x, y] = [group.metrics[view.x], group.metrics[view.y]];
    const [across, up] = [view.pick.x.value / x.divisor, view.pick.y.value / y.divisor];
    const place = view.log ? Math.log10(across) : across;
    const side = place - range[0] < range[1] - place ? 1 : -1;
    // Out of the way of a reference line's own label, which is above its line.
    const isBlocked = heights.some((height) => height < up && up - height < 0.2 * (Math.max(...ys) - Math.min(...ys)));
    return [{
      x: place, y: up, text: "recommended", xanchor: side > 0 ? "left" : "right",
      showarrow: true, arrowhead: 2, arrowwidth: 1.5, arrowcolor: colours.link, ax: 36 * side, ay: isBlocked ? -26 : 22, standoff: 12,
      font: { color: colours.link, size: 13 }, bgcolor: colours.page, borderpad: 2,
    }];
  }

  /**
   * Draw one view of a group.
   * view: axes x and y (full names), scale, points with their front, close and pick, main costs for hovering.
   */
  function draw(element, group, view) {
    const colours = Report.colours();
    const [x, y] = [group.metrics[view.x], group.metrics[view.y]];
    const xs = view.points.map((point) => point.x.value / x.divisor);
    const ys = view.points.map((point) => point.y.value / y.divisor);
    const ends = view.points.flatMap(({ y: one }) => (one.low === null ? [] : [one.low / y.divisor, one.high / y.divisor]));
    const range = xs.length ? limits(xs, [], 0.2, view.log) : [0, 1];
    const lines = references(group, view, colours, xs, ys);
    const marks = rings(group, view, view.pick ? [view.pick] : [], "pick", colours.link, 25, 2.5);
    const traces = [
      frontTrace(group, view, colours, range),
      rings(group, view, view.close, "close", colours.quiet, 20, 1.2),
      marks,
      ...pointTraces(group, view, colours),
    ];
    const layout = Report.layout(colours, {
      xaxis: { title: { text: axisTitle(x), standoff: 8 }, range, ...(view.log ? Report.logAxis(Math.min(...xs), Math.max(...xs)) : { type: "linear", tickvals: null }) },
      yaxis: { title: { text: axisTitle(y), standoff: 8 }, range: ys.length ? limits(ys, ends, 0.05, false) : [0, 1] },
      hovermode: "closest",
      shapes: lines,
      annotations: pointer(group, view, colours, range, ys, lines.map((line) => line.y0)),
    });
    return Plotly.react(element, traces, layout, Report.settings);
  }

  return { draw, words, isCrowded, DOUBTS };
})();
