// Charts in SVG: the learning curve, and the reliability diagram.
"use strict";
(() => {
  const { make, draw, words, report } = noseam;
  const WIDTH = 400;
  const HEIGHT = 200;
  const LEFT = 38;
  const BOTTOM = 22;
  const RIGHT = 92;

  const figure = (title, says, ...content) =>
    make("figure", { class: "chart" }, make("figcaption", {}, make("h3", {}, title), says && make("p", {}, says)), ...content);

  const tidy = (most) => {
    const power = 10 ** Math.floor(Math.log10(most));
    return power * [1, 2, 2.5, 5, 10].find((step) => step * power >= most * 0.999);
  };

  const short = (value) => String(Number(value.toPrecision(2)));

  const axes = (x, y, ticksX, ticksY, right) => [
    ...ticksY.map((tick) => [
      draw("line", { class: "axis", x1: LEFT, x2: WIDTH - right, y1: y(tick), y2: y(tick) }),
      draw("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, short(tick)),
    ]),
    ...ticksX.map((tick) => draw("text", { x: x(tick), y: HEIGHT - 4, "text-anchor": "middle" }, short(tick))),
  ];

  const scales = (fromX, toX, toY, right) => [
    (value) => LEFT + ((value - fromX) / (toX - fromX || 1)) * (WIDTH - LEFT - right),
    (value) => 8 + (1 - value / toY) * (HEIGHT - BOTTOM - 8),
  ];

  const spread = (places) => {
    const order = places.map((_, index) => index).sort((a, b) => places[a] - places[b]);
    for (const [rank, index] of order.entries()) {
      if (rank) places[index] = Math.max(places[index], places[order[rank - 1]] + 13);
    }
    return places;
  };

  const dot = (point, index) => {
    const [cx, cy] = point.split(",");
    return draw("circle", { class: `dot-${index % 3}`, cx, cy, r: 4 });
  };

  const lines = (series, epochs) => {
    const values = series.flatMap(([, column]) => column.filter((value) => value !== null));
    const [x, y] = scales(epochs[0], epochs.at(-1), tidy(Math.max(...values, 1e-9)), RIGHT);
    const top = tidy(Math.max(...values, 1e-9));
    const paths = series.map(([, column], index) => {
      const points = column.map((value, at) => value !== null && `${x(epochs[at])},${y(value)}`).filter(Boolean);
      if (points.length === 1) return dot(points[0], index);
      return draw("polyline", { class: `line line-${index % 3}`, points: points.join(" ") });
    });
    const lasts = spread(series.map(([, column]) => y(column.findLast((value) => value !== null) ?? 0)));
    const ends = series.map(([name, column], index) => {
      const last = column.findLast((value) => value !== null);
      const text = `${label(name)} ${last === undefined ? "" : short(last)}`;
      return draw("text", { class: `end end-${index % 3}`, x: WIDTH - RIGHT + 6, y: lasts[index] + 4 }, text);
    });
    const some = [...new Set([epochs[0], Math.round((epochs[0] + epochs.at(-1)) / 2), epochs.at(-1)])];
    return draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": told(series) }, axes(x, y, some, [0, top / 2, top], RIGHT), paths, ends);
  };

  const label = (name) => ({ train_loss: "training", val_loss: "validation", miou: "mIoU" })[name] || name.replaceAll("_", " ");

  const told = (series) => series.map(([name, column]) => `${label(name)}: from ${column[0]} to ${column.at(-1)}`).join("; ");

  const learning = () => {
    const columns = report.learning_curve;
    if (!columns.length) return [];
    const epochs = columns.find(([name]) => name === "epoch")?.[1] || columns[0][1].map((_, index) => index + 1);
    const others = columns.filter(([name]) => !["epoch", "step"].includes(name));
    const isLoss = ([name]) => name.endsWith("loss");
    const groups = [
      ["Loss while learning", "Of each epoch; lower is better.", others.filter(isLoss)],
      ["Quality while learning", "Of each epoch, on crops that the model did not learn from.", others.filter((column) => !isLoss(column))],
    ];
    return groups.filter(([, , series]) => series.length).map(([title, says, series]) => figure(title, says, lines(series, epochs)));
  };

  const reliability = () => {
    const bins = report.reliability.filter((bin) => bin.pixels > 0);
    if (!bins.length) return [];
    const total = bins.reduce((sum, bin) => sum + bin.pixels, 0);
    const most = Math.max(...bins.map((bin) => bin.pixels));
    const error = bins.reduce((sum, bin) => sum + (bin.pixels / total) * Math.abs(bin.accuracy - bin.confidence), 0);
    const gap = `${(100 * error).toFixed(2)} %`; // as noseam evaluate writes it
    const [x, y] = scales(0, 1, 1, 12);
    const dots = bins.map((bin) =>
      draw(
        "circle",
        { class: "dot-0", cx: x(bin.confidence), cy: y(bin.accuracy), r: 3 + 7 * Math.sqrt(bin.pixels / most) },
        draw("title", {}, `Stated ${words.digits(bin.confidence)}, right ${words.digits(bin.accuracy)}: ${words.number(bin.pixels)} pixels`),
      ),
    );
    const path = draw("polyline", { class: "line line-0", points: bins.map((bin) => `${x(bin.confidence)},${y(bin.accuracy)}`).join(" ") });
    const ideal = draw("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) });
    const text = `Expected calibration error: ${gap}. Across: the probability stated; up: the share that is right; on the dashed line both agree. Larger dots hold more pixels.`;
    const told = `Reliability; expected calibration error ${gap}`;
    const ticks = [0, 0.25, 0.5, 0.75, 1];
    const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": told }, axes(x, y, ticks, ticks, 12), ideal, path, dots);
    return [figure("Is it as sure as it should be", text, svg)];
  };

  noseam.charts = {
    start: () => {
      const place = document.getElementById("charts");
      if (place) place.append(...learning(), ...reliability(), ...noseam.confusion());
    },
  };
})();
