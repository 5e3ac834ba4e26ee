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

  /** Return why an image failed, was skipped or made again, without its own path in front. */
  words.reason = (image) => {
    const reason = image.reason || "";
    const start = reason.replaceAll("\\", "/").indexOf(`${image.name}: `);
    const isItsPath = start === 0 || (start > 0 && "/\\".includes(reason[start - 1]) && !reason.slice(0, start).includes(": "));
    return isItsPath ? reason.slice(start + image.name.length + 2) : reason;
  };

  /** Return a text of at most so many characters: start and end of a longer one, for the end often tells two names apart. */
  words.shortened = (text, most) => {
    const characters = [...text];
    if (characters.length <= most) return text;
    const end = Math.ceil((most - 1) / 2);
    return `${characters.slice(0, most - 1 - end).join("")}…${characters.slice(-end).join("")}`;
  };

  /** Return the name of the file that a URL leads to. */
  words.file = (url) => {
    const last = url.slice(url.lastIndexOf("/") + 1);
    try {
      return decodeURIComponent(last);
    } catch {
      return last; // bytes that are no text
    }
  };

  /** Return the class of an id. */
  words.classOf = (id) => noseam.report.classes.find((row) => row.id === id) || { id, name: `class ${id}`, colour: [128, 128, 128] };
})();
