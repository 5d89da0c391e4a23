// Every <time class="spawn-time"> is in UTC as it comes; the reader sees it in their own zone, and UTC in its title.
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function localise(root) {
  for (const time of root.querySelectorAll("time.spawn-time:not([data-local])")) {
    time.dataset.local = "";
    time.title = time.textContent;
    time.textContent = local.format(new Date(time.dateTime));
  }
}

document.addEventListener("DOMContentLoaded", () => localise(document));
document.addEventListener("htmx:load", (event) => localise(event.target.parentNode ?? event.target));
