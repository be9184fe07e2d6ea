"use strict";
(() => {
  const root = document.documentElement;
  const by = (id) => document.getElementById(id);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  root.classList.add("live");

  // Theme: that of the system, or the one chosen; kept where the browser keeps things.
  const themes = ["system", "dark", "light"];
  const kept = {
    get: () => { try { return localStorage.getItem("fineq-theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("fineq-theme", value); } catch { /* a private page */ } },
  };
  const show = (theme) => {
    if (theme === "system") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
    by("theme").textContent = `Theme: ${theme}`;
  };
  let theme = themes.includes(kept.get()) ? kept.get() : "system";
  show(theme);
  by("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    kept.set(theme);
    show(theme);
  });

  // Sorting: a button in each head; rows without a value come last either way.
  const key = (row, column) => {
    const cell = row.cells[column];
    const given = cell.dataset.sort;
    if (given === undefined) return cell.textContent.trim().toLowerCase();
    return given !== "" && !Number.isNaN(Number(given)) ? Number(given) : given.toLowerCase();
  };
  const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
  const sort = (table, column, sign) => {
    const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
    rows.sort(([a], [b]) => (a === "") - (b === "") || sign * compare(a, b));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const table of all("table.sorted")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, down ? -1 : 1);
      });
    });
  }

  // Filters: what is set stands in the address, so that it can be linked.
  const names = ["q", ...all("select", by("filters")).map((select) => select.id)];
  const plain = (text) => text.toLowerCase().replace(/[_^{}]/g, "");  // K_lin is found where it is set
  const rows = [...by("rows").tBodies[0].rows].map((row) => [row, plain(row.textContent)]);
  const passes = (row, name, wanted) => {
    if (name !== "verdict") return !wanted || row.dataset[name] === wanted;
    if (wanted === "everything") return true;
    return wanted ? row.dataset.verdict === wanted : row.dataset.verdict !== "measured";
  };
  const filter = () => {
    const words = plain(by("q").value).split(/\s+/).filter(Boolean);
    let left = 0;
    for (const [row, text] of rows) {
      const shown = words.every((word) => text.includes(word))
        && names.slice(1).every((name) => passes(row, name, by(name).value));
      row.hidden = !shown;
      left += shown;
    }
    by("count").textContent = `${left} of ${rows.length} rows`;
    by("none").hidden = left > 0;
  };
  const address = () => {
    const set = names.filter((name) => by(name).value).map((name) => [name, by(name).value]);
    const text = set.length ? `#${new URLSearchParams(set)}` : "#measured";
    try { history.replaceState(null, "", text); } catch { /* a page that has no address */ }
  };
  const follow = () => {
    const text = location.hash.slice(1);
    if (text.includes("=")) {
      const wanted = new URLSearchParams(text);
      for (const name of names) by(name).value = wanted.get(name) ?? "";
      for (const name of names.slice(1)) if (by(name).selectedIndex < 0) by(name).value = "";
      filter();
      by("measured").scrollIntoView();
      return;
    }
    const target = text && by(text);  // names hold nothing that an address would write otherwise
    if (!target) return;
    if (target.hidden) {
      for (const name of names) by(name).value = "";
      by("verdict").value = "everything";
      filter();
    }
    target.closest("details")?.setAttribute("open", "");
    target.scrollIntoView();
  };
  by("filters").addEventListener("input", () => { filter(); address(); });
  by("filters").addEventListener("reset", () => setTimeout(() => { filter(); address(); }));
  by("filters").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", follow);

  // Choices in a figure: what is drawn at other values is taken out of the drawing.
  const choose = (figure) => {
    const wanted = all("select[data-choice]", figure).map((select) => [select.dataset.choice, select.value]);
    for (const [choice] of wanted) {
      for (const group of all(`[data-at-${choice}]`, figure)) {
        const off = ([i, value]) => value !== "" && (group.getAttribute(`data-at-${i}`) ?? value) !== value;
        group.classList.toggle("off", wanted.some(off));
      }
    }
  };
  for (const select of all("select[data-choice]")) {
    select.addEventListener("change", () => choose(select.closest("figure")));
  }

  // A figure enlarged: the drawing itself goes into the dialog, and back when it closes.
  const dialog = by("zoom");
  const stage = by("zoomed");
  let home = null;
  let whole = [0, 0, 1, 1];
  const svg = () => stage.firstElementChild;
  const frame = () => svg().getAttribute("viewBox").split(" ").map(Number);
  const set = (box) => svg().setAttribute("viewBox", box.map((x) => +x.toFixed(3)).join(" "));
  const scale = (factor, px = 0.5, py = 0.5) => {
    const [x, y, w, h] = frame();
    const to = Math.min(Math.max(w * factor, whole[2] / 40), whole[2]) / w;
    if (w * factor >= whole[2]) set(whole);
    else set([x + w * (1 - to) * px, y + h * (1 - to) * py, w * to, h * to]);
  };
  const move = (dx, dy) => {
    const [x, y, w, h] = frame();
    set([x + dx * w, y + dy * h, w, h]);
  };
  for (const button of all("button.zoom")) {
    button.addEventListener("click", () => {
      home = button.closest("figure").querySelector(".drawing");
      by("zoomed-name").textContent = button.getAttribute("aria-label").replace("Enlarge ", "");
      stage.replaceChildren(home.firstElementChild);
      whole = frame();
      dialog.showModal();
      stage.focus();
    });
  }
  dialog.addEventListener("close", () => {
    set(whole);
    home.replaceChildren(svg());
    home.closest("figure").querySelector("button.zoom").focus();
  });
  const acts = { in: () => scale(0.7), out: () => scale(1 / 0.7), whole: () => set(whole), close: () => dialog.close() };
  for (const button of all("[data-zoom]")) button.addEventListener("click", acts[button.dataset.zoom]);
  const keys = {
    "+": acts.in, "=": acts.in, "-": acts.out, 0: acts.whole,
    ArrowLeft: () => move(-0.1, 0), ArrowRight: () => move(0.1, 0),
    ArrowUp: () => move(0, -0.1), ArrowDown: () => move(0, 0.1),
  };
  stage.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = svg().getBoundingClientRect();
    scale(event.deltaY < 0 ? 0.85 : 1 / 0.85, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => stage.setPointerCapture(event.pointerId));
  stage.addEventListener("pointermove", (event) => {
    if (!stage.hasPointerCapture(event.pointerId)) return;
    const box = svg().getBoundingClientRect();
    move(-event.movementX / box.width, -event.movementY / box.height);
  });

  filter();
  follow();
})();
