// All keys, and the help that names them.
"use strict";
(() => {
  const { make, viewer, gallery } = noseam;
  const PAN = 80;
  const MOVES = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
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
    [["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], "move", (key) => act.pan(...MOVES[key])],
    [["s"], "swipe", () => act.arrange("swipe")],
    [["o"], "overlay", () => act.arrange("overlay")],
    [["b"], "side by side", () => act.arrange("beside")],
    [["c"], "classes", () => act.show("classes")],
    [["d"], "confidence, where doubt is bright", () => act.show("confidence")],
    [["g"], "disagreement of tiles", () => act.show("disagreement")],
    [["h"], "hide the mask, and show it", act.blink],
    [["[", "]"], "mask fainter, stronger", (key) => act.fade(key === "[" ? -0.1 : 0.1)],
  ];

  // What their elements do of themselves.
  const ARROWS = [["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], "to the image beside"];
  const DIVIDER = [["ArrowLeft", "ArrowRight"], "move it"];

  const SIGNS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc", PageDown: "Pg↓", PageUp: "Pg↑" };

  const explain = (title, keys) => [
    make("h3", {}, title),
    make("dl", {}, keys.map(([names, says]) => make("div", {}, make("dt", {}, signs(names)), make("dd", {}, says)))),
  ];

  const signs = (names) => names.flatMap((name) => [make("kbd", {}, SIGNS[name] || name), " "]);

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
      found[2](event.key);
    }
    event.preventDefault();
  };

  noseam.keys = {
    start: () => {
      const left = make("div", {}, explain("Everywhere", EVERYWHERE), explain("Among images", [...GALLERY, ARROWS]));
      help.querySelector(".keys").append(left, make("div", {}, explain("An image", VIEWER), explain("Its divider, in focus", [DIVIDER])));
      document.addEventListener("keydown", press);
      document.getElementById("keys").addEventListener("click", () => help.showModal());
    },
  };
})();
