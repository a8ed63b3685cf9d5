// Looking around: tasks, their categories, their images.

import { ask, byId, card, counted, go, make } from "./dom.js";
import { showItem } from "./why.js";

const PAGE = 60;

export async function showBrowse([task, category]) {
  const { tasks } = await ask("/api/v1/tasks");
  const chosen = tasks.find((one) => String(one.id) === task) ?? tasks[0];
  const { categories } = await ask(`/api/v1/categories${chosen ? `?task_id=${chosen.id}` : ""}`);
  const shown = categories.find((one) => String(one.id) === category);
  const grid = make("ol", { class: "results", "aria-label": "Images" });
  const more = make("button", { type: "button", class: "more", hidden: true }, "More");
  byId("browse").replaceChildren(
    make("h2", {}, "Tasks"),
    chips(tasks, (one) => ["browse", one.id], (one) => one.name, chosen, (one) => one.gallery_images + one.query_images),
    make("h2", {}, chosen ? `Categories of ${chosen.name}` : "Categories"),
    chips(categories, (one) => ["browse", chosen.id, one.id], (one) => one.name, shown, (one) => one.gallery_images + one.query_images),
    make("h2", {}, shown ? shown.name : chosen ? `Images of ${chosen.name}` : "Images"),
    grid, more);
  if (!chosen) return;
  const wanted = new URLSearchParams({ task_id: chosen.id, limit: PAGE });
  if (shown) wanted.set("category_id", shown.id);
  const fill = async (after) => {
    const page = await ask(`/api/v1/items?${wanted}&after=${after}`);
    grid.append(...page.items.map(one));
    more.hidden = page.next === null;
    more.onclick = async () => {
      const last = grid.lastElementChild;
      await fill(page.next);
      last.nextElementSibling?.querySelector("button").focus();
    };
  };
  await fill(0);
}

function one(item) {
  return card(item, {
    title: item.category,
    notes: [item.name, ...(item.role === "query" ? ["held out"] : [])],
    open: () => showItem(item),
    buttons: [make("button", {
      type: "button", "aria-label": `Items similar to item ${item.id}`, onclick: () => go("similar", item.id),
    }, "Similar")],
  });
}

function chips(things, target, name, current, count) {
  return make("ul", { class: "chips" }, ...things.map((thing) => make("li", {}, make("a", {
    href: `#/${target(thing).map(encodeURIComponent).join("/")}`,
    "aria-current": thing === current ? "true" : undefined,
    "aria-label": `${name(thing)}, ${counted(count(thing), "image", "images")}`,
  }, name(thing), " ", make("span", { class: "small" }, String(count(thing)))))));
}
