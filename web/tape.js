// The tape: the newest trades, newest first.
import {clock, price} from "./words.js";

const kSides = {buy: ["▲", "buy", "the taker bought"], sell: ["▼", "sell", "the taker sold"], none: ["·", "", "taker unknown"]};

export class Tape {
  constructor(body, note) {
    this.body = body;
    this.note = note;
  }

  add(at) {
    const row = this.body.insertRow(at);
    for (let k = 0; k < 4; ++k) row.insertCell();
    return row;
  }

  draw(trades, decimals) {
    // New ones stand at the top; what was there moves down as it is.
    const first = this.body.rows[0], fresh = first ? trades.rows.indexOf(first.shown) : 0;
    for (let i = 0; i < fresh; ++i) this.add(0);
    while (this.body.rows.length > trades.rows.length) this.body.deleteRow(-1);
    trades.rows.forEach((trade, i) => {
      const row = this.body.rows[i] ?? this.add(-1);
      if (row.shown === trade) return;
      row.shown = trade;
      const [mark, name, says] = kSides[trade.taker_side] ?? kSides.none;
      row.className = name;
      const texts = [clock(trade.event_time, 3), mark, price(trade.price, decimals), price(trade.quantity)];
      texts.forEach((text, k) => row.cells[k].textContent = text);
      row.cells[1].title = says;
      row.cells[1].setAttribute("aria-label", says);
      row.cells[3].title = trade.marks ? `marked: ${trade.marks.replaceAll("|", ", ")}` : "";
    });
    this.note.hidden = trades.skipped === 0;
    this.note.textContent = `${price(String(trades.skipped))} trades were not shown: this page was behind. The candles have them.`;
  }
}
