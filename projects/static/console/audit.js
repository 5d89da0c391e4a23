// The filter's moments: the address has them in UTC, the reader sees and types them in their own zone.
const form = document.querySelector("form[data-times]");

function shown(moment) {
  const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60000);
  return local.toISOString().slice(0, 19);
}

if (form) {
  const inputs = [...form.querySelectorAll("input[type=datetime-local]")];
  for (const zone of form.querySelectorAll(".audit-zone")) zone.textContent = "";
  for (const input of inputs) {
    const text = input.dataset.moment;
    const moment = new Date(/[zZ]$|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}Z`);
    if (text && !Number.isNaN(moment.getTime())) input.value = shown(moment);
  }
  form.addEventListener("formdata", (event) => {
    for (const input of inputs) {
      if (input.value) event.formData.set(input.name, new Date(input.value).toISOString().slice(0, 19) + "Z");
    }
  });
}
