// The instrument box: a combobox over what the server knows. "/" opens it, arrows choose, Enter takes, Escape leaves.

const kMost = 200;  // options drawn; who has more, types

export class Picker {
  // onPick(instrument): one of the list. onFollow(instrument): not in the list, but it could be one.
  constructor(input, list, {onPick, onFollow}) {
    Object.assign(this, {input, list, onPick, onFollow});
    this.rows = [];
    this.current = "";
    this.active = -1;
    this.options = [];
    input.addEventListener("focus", () => {
      input.select();
      this.open("");
    });
    input.addEventListener("blur", () => this.close());
    input.addEventListener("input", () => this.open(input.value));
    input.addEventListener("keydown", (event) => this.key(event));
    // The box must not lose the focus before the click has come.
    list.addEventListener("mousedown", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA)$/.test(document.activeElement?.tagName)) return;
      event.preventDefault();
      input.focus();
    });
  }

  set(rows, current) {
    this.rows = rows;
    this.current = current;
    if (document.activeElement !== this.input) this.input.value = current;
    else if (!this.list.hidden) this.open(this.typed, true);
  }

  open(text, keep = false) {
    this.typed = text;
    const sought = text.trim().toLowerCase();
    const found = this.rows.filter((row) => !sought || row.instrument.toLowerCase().includes(sought) || (row.name ?? "").toLowerCase().includes(sought));
    this.options = found.slice(0, kMost).map((row) => ({value: row.instrument, row}));
    if (/^[a-z0-9-]+:\S+$/.test(text.trim()) && !this.rows.some((row) => row.instrument === text.trim()))
      this.options.push({value: text.trim(), follow: true});
    if (!keep) this.active = sought ? 0 : this.options.findIndex((o) => o.value === this.current);
    this.active = Math.min(this.active, this.options.length - 1);
    this.list.replaceChildren(...this.options.map((option, i) => this.item(option, i)));
    if (!this.options.length) {
      const none = document.createElement("li");
      none.className = "none";
      none.textContent = this.rows.length ? "None is called so. VENUE:SYMBOL follows a new one." : "No instrument yet. VENUE:SYMBOL follows one.";
      this.list.append(none);
    }
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.mark();
  }

  item(option, i) {
    const out = document.createElement("li");
    out.id = `pick-${i}`;
    out.setAttribute("role", "option");
    const add = (className, text) => {
      const part = document.createElement("span");
      part.className = className;
      part.textContent = text;
      out.append(part);
    };
    if (option.follow) {
      add("pick-name", `Follow ${option.value}`);
      add("pick-note", "from now on");
    } else {
      const row = option.row;
      out.dataset.instrument = row.instrument;
      add("pick-name", row.instrument);
      if (row.open_gaps) add("pick-gaps", `${row.open_gaps} ${row.open_gaps === 1 ? "gap" : "gaps"} open`);
      const state = row.as_of === null ? "waiting" : row.stale ? (row.wanted ? "stale" : "recorded") : "live";
      add(`pick-note ${state}`, state);
    }
    out.addEventListener("click", () => this.take(i));
    return out;
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
    this.input.value = this.current;
  }

  mark() {
    [...this.list.children].forEach((item, i) => {
      if (item.id) item.setAttribute("aria-selected", String(i === this.active));
    });
    const at = this.list.children[this.active];
    if (at?.id) {
      this.input.setAttribute("aria-activedescendant", at.id);
      at.scrollIntoView({block: "nearest"});
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  key(event) {
    const move = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (move && this.options.length) {
      event.preventDefault();
      if (this.list.hidden) this.open("");
      else this.active = (this.active + move + this.options.length) % this.options.length;
      this.mark();
    } else if (event.key === "Enter" && !this.list.hidden && this.active >= 0) {
      event.preventDefault();
      this.take(this.active);
    } else if (event.key === "Escape") {
      this.input.blur();
    }
  }

  take(i) {
    const {value, follow} = this.options[i];
    this.input.blur();
    if (follow) this.onFollow(value);
    else this.onPick(value);
  }
}
