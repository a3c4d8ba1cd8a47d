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
    timeFormatLocale: document.documentElement.lang === "ko" ? KOREAN : undefined,
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

const KOREAN = {
  dateTime: "%Y년 %-m월 %-d일 %X", date: "%Y-%m-%d", time: "%H:%M:%S", periods: ["오전", "오후"],
  days: ["일요일", "월요일", "화요일", "수요일", "목요일", "금요일", "토요일"], shortDays: ["일", "월", "화", "수", "목", "금", "토"],
  months: [...Array(12).keys()].map((month) => `${month + 1}월`), shortMonths: [...Array(12).keys()].map((month) => `${month + 1}월`),
};

const all = (root) => root.querySelectorAll("[data-chart]").forEach((figure) => draw(figure).catch(() => show(figure)));
const show = (figure) => { figure.querySelector("details").open = true; };

all(document);
document.addEventListener("noria:live", (event) => all(event.target));
