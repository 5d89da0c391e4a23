// A box that is pointed at or focused lights its arrows and what they lead to; the buttons zoom.
const frame = document.querySelector(".spawn-diagram");
const drawing = frame?.querySelector("svg");

function light(table, lit) {
  for (const arrow of drawing.querySelectorAll(".spawn-arrow")) {
    const { from, to } = arrow.dataset;
    if (from !== table && to !== table) continue;
    arrow.classList.toggle("spawn-lit", lit);
    for (const box of drawing.querySelectorAll(".spawn-box")) {
      if (box.dataset.table === from || box.dataset.table === to) box.classList.toggle("spawn-lit", lit);
    }
  }
}

function zoom(by) {
  const whole = drawing.viewBox.baseVal;
  const now = drawing.width.baseVal.value / whole.width;
  const scale = by === "fit" ? Math.min(1, (frame.clientWidth - 2) / whole.width) : Math.min(3, Math.max(0.2, now * Number(by)));
  drawing.setAttribute("width", whole.width * scale);
  drawing.setAttribute("height", whole.height * scale);
}

if (drawing) {
  for (const box of drawing.querySelectorAll(".spawn-box")) {
    for (const kind of ["pointerenter", "focus"]) box.addEventListener(kind, () => light(box.dataset.table, true));
    for (const kind of ["pointerleave", "blur"]) box.addEventListener(kind, () => light(box.dataset.table, false));
  }
  const buttons = document.querySelector(".spawn-zoom");
  buttons.hidden = false;
  buttons.addEventListener("click", (event) => event.target.dataset.zoom && zoom(event.target.dataset.zoom));
}
