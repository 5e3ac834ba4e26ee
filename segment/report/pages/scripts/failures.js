// What failed, why, and what helps.
"use strict";
(() => {
  const { make, named, button, words, report } = noseam;
  const FIRST = 25;

  const row = (index) => {
    const image = report.images[index];
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, make("a", { href: noseam.route.link(index) }, named(image.name))),
      make("td", {}, named(words.reason(image))),
      make("td", {}, named(image.advice || "")),
    );
  };

  const headings = () => ["Image", "Why", "What helps"].map((text) => make("th", { scope: "col", class: "text", "data-sort": "text" }, text));

  noseam.failures = {
    start: () => {
      const place = document.getElementById("failed");
      if (!place) return;
      const failed = report.images.map((_, index) => index).filter((index) => report.images[index].state === "failed");
      const body = make("tbody", {}, failed.slice(0, FIRST).map(row));
      const table = make("table", { class: "failures" }, make("thead", {}, make("tr", {}, headings())), body);
      noseam.sortable(table);
      place.append(table);
      if (failed.length <= FIRST) return;
      const more = button(`Show all ${words.number(failed.length)}`, () => {
        body.append(...failed.slice(FIRST).map(row));
        more.remove();
      });
      place.append(more);
      window.addEventListener("beforeprint", () => more.click());
    },
  };
})();
