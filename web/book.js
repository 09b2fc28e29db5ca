// The rows that the page holds, each kind in its order. Pure: no page, no network; tested without a browser.
import {classOf, completeness, isOpenGap, micros, seconds} from "./words.js";

// Which of two rows with one key stays: the greater (settled, epoch, revision); settled: closed or corrected, and not
// partial. The same rule as in every store.
export function replaces(next, last) {
  const settled = (row) => Number(row.status !== "open" && row.completeness !== "partial");
  return (settled(next) - settled(last) || next.epoch - last.epoch || next.revision - last.revision) >= 0;
}

// Candles of one instrument and interval, by start; windows between two rows that have none are null.
export class Candles {
  constructor(length, most = 20000) {
    this.length = length;  // seconds
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
      if (last && !replaces(row, last)) continue;
      this.rows[index] = row;
      if (lowest < 0 || index < lowest) lowest = index;
    }
    if (this.rows.length > this.most) {
      const drop = this.rows.length - this.most;
      this.rows.splice(0, drop);
      this.begin += drop * this.length;
      moved = true;
    }
    return {lowest: moved ? 0 : lowest, moved};
  }

  // Forgets what lies before `start`.
  dropBefore(start) {
    const drop = Math.min(this.rows.length, Math.max(0, this.indexOf(start)));
    this.rows.splice(0, drop);
    this.begin += drop * this.length;
  }

  // How many windows of each class lie in [from, to], and how many trades they miss at most (null: unknown).
  tally(from, to) {
    const out = {windows: 0, whole: 0, not: 0, missing: 0, repaired: 0, proof: {}};
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
      if (kind === "gap") out.missing = out.missing === null || row.missing === null ? null : out.missing + row.missing;
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
  // Whether a hole has no end yet, or ended within the last minute before `asOf`, µs: then trades are missing right now.
  now(asOf) { return this.open().some((gap) => gap.to === null || (asOf !== null && micros(gap.to) >= asOf - 60e6)); }
}
