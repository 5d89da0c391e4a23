// The editor: names are inserted by a click, Ctrl+Enter runs, and an address brings a query without running it.
const form = document.getElementById("query");
const sql = document.getElementById("sql");
const stop = document.getElementById("stop");
const share = document.getElementById("share");
const doing = document.getElementById("doing");
let leaves = false; // After Escape the next Tab moves on, so that the keyboard is never trapped.

function insert(text) {
  sql.setRangeText(text, sql.selectionStart, sql.selectionEnd, "end");
  sql.focus();
}

sql.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  } else if (event.key === "Tab" && !event.shiftKey && !event.ctrlKey && !event.altKey && !leaves) {
    event.preventDefault();
    insert("  ");
  }
  leaves = event.key === "Escape";
});

function goTo(line, character) {
  const before = sql.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  sql.focus();
  sql.setSelectionRange(before + character - 1, before + character);
}

document.addEventListener("click", (event) => {
  const name = event.target.closest("[data-insert]");
  const place = event.target.closest("#show-place");
  if (name) insert(name.dataset.insert);
  if (place) goTo(Number(place.dataset.line), Number(place.dataset.character));
});

document.getElementById("find")?.addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const item of document.querySelectorAll("#tables > li")) item.hidden = !item.dataset.name.toLowerCase().includes(wanted);
});

// What stands after # never reaches the server, nor its log.
function bring() {
  if (!location.hash.startsWith("#sql=")) return;
  sql.value = decodeURIComponent(location.hash.slice(5));
  history.replaceState(null, "", location.pathname);
  sql.focus();
}

share.hidden = false;
share.addEventListener("click", async () => {
  const address = `${location.origin}${location.pathname}#sql=${encodeURIComponent(sql.value)}`;
  try {
    await navigator.clipboard.writeText(address);
    doing.textContent = "The link is copied. It brings the query and does not run it.";
  } catch {
    history.replaceState(null, "", address); // Without https there is no clipboard; the address itself can be copied.
    doing.textContent = "The link stands in the address bar.";
  }
});

stop.addEventListener("click", () => htmx.trigger(form, "htmx:abort"));
form.addEventListener("htmx:beforeRequest", () => {
  stop.hidden = false;
  doing.textContent = "It runs";
});
form.addEventListener("htmx:afterRequest", (event) => {
  stop.hidden = true;
  doing.textContent = event.detail.successful ? "" : "There is no answer: it was stopped, or the server could not be reached.";
});
window.addEventListener("hashchange", bring);
bring();
