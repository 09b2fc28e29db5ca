// What waits in quarantine, of all instruments: how many beside the gaps, and a dialog with the items, where they are judged
// again (replay) or given up (drop). waits.js knows the rows; all texts of others are put in as text.
import {get, post, setToken} from "./api.js";
import {bodies, kAny, kMost, matches, outcome, placeOf, tally, walk} from "./waits.js";
import {clock, count, day, excerpt, visible} from "./words.js";

const kEvery = 30000;             // ms between looks at how many wait
const kGlance = 1000;             // rows of such a look
const kKinds = 3;                 // kinds that the panel names
const kShown = 50;                // items of one page of the list
const kLongestRaw = 20000;        // characters of an item's bytes that are shown
const kFollow = [300, 700, 1000, 2000, 3000, 5000, 8000, 10000, 15000, 15000];  // ms between looks at what became of them
const kWork = 120000;             // ms that one call may take: up to 100,000 items
const kUnread = "not readable";
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const ask = (parameters) => get("/api/v1/quarantine", parameters);
const several = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;
const items = (n) => several(n, "item", "items");
const kindText = ({reason, rule}) => (reason === rule ? reason : `${reason} (rule ${rule})`);

function make(tag, className, text) {
  const out = document.createElement(tag);
  if (className) out.className = className;
  if (text !== undefined) out.textContent = text;
  return out;
}
// A dialog's padding is the dialog, too.
function beside(dialog, {clientX, clientY}) {
  const {left, right, top, bottom} = dialog.getBoundingClientRect();
  return clientX < left || clientX > right || clientY < top || clientY > bottom;
}
const when = (row) => (row.receive_time ? `${day(row.receive_time)} ${clock(row.receive_time, 3)}` : "no time");

export class Quarantine {
  // away: () → the page has no connection to its server now.
  // instruments: () → those that the page knows, for when not all that waits is looked through.
  constructor($, {away, instruments}) {
    Object.assign(this, {$, away, instruments});
    this.all = {rows: [], complete: true};  // all that waits, as far as it was looked through
    this.rows = [];                         // those of the choice
    this.complete = true;
    this.choice = {...kAny};
    this.picked = new Set();                // places
    this.opened = new Set();                // places whose details are shown
    this.page = 0;
    this.turn = 0;                          // counts looks: an answer for an earlier one is dropped
    this.work = null;                       // what waits for a Yes: {drop, rows, complete, picked}

    $("quarantine-open").addEventListener("click", () => {
      $("waits").showModal();
      this.result("");
      this.look();
    });
    $("waits-close").addEventListener("click", () => $("waits").close());
    for (const id of ["waits", "sure"]) $(id).addEventListener("click", (event) => event.target === $(id) && !this.sending && beside($(id), event) && $(id).close());
    for (const part of ["reason", "rule", "instrument"])
      $(`waits-${part}`).addEventListener("change", () => this.choose({...this.choice, [part]: JSON.parse($(`waits-${part}`).value)}));
    $("waits-choice").addEventListener("reset", (event) => {
      event.preventDefault();
      this.choose(kAny);
    });
    $("waits-again").addEventListener("click", () => {
      this.result("");
      this.look();
    });
    $("waits-back").addEventListener("click", () => this.turnTo(this.page - 1));
    $("waits-on").addEventListener("click", () => this.turnTo(this.page + 1));
    $("waits-page").addEventListener("change", () => {
      for (const row of this.shown()) this.picked[$("waits-page").checked ? "add" : "delete"](placeOf(row));
      this.drawList();
    });
    $("waits-replay").addEventListener("click", () => this.sure(false));
    $("waits-drop").addEventListener("click", () => this.sure(true));
    $("sure-no").addEventListener("click", () => $("sure").close());
    $("sure").addEventListener("cancel", (event) => this.sending && event.preventDefault());
    $("sure-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
  }

  // The server has answered; from now on how many wait is looked at now and then.
  begin() {
    this.glance();
    this.timer ??= setInterval(() => document.hidden || this.away() || this.glance(), kEvery);
  }

  // --- the panel ---

  async glance() {
    try {
      const {rows, next} = await ask({limit: kGlance});
      this.panel(rows, !next);
    } catch (error) {
      if (error.status !== 0 && error.status !== 401) this.$("quarantine-count").textContent = error.message;  // the stream tells of these
    }
  }

  panel(rows, complete) {
    const $ = this.$, kinds = tally(rows), most = kinds.length > kKinds ? kKinds - 1 : kKinds;
    $("quarantine-count").textContent = !rows.length ? "nothing waits" : `${complete ? "" : "more than "}${items(rows.length)}`;
    const lines = kinds.slice(0, most).map((kind) => `${count(kind.items)} ${kindText(kind)}`);
    if (kinds.length > most) lines.push(`and ${kinds.length - most} kinds more`);
    if (!complete) lines.unshift(`of the first ${count(rows.length)}:`);
    $("quarantine-kinds").replaceChildren(...lines.map((line) => make("li", "", line)));
  }

  // --- the dialog ---

  result(text, wrong = false) {
    this.$("waits-result").textContent = text;
    this.$("waits-result").classList.toggle("wrong", wrong);
  }

  // Asks for everything, and for the choice where that was not all. False: it could not be had, and the result line says so.
  async look() {
    const turn = ++this.turn, {choice} = this;
    this.$("waits").setAttribute("aria-busy", "true");
    try {
      const all = await walk(ask);
      const mine = all.complete ? {rows: all.rows.filter((row) => matches(row, choice)), complete: true} : await walk(ask, choice);
      if (turn !== this.turn) return false;
      Object.assign(this, {all, ...mine, at: new Date().toISOString()});
      const there = new Set(mine.rows.map(placeOf));
      this.picked = new Set([...this.picked].filter((place) => there.has(place)));
      this.draw();
      return true;
    } catch (error) {
      if (turn === this.turn) this.result(`What waits could not be read: ${error.message}`, true);
      return false;
    } finally {
      if (turn === this.turn) this.$("waits").removeAttribute("aria-busy");
    }
  }

  async choose(choice) {
    this.choice = {...choice};
    this.picked.clear();
    this.page = 0;
    if (!this.all.complete) return this.look();
    ++this.turn;
    Object.assign(this, {rows: this.all.rows.filter((row) => matches(row, choice)), complete: true});
    return this.draw();
  }

  turnTo(page) {
    this.page = page;
    this.drawList();
    this.$("waits-list").scrollTop = 0;
  }
  pages() { return Math.max(1, Math.ceil(this.rows.length / kShown)); }
  shown() { return this.rows.slice(this.page * kShown, (this.page + 1) * kShown); }
  chosen() { return this.picked.size ? this.rows.filter((row) => this.picked.has(placeOf(row))) : this.rows; }
  any() { return Object.values(this.choice).every((value) => value === null); }

  draw() {
    const $ = this.$, kinds = tally(this.all.rows);
    this.panel(this.all.rows, this.all.complete);
    const none = !this.all.rows.length;
    if (none && $("waits-all").contains(document.activeElement)) $("waits-again").focus();
    $("waits-all").hidden = none;
    // What has the focus is not drawn anew.
    const same = JSON.stringify(kinds);
    if (same !== this.drawnKinds) {
      this.drawnKinds = same;
      $("waits-kinds").replaceChildren(...kinds.map((kind) => this.kindRow(kind)));
    }
    for (const row of $("waits-kinds").rows) {
      const on = row.dataset.reason === this.choice.reason && row.dataset.rule === this.choice.rule;
      row.querySelector("button").setAttribute("aria-pressed", String(on));
    }
    for (const part of ["reason", "rule", "instrument"]) this.drawSelect(part);
    this.drawList();
  }

  kindRow(kind) {
    const row = make("tr"), name = make("th"), button = make("button", "", kind.reason);
    row.dataset.reason = kind.reason;
    row.dataset.rule = kind.rule;
    name.scope = "row";
    button.type = "button";
    button.addEventListener("click", () => this.choose(button.getAttribute("aria-pressed") === "true" ? kAny : {...kAny, reason: kind.reason, rule: kind.rule}));
    name.append(button);
    row.append(name, make("td", "", kind.rule), make("td", "", count(kind.items)));
    return row;
  }

  drawSelect(part) {
    const select = this.$(`waits-${part}`), chosen = this.choice[part];
    const values = new Set(this.all.rows.map((row) => row[part] ?? ""));
    if (part === "instrument" && !this.all.complete) for (const name of this.instruments()) values.add(name);
    if (chosen !== null) values.add(chosen);
    const options = [null, ...[...values].sort()].map((value) => {
      const option = make("option", "", value === null ? "any" : value === "" ? kUnread : visible(value));
      option.value = JSON.stringify(value);
      return option;
    });
    if (JSON.stringify(options.map((o) => o.value)) !== JSON.stringify([...select.options].map((o) => o.value))) select.replaceChildren(...options);
    select.value = JSON.stringify(chosen);
  }

  drawList() {
    const $ = this.$;
    this.page = Math.min(Math.max(0, this.page), this.pages() - 1);
    const shown = this.shown(), first = this.page * kShown;
    const same = JSON.stringify(shown.map((row) => [placeOf(row), row.attempts, row.rule_version, row.reason, row.rule]));
    if (same !== this.drawnItems) {
      this.drawnItems = same;
      $("waits-list").replaceChildren(...shown.map((row) => this.item(row)));
      if (!shown.length) $("waits-list").append(make("li", "none", "Nothing of that waits."));
    }
    for (const pick of $("waits-list").querySelectorAll("input")) pick.checked = this.picked.has(pick.parentNode.dataset.place);
    $("waits-place").textContent = !this.all.rows.length ? `Nothing waits in quarantine, as of ${clock(this.at)}.` : !shown.length ? `As of ${clock(this.at)}` :
      `${count(first + 1)} – ${count(first + shown.length)} of ${this.total()}, as of ${clock(this.at)}`;
    // A button that is switched off would lose the focus to nowhere.
    for (const [id, off, other] of [["waits-back", this.page === 0, "waits-on"], ["waits-on", this.page === this.pages() - 1, "waits-back"]]) {
      if (off && document.activeElement === $(id)) $(this.pages() > 1 ? other : "waits-again").focus();
      $(id).hidden = this.pages() === 1;
      $(id).disabled = off;
    }
    this.drawActs();
  }

  total() { return `${this.complete ? "" : "more than "}${count(this.rows.length)}`; }

  drawActs() {
    const $ = this.$, shown = this.shown(), on = shown.filter((row) => this.picked.has(placeOf(row))).length;
    $("waits-page").checked = shown.length > 0 && on === shown.length;
    $("waits-page").indeterminate = on > 0 && on < shown.length;
    $("waits-page").disabled = !shown.length;
    $("waits-count").textContent = this.picked.size ? `${count(this.picked.size)} selected of ${this.total()}` :
      [!this.all.complete && `Of all, the first ${count(kMost)} are counted.`,
        !this.complete && `Of these, the ${this.choice.instrument ? "newest" : "first"} ${count(kMost)} are listed.`].filter(Boolean).join(" ");
    const which = this.picked.size ? `${count(this.picked.size)} selected` : `${this.any() ? "all" : "these"}${this.complete ? "" : ","} ${this.total()}`;
    for (const [id, word] of [["waits-replay", "Replay"], ["waits-drop", "Drop"]]) {
      $(id).textContent = `${word} ${which} …`;
      $(id).setAttribute("aria-disabled", String(!this.rows.length || this.following === true));  // it keeps the focus
    }
  }

  item(row) {
    const place = placeOf(row), out = make("li"), pick = make("input"), button = make("button");
    out.dataset.place = place;
    pick.type = "checkbox";
    pick.setAttribute("aria-label", `Select ${place}`);
    pick.addEventListener("change", () => {
      this.picked[pick.checked ? "add" : "delete"](place);
      this.drawActs();
    });
    button.type = "button";
    const why = `${kindText(row)}${row.attempts > 1 ? `, judged ${several(row.attempts, "time", "times")}` : ""}`;
    button.append(make("span", "waits-when", when(row)), " ", make("b", "", row.instrument ? visible(row.instrument) : `instrument ${kUnread}`), " ",
      make("span", "waits-why", why), " ", make("span", "waits-raw", excerpt(row.raw ?? "")));
    out.append(pick, button);
    const details = () => {
      const open = this.opened.has(place);
      button.setAttribute("aria-expanded", String(open));
      if (open) out.append(this.details(row));
      else out.querySelector(".waits-details")?.remove();
    };
    button.addEventListener("click", () => {
      if (!this.opened.delete(place)) this.opened.add(place);
      details();
    });
    details();
    return out;
  }

  details(row) {
    const out = make("div", "waits-details"), list = make("dl"), raw = visible(row.raw ?? ""), pre = make("pre", "", raw.slice(0, kLongestRaw));
    for (const [name, value] of [["why", visible(row.detail ?? "–")], ["reason", row.reason], ["rule", `${row.rule}, version ${row.rule_version}`],
      ["id", row.id === null ? kUnread : visible(row.id)], ["received", when(row)], ["judged", several(row.attempts, "time", "times")],
      ["place", `${placeOf(row)} (partition, offset and item of topic raw)`]])
      list.append(make("dt", "", name), make("dd", "", value));
    pre.tabIndex = 0;
    pre.setAttribute("aria-label", "Its bytes");
    out.append(list, pre);
    if (raw.length > kLongestRaw) out.append(make("p", "fine", `The first ${count(kLongestRaw)} of ${count(raw.length)} characters.`));
    return out;
  }

  // --- replay and drop ---

  // Counts once more, and asks.
  async sure(drop) {
    const $ = this.$;
    if ($(drop ? "waits-drop" : "waits-replay").getAttribute("aria-disabled") === "true") return;
    this.result("");
    if (!await this.look()) return;
    const rows = this.chosen(), picked = this.picked.size > 0, complete = picked || this.complete;
    if (!rows.length) return this.result("Nothing of that waits any more.");
    const bodies_ = bodies(rows, this.choice, {picked, complete});
    const exact = bodies_[0].items !== undefined;  // just these, and none that comes meanwhile
    this.work = {drop, rows, bodies: bodies_};
    $("sure-title").textContent = `${drop ? "Drop" : "Replay"} ${exact || complete ? items(rows.length) : `more than ${items(rows.length)}`}?`;
    $("sure-says").textContent = (drop ? "What is dropped is given up for good: it will never count, and the windows that it holds back are judged without it. A trade whose id or time does not fit between those beside it leaves a hole, which is asked for." :
      "It is judged again by the rules and the program of now. What is accepted goes into its candles, which are corrected; what is still bad stays, once.") +
      (exact ? "" : " What comes meanwhile and is chosen in the same way is among it.");
    $("sure-kinds").replaceChildren(...tally(rows).map((kind) => make("li", "", `${count(kind.items)} ${kindText(kind)}`)));
    $("sure-yes").textContent = drop ? "Drop" : "Replay";
    $("sure-yes").className = drop ? "danger" : "";
    $("sure-wrong").textContent = "";
    $("sure-needs").hidden = true;
    $("sure").showModal();
    $("sure-no").focus();
  }

  async send() {
    if (this.sending) return;
    const $ = this.$, {drop, rows} = this.work, left = this.work.bodies, given = $("sure-needs").hidden ? undefined : $("sure-token").value;
    const done = this.work.done ??= {sent: 0, unusable: 0, more: false, why: null};
    this.sending = true;
    for (const id of ["sure-yes", "sure-no"]) $(id).disabled = true;
    $("sure-wrong").textContent = "";
    try {
      while (left.length) {
        const answer = await post(`/api/v1/quarantine/${drop ? "drop" : "replay"}`, left[0], {limit: kWork, given});
        left.shift();
        done.sent += answer.sent;
        done.unusable += answer.unusable;
        done.more ||= answer.more;
        done.why ??= answer.why ?? null;
        if (given) setToken(given);  // it reads, too
      }
      $("sure-token").value = "";
      $("sure").close();
      this.picked.clear();
      this.follow(drop, rows, done);
    } catch (error) {
      $("sure-wrong").textContent = `${done.sent ? `${items(done.sent)} sent, the rest not. ` : ""}${error.message}`;
      $("sure-needs").hidden = error.status !== 401 && error.status !== 403;
      $("sure-yes").textContent = "Try again";
    } finally {
      this.sending = false;
      for (const id of ["sure-yes", "sure-no"]) $(id).disabled = false;
      if ($("sure").open) $($("sure-needs").hidden ? "sure-yes" : "sure-token").focus();
    }
  }

  // Looks until it is known what became of each; process and load need a moment.
  async follow(drop, rows, done) {
    const {sent, unusable, more, why} = done;
    const extra = (unusable ? ` ${items(unusable)} cannot be ${drop ? "dropped" : "judged again"}: ${visible(why ?? "")}.` : "") +
      (more ? " There were more than one call takes: do it again for the rest." : "");
    const tell = (text) => this.result(text + extra);
    if (!sent) {
      tell("Nothing was sent.");
      return this.look();
    }
    tell(`${items(sent)} sent. Waiting for what becomes of them …`);
    this.following = true;
    let now = null, last = null;
    try {
      this.drawActs();
      for (const wait of kFollow) {
        await sleep(wait);
        if (this.away() || !await this.look()) continue;
        // Each is told apart only where all that was sent, and all that waits, has been looked through.
        now = sent <= rows.length && this.all.complete ? outcome(rows, this.all.rows) : null;
        if (now ? now.gone + now.bad >= sent : this.rows.length === last) break;
        last = this.rows.length;
      }
    } finally {
      this.following = false;
      this.drawActs();
    }
    if (!now) return tell(`${items(sent)} sent. ${last === null ? "What became of them could not be read." : `Of what is chosen here ${this.rows.length ? this.total() : "none"} waits now.`}`);
    const waiting = Math.max(0, sent - now.gone - now.bad), gone = Math.min(now.gone, sent);
    return tell(`${items(sent)} sent: ${[`${count(gone)} ${drop ? "dropped" : "out of quarantine"}`, (now.bad || !drop) && `${count(now.bad)} still bad`,
      waiting && `${count(waiting)} not judged yet`].filter(Boolean).join(", ")}.`);
  }
}
