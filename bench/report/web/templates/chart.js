"use strict";
// The scatter chart of accuracy against cost.
Report.chart = (() => {
  const FAINTEST = 0.4; // how much of its colour a marker keeps at least
  const [ATTAINED, HALF] = ["rgba(168, 128, 58, 0.18)", "#a8803a"]; // band behind the front, and its middle
  const STAR = 1.6; // stars are drawn larger, as in the printed charts
  const CROWD = 60; // with more points than this, only those on the front have their bars drawn
  // With more points than MANY they are smaller, and methods of one cost stand side by side, LANE pixels apart,
  // but no more than a share of the plot.
  const [MANY, SMALLER, LANE, LANE_SHARE, MOST_LANES] = [24, 0.65, 9, 0.02, 6];
  const DOUBTS = { "†": "unsteady", "‡": "not fully counted", "§": "warned of in the record" };
  const REFERENCES = {
    teacher: { dash: "dash", lines: ["best", "teacher"] },
    undistilled: { dash: "dot", lines: ["best", "without", "distillation"] },
  };
  const MARGIN = { l: 56, r: 16, t: 16, b: 48 }; // pixels, as are these
  const [NAMES, NAME_LINE] = [84, 16]; // the margin that holds the names of lines, and a line of theirs
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

  /** How likely a point is on the front of all rows, whatever is filtered; null where nobody knows. */
  const share = (group, view, point) => group.chances[`${view.y} ${view.x}`]?.[point.index] ?? null;

  const percent = (share) => (share < 0.005 ? "< 1 %" : share > 0.995 ? "> 99 %" : `${(100 * share).toFixed(0)} %`);

  /** Fill, outline and symbol of a row's marker, fainter the less likely it is on the front. */
  function look(mark, colours, likely = null) {
    const [own, shape, fill, size] = mark;
    const colour = own ?? colours.ink;
    const inside = fill.startsWith("hollow") ? colours.page : fill.startsWith("pale") ? mix(colour, colours.page) : colour;
    const faded = (one) => (likely === null ? one : mix(one, colours.page, FAINTEST + (1 - FAINTEST) * likely));
    return {
      symbol: fill.endsWith("-dot") ? `${shape}-dot` : shape,
      size: size * (shape === "star" ? STAR : 1),
      inside: faded(inside),
      outline: faded(fill.startsWith("solid") ? colours.ink : colour),
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
    if (group.sizes.length > 1 && point.row.size) lines.push(`images of ${point.row.size} px`);
    lines.push(`${point.row.seeds} ${point.row.seeds === 1 ? "seed" : "seeds"}`);
    if (view.front.includes(point)) lines.push("on the front");
    if (view.close.includes(point)) lines.push("not distinguishable from the front");
    const likely = share(group, view, point);
    if (likely !== null) lines.push(plain(`on the front of all rows in ${percent(likely)} of draws`));
    return lines.join("<br>");
  }

  const isCrowded = (view) => view.points.length > CROWD;
  const scale = (view) => (view.points.length > MANY ? SMALLER : 1);

  /** Methods that stand side by side, the best first; none where points are few or methods are many. */
  function lanes(group, view) {
    const students = view.points.filter((point) => !["teacher", "external"].includes(point.row.role));
    students.sort((a, b) => (group.metrics[view.y].higher ? b.y.value - a.y.value : a.y.value - b.y.value));
    const methods = [...new Set(students.map((point) => point.row.facets.method))];
    return view.points.length > MANY && methods.length <= MOST_LANES ? methods : [];
  }

  /**
   * Where points stand on the axis of cost: at what they cost or, of many, aside by method, towards the more
   * expensive side, so that nothing seems to cost less than it does; and the range of the axis with room for that.
   * ends: of the axis; width: of the plot, pixels.
   */
  function places(group, view, ends, width) {
    const x = group.metrics[view.x];
    const methods = lanes(group, view);
    const lane = Math.min(LANE / Math.max(width, 1), LANE_SHARE) * (x.higher ? -1 : 1) * (ends[1] - ends[0]);
    const room = lane * Math.max(methods.length - 1, 0);
    const place = (point) => {
      const moved = lane * Math.max(methods.indexOf(point.row.facets.method), 0);
      const across = point.x.value / x.divisor;
      return view.log ? across * 10 ** moved : across + moved;
    };
    return { place, range: [ends[0] + Math.min(room, 0), ends[1] + Math.max(room, 0)] };
  }

  /** One trace per colour: plotly draws all bars of a trace alike. */
  function pointTraces(group, view, colours, place) {
    const [x, y] = [group.metrics[view.x], group.metrics[view.y]];
    const withBar = (point, estimate) => (isCrowded(view) && !view.front.includes(point) ? null : estimate);
    const byColour = Map.groupBy(view.points, (point) => point.row.mark[0] ?? colours.ink);
    return [...byColour].map(([colour, points]) => {
      const looks = points.map((point) => look(point.row.mark, colours, share(group, view, point)));
      return {
        meta: "points",
        type: "scatter",
        mode: "markers+text",
        x: points.map(place),
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
          size: looks.map((one) => one.size * scale(view)),
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

  /** What budgets buy in draws of other seeds and queries, of all rows: a band, and half of the draws. */
  function attainedTraces(group, view, range) {
    const [x, y] = [group.metrics[view.x], group.metrics[view.y]];
    const band = group.attained[`${view.y} ${view.x}`];
    if (!band) return [];
    const [budgets, low, middle, high] = band;
    const end = view.log ? 10 ** range[x.higher ? 0 : 1] : range[x.higher ? 0 : 1];
    // Where timings stray, the cheapest rows may cost more than the first budgets, which then buy nothing.
    const steps = (heights) => {
      const bought = budgets.flatMap((budget, i) => (low[i] === null ? [] : [[budget / x.divisor, heights[i] / y.divisor]]));
      return bought.length ? [...bought, [end, bought.at(-1)[1]]] : [];
    };
    const line = (heights, more) => {
      const corners = steps(heights);
      const common = { meta: "attained", type: "scatter", mode: "lines", hoverinfo: "skip" };
      return { ...common, x: corners.map(([across]) => across), y: corners.map(([, up]) => up), ...more };
    };
    const none = { shape: "hv", width: 0, color: ATTAINED };
    return [
      line(low, { line: none }),
      line(high, { line: none, fill: "tonexty", fillcolor: ATTAINED }),
      line(middle, { line: { shape: "hv", width: 1.2, dash: "dot", color: HALF } }),
    ];
  }

  /** Rings around some points. */
  function rings(group, view, points, kind, colour, size, width, place) {
    const y = group.metrics[view.y];
    return {
      meta: kind,
      type: "scatter",
      mode: "markers",
      x: points.map(place),
      y: points.map((point) => point.y.value / y.divisor),
      customdata: points.map((point) => point.index),
      hoverinfo: "skip",
      marker: { symbol: "circle-open", size: size * scale(view), color: colour, line: { color: colour, width } },
    };
  }

  /**
   * Horizontal lines at the best teacher and at the best student that was not distilled, named in the margin.
   * height: of the plot, pixels; names of lines that lie close together make room for each other.
   */
  function references(group, view, colours, range, height) {
    const y = group.metrics[view.y];
    const found = Object.entries(REFERENCES).flatMap(([role, { dash, lines }]) => {
      const best = Report.pareto.best(view.points, y.higher, (point) => point.row.role === role);
      return best ? [{ dash, lines, level: best.y.value / y.divisor }] : [];
    });
    found.sort((a, b) => a.level - b.level);
    let free = -Infinity; // pixels above the axis
    const names = found.map(({ lines, level }) => {
      const own = ((level - range[0]) / (range[1] - range[0])) * height;
      const middle = Math.max(own, free + (lines.length * NAME_LINE) / 2);
      free = middle + (lines.length * NAME_LINE) / 2 + 4;
      return {
        xref: "paper", x: 1, xanchor: "left", xshift: 6, y: level, yshift: middle - own, text: lines.join("<br>"),
        align: "left", showarrow: false, font: { size: 12, color: colours.quiet },
      };
    });
    const lines = found.map(({ dash, level }) => ({
      type: "line", xref: "paper", x0: 0, x1: 1, y0: level, y1: level, layer: "below",
      line: { dash, width: 1.2, color: colours.quiet },
    }));
    return { lines, names };
  }

  /** What single seeds had, as faint marks across the bars. */
  function seedTraces(group, view, colours, place) {
    const y = group.metrics[view.y];
    const points = isCrowded(view) ? [] : view.points;
    const marks = points.flatMap((point) => point.y.each.map((value) => ({ point, value })));
    return {
      meta: "seeds",
      type: "scatter",
      mode: "markers",
      x: marks.map(({ point }) => place(point)),
      y: marks.map(({ value }) => value / y.divisor),
      customdata: marks.map(({ point }) => point.index),
      hoverinfo: "skip",
      marker: {
        symbol: "line-ew-open",
        size: marks.map(({ point }) => (look(point.row.mark, colours).size + 7) * scale(view)),
        color: marks.map(({ point }) => mix(point.row.mark[0] ?? colours.ink, colours.page, 0.5)),
        line: { width: 1 },
      },
    };
  }

  /** An arrow to the recommended point, from the side with more room. */
  function pointer(group, view, colours, range, placed) {
    if (!view.pick) return [];
    const [across, up] = [placed(view.pick), view.pick.y.value / group.metrics[view.y].divisor];
    const place = view.log ? Math.log10(across) : across;
    const side = place - range[0] < range[1] - place ? 1 : -1;
    return [{
      x: place, y: up, text: "recommended", xanchor: side > 0 ? "left" : "right",
      showarrow: true, arrowhead: 2, arrowwidth: 1.5, arrowcolor: colours.link, ax: 36 * side, ay: -26, standoff: 12,
      font: { color: colours.link, size: 13 }, bgcolor: colours.page, borderpad: 2,
    }];
  }

  /** What others published, as hollow points: no part of any front, and no link. */
  function publishedTrace(group, view, colours) {
    const [x, y] = [group.metrics[view.x], group.metrics[view.y]];
    const said = (metric, value) => plain(`${metric.title}: ${words(metric, { value, low: null })}`);
    const hovers = view.published.map(({ figure, ...one }) =>
      [`<b>${plain(figure.name)}</b>`, said(y, one.y), said(x, one.x), plain(figure.said), plain(figure.source)].join("<br>"));
    return {
      meta: "published",
      type: "scatter",
      mode: "markers",
      x: view.published.map((one) => one.x / x.divisor),
      y: view.published.map((one) => one.y / y.divisor),
      hovertext: hovers,
      hoverinfo: "text",
      marker: { symbol: "diamond-tall", size: 12, opacity: 1, color: colours.page, line: { color: colours.ink, width: 1.5 } },
    };
  }

  /**
   * Draw one view of a group.
   * view: axes x and y (full names), scale, points with their front, close and pick, main costs for hovering.
   */
  function draw(element, group, view) {
    const colours = Report.colours();
    const [x, y] = [group.metrics[view.x], group.metrics[view.y]];
    const xs = [...view.points.map((point) => point.x.value), ...view.published.map((one) => one.x)].map((value) => value / x.divisor);
    const ys = [...view.points.map((point) => point.y.value), ...view.published.map((one) => one.y)].map((value) => value / y.divisor);
    const ends = view.points.flatMap(({ y: one }) => (one.low === null ? [] : [one.low / y.divisor, one.high / y.divisor]));
    const across = xs.length ? limits(xs, [], 0.2, view.log) : [0, 1];
    const heights = ys.length ? limits(ys, ends, 0.05, false) : [0, 1];
    const { lines, names } = references(group, view, colours, heights, element.clientHeight - MARGIN.t - MARGIN.b);
    const margin = names.length ? NAMES : MARGIN.r;
    const { place, range } = places(group, view, across, element.clientWidth - MARGIN.l - margin);
    const marks = rings(group, view, view.pick ? [view.pick] : [], "pick", colours.link, 25, 2.5, place);
    const traces = [
      ...attainedTraces(group, view, range),
      frontTrace(group, view, colours, range),
      seedTraces(group, view, colours, place),
      rings(group, view, view.close, "close", colours.quiet, 20, 1.2, place),
      marks,
      publishedTrace(group, view, colours),
      ...pointTraces(group, view, colours, place),
    ];
    const layout = Report.layout(colours, {
      xaxis: { title: { text: axisTitle(x), standoff: 8 }, range, ...(view.log ? Report.logAxis(...range.map((end) => 10 ** end)) : { type: "linear", tickvals: null }) },
      yaxis: { title: { text: axisTitle(y), standoff: 8 }, range: heights },
      margin: { ...MARGIN, r: margin },
      hovermode: "closest",
      shapes: lines,
      annotations: [...names, ...pointer(group, view, colours, range, place)],
    });
    return Plotly.react(element, traces, layout, Report.settings);
  }

  return { draw, words, percent, isCrowded, lanes, DOUBTS };
})();
