// All keys, and the help that names them.
"use strict";
(() => {
  const { make, viewer, gallery } = noseam;
  const PAN = 80;
  const help = document.getElementById("help");
  const inViewer = () => !document.getElementById("image").hidden;
  const act = viewer.do;

  // Keys, what they do in words, and the deed.
  const EVERYWHERE = [[["?"], "these keys", () => help.showModal()]];
  const GALLERY = [
    [["/"], "search by name", () => noseam.filters.focus()],
    [["n"], "next page of images", () => gallery.turn(1)],
    [["p"], "previous page of images", () => gallery.turn(-1)],
  ];
  const VIEWER = [
    [["n", "PageDown"], "next image", () => viewer.step(1)],
    [["p", "PageUp"], "previous image", () => viewer.step(-1)],
    [["Escape"], "back to all images", () => noseam.route.leave()],
    [["+", "="], "zoom in", act.zoomIn],
    [["-"], "zoom out", act.zoomOut],
    [["0"], "fit", act.fit],
    [["1"], "pixel by pixel", act.native],
    [["ArrowLeft"], "move left", () => act.pan(PAN, 0)],
    [["ArrowRight"], "move right", () => act.pan(-PAN, 0)],
    [["ArrowUp"], "move up", () => act.pan(0, PAN)],
    [["ArrowDown"], "move down", () => act.pan(0, -PAN)],
    [["s"], "swipe", () => act.arrange("swipe")],
    [["o"], "overlay", () => act.arrange("overlay")],
    [["b"], "side by side", () => act.arrange("beside")],
    [["c"], "classes", () => act.show("classes")],
    [["d"], "confidence, where doubt is bright", () => act.show("confidence")],
    [["g"], "disagreement of tiles", () => act.show("disagreement")],
    [["h"], "hide the mask, and show it", act.blink],
    [["["], "mask fainter", () => act.fade(-0.1)],
    [["]"], "mask stronger", () => act.fade(0.1)],
  ];

  const SIGNS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", PageDown: "Page ↓", PageUp: "Page ↑" };

  const explain = (title, keys) => [
    make("h3", {}, title),
    ...keys.flatMap(([names, says]) => [
      make("span", {}, ...names.flatMap((name, index) => [index ? " " : "", make("kbd", {}, SIGNS[name] || name)])),
      make("span", {}, says),
    ]),
  ];

  const isTyping = (target) => target.matches("select, textarea, input:not([type=checkbox], [type=range])");

  // Arrows belong to whatever takes them itself; cards take them to move the focus.
  const takesArrows = (target) => target.matches("img-comparison-slider, input[type=range], .panel, .scroll");

  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open || isTyping(event.target)) return;
    const isArrow = event.key.startsWith("Arrow");
    const card = event.target.closest(".card");
    if (isArrow && card) gallery.step(card, event.key);
    else if (isArrow && (takesArrows(event.target) || !inViewer())) return;
    else {
      const known = [...EVERYWHERE, ...(inViewer() ? VIEWER : GALLERY)];
      const found = known.find(([names]) => names.includes(event.key));
      if (!found) return;
      found[2]();
    }
    event.preventDefault();
  };

  noseam.keys = {
    start: () => {
      help.querySelector(".keys").append(...explain("Everywhere", EVERYWHERE), ...explain("Among images", GALLERY), ...explain("An image", VIEWER));
      document.addEventListener("keydown", press);
      document.getElementById("keys").addEventListener("click", () => help.showModal());
    },
  };
})();
