// Which view is shown, which generation answers, and signing in.

import { NotAllowed, ask, byId, counted, make, place, scrolling } from "./dom.js";
import { showBrowse } from "./browse.js";
import { generationChanged, refreshChoices, setUpSearch, showSearch } from "./search.js";

const LOOK_AGAIN_MS = 3000;
const VIEWS = { search: showSearch, similar: showSearch, browse: showBrowse, generations: showGenerations };
const SECTION = { search: "search", similar: "search", browse: "browse", generations: "generations" };
let generation = null;

function reveal(name) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== `view-${name}`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function show(moved) {
  const [view = "search", ...rest] = location.hash.startsWith("#/") ? place() : [];
  const known = view in VIEWS ? view : "search";
  reveal(SECTION[known]);
  if (moved) byId("main").focus({ preventScroll: false });
  try {
    await VIEWS[known](rest, known);
  } catch (error) {
    fail(error);
  }
}

export function fail(error) {
  if (error instanceof NotAllowed) {
    reveal("sign-in");
    document.querySelector("#sign-in input").focus();
    return;
  }
  console.warn(error.message);
  byId("generation").textContent = error.message;
}

async function showGenerations() {
  const { generations } = await ask("/api/v1/generations");
  const head = ["generation", "state", "report", "task", "published", "images", "R@1", "tags"];
  const numbers = new Set(["generation", "images", "R@1"]);
  byId("generations").replaceChildren(scrolling("Generations",
    make("table", {},
      make("thead", {}, make("tr", {}, ...head.map((name) =>
        make("th", { scope: "col", class: numbers.has(name) ? "number" : "" }, name)))),
      make("tbody", {}, ...generations.map((one) => make("tr", {},
        make("td", { class: "number" }, String(one.id)),
        make("td", {}, one.state),
        make("td", {}, one.kept
          ? make("a", { href: `/reports/${one.id}`, "aria-label": `Report of generation ${one.id}` }, "report")
          : "not kept"),
        make("td", {}, one.task),
        make("td", {}, new Date(one.published).toLocaleString()),
        make("td", { class: "number" }, one.images.toLocaleString("en")),
        make("td", { class: "number" }, one.recall_at_1 === null ? "–" : one.recall_at_1.toFixed(3)),
        make("td", {}, one.tags.join(", "))))))));
}

async function look() {
  const status = await ask("/api/v1/status");
  const before = generation;
  generation = status.generation;
  const text = `generation ${status.generation}: ${counted(status.gallery_images, "image", "images")}, `
    + counted(status.categories, "category", "categories")
    + (status.problem ? "; a newer one cannot answer" : "");
  const badge = byId("generation");
  if (badge.textContent !== text) badge.textContent = text;
  badge.title = status.problem ?? "";
  if (before === generation) return;
  await refreshChoices();
  if (before === null) return;
  generationChanged(generation);
  const [view] = place();
  if (view === "generations" || view === "browse") await show(false);
}

async function watch() {
  if (!document.hidden) {
    try {
      await look();
    } catch (error) {
      fail(error);
    }
  }
  setTimeout(watch, LOOK_AGAIN_MS);
}

byId("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = new FormData(event.target).get("token");
  try {
    await ask("/api/v1/session", { method: "POST", body: token });
    byId("sign-in-status").textContent = "";
    await look();
    await show(true);
  } catch (error) {
    byId("sign-in-status").textContent = error instanceof NotAllowed ? "This is not the token." : error.message;
  }
});

setUpSearch();
window.addEventListener("hashchange", () => {
  if (location.hash === "" || location.hash.startsWith("#/")) show(true); // else it leads within the page
});
await show(false);
watch();
