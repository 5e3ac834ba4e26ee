// Truth against prediction, as a table of per cent of each class's truth.
"use strict";
(() => {
  const { make, named, words, report } = noseam;

  const short = (share) => {
    if (share === 0) return "";
    return share < 0.005 ? "·" : String(Math.round(100 * share));
  };

  const cell = (share, isRight, title) => {
    const element = make("td", { class: isRight && "right", title }, short(share));
    element.style.background = `color-mix(in srgb, var(${isRight ? "--green" : "--red"}) ${Math.round(45 * share)}%, var(--surface))`;
    return element;
  };

  const row = (matrix, truth) => {
    const total = matrix.pixels[truth].reduce((sum, count) => sum + count, 0);
    const cells = matrix.pixels[truth].map((count, predicted) => {
      const title = `${words.number(count)} pixels of ${matrix.classes[truth]} labelled ${matrix.classes[predicted]}`;
      return cell(total ? count / total : 0, truth === predicted, title);
    });
    const iou = make("td", {}, words.percent(matrix.iou[truth]) || "–");
    return make("tr", {}, make("th", { scope: "row" }, named(matrix.classes[truth])), cells, iou);
  };

  const occurs = (matrix) => (index) =>
    matrix.pixels[index].some((count) => count > 0) || matrix.pixels.some((counts) => counts[index] > 0);

  const only = (matrix, kept) => ({
    classes: kept.map((index) => matrix.classes[index]),
    pixels: kept.map((index) => kept.map((other) => matrix.pixels[index][other])),
    iou: kept.map((index) => matrix.iou[index]),
  });

  /** Return the figure of the confusion matrix, in a list; an empty one where there is none. */
  noseam.confusion = () => {
    if (!report.confusion) return [];
    const kept = report.confusion.classes.map((_, index) => index).filter(occurs(report.confusion));
    const matrix = only(report.confusion, kept);
    const column = (name) => make("th", { scope: "col" }, named(name));
    const head = make("thead", {}, make("tr", {}, make("th", { scope: "col", class: "text" }, "Truth"), matrix.classes.map(column), make("th", { scope: "col" }, "IoU")));
    const table = make("table", { class: "confusion" }, head, make("tbody", {}, matrix.classes.map((_, truth) => row(matrix, truth))));
    const miou = report.confusion.miou;
    const about = report.confusion.of === "crops" ? "Of the crops that the model was validated on while it learned, not of the images above. " : "";
    const says = `${about}${miou === undefined ? "" : `Mean IoU ${words.percent(miou)}. `}Rows: what is there; columns: what it was labelled, in per cent of the row. A dot: below 0.5 %.`;
    const caption = make("figcaption", {}, make("h3", {}, "What is taken for what"), make("p", {}, says));
    const scroll = make("div", { class: "scroll", role: "region", "aria-label": "What is taken for what", tabindex: 0 }, table);
    return [make("figure", { class: "chart whole" }, caption, scroll)];
  };
})();
