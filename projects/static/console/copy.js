// Buttons with data-copy put the text of the element of that id on the clipboard, and say so to everybody.
const said = document.getElementById("copied");

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    said.textContent = "Copied.";
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 2000);
  } catch {
    getSelection().selectAllChildren(source); // The browser gives no clipboard here: the text is ready for its own keys.
    said.textContent = "The text is selected; copy it with your keyboard.";
  }
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
