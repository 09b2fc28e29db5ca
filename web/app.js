// The page: what is chosen, what has come, and when which part is drawn. All words are in words.js, all rows in book.js.
import {ApiError, get, post, setToken, streamUrl} from "./api.js";
import {Candles, Gaps, Reconciled, Trades} from "./book.js";
import {Chart} from "./chart.js";
import {CrossList} from "./cross.js";
import {GapList} from "./gaps.js";
import {NewsList} from "./news.js";
import {Header} from "./header.js";
import {Life} from "./life.js";
import {Picker} from "./picker.js";
import {Quarantine} from "./quarantine.js";
import {Stream} from "./stream.js";
import {Strip} from "./strip.js";
import {Tape} from "./tape.js";
import {decimalsOf, intervalSeconds, iso, micros, seconds} from "./words.js";

const $ = (id) => document.getElementById(id);
const kPage = 500;           // rows of one call
const kCrossEvery = 15000;   // ms between looks at other venues' prices
const kDefault = "1m";       // interval, if it is built
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// What is known and shown.
const view = {
  instruments: new Map(),    // rows of `instruments`
  pipeline: null,            // the row of `pipeline`
  intervals: [],
  instrument: null, interval: null,
  candles: null, reconciled: new Reconciled(), trades: new Trades(), gaps: new Gaps(), gapsLoaded: false, best: null, ticker: null,
  asOf: null, stale: true, movedAt: null,  // movedAt: this page's time when it saw as_of move; null: it has not
  link: {state: "connecting", tries: 0},
  loading: 0,                // counts what was chosen: answers for an earlier choice are dropped
  loaded: false,             // the first answer of that choice has come
  oldest: false,             // nothing older is there
};
const row = () => view.instruments.get(view.instrument) ?? null;
const tick = () => row()?.tick ?? null;
const decimals = () => decimalsOf(tick()) ?? decimalsOfRows();

// No symbol list: as many decimals as the newest trades show.
function decimalsOfRows() {
  const most = Math.max(-1, ...view.trades.rows.slice(0, 20).map((trade) => decimalsOf(trade.price)));
  return most < 0 ? null : most;
}

// --- drawing: parts that have changed ---

const kPace = 60;  // ms between two drawings of what came over the network; what follows the pointer is drawn each frame
const dirty = new Set();
let lowest = Infinity, moved = false, fit = false, framed = false, waiting = false, drawnAt = 0;
function redraw(...parts) {
  parts.forEach((part) => dirty.add(part));
  if (waiting || framed) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    frame();
  }, Math.max(0, drawnAt + kPace - performance.now()));
}
function redrawNow(part) {
  dirty.add(part);
  frame();
}
function frame() {
  if (framed) return;
  framed = true;
  requestAnimationFrame(() => {
    framed = false;
    flush();
  });
}
function flush() {
  const parts = new Set(dirty);
  dirty.clear();
  drawnAt = performance.now();
  if (parts.has("candles") && view.candles) {
    if (moved || fit || chart.candles !== view.candles) chart.show(view.candles, chartTick(), intervalSeconds(view.interval), fit);
    else chart.update(lowest);
    lowest = Infinity;
    moved = false;
    fit &&= !view.candles.rows.length;
    parts.add("strip").add("header");
  }
  strip.decimals = decimals();
  $("plot-note").hidden = !view.loaded || view.candles.rows.length > 0;
  $("plot-note").textContent = `No candle of ${view.interval} yet: the first comes with the first trade.`;
  if (parts.has("strip")) strip.draw();
  if (parts.has("strip")) $("now").hidden = chart.atRightEdge();
  if (parts.has("tape")) tape.draw(view.trades, decimals());
  if (parts.has("gaps")) gapList.draw(view.gaps, view.gapsLoaded);
  if (parts.has("instruments")) picker.set([...view.instruments.values()], view.instrument ?? "");
  if (parts.size > 1 || !parts.has("strip") || !header.drawnSince(200)) header.draw(view, {row: row(), decimals: decimals(), seen: chart.visible(), holeNow: view.gaps.now(micros(view.asOf)), quietFor: quietFor()});
}
const chartTick = () => tick() ?? (decimals() === null ? null : (10 ** -decimals()).toFixed(decimals()));

const chart = new Chart($("canvas"), {
  onView: () => redrawNow("strip"),
  onNear: () => older(),
  onPoint: (index) => strip.hover(index),
  onPick: (index) => explain(index),
});
const strip = new Strip($("strip"), $("card"), chart, {onMove: (index) => index < 30 && older(), onPick: (index) => explain(index), reconciled: (start, row) => view.reconciled.of(start, row)});
const tape = new Tape($("tape"), $("tape-note"));
const crossList = new CrossList($("cross"), $("cross-list"));
const newsList = new NewsList($("news-part"), $("news"), $("news-count"), $);
const quarantine = new Quarantine($, {away: () => view.link.state !== "open", instruments: () => view.instruments.keys()});
const gapList = new GapList($("gaps"), $("gaps-count"), {onPick: showGap});
const header = new Header($);
const picker = new Picker($("pick"), $("picks"), {onPick: (instrument) => choose(instrument, view.interval), onFollow: follow});
const life = new Life($("life"));
const stream = new Stream({
  url: streamUrl,
  probe: () => get("/api/v1/pipeline", {}, 5000),
  onMessage: take,
  onLink(link) {
    view.link = link;
    redraw("header");
    // A stream that is refused does not say why; the rest of the interface does.
    if (link.state === "waiting" && link.tries === 2) get("/api/v1/pipeline").catch((error) => error.status === 401 && lock());
  },
  onRefused: notice,
  onFresh(again) {
    if (again && view.instrument) load();
  },
});
$("now").addEventListener("click", () => chart.toNow());
setInterval(() => redraw("header"), 250);  // ages

function notice(text) {
  $("notice").textContent = text ?? "";
  $("notice").hidden = !text;
}

// Which of the page's big states is shown: "main", or the id of one of the others.
function stage(name) {
  document.body.dataset.stage = name;
  for (const id of ["empty", "locked", "failed"]) $(id).hidden = id !== name;
}

// --- what is known about the present ---

// ms since as_of moved, by this page's clock; if it never did here, by the venue's clock.
function quietFor() {
  if (view.movedAt !== null) return performance.now() - view.movedAt;
  if (!view.asOf) return null;
  const venue = view.instrument.split(":")[0];
  const offset = view.pipeline?.feeds?.find((feed) => feed.venue === venue)?.clock_offset_ns ?? 0;
  return Math.max(0, Date.now() + offset / 1e6 - micros(view.asOf) / 1000);
}
function heard(asOf, stale) {
  if (asOf === undefined) return;
  if (view.asOf !== null && asOf !== null && micros(asOf) > micros(view.asOf)) view.movedAt = performance.now();
  view.asOf = asOf;
  if (stale !== undefined) view.stale = stale;
}

// --- messages of the stream ---

function take(message) {
  const {type, channel, rows} = message;
  if (channel === "instruments") return takeInstruments(rows, type === "snapshot");
  if (channel === "feeds") return takePipeline(rows);
  if (type === "status") {
    const known = view.instruments.get(message.instrument);
    if (known) Object.assign(known, {as_of: message.as_of, stale: message.stale});
  }
  if (message.instrument !== view.instrument) return;
  if (type === "status") {
    heard(message.as_of, message.stale);
    return redraw("header", "instruments");
  }
  if (type === "skipped") {
    if (channel === "trades") view.trades.skipped += rows;
    return redraw("tape");
  }
  if (type === "snapshot") heard(message.as_of, message.stale);
  if (channel === `candles:${view.interval}`) return takeCandles(rows);
  if (channel === "trades") {
    view.trades.add(rows);
    return redraw("tape");
  }
  if (channel === "gaps") return takeGaps(rows);
  if (channel === "quotes") takeQuotes(rows);
}

function takeCandles(rows) {
  const done = view.candles.merge(rows);
  if (done.lowest < 0) return;
  lowest = Math.min(lowest, done.lowest);
  moved ||= done.moved;
  redraw("candles");
}
function takeGaps(rows) {
  view.gaps.add(rows);
  const changed = view.candles.implyAll();
  if (changed >= 0) lowest = Math.min(lowest, changed);
  redraw("gaps", changed >= 0 ? "candles" : "header");
}
function takeQuotes(rows) {
  for (const quote of rows) {
    if (quote.kind === "best") view.best = quote;
    else view.ticker = quote;
  }
  redraw("header");
}
function takeInstruments(rows, all) {
  if (all) view.instruments.clear();
  for (const one of rows) view.instruments.set(one.instrument, one);
  const mine = row();
  if (mine) heard(mine.as_of, mine.stale);
  if (!view.instrument && view.instruments.size) choose();
  redraw("instruments", "header");
}
// The row of `pipeline`, or some members of it, or what a single venue's feed says.
function takePipeline(rows) {
  const now = view.pipeline ??= {state: null, intervals: [], feeds: []};
  for (const row of rows) {
    if (row.venue) now.feeds = [...now.feeds.filter((feed) => feed.venue !== row.venue), row];
    else Object.assign(now, row);
  }
  if (now.intervals.join() !== view.intervals.join()) {
    view.intervals = now.intervals;
    drawIntervals();
  }
  redraw("header");
}

// --- choosing ---

// The address keeps what is shown: #binance:BTCUSDT/1m.
function fromAddress() {
  const cut = location.hash.lastIndexOf("/");
  const name = cut > 0 ? location.hash.slice(1, cut) : location.hash.slice(1);
  try {
    return [decodeURIComponent(name), cut > 0 ? location.hash.slice(cut + 1) : null];
  } catch {  // somebody's own address, not one of ours
    return [name, null];
  }
}
const toAddress = (instrument, interval) => `#${encodeURIComponent(instrument).replaceAll("%3A", ":")}/${interval}`;

// Nothing said: what the address says; else the liveliest.
function choose(instrument, interval) {
  if (!instrument) {
    const [asked, askedInterval] = fromAddress();
    if (asked && !view.instruments.has(asked)) notice(`${asked} is not known here.`);
    const rows = [...view.instruments.values()];
    const best = rows.find((one) => one.wanted && !one.stale) ?? rows.find((one) => one.wanted) ?? rows[0];
    instrument = view.instruments.has(asked) ? asked : best?.instrument;
    interval ??= askedInterval;
    if (!instrument) return stage("empty");
  }
  if (!view.intervals.includes(interval)) interval = view.intervals.includes(kDefault) ? kDefault : view.intervals[0] ?? kDefault;
  if (instrument === view.instrument && interval === view.interval) return;
  const other = instrument !== view.instrument;
  if (view.instrument) notice(null);
  if (other) {
    view.trades = new Trades();
    view.gaps = new Gaps();
    Object.assign(view, {gapsLoaded: false, best: null, ticker: null, asOf: null, stale: true, movedAt: null});
    const known = view.instruments.get(instrument);
    if (known) heard(known.as_of, known.stale);
  }
  Object.assign(view, {instrument, interval, candles: new Candles(intervalSeconds(interval), view.gaps), reconciled: new Reconciled(), loaded: false, oldest: false});
  fit = true;
  history.replaceState(null, "", toAddress(instrument, interval));
  stage("main");
  drawIntervals();
  if (other) stream.subscribe("market", ["trades", "quotes", "gaps"], [instrument]);
  stream.subscribe("candles", [`candles:${interval}`], [instrument]);
  load();
  redraw("candles", "tape", "gaps", "instruments", "header");
}

function drawIntervals() {
  $("intervals").replaceChildren(...view.intervals.map((interval) => {
    const out = document.createElement("button");
    out.type = "button";
    out.textContent = interval;
    out.setAttribute("aria-pressed", String(interval === view.interval));
    out.addEventListener("click", () => {
      choose(view.instrument, interval);
      [...$("intervals").children].find((b) => b.textContent === interval)?.focus();
    });
    return out;
  }));
}

async function follow(instrument) {
  try {
    await post("/api/v1/instruments", {instrument});
    notice(`${instrument} is followed from now on; it appears with its first record.`);
  } catch (error) {
    notice(`${instrument}: ${error.message}`);
  }
}

// --- REST: what was before the stream ---

async function load() {
  const turn = ++view.loading, {instrument, interval} = view, before = view.candles.newest;
  newsList.of(instrument);
  const mine = () => turn === view.loading;
  try {
    const [candles, gaps] = await Promise.all([
      get("/api/v1/candles", {instrument, interval, limit: kPage}), get("/api/v1/gaps", {instrument, limit: 200})]);
    if (!mine()) return;
    const first = candles.rows.length ? seconds(candles.rows[0].start) : null;
    view.oldest = candles.rows.length < kPage;
    view.gapsLoaded = true;
    takeCandles(candles.rows);
    takeGaps(gaps.rows);
    // While the page was away more has happened than one call gives: what was before would stand beside a hole.
    if (before !== null && first !== null && first > before + view.candles.length) {
      view.candles.dropBefore(first);
      moved = true;
    }
    view.loaded = true;
    redraw("candles", "gaps", "header");
    comparedOf(candles.rows);
    crossed();
  } catch (error) {
    if (mine() && error.status !== 0) notice(error.message);
    if (error.status === 401) lock();
  }
}

// Prices of the same pair on other venues: asked for now and then, since they only come when something is wrong.
async function crossed() {
  const {instrument} = view;
  if (instrument === null || view.link.state === "waiting") return;  // nobody is there
  try {
    const {rows} = await get("/api/v1/cross", {instrument});
    if (instrument === view.instrument) crossList.draw(rows, instrument);
  } catch (error) {
    if (error.status !== 0 && error.status !== 401) notice(error.message);  // the stream tells of these
  }
}
setInterval(crossed, kCrossEvery);

// What comparisons with the venue's own candles found of the windows in [from, to), Unix seconds.
async function compared(from, to) {
  const turn = view.loading, {instrument, interval} = view;
  let cursor = {};
  do {
    const answer = await get("/api/v1/reconciled", {instrument, interval, from: from * 1000, to: to * 1000, limit: 10000, ...cursor});
    if (turn !== view.loading) return;
    view.reconciled.add(answer.rows);
    cursor = answer.next ? {cursor: answer.next} : null;
  } while (cursor);
  redraw("strip");
}
// Nothing waits for it.
const lookCompared = (from, to) => compared(from, to).catch((error) => error.status > 0 && notice(`The venue's candles: ${error.message}`));
const comparedOf = (rows) => rows.length && lookCompared(seconds(rows[0].start), seconds(rows.at(-1).start) + view.candles.length);
// Somebody may have compared meanwhile.
setInterval(() => view.loaded && view.candles.rows.length && lookCompared(view.candles.begin, view.candles.newest + view.candles.length), 60000);

// Older candles, when the left edge comes near.
let fetching = false;
async function older() {
  if (fetching || view.oldest || !view.candles?.rows.length || !view.loaded) return;
  fetching = true;
  const turn = view.loading, {instrument, interval, candles} = view;
  try {
    const answer = await get("/api/v1/candles", {instrument, interval, limit: kPage, to: candles.startAt(0) * 1000});
    if (turn === view.loading) {
      view.oldest = answer.rows.length < kPage;
      takeCandles(answer.rows);
      comparedOf(answer.rows);
    }
  } catch (error) {
    if (turn === view.loading) notice(`Older candles: ${error.message}`);
    await sleep(2000);
  } finally {
    fetching = false;
  }
}

async function showGap(gap) {
  const at = Math.floor(seconds(gap.from) / view.candles.length) * view.candles.length;
  for (let tries = 0; tries < 20 && view.candles.begin > at && !view.oldest; ++tries) await older();
  const index = view.candles.indexOf(at);
  if (index < 0 || index >= view.candles.rows.length) return notice("That gap is older than the candles that are here.");
  chart.reveal(index);
  strip.select(index);
}

// The life of the window, in a dialog.
function explain(index) {
  if (index < 0 || index >= view.candles.rows.length) return;
  life.show(view.instrument, view.interval, iso(view.candles.startAt(index)), view.candles.length);
}

// --- beginning ---

function lock() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  stage("locked");
  $("token").focus();
}
$("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken($("token").value);
  begin();
});
$("follow").addEventListener("submit", (event) => {
  event.preventDefault();
  follow($("follow-name").value.trim());
});
addEventListener("hashchange", () => {
  const [instrument, interval] = fromAddress();
  if (view.instruments.has(instrument)) choose(instrument, interval);
});

async function begin() {
  for (;;) {
    try {
      const [instruments, pipeline] = await Promise.all([get("/api/v1/instruments"), get("/api/v1/pipeline")]);
      takePipeline(pipeline.rows);
      takeInstruments(instruments.rows, true);
      if (!view.instruments.size) stage("empty");
      break;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401) return lock();
      stage("failed");
      $("failed-title").textContent = error.status === 503 ? "The server is not ready yet" : error.status ? "The server refused" : "The server does not answer";
      $("failed-says").textContent = `${error.message} This page tries again by itself.`;
      await sleep(1000 * (error.retryAfter ?? 2));
    }
  }
  stream.subscribe("all", ["feeds", "instruments"]);
  stream.connect();
  quarantine.begin();
}
begin();
