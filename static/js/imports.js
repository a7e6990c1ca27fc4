/* A file may be dropped on the field; without this script the field is a plain one. */
(function () {
  "use strict";
  document.documentElement.classList.add("js");
  document.querySelectorAll("[data-drop]").forEach((zone) => {
    const input = document.getElementById(zone.dataset.drop);
    const name = zone.querySelector("[data-drop-name]");
    const show = () => {
      const file = input.files[0];
      name.textContent = file ? file.name + " (" + (file.size / 1048576).toFixed(1) + "\u00a0MB)" : "";
    };
    ["dragenter", "dragover"].forEach((kind) => zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.add("drop-over");
    }));
    ["dragleave", "drop"].forEach((kind) => zone.addEventListener(kind, () => zone.classList.remove("drop-over")));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) { input.files = event.dataTransfer.files; show(); }
    });
    input.addEventListener("change", show);
    show();
  });
})();
