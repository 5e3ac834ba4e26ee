// The stage: photo and mask to swipe, on top of each other, or side by side.
"use strict";
(() => {
  const { make, draw } = noseam;

  const grip = () =>
    make(
      "div",
      { slot: "handle", class: "grip" },
      make("div", { class: "knob" }, draw("svg", { viewBox: "0 0 20 20" }, draw("path", { d: "M7 5l-5 5 5 5M13 5l5 5-5 5" }))),
    );

  const slider = () => {
    const element = make(
      "img-comparison-slider",
      { handle: "true", value: 50, role: "slider", "aria-label": "Divider of photo and mask", "aria-valuemin": 0, "aria-valuemax": 100 },
      grip(),
    );
    const say = () => element.setAttribute("aria-valuenow", Math.round(element.value));
    element.addEventListener("slide", say);
    say();
    return element;
  };

  const photo = (image) => make("img", { src: noseam.place(image.photo), width: image.preview[0], height: image.preview[1], alt: "" });

  const pane = (kind, caption, ...layers) =>
    make("div", { class: "pane", "data-pane": kind }, make("div", { class: "sheet" }, ...layers), make("span", { class: `caption ${kind}` }, caption));

  /** Return the stage of an image: its element, its canvas, and what can be done with it. */
  noseam.stageOf = (image, moved) => {
    const [width, height] = image.preview;
    const canvas = make("canvas", { width, height, role: "img", "aria-label": "Mask" });
    const panes = { photo: pane("photo", "Photo", photo(image)), mask: pane("mask", "Mask", photo(image), canvas) };
    const divider = slider();
    const element = make("div", { class: "stage", tabindex: 0, role: "group", "aria-label": "Photo and mask: wheel, + and - zoom, arrows move" });
    let mode = "swipe";

    const MODES = {
      swipe: () => {
        panes.photo.slot = "first";
        panes.mask.slot = "second";
        divider.replaceChildren(panes.photo, panes.mask, divider.querySelector(".grip"));
        return [divider];
      },
      overlay: () => [panes.mask],
      beside: () => [make("div", { class: "beside" }, panes.photo, panes.mask)],
    };

    const onDivider = (event) => {
      if (mode !== "swipe") return false;
      const box = divider.querySelector(".grip").getBoundingClientRect();
      return event.clientX >= box.left && event.clientX <= box.right;
    };

    const zoom = noseam.zoomOf(element, {
      size: image.preview,
      sheets: () => [panes.photo, panes.mask].map((one) => one.querySelector(".sheet")),
      room: () => [panes.mask.clientWidth, panes.mask.clientHeight],
      moved,
      grips: onDivider,
    });

    return {
      element,
      canvas,
      zoom,
      divider,
      /** Set the mode: swipe, overlay or beside. */
      arrange: (next) => {
        mode = next;
        element.replaceChildren(...MODES[mode]());
        zoom.reset();
      },
      /** Say what covers the photo: the mask, or a kind of heat. */
      say: (text) => {
        panes.mask.querySelector(".caption").textContent = text;
        canvas.setAttribute("aria-label", text);
      },
      /** Set how much the mask covers, 0 to 1. */
      cover: (opacity) => {
        canvas.style.opacity = opacity;
      },
    };
  };
})();
