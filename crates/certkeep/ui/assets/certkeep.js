// What HTML and htmx do not do by themselves. Every page works without it.
"use strict";
(() => {
  // The setup code stands in the fragment, which browsers send to nobody.
  const field = document.querySelector("[data-from-fragment]");
  if (field && location.hash.length > 1) {
    field.value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname);
    document.getElementById("name")?.focus();
  }

  // On a narrow screen the menu begins closed.
  const menu = document.querySelector("details.menu");
  const narrow = matchMedia("(max-width: 56rem)");
  const fold = () => { if (menu) menu.open = !narrow.matches; };
  fold();
  narrow.addEventListener("change", fold);

  // Files may be dropped.
  const drop = document.querySelector(".drop");
  const file = drop?.querySelector("input[type=file]");
  if (file) {
    for (const kind of ["dragenter", "dragover"]) {
      drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
    }
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      if (event.dataTransfer.files.length) {
        file.files = event.dataTransfer.files;
        file.dispatchEvent(new Event("change", { bubbles: true }));
      }
    });
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    const status = event.detail.xhr.status;
    // A refusal is a page too, and is to be seen.
    if (status >= 400 && status < 500) event.detail.shouldSwap = true;
    // Whoever was signed out meanwhile is sent to sign in.
    if (event.detail.xhr.responseURL.endsWith("/login")) location.assign("/login");
  });
})();
