/* Behaviour by data- attributes; every page works without this file. */
(function () {
  "use strict";

  const words = (seconds) => {
    const s = Math.abs(seconds);
    if (s < 5) return "just now";
    const span =
      s < 90 ? Math.round(s) + "\u00a0s"
      : s < 5400 ? Math.round(s / 60) + "\u00a0min"
      : s < 129600 ? Math.round(s / 3600) + "\u00a0h"
      : Math.round(s / 86400) + "\u00a0days";
    return seconds > 0 ? span + " ago" : "in " + span;
  };

  /* Ages keep counting between answers of the server. The server's clock counts, not the device's. */
  let skew = 0;
  const rendered = document.documentElement.dataset.now;
  if (rendered) skew = Date.parse(rendered) - Date.now();
  const tick = () => {
    const now = Date.now() + skew;
    document.querySelectorAll("time[data-ago]").forEach((time) => {
      const text = words(Math.trunc((now - Date.parse(time.dateTime)) / 1000));
      if (time.textContent !== text) time.textContent = text;
    });
  };
  setInterval(tick, 1000);

  /* "/" goes to the search field, Escape leaves it; menus close by Escape and by a click elsewhere. */
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const search = document.querySelector("[data-search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    }
    if (event.key === "Escape") {
      if (event.target.matches("[data-search]")) event.target.blur();
      document.querySelectorAll("details.menu[open]").forEach((menu) => {
        menu.open = false;
        menu.querySelector("summary").focus();
      });
    }
  });
  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
    const copy = event.target.closest("[data-copy]");
    if (copy && navigator.clipboard) {
      navigator.clipboard.writeText(copy.dataset.copy).then(() => say("Copied " + copy.dataset.copy));
    }
    const checker = event.target.closest("[data-check-all]");
    if (checker) {
      document.querySelectorAll(checker.dataset.checkAll).forEach((box) => {
        if (!box.disabled) box.checked = checker.checked;
      });
    }
  });

  /* The button of a typed confirmation opens when the word is there; the server checks it again. */
  const confirmTyped = (input) => {
    const button = document.getElementById(input.dataset.confirms);
    if (button) button.disabled = input.value.trim().toLowerCase() !== input.dataset.word.toLowerCase();
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-confirms]")) confirmTyped(event.target);
  });
  const ready = (root) => root.querySelectorAll("[data-confirms]").forEach(confirmTyped);
  ready(document);

  const say = (text) => {
    const line = document.getElementById("said");
    if (line) line.textContent = text;
  };

  /* Polling: not while nobody looks, not while a disclosure or a field inside is in use. */
  document.addEventListener("htmx:beforeRequest", (event) => {
    const element = event.detail.elt;
    if (!element.matches("[data-live]")) return;
    const busy = element.matches("[data-live-gentle]") &&
      (element.querySelector("details[open]") || element.querySelector("input:focus, select:focus, textarea:focus"));
    if (document.hidden || busy) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && window.htmx) document.querySelectorAll("[data-live]").forEach((e) => window.htmx.trigger(e, "studio:look"));
  });

  /* Silence from the server is a fact of its own: the pulse must not go on claiming that all is well. */
  let failures = 0;
  document.addEventListener("htmx:afterRequest", (event) => {
    const pulse = document.getElementById("pulse");
    if (!pulse || event.detail.elt !== pulse) return;
    failures = event.detail.successful ? 0 : failures + 1;
    if (failures >= 2) {
      pulse.className = "pulse pulse-stale";
      pulse.querySelector("span").textContent = "No answer from StoreStudio";
    } else if (failures === 0 && pulse.classList.contains("pulse-stale")) {
      const address = new URL(pulse.getAttribute("hx-get"), location.href);
      window.htmx.ajax("GET", address.pathname, { target: "#pulse", swap: "outerHTML" });
    }
  });

  /* A number that moved flashes once. What it was is kept until its swap has settled: another part may be swapped in
     between, and must not take the new number for the old one. */
  const before = new Map();
  const moves = () => document.querySelectorAll("[data-moves]");
  document.addEventListener("htmx:beforeSwap", () => {
    moves().forEach((e) => { if (!before.has(e.dataset.moves)) before.set(e.dataset.moves, e.textContent.trim()); });
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    moves().forEach((e) => {
      const old = before.get(e.dataset.moves);
      if (old !== undefined && old !== e.textContent.trim()) e.classList.add("moved");
    });
    before.clear();
    ready(event.target);
    tick();
  });
})();
