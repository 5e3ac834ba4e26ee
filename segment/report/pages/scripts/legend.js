// The legend of an image: its classes with their shares and how sure they are, each to hide or to see alone.
"use strict";
(() => {
  const { make, named, swatch, button, words, report } = noseam;

  const sure = (confidence, low) =>
    confidence !== undefined &&
    make("span", { class: "sure", title: `Low: below ${words.digits(report.low_below)}` }, `confidence ${words.digits(confidence)}, ${words.percent(low)} low`);

  /** Return the legend. `hidden` is the set of ids that are not painted; `changed` is called after a change of it. */
  noseam.legendOf = (image, hidden, changed) => {
    const ids = image.classes.map(([id]) => id);
    const boxes = new Map();

    const set = (choose) => {
      for (const id of ids) {
        if (choose(id)) hidden.delete(id);
        else hidden.add(id);
        boxes.get(id).checked = !hidden.has(id);
      }
      changed();
    };

    const all = () => {
      hidden.clear();
      set(() => true);
    };

    const row = ([id, share, confidence, low]) => {
      const { name, colour } = words.classOf(id);
      const box = make("input", { type: "checkbox", "data-class": id });
      box.checked = !hidden.has(id);
      box.addEventListener("change", () => set((other) => (other === id ? box.checked : !hidden.has(other))));
      boxes.set(id, box);
      return make(
        "li",
        {},
        make("label", {}, box, swatch(colour), named(name), make("span", { class: "share" }, words.percent(share)), sure(confidence, low)),
        button("only", () => set((other) => other === id), { class: "link", "aria-label": `Only ${name}` }),
      );
    };

    const list = make("ul", { class: "legend" }, image.classes.map(row));
    const whole = make(
      "p",
      { class: "whole" },
      button("all", all, { class: "link" }),
      button("none", () => set(() => false), { class: "link" }),
    );
    return make("section", {}, make("h2", {}, "Classes"), list, ids.length > 1 && whole);
  };
})();
