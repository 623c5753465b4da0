"use strict";
document.documentElement.classList.add("scripted");
(() => {
  const table = document.getElementById("cells");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  document.getElementById("filter").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.key === undefined ? cell.textContent : Number(cell.dataset.key);
  };
  Array.from(table.tHead.rows[0].cells).forEach((head, column, heads) => {
    const sort = () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const isNumeric = head.classList.contains("num");
      // What was not measured stays at the end, whichever way the rest is sorted.
      const isMissing = (row) => isNumeric && row.cells[column].dataset.key === undefined;
      rows.sort((one, other) => {
        if (isMissing(one) !== isMissing(other)) return isMissing(one) ? 1 : -1;
        const a = keyOf(one, column), b = keyOf(other, column);
        return (a < b ? -1 : a > b ? 1 : 0) * (descending ? -1 : 1);
      });
      body.append(...rows);
    };
    head.tabIndex = 0;
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
  addEventListener("beforeprint", () => document.querySelectorAll("main section > section > details, #lifecycle details, #failures details, #correctness details")
    .forEach((item) => { item.open = true; }));
})();
