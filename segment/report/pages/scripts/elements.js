// Elements made without markup: every name and text goes in as text.
"use strict";
window.noseam = { report: window.noseamReport };
(() => {
  // What is empty is left out of the data.
  const given = (lists) => (value) => lists.forEach((name) => (value[name] ??= []));
  given(["lights", "classes", "images", "learning_curve", "reliability"])(noseam.report);
  noseam.report.images.forEach(given(["doubts", "warnings", "masks", "classes", "footprint"]));

  const SVG = "http://www.w3.org/2000/svg";

  const fill = (element, settings, children) => {
    for (const [name, value] of Object.entries(settings)) {
      if (value === undefined || value === null || value === false) continue;
      if (name === "on") for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return element;
  };

  /** Return an element: make("a", {href: "#", on: {click}}, "text", child). */
  noseam.make = (tag, settings = {}, ...children) => fill(document.createElement(tag), settings, children);

  /** Return an element of SVG in the same way. */
  noseam.draw = (tag, settings = {}, ...children) => fill(document.createElementNS(SVG, tag), settings, children);

  /** Return a URL of the report as one that can only be a file beside it. */
  noseam.place = (url) => `./${url}`;

  /** Return a square of a class's colour. */
  noseam.swatch = (colour) =>
    noseam.draw(
      "svg",
      { class: "swatch", viewBox: "0 0 1 1", "aria-hidden": "true" },
      noseam.draw("rect", { width: 1, height: 1, fill: noseam.rgb(colour) }),
    );

  noseam.rgb = (colour) => `rgb(${colour.join(" ")})`;

  /** Return a name as text that leaves the direction of its neighbours alone. */
  noseam.named = (text, settings = {}) => noseam.make("bdi", settings, text);

  /** Return a button. */
  noseam.button = (text, click, settings = {}) =>
    noseam.make("button", { type: "button", class: "plain", on: { click }, ...settings }, text);
})();
