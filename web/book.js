// The rows that the page holds, each kind in its order. Pure: no page, no network; tested without a browser.
import {classOf, completeness, isOpenGap, iso, micros, seconds} from "./words.js";

// Which of two rows with one key stays: the greater (settled, epoch, revision); settled: closed or corrected, and not
// partial. The same rule as in every store.
export function replaces(next, last) {
  const settled = (row) => Number(row.status !== "open" && row.completeness !== "partial");
  return (settled(next) - settled(last) || next.epoch - last.epoch || next.revision - last.revision) >= 0;
}

// Candles of one instrument and interval, by start.
//
// Windows of less than a minute without a trade have no rows: their neighbours imply what they are (semantics.md, section
// 5). Between two rows whose trade ids follow each other they are quiet; where an open gap lies, gap; else not known: null.
export class Candles {
  constructor(length, gaps = new Gaps(), most = 20000) {
    this.length = length;  // seconds
    this.gaps = gaps;
    this.most = most;
    this.begin = null;     // start of rows[0], Unix seconds
    this.rows = [];
  }
  get newest() { return this.rows.length ? this.begin + (this.rows.length - 1) * this.length : null; }
  startAt(index) { return this.begin + index * this.length; }
  indexOf(start) { return this.begin === null ? -1 : Math.round((start - this.begin) / this.length); }

  // Takes rows in any order. Answers the lowest changed index, -1 if nothing changed, and whether indices moved.
  merge(rows) {
    let lowest = -1, moved = false;
    for (const row of rows) {
      const start = seconds(row.start);
      if (this.begin === null) this.begin = start;
      let index = this.indexOf(start);
      // So far away that what lies between would be mostly nothing: the newer stretch stays.
      if (index >= this.rows.length + this.most) {
        this.rows = [];
        this.begin = start;
        index = 0;
        moved = true;
      }
      if (index < 0) {
        if (-index + this.rows.length > this.most) continue;
        this.rows.unshift(...new Array(-index).fill(null));
        this.begin = start;
        index = 0;
        moved = true;
      }
      while (this.rows.length <= index) this.rows.push(null);
      const last = this.rows[index];
      if (last && !last.implied && !replaces(row, last)) continue;
      this.rows[index] = row;
      const changed = Math.min(this.imply(index, -1), this.imply(index, 1));
      if (lowest < 0 || changed < lowest) lowest = changed;
    }
    if (this.rows.length > this.most) {
      const drop = this.rows.length - this.most;
      this.rows.splice(0, drop);
      this.begin += drop * this.length;
      moved = true;
    }
    return {lowest: moved ? 0 : lowest, moved};
  }

  // What the windows without a row beside `index` are, up to the next row there. Answers the lowest index it has set.
  imply(index, step) {
    let other = index + step;
    while (other >= 0 && other < this.rows.length && (!this.rows[other] || this.rows[other].implied)) other += step;
    if (other === index + step || !this.rows[other]) return index;
    const [from, to] = step < 0 ? [other, index] : [index, other], before = this.rows[from], after = this.rows[to];
    let row = {implied: true, tape: before.tape, status: "closed", proof: "ids", repaired: false, held: 0, missing: 0, epoch: 0, revision: 0};
    if (before.last_id && after.first_id === before.last_id + 1) {
      Object.assign(row, {completeness: "quiet", open: before.close, high: before.close, low: before.close, close: before.close, volume: "0", trades: 0});
    } else {
      const missing = before.last_id && after.first_id ? this.gaps.between(before.last_id, after.first_id) : 0;
      if (missing) Object.assign(row, {completeness: "gap", missing, open: null, high: null, low: null, close: null, volume: null, trades: null});
      else row = null;
    }
    let lowest = index;
    for (let i = to - 1; i > from; --i) {
      const had = this.rows[i];
      if (row === had || (row && had && row.completeness === had.completeness && row.missing === had.missing && row.close === had.close)) continue;
      this.rows[i] = row && {...row, start: iso(this.startAt(i))};
      lowest = Math.min(lowest, i);
    }
    return lowest;
  }
  // Gaps have changed: so may have what they imply. Answers the lowest changed index, or -1.
  implyAll() {
    let lowest = -1;
    for (let i = 1; i < this.rows.length; ++i) {
      const here = this.rows[i], left = this.rows[i - 1];
      if (!here || here.implied || (left && !left.implied)) continue;
      const set = this.imply(i, -1);
      if (set < i && lowest < 0) lowest = set;
    }
    return lowest;
  }

  // Forgets what lies before `start`.
  dropBefore(start) {
    const drop = Math.min(this.rows.length, Math.max(0, this.indexOf(start)));
    this.rows.splice(0, drop);
    this.begin += drop * this.length;
  }

  // How many windows of each class lie in [from, to].
  tally(from, to) {
    const out = {windows: 0, whole: 0, not: 0, repaired: 0, proof: {}};
    for (const kind of Object.keys(completeness)) out[kind] = 0;
    for (let i = Math.max(0, from); i <= Math.min(this.rows.length - 1, to); ++i) {
      const row = this.rows[i], kind = classOf(row);
      ++out[kind];
      ++out.windows;
      if (completeness[kind].whole === true) {
        ++out.whole;
        out.proof[row.proof] = (out.proof[row.proof] ?? 0) + 1;
      }
      if (completeness[kind].whole === false) ++out.not;
      if (row?.repaired) ++out.repaired;
    }
    return out;
  }
}

// The newest trades, newest first; each once.
export class Trades {
  constructor(most = 60) {
    this.most = most;
    this.rows = [];
    this.skipped = 0;  // left out by the server because this page was behind
  }
  add(rows) {
    const key = (t) => `${t.era}:${t.id}:${t.event_time}`;
    const known = new Set(this.rows.map(key));
    for (const row of rows) {
      if (row.id && known.has(key(row))) continue;
      known.add(key(row));
      this.rows.push({...row, at: micros(row.event_time)});
    }
    // Stable, so trades of one time stay in the order in which they came.
    this.rows = this.rows.map((row, i) => [row, i])
      .sort(([a, i], [b, k]) => b.at - a.at || Number(b.id) - Number(a.id) || k - i).map(([row]) => row).slice(0, this.most);
  }
}

// What comparisons with the venue's own candles found, by window. Each speaks of one row: its epoch and revision.
export class Reconciled {
  constructor() { this.byStart = new Map(); }
  add(rows) { for (const row of rows) this.byStart.set(seconds(row.start), row); }
  // Of the row at `start` as it is now; null: nothing is known, or it has changed since.
  of(start, row) {
    const found = this.byStart.get(start);
    if (!found) return null;
    const same = row && !row.implied ? found.epoch === row.epoch && found.revision === row.revision : found.revision === 0;
    return same ? found : null;
  }
}

// Gaps by their key; open ones first, then the newest.
export class Gaps {
  constructor(most = 500) {
    this.most = most;
    this.byKey = new Map();
  }
  add(rows) {
    for (const row of rows) this.byKey.set(`${row.tape}:${row.era}:${row.first_id}`, row);
    if (this.byKey.size > this.most) this.byKey = new Map(this.sorted().slice(0, this.most).map((g) => [`${g.tape}:${g.era}:${g.first_id}`, g]));
  }
  sorted() {
    return [...this.byKey.values()].sort(
      (a, b) => isOpenGap(b) - isOpenGap(a) || micros(b.from) - micros(a.from) || b.first_id - a.first_id);
  }
  open() { return [...this.byKey.values()].filter(isOpenGap); }
  // How many trades lack in [from, to), µs, as far as gaps say so that have not ended, or ended as lost; null: unknown.
  missing(from, to) {
    let missing = 0;
    for (const gap of this.byKey.values()) {
      if ((!isOpenGap(gap) && gap.state !== "lost") || micros(gap.from) >= to || (gap.to !== null && micros(gap.to) < from)) continue;
      if (gap.last_id === null) return null;
      missing += gap.missing;
    }
    return missing;
  }
  // Ids that lack between two known ones, as far as gaps say so that have not ended, or ended as lost.
  between(last, first) {
    let missing = 0;
    for (const gap of this.byKey.values())
      if ((isOpenGap(gap) || gap.state === "lost") && gap.last_id !== null && gap.first_id > last && gap.last_id < first) missing += gap.missing;
    return missing;
  }
  // Whether a hole has no end yet, or ended within the last minute before `asOf`, µs: then trades are missing right now.
  now(asOf) { return this.open().some((gap) => gap.to === null || (asOf !== null && micros(gap.to) >= asOf - 60e6)); }
}
