// What the theme leaves to wish: a name for the search, and tables that a keyboard can scroll.
document.querySelector("[data-md-component=search]")?.setAttribute("aria-label", "Search");
const scrolled = () => {
  for (const table of document.querySelectorAll(".md-typeset__scrollwrap")) {
    table.tabIndex = 0;
  }
};
scrolled();
new MutationObserver(scrolled).observe(document.querySelector("article") ?? document.body, { childList: true, subtree: true });
