// The page's pure parts: words and rows. node --test
import assert from "node:assert/strict";
import {readFileSync, readdirSync} from "node:fs";
import test from "node:test";
import {Candles, Gaps, Reconciled, Trades, replaces} from "../../web/book.js";
import {bodies, kAny, outcome, tally, walk} from "../../web/waits.js";
import * as words from "../../web/words.js";

const candle = (start, more = {}) => ({start, open: "1", high: "1", low: "1", close: "1", volume: "2", trades: 3, status: "closed", completeness: "complete",
  proof: "ids", repaired: false, missing: 0, held: 0, epoch: 1, revision: 1, ...more});

test("a price is shown with the tick's decimals, and no digit of it is changed", () => {
  for (const [text, decimals, shown] of [
    ["61824", 2, "61,824.00"], ["61602.02", 2, "61,602.02"], ["0.1", null, "0.1"], ["1234567.123456789012345678", 2, "1,234,567.123456789012345678"],
    ["-1000.5", 2, "-1,000.50"], ["999", 0, "999"], ["1000", null, "1,000"], [null, 2, "–"], ["what", 2, "what"]])
    assert.equal(words.price(text, decimals), shown);
  for (const [tick, decimals] of [["0.01", 2], ["1", 0], ["0.00000001", 8], [null, null]]) assert.equal(words.decimalsOf(tick), decimals);
});

test("decimals are compared exactly", () => {
  for (const [a, b, sign] of [["2", "10", -1], ["0.1", "0.10", 0], ["9007199254740993", "9007199254740992", 1], ["-1", "1", -1], ["-2", "-1", -1],
    ["0", "-0.0", 0], ["0.000000000000000001", "0", 1]]) assert.equal(words.compareDecimals(a, b), sign, `${a} ${b}`);
});

test("times are UTC, with or without a fraction", () => {
  assert.equal(words.micros("1970-01-01T00:00:01Z"), 1e6);
  assert.equal(words.micros("1970-01-01T00:00:01.5Z"), 1500000);
  assert.equal(words.micros("1970-01-01T00:00:01.000123456Z"), 1000123);
  for (const text of [null, "", "today", "2024-08-08T23:59:59+02:00"]) assert.equal(words.micros(text), null);
  assert.equal(words.clock("2024-08-08T23:59:59.123456Z", 3), "23:59:59.123");
  assert.equal(words.clock("2024-08-08T23:59:59Z"), "23:59:59");
  assert.equal(words.clock(null), "–");
  assert.equal(words.windowText("2024-08-08T23:54:00Z", 60), "2024-08-08 23:54 – 23:55");
  assert.equal(words.windowText("2024-08-08T23:59:00Z", 60), "2024-08-08 23:59 – 00:00");
  assert.equal(words.windowText("2024-08-08T23:59:59Z", 1), "2024-08-08 23:59:59 – 00:00:00");
  assert.equal(words.windowText("2024-08-08T12:00:00Z", 86400), "2024-08-08 12:00 – 2024-08-09 12:00");
});

test("intervals and ages", () => {
  for (const [text, length] of [["1s", 1], ["5m", 300], ["1h", 3600], ["1d", 86400], ["x", null]]) assert.equal(words.intervalSeconds(text), length);
  for (const [ms, text] of [[0, "0.0 s"], [9940, "9.9 s"], [12345, "12 s"], [180000, "3 min"], [7200000, "2 h"], [5 * 86400e3, "5 days"], [-5, "0.0 s"]])
    assert.equal(words.age(ms), text);
});

test("the class of a row is its completeness, else that it is open; never more than is known", () => {
  assert.equal(words.classOf(null), "unknown");
  assert.equal(words.classOf(candle("", {status: "open", completeness: null})), "open");
  assert.equal(words.classOf(candle("", {status: "open", completeness: "gap"})), "gap");
  assert.equal(words.classOf(candle("", {status: "closed", completeness: null})), "unverifiable");
  assert.equal(words.classOf(candle("", {completeness: "a word of a later version"})), "unverifiable");
  for (const kind of ["complete", "quiet", "gap", "partial", "unverifiable"]) assert.equal(words.classOf(candle("", {completeness: kind})), kind);
});

test("what is missing is told, also when the number is not known", () => {
  assert.equal(words.missingOf(candle("")), null);
  assert.equal(words.missingOf(candle("", {completeness: "gap", missing: 1})), "at most 1 trade");
  assert.equal(words.missingOf(candle("", {completeness: "gap", missing: null})), "an unknown number of trades");
  const facts = Object.fromEntries(words.facts(candle("", {completeness: "gap", proof: "session", missing: null, held: 2, repaired: true, revision: 7})));
  assert.deepEqual(facts, {missing: "an unknown number of trades", proof: "session: the connection broke here", "held back": "2 trades in quarantine",
    repaired: "yes: a gap that touched it has ended", revision: "7, closed"});
  assert.match(words.sentenceOf(candle("2024-08-08T23:54:00Z", {completeness: "gap", missing: 3}), 60, 2), /23:54 – 23:55 UTC: gap\..*at most 3 trades.*close 1\.00/);
});

test("a comparison with the venue's candle speaks of one row, and of no other", () => {
  const book = new Reconciled(), at = "2024-08-08T23:54:00Z", start = words.seconds(at);
  const found = (more) => ({start: at, result: "equal", reason: null, difference: null, epoch: 1, revision: 4, ...more});
  book.add([found()]);
  assert.equal(words.venueText(book.of(start, candle(at, {revision: 4}))), "equal to the venue's own candle");
  for (const row of [candle(at, {revision: 5}), candle(at, {revision: 4, epoch: 2}), null, {implied: true}]) assert.equal(words.venueText(book.of(start, row)), null);
  assert.equal(book.of(start + 60, candle(at, {revision: 4})), null);
  book.add([found({reason: "rounding"})]);
  assert.match(words.venueText(book.of(start, candle(at, {revision: 4}))), /^equal .* but for the rounding/);
  book.add([found({result: "differs", reason: "gap", difference: "volume 1 here, 2 there"})]);
  assert.equal(words.venueText(book.of(start, candle(at, {revision: 4}))), "differs: volume 1 here, 2 there (gap)");
  // Windows without a row.
  book.add([found({result: "differs", reason: "missing here", epoch: 0, revision: 0})]);
  assert.equal(words.venueText(book.of(start, null)), "differs: one side has none (missing here)");
  assert.equal(words.venueText(book.of(start, candle(at))), null);
  book.add([found({revision: 0})]);
  assert.equal(words.venueText(book.of(start, {implied: true})), "equal to the venue's own candle");
});

test("the one word about the feed", () => {
  const instrument = {instrument: "binance:BTCUSDT", wanted: true};
  const pipeline = {state: "started", feeds: [{venue: "binance", connections: [{name: "binance-1", state: "live"}]}]};
  const base = {link: "open", instrument, pipeline, asOf: "2024-08-08T23:59:59Z", stale: false, quietFor: 300, holeNow: false};
  const word = (change) => words.feedState({...base, ...change}).word;
  assert.equal(word({}), "LIVE");
  assert.equal(word({holeNow: true}), "GAP");
  assert.equal(word({stale: true}), "STALE");
  assert.equal(word({stale: true, holeNow: true}), "STALE");
  assert.equal(word({stale: true, instrument: {...instrument, wanted: false}}), "RECORDED");
  assert.equal(word({instrument: {...instrument, wanted: false}}), "LIVE");
  assert.equal(word({pipeline: {...pipeline, state: "stopped"}}), "STOPPED");
  assert.equal(word({asOf: null}), "WAITING");
  assert.equal(word({asOf: null, stale: true}), "WAITING");
  for (const link of ["connecting", "waiting"]) assert.equal(word({link}), "RECONNECTING");
  const down = {...pipeline, feeds: [{venue: "binance", connections: [{name: "binance-1", state: "connecting"}]}]};
  assert.equal(words.feedState({...base, stale: true, quietFor: 12000, pipeline: down}).says, "Not live: nothing new has come for 12 s. binance-1 is connecting.");
  Object.assign(down.feeds[0].connections[0], {state: "waiting", trouble: "the venue answered 503", next_attempt: "2024-08-08T23:59:59.5Z"});
  assert.equal(words.feedState({...base, stale: true, quietFor: 12000, pipeline: down}).says,
    "Not live: nothing new has come for 12 s. binance-1 is waiting: the venue answered 503; next attempt at 23:59:59.");
});

test("of two rows with one key the greater (settled, epoch, revision) stays", () => {
  const open = candle("", {status: "open", completeness: null, revision: 9});
  for (const [next, last, stays] of [
    [candle(""), open, true], [open, candle(""), false],
    [candle("", {revision: 2}), candle(""), true], [candle("", {revision: 1}), candle("", {revision: 2}), false],
    [candle("", {epoch: 2, revision: 1}), candle("", {revision: 9}), true], [candle("", {completeness: "partial", epoch: 9}), candle(""), false],
    [candle(""), candle(""), true]]) assert.equal(replaces(next, last), stays);
});

test("candles stand by their start, whatever order they come in, and absent windows are unknown", () => {
  const book = new Candles(60);
  assert.deepEqual(book.merge([candle("1970-01-01T00:10:00Z")]), {lowest: 0, moved: false});
  assert.deepEqual(book.merge([candle("1970-01-01T00:13:00Z")]), {lowest: 3, moved: false});
  assert.deepEqual(book.rows.map((row) => row?.start ?? null), ["1970-01-01T00:10:00Z", null, null, "1970-01-01T00:13:00Z"]);
  assert.deepEqual(book.merge([candle("1970-01-01T00:11:00Z")]), {lowest: 1, moved: false});
  assert.deepEqual(book.merge([candle("1970-01-01T00:08:00Z")]), {lowest: 0, moved: true});
  assert.equal(book.begin, 480);
  assert.equal(book.newest, 780);
  assert.deepEqual(book.merge([candle("1970-01-01T00:13:00Z", {revision: 0})]), {lowest: -1, moved: false});
  assert.equal(book.tally(0, 99).unknown, 2);
  book.dropBefore(780);
  assert.deepEqual([book.begin, book.rows.length], [780, 1]);
});

test("windows without a row are what their neighbours imply, and never more than is known", () => {
  const gaps = new Gaps(), book = new Candles(1, gaps), at = (t, first, last, more) => candle(words.iso(t), {first_id: first, last_id: last, ...more});
  const kinds = () => book.rows.map(words.classOf).join(" ");
  book.merge([at(10, 1, 5)]);
  book.merge([at(13, 6, 9, {close: "7"})]);
  assert.equal(kinds(), "complete quiet quiet complete");
  assert.deepEqual([book.rows[1].close, book.rows[1].volume, book.rows[1].start], ["1", "0", "1970-01-01T00:00:11Z"]);
  // Ids lack: not known, until a gap says what they are.
  assert.deepEqual(book.merge([at(15, 12, 12)]), {lowest: 5, moved: false});
  assert.equal(kinds(), "complete quiet quiet complete unknown complete");
  const gap = {tape: "trade", era: 0, first_id: 10, last_id: 11, missing: 2, state: "open", from: words.iso(13), to: words.iso(15)};
  gaps.add([gap]);
  assert.equal(book.implyAll(), 4);
  assert.equal(kinds(), "complete quiet quiet complete gap complete");
  assert.deepEqual([book.rows[4].close, book.rows[4].missing], [null, 2]);
  assert.equal(gaps.missing(10e6, 16e6), 2);
  gaps.add([{...gap, state: "absent", missing: 0}]);
  assert.equal(book.implyAll(), 4);
  assert.equal(kinds(), "complete quiet quiet complete unknown complete");
  // A row that comes takes its place; what is beside it is judged anew.
  book.merge([at(12, 6, 6)]);
  assert.equal(kinds(), "complete quiet complete complete unknown complete");
  assert.deepEqual(book.merge([at(8, 1, 1)]), {lowest: 0, moved: true});
  assert.equal(kinds(), "complete unknown complete quiet complete complete unknown complete");
  // Rows without ids imply nothing.
  const bare = new Candles(1);
  bare.merge([at(10, null, null), at(12, null, null)]);
  assert.equal(bare.rows[1], null);
});

test("candles are bounded, and far away ones do not fill what lies between", () => {
  const book = new Candles(1, new Gaps(), 100);
  for (let i = 0; i < 150; ++i) book.merge([candle(words.iso(i))]);
  assert.deepEqual([book.begin, book.rows.length], [50, 100]);
  assert.deepEqual(book.merge([candle(words.iso(0))]), {lowest: -1, moved: false});
  assert.deepEqual(book.merge([candle(words.iso(1e6))]), {lowest: 0, moved: true});
  assert.deepEqual([book.begin, book.rows.length], [1e6, 1]);
});

test("a tally counts every class once", () => {
  const book = new Candles(60);
  const rows = [{}, {completeness: "quiet"}, {completeness: "gap", missing: 4}, {completeness: "gap", missing: 2}, {completeness: "partial", proof: null},
    {completeness: "unverifiable", proof: null}, {proof: "session", repaired: true}, {status: "open", completeness: null}];
  book.merge(rows.map((more, i) => candle(words.iso(i * 60), more)));
  const {whole, not, windows, repaired, open, proof} = book.tally(0, 7);
  assert.deepEqual({whole, not, windows, repaired, open, proof}, {whole: 3, not: 4, windows: 8, repaired: 1, open: 1, proof: {ids: 2, session: 1}});
});

test("trades: newest first, each once, bounded; those without an id are all kept", () => {
  const trade = (id, at) => ({era: 0, id, event_time: at});
  const tape = new Trades(3);
  tape.add([trade("8", "1970-01-01T00:00:01Z"), trade("9", "1970-01-01T00:00:01.5Z")]);
  tape.add([trade("9", "1970-01-01T00:00:01.5Z"), trade("10", "1970-01-01T00:00:01.5Z"), trade("7", "1970-01-01T00:00:00Z")]);
  assert.deepEqual(tape.rows.map((t) => t.id), ["10", "9", "8"]);
  const bare = new Trades(5);
  bare.add([trade(null, "1970-01-01T00:00:01Z"), trade(null, "1970-01-01T00:00:01Z")]);
  assert.equal(bare.rows.length, 2);
});

test("gaps: by key, open ones first; whether trades are missing right now", () => {
  const gap = (first, state, from, to) => ({tape: "trade", era: 0, first_id: first, last_id: first, state, from: words.iso(from), to: to === null ? null : words.iso(to)});
  const gaps = new Gaps();
  gaps.add([gap(1, "repaired", 500, 501), gap(2, "open", 100, 101), gap(3, "open", 200, 201)]);
  assert.deepEqual(gaps.sorted().map((g) => g.first_id), [3, 2, 1]);
  assert.equal(gaps.now(300e6), false);
  assert.equal(gaps.now(250e6), true);
  gaps.add([gap(3, "repaired", 200, 201)]);
  assert.equal(gaps.open().length, 1);
  assert.equal(gaps.now(250e6), false);
  for (const [from, to, missing] of [[0, 100, 0], [0, 101, 3], [101, 102, 3], [102, 500, 0]]) {
    gaps.byKey.forEach((one) => one.missing = 3);
    assert.equal(gaps.missing(from * 1e6, to * 1e6), missing, `${from} ${to}`);
  }
  gaps.add([gap(4, "open", 240, null)]);
  gaps.byKey.get("trade:0:4").last_id = null;
  assert.equal(gaps.missing(240e6, 241e6), null);
  assert.equal(gaps.now(9e9), true);
});

test("characters that hide or turn a text around are shown", () => {
  for (const [text, shown] of [["{\"p\":1.5}\n\tx", "{\"p\":1.5}\n\tx"], ["a\u202egnp.exe", "a⟨U+202E⟩gnp.exe"], ["\u0000\u001b[2J\r", "⟨U+0000⟩⟨U+001B⟩[2J⟨U+000D⟩"],
    ["\u200b\ufeff\u2066", "⟨U+200B⟩⟨U+FEFF⟩⟨U+2066⟩"], ["\\u202e é 名 \ufffd", "\\u202e é 名 \ufffd"]]) assert.equal(words.visible(text), shown);
  assert.equal(words.excerpt("a\n  b\u0000c", 20), "a b⟨U+0000⟩c");
  assert.equal(words.excerpt("abcdef", 3), "abc…");
});

// Of quarantine: `n` items, numbered from `first`.
const items = (n, more = {}, first = 0) => Array.from({length: n}, (_, i) => ({instrument: "binance:BTCUSDT", partition: 1, offset: first + i, ordinal: 0,
  reason: "unknown_kind", rule: "kind", attempts: 1, ...more}));
// As the interface answers: those without an instrument first, of one instrument the newest, and at most 2,000 more for a cursor.
const interfaceOf = (rows, asked = []) => async ({limit, cursor = "0", ...what}) => {
  asked.push({limit, ...what, ...(cursor === "0" ? {} : {cursor})});
  const fits = rows.filter((row) => Object.entries(what).every(([name, value]) => row[name] === value)), first = Number(cursor);
  if (what.instrument) return {rows: fits.slice(-limit), next: null};
  return {rows: fits.slice(first, first + limit), next: first + limit < fits.length ? String(first + limit) : null};
};

test("quarantine is looked through page by page, and no further than it must be", async () => {
  const rows = [...items(3, {instrument: null, reason: "syntax", rule: "syntax"}, 9000), ...items(4500), ...items(500, {reason: "rule", rule: "step"}, 5000)];
  const looked = async (choice, most) => {
    const asked = [], {rows: found, complete} = await walk(interfaceOf(rows, asked), {...kAny, ...choice}, most);
    return [found.length, complete, asked];
  };
  assert.deepEqual(await looked({}), [5003, true, [{limit: 2000}, {limit: 2000, cursor: "2000"}, {limit: 2000, cursor: "4000"}]]);
  assert.deepEqual(await looked({}, 4000), [4000, false, [{limit: 2000}, {limit: 2000, cursor: "2000"}]]);
  assert.deepEqual(await looked({}, 5003), [5003, true, [{limit: 2000}, {limit: 2000, cursor: "2000"}, {limit: 1003, cursor: "4000"}]]);
  assert.deepEqual(await looked({reason: "rule", rule: "step"}), [500, true, [{reason: "rule", rule: "step", limit: 2000}]]);
  assert.deepEqual(await looked({instrument: "binance:BTCUSDT", rule: "kind"}, 4501), [4500, true, [{instrument: "binance:BTCUSDT", rule: "kind", limit: 4501}]]);
  assert.deepEqual(await looked({instrument: "binance:BTCUSDT"}, 100), [100, false, [{instrument: "binance:BTCUSDT", limit: 100}]]);
  assert.deepEqual(await looked({instrument: ""}), [3, true, [{limit: 2000}]]);
  assert.deepEqual(tally(rows), [{reason: "unknown_kind", rule: "kind", items: 4500}, {reason: "rule", rule: "step", items: 500}, {reason: "syntax", rule: "syntax", items: 3}]);
});

test("what is replayed or dropped is named item by item where that can be said, else by what chooses it", () => {
  const some = items(2), many = items(2500), kind = {...kAny, reason: "unknown_kind"}, none = {...kAny, instrument: ""};
  const places = ["1/0/0", "1/1/0"];
  for (const choice of [kAny, kind, none]) assert.deepEqual(bodies(some, choice, {picked: false, complete: true}), [{items: places}]);
  assert.deepEqual(bodies(some, kAny, {picked: true, complete: true}), [{items: places}]);
  assert.deepEqual(bodies(many, kAny, {picked: false, complete: true}), [{all: true}]);
  assert.deepEqual(bodies(some, kAny, {picked: false, complete: false}), [{all: true}]);
  assert.deepEqual(bodies(many, {...kind, instrument: "binance:BTCUSDT"}, {picked: false, complete: true}), [{reason: "unknown_kind", instrument: "binance:BTCUSDT"}]);
  // The server cannot be asked for those without an instrument.
  for (const [choice, picked] of [[none, false], [kAny, true]])
    assert.deepEqual(bodies(many, choice, {picked, complete: false}).map((body) => [Object.keys(body).join(), body.items.length]), [["items", 1000], ["items", 1000], ["items", 500]]);
});

test("what became of items: gone, judged once more and still there, or not judged yet", () => {
  const sent = items(4), now = [{...sent[1], attempts: 2, rule: "another"}, sent[2], ...items(5, {}, 100)];
  assert.deepEqual(outcome(sent, now), {gone: 2, bad: 1, open: 1});
  assert.deepEqual(outcome(sent, []), {gone: 4, bad: 0, open: 0});
});

test("no text of others is ever read as HTML or as code", () => {
  const web = new URL("../../web/", import.meta.url);
  for (const file of readdirSync(web).filter((name) => name.endsWith(".js")))
    assert.doesNotMatch(readFileSync(new URL(file, web), "utf8"), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTML/, file);
  assert.doesNotMatch(readFileSync(new URL("index.html", web), "utf8"), /<style|style=|<script>|\son[a-z]+=/, "index.html: nothing inline");
});
