// What the page says: words, numbers and times as people read them. Pure functions, tested without a browser.
// Prices and quantities stay the decimal strings that the server sent: nothing here computes with them.

// How far a candle can be trusted. `whole`: every trade of the window is in (or it is proven that there was none).
export const completeness = {
  complete: {word: "complete", whole: true, says: "Every trade of this window is in."},
  quiet: {word: "quiet", whole: true, says: "Proven: no trade happened in this window."},
  gap: {word: "gap", whole: false, says: "Trades of this window are known to be missing."},
  partial: {word: "partial", whole: false, says: "Our knowledge begins inside this window."},
  unverifiable: {word: "unverifiable", whole: false, says: "Nothing proves that this window is whole."},
  open: {word: "open", whole: null, says: "Still filling. Nothing is known to be wrong with it."},
  unknown: {word: "unknown", whole: false, says: "The server has no row for this window."},
};

// The one class of a candle's row: what its completeness says, else that it is open. No row: unknown.
export function classOf(row) {
  if (!row) return "unknown";
  if (row.completeness) return row.completeness in completeness ? row.completeness : "unverifiable";
  return row.status === "open" ? "open" : "unverifiable";
}

const breaks = {ids: "the venue's trade ids jump here", session: "the connection broke here"};
const proofs = {
  ids: "the venue's trade ids around it follow each other without a hole",
  declared: "ids, with the help of a declared range",
  session: "an unbroken connection; a later id may still show a loss",
  overlap: "one page of the venue's answers overlaps both ends",
};

const plural = (n, one, many) => `${n} ${n === 1 ? one : many}`;

// What is known to be missing of a candle, in words; null: nothing.
export function missingOf(row) {
  if (classOf(row) !== "gap") return null;
  return row.missing === null ? "an unknown number of trades" : `at most ${plural(row.missing, "trade", "trades")}`;
}

// Lines [name, value] that explain a candle's completeness.
export function facts(row) {
  const lines = [];
  if (!row) return lines;
  const missing = missingOf(row);
  if (missing) lines.push(["missing", missing]);
  const why = (classOf(row) === "gap" ? breaks : proofs)[row.proof];
  lines.push(["proof", row.proof ? row.proof + (why ? `: ${why}` : "") : row.status === "open" ? "none yet" : "none"]);
  lines.push(["held back", row.held ? `${plural(row.held, "trade", "trades")} in quarantine` : "none"]);
  lines.push(["repaired", row.repaired ? "yes: a gap that touched it has ended" : "no"]);
  lines.push(["revision", row.implied ? "none: told by its neighbours" : `${row.revision}, ${row.status}`]);
  return lines;
}

// One sentence for a screen reader.
export function sentenceOf(row, seconds, decimals) {
  if (!row) return "no row";
  const kind = classOf(row);
  const values = row.close === null ? "no known price" : `close ${price(row.close, decimals)}, volume ${row.volume}`;
  const missing = missingOf(row);
  return `${windowText(row.start, seconds)} UTC: ${completeness[kind].word}${row.repaired ? ", repaired" : ""}. ` +
    `${completeness[kind].says} ${missing ? `Missing: ${missing}. ` : ""}${values}.`;
}

// How a candle stands to the venue's own, as a row of `reconciled` says it; null: nothing is known.
export function venueText(found) {
  if (!found) return null;
  const parts = found.difference?.split("; ") ?? ["one side has none"], more = parts.length - 2;
  if (found.result !== "equal") return `differs: ${parts.slice(0, 2).join("; ")}${more > 0 ? `; and ${more} more` : ""} (${found.reason ?? "unknown"})`;
  return `equal to the venue's own candle${found.reason === "rounding" ? ", but for the rounding of its quote volume" : ""}`;
}

// What an explanation of a candle (docs/api.md) says, in parts: {name, lines: [{text, fine}]}.
export function lifeOf(answer) {
  const parts = [];
  const add = (name, lines) => lines.length && parts.push({name, lines: lines.map((line) => (typeof line === "string" ? {text: line} : line))});
  const trade = (t) => `${t.id === null ? "a trade" : `id ${t.id}`} at ${day(t.event_time)} ${clock(t.event_time, 3)}`;
  const when = (at) => `${day(at)} ${clock(at, 3)}`;
  const {trades, edges} = answer;
  if (answer.rule) add("Because", [answer.rule]);

  const ways = {stream: "by the stream, session", backfill: "by backfill, session", file: "from the file"};
  add("Trades", !trades.records ? ["none"] : [
    `${trades.more ? `more than ${count(trades.records)}` : count(trades.records)}: first ${trade(trades.first)}${trades.more ? "" : `, last ${trade(trades.last)}`}`,
    ...trades.sources.map((s) => ({text: `${count(s.trades)} ${ways[s.way]} ${s.file ?? s.source}${s.late ? `, ${count(s.late)} of them late` : ""}`,
      fine: s.first_receive_time ? `received ${when(s.first_receive_time)} to ${when(s.last_receive_time)}` : null}))]);

  const others = edges.accounted === null ? 0 : edges.between - edges.accounted;
  add("Ids at its edges", [
    `before: ${edges.before ? trade(edges.before) : "nothing is known"}`, `after: ${edges.after ? trade(edges.after) : "nothing is known yet"}`,
    ...(edges.contiguous ? [edges.between ? `all ${plural(edges.between, "id", "ids")} between them are trades here` : "they follow each other"]
      : others > 0 ? [`${others} of the ${plural(edges.between, "id", "ids")} between them are no trades here`] : [])]);

  add("Holes that touch it", answer.holes.map(({gap, came, transitions}) => ({
    text: `${gapText(gap)}: ${gapStates[gap.state]?.word ?? gap.state}${gap.missing ? `, ${count(gap.missing)} missing` : ""}${came ? `; ${plural(came, "of its ids is a trade here", "of its ids are trades here")}` : ""}`,
    fine: transitions.map((t) => `${gapStates[t.state]?.word ?? t.state}${t.appended ? ` ${when(t.appended)}` : ""}, offset ${t.offset}`).join("; ")})));

  const revisions = answer.revisions.map((r) => ({text: `${r.revision}: ${r.why}`,
    fine: [`offset ${r.offset}${r.appended ? `, ${when(r.appended)}` : ""}`, ...(r.cause === "trades" ? [] : r.changes)].join("; ")}));
  // Of many open rows that only tell of more trades the first and the last few.
  const shown = revisions.length > 12 ? [...revisions.slice(0, 3), `… ${revisions.length - 9} more …`, ...revisions.slice(-6)] : revisions;
  add("Revisions in the log", shown.length ? shown : ["none"]);
  add("In the store", answer.stores.map((s) => `${s.store}: ${s.says}`));
  add("Windows above", answer.upper.map((u) => `${u.interval}: ${u.row ? `${completeness[classOf(u.row)].word}, revision ${u.row.revision}${u.rolled_up ? ", rolled up now" : ""}` : "no row yet"}`));
  add("Looked through", [answer.looked.says]);
  return parts;
}

// What became of a gap.
export const gapStates = {
  pending: {word: "pending", open: true, says: "may still come, out of order"},
  open: {word: "open", open: true, says: ""},
  progress: {word: "filling", open: true, says: "partly filled"},
  repaired: {word: "repaired", open: false, says: "filled"},
  absent: {word: "absent", open: false, says: "the venue itself never had them"},
  lost: {word: "lost", open: false, says: "the venue no longer gives them"},
};
export const isOpenGap = (gap) => gapStates[gap.state]?.open ?? true;

export function gapText(gap) {
  if (gap.last_id === null) return `from id ${gap.first_id}, end unknown`;
  return gap.first_id === gap.last_id ? `id ${gap.first_id}` : `ids ${gap.first_id} – ${gap.last_id}`;
}

// --- texts of others ---

// Characters that would be invisible, or turn the text around, as ⟨U+XXXX⟩; line breaks and tabs stay.
export const visible = (text) => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
  (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

// The beginning of it, in one line.
export function excerpt(text, most = 120) {
  const line = visible(text.slice(0, most)).replace(/\s+/g, " ");
  return text.length > most ? `${line}…` : line;
}

// --- numbers ---

// Decimals that a tick has: "0.01" → 2; null: as many as there are.
export function decimalsOf(tick) {
  if (typeof tick !== "string") return null;
  const dot = tick.indexOf(".");
  return dot < 0 ? 0 : tick.length - dot - 1;
}

// "61824" → "61,824.00" with two decimals: groups and zeros are added, no digit is changed.
export function price(text, decimals = null) {
  if (text === null || text === undefined) return "–";
  const [, sign, whole, rest = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined) return text;
  const digits = decimals === null ? rest : rest.padEnd(decimals, "0");
  return sign + whole.replace(/\B(?=(\d{3})+$)/g, ",") + (digits ? `.${digits}` : "");
}

export const count = (n) => price(String(n));

// Of two decimal strings: -1, 0, 1. Exact, unlike Number().
export function compareDecimals(a, b) {
  const split = (text) => {
    const [whole, rest = ""] = text.replace("-", "").split(".");
    return [whole, rest];
  };
  const signs = [a.startsWith("-") ? -1 : 1, b.startsWith("-") ? -1 : 1];
  const [aw, ar] = split(a), [bw, br] = split(b);
  const wide = Math.max(aw.length, bw.length), deep = Math.max(ar.length, br.length);
  const av = aw.padStart(wide, "0") + ar.padEnd(deep, "0"), bv = bw.padStart(wide, "0") + br.padEnd(deep, "0");
  if (/^0*$/.test(av) && /^0*$/.test(bv)) return 0;
  if (signs[0] !== signs[1]) return signs[0];
  return av === bv ? 0 : (av < bv ? -1 : 1) * signs[0];
}

// --- times: all UTC ---

// RFC 3339 → whole microseconds since 1970, or null.
export function micros(text) {
  if (!text) return null;
  const match = /^(.*?)(?:\.(\d+))?Z$/.exec(text);
  const seconds = match ? Date.parse(`${match[1]}Z`) : NaN;
  return Number.isNaN(seconds) ? null : seconds * 1000 + Number((match[2] ?? "").padEnd(6, "0").slice(0, 6));
}
export const seconds = (text) => Math.floor(micros(text) / 1e6);

// "23:59:12", or "23:59:12.123" with decimals = 3.
export function clock(text, decimals = 0) {
  const at = micros(text);
  if (at === null) return "–";
  return new Date(Math.floor(at / 1000)).toISOString().slice(11, decimals ? 20 + decimals : 19);
}
export const day = (text) => (micros(text) === null ? "–" : text.slice(0, 10));
export const iso = (unixSeconds) => new Date(unixSeconds * 1000).toISOString().replace(".000Z", "Z");

// "2024-08-08 23:54 – 23:55", with seconds where the window has them.
export function windowText(start, length) {
  const from = seconds(start), to = from + length, long = length % 60 !== 0;
  const at = (t) => iso(t).slice(11, long ? 19 : 16);
  const day = iso(from).slice(0, 10), sameDay = iso(to - 1).slice(0, 10) === day;
  const end = iso(to).slice(0, 10) === day ? at(to) : sameDay ? (at(from) === at(to) ? at(to).replace(/^00/, "24") : at(to)) : `${iso(to).slice(0, 10)} ${at(to)}`;
  return `${iso(from).slice(0, 10)} ${at(from)} – ${end}`;
}

// "1m" → 60.
export function intervalSeconds(text) {
  const [, n, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  return n ? Number(n) * {s: 1, m: 60, h: 3600, d: 86400}[unit] : null;
}

// An age in ms: "0.4 s", "12 s", "3 min", "2 h", "5 days".
export function age(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

// --- the one word about the feed ---

// Why a connection to the venue does not stand, and when it is tried again; nothing if it does.
export function connectionTrouble(c) {
  return c.trouble ? `: ${c.trouble}${c.next_attempt ? `; next attempt at ${clock(c.next_attempt)}` : ""}` : "";
}

// link: "open", or how the page's own connection to the server stands else
// instrument: a row of `instruments`, or null; pipeline: the row of `pipeline`, or null
// asOf: text or null; stale: boolean; quietFor: ms since as_of last moved, null: not known
// holeNow: a gap reaches into the present
export function feedState({link, instrument, pipeline, asOf, stale, quietFor, holeNow}) {
  if (link !== "open") return {word: "RECONNECTING", tone: "lost", says: "This page has lost its server. It shows what it last heard."};
  if (pipeline?.state === "stopped")
    return {word: "STOPPED", tone: "stopped", says: "Receiving was stopped by command. What is missed meanwhile becomes a named gap."};
  if (!stale && asOf) {
    if (holeNow) return {word: "GAP", tone: "gap", says: "Live, but trades were lost within the last minute."};
    return {word: "LIVE", tone: "live", says: "Trades are shown as they happen."};
  }
  if (instrument && instrument.wanted === false)
    return {word: "RECORDED", tone: "stopped", says: "Not received now. This is what was recorded."};
  const venue = instrument?.instrument.split(":")[0];
  const connections = pipeline?.feeds?.find((feed) => feed.venue === venue)?.connections ?? [];
  const down = connections.find((c) => c.state !== "live" && c.state !== "idle");
  const why = down ? ` ${down.name} is ${down.state}${connectionTrouble(down)}.` : "";
  if (!asOf) return {word: "WAITING", tone: "stale", says: `Nothing has come of this instrument yet.${why}`};
  return {word: "STALE", tone: "stale", says: `Not live: nothing new has come${quietFor === null ? "" : ` for ${age(quietFor)}`}.${why}`};
}
