// Paints masks on a canvas by a table of 256 colours: classes in theirs, or heat.
"use strict";
(() => {
  const { report, heat } = noseam;
  const NO_DATA = 255;

  // Canvas pixels are red, green, blue, alpha in this order of bytes.
  const packed = ([red, green, blue]) => new Uint32Array(Uint8Array.of(red, green, blue, 255).buffer)[0];

  const classTable = (hidden) => {
    const table = new Uint32Array(256);
    for (const row of report.classes) if (!hidden.has(row.id)) table[row.id] = packed(row.colour);
    table[NO_DATA] = 0;
    return table;
  };

  const heatTable = (kind) => {
    const table = new Uint32Array(256);
    for (let byte = 0; byte < NO_DATA; byte += 1) table[byte] = packed(heat.colour(heat.KINDS[kind].doubt(byte)));
    return table;
  };

  /** Paint a canvas: `shown` is "classes" or a kind of heat; pixels of hidden classes stay clear in both. */
  noseam.paint = (canvas, layers, shown, hidden) => {
    const context = canvas.getContext("2d");
    const picture = context.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(picture.data.buffer);
    const classes = classTable(hidden);
    const { labels } = layers;
    if (shown === "classes") {
      for (let i = 0; i < pixels.length; i += 1) pixels[i] = classes[labels[i]];
    } else {
      const hot = heatTable(shown);
      const values = layers[shown];
      for (let i = 0; i < pixels.length; i += 1) pixels[i] = classes[labels[i]] && hot[values[i]];
    }
    context.putImageData(picture, 0, 0);
  };
})();
