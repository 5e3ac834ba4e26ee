// The card of an image: its picture, its name, what is to be said of it in a line.
"use strict";
(() => {
  const { make, named, words, report, rgb } = noseam;

  const MOST = 32; // characters in two lines

  const picture = (image) => {
    if (!image.thumb) return make("span", { class: "picture" }, words.state(image.state));
    const img = make("img", { src: noseam.place(image.thumb), alt: "", loading: "lazy", decoding: "async" });
    return make("span", { class: "picture" }, img);
  };

  const shares = (image) => {
    const bar = make("span", { class: "shares" });
    const total = image.classes.reduce((sum, [, share]) => sum + share, 0);
    let end = 0;
    const stops = image.classes.map(([id, share]) => {
      const start = end;
      end += (100 * share) / total;
      return `${rgb(words.classOf(id).colour)} ${start.toFixed(2)}% ${end.toFixed(2)}%`;
    });
    bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    return bar;
  };

  const badge = (text, level) => make("span", { class: `badge ${level}` }, text);

  const isLow = (image) => image.confidence !== undefined && image.confidence < report.low_below;

  /** Return the badges of an image: its state where it is not done, and its doubts. */
  noseam.badges = (image) => [
    image.state === "failed" && badge("failed", "red"),
    image.state === "left" && badge("not reached", "unknown"),
    ...image.doubts.map((kind) => badge(kind, "amber")),
    isLow(image) && !image.doubts.includes("low confidence") && badge("low confidence", "amber"),
  ];

  const meta = (image) =>
    make(
      "span",
      { class: "meta" },
      noseam.badges(image),
      image.confidence !== undefined && make("span", { title: "Mean confidence" }, `conf. ${words.digits(image.confidence)}`),
    );

  /** Return the card of an image, a link to it, by its index. */
  noseam.card = (index) => {
    const image = report.images[index];
    const [folder, file] = words.parts(image.name);
    return make(
      "a",
      { class: "card", href: noseam.route.link(index), "data-index": index, title: image.name },
      picture(image),
      image.classes.length > 0 && shares(image),
      make(
        "span",
        { class: "says" },
        folder && named(words.shortened(folder, 18), { class: "folder" }),
        named(words.shortened(file, MOST), { class: "file" }),
        meta(image),
      ),
    );
  };
})();
