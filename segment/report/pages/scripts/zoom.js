// Zoom and pan of the sheets on a stage, by wheel, fingers, mouse and keys. All sheets move alike.
"use strict";
(() => {
  const MOST = 32;
  const STEP = 1.4;
  const GAP = 2; // between two panes

  /**
   * Return the zoom of a stage. `size` is that of the preview; `sheets` are what moves, `room` is the width and height of
   * the pane that each of them lies in. `moved` is called after each change; `grips` says whether a point belongs to the divider.
   */
  noseam.zoomOf = (stage, { size, sheets, room, moved, grips }) => {
    const [wide, high] = size;
    const fingers = new Map();
    let view = { scale: 1, x: 0, y: 0 };
    let fitted = true;

    const fit = () => {
      const [width, height] = room();
      const scale = Math.min(width / wide, height / high);
      return { scale, x: (width - scale * wide) / 2, y: (height - scale * high) / 2 };
    };

    const inside = (start, length, space) =>
      length <= space ? (space - length) / 2 : Math.min(0, Math.max(start, space - length));

    const apply = (wanted) => {
      const [width, height] = room();
      view = {
        scale: wanted.scale,
        x: inside(wanted.x, wanted.scale * wide, width),
        y: inside(wanted.y, wanted.scale * high, height),
      };
      for (const sheet of sheets()) sheet.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
      stage.classList.toggle("sharp", view.scale * devicePixelRatio > 1.5);
      moved(view.scale * devicePixelRatio);
    };

    const around = (factor, x = room()[0] / 2, y = room()[1] / 2) => {
      const least = fit().scale;
      const scale = Math.min(Math.max(view.scale * factor, least), Math.max(MOST, least));
      fitted = scale === least;
      const by = scale / view.scale;
      apply({ scale, x: x - by * (x - view.x), y: y - by * (y - view.y) });
    };

    const pan = (x, y) => apply({ ...view, x: view.x + x, y: view.y + y });

    const inPane = (event) => {
      const box = stage.getBoundingClientRect();
      const [width, height] = room();
      return [(event.clientX - box.left) % (width + GAP), (event.clientY - box.top) % (height + GAP)];
    };

    const onWheel = (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      around(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), ...inPane(event));
    };

    const onDown = (event) => {
      if (event.button !== 0 || grips(event)) return;
      fingers.set(event.pointerId, inPane(event));
      stage.setPointerCapture(event.pointerId);
      stage.classList.add("dragging");
    };

    const middle = () => {
      const points = [...fingers.values()];
      const [x, y] = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
      const apart = points.length < 2 ? 1 : Math.hypot(points[0][0] - points[1][0], points[0][1] - points[1][1]);
      return { x, y, apart: Math.max(apart, 1) };
    };

    const onMove = (event) => {
      if (!fingers.has(event.pointerId)) return;
      const before = middle();
      fingers.set(event.pointerId, inPane(event));
      const after = middle();
      pan(after.x - before.x, after.y - before.y);
      if (fingers.size > 1) around(after.apart / before.apart, after.x, after.y);
    };

    const onUp = (event) => {
      fingers.delete(event.pointerId);
      stage.classList.toggle("dragging", fingers.size > 0);
    };

    stage.addEventListener("wheel", onWheel, { passive: false });
    stage.addEventListener("pointerdown", onDown);
    stage.addEventListener("pointermove", onMove);
    stage.addEventListener("pointerup", onUp);
    stage.addEventListener("pointercancel", onUp);
    stage.addEventListener("dblclick", (event) => grips(event) || around(2, ...inPane(event)));
    const reset = () => {
      fitted = true;
      apply(fit());
    };
    const watch = new ResizeObserver(() => (fitted ? reset() : apply(view)));
    watch.observe(stage);

    return {
      reset,
      pan,
      in: () => around(STEP),
      out: () => around(1 / STEP),
      native: () => around(1 / devicePixelRatio / view.scale),
      /** Return the pixel of the preview under a pointer. */
      pixel: (event) => {
        const [x, y] = inPane(event);
        return [Math.floor((x - view.x) / view.scale), Math.floor((y - view.y) / view.scale)];
      },
      end: () => watch.disconnect(),
    };
  };
})();
