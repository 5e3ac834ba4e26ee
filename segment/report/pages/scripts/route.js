// Addresses: #image=NAME is the page of an image, anything else a place on the main page. The back button works.
"use strict";
(() => {
  const START = "#image=";
  const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g; // of bytes that are no text
  const route = (noseam.route = {});
  const keys = [];
  const indices = new Map();
  for (const [index, image] of noseam.report.images.entries()) {
    let key = encodeURIComponent(image.name.replace(LONE, "\ufffd"));
    if (indices.has(key)) key += `&${index}`;
    indices.set(key, index);
    keys.push(key);
  }

  const pages = document.getElementById("pages");
  const view = document.getElementById("image");
  let scrolled = 0;
  let inside = false; // whether a step back leads to the main page

  /** Return the address of an image by its index. */
  route.link = (index) => START + keys[index];

  /** Go to another image in place of this one: a step back still leads to where the first was chosen. */
  route.replace = (index) => {
    history.replaceState(null, "", route.link(index));
    show();
  };

  /** Leave the image. */
  route.leave = () => {
    if (inside) history.back();
    else location.hash = "#images";
  };

  /** Return the index of the image that the address names; undefined where it names none. */
  route.current = () => (location.hash.startsWith(START) ? indices.get(location.hash.slice(START.length)) : undefined);

  const toImage = (index) => {
    if (view.hidden) scrolled = window.scrollY;
    view.hidden = false;
    pages.hidden = document.querySelector("footer").hidden = true;
    window.scrollTo(0, 0);
    noseam.viewer.open(index);
  };

  const toPages = () => {
    const last = noseam.viewer.close();
    const cameBack = !view.hidden;
    view.hidden = true;
    pages.hidden = document.querySelector("footer").hidden = false;
    if (!cameBack) return;
    const target = inside ? null : document.getElementById(location.hash.slice(1));
    if (target) target.scrollIntoView({ behavior: "instant" });
    else window.scrollTo({ top: scrolled, behavior: "instant" });
    noseam.gallery.show(last);
    inside = false;
  };

  const show = () => {
    const index = route.current();
    if (index === undefined) toPages();
    else toImage(index);
  };

  /** Show what the address says, now and whenever it changes. */
  route.start = () => {
    window.addEventListener("hashchange", () => {
      if (route.current() !== undefined && view.hidden) inside = true;
      show();
    });
    show();
  };
})();
