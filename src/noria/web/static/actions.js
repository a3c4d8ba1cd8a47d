// Hands for page actions. A list whose rows have ticks ([data-ticks] names the form they belong to): tick all, a range with Shift,
// the focused row with x, and a bar that counts. Ticks of a search ([data-search]) stay while one pages through it: those of other
// pages are kept for this tab and sent along. A judgement ([data-verdict]): g says good, b bad, Enter keeps it.
// Without scripts the ticks of a page and the buttons work as they are.

const typing = (target) => target.closest("input:not([type=checkbox],[type=radio]),textarea,select,[contenteditable]");

const KEPT = "noria.ticks";

// {search, ids} of the last list on which something was ticked.
function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}

function keep(search, ids) {
  if (!ids.length && kept().search !== search) return;
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ search, ids }));
  } catch { /* a tab without storage keeps the ticks of its page only */ }
}

for (const bar of document.querySelectorAll("[data-ticks]")) ticked(bar);

function ticked(bar) {
  const form = document.getElementById(bar.dataset.ticks);
  const { search } = bar.dataset;
  const most = Number(bar.dataset.most);
  const boxes = () => [...document.querySelectorAll(`input[name=t][form=${bar.dataset.ticks}]`)];
  const told = bar.querySelector("[data-count]");
  const clear = bar.querySelector("[data-untick]");
  const others = form.appendChild(Object.assign(document.createElement("span"), { hidden: true }));
  let chosen = new Set();
  let last = null;

  function heads() {
    return [...document.querySelectorAll("[data-tick-all]")].map((place) => {
      if (!place.firstElementChild?.matches("input")) {
        const box = Object.assign(document.createElement("input"), { type: "checkbox" });
        box.setAttribute("aria-label", place.textContent.trim());
        box.addEventListener("change", () => {
          for (const one of boxes()) one.checked = box.checked;
          tell();
        });
        place.replaceChildren(box);
      }
      return place.firstElementChild;
    });
  }

  function show() {
    chosen = new Set(kept().search === search ? kept().ids : []);
    for (const box of boxes()) box.checked = chosen.has(box.value);
    tell();
  }

  function tell() {
    const all = boxes();
    for (const box of all) box.checked ? chosen.add(box.value) : chosen.delete(box.value);
    keep(search, [...chosen]);
    const here = new Set(all.map((box) => box.value));
    const away = [...chosen].filter((id) => !here.has(id));
    others.replaceChildren(...away.map((value) => Object.assign(document.createElement("input"), { type: "hidden", name: "t", value })));
    const words = chosen.size > most ? "many" : away.length ? "away" : "count";
    told.textContent = chosen.size ? told.dataset[words].replace("{n}", chosen.size).replace("{m}", away.length) : "";
    clear.hidden = !chosen.size;
    bar.classList.toggle("stuck", chosen.size > 0);
    for (const button of form.querySelectorAll("button:not([data-untick])")) {
      const wanted = Number(button.dataset.needs) || 0;
      button.disabled = wanted ? chosen.size !== wanted : !chosen.size || chosen.size > most;
    }
    const count = all.length - all.filter((box) => !box.checked).length;
    for (const head of heads()) {
      head.checked = count > 0 && count === all.length;
      head.indeterminate = count > 0 && count < all.length;
    }
  }

  document.addEventListener("click", (event) => {
    if (!event.target.matches(`input[name=t][form=${bar.dataset.ticks}]`)) return;
    const all = boxes();
    if (event.shiftKey && last?.isConnected) {
      const [from, to] = [all.indexOf(last), all.indexOf(event.target)].sort((a, b) => a - b);
      for (const one of all.slice(from, to + 1)) one.checked = event.target.checked;
    }
    last = event.target;
    tell();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "x" || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const box = event.target.closest("tr")?.querySelector("input[name=t]");
    if (!box) return;
    box.checked = !box.checked;
    tell();
  });
  clear.addEventListener("click", () => {
    keep(search, []);
    show();
  });
  document.addEventListener("noria:live", show);
  window.addEventListener("pageshow", show);
  show();
}

// What was ticked has been dealt with once its action is done.
for (const form of document.querySelectorAll("form[data-done]")) form.addEventListener("submit", () => keep(kept().search, []));

for (const choice of document.querySelectorAll("[data-verdict]")) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const value = { g: "good", b: "bad" }[event.key];
    const radio = value && choice.querySelector(`input[value=${value}]`);
    if (!radio) return;
    event.preventDefault();
    radio.checked = true;
    radio.focus();
  });
}
