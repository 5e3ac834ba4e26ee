// The form that says which images are wanted.
"use strict";
(() => {
  const { make, words, report, selection } = noseam;
  const filters = (noseam.filters = {});
  const form = document.getElementById("filters");

  const options = (name, pairs) => {
    form.elements[name].replaceChildren(...pairs.map(([value, text]) => make("option", { value }, text)));
  };

  const counts = (values) => {
    const found = new Map();
    for (const value of values) found.set(value, (found.get(value) || 0) + 1);
    return found;
  };

  const withCount = (name, count) => `${name} (${words.number(count)})`;

  const states = () => {
    const found = counts(report.images.map((image) => image.state));
    return [["", "any"], ...[...found].map(([state, count]) => [state, withCount(words.state(state), count)])];
  };

  const doubts = () => {
    const found = counts(report.images.flatMap((image) => image.doubts));
    const any = report.images.filter((image) => image.doubts.length).length;
    const kinds = [...found].map(([kind, count]) => [kind, withCount(kind, count)]);
    return [["", "all images"], ...(any ? [["any", withCount("any doubt", any)]] : []), ...kinds];
  };

  const classes = () => {
    const found = filters.imagesOfClass;
    const rows = report.classes.filter((row) => found.has(row.id));
    return [["", "any"], ...rows.map((row) => [row.id, withCount(row.name, found.get(row.id))])];
  };

  const orders = () => {
    const has = (field) => report.images.some((image) => image[field] !== undefined);
    return [
      ["name", "name"],
      ...(has("confidence") ? [["confidence", "least confident first"]] : []),
      ...(has("disagreement") ? [["disagreement", "most disagreement first"]] : []),
      ["seconds", "slowest first"],
      ["share", "most of the class first"],
    ];
  };

  /** In how many images each class occurs, by its id. */
  filters.imagesOfClass = counts(report.images.flatMap((image) => image.classes.map(([id]) => id)));

  /** Return what the form says. */
  filters.wanted = () => {
    const at = (name) => form.elements[name].value;
    return {
      name: at("name").trim(),
      state: at("state"),
      doubt: at("doubt"),
      label: at("label"),
      share: Number(at("share")) / 100,
      below: at("below") === "" ? null : Number(at("below")),
      order: at("order"),
    };
  };

  /** Set the form, tell of it, and go there. */
  filters.set = (wanted) => {
    const { share, ...rest } = { ...selection.all, ...wanted };
    for (const [name, value] of Object.entries(rest)) form.elements[name].value = value ?? "";
    form.elements.share.value = 100 * share;
    form.dispatchEvent(new Event("input"));
    document.getElementById("images").scrollIntoView();
  };

  /** Put the cursor into the search. */
  filters.focus = () => form.elements.name.focus();

  /** Fill the form, and call back whenever what is wanted changes. */
  filters.start = (changed) => {
    options("state", states());
    options("doubt", doubts());
    options("label", classes());
    options("order", orders());
    form.addEventListener("input", changed);
    form.addEventListener("reset", () => setTimeout(changed)); // the fields are empty only then
    form.addEventListener("submit", (event) => event.preventDefault());
    form.elements.below.closest("label").hidden = !report.images.some((image) => image.confidence !== undefined);
    form.elements.doubt.closest("label").hidden = !report.images.some((image) => image.doubts.length);
  };
})();
