const everything = [...document.querySelectorAll("details")];
const button = document.getElementById("fold");
const name = () => { button.textContent = everything.every((fold) => fold.open) ? "Fold all" : "Show all"; };
button.hidden = false;
button.addEventListener("click", () => {
  const open = !everything.every((fold) => fold.open);
  for (const fold of everything) fold.open = open;
});
for (const fold of everything) fold.addEventListener("toggle", name);

// A link to a section opens it, also a second click on the same link.
const reveal = () => {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let fold = target.querySelector(":scope > details") || target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target.scrollIntoView();
};
addEventListener("hashchange", reveal);
for (const link of document.querySelectorAll('a[href^="#"]')) link.addEventListener("click", () => { if (link.hash === location.hash) reveal(); });
reveal();

let closed = [];
addEventListener("beforeprint", () => { closed = everything.filter((fold) => !fold.open); for (const fold of closed) fold.open = true; });
addEventListener("afterprint", () => { for (const fold of closed) fold.open = false; });

// The contents mark the section at the top of the window, and keep its link in sight.
const links = [...document.querySelectorAll("nav a")];
const list = document.querySelector("nav ol");
const mark = () => {
  const edge = innerHeight / 3;
  const passed = links.filter((link) => document.getElementById(link.hash.slice(1)).getBoundingClientRect().top < edge);
  const current = passed.at(-1) || links[0];
  if (current.hasAttribute("aria-current")) return;
  for (const link of links) link.removeAttribute("aria-current");
  current.setAttribute("aria-current", "true");
  list.scrollLeft = current.offsetLeft - list.offsetLeft - 24;
};
addEventListener("scroll", mark, { passive: true });
mark();

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], rows = [...table.tBodies[0].rows];
  const key = (row, column) => {
    const text = row.cells[column].textContent.trim().replace("\u2212", "-").replaceAll(",", "");
    const number = parseFloat(text.replace(/^[^\d.-]*/, ""));
    return [Number.isNaN(number) ? Infinity : number, text];
  };
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const words = column === 0;
      rows.sort((a, b) => {
        const [x, s] = key(a, column), [y, t] = key(b, column);
        return (down ? -1 : 1) * (words || x === y ? s.localeCompare(t) : x - y);
      });
      table.tBodies[0].append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
}
