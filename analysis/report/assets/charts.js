// One chart of learning curves, drawn by uPlot: hover, zoom, keyboard, and values in the legend.
"use strict";

const darkPage = matchMedia("(prefers-color-scheme: dark)");
const HEIGHT = 250;
// Each method takes three series: its mean, and the two edges of its band.
const PER_METHOD = 3;

class CurveChart {
  /**
   * @param {HTMLElement} article - holds .plot and .legend
   * @param {object} chart - score, fraction, lines of method, steps, mean, spread, seeds, single (by seed); and
   *   training, by metric, lines without single
   * @param {object} looks - light, dark, dash and width of each method
   */
  constructor(article, chart, looks) {
    this.plot = article.querySelector(".plot");
    this.article = article;
    this.at = article.querySelector(".at");
    this.looks = looks;
    this.printing = false;
    this.singles = false;
    this.show(chart);
    this.status = Object.assign(document.createElement("p"), { className: "unseen" });
    this.status.setAttribute("role", "status");
    article.append(this.status, this.tools());
    this.listen(`${article.querySelector("h3").textContent}, ${article.querySelector(".sub").textContent}`);
  }

  /** Draws this chart, or one of what it was trained with, in the place of what is there. */
  show(chart) {
    this.u?.destroy();
    this.u = null;
    this.chart = chart;
    this.items = chart.lines.map((line) => this.article.querySelector(`li[data-method="${CSS.escape(line.method)}"]`));
    this.seeds = uPlot.join(chart.lines.map((line) => [line.steps, line.seeds])).slice(1);
    // Single seeds come after all methods: of each, the number of its method.
    this.owners = chart.lines.flatMap((line, k) => Object.keys(line.single ?? {}).map(() => k));
    this.u = new uPlot(this.options(), this.data(), this.plot);
    this.extent = [this.u.data[0][0], this.u.data[0].at(-1)];
  }

  data() {
    // Steps that a method did not evaluate at are undefined and joined over; null is a hole in its curve.
    return uPlot.join(
      this.chart.lines.map(({ steps, mean, spread }) => {
        const edge = (sign) => mean.map((value, i) => (value === null ? null : value + sign * spread[i]));
        return [steps, mean, edge(+1), edge(-1)];
      }).concat(this.chart.lines.filter(({ single }) => single).map(({ steps, single }) => [steps, ...Object.values(single)])),
    );
  }

  options() {
    const style = (name) => () => (this.printing ? PRINTED[name] : getComputedStyle(this.plot).getPropertyValue(name));
    const axis = {
      stroke: style("--faint"),
      grid: { stroke: style("--rule"), width: 1 },
      ticks: { stroke: style("--rule"), width: 1, size: 4 },
      font: "12px system-ui, sans-serif",
      gap: 4,
    };
    const isMean = (index) => index <= PER_METHOD * this.chart.lines.length && (index - 1) % PER_METHOD === 0;
    return {
      width: this.plot.clientWidth,
      height: HEIGHT,
      padding: [8, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: (u, index) => (isMean(index) ? 7 : 0), width: 0 } },
      scales: { x: { time: false }, y: this.chart.fraction ? { range: [-0.02, 1.02] } : {} },
      axes: [
        { ...axis, size: 28, space: 60, label: "env steps", labelSize: 18, labelFont: axis.font, labelGap: 0, values: (u, ticks) => ticks.map(shortNumber) },
        { ...axis, size: 46, space: 30, values: (u, ticks) => ticks.map(shortNumber) },
      ],
      series: [
        {},
        ...this.chart.lines.flatMap((line) => this.series(line)),
        ...this.owners.map((k) => ({ stroke: () => this.colour(this.chart.lines[k]), width: 0.7, show: false, points: { show: false } })),
      ],
      bands: this.chart.lines.map((line, k) => ({
        series: [PER_METHOD * k + 2, PER_METHOD * k + 3],
        fill: () => `${this.colour(line)}26`,
      })),
      hooks: { setCursor: [() => this.showValues()] },
    };
  }

  series(line) {
    const look = this.looks[line.method];
    const edge = { stroke: "transparent", width: 0, points: { show: false } };
    const single = line.steps.length === 1;
    const mean = { stroke: () => this.colour(line), width: look.width, dash: look.dash, points: { show: single, size: 7 } };
    return [mean, edge, edge];
  }

  colour(line) {
    return this.looks[line.method][darkPage.matches && !this.printing ? "dark" : "light"];
  }

  /** The values under the cursor, or the last ones, in the legend; returned as one sentence. */
  showValues() {
    const { u } = this;
    if (!u) return ""; // uPlot calls back while it is being made
    const pointed = u.cursor.idx;
    const index = pointed ?? u.data[0].length - 1;
    const said = this.chart.lines.map((line, k) => {
      const [mean, high] = [1, 2].map((offset) => u.data[PER_METHOD * k + offset][index]);
      const seeds = this.seeds[k][index];
      const text = mean == null ? "–" : `${shortNumber(mean)} ± ${shortNumber(high - mean)}`;
      const count = seeds == null ? "" : `${seeds} seed${seeds === 1 ? "" : "s"}`;
      const item = this.items[k];
      item.querySelector(".value").textContent = text;
      item.querySelector(".seeds").textContent = count;
      return item.hidden ? "" : `${line.method} ${text}, ${count}`;
    });
    const step = `env step ${u.data[0][index].toLocaleString("en")}`;
    this.at.textContent = pointed == null ? "at the last env step" : `at ${step}`;
    return `${step}: ${said.filter(Boolean).join(", ")}`;
  }

  tools() {
    const bar = Object.assign(document.createElement("div"), { className: "tools" });
    const actions = [["−", "Zoom out", () => this.zoom(2)], ["+", "Zoom in", () => this.zoom(0.5)], ["Reset", "Whole curve", () => this.whole()]];
    for (const [text, title, action] of actions) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: text, title });
      button.setAttribute("aria-label", title);
      button.addEventListener("click", action);
      bar.append(button);
    }
    return bar;
  }

  listen(name) {
    this.plot.tabIndex = 0;
    this.plot.setAttribute("role", "application");
    this.plot.setAttribute("aria-roledescription", "chart");
    const keys = "Left and right read values, plus and minus zoom, zero shows the whole curve. The numbers are in a table below.";
    this.plot.setAttribute("aria-label", `Learning curves of ${name}. ${keys}`);
    const actions = {
      ArrowLeft: () => this.move(-1), ArrowRight: () => this.move(+1), Home: () => this.move(-Infinity), End: () => this.move(Infinity),
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.whole(), Escape: () => this.whole(),
    };
    this.plot.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
      event.preventDefault();
      actions[event.key]();
    });
  }

  /** Puts the cursor some evaluations on, within what is visible, and says what is there. */
  move(by) {
    const { u } = this;
    const [first, last] = u.series[0].idxs;
    const here = u.cursor.idx ?? (by > 0 ? first - 1 : last + 1);
    const index = Math.min(last, Math.max(first, here + by));
    u.setCursor({ left: u.valToPos(u.data[0][index], "x"), top: 0 });
    this.status.textContent = this.showValues();
  }

  zoom(factor) {
    const { min, max } = this.u.scales.x;
    const [low, high] = this.extent;
    if (low === high) return;
    const centre = this.u.cursor.idx == null ? (min + max) / 2 : this.u.data[0][this.u.cursor.idx];
    const shares = (centre - min) / (max - min);
    const width = Math.min(high - low, Math.max((high - low) / 64, (max - min) * factor));
    const left = Math.min(high - width, Math.max(low, centre - shares * width));
    this.u.setScale("x", { min: left, max: left + width });
  }

  whole() {
    const [min, max] = this.extent;
    if (min < max) this.u.setScale("x", { min, max });
  }

  /** Shows or hides one method. */
  setShown(k, shown) {
    for (let offset = 1; offset <= PER_METHOD; offset++) this.u.setSeries(PER_METHOD * k + offset, { show: shown });
    const first = PER_METHOD * this.chart.lines.length + 1;
    this.owners.forEach((owner, i) => owner === k && this.u.setSeries(first + i, { show: shown && this.singles }));
  }

  resize(width = this.plot.clientWidth) {
    if (width > 0) this.u.setSize({ width, height: HEIGHT });
  }
}

// What the stylesheet has on paper, where it cannot be asked before the printing begins.
const PRINTED = { "--faint": "#57606a", "--rule": "#d8dde3" };

/** 2M, 50k, 0.25: three digits are enough to read a chart. */
function shortNumber(value) {
  const size = Math.abs(value);
  const [scale, unit] = size >= 1e6 ? [1e6, "M"] : size >= 1e4 ? [1e3, "k"] : [1, ""];
  return Number((value / scale).toPrecision(3)).toLocaleString("en", { useGrouping: false, maximumFractionDigits: 6 }).replace("-", "−") + unit;
}
