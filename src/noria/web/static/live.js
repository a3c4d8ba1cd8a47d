// Live parts: an element with data-live="/address" is asked for again every data-every ms (1500) while the page is visible.
// The answer is the element's new HTML; only what differs is touched, so nothing one is about to click moves or loses
// focus. It stops when the answer has no data-live any more; data-then="/address" on the answer leads on to a page.

const every = (element) => Math.max(500, Number(element.dataset.every) || 1500);

function start(element) {
  let failures = 0;
  const again = () => setTimeout(ask, every(element) * Math.min(2 ** failures, 16));
  async function ask() {
    if (!element.isConnected || !element.dataset.live) return;
    if (document.hidden) return document.addEventListener("visibilitychange", ask, { once: true });
    try {
      const answer = await fetch(element.dataset.live, { headers: { accept: "text/html" }, redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      const body = new DOMParser().parseFromString(await answer.text(), "text/html").body;
      failures = 0;
      delete element.dataset.stale;
      if (body.firstElementChild) morph(element, body.firstElementChild);
      element.dispatchEvent(new CustomEvent("noria:live", { bubbles: true }));
      if (element.dataset.then) return location.assign(element.dataset.then);
    } catch {
      failures += 1;
      if (failures > 2) element.dataset.stale = "";
    }
    again();
  }
  again();
}

function morph(old, fresh) {
  if (old.hasAttribute("data-keep") || old.isEqualNode(fresh)) return;
  attributes(old, fresh);
  if (old.contains(document.activeElement) && old.matches("input,textarea,select")) return;
  const waiting = [...fresh.childNodes];
  const keyed = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let place = old.firstChild;
  for (const next of waiting) {
    const known = next.id && keyed.get(next.id);
    if (known && known !== place) old.insertBefore(known, place);
    const match = known || (place && same(place, next) ? place : null);
    if (!match) {
      old.insertBefore(next, place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    if (match.nodeType === Node.ELEMENT_NODE) morph(match, next);
    else if (match.data !== next.data) match.data = next.data;
  }
  while (place) {
    const after = place.nextSibling;
    if (!(place instanceof Element && (place.hasAttribute("data-keep") || place.contains(document.activeElement)))) place.remove();
    place = after;
  }
}

const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

function attributes(old, fresh) {
  const own = (name) => name === "data-stale" || (name === "open" && old.nodeName === "DETAILS");
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !own(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (!own(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
}

for (const element of document.querySelectorAll("[data-live]")) start(element);
