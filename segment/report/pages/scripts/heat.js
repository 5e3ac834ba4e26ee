// The colours of heat: bright where a label is doubtful, dark where it is certain; even to the eye, whatever its colour sense.
"use strict";
(() => {
  const { make, words } = noseam;
  const heat = (noseam.heat = {});
  const INFERNO = [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];

  /** Return the colour of a doubt, 0 to 1. */
  heat.colour = (doubt) => {
    const place = doubt * (INFERNO.length - 1);
    const below = Math.min(Math.floor(place), INFERNO.length - 2);
    return INFERNO[below].map((channel, i) => Math.round(channel + (place - below) * (INFERNO[below + 1][i] - channel)));
  };

  /** The kinds of heat: what it is called, how a byte of 0 to 254 becomes a doubt, what stands at the ends of its bar. */
  heat.KINDS = {
    confidence: { title: "Confidence", doubt: (byte) => 1 - byte / 254, ends: ["1: certain", "0: a tie of two classes"], mark: (value) => 1 - value },
    disagreement: { title: "Disagreement", doubt: (byte) => byte / 254, ends: ["0: tiles agree", "1: they contradict"] },
  };

  /** Return the colour bar of a kind, with a mark where confidence begins to count as low. */
  heat.bar = (kind, lowBelow) => {
    const { ends, mark } = heat.KINDS[kind];
    const bar = make("div", { class: "heat", role: "img", "aria-label": `From dark, ${ends[0]}, to bright, ${ends[1]}` });
    const stops = INFERNO.map((colour) => noseam.rgb(colour));
    bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    const under = make("p", { class: "ends" }, ends.map((end) => make("span", {}, end)));
    if (!mark) return make("div", {}, bar, under);
    const line = make("span", { class: "mark" });
    line.style.left = `${100 * mark(lowBelow)}%`;
    bar.append(line);
    return make("div", {}, bar, under, make("p", { class: "ends" }, `Right of the mark it counts as low: below ${words.digits(lowBelow)}.`));
  };
})();
