// The list of headlines that speak of the instrument, newest first, how many came within the last hour, and a table of how
// many by window and source. There is none where a venue has no news.
import {get} from "./api.js";
import {clock, count, day, intervalSeconds, windowText} from "./words.js";

const kShown = 40;
const kEvery = 30000;  // ms between questions
const kHour = 3600000;
const kSpans = {"1m": {ms: kHour, says: "the last hour"}, "1h": {ms: 24 * kHour, says: "the last 24 hours"}};  // of the table

export class NewsList {
  // part: the section; $: element by id.
  constructor(part, list, counter, $) {
    Object.assign(this, {part, list, counter, $});
    this.instrument = null;
    this.interval = "1m";  // of the table
    this.turn = 0;         // counts questions: an answer for an earlier one is dropped
    setInterval(() => this.load(), kEvery);
    $("news-windows").addEventListener("toggle", () => this.load());
    for (const button of $("news-lengths").querySelectorAll("button")) button.addEventListener("click", () => {
      this.interval = button.value;
      for (const one of $("news-lengths").querySelectorAll("button")) one.setAttribute("aria-pressed", String(one === button));
      this.load();
    });
  }

  of(instrument) {
    if (instrument === this.instrument) return;
    this.instrument = instrument;
    this.part.hidden = true;
    this.list.replaceChildren();
    this.$("news-rows").replaceChildren();
    this.load();
  }

  async load() {
    const turn = ++this.turn, {instrument, interval} = this;
    if (!instrument || document.hidden || document.body.dataset.link === "waiting") return;
    const counted = (length) => get("/api/v1/news/counts", {symbol: instrument, interval: length, from: Date.now() - kSpans[length].ms});
    try {
      const [news, last, more] = await Promise.all([get("/api/v1/news", {symbol: instrument, limit: kShown}), counted("1m"),
        this.$("news-windows").open && interval !== "1m" ? counted(interval) : null]);
      if (turn !== this.turn) return;
      this.draw(news.rows, last.rows);
      // Of windows that were not asked for, since nobody looked, nothing stays to be seen later.
      if (more || interval === "1m") this.drawWindows((more ?? last).rows, interval);
      else this.$("news-rows").replaceChildren();
    } catch { /* what is shown stays; the page tells elsewhere that the server does not answer */ }
  }

  // Newest window first, and in it the source with the most.
  drawWindows(rows, interval) {
    const $ = this.$, sorted = rows.toSorted((a, b) => b.start.localeCompare(a.start) || b.headlines - a.headlines);
    $("news-span").textContent = kSpans[interval].says;
    $("news-none").hidden = rows.length > 0;
    $("news-rows").replaceChildren(...sorted.map((row) => {
      const line = document.createElement("tr");
      for (const text of [windowText(row.start, intervalSeconds(interval)).slice(5), row.source ?? "not named", count(row.headlines)]) line.insertCell().textContent = text;
      return line;
    }));
  }

  draw(rows, counts) {
    this.part.hidden = rows.length === 0;
    this.counter.textContent = `${count(counts.reduce((sum, row) => sum + row.headlines, 0))} in the last hour`;
    this.list.replaceChildren(...rows.toReversed().map((row) => {
      const item = document.createElement("li"), about = document.createElement("span");
      // Only what is an address of the web becomes a link.
      const text = document.createElement(/^https?:/.test(row.url ?? "") ? "a" : "b");
      text.textContent = row.headline;
      if (text.tagName === "A") {
        text.href = row.url;
        text.rel = "noreferrer noopener";
        text.target = "_blank";
      }
      about.className = "fine";
      about.textContent = [row.source, `${day(row.event_time)} ${clock(row.event_time)}`].filter(Boolean).join(" · ");
      item.append(text, about);
      return item;
    }));
  }
}
