// The strip under the candles: for each window how complete it is, in colour and in shape; and the card that explains
// the window under the pointer or, by the arrow keys, under the cursor.
import {classOf, completeness, count, facts, price, sentenceOf, venueText, windowText} from "./words.js";

const make = (tag, className, text) => {
  const out = document.createElement(tag);
  if (className) out.className = className;
  if (text !== undefined) out.textContent = text;
  return out;
};

export class Strip {
  constructor(place, card, chart, {onMove, onPick, reconciled}) {
    this.place = place;  // a focusable slider
    this.card = card;
    this.chart = chart;
    this.cells = [];
    this.at = null;      // start of the window that is explained, Unix seconds: indices move
    this.byKey = false;
    this.name = place.appendChild(make("span", "strip-name", "complete?"));
    place.addEventListener("keydown", (event) => this.key(event));
    place.addEventListener("focus", () => {
      if (!place.matches(":focus-visible")) return;
      this.byKey = true;
      this.select(this.last(), true);
    });
    place.addEventListener("blur", () => {
      this.byKey = false;
      this.select(null);
      this.chart.point(-1);
    });
    this.onMove = onMove;
    this.reconciled = reconciled;  // (start, row): what is known of it against the venue's own candle
    this.onPick = onPick;  // of the window under the cursor, by Enter
  }

  get index() {
    const index = this.at === null ? -1 : this.chart.candles?.indexOf(this.at) ?? -1;
    return index >= 0 && index <= this.last() ? index : null;
  }
  rows() { return this.chart.candles?.rows ?? []; }
  last() { return this.rows().length - 1; }

  key(event) {
    const step = {ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10}[event.key];
    let to = this.index ?? this.last();
    if (step) to += step;
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = this.last();
    else if (event.key === "Escape") return this.place.blur();
    else if (event.key === "Enter") {
      event.preventDefault();
      return to >= 0 && this.onPick(to);
    }
    else return;
    event.preventDefault();
    this.byKey = true;
    this.select(Math.max(0, Math.min(this.last(), to)), true);
  }

  // The pointer is on a window, or on none.
  hover(index) {
    if (this.byKey && document.activeElement === this.place && index === null) return;
    this.select(index !== null && index >= 0 && index <= this.last() ? index : null, false);
  }

  select(index, reveal = false) {
    this.at = index === null ? null : this.chart.candles.startAt(index);
    if (index !== null && reveal) {
      this.chart.reveal(index);
      this.chart.point(index);
      this.onMove(index);
    }
    this.draw();
  }

  // Cells for the windows on screen.
  draw() {
    const box = this.chart.stripBox(), seen = this.chart.visible();
    const rows = this.rows(), picked = this.index;
    if (box && box !== this.box) {
      this.box = box;
      this.place.style.top = `${box.top}px`;
      this.place.style.height = `${box.height}px`;
      this.place.style.width = `${box.width}px`;
    }
    const spacing = this.chart.spacing();
    // As wide as the bars are: the library leaves about a fifth free.
    const width = Math.max(1, spacing > 4 ? Math.round(spacing * 0.8) : spacing);
    const n = seen && box ? seen.to - seen.from + 1 : 0;
    this.name.hidden = n === 0;
    while (this.cells.length < n) this.cells.push(this.place.appendChild(make("i")));
    while (this.cells.length > n) this.cells.pop().remove();
    for (let k = 0; k < n; ++k) {
      const index = seen.from + k, row = rows[index], cell = this.cells[k], kind = classOf(row);
      const name = `cell ${kind}${row?.repaired ? " repaired" : ""}${index === picked ? " picked" : ""}${width < 5 ? " thin" : ""}`;
      if (cell.className !== name) cell.className = name;
      const start = this.chart.candles.startAt(index), x = this.chart.x(index) - width / 2;
      if (cell.start !== start) cell.dataset.start = cell.start = start;
      if (cell.wide !== width) cell.style.width = `${cell.wide = width}px`;
      if (cell.x !== x) cell.style.transform = `translateX(${cell.x = x}px)`;
    }
    this.label();
    this.explain(box);
  }

  // What a screen reader hears.
  label() {
    const place = this.place, last = Math.max(0, this.last()), index = this.index ?? last;
    place.setAttribute("aria-valuemin", "0");
    place.setAttribute("aria-valuemax", String(last));
    place.setAttribute("aria-valuenow", String(index));
    if (this.chart.candles)
      place.setAttribute("aria-valuetext", sentenceOf(this.rows()[index] ?? null, this.chart.candles.length, this.decimals));
  }

  explain(box) {
    const index = this.index;
    if (index === null || !box) {
      this.card.hidden = true;
      this.shown = null;
      return;
    }
    const row = this.rows()[index], kind = classOf(row), about = completeness[kind];
    const venue = venueText(this.reconciled(this.chart.candles.startAt(index), row));
    if (this.shown !== row || this.shownVenue !== venue || this.card.hidden) {
      this.shown = row;
      this.shownVenue = venue;
      const title = make("div", "card-title");
      title.append(make("i", `swatch ${kind}${row?.repaired ? " repaired" : ""}`), make("b", "", about.word.toUpperCase()));
      if (row?.repaired) title.append(make("span", "tag", "repaired"));
      title.append(make("span", "card-time", `${windowText(new Date(this.chart.candles.startAt(index) * 1000).toISOString(), this.chart.candles.length)} UTC`));
      const list = make("dl");
      const add = ([name, value]) => list.append(make("dt", "", name), make("dd", "", value));
      if (row && row.close !== null) {
        const p = (text) => price(text, this.decimals);
        add(["open, high", `${p(row.open)}, ${p(row.high)}`]);
        add(["low, close", `${p(row.low)}, ${p(row.close)}`]);
        add(["volume", `${price(row.volume)} in ${count(row.trades ?? 0)} ${row.trades === 1 ? "trade" : "trades"}`]);
      } else if (row) {
        add(["prices", "none known"]);
      }
      facts(row).forEach(add);
      if (venue) add(["at the venue", venue]);
      this.card.replaceChildren(title, make("p", "", about.says), list, make("p", "fine", "Click, or Enter: its whole life"));
    }
    this.card.hidden = false;
    // Beside the window, on the side that has room.
    const x = this.chart.x(index) ?? 0, width = this.card.offsetWidth, gap = this.chart.spacing() + 10;
    const left = x + gap + width < box.width ? x + gap : Math.max(4, x - gap - width);
    this.card.style.transform = `translateX(${left}px)`;
  }
}
