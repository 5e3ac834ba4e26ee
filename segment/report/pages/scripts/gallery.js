// The wanted images, page by page: only the cards of one page exist, and pictures load when they come into sight.
"use strict";
(() => {
  const { make, button, words, report, selection, filters } = noseam;
  const gallery = (noseam.gallery = {});
  const PER_PAGE = 60;
  const CALM = 500; // milliseconds
  const cards = document.getElementById("cards");
  const pager = document.getElementById("pager");
  const found = document.getElementById("found");
  let page = 0;
  let waiting = 0;

  /** The indices of the wanted images, in their order. */
  gallery.list = [];

  const pages = () => Math.max(1, Math.ceil(gallery.list.length / PER_PAGE));

  const sentence = () => {
    const all = words.counted(report.images.length, "image");
    if (!gallery.list.length) return `None of ${all} is like that.`;
    const first = page * PER_PAGE;
    const shown = `${words.number(first + 1)} to ${words.number(Math.min(first + PER_PAGE, gallery.list.length))}`;
    const of = gallery.list.length === report.images.length ? all : `${words.number(gallery.list.length)} found among ${all}`;
    return gallery.list.length > PER_PAGE ? `${shown} of ${of}.` : `${of}.`;
  };

  const near = (number) => number === 0 || number === pages() - 1 || Math.abs(number - page) <= 1;

  const numbers = () => {
    const shown = [];
    for (let number = 0; number < pages(); number += 1) {
      if (near(number)) {
        const here = number === page && "page";
        shown.push(button(String(number + 1), () => gallery.turn(number - page), { "aria-label": `Page ${number + 1}`, "aria-current": here }));
      } else if (near(number - 1)) shown.push(make("span", { class: "gap" }, "…"));
    }
    return shown;
  };

  const drawPager = () => {
    pager.hidden = pages() === 1;
    pager.replaceChildren(
      button("Previous", () => gallery.turn(-1), { disabled: page === 0 }),
      ...numbers(),
      button("Next", () => gallery.turn(1), { disabled: page === pages() - 1 }),
    );
  };

  const draw = () => {
    const first = page * PER_PAGE;
    cards.replaceChildren(...gallery.list.slice(first, first + PER_PAGE).map(noseam.card));
    found.textContent = sentence();
    const whole = gallery.list.length === report.images.length;
    document.querySelector(".found [type=reset]").hidden = whole;
    document.getElementById("printed").hidden = whole && pages() === 1;
    drawPager();
    clearTimeout(waiting);
    waiting = setTimeout(loadAll, CALM);
  };

  // What is in sight loads first; after a while the rest of the page does, so that paper has it too.
  const loadAll = () => cards.querySelectorAll("img").forEach((picture) => (picture.loading = "eager"));

  const select = () => {
    gallery.list = selection.of(filters.wanted());
    page = 0;
    draw();
  };

  /** Turn some pages on, or back. */
  gallery.turn = (by) => {
    const next = Math.min(Math.max(page + by, 0), pages() - 1);
    if (next === page) return;
    page = next;
    draw();
    document.getElementById("images").scrollIntoView();
    cards.firstElementChild?.focus({ preventScroll: true });
  };

  /** Turn to the page of an image and put the focus on its card, where it is among the wanted. */
  gallery.show = (index) => {
    const place = gallery.list.indexOf(index);
    if (place < 0) return;
    const its = Math.floor(place / PER_PAGE);
    if (its !== page) {
      page = its;
      draw();
    }
    const card = cards.children[place % PER_PAGE];
    card.focus({ preventScroll: true });
    const { top, bottom } = card.getBoundingClientRect();
    if (bottom < 0 || top > window.innerHeight) card.scrollIntoView({ block: "center", behavior: "instant" });
  };

  /** Move the focus among the cards: some cards on, or a row of them. */
  gallery.step = (card, key) => {
    const columns = getComputedStyle(card.parentElement).gridTemplateColumns.split(" ").length;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
    const all = [...card.parentElement.children];
    all[all.indexOf(card) + by]?.focus();
  };

  gallery.start = () => {
    filters.start(select);
    select();
  };
})();
