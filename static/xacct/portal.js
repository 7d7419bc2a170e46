// What pages do in the browser beyond links and forms. Everything here is an extra: without it the pages still work.
// One listener each on the document, so that parts which htmx puts in later are covered too.
(function () {
  "use strict";

  // A page from the browser's back cache shows what was true before signing out: ask the server again.
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) {
      window.location.reload();
    }
  });

  // Unfold hides the page until its script runs, so the browser's own autofocus finds nothing to focus.
  function focusFirst() {
    window.requestAnimationFrame(function () {
      const first = document.querySelector("main [autofocus]");
      if (first && document.activeElement === document.body) {
        first.focus();
      }
    });
  }
  document.addEventListener("alpine:initialized", focusFirst);
  focusFirst();

  // --- tabs: a list of headings becomes tabs; arrow keys move ---
  function makeTabs(box) {
    const panels = Array.from(box.querySelectorAll("[data-tab]"));
    const list = document.createElement("div");
    list.className = "xp-tabs";
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", box.dataset.tabs || "Formats");
    function select(chosen, focus) {
      panels.forEach(function (panel, index) {
        const tab = list.children[index];
        const on = index === chosen;
        panel.hidden = !on;
        tab.setAttribute("aria-selected", String(on));
        tab.tabIndex = on ? 0 : -1;
        if (on && focus) {
          tab.focus();
        }
      });
    }
    panels.forEach(function (panel, index) {
      const tab = document.createElement("button");
      tab.type = "button";
      tab.id = panel.id + "-tab";
      tab.textContent = panel.dataset.tab;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panel.id);
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", tab.id);
      tab.addEventListener("click", function () { select(index, false); });
      tab.addEventListener("keydown", function (event) {
        const moves = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: panels.length - 1 };
        if (event.key in moves) {
          event.preventDefault();
          select((moves[event.key] + panels.length) % panels.length, true);
        }
      });
      list.appendChild(tab);
    });
    box.classList.add("xp-has-tabs");
    box.removeAttribute("data-tabs");
    box.insertBefore(list, panels[0]);
    select(0, false);
  }

  // --- time left; when it is over, the secrets leave the page ---
  function tick() {
    document.querySelectorAll("[data-countdown]").forEach(function (element) {
      const left = Math.floor((Date.parse(element.dateTime) - Date.now()) / 1000);
      if (left > 0) {
        const minutes = Math.floor(left / 60);
        element.textContent = minutes >= 1 ? minutes + " min " + (left % 60) + " s" : left + " s";
        return;
      }
      const box = element.closest("[data-expires-with]");
      if (box) {
        box.textContent = "These credentials have expired. Get new ones.";
      }
    });
  }
  window.setInterval(tick, 1000);

  // --- parts that htmx replaces keep what was opened in them ---
  const opened = new Set();
  document.addEventListener("htmx:beforeSwap", function (event) {
    opened.clear();
    event.detail.target.querySelectorAll("details[open][id]").forEach(function (element) { opened.add(element.id); });
  });

  function prepare(root) {
    root.querySelectorAll("[data-tabs]").forEach(makeTabs);
    if (root.matches && root.matches("[data-tabs]")) {
      makeTabs(root);
    }
    tick();
  }

  document.addEventListener("htmx:afterSwap", function () {
    opened.forEach(function (id) {
      const element = document.getElementById(id);
      if (element) {
        element.open = true;
      }
    });
    prepare(document);
  });

  // htmx does not show answers that are errors; ours say what to do. An answer from another address is the sign-in
  // page: the session is over, so the whole page is asked for again.
  document.addEventListener("htmx:beforeSwap", function (event) {
    const answered = event.detail.xhr.responseURL;
    const asked = new URL(event.detail.pathInfo.finalRequestPath, window.location.href);
    if (answered && new URL(answered).pathname !== asked.pathname) {
      event.detail.shouldSwap = false;
      window.location.reload();
      return;
    }
    if (event.detail.xhr.status >= 400 && event.detail.xhr.getResponseHeader("X-Portal-Error")) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", function () { prepare(document); });
  } else {
    prepare(document);
  }
})();
