// Figures as readers say them.
"use strict";
(() => {
  const numbers = new Intl.NumberFormat("en");
  const words = (noseam.words = {});

  words.number = (value) => numbers.format(value);

  words.counted = (count, thing) => `${words.number(count)} ${thing}${count === 1 ? "" : "s"}`;

  words.percent = (share) => {
    if (share === undefined || share === null) return "";
    if (share > 0 && share < 0.0005) return "< 0.05 %";
    return share >= 0.9995 && share < 1 ? "> 99.9 %" : `${(100 * share).toFixed(1)} %`;
  };

  words.digits = (value) => (value === undefined || value === null ? "" : value.toFixed(2));

  words.seconds = (value) => {
    if (value < 10) return `${value.toFixed(1)} s`;
    return value < 120 ? `${Math.round(value)} s` : `${Math.round(value / 60)} min`;
  };

  words.size = ([width, height]) => `${words.number(width)} × ${words.number(height)} pixels`;

  const STATES = { done: "done", skipped: "up to date", failed: "failed", left: "not reached" };
  words.state = (state) => STATES[state] || state;

  /** Return the folder of a name, and the rest. */
  words.parts = (name) => {
    const end = name.lastIndexOf("/") + 1;
    return [name.slice(0, end), name.slice(end)];
  };

  /** Return the class of an id. */
  words.classOf = (id) => noseam.report.classes.find((row) => row.id === id) || { id, name: `class ${id}`, colour: [128, 128, 128] };
})();
