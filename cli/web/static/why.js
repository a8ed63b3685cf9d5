// Details of an item, and which regions make it similar to the query.

import { ask, byId, go, make, picture, share } from "./dom.js";
import { classes } from "./search.js";

const FOR = [232, 89, 12];
const AGAINST = [28, 126, 214];
const SIDE = 384;

function open(...content) {
  const dialog = byId("details");
  dialog.replaceChildren(...content, make("div", { class: "row" },
    make("button", { type: "button", class: "main", onclick: () => dialog.close() }, "Close")));
  if (!dialog.open) dialog.showModal();
  return dialog;
}

export function showItem(item) {
  const facts = [["Task", item.task], ["Use", item.role === "query" ? "held out to measure with" : "searched"], ["File", item.name]];
  open(
    make("h2", { id: "details-title" }, `${item.category}, item ${item.id}`),
    make("img", { class: "whole", src: picture(item.id, 768, true), alt: `All of item ${item.id}, ${item.category}` }),
    make("div", { class: "scroll" }, make("table", {}, make("tbody", {}, ...facts.map(([name, value]) =>
      make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value)))))),
    make("div", { class: "row" }, make("button", {
      type: "button", onclick: () => { byId("details").close(); go("similar", item.id); },
    }, "Find similar items")));
}

export async function showWhy(query, item) {
  open(make("h2", { id: "details-title" }, "Why these two are similar"),
    make("p", { role: "status" }, "Covering one region after the other …"));
  try {
    const found = query.blob
      ? await ask(`/api/v1/explain?item_id=${item.id}`, {
        method: "POST", body: query.blob, headers: { "content-type": "application/octet-stream" },
      })
      : await ask(`/api/v1/items/${query.item}/explain?other=${item.id}`);
    const own = query.blob ? await squareOf(query.blob) : await pictureOf(query.item);
    const other = await pictureOf(item.id);
    const most = Math.max(...[found.query_map, found.item_map].filter(Boolean).flat(2).map(Math.abs), 1e-6);
    open(
      make("h2", { id: "details-title" }, `Why these two are similar: ${share(found.similarity)}`),
      make("div", { class: "pair" },
        heat(own, found.query_map, most, "The query"),
        heat(other, found.item_map, most, `Item ${item.id}, ${item.category}`)),
      make("p", { class: "key" },
        make("span", {}, make("i", { class: "for" }), "covering this costs similarity: it makes them alike"),
        make("span", {}, make("i", { class: "against" }), "covering this adds similarity: it sets them apart")),
      make("p", {}, `The strongest colour stands for a change of ${share(most)}.`),
      classes(found.classes));
  } catch (error) {
    open(make("h2", { id: "details-title" }, "Why these two are similar"),
      make("p", { class: "notice bad", role: "alert" }, error.message));
  }
}

function heat(image, map, most, name) {
  if (image === null || map === null) {
    return make("figure", {}, make("p", { class: "notice" }, "The file is gone."), make("figcaption", {}, name));
  }
  const canvas = make("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": `${name}: ${inWords(map)}` });
  const context = canvas.getContext("2d");
  context.filter = "grayscale(1)"; // colours of the image would be taken for those of the map
  context.drawImage(image, 0, 0, SIDE, SIDE);
  context.filter = "none";
  context.drawImage(overlay(map, most), 0, 0, SIDE, SIDE);
  return make("figure", {}, canvas, make("figcaption", {}, `${name}: ${inWords(map)}`));
}

function overlay(map, most) {
  const small = make("canvas", { width: map[0].length, height: map.length });
  const pixels = new ImageData(small.width, small.height);
  map.flat().forEach((lost, place) => {
    const [red, green, blue] = lost > 0 ? FOR : AGAINST;
    pixels.data.set([red, green, blue, Math.round(190 * Math.min(1, Math.abs(lost) / most))], 4 * place);
  });
  small.getContext("2d").putImageData(pixels, 0, 0);
  return small;
}

const ROWS = ["top", "middle", "bottom"];
const COLUMNS = ["left", "centre", "right"];

function inWords(map) {
  const values = map.flat();
  const best = values.indexOf(Math.max(...values));
  const third = (position, length) => Math.min(2, Math.floor((3 * position) / length));
  const row = ROWS[third(Math.floor(best / map[0].length), map.length)];
  const column = COLUMNS[third(best % map[0].length, map[0].length)];
  return `the ${row} ${column} matters most, ${share(values[best])}`;
}

async function pictureOf(id) {
  const image = new Image();
  image.src = picture(id, SIDE);
  try {
    await image.decode();
    return image;
  } catch {
    return null;
  }
}

async function squareOf(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob);
  } catch {
    return null; // a format that the server reads and this browser does not
  }
  const short = Math.min(bitmap.width, bitmap.height);
  const canvas = make("canvas", { width: SIDE, height: SIDE });
  canvas.getContext("2d").drawImage(bitmap, (bitmap.width - short) / 2, (bitmap.height - short) / 2, short, short, 0, 0, SIDE, SIDE);
  return canvas;
}
