// What a page that asks again and again says aloud: only what is new, so that a reader is not told the same each second.
const said = document.getElementById("said");

function tell() {
  const words = document.querySelector("[data-said]")?.dataset.said ?? "";
  if (said && said.textContent !== words) said.textContent = words;
}

document.addEventListener("htmx:afterSettle", tell);

// Who is signed out meanwhile is led to the login, which is no part of this page.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { responseURL } = event.detail.xhr;
  if (!responseURL || new URL(responseURL).pathname === location.pathname) return;
  event.detail.shouldSwap = false;
  location.reload();
});
