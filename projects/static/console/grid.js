// What makes the grid quicker for those who have scripts; all of it works without.

// A popover opens at its button, and inside the window.
function place(popover, button) {
  const at = button.getBoundingClientRect();
  popover.dataset.placed = "";
  const { offsetWidth: width, offsetHeight: height } = popover;
  const left = Math.max(8, Math.min(at.left, window.innerWidth - width - 8));
  const below = at.bottom + 4;
  const top = below + height > window.innerHeight - 8 ? Math.max(8, at.top - height - 4) : below;
  popover.style.left = `${left}px`;
  popover.style.top = `${top}px`;
}

for (const button of document.querySelectorAll("[popovertarget]")) {
  const popover = document.getElementById(button.getAttribute("popovertarget"));
  popover.addEventListener("toggle", (event) => {
    if (event.newState !== "open") return;
    place(popover, button);
    popover.querySelector("select, input:not([type=hidden]), a, button")?.focus();
  });
}

// A click with Shift sorts by one more column.
for (const link of document.querySelectorAll(".grid-sort")) {
  link.title = "Sort; with Shift by this column too";
  link.addEventListener("click", (event) => {
    if (event.shiftKey) {
      event.preventDefault();
      location.assign(link.dataset.also);
    }
  });
}

// What an operator is not asked with is put away.
for (const form of document.querySelectorAll(".grid-form")) {
  const asked = form.querySelector(".grid-asked");
  const operator = form.querySelector("select");
  const show = () => { asked.hidden = ["null", "notnull"].includes(operator.value); };
  operator.addEventListener("change", show);
  show();
}

// A row's page leads back to the list as it was left.
if (!document.querySelector(".grid-problem")) sessionStorage.setItem(location.pathname, location.search);
