"use strict";
// Which points are worth having: the same rules as in the tables and the printed charts.
Report.pareto = (() => {
  const ROUNDING = 1e-9; // 0.65 - 0.63 is a little more than 0.02 in binary fractions

  /** One row's number on an axis: {value, low, high, seeds, each, settled}; null where it was not measured. */
  function estimate(group, row, name) {
    const numbers = row.values[group.names.indexOf(name)];
    if (!numbers) return null;
    const [value, low = null, high = null, seeds = row.seeds, ...each] = numbers;
    return { value, low, high, seeds, each, settled: row.settled };
  }

  /** Whether an interval lies wholly on the better side of another one, both being over all that there is to draw. */
  function clearlyBetter(one, other, higher) {
    if (one.low === null || other.low === null) return false;
    if (one.seeds === 2 || other.seeds === 2) return false; // two seeds cannot tell
    // Over queries is all there is to draw where no other seed would change a row.
    if ((one.seeds === 1) !== (other.seeds === 1) && !one.settled && !other.settled) return false;
    return higher ? one.low > other.high : one.high < other.low;
  }

  const atLeast = (a, b, higher) => (higher ? a >= b : a <= b);

  /** Points that no other one dominates; equal points stay together. */
  function front(points, higherX, higherY) {
    const dominates = (a, b) =>
      atLeast(a.x.value, b.x.value, higherX) && atLeast(a.y.value, b.y.value, higherY) &&
      (a.x.value !== b.x.value || a.y.value !== b.y.value);
    return points.filter((point) => !points.some((other) => dominates(other, point)));
  }

  /** Points off the front that no front point of the same or lower cost is clearly better than. */
  function close(points, onFront, higherX, higherY) {
    const members = new Set(onFront);
    const behind = (point) => onFront.some((other) => atLeast(other.x.value, point.x.value, higherX) && clearlyBetter(other.y, point.y, higherY));
    return points.filter((point) => !members.has(point) && !behind(point));
  }

  /** The best point of those that pass the test; null without one. */
  function best(points, higher, passes) {
    const found = points.filter(passes);
    return found.reduce((a, b) => (atLeast(a.y.value, b.y.value, higher) ? a : b), found[0] ?? null);
  }

  /** The cheapest student within a margin of the best student, and that best one; teachers, others' methods, floats beside codes and what is in doubt aside. */
  function recommend(points, within, higherX, higherY) {
    const ours = points.filter((point) => !["teacher", "external"].includes(point.row.role) && !point.doubtful);
    // Where some have binary codes, floats are what codes are held against.
    const coded = ours.filter((point) => point.row.binary);
    const students = coded.length ? coded : ours;
    const top = best(students, higherY, () => true);
    if (!top) return null;
    const enough = students.filter((point) => Math.abs(top.y.value - point.y.value) <= within + ROUNDING);
    const cheaper = (a, b) => {
      if (a.x.value !== b.x.value) return atLeast(a.x.value, b.x.value, higherX) ? a : b;
      return atLeast(a.y.value, b.y.value, higherY) ? a : b;
    };
    return { top, pick: enough.reduce(cheaper) };
  }

  /** Published figures with both numbers, and how many lie too far below the points to be drawn. */
  function published(group, nameX, nameY, points) {
    const value = (figure, name) => figure.values[group.names.indexOf(name)];
    const all = group.published.flatMap((figure) => {
      const [x, y] = [value(figure, nameX), value(figure, nameY)];
      return x === null || y === null ? [] : [{ figure, x, y }];
    });
    const ys = points.map((point) => point.y.value);
    const lowest = Math.min(...ys) - Math.max(2 * (Math.max(...ys) - Math.min(...ys)), 0.1);
    const near = ys.length ? all.filter((one) => one.y >= lowest) : all;
    return { near, outside: all.length - near.length };
  }

  return { published, estimate, front, close, best, recommend };
})();
