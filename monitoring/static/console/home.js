// Draws each figure's table of numbers as lines; without this the numbers stand there all the same.
const root = document.documentElement;
const scales = [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]];
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

function inWords(value, unit) {
  if (unit === "ms") return `${compact.format(value)} ms`;
  if (unit !== "bytes") return compact.format(value);
  const [size, name] = scales.find(([least]) => value >= least) ?? [1, "B"];
  return `${(value / size).toFixed(value / size < 10 && size > 1 ? 1 : 0)} ${name}`;
}

function colours() {
  const of = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const dark = root.classList.contains("dark");
  return {
    lines: dark ? ["#e5ad35", "#38bdf8", "#f87171"] : ["#8a5a00", "#0369a1", "#dc2626"],
    ink: of(dark ? "--color-base-300" : "--color-base-600"),
    grid: of(dark ? "--color-base-800" : "--color-base-200"),
    ground: of(dark ? "--color-base-900" : "--color-base-50"),
  };
}

function read(figure) {
  const rows = [...figure.querySelectorAll("tbody tr")];
  const moments = rows.map((row) => new Date(row.querySelector("time").dateTime));
  const names = [...figure.querySelectorAll("thead th")].slice(1).map((head) => head.textContent);
  const lines = names.map((_, n) => rows.map((row) => {
    const value = row.querySelectorAll("td")[n].dataset.value;
    return value === undefined ? null : Number(value);
  }));
  const long = moments.at(-1) - moments[0] > 172_800_000;
  return { labels: moments.map((at) => (long ? day : clock).format(at)), names, lines };
}

// A value between two gaps has no line to show it.
function radius({ dataIndex, dataset }) {
  return dataset.data[dataIndex - 1] == null && dataset.data[dataIndex + 1] == null ? 2.5 : 0;
}

function paint(chart) {
  const { lines, ink, grid } = colours();
  chart.data.datasets.forEach((line, n) => { line.borderColor = line.backgroundColor = lines[n]; });
  for (const scale of Object.values(chart.options.scales)) {
    scale.ticks.color = ink;
    scale.grid.color = grid;
  }
  chart.options.plugins.legend.labels.color = ink;
  chart.update("none");
}

function draw(figure) {
  const { labels, names, lines } = read(figure);
  const { unit } = figure.dataset;
  figure.querySelector(".spawn-canvas").hidden = false;
  const datasets = names.map((label, n) => ({ label, data: lines[n], borderWidth: 2, pointRadius: radius, pointHitRadius: 8, cubicInterpolationMode: "monotone" }));
  return new Chart(figure.querySelector("canvas"), {
    type: "line",
    data: { labels, datasets },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { grid: { display: false }, ticks: { maxTicksLimit: 5, maxRotation: 0, autoSkipPadding: 16 } },
        y: { beginAtZero: true, suggestedMax: unit === "bytes" ? 1000 : 1, grid: {}, ticks: { maxTicksLimit: 4, precision: 0, callback: (value) => inWords(value, unit) } },
      },
      plugins: {
        legend: { display: names.length > 1, position: "bottom", labels: { boxWidth: 10, boxHeight: 10 } },
        tooltip: { callbacks: { label: (item) => `${item.dataset.label}: ${inWords(item.raw, unit)}` } },
      },
    },
  });
}

const charts = [...document.querySelectorAll(".spawn-charts figure")].map(draw);
charts.forEach(paint);
new MutationObserver(() => charts.forEach(paint)).observe(root, { attributes: true, attributeFilter: ["class"] });
