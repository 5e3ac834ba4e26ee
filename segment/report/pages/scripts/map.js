// Where the images lie: footprints on a plain map without a base map; pictures in them where they are large enough to see.
"use strict";
(() => {
  const { make, named, report } = noseam;
  const LEAST_PIXELS = 48;
  const MOST_PICTURES = 60;
  const FAR = 22;

  const colour = (image) => {
    if (image.state === "failed") return "--red";
    return image.doubts.length ? "--amber" : "--accent";
  };

  const resolved = (name) => {
    const probe = make("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };

  const tip = (image) =>
    make("div", { class: "tip" }, image.thumb && make("img", { src: noseam.place(image.thumb), alt: "" }), named(image.name));

  const outline = (image, index) => {
    const polygon = L.polygon(image.footprint, { weight: 1.5, fillOpacity: 0.12, className: "footprint" });
    polygon.on("click", () => (location.hash = noseam.route.link(index)));
    polygon.bindTooltip(() => tip(image), { direction: "top" });
    return polygon;
  };

  const paint = (outlines) => {
    for (const [index, polygon] of outlines) polygon.setStyle({ color: resolved(colour(report.images[index])) });
  };

  const large = (map, bounds) => {
    const size = map.latLngToLayerPoint(bounds.getSouthEast()).subtract(map.latLngToLayerPoint(bounds.getNorthWest()));
    return Math.max(size.x, size.y) >= LEAST_PIXELS;
  };

  const picturesOn = (map, outlines) => {
    const shown = new Map();
    return () => {
      const view = map.getBounds();
      const seen = [...outlines].filter(([index, polygon]) => {
        const bounds = polygon.getBounds();
        return report.images[index].thumb && view.intersects(bounds) && large(map, bounds);
      });
      const wanted = new Set(seen.slice(0, MOST_PICTURES).map(([index]) => index));
      for (const [index, picture] of shown) if (!wanted.has(index)) picture.remove() && shown.delete(index);
      for (const index of wanted) {
        if (shown.has(index)) continue;
        const { thumb, footprint } = report.images[index];
        shown.set(index, new noseam.RotatedOverlay(noseam.place(thumb), footprint, { alt: "" }).addTo(map));
      }
    };
  };

  const draw = (place) => {
    const map = L.map(place, { attributionControl: false, preferCanvas: true, zoomSnap: 0.25, maxZoom: FAR + 4, scrollWheelZoom: false });
    L.control.scale({ imperial: false }).addTo(map);
    const outlines = new Map();
    for (const [index, image] of report.images.entries()) if (image.footprint.length) outlines.set(index, outline(image, index));
    const all = L.featureGroup([...outlines.values()]);
    map.fitBounds(all.getBounds(), { padding: [24, 24], maxZoom: FAR });
    all.addTo(map);
    paint(outlines);
    const pictures = picturesOn(map, outlines);
    map.on("moveend", pictures);
    pictures();
    map.on("focus click", () => map.scrollWheelZoom.enable()); // until then a wheel scrolls the page
    map.on("blur", () => map.scrollWheelZoom.disable());
    new MutationObserver(() => paint(outlines)).observe(document.documentElement, { attributeFilter: ["data-scheme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => paint(outlines));
  };

  noseam.map = {
    start: () => {
      const place = document.getElementById("footprints");
      if (!place) return;
      const watch = new IntersectionObserver(([entry]) => {
        if (!entry.isIntersecting) return;
        watch.disconnect();
        draw(place);
      }, { rootMargin: "400px" });
      watch.observe(place);
    },
  };
})();
