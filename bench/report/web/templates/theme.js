"use strict";
// Light or dark: as the system says until the reader chooses; the choice is remembered where storage is allowed.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const storage = {
    read() {
      try {
        return localStorage.getItem("theme");
      } catch {
        return null;
      }
    },
    write(theme) {
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // Private windows and some browsers on file:// refuse; the choice then lasts as long as the page.
      }
    },
  };
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const remembered = storage.read();
  if (remembered === "light" || remembered === "dark") root.dataset.theme = remembered;

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const changed = () => {
      button.textContent = isDark() ? "Light colours" : "Dark colours";
      document.dispatchEvent(new Event("themechange"));
    };
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      storage.write(root.dataset.theme);
      changed();
    });
    system.addEventListener("change", changed);
    button.hidden = false;
    changed();
  });
})();
