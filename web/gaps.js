// The list of gaps: open ones first. A click shows the place in the chart.
import {clock, count, day, gapStates, gapText, isOpenGap} from "./words.js";

const kMost = 60;  // shown

export class GapList {
  constructor(list, counter, {onPick}) {
    this.list = list;
    this.counter = counter;
    this.onPick = onPick;
  }

  draw(gaps, loaded) {
    const rows = gaps.sorted(), open = gaps.open().length;
    this.counter.textContent = loaded ? `${count(open)} open, ${count(rows.length - open)} ended` : "";
    const items = rows.slice(0, kMost).map((gap) => {
      const item = document.createElement("li"), button = document.createElement("button");
      item.className = isOpenGap(gap) ? "open" : "ended";
      item.dataset.first = gap.first_id;
      button.type = "button";
      const state = gapStates[gap.state] ?? {word: gap.state, says: ""};
      const add = (tag, name, text) => {
        const part = document.createElement(tag);
        part.className = name;
        part.textContent = text;
        button.append(part, " ");
      };
      add("b", "gap-state", state.word);
      add("span", "gap-time", `${day(gap.from)} ${clock(gap.from)} – ${gap.to === null ? "?" : clock(gap.to)}`);
      const parts = [gapText(gap), gap.reason === "tail" && "the connection broke", state.says,
        isOpenGap(gap) && gap.missing > 0 && `${count(gap.missing)} missing`];
      add("span", "gap-ids", parts.filter(Boolean).join(" · "));
      button.addEventListener("click", () => this.onPick(gap));
      item.append(button);
      return item;
    });
    if (!items.length && loaded) {
      const none = document.createElement("li");
      none.className = "none";
      none.textContent = "None: no trade is known to be missing.";
      items.push(none);
    }
    this.list.replaceChildren(...items);
  }
}
