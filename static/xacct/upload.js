// Uploads with a progress bar. Without this file the form below is sent as any other form.
(function () {
  "use strict";

  function announce(box, text, isProblem) {
    const status = box.querySelector("[data-upload-status]");
    status.textContent = text;
    status.className = isProblem ? "xp-field-error" : "xp-small";
  }

  function size(bytes) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (bytes >= 1024 && unit < units.length - 1) {
      bytes /= 1024;
      unit += 1;
    }
    return (unit ? bytes.toFixed(1) : bytes) + " " + units[unit];
  }

  function finish(box, request) {
    const action = new URL(box.action, window.location.href);
    if (request.responseURL && new URL(request.responseURL).pathname !== action.pathname) {
      window.location.reload(); // the session is over: this was the sign-in page
      return;
    }
    let answer = {};
    try {
      answer = JSON.parse(request.responseText);
    } catch (error) {
      answer = { message: "The portal gave an answer that is not one (" + request.status + "). Reload the page." };
    }
    if (request.status < 400 && answer.location) {
      window.location.assign(answer.location);
      return;
    }
    box.querySelector("progress").hidden = true;
    box.querySelectorAll("button, input").forEach(function (element) { element.disabled = false; });
    announce(box, [answer.message, answer.hint].filter(Boolean).join(" "), true);
  }

  function send(box) {
    const file = box.querySelector("input[type=file]").files[0];
    const limit = Number(box.dataset.maxBytes);
    if (!file) {
      announce(box, "Choose a file first.", true);
      return;
    }
    if (file.size > limit) {
      announce(box, file.name + " is " + size(file.size) + "; uploads end at " + size(limit) + ".", true);
      return;
    }
    const data = new FormData(box);
    const bar = box.querySelector("progress");
    const request = new XMLHttpRequest();
    bar.hidden = false;
    bar.removeAttribute("value");
    box.querySelectorAll("button, input").forEach(function (element) { element.disabled = true; });
    request.upload.addEventListener("progress", function (event) {
      bar.max = event.total;
      bar.value = event.loaded;
      announce(box, event.loaded === event.total ? "Received; storing it in the bucket…"
        : size(event.loaded) + " of " + size(event.total), false);
    });
    request.addEventListener("load", function () { finish(box, request); });
    request.addEventListener("error", function () {
      finish(box, { status: 503, responseText: '{"message": "The connection broke before the file was stored. Try again."}' });
    });
    request.open("POST", box.action);
    request.setRequestHeader("Accept", "application/json");
    request.send(data);
  }

  // Unfold listens at every file input and expects its own text box beside it; ours has none.
  document.addEventListener("change", function (event) {
    if (event.target.matches("form[data-upload] input[type=file]")) {
      event.stopPropagation();
    }
  }, true);

  document.querySelectorAll("form[data-upload]").forEach(function (box) {
    box.addEventListener("submit", function (event) {
      event.preventDefault();
      send(box);
    });
    ["dragover", "dragleave", "drop"].forEach(function (name) {
      box.addEventListener(name, function (event) {
        event.preventDefault();
        box.classList.toggle("xp-drag", name === "dragover");
        if (name === "drop" && event.dataTransfer.files.length) {
          box.querySelector("input[type=file]").files = event.dataTransfer.files;
        }
      });
    });
  });
})();
