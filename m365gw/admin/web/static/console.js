/* What the pages of the console do in the browser, beyond links and forms.

   live     one stream of server-sent events for the page; each event is the name of something that
            has changed, and the elements that show it fetch themselves anew
   dialogs  a button with data-opens="ID" opens <dialog id="ID">
   picking  the box with data-picks="FORM" picks all of a list; data-picked shows how many are
   copying  a button with data-copies="ID" copies the text of an element
   toasts   they go by themselves, and sooner when told to

   Without it every page works; it is only less lively. */
"use strict";

(() => {
  const stillness = 1000; // ms a region is left alone after somebody used it
  const used = new WeakMap();

  const touch = (event) => {
    const region = event.target.closest && event.target.closest("[data-live]");
    if (region) used.set(region, Date.now());
  };
  for (const kind of ["pointerdown", "keydown", "focusin"]) {
    document.addEventListener(kind, touch, { passive: true });
  }

  /* -- live */

  const isBusy = (region) =>
    region.querySelector("input[name=id]:checked, dialog[open]") !== null ||
    Date.now() - (used.get(region) || 0) < stillness;

  document.addEventListener("htmx:configRequest", (event) => {
    const { elt, triggeringEvent } = event.detail;
    if (elt.matches("[data-live]") && triggeringEvent && triggeringEvent.type.startsWith("live:")) {
      event.detail.headers["X-Live"] = "1";
      if (isBusy(elt)) event.preventDefault();
    }
  });

  // What has the keyboard's focus has it again after its region was fetched anew.
  let focused = "";
  document.addEventListener("htmx:beforeSwap", (event) => {
    const active = document.activeElement;
    focused = active && event.detail.target.contains(active) ? active.id : "";
  });
  document.addEventListener("htmx:afterSwap", () => {
    const again = focused && document.getElementById(focused);
    if (again) again.focus({ preventScroll: true });
    focused = "";
  });

  const listen = () => {
    const sign = document.getElementById("live");
    if (!sign) return;
    const say = (state, words) => {
      sign.dataset.state = state;
      sign.querySelector("span").textContent = words;
    };
    const stream = new EventSource("/live");
    stream.onopen = () => say("on", "Live");
    stream.onerror = () => say("off", "Not connected");
    stream.addEventListener("changed", (event) => {
      for (const name of event.data.split(" ")) {
        document.body.dispatchEvent(new CustomEvent("live:" + name));
      }
    });
    stream.addEventListener("signed-out", () => {
      stream.close();
      location.reload();
    });
    addEventListener("pagehide", () => stream.close());
  };

  /* -- dialogs and copying */

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) {
      event.preventDefault();
      document.getElementById(opener.dataset.opens).showModal();
      return;
    }
    const closer = event.target.closest("[data-closes]");
    if (closer) {
      event.preventDefault();
      const thing = closer.closest("dialog, .toast");
      if (thing.matches("dialog")) thing.close();
      else thing.remove();
      return;
    }
    const copier = event.target.closest("[data-copies]");
    if (copier) {
      navigator.clipboard.writeText(document.getElementById(copier.dataset.copies).textContent.trim());
      const before = copier.textContent;
      copier.textContent = "Copied";
      setTimeout(() => { copier.textContent = before; }, 1500);
    }
  });

  /* -- picking from a list */

  const picked = () => {
    for (const bar of document.querySelectorAll("[data-picked]")) {
      const form = document.getElementById(bar.dataset.picked);
      const boxes = form ? [...form.elements].filter((each) => each.name === "id") : [];
      const count = boxes.filter((each) => each.checked).length;
      bar.hidden = count === 0;
      bar.querySelector("[data-count]").textContent = count;
    }
  };
  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-picks]");
    if (all) {
      const form = document.getElementById(all.dataset.picks);
      for (const box of form.elements) if (box.name === "id") box.checked = all.checked;
    }
    picked();
  });
  document.addEventListener("htmx:afterSwap", picked);

  /* -- forms that need no button, and toasts */

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
  });

  const begin = () => {
    listen();
    picked();
    for (const toast of document.querySelectorAll(".toast[data-tone=good]")) {
      setTimeout(() => toast.remove(), 8000);
    }
  };
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", begin) : begin();
})();
