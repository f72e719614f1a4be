/* What the pages of the console do in the browser, beyond links and forms.

   live     one stream of server-sent events for the page; each event is the name of something that
            has changed, and the elements that show it fetch themselves anew
   dialogs  a button with data-opens="ID" opens <dialog id="ID">
   picking  the box with data-picks="FORM" picks all of a list; data-picked shows how many are
   menu     a button with data-unfolds="ID" unfolds the navigation of a small screen
   copying  a button with data-copies="ID" copies the text of an element
   lines    a list with data-lines="/path" gets lines of that stream; data-pauses="ID" stops it
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
  let opened = []; // what was unfolded in it is unfolded again
  document.addEventListener("htmx:beforeSwap", (event) => {
    const active = document.activeElement;
    focused = active && event.detail.target.contains(active) ? active.id : "";
    opened = [...event.detail.target.querySelectorAll("details[open][id]")].map((each) => each.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    const again = focused && document.getElementById(focused);
    if (again) again.focus({ preventScroll: true });
    focused = "";
    for (const id of opened) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
    opened = [];
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
    const unfolder = event.target.closest("[data-unfolds]");
    if (unfolder) {
      const isOpen = document.getElementById(unfolder.dataset.unfolds).toggleAttribute("data-unfolded");
      unfolder.setAttribute("aria-expanded", isOpen);
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

  /* -- lines of a log */

  const mostLines = 1000;

  const lineOf = (said) => {
    const item = document.createElement("li");
    item.dataset.tone = said.tone;
    const put = (name, text) => {
      const part = document.createElement(name);
      part.textContent = text;
      item.append(part);
      return part;
    };
    put("time", said.clock);
    put("b", said.mark);
    if (said.queue_id) put("a", said.queue_id).href = "/queue/" + encodeURIComponent(said.queue_id);
    put("span", said.text);
    return item;
  };

  const follow = (list) => {
    const state = document.querySelector(`[data-lines-state="${list.id}"]`);
    const button = document.querySelector(`[data-pauses="${list.id}"]`);
    const none = list.parentElement.querySelector(".lines-none");
    let held = [];
    let isPaused = false;
    const tell = () => {
      const count = list.children.length;
      const waiting = isPaused ? `, paused, ${held.length} new` : "";
      state.textContent = `${count} ${count === 1 ? "line" : "lines"}${waiting}`;
      none.hidden = count > 0;
    };
    const show = (lines) => {
      const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
      list.append(...lines.map(lineOf));
      while (list.children.length > mostLines) list.firstElementChild.remove();
      if (isAtEnd) list.scrollTop = list.scrollHeight;
    };
    const address = new URL(list.dataset.lines, location.href);
    let stream;
    const open = () => {
      stream = new EventSource(address);
      stream.addEventListener("lines", (event) => {
        const lines = JSON.parse(event.data);
        address.searchParams.set("seen", lines[lines.length - 1].number);
        if (isPaused) held = held.concat(lines).slice(-mostLines);
        else show(lines);
        tell();
      });
      stream.addEventListener("over", () => {
        stream.close();
        location.reload();
      });
      stream.onerror = () => { // where it broke off, not where the page began
        stream.close();
        setTimeout(open, 3000);
      };
    };
    button.addEventListener("click", () => {
      isPaused = !isPaused;
      button.textContent = isPaused ? "Go on" : "Pause";
      button.setAttribute("aria-pressed", isPaused);
      if (!isPaused) {
        show(held);
        held = [];
      }
      tell();
    });
    list.scrollTop = list.scrollHeight;
    open();
    addEventListener("pagehide", () => stream.close());
  };

  /* -- forms that need no button, and toasts */

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
  });

  const begin = () => {
    listen();
    picked();
    for (const list of document.querySelectorAll("[data-lines]")) follow(list);
    for (const here of document.querySelectorAll("nav [aria-current]")) {
      const strip = here.closest("nav"); // which may be wider than the screen
      strip.scrollLeft = here.offsetLeft - strip.offsetLeft - (strip.clientWidth - here.clientWidth) / 2;
    }
    for (const toast of document.querySelectorAll(".toast[data-tone=good]")) {
      setTimeout(() => toast.remove(), 8000);
    }
  };
  document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", begin) : begin();
})();
