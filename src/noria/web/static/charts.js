// Charts: draws each [data-chart] from the Vega-Lite spec in it. Vega comes from our own server, is fetched only when the page
// has a chart, and runs with its interpreter (ast), so the content security policy needs no unsafe-eval.

const address = document.querySelector("script[data-vega]").dataset.vega;
const drawn = new WeakMap();
let engine;

function load() {
  engine ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve(window.vegaEmbed);
    script.onerror = reject;
    document.head.append(script);
  });
  return engine;
}

async function draw(figure) {
  const text = figure.querySelector("[data-spec]").textContent;
  const before = drawn.get(figure);
  if (before?.text === text) return;
  drawn.set(figure, { text, finalize: before?.finalize });
  const view = figure.querySelector("[data-view]");
  const embed = await load();
  const result = await embed(view, JSON.parse(text), {
    ast: true, renderer: "svg", actions: false, defaultStyle: false, tooltip: tip, logLevel: 1,
  });
  before?.finalize?.();
  drawn.set(figure, { text, finalize: result.finalize });
}

let box;
function tip(_, event, __, value) {
  if (!value) return box?.remove();
  box ??= Object.assign(document.createElement("div"), { className: "tip" });
  box.textContent = Object.entries(value).map(([name, text]) => `${name}: ${text}`).join("\n");
  document.body.append(box);
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${Math.min(event.clientX + 12, innerWidth - width - 8)}px`;
  box.style.top = `${Math.max(8, Math.min(event.clientY + 12, innerHeight - height - 8))}px`;
}

const all = (root) => root.querySelectorAll("[data-chart]").forEach((figure) => draw(figure).catch(() => show(figure)));
const show = (figure) => { figure.querySelector("details").open = true; };

all(document);
document.addEventListener("noria:live", (event) => all(event.target));
