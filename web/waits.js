// What waits in quarantine: rows of GET /api/v1/quarantine, which of them are chosen, and what became of them. Nothing here
// draws. A choice is {reason, rule, instrument}; null: any; instrument "": those whose instrument could not be read.

export const kMost = 10000;       // rows that are looked through at once
const kPage = 2000;               // of one call
const kItems = 1000;              // places that one call takes
export const kAny = {reason: null, rule: null, instrument: null};

export const placeOf = (row) => `${row.partition}/${row.offset}/${row.ordinal}`;
export const matches = (row, choice) => (choice.reason === null || row.reason === choice.reason) && (choice.rule === null || row.rule === choice.rule) &&
  (choice.instrument === null || (row.instrument ?? "") === choice.instrument);

// What of a choice the server can be asked for.
const said = (choice) => Object.fromEntries(Object.entries(choice).filter(([, value]) => value));

// The rows of a choice, at most `most`: {rows, complete}. ask: parameters → {rows, next}. Of one instrument they are the newest.
export async function walk(ask, choice = kAny, most = kMost) {
  const asked = said(choice);
  if (asked.instrument) {
    const {rows} = await ask({...asked, limit: most});
    return {rows, complete: rows.length < most};
  }
  const out = [];
  for (let cursor = {}; ;) {
    const {rows, next} = await ask({...asked, limit: Math.min(kPage, most - out.length), ...cursor});
    // Those without an instrument come first.
    const mine = rows.filter((row) => matches(row, choice));
    out.push(...mine);
    if (!next || mine.length < rows.length) return {rows: out, complete: true};
    if (out.length >= most) return {rows: out, complete: false};
    cursor = {cursor: next};
  }
}

// How many of each reason and rule, the most first: [{reason, rule, items}].
export function tally(rows) {
  const kinds = new Map();
  for (const {reason, rule} of rows) {
    const key = JSON.stringify([reason, rule]);
    if (!kinds.has(key)) kinds.set(key, {reason, rule, items: 0});
    ++kinds.get(key).items;
  }
  return [...kinds.values()].sort((a, b) => b.items - a.items || `${a.reason} ${a.rule}`.localeCompare(`${b.reason} ${b.rule}`));
}

// The bodies of the calls that work on `rows`, which are those of the choice, or picked from them. So few that their places
// can be said are named, each: exactly what was confirmed is concerned. Else the choice itself, if the server can be told.
export function bodies(rows, choice, {picked, complete}) {
  const what = said(choice);
  if (!picked && choice.instrument !== "" && (!complete || rows.length > kItems)) return [Object.keys(what).length ? what : {all: true}];
  const out = [];
  for (let i = 0; i < rows.length; i += kItems) out.push({items: rows.slice(i, i + kItems).map(placeOf)});
  return out;
}

// What became of rows that were sent, told from those that wait now: {gone, bad: judged once more and still here, open: neither}.
export function outcome(sent, now) {
  const attempts = new Map(now.map((row) => [placeOf(row), row.attempts])), out = {gone: 0, bad: 0, open: 0};
  for (const row of sent) {
    const after = attempts.get(placeOf(row));
    ++out[after === undefined ? "gone" : after > row.attempts ? "bad" : "open"];
  }
  return out;
}
