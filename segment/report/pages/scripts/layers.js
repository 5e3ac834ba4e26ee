// The masks of an image: a script that calls `noseamLayers` with them, because pages of files may not fetch, and pixels of
// pictures that lie beside a page may not be read. Pictures within a script may.
"use strict";
(() => {
  const { make } = noseam;
  const KINDS = ["labels", "confidence", "disagreement"];
  const KEPT = 4;
  const kept = new Map();
  let loading = Promise.resolve();
  let received = null;

  window.noseamLayers = (layers) => {
    received = layers;
  };

  const script = (url) =>
    new Promise((resolve, reject) => {
      received = null;
      const element = make("script", { src: noseam.place(url) });
      element.onload = () => (received ? resolve(received) : reject(new Error("it holds no masks")));
      element.onerror = () => reject(new Error("it cannot be read"));
      document.head.append(element);
    }).finally(() => document.head.querySelectorAll("script").forEach((element) => element.remove()));

  const bytes = async (address, [width, height]) => {
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    const canvas = make("canvas", { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingEnabled = false; // between a value and none lies nothing
    context.drawImage(picture, 0, 0, width, height); // what is measured may come in half the size
    const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    const most = address.startsWith("data:image/png") ? 255 : 254; // a JPEG cannot say that there is nothing
    return Uint8Array.from(pixels, (pixel) => Math.min(pixel & 255, most)); // gray: red is the value
  };

  const decoded = async (image) => {
    const found = await script(image.layers);
    const layers = {};
    for (const kind of KINDS) if (found[kind]) layers[kind] = await bytes(found[kind], image.preview);
    return layers;
  };

  const forget = () => {
    for (const url of [...kept.keys()].slice(0, -KEPT)) kept.delete(url);
  };

  /** Return a promise of the masks of an image, one byte a pixel of the preview, by kind. They load one after another. */
  noseam.layersOf = (image) => {
    const found = kept.get(image.layers) || loading.then(() => decoded(image));
    kept.delete(image.layers);
    kept.set(image.layers, found);
    loading = found.catch(() => kept.delete(image.layers));
    forget();
    return found;
  };
})();
