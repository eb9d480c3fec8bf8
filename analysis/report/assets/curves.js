// All learning curves: drawn when they come into view, filtered together, and ready for paper.
"use strict";

const curves = (() => {
  const form = document.getElementById("curve-filters");
  if (!form) return null;
  const { looks, charts } = JSON.parse(document.getElementById("curve-data").textContent);
  const articles = [...document.querySelectorAll(".chart")];
  const drawn = new Map();
  const KEYS = ["env", "map", "budget", "backend"];
  const PRINT_WIDTH = 330;

  function draw(article) {
    if (!drawn.has(article)) {
      drawn.set(article, new CurveChart(article, charts[article.dataset.chart], looks));
      showMethods(article);
    }
    return drawn.get(article);
  }

  const withTwoPolicies = new Set([...document.querySelectorAll('.legend li[data-policy="dependent"]')].map((li) => li.dataset.algo));

  function isWanted({ algo, policy }) {
    const wanted = form.elements.policy.value;
    const checked = form.querySelector(`input[value="${CSS.escape(algo)}"]`).checked;
    return checked && (!wanted || !withTwoPolicies.has(algo) || policy === wanted);
  }

  /** Applies the filters for methods to one chart; returns whether any is left. */
  function showMethods(article) {
    const items = [...article.querySelectorAll(".legend li")];
    const chart = drawn.get(article);
    const wanted = items.filter((item) => isWanted(item.dataset));
    for (const item of items) item.hidden = !wanted.includes(item) || (chart && !chart.items.includes(item));
    if (chart) chart.singles = form.elements.single.checked;
    chart?.items.forEach((item, k) => chart.setShown(k, !item.hidden));
    return wanted.length > 0;
  }

  const chosen = (changes = {}) => Object.fromEntries(KEYS.map((key) => [key, changes[key] ?? form.elements[key].value]));
  const matches = (article, wanted) => KEYS.every((key) => !wanted[key] || article.dataset[key] === wanted[key]);

  function apply() {
    const wanted = chosen();
    for (const article of articles) article.hidden = !(showMethods(article) && matches(article, wanted));
    for (const key of KEYS) {
      // What would leave no chart, given the other choices, cannot be chosen.
      for (const option of form.elements[key].options) {
        option.disabled = Boolean(option.value) && !articles.some((article) => matches(article, chosen({ [key]: option.value })));
      }
    }
    const shown = articles.filter((article) => !article.hidden).length;
    form.querySelector("output").textContent = `${shown} of ${articles.length} charts`;
  }

  for (const key of KEYS) {
    const values = [...new Set(articles.map((article) => article.dataset[key]))].sort();
    form.elements[key].append(...values.map((value) => new Option(value || "unknown", value)));
  }
  for (const article of articles) {
    article.querySelector(".shown")?.addEventListener("input", ({ target }) => {
      const chart = charts[article.dataset.chart];
      const lines = chart.training[target.value];
      draw(article).show(lines ? { score: target.value, fraction: false, lines } : chart);
      showMethods(article);
      drawn.get(article).showValues();
    });
  }
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();

  const inView = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "400px" },
  );
  articles.forEach((article) => inView.observe(article));
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) drawn.get(target)?.resize();
  });
  articles.forEach((article) => resized.observe(article));

  function repaint(printing) {
    for (const [article, chart] of drawn) {
      chart.printing = printing;
      if (!article.hidden) chart.resize(printing ? PRINT_WIDTH : undefined);
      chart.u.redraw(false); // without looking at the scales, which a chart that was made just now does not have yet
    }
  }
  darkPage.addEventListener("change", () => repaint(false));
  addEventListener("beforeprint", () => {
    articles.filter((article) => !article.hidden).forEach(draw);
    repaint(true);
  });
  addEventListener("afterprint", () => repaint(false));

  return { drawn, draw };
})();
