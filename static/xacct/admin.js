// Copy buttons: any element with data-xa-copy copies that text; data-xa-copy-from copies the text of the element it names.
// Delegated from the document, so that parts swapped in later work as well, and no inline handler is needed.
"use strict";
(() => {
  const said = () => {
    let live = document.getElementById("xa-live");
    if (!live) {
      live = document.createElement("div");
      live.id = "xa-live";
      live.className = "xa-visually-hidden";
      live.setAttribute("aria-live", "polite");
      document.body.append(live);
    }
    return live;
  };

  const textOf = (button) => {
    const from = button.dataset.xaCopyFrom;
    return from ? (document.getElementById(from)?.textContent ?? "") : button.dataset.xaCopy;
  };

  const copy = async (text) => {
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(text);
      return;
    }
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "xa-visually-hidden";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-xa-copy], [data-xa-copy-from]");
    if (!button) return;
    event.preventDefault();
    event.stopPropagation();
    await copy(textOf(button));
    const icon = button.querySelector(".material-symbols-outlined");
    if (icon) {
      const before = icon.textContent;
      icon.textContent = "check";
      setTimeout(() => { icon.textContent = before; }, 1200);
    }
    said().textContent = "Copied";
  });
})();

// select2 replaces a select by parts without a name: they get the label of the select they stand for.
(() => {
  const nameParts = () => {
    document.querySelectorAll("select.select2-hidden-accessible").forEach((select) => {
      const text = (select.labels?.[0]?.textContent ?? select.getAttribute("aria-label") ?? select.name).replace("*", "").trim();
      const box = select.nextElementSibling;
      box?.querySelectorAll("[role=combobox], [role=textbox], .select2-search__field").forEach((part) => {
        part.removeAttribute("aria-labelledby");
        part.setAttribute("aria-label", text);
      });
    });
    document.querySelectorAll(".select2-dropdown .select2-search__field").forEach((field) => {
      field.setAttribute("aria-label", "Type to search");
    });
  };
  window.addEventListener("load", () => {
    nameParts();
    new MutationObserver(nameParts).observe(document.body, { childList: true, subtree: true });
  });
})();

// Unfold names its icons in text, which a screen reader would read aloud before the words beside them. Where there are
// no words, the icon's name stays as the name of its link or button.
(() => {
  const hideIcons = () => {
    document.querySelectorAll(".material-symbols-outlined:not([aria-hidden])").forEach((icon) => {
      const owner = icon.closest("a, button");
      if (owner && !owner.hasAttribute("aria-label") && owner.textContent.trim() === icon.textContent.trim()) {
        owner.setAttribute("aria-label", owner.title || icon.textContent.trim().replaceAll("_", " "));
      }
      icon.setAttribute("aria-hidden", "true");
    });
  };
  window.addEventListener("load", hideIcons);
  document.addEventListener("htmx:afterSwap", hideIcons);
})();
