// Hands for page actions. A list whose rows have ticks ([data-ticks] names the form they belong to): tick all, a range with Shift,
// the focused row with x, and a bar that counts. A judgement ([data-verdict]): g says good, b bad, Enter keeps it.
// Without scripts the ticks and the buttons work as they are.

const typing = (target) => target.closest("input:not([type=checkbox],[type=radio]),textarea,select,[contenteditable]");

for (const bar of document.querySelectorAll("[data-ticks]")) ticked(bar);

function ticked(bar) {
  const form = document.getElementById(bar.dataset.ticks);
  const boxes = () => [...document.querySelectorAll(`input[name=t][form=${bar.dataset.ticks}]`)];
  const told = bar.querySelector("[data-count]");
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

  function tell() {
    const all = boxes();
    const count = all.filter((box) => box.checked).length;
    told.textContent = count ? told.dataset.count.replace("{n}", count) : "";
    bar.classList.toggle("stuck", count > 0);
    for (const button of form.querySelectorAll("button")) {
      const wanted = Number(button.dataset.needs) || 0;
      button.disabled = wanted ? count !== wanted : count === 0;
    }
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
  document.addEventListener("noria:live", tell);
  window.addEventListener("pageshow", tell);
  tell();
}

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
