// Tables whose columns sort by a click on their heading.
"use strict";
(() => {
  const value = (cell, kind) => {
    const text = cell.dataset.value ?? cell.textContent;
    return kind === "number" ? Number(text) : text;
  };

  const compare = (first, second) =>
    typeof first === "number" ? first - second : first.localeCompare(second, "en", { numeric: true });

  const sort = (table, heading, index) => {
    const kind = heading.dataset.sort;
    const before = heading.getAttribute("aria-sort");
    const falling = before ? before === "ascending" : kind === "number";
    for (const other of heading.parentElement.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => compare(value(a.cells[index], kind), value(b.cells[index], kind)) * (falling ? -1 : 1));
    table.tBodies[0].append(...rows);
  };

  /** Make the headings of a table that have `data-sort` into buttons that sort it. */
  noseam.sortable = (table) => {
    for (const [index, heading] of [...table.tHead.rows[0].cells].entries()) {
      if (!heading.dataset.sort) continue;
      const button = noseam.make("button", { type: "button", class: "sorter" }, ...heading.childNodes);
      button.addEventListener("click", () => sort(table, heading, index));
      heading.replaceChildren(button);
    }
  };
})();
