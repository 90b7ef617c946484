// What a page does besides being read: menus that close, "/" for the search, copying of ids.
"use strict";

const find = document.getElementById("find");

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "/" && find && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    find.focus();
  }
  if (event.key === "Escape") {
    const menu = event.target.closest("details.menu[open]") ?? document.querySelector("details.menu[open]");
    menu?.removeAttribute("open");
    menu?.querySelector("summary").focus();
  }
});

// One menu at a time, and none while something else is clicked.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.removeAttribute("open");
  }
});

// The current page's place in a navigation that scrolls sideways.
const current = document.querySelector(".side nav [aria-current]");
const strip = current?.closest("nav");
if (strip && strip.scrollWidth > strip.clientWidth) strip.scrollLeft = current.offsetLeft - strip.clientWidth / 3;

const announce = (button, word) => {
  button.textContent = word;
  setTimeout(() => { button.textContent = "copy"; }, 1500);
};

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", () => {
    const source = button.dataset.copyFrom ? document.getElementById(button.dataset.copyFrom).textContent : button.dataset.copy;
    navigator.clipboard.writeText(source).then(() => announce(button, "copied"), () => announce(button, "not allowed"));
  });
}
