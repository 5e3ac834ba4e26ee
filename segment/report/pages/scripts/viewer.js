// The page of one image: the stage, its controls, and what is known of the image beside it.
"use strict";
(() => {
  const { make, named, button, words, report, heat } = noseam;
  const viewer = (noseam.viewer = {});
  const page = document.getElementById("image");
  const SHOWN = { classes: "Classes", confidence: "Confidence", disagreement: "Disagreement" };
  const MODES = { swipe: "Swipe", overlay: "Overlay", beside: "Side by side" };
  const STATES = { failed: "red", left: "unknown", skipped: "unknown" };
  // What the reader chose stays from image to image.
  // Half of each, as tiler/masks/blend.py mixes them for files.
  const chosen = { mode: "swipe", shown: "classes", opacity: 0.5, hidden: new Set() };
  let open = null; // the image in sight: {index, list, stage, layers, parts}

  const choices = (label, texts, current, choose) => {
    const buttons = Object.entries(texts).map(([key, text]) =>
      button(text, () => choose(key), { "data-choice": key, "aria-pressed": String(key === current) }),
    );
    return make("div", { class: "choices", role: "group", "aria-label": label }, buttons);
  };

  const press = (group, key) => {
    for (const one of group.children) one.setAttribute("aria-pressed", String(one.dataset.choice === key));
  };

  const say = (text) => {
    open.stage.say(text);
    open.parts.covers.textContent = text;
    open.parts.opacity.setAttribute("aria-label", `Opacity: ${text}`);
  };

  const paint = () => {
    if (!open.layers) return;
    const shown = open.layers[chosen.shown] || chosen.shown === "classes" ? chosen.shown : "classes";
    noseam.paint(open.stage.canvas, open.layers, shown, chosen.hidden);
    open.parts.bar.replaceChildren(...(shown === "classes" ? [] : [make("h2", {}, SHOWN[shown]), heat.bar(shown, report.low_below)]));
    press(open.parts.shown, shown);
    say(shown === "classes" ? "Mask" : SHOWN[shown]);
    page.dataset.painted = shown;
  };

  const show = (key) => {
    if (!open?.layers || (key !== "classes" && !open.layers[key])) return;
    chosen.shown = key;
    paint();
  };

  const arrange = (mode) => {
    if (!open?.stage) return;
    chosen.mode = mode;
    open.stage.arrange(mode);
    press(open.parts.modes, mode);
  };

  const cover = (opacity) => {
    chosen.opacity = Math.min(Math.max(opacity, 0), 1);
    open.stage.cover(chosen.opacity);
    open.parts.opacity.value = Math.round(100 * chosen.opacity);
  };

  const titleBar = (image, index, list) => {
    const place = list.indexOf(index);
    const [folder, file] = words.parts(image.name);
    return make(
      "div",
      { class: "bar" },
      button("← All", noseam.route.leave, { id: "leave", "aria-label": "All images" }),
      make("h1", { id: "image-title", tabindex: -1 }, folder && named(folder, { class: "folder" }), named(file)),
      make(
        "div",
        { class: "steps" },
        button("‹", () => viewer.step(-1), { "aria-label": "Previous image", disabled: place === 0 }),
        make("span", { class: "position" }, `${words.number(place + 1)} of ${words.number(list.length)}`),
        button("›", () => viewer.step(1), { "aria-label": "Next image", disabled: place === list.length - 1 }),
      ),
    );
  };

  const controls = () => {
    const { parts } = open;
    parts.modes = choices("How photo and mask lie", MODES, chosen.mode, arrange);
    parts.shown = choices("What the mask shows", { classes: SHOWN.classes }, "classes", show);
    parts.covers = make("span", {}, "Mask");
    parts.opacity = make("input", { type: "range", min: 0, max: 100, value: 100 * chosen.opacity, "aria-label": "Opacity: Mask" });
    parts.opacity.addEventListener("input", () => cover(parts.opacity.value / 100));
    return make(
      "div",
      { class: "controls" },
      parts.modes,
      parts.shown,
      make("label", { class: "opacity" }, parts.covers, parts.opacity),
    );
  };

  const zooms = (stage) => [
    button("−", stage.zoom.out, { "aria-label": "Zoom out" }),
    open.parts.zoom,
    button("+", stage.zoom.in, { "aria-label": "Zoom in" }),
    button("Fit", stage.zoom.reset),
    button("1:1 preview", stage.zoom.native, { title: "A pixel of the preview is a pixel of the screen" }),
  ];

  const probe = (event) => {
    const { stage, layers, parts, image } = open;
    const [x, y] = stage.zoom.pixel(event);
    const [width, height] = image.preview;
    if (!layers || x < 0 || y < 0 || x >= width || y >= height) return parts.probe.replaceChildren();
    const label = layers.labels[y * width + x];
    const heats = Object.keys(heat.KINDS).filter((kind) => layers[kind] && layers[kind][y * width + x] !== 255);
    const values = heats.map((kind) => `, ${SHOWN[kind].toLowerCase()} ${words.digits(layers[kind][y * width + x] / 254)}`);
    const [column, row] = [x / width, y / height].map((part, axis) => Math.floor(part * (image.size || image.preview)[axis]));
    const where = `, near pixel ${words.number(column)}, ${words.number(row)}`;
    parts.probe.replaceChildren(label === 255 ? "no data" : named(words.classOf(label).name), ...values, where);
  };

  const work = (image) => {
    open.parts.zoom = make("span", { class: "zoom" });
    open.stage = noseam.stageOf(image, (scale) => (open.parts.zoom.textContent = `${Math.round(100 * scale)} %`));
    open.parts.probe = make("p", { class: "probe" });
    open.stage.element.addEventListener("pointermove", probe);
    const below = make("div", { class: "below" }, open.parts.probe, make("div", { class: "steps" }, zooms(open.stage)));
    return make("div", { class: "work" }, controls(), open.stage.element, below);
  };

  const noPreview = (image) => {
    const why = image.state === "failed" ? words.reason(image) : "There is no preview of this image.";
    return make("div", { class: "work" }, make("div", { class: "stage-note" }, make("h2", {}, words.state(image.state)), named(why)));
  };

  const facts = (image) => {
    const pairs = [
      ["State", words.state(image.state)],
      ["Size", image.size && words.size(image.size)],
      ["Confidence", words.digits(image.confidence)],
      [`Below ${words.digits(report.low_below)}`, words.percent(image.low)],
      ["Disagreement", words.digits(image.disagreement)],
      ["Time", image.seconds ? words.seconds(image.seconds) : ""],
    ];
    const rows = pairs.filter(([, text]) => text).map(([label, text]) => make("div", {}, make("dt", {}, label), make("dd", {}, text)));
    return make("section", {}, make("dl", { class: "facts" }, rows));
  };

  // In place of the stage.
  const isSaidAbove = (image) => image.state === "failed" && !open.stage;

  const warnings = (image) => {
    const line = (text, level) => make("p", { class: `warning ${level}` }, named(text));
    const lines = [
      image.reason && !isSaidAbove(image) && line(words.reason(image), STATES[image.state] || "unknown"),
      image.advice && line(image.advice, "unknown"),
      ...image.warnings.map((text) => line(text, "amber")),
    ].filter(Boolean);
    return lines.length > 0 && make("section", { class: "warnings" }, make("h2", {}, "What to know of it"), lines);
  };

  const files = (image) => {
    const link = ([kind, url]) =>
      make("li", {}, make("a", { href: noseam.place(url), target: "_blank", rel: "noopener" }, kind), " ", named(words.file(url), { class: "its-name" }));
    return image.masks.length > 0 && make("section", { class: "files" }, make("h2", {}, "Full size"), make("ul", {}, image.masks.map(link)));
  };

  const panel = (image) => {
    open.parts.bar = make("section", { class: "heat-bar" });
    const legend = image.classes.length > 0 && noseam.legendOf(image, chosen.hidden, paint);
    const parts = [facts(image), warnings(image), open.parts.bar, legend, files(image)];
    return make("aside", { class: "panel", "aria-label": "About this image", tabindex: 0 }, parts.filter(Boolean));
  };

  const receive = async (image) => {
    const mine = open;
    try {
      const layers = await noseam.layersOf(image);
      if (open !== mine) return;
      open.layers = layers;
      const kinds = Object.entries(SHOWN).filter(([kind]) => kind === "classes" || layers[kind]);
      const group = choices("What the mask shows", Object.fromEntries(kinds), chosen.shown, show);
      group.hidden = kinds.length < 2;
      open.parts.shown.replaceWith(group);
      open.parts.shown = group;
      paint();
    } catch (error) {
      if (open !== mine) return;
      const text = `The mask is not shown: ${image.layers}: ${error.message}. It belongs into the folder of this page.`;
      open.parts.probe.replaceChildren(make("strong", {}, text));
    }
  };

  // The next photo is there when the reader goes on to it.
  const lookAhead = () => {
    const next = report.images[open.list[open.list.indexOf(open.index) + 1]];
    if (next?.photo) new Image().src = noseam.place(next.photo);
  };

  /** Show an image by its index. */
  viewer.open = (index) => {
    viewer.close();
    const image = report.images[index];
    const list = noseam.gallery.list.includes(index) ? noseam.gallery.list : report.images.map((_, i) => i);
    open = { index, image, list, parts: {}, stage: null, layers: null };
    delete page.dataset.painted;
    const shown = image.photo && image.preview ? work(image) : noPreview(image);
    page.replaceChildren(titleBar(image, index, list), shown, panel(image));
    document.getElementById("image-title").focus({ preventScroll: true });
    if (!open.stage) return;
    arrange(chosen.mode);
    cover(chosen.opacity);
    lookAhead();
    if (image.layers) receive(image);
  };

  /** Take the image away; return its index, or undefined. */
  viewer.close = () => {
    const index = open?.index;
    open?.stage?.zoom.end();
    open = null;
    page.replaceChildren();
    return index;
  };

  /** Go some images on, or back, among those that were found. */
  viewer.step = (by) => {
    const next = open.list[open.list.indexOf(open.index) + by];
    if (next !== undefined) noseam.route.replace(next);
  };

  /** What keys do; each does nothing where there is no stage. */
  viewer.do = {
    zoomIn: () => open.stage?.zoom.in(),
    zoomOut: () => open.stage?.zoom.out(),
    fit: () => open.stage?.zoom.reset(),
    native: () => open.stage?.zoom.native(),
    pan: (x, y) => open.stage?.zoom.pan(x, y),
    arrange,
    show,
    fade: (by) => open.stage && cover(chosen.opacity + by),
    blink: () => open.stage && (open.stage.canvas.hidden = !open.stage.canvas.hidden),
  };
})();
