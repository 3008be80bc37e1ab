// What a page does beyond its links and forms, which work without any of this.

const narrow = matchMedia("(max-width: 46rem)");
const fold = document.querySelector(".fold");
if (fold) fold.open = !narrow.matches;
narrow.addEventListener("change", () => { if (fold) fold.open = !narrow.matches; });

for (const tick of document.querySelectorAll(".ticks li")) {
  tick.style.left = `${Number(tick.dataset.at) / 7.2}%`;
  tick.dataset.set = "1";
}

for (const button of document.querySelectorAll(".copy")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
  });
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    document.getElementById("q").focus();
  }
  if (event.key === "Escape") for (const menu of document.querySelectorAll(".menu[open]")) menu.open = false;
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

const DAY = 86400000;
const isoDay = (mjd) => new Date((mjd - 40587) * DAY).toISOString().slice(0, 10);

// Drag a stretch of the time line, or a box of the sky; the form beside it takes the same by keyboard.
for (const chart of document.querySelectorAll(".chart[data-chart]")) {
  const svg = chart.querySelector("svg");
  if (!svg) continue;
  const form = chart.querySelector("form");
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const brush = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  brush.setAttribute("class", "brush");
  let from = null;
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    const within = (value) => Math.min(1, Math.max(0, value));
    return [within((event.clientX - box.left) / box.width) * width, within((event.clientY - box.top) / box.height) * height];
  };
  const show = ([x0, y0], [x1, y1]) => {
    const whole = chart.dataset.chart === "time";
    brush.setAttribute("x", Math.min(x0, x1));
    brush.setAttribute("width", Math.abs(x1 - x0));
    brush.setAttribute("y", whole ? 0 : Math.min(y0, y1));
    brush.setAttribute("height", whole ? height : Math.abs(y1 - y0));
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = at(event);
    svg.setPointerCapture(event.pointerId);
    svg.append(brush);
    show(from, from);
    event.preventDefault();
  });
  svg.addEventListener("pointermove", (event) => { if (from) show(from, at(event)); });
  svg.addEventListener("pointercancel", () => { from = null; brush.remove(); });
  svg.addEventListener("pointerup", (event) => {
    if (!from) return;
    const to = at(event);
    const [x0, x1] = [from[0], to[0]].sort((a, b) => a - b);
    const [y0, y1] = [from[1], to[1]].sort((a, b) => a - b);
    from = null;
    if (x1 - x0 < 3) { brush.remove(); return; }
    if (chart.dataset.chart === "time") {
      const [low, high] = [Number(chart.dataset.low), Number(chart.dataset.high)];
      form.elements.since.value = isoDay(Math.floor(low + (x0 / width) * (high - low)));
      form.elements.until.value = isoDay(Math.ceil(low + (x1 / width) * (high - low)));
    } else {
      const number = (value) => String(Number(value.toFixed(1)));
      form.elements.ra.value = `${number(width - x1)}..${number(width - x0)}`;
      form.elements.dec.value = `${number(90 - y1)}..${number(90 - y0)}`;
    }
    form.requestSubmit();
  });
}

const chooser = document.querySelector("[data-columns]");
if (chooser) {
  const typed = chooser.querySelector("[name=columns]");
  const pick = chooser.querySelector(".pick");
  pick.hidden = false;
  pick.addEventListener("change", (event) => {
    if (event.target.type !== "checkbox") return;
    const names = typed.value.split(",").map((one) => one.trim()).filter((one) => one && one !== event.target.value);
    typed.value = [...names, ...(event.target.checked ? [event.target.value] : [])].join(",");
  });
  const filter = pick.querySelector("[type=search]");
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase();
    for (const one of pick.querySelectorAll("li")) one.hidden = !one.textContent.toLowerCase().includes(wanted);
  });
  filter.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
}

const cards = document.querySelector("[data-filter=cards]");
if (cards) {
  cards.addEventListener("input", () => {
    const wanted = cards.value.toLowerCase();
    for (const row of document.querySelectorAll("#cards tbody tr")) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}

const sql = document.querySelector("[data-sql]");
if (sql) {
  const text = sql.querySelector("textarea");
  const cancel = sql.querySelector(".cancel");
  const progress = sql.querySelector(".progress");
  const answer = document.getElementById("answer");
  let asking = null;

  const run = async (address) => {
    asking = new AbortController();
    cancel.hidden = false;
    progress.textContent = "running";
    try {
      const response = await fetch(address, { signal: asking.signal, headers: { accept: "text/html" } });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      answer.replaceChildren(...(page.getElementById("answer")?.childNodes ?? []));
      const [now, then] = [document.querySelector(".way"), page.querySelector(".way")];
      if (now && then) now.replaceWith(then);
      else if (then) document.getElementById("main").append(then);
      progress.textContent = "";
    } catch (error) {
      progress.textContent = error.name === "AbortError" ? "cancelled" : "the page does not answer; is serve still running?";
    } finally {
      asking = null;
      cancel.hidden = true;
    }
  };
  sql.addEventListener("submit", (event) => {
    event.preventDefault();
    hide();
    asking?.abort();
    const address = `/sql?${new URLSearchParams(new FormData(sql))}`;
    history.pushState(null, "", address);
    run(address);
  });
  addEventListener("popstate", () => location.reload());
  cancel.addEventListener("click", () => asking?.abort());

  const list = document.getElementById("words");
  let words = [], chosen = -1, begin = -1;
  const hide = () => { list.hidden = true; words = []; chosen = -1; text.removeAttribute("aria-activedescendant"); };
  const mark = (place) => {
    chosen = place;
    [...list.children].forEach((one, number) => one.setAttribute("aria-selected", String(number === place)));
    text.setAttribute("aria-activedescendant", `word-${place}`);
    list.children[place]?.scrollIntoView({ block: "nearest" });
  };
  const take = (word) => {
    const end = text.selectionStart;
    text.setRangeText(word, begin, end, "end");
    hide();
    text.focus();
  };
  let waiting = 0;
  text.addEventListener("input", () => {
    hide(); // the words were those for what stood there before
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const end = text.selectionStart;
      const found = /[A-Za-z_]\w*$/.exec(text.value.slice(Math.max(0, end - 80), end));
      if (!found || found[0].length < 2) { hide(); return; }
      const response = await fetch(`/complete?${new URLSearchParams({ text: found[0] })}`);
      if (!response.ok || text.selectionStart !== end) return;
      words = (await response.json()).words.filter((one) => one.word.toLowerCase() !== found[0].toLowerCase());
      if (!words.length) { hide(); return; }
      begin = end - found[0].length;
      list.replaceChildren(...words.map((one, number) => {
        const item = document.createElement("li");
        item.id = `word-${number}`;
        item.setAttribute("role", "option");
        item.textContent = one.what ? `${one.word}  (${one.what})` : one.word;
        item.addEventListener("pointerdown", (event) => { event.preventDefault(); take(one.word); });
        return item;
      }));
      list.hidden = false;
      chosen = -1;
    }, 120);
  });
  text.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") { event.preventDefault(); sql.requestSubmit(); return; }
    if (list.hidden) return;
    if (event.key === "ArrowDown") { event.preventDefault(); mark((chosen + 1) % words.length); }
    else if (event.key === "ArrowUp") { event.preventDefault(); mark((chosen - 1 + words.length) % words.length); }
    else if (event.key === "Enter" && chosen >= 0) { event.preventDefault(); take(words[chosen].word); }
    else if (event.key === "Escape") hide();
  });
  text.addEventListener("blur", hide);
}
