"use strict";
(() => {
  const table = document.querySelector("table.sortable");
  const rows = Array.from(table.tBodies[0].rows);
  const key = (row, column) => {
    const cell = row.cells[column];
    const number = cell.dataset.number;
    return number ? Number(number) : cell.textContent;
  };
  const compare = (a, b) => {
    if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
    return typeof a === "number" ? -1 : 1;
  };
  const sort = (header, column) => {
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = rows.slice().sort((a, b) => (down ? -1 : 1) * compare(key(a, column), key(b, column)));
    table.tBodies[0].append(...order);
  };
  Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.addEventListener("click", () => sort(header, column));
    header.replaceChildren(button);
  });
  const filter = document.getElementById("filter");
  const count = document.getElementById("count");
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    let found = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      found += row.hidden ? 0 : 1;
    }
    count.textContent = found + " of " + rows.length;
  });
  document.querySelector(".controls").hidden = false;
  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const section = target && target.closest("details");
    if (section) {
      section.open = true;
      section.scrollIntoView();
    }
  };
  addEventListener("hashchange", open);
  open();
  if (!location.protocol.startsWith("http")) return;
  // Served while the round trains: load the page again when it has changed, as it was left.
  const live = document.getElementById("live");
  const state = JSON.parse(sessionStorage.getItem("state") || "{}");
  for (const id of state.open || []) document.getElementById(id)?.setAttribute("open", "");
  filter.value = state.filter || "";
  filter.dispatchEvent(new Event("input"));
  scrollTo(0, state.scroll || 0);
  sessionStorage.removeItem("state");
  live.hidden = false;
  let version = "";
  const look = async () => {
    try {
      const answer = await fetch("/version");
      const newest = await answer.text();
      if (version && newest !== version) {
        const shown = Array.from(document.querySelectorAll("details[open]"), (one) => one.id);
        sessionStorage.setItem("state", JSON.stringify({ open: shown, filter: filter.value, scroll: scrollY }));
        location.reload();
      }
      version = newest;
      live.textContent = "Live, of " + new Date(document.lastModified).toLocaleTimeString() + ".";
      setTimeout(look, 2000);
    } catch {
      live.textContent = "No longer updated: the training or the command has ended.";
    }
  };
  look();
})();
