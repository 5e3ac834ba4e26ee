// Light or dark: as the system says, until the reader chooses. Runs in the head, so that no page flashes.
"use strict";
(() => {
  const KEPT = "noseam-scheme";
  const root = document.documentElement;

  const kept = () => {
    try {
      return localStorage.getItem(KEPT);
    } catch {
      return null; // some browsers keep nothing for files
    }
  };

  const keep = (scheme) => {
    try {
      localStorage.setItem(KEPT, scheme);
    } catch {
      // then it holds for this page alone
    }
  };

  const system = matchMedia("(prefers-color-scheme: dark)");
  const current = () => root.dataset.scheme || (system.matches ? "dark" : "light");
  const other = () => (current() === "dark" ? "light" : "dark");

  if (["light", "dark"].includes(kept())) root.dataset.scheme = kept();

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("scheme");
    const name = () => (button.textContent = other() === "dark" ? "Dark" : "Light");
    button.addEventListener("click", () => {
      root.dataset.scheme = other();
      keep(root.dataset.scheme);
      name();
    });
    system.addEventListener("change", name);
    name();
  });
})();
