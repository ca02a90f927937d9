// SPDX-License-Identifier: MIT
// dashboard_chart.js: a chart of the last minutes, and bars for counts by reason.

export const SPAN_MS = 180000; // what a chart shows
const WIDTH = 180; // of the drawing, which the page stretches
const HEIGHT = 58; // from the base line up; half a line's width is left at both ends
const BREAK_MS = 4000; // points further apart are not connected

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const count = (number) => (number < 1e5 ? whole.format(number) : short.format(number));
export const rate = (number) => (number < 10 ? tenths.format(number) : count(number));

export function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; number >= 1000 && unit < units.length - 1; unit++) number /= 1000;
  return `${(unit > 0 && number < 100 ? tenths : whole).format(number)} ${units[unit]}`;
}

export function duration(seconds) {
  if (seconds === 0) return "0 s";
  const [number, unit] = seconds < 1e-3 ? [seconds * 1e6, "µs"]
    : seconds < 1 ? [seconds * 1e3, "ms"] : [seconds, "s"];
  return `${(number < 10 ? tenths : whole).format(number)} ${unit}`;
}

// The next of 1, 2, 5, 10, 20 ... that is not below the highest value.
function niceAbove(highest) {
  const power = 10 ** Math.floor(Math.log10(highest));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= highest * 0.9999);
}

export class Chart {
  // series: names, in the order of the values of a point. least: the scale never ends below it.
  constructor(parent, { id, title, series, format, least }) {
    this.card = document.getElementById("chart").content.firstElementChild.cloneNode(true);
    this.card.dataset.chart = id;
    this.title = title;
    this.format = format;
    this.least = least;
    this.points = []; // { time, values }, oldest first; values is null where nothing is known
    this.hover = null; // where the pointer is, from 0 to 1
    const heading = this.part("h2");
    heading.id = `chart-${id}`;
    heading.textContent = title;
    this.card.setAttribute("aria-labelledby", heading.id);
    this.lines = series.map((name, index) => this.addSeries(name, index, series.length > 1));
    parent.append(this.card);
    const plot = this.part(".plot");
    plot.addEventListener("pointermove", (event) => {
      const box = plot.getBoundingClientRect();
      this.hover = (event.clientX - box.left) / box.width;
      this.draw();
    });
    plot.addEventListener("pointerleave", () => {
      this.hover = null;
      this.draw();
    });
  }

  part(selector) {
    return this.card.querySelector(selector);
  }

  addSeries(name, index, isNamed) {
    const path = (className) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", "path");
      made.setAttribute("class", `${className} series-${index}`);
      this.part("svg").append(made);
      return made;
    };
    const key = document.createElement("span");
    const value = document.createElement("b");
    key.className = `key series-${index}`;
    key.append(isNamed ? `${name} ` : "", value);
    this.part(".legend").append(key);
    return { name, value, area: index === 0 ? path("area") : null, line: path("line") };
  }

  add(time, values) {
    this.points.push({ time, values });
    while (this.points[0].time < time - SPAN_MS) this.points.shift();
  }

  // The stretches of one series without a break, as lists of [x, y].
  runs(index, now, top) {
    const runs = [];
    let before = null;
    for (const { time, values } of this.points) {
      const value = values?.[index] ?? null;
      if (value === null) {
        before = null;
        continue;
      }
      if (before === null || time - before > BREAK_MS) runs.push([]);
      before = time;
      runs.at(-1).push([WIDTH * (1 - (now - time) / SPAN_MS), HEIGHT + 1 - (HEIGHT * value) / top]);
    }
    return runs;
  }

  drawSeries({ area, line }, index, now, top) {
    const runs = this.runs(index, now, top).map((run) => ({
      from: run[0][0].toFixed(2),
      to: run.at(-1)[0].toFixed(2),
      path: run.map(([x, y]) => `${x.toFixed(2)} ${y.toFixed(2)}`).join("L"),
    }));
    // A point without neighbours is a line without length, whose round ends make a dot.
    line.setAttribute("d", runs.map(({ path, to }) => `M${path}H${to}`).join(""));
    area?.setAttribute("d", runs.map(({ from, to, path }) =>
      `M${from} ${HEIGHT + 1}L${path}L${to} ${HEIGHT + 1}Z`).join(""));
  }

  pointAt(now) {
    if (this.hover === null) return this.points.at(-1);
    const time = now - SPAN_MS * (1 - this.hover);
    return this.points.reduce((best, point) =>
      (Math.abs(point.time - time) < Math.abs(best.time - time) ? point : best));
  }

  draw() {
    if (this.points.length === 0) return;
    const now = this.points.at(-1).time;
    const known = this.points.flatMap(({ values }) => values ?? []).filter((one) => one !== null);
    const top = niceAbove(Math.max(this.least, ...known));
    this.lines.forEach((line, index) => this.drawSeries(line, index, now, top));
    this.part(".top").textContent = this.format(top);

    const point = this.pointAt(now);
    const texts = this.lines.map((_, index) => {
      const value = point.values?.[index] ?? null;
      return value === null ? "–" : this.format(value);
    });
    texts.forEach((text, index) => { this.lines[index].value.textContent = text; });
    const ago = Math.round((now - point.time) / 1000);
    const x = WIDTH * (1 - (now - point.time) / SPAN_MS);
    this.part(".when").textContent = this.hover === null ? "" : `${ago} s ago`;
    this.part(".cross").setAttribute("d", this.hover === null ? "" : `M${x.toFixed(2)} 0V60`);
    if (this.hover === null) {
      this.part("svg").setAttribute("aria-label", `${this.title}, last three minutes: now ${
        texts.map((text, index) => (texts.length > 1 ? `${this.lines[index].name} ` : "") + text)
          .join(", ")}, highest ${known.length > 0 ? this.format(Math.max(...known)) : "not known"}`);
    }
  }
}

// Counts that only grow, as one bar for each reason, and what the last minutes have added.
export class Reasons {
  constructor(list, meanings) {
    this.list = list;
    this.meanings = meanings;
    this.rows = new Map();
    this.samples = []; // { time, counts }, oldest first
  }

  // After a restart the counts begin anew.
  restart() {
    this.samples = [];
    this.rows.clear();
    this.list.replaceChildren();
  }

  addRow(reason) {
    const item = document.createElement("li");
    const made = {};
    for (const name of ["reason", "meaning", "recent", "total", "bar"]) {
      made[name] = document.createElement("span");
      made[name].className = name;
    }
    item.dataset.reason = reason;
    made.reason.textContent = reason;
    made.meaning.textContent = this.meanings[reason] ?? "";
    item.append(made.reason, made.meaning, made.recent, made.total, made.bar);
    this.list.append(item);
    this.rows.set(reason, { item, ...made });
    return this.rows.get(reason);
  }

  draw(time, counts) {
    this.samples.push({ time, counts });
    while (this.samples[0].time < time - SPAN_MS) this.samples.shift();
    const highest = Math.max(1, ...counts.values());
    for (const [reason, total] of counts) {
      const row = this.rows.get(reason) ?? this.addRow(reason);
      const recent = total - (this.samples[0].counts.get(reason) ?? 0);
      row.item.classList.toggle("none", total === 0);
      row.total.textContent = count(total);
      row.recent.textContent = recent > 0 ? `+${count(recent)}` : "";
      row.bar.style.setProperty("--share", total / highest);
    }
  }
}
