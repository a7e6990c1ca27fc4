/* A field's chip puts the field in at the cursor; without this script its link appends it. */
(function () {
  "use strict";
  document.documentElement.classList.add("js");
  const input = document.getElementById("id_pattern");
  if (!input) return;
  document.querySelectorAll("[data-insert]").forEach((chip) => chip.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const text = chip.dataset.insert, at = input.selectionStart ?? input.value.length;
    const before = input.value.slice(0, at), after = input.value.slice(input.selectionEnd ?? at);
    const joint = before && /[\w}]$/.test(before) ? "-" : "";
    const rest = after && /^[\w{]/.test(after) ? "-" : "";
    input.value = before + joint + text + rest + after;
    const place = (before + joint + text).length;
    input.focus();
    input.setSelectionRange(place, place);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }));
})();
