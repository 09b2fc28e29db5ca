// The life of one candle, after a click on it: what /api/v1/explain says of the window, in parts.
import {get} from "./api.js";
import {classOf, completeness, lifeOf, windowText} from "./words.js";

const make = (tag, className, text) => {
  const out = document.createElement(tag);
  if (className) out.className = className;
  if (text !== undefined) out.textContent = text;
  return out;
};

export class Life {
  constructor(dialog) {
    this.dialog = dialog;
    this.turn = 0;  // counts what was asked: an answer for an earlier window is dropped
    this.title = dialog.querySelector("h2");
    this.says = dialog.querySelector(".life-says");
    this.parts = dialog.querySelector(".life-parts");
    dialog.querySelector("button").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());  // beside it
    dialog.addEventListener("close", () => ++this.turn);
  }

  // start: RFC 3339; length: seconds.
  async show(instrument, interval, start, length) {
    const turn = ++this.turn;
    this.head("unknown", `${instrument} ${interval}`, start, length);
    this.says.textContent = "Asking the server.";
    this.parts.replaceChildren();
    if (!this.dialog.open) this.dialog.showModal();
    try {
      const answer = await get("/api/v1/explain", {instrument, interval, start});
      if (turn === this.turn) this.draw(answer, length);
    } catch (error) {
      if (turn === this.turn) this.says.textContent = error.message;
    }
  }

  head(kind, name, start, length) {
    const swatch = make("i", `swatch ${kind}`);
    swatch.setAttribute("aria-hidden", "true");
    this.title.replaceChildren(swatch, make("span", "", name), make("span", "card-time", `${windowText(start, length)} UTC`));
  }

  draw(answer, length) {
    const kind = answer.row ? classOf(answer.row) : answer.standing === "quiet" ? "quiet" : answer.standing === "hole" ? "gap" : "unknown";
    this.head(`${kind}${answer.row?.repaired ? " repaired" : ""}`, `${answer.instrument} ${answer.interval}: ${completeness[kind].word}`, answer.start, length);
    this.says.textContent = answer.says;
    this.parts.replaceChildren(...lifeOf(answer).map(({name, lines}) => {
      const part = make("section"), list = part.appendChild(make("ul"));
      part.prepend(make("h3", "", name));
      for (const {text, fine} of lines) {
        const item = list.appendChild(make("li", "", text));
        if (fine) item.append(make("span", "fine", fine));
      }
      return part;
    }));
  }
}
