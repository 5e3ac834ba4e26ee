// Which images are wanted, and in which order: plain values, and no page.
"use strict";
(() => {
  const selection = (noseam.selection = {});

  /** What is wanted at first: all, by name. */
  selection.all = { name: "", state: "", doubt: "", label: "", share: 0, below: null, order: "name" };

  const shareOf = (image, label) => image.classes.find(([id]) => id === label)?.[1];

  const hasClass = (image, label, least) => {
    const share = shareOf(image, label);
    return share !== undefined && share >= least;
  };

  /** Return whether an image is wanted. */
  selection.matches = (image, wanted) =>
    image.name.toLowerCase().includes(wanted.name.toLowerCase()) &&
    (!wanted.state || image.state === wanted.state) &&
    (!wanted.doubt || doubtful(image, wanted.doubt)) &&
    (wanted.label === "" || hasClass(image, Number(wanted.label), wanted.share)) &&
    (wanted.below === null || (image.confidence !== undefined && image.confidence < wanted.below));

  const doubtful = (image, doubt) => (doubt === "any" ? image.doubts.length > 0 : image.doubts.includes(doubt));

  // Each order: what it goes by, and whether the largest comes first. Images without the figure come last.
  const ORDERS = {
    confidence: [(image) => image.confidence, false],
    low: [(image) => image.low, true],
    disagreement: [(image) => image.disagreement, true],
    seconds: [(image) => image.seconds, true],
    share: [(image, wanted) => shareOf(image, Number(wanted.label)), true],
  };

  const by = (wanted) => {
    const [figure, falling] = ORDERS[wanted.order];
    const placed = (image) => {
      const value = figure(image, wanted);
      if (value === undefined || value === null) return Infinity;
      return falling ? -value : value;
    };
    return (first, second) => {
      const [a, b] = [placed(noseam.report.images[first]), placed(noseam.report.images[second])];
      return a === b ? first - second : a - b;
    };
  };

  /** Return the indices of the wanted images, in the wanted order. */
  selection.of = (wanted) => {
    const found = [];
    for (const [index, image] of noseam.report.images.entries()) if (selection.matches(image, wanted)) found.push(index);
    return wanted.order in ORDERS ? found.sort(by(wanted)) : found; // images come in the order of their names
  };
})();
