// A file is dropped onto the form, and its sending shown. Without this the form works as any form does.
const part = (selector) => document.querySelector(`#import ${selector}`);

function say(words, percent) {
  const sending = part("#sending");
  sending.hidden = false;
  sending.querySelector("[role=status]").textContent = words;
  sending.querySelector("progress").value = percent;
}

document.addEventListener("dragover", (event) => {
  if (!part("#drop")) return;
  event.preventDefault(); // A file that misses the place is not opened in its stead.
  part("#drop").classList.toggle("work-over", Boolean(event.target.closest("#drop")));
});

document.addEventListener("drop", (event) => {
  const drop = event.target.closest("#drop");
  if (!part("#drop")) return;
  event.preventDefault();
  part("#drop").classList.remove("work-over");
  if (drop && event.dataTransfer.files.length) part("#file").files = event.dataTransfer.files;
});

document.addEventListener("click", (event) => {
  if (event.target.id === "stop") htmx.trigger("#form", "htmx:abort");
});

document.addEventListener("htmx:xhr:progress", (event) => {
  if (event.target.id !== "form" || !event.detail.lengthComputable) return;
  const percent = Math.floor((100 * event.detail.loaded) / event.detail.total);
  say(percent < 100 ? `${percent} % sent` : "Sent; its first rows are being read", percent);
});

document.addEventListener("htmx:responseError", (event) => say(`The server did not take it (${event.detail.xhr.status}). Reload the page and try again.`, 0));
document.addEventListener("htmx:sendError", () => say("The server could not be reached. Try again in a moment.", 0));
document.addEventListener("htmx:abort", () => say("Stopped; nothing was kept.", 0));
