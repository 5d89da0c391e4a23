// What makes a row's form quicker for those who have scripts; all of it works without.

// The box "empty text" is asked only where the text is blank.
for (const label of document.querySelectorAll(".row-empty")) {
  const box = label.querySelector("input");
  const text = label.parentElement.querySelector("input:not([type=checkbox]), textarea");
  const show = () => {
    label.hidden = text.value !== "";
    if (label.hidden) box.checked = false;
  };
  text.addEventListener("input", show);
  show();
}

// A second click sends nothing again.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// The links back lead to the list as it was left.
for (const link of document.querySelectorAll("#content a[href$='/rows/']")) {
  link.search = sessionStorage.getItem(link.pathname) ?? "";
}

// What went wrong is read first.
document.querySelector("[role=alert]")?.focus();
