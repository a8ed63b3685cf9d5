// Elements, requests, and where the page is. Text always goes in as text: names come from file systems.

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

export class NotAllowed extends Error {}

export async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
  if (response.status === 401) throw new NotAllowed("A token is needed.");
  if (!response.ok) {
    let reason = `The server says ${response.status}.`;
    try {
      reason = (await response.json()).error ?? reason;
    } catch { /* no document: the status has to do */ }
    throw new Error(reason);
  }
  return response.status === 204 ? null : response.json();
}

export const picture = (id, side, whole = false) =>
  `/api/v1/items/${id}/picture?side=${side}${whole ? "&whole=true" : ""}`;

export const share = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

export const counted = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

export function go(...parts) {
  location.hash = `#/${parts.map(encodeURIComponent).join("/")}`;
}

export function place() {
  const parts = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean);
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return [];
  }
}

export const scrolling = (name, content) =>
  make("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": name }, content);

export function card(item, { title, notes = [], buttons = [], open }) {
  const image = make("img", {
    loading: "lazy", width: 192, height: 192, src: picture(item.id, 192),
    alt: `${item.category}, item ${item.id}`,
  });
  image.addEventListener("error", () =>
    image.replaceWith(make("span", { class: "gone" }, "file is gone")));
  return make("li", { class: "card" },
    make("button", { class: "look", type: "button", "aria-label": `Details of item ${item.id}, ${item.category}`, onclick: open }, image),
    make("div", { class: "text" },
      make("span", { class: "name" }, title),
      ...notes.map((note) => make("span", { class: "small" }, note))),
    make("div", { class: "row" }, ...buttons));
}
