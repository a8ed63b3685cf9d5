// Asking with an image or an item, and what comes back.

import { ask, byId, card, counted, go, make, picture, scrolling, share } from "./dom.js";
import { showItem, showWhy } from "./why.js";

const STARTERS = 12;
let query = null; // { blob, url } or { item }
let running = null;
let answered = null; // the generation that the results shown are of

export function setUpSearch() {
  const drop = byId("drop");
  byId("file").addEventListener("change", ({ target }) => {
    take(target.files[0]);
    target.value = ""; // else choosing the same file again, which may have changed, would be no change
  });
  for (const kind of ["dragenter", "dragover"]) {
    window.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) {
    window.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.remove("over"); });
  }
  window.addEventListener("drop", (event) => take(imageIn(event.dataTransfer)));
  window.addEventListener("paste", (event) => {
    const image = imageIn(event.clipboardData);
    if (image) take(image);
  });
  byId("filters").addEventListener("submit", (event) => { event.preventDefault(); search(); });
  byId("filters").addEventListener("change", (event) => { if (event.target.name !== "where") search(); });
}

export async function showSearch([id], view) {
  if (view !== "similar") {
    if (query === null) await showStarters();
    return;
  }
  if (!/^\d+$/.test(id ?? "")) { go("search"); return; }
  if (query?.item === Number(id)) return;
  forget();
  query = { item: Number(id) };
  preview(picture(id, 384), `Item ${id}, which is searched with`);
  await search();
}

// Images that nothing was learned from: what a search finds for them is what it finds for new ones.
async function showStarters() {
  const { tasks } = await ask("/api/v1/tasks");
  const newest = tasks.filter((task) => task.query_images > 0).at(-1);
  if (!newest || query !== null) return;
  const { items } = await ask(`/api/v1/items?task_id=${newest.id}&role=query&limit=${STARTERS}`);
  byId("starters").replaceChildren(
    make("h2", {}, `Or begin with an image of ${newest.name} that was held out`),
    make("ol", { class: "results", "aria-label": "Held-out images" }, ...items.map((item) => card(item, {
      title: item.category,
      notes: [item.name],
      open: () => showItem(item),
      buttons: [make("button", {
        type: "button", "aria-label": `Items similar to item ${item.id}`, onclick: () => go("similar", item.id),
      }, "Similar")],
    }))));
}

export async function refreshChoices() {
  const [{ tasks }, { categories }] = await Promise.all([ask("/api/v1/tasks"), ask("/api/v1/categories")]);
  const select = byId("filters").elements.task;
  const chosen = select.value;
  const names = [...new Set(tasks.map((task) => task.name))];
  select.replaceChildren(make("option", { value: "" }, "all tasks"),
    ...names.map((name) => make("option", { value: name }, name)));
  select.value = names.includes(chosen) ? chosen : "";
  byId("category-names").replaceChildren(...categories.slice(0, 5000).map(({ name }) => make("option", { value: name })));
}

export function generationChanged(generation) {
  if (answered === null || answered === generation) return;
  byId("verdict").querySelector(".news")?.remove();
  byId("verdict").prepend(make("div", { class: "notice news" },
    make("span", {}, `These results are of generation ${answered}. Generation ${generation} answers now.`),
    make("button", { type: "button", onclick: search }, "Ask it")));
}

function imageIn(transfer) {
  return [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/") || file.type === "");
}

function take(file) {
  if (!file) {
    say("That is no image: choose a JPEG, PNG, WebP, BMP, GIF or TIFF file.");
    return;
  }
  forget();
  query = { blob: file, url: URL.createObjectURL(file) };
  preview(query.url, `The image that is searched with: ${file.name || "pasted"}`);
  if (location.hash !== "#/search") go("search");
  search();
}

function forget() {
  if (query?.url) URL.revokeObjectURL(query.url);
  query = null;
}

function preview(url, alt) {
  const image = byId("preview");
  image.onload = null;
  image.onerror = () => { image.hidden = true; byId("drop-text").hidden = false; };
  image.src = url;
  image.alt = alt;
  image.hidden = false;
  byId("drop-text").hidden = true;
  byId("starters").replaceChildren();
}

const say = (text) => { byId("search-status").textContent = text; };

function parameters() {
  const form = new FormData(byId("filters"));
  const wanted = new URLSearchParams({ k: form.get("k") || "12", judged: String(form.get("judged") !== null) });
  for (const name of ["task", "category", "where"]) {
    const value = String(form.get(name) ?? "").trim();
    if (value) wanted.set(name, value);
  }
  return wanted;
}

async function search() {
  if (query === null) { say("Choose an image first."); return; }
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  say("Searching …");
  const begin = performance.now();
  try {
    const found = query.blob
      ? await ask(`/api/v1/search?${parameters()}`, {
        method: "POST", body: query.blob, signal, headers: { "content-type": "application/octet-stream" },
      })
      : await ask(`/api/v1/items/${query.item}/similar?${parameters()}`, { signal });
    answered = found.generation;
    draw(found);
    const milliseconds = Math.round(performance.now() - begin);
    say(`${counted(found.neighbours.length, "answer", "answers")} from generation ${found.generation} in ${milliseconds} ms`);
  } catch (error) {
    if (error.name === "AbortError") return;
    byId("verdict").replaceChildren(make("p", { class: "notice bad" }, error.message));
    byId("results").replaceChildren();
    byId("classes").replaceChildren();
    answered = null;
    say("");
  }
}

function draw(found) {
  byId("verdict").replaceChildren(verdict(found));
  const list = make("ol", { class: "results", "aria-label": "Nearest items" },
    ...found.neighbours.map(neighbour));
  byId("results").replaceChildren(list);
  byId("results").className = "";
  byId("classes").replaceChildren(classes(found.classes));
}

function verdict(found) {
  const [nearest] = found.neighbours;
  if (!nearest) return make("p", { class: "notice bad" }, "Nothing to compare with: no item passes the filter.");
  const sure = found.confidence === null ? "" : `, confidence ${found.confidence.toFixed(2)}`;
  if (found.match === false) {
    return make("p", { class: "notice bad" }, make("strong", {}, "No match. "),
      `The nearest is ${nearest.category} at ${share(nearest.similarity)}, below the threshold ${share(found.threshold)}.`);
  }
  if (found.match === true) {
    return make("p", { class: "notice good" }, make("strong", {}, `${nearest.category}${sure}. `),
      `Similarity ${share(nearest.similarity)}, threshold ${share(found.threshold)}.`);
  }
  const why = found.no_threshold ? ` There is no threshold: ${found.no_threshold}.` : "";
  return make("p", { class: "notice" }, make("strong", {}, `Nearest: ${nearest.category}${sure}.`), why);
}

function neighbour(item) {
  return card(item, {
    title: item.category,
    notes: [
      `${item.rank}. similarity ${share(item.similarity)}`,
      item.task,
    ],
    open: () => showItem(item),
    buttons: [
      make("button", { type: "button", "aria-label": `Items similar to item ${item.id}`, onclick: () => go("similar", item.id) }, "Similar"),
      make("button", { type: "button", "aria-label": `Why item ${item.id} is similar`, onclick: () => showWhy(query, item) }, "Why"),
    ],
  });
}

export function classes(found) {
  if (!found.length) return make("p", {});
  return make("section", {},
    make("h2", {}, "Nearest classes, by what is kept of each"),
    scrolling("Nearest classes", make("table", {},
      make("thead", {}, make("tr", {},
        make("th", { scope: "col" }, "class"),
        make("th", { scope: "col", class: "number" }, "similarity to its mean"),
        make("th", { scope: "col", class: "number" }, "images"),
        make("th", { scope: "col", class: "number" }, "drift maps since"))),
      make("tbody", {}, ...found.map((one) => make("tr", {},
        make("td", {}, one.category),
        make("td", { class: "number" }, share(one.similarity)),
        make("td", { class: "number" }, one.images.toLocaleString("en")),
        make("td", { class: "number" }, String(one.moves))))))));
}
