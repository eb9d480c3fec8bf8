// Tables that can be sorted by their columns and filtered by the fields above them.
"use strict";

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(table, head, column));
  });
}

function sortBy(table, head, column) {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const numeric = head.classList.contains("number");
  const value = (row) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    return numeric ? Number(text) : text;
  };
  const compare = numeric ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en", { numeric: true });
  const keyed = [...table.tBodies[0].rows].map((row) => [value(row), row]);
  keyed.sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)));
  table.tBodies[0].append(...keyed.map(([, row]) => row));
}

for (const filters of document.querySelectorAll("[data-filters-for]")) {
  const rows = [...document.getElementById(filters.dataset.filtersFor).tBodies[0].rows];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const passes = (row, field) => {
    const wanted = field.value.trim();
    if (!wanted) return true;
    if ("anywhere" in field.dataset) return texts.get(row).includes(wanted.toLowerCase());
    return row.cells[Number(field.dataset.column)].textContent.trim().startsWith(wanted);
  };
  const fields = [...filters.querySelectorAll("select, input")];
  const apply = () => {
    for (const row of rows) row.hidden = !fields.every((field) => passes(row, field));
    const shown = rows.filter((row) => !row.hidden).length;
    filters.querySelector("output").textContent = `${shown} of ${rows.length}`;
  };
  filters.hidden = false;
  filters.addEventListener("input", apply);
  apply(); // a browser that goes back to the page may have kept what was chosen
}
