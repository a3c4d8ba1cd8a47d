// A long list in pieces: [data-pieces="/address?"] scrolls over data-total rows of one height, of which only those near the view
// are in the page; the others are asked for (&from=) when they come near. Without scripts the links below it lead from piece to piece.

for (const box of document.querySelectorAll("[data-pieces]")) scrolled(box);

function scrolled(box) {
  const { pieces, place } = box.dataset;
  const [total, size, start] = [box.dataset.total, box.dataset.piece, box.dataset.start].map(Number);
  const body = box.querySelector("tbody");
  const height = body.rows[0].getBoundingClientRect().height;
  const held = new Map([[Math.floor(start / size), [...body.rows]]]);
  const asked = new Set();
  const count = Math.ceil(total / size);
  if (start % size) return; // a piece that somebody asked for by hand stays a page
  box.parentElement.querySelector("[data-pages]")?.remove();
  box.classList.add("moving");

  function gap(rows) {
    const row = document.createElement("tr");
    row.className = "gap";
    const cell = row.appendChild(document.createElement("td"));
    cell.colSpan = 3;
    cell.style.height = `${rows * height}px`;
    return row;
  }

  async function fetched(piece) {
    asked.add(piece);
    try {
      const answer = await fetch(`${pieces}&from=${piece * size}`, { headers: { accept: "text/html" }, redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      const read = new DOMParser().parseFromString(await answer.text(), "text/html");
      held.set(piece, [...read.querySelectorAll("tr")].map((row) => document.adoptNode(row)));
      draw();
    } catch {
      setTimeout(draw, 2000);
    } finally {
      asked.delete(piece);
    }
  }

  let drawn = "";
  function draw() {
    const first = Math.max(0, Math.floor((box.scrollTop / height - size / 2) / size));
    const last = Math.min(count - 1, Math.floor(((box.scrollTop + box.clientHeight) / height + size / 2) / size));
    const rows = first ? [gap(first * size)] : [];
    let names = "";
    for (let piece = first; piece <= last; piece += 1) {
      const known = held.get(piece);
      names += `${piece}${known ? "" : "?"} `;
      if (known) rows.push(...known);
      else rows.push(gap(Math.min(size, total - piece * size)));
      if (!known && !asked.has(piece)) fetched(piece);
    }
    if (names === drawn) return;
    drawn = names;
    if (last < count - 1) rows.push(gap(total - (last + 1) * size));
    const at = box.scrollTop;
    body.replaceChildren(...rows);
    box.scrollTop = at;
    for (const piece of [...held.keys()]) if (piece < first - 20 || piece > last + 20) held.delete(piece);
  }

  let waiting = 0;
  box.addEventListener("scroll", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(draw);
  }, { passive: true });
  draw();
  const shown = Number(place || start);
  if (shown) {
    box.scrollTop = Math.max(0, shown * height - box.clientHeight / 3);
    draw();
  }
}
