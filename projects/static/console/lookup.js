// A field of a reference offers what may stand there, found by what is typed. Without scripts it is a plain field.
const PAUSE = 150; // milliseconds after the last key

function offer(list, matches) {
  list.replaceChildren(...matches.map(({ value, label }) => {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = label;
    return option;
  }));
}

[...document.querySelectorAll("input[data-lookup]")].forEach((input, number) => {
  const list = document.createElement("datalist");
  list.id = `lookup-${number}`;
  input.after(list);
  input.setAttribute("list", list.id);
  let waiting, asked;
  const look = async () => {
    asked?.abort();
    asked = new AbortController();
    const address = `${input.dataset.lookup}&q=${encodeURIComponent(input.value)}`;
    try {
      const answer = await fetch(address, { signal: asked.signal, headers: { Accept: "application/json" } });
      if (answer.ok) offer(list, (await answer.json()).matches);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  };
  input.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(look, PAUSE); });
  input.addEventListener("focus", look, { once: true });
});
