// What the overview adds to the page as written: ways from the lights and classes to their images, and whom to look at first.
"use strict";
(() => {
  const { button, words, report, filters } = noseam;
  const MOST = 6;

  const wantedBy = (id) => {
    if (report.images.some((image) => image.doubts.includes(id))) return { doubt: id };
    if (report.images.some((image) => image.state === id)) return { state: id };
    return id === "low confidence" ? { below: report.low_below, order: "confidence" } : null;
  };

  const linkLights = () => {
    for (const item of document.querySelectorAll("[data-light]")) {
      const light = report.lights.find((one) => one.id === item.dataset.light);
      const wanted = light.count > 0 && wantedBy(light.id);
      if (!wanted) continue;
      const text = "show";
      const label = `Show the images: ${light.label}`;
      item.querySelector(".count").append(light.level === "green" ? " " : "", button(text, () => filters.set(wanted), { class: "link", "aria-label": label }));
    }
  };

  const linkClasses = () => {
    for (const row of document.querySelectorAll("tr[data-class]")) {
      const label = Number(row.dataset.class);
      const count = filters.imagesOfClass.get(label) || 0;
      const cell = row.lastElementChild;
      cell.dataset.value = count;
      const text = words.number(count);
      const told = `Show the ${words.counted(count, "image")} with ${words.classOf(label).name}`;
      const show = () => filters.set({ label, order: "share" });
      cell.append(count ? button(text, show, { class: "link", "aria-label": told }) : text);
    }
  };

  const isLow = (image) => image.confidence !== undefined && image.confidence < report.low_below;

  const worstFirst = (first, second) => {
    const [a, b] = [report.images[first], report.images[second]];
    return b.doubts.length - a.doubts.length || (a.confidence ?? 1) - (b.confidence ?? 1) || first - second;
  };

  const showFirst = () => {
    const doubtful = report.images.map((_, index) => index).filter((index) => {
      const image = report.images[index];
      return image.thumb && (image.doubts.length > 0 || isLow(image));
    });
    if (!doubtful.length) return;
    const section = document.getElementById("first");
    section.hidden = false;
    section.querySelector(".cards").append(...doubtful.sort(worstFirst).slice(0, MOST).map(noseam.card));
  };

  // Paper shows what is folded away, and pictures that were not in sight yet.
  const beforePrint = () => {
    document.querySelectorAll("details").forEach((one) => (one.open = true));
    document.querySelectorAll("img[loading]").forEach((one) => (one.loading = "eager"));
  };

  const print = async () => {
    beforePrint();
    const pictures = [...document.images].map((one) => one.decode().catch(() => null));
    await Promise.all(pictures);
    window.print();
  };

  noseam.overview = {
    start: () => {
      document.querySelectorAll("table.sortable").forEach(noseam.sortable);
      linkLights();
      linkClasses();
      showFirst();
      window.addEventListener("beforeprint", beforePrint);
      document.getElementById("print").addEventListener("click", print);
    },
  };
})();
