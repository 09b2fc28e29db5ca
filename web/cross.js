// Where prices of the chosen instrument's pair on another venue were apart (GET /api/v1/cross). Hidden while there is
// nothing to say.
import {clock, day} from "./words.js";

const kMost = 20;  // shown

export class CrossList {
  constructor(section, list) {
    this.section = section;
    this.list = list;
  }

  draw(rows, instrument) {
    this.section.hidden = rows.length === 0;
    this.list.replaceChildren(...rows.slice(0, kMost).map((row) => {
      const item = document.createElement("li"), other = row.instrument_a === instrument ? row.instrument_b : row.instrument_a;
      item.className = row.to === null ? "open" : "ended";
      const end = row.to === null ? "now" : clock(row.to);
      item.textContent = `${other}: apart by ${Number(row.greatest_percent).toFixed(2)} % (${row.price_a} and ${row.price_b}), ` +
        `${day(row.from)} ${clock(row.from)} – ${end}`;
      return item;
    }));
  }
}
