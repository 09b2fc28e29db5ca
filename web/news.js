// The list of headlines that speak of the instrument, newest first, and how many came within the last hour. There is none
// where a venue has no news.
import {get} from "./api.js";
import {clock, count, day} from "./words.js";

const kShown = 40;
const kEvery = 30000;  // ms between questions

export class NewsList {
  constructor(part, list, counter) {
    this.part = part;
    this.list = list;
    this.counter = counter;
    this.instrument = null;
    setInterval(() => this.load(), kEvery);
  }

  of(instrument) {
    if (instrument === this.instrument) return;
    this.instrument = instrument;
    this.part.hidden = true;
    this.list.replaceChildren();
    this.load();
  }

  async load() {
    const instrument = this.instrument;
    if (!instrument || document.hidden || document.body.dataset.link === "waiting") return;
    try {
      const [news, counts] = await Promise.all([
        get("/api/v1/news", {symbol: instrument, limit: kShown}),
        get("/api/v1/news/counts", {symbol: instrument, interval: "1m", from: Date.now() - 3600000})]);
      if (instrument === this.instrument) this.draw(news.rows, counts.rows);
    } catch { /* what is shown stays; the page tells elsewhere that the server does not answer */ }
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
