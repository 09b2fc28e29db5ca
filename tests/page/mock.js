// A server that speaks docs/api.md with made-up data, for the browser test: what it says is what the page must show.
// It serves the page from web/, with the paths of src/serve/assets.cmake and the policy of src/serve/assets.h.
//
//   node tests/page/mock.js [PORT]     to look at the page while working on it
import {createHash} from "node:crypto";
import {readFileSync} from "node:fs";
import {createServer} from "node:http";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";

const here = dirname(fileURLToPath(import.meta.url)), root = join(here, "../..");
const kIntervals = {"1s": 1, "1m": 60, "5m": 300, "1h": 3600};
const kTypes = {html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8",
  mjs: "text/javascript; charset=utf-8", svg: "image/svg+xml"};

function assets() {
  const text = readFileSync(join(root, "src/serve/assets.cmake"), "utf8");
  const chart = /set\(page_chart (\S+)\)/.exec(text)[1];
  const list = /set\(page_files\s+([^)]*)\)/.exec(text)[1].trim().split(/\s+/);
  return new Map(list.map((entry) => entry.replace("${page_chart}", chart).split("=")).map(([path, file]) => [path, join(root, "web", file)]));
}
const policy = /kPagePolicy =\s*((?:"[^"]*"\s*)+)/.exec(readFileSync(join(root, "src/serve/assets.h"), "utf8"))[1].replace(/"\s*"|"|\n/g, "").trim();

const iso = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");
const round = (x, digits) => String(Number(x.toFixed(digits)));

// One instrument: a random walk, always the same for the same seed.
class Market {
  constructor(instrument, {seed, price, now, history = 1300}) {
    this.instrument = instrument;
    this.seed = seed;
    this.price = price;
    this.id = 1000000;
    this.candles = Object.fromEntries(Object.keys(kIntervals).map((i) => [i, []]));
    this.trades = [];
    this.gaps = [];
    this.asOf = now;
    this.stale = false;
    this.wanted = true;
    for (const [interval, seconds] of Object.entries(kIntervals)) {
      let p = price;
      const count = history, first = Math.floor(now / 1000 / seconds) * seconds - count * seconds;
      for (let k = 0; k < count; ++k) {
        const kind = this.kind(k, count), open = p;
        const swing = price * 0.0004 * Math.sqrt(Math.min(seconds, 900) / 60);
        p += (this.random() - 0.5) * 2 * swing;
        const row = this.row(interval, (first + k * seconds) * 1000, kind);
        if (kind === "quiet") {
          p = open;
          Object.assign(row, {open, high: open, low: open, close: open, volume: 0, trades: 0});
        } else if (!(kind === "gap" && k % 2)) {
          Object.assign(row, {open, close: p, high: Math.max(open, p) + this.random() * swing / 2, low: Math.min(open, p) - this.random() * swing / 2,
            volume: 2 + this.random() * 12, trades: 200 + Math.floor(this.random() * 900)});
        }
        this.candles[interval].push(row);
      }
    }
    this.gap(now - 26 * 60000, now - 24 * 60000, 37, "open");
    this.gap(now - 3 * 3600000, now - 3 * 3600000 + 9000, 5, "repaired");
  }
  random() {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
    return this.seed / 2 ** 32;
  }
  kind(k, count) {
    const back = count - k;
    if (k === 0) return "partial";
    if (back >= 24 && back <= 26) return "gap";
    if (back === 40 || back === 41 || back === 63) return "quiet";
    if (back >= 52 && back <= 54) return "unverifiable";
    if (back === 70) return "partial";
    return "complete";
  }
  row(interval, start, completeness) {
    return {instrument: this.instrument, tape: "trade", interval, start, open: null, high: null, low: null, close: null, volume: null,
      trades: null, status: completeness === null ? "open" : "closed", completeness, proof: {complete: "ids", quiet: "ids", gap: "ids"}[completeness] ?? null,
      repaired: completeness === "complete" && (start / 1000) % 7200 === 600, missing: completeness === "gap" ? 12 : completeness === null ? 0 : 0,
      held: 0, epoch: 1700000000, revision: 1};
  }
  gap(from, to, missing, state) {
    this.id += missing;
    this.gaps.push({instrument: this.instrument, tape: "trade", era: 0, first_id: this.id - missing, last_id: this.id - 1, from: iso(from),
      to: iso(to), state, reason: "missing_ids", missing: state === "open" ? missing : 0});
    return this.gaps.at(-1);
  }
  // A trade at venue time `ms`. Answers the changed candles by interval.
  trade(ms) {
    this.price *= 1 + (this.random() - 0.5) * 0.0002;
    const quantity = 0.001 + this.random() * 0.4;
    const trade = {instrument: this.instrument, tape: "trade", era: 0, id: String(this.id), first_id: this.id, last_id: this.id, event_time: iso(ms),
      receive_time: iso(ms + 3), price: round(this.price, 2), quantity: round(quantity, 5), taker_side: this.random() < 0.5 ? "buy" : "sell", kind: null, marks: null};
    ++this.id;
    this.trades.push(trade);
    if (this.trades.length > 200) this.trades.shift();
    const changed = {};
    for (const [interval, seconds] of Object.entries(kIntervals)) {
      const rows = this.candles[interval], start = Math.floor(ms / 1000 / seconds) * seconds * 1000;
      changed[interval] = [];
      while (rows.at(-1).start < start) {
        const last = rows.at(-1);
        if (last.status === "open") {
          Object.assign(last, {status: "closed", completeness: last.completeness ?? "complete", proof: "ids", revision: last.revision + 1});
          changed[interval].push(last);
        }
        const next = last.start + seconds * 1000, p = last.close ?? this.price;
        const row = this.row(interval, next, next < start ? "quiet" : null);
        if (next < start) Object.assign(row, {open: p, high: p, low: p, close: p, volume: 0, trades: 0});
        rows.push(row);
        if (next < start) changed[interval].push(row);
      }
      const row = rows.at(-1);
      if (row.open === null) Object.assign(row, {open: this.price, high: this.price, low: this.price, volume: 0, trades: 0});
      Object.assign(row, {high: Math.max(row.high, this.price), low: Math.min(row.low, this.price), close: this.price,
        volume: row.volume + quantity, trades: row.trades + 1, revision: row.revision + 1});
      changed[interval].push(row);
    }
    return {trade, changed};
  }
}
const wire = (row) => ({...row, start: iso(row.start), ...Object.fromEntries(["open", "high", "low", "close"].map((n) => [n, row[n] === null ? null : round(row[n], 2)])),
  volume: row.volume === null ? null : round(row.volume, 5)});

// Rows of quarantine: numbered from `first`, each as `what` has it.
export const heldItems = (n, what = {}, first = 0) => Array.from({length: n}, (_, i) => ({instrument: "binance:BTCUSDT", partition: 0, offset: 4000 + first + i,
  receive_time: iso(Date.UTC(2024, 7, 8, 12, 0, i)), id: String(70000 + first + i), reason: "unknown_kind", detail: "$.data.X: \"NEW_KIND\" is neither folded nor stored",
  rule: "kind", rule_version: 1, raw: JSON.stringify({e: "trade", s: "BTCUSDT", t: 70000 + first + i, p: "61602.02", q: "0.5", X: "NEW_KIND"}), ordinal: 0, attempts: 1, ...what}));

export class Mock {
  constructor({rate = 8, staleAfter = 1500, seed = 7, instruments = ["binance:BTCUSDT", "binance:ETHUSDT"], token = null, recent = 128} = {}) {
    Object.assign(this, {rate, staleAfter, token, recent});  // recent: candles of a snapshot
    const now = Date.now();
    const prices = [61602.02, 2683.5, 148.2];
    this.markets = new Map(instruments.map((name, i) => [name, new Market(name, {seed: seed + i, price: prices[i % 3], now})]));
    this.files = assets();
    this.state = "started";
    this.stalled = false;
    this.ready = true;
    this.held = [];
    this.bad = () => false;
    this.judging = 50;
    this.worked = [];  // bodies of calls that replay or drop
    this.clients = new Set();
    this.requests = [];
    this.lastTrade = now;
  }

  async start(port = 0) {
    this.server = createServer((request, response) => this.answer(request, response));
    this.server.on("upgrade", (request, socket) => this.upgrade(request, socket));
    await new Promise((done) => this.server.listen(port, "127.0.0.1", done));
    this.port = this.server.address().port;
    this.timer = setInterval(() => this.tick(), 1000 / this.rate);
    this.status = setInterval(() => this.tell(), 1000);
    return this.port;
  }
  async stop() {
    clearInterval(this.timer);
    clearInterval(this.status);
    for (const client of this.clients) client.socket.destroy();
    this.clients.clear();
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }
  market(name = "binance:BTCUSDT") { return this.markets.get(name); }

  // --- what the test lets happen ---
  stall(on) { this.stalled = on; }
  // Trades are lost: the next id jumps. The open candles become a gap.
  drop(missing) {
    const market = this.market(), now = Date.now();
    const gap = market.gap(this.lastTrade, now, missing, "open");
    this.send("gaps", market, [gap]);
    for (const interval of Object.keys(kIntervals)) {
      const row = market.candles[interval].at(-1);
      Object.assign(row, {completeness: "gap", proof: "ids", missing: (row.missing ?? 0) + missing, revision: row.revision + 1});
      this.send(`candles:${interval}`, market, [wire(row)]);
    }
    return gap;
  }
  repair(gap) {
    const market = this.market();
    Object.assign(gap, {state: "repaired", missing: 0});
    this.send("gaps", market, [gap]);
    for (const interval of Object.keys(kIntervals)) for (const row of market.candles[interval].slice(-5)) if (row.completeness === "gap") {
      const open = row === market.candles[interval].at(-1);
      Object.assign(row, {completeness: open ? null : "complete", status: open ? "open" : "corrected", missing: 0, repaired: true, revision: row.revision + 1});
      this.send(`candles:${interval}`, market, [wire(row)]);
    }
  }
  // Seconds that have begun without a trade become windows of a gap, without prices.
  silence() {
    const market = this.market(), rows = market.candles["1s"], sent = [];
    for (let start = rows.at(-1).start + 1000; start <= Date.now(); start += 1000) {
      rows.push(market.row("1s", start, "gap"));
      sent.push(rows.at(-1));
    }
    this.send("candles:1s", market, sent.map(wire));
    return sent.length;
  }
  loseMessage() { for (const client of this.clients) ++client.seq; }
  switchTo(state) {
    this.state = state;
    this.send("feeds", null, [this.pipeline()]);
  }

  // --- the present ---
  tick() {
    if (this.stalled || this.state === "stopped") return;
    const now = Date.now();
    for (const market of this.markets.values()) {
      const {trade, changed} = market.trade(now);
      market.asOf = now;
      this.send("trades", market, [trade]);
      for (const [interval, rows] of Object.entries(changed)) this.send(`candles:${interval}`, market, rows.map(wire));
      this.send("quotes", market, [this.best(market)]);
      if (market.stale) {
        market.stale = false;
        this.tellOne(market);
      }
    }
    this.lastTrade = now;
  }
  tell() {
    for (const market of this.markets.values()) {
      if (!market.stale && Date.now() - this.lastTrade > this.staleAfter) market.stale = true;
      else if (market.stale) continue;
      this.tellOne(market);
    }
  }
  tellOne(market) {
    for (const client of this.clients)
      if ([...client.wants].some((w) => w.endsWith(`|${market.instrument}`)))
        client.say({type: "status", instrument: market.instrument, as_of: iso(market.asOf), stale: market.stale});
  }
  send(channel, market, rows) {
    if (!rows.length) return;
    for (const client of this.clients) if (client.wants.has(`${channel}|${market?.instrument ?? ""}`))
      client.say({type: "update", channel, ...(market ? {instrument: market.instrument} : {}), rows});
  }

  // --- rows ---
  best(market) {
    return {instrument: market.instrument, kind: "best", bid: round(market.price - 0.01, 2), bid_quantity: "1.20417", ask: round(market.price, 2), ask_quantity: "0.73105"};
  }
  ticker(market) {
    return {instrument: market.instrument, kind: "ticker", last: round(market.price, 2), open: round(market.price * 0.985, 2), high: null, low: null};
  }
  pipeline() {
    const live = this.state === "started" ? (this.stalled ? "connecting" : "live") : "idle";
    return {state: this.state, intervals: Object.keys(kIntervals), behind: {process: 0, load: 0}, feeds: [{venue: "binance", at: iso(Date.now()), running: this.state === "started",
      clock_offset_ns: 0, unknown: [], connections: [{name: "binance-1", state: live, streams: 3 * this.markets.size, confirmed: 3 * this.markets.size, frames: 1204, bytes: 90210,
        connects: 1, failures: 0, last_frame: iso(Date.now()), witness: iso(Date.now())}]}]};
  }
  instruments() {
    return [...this.markets.values()].map((m) => ({instrument: m.instrument, base: m.instrument.slice(8, 11), quote: "USDT", name: `${m.instrument.slice(8, 11)}-USDT`,
      tick: "0.01", lot: "0.00001", status: "TRADING", tape: "trade", wanted: m.wanted, as_of: iso(m.asOf), stale: m.stale, open_gaps: m.gaps.filter((g) => g.state === "open").length}));
  }
  candles(market, interval, {to, limit = 500} = {}) {
    const rows = market.candles[interval].filter((row) => !to || row.start < to);
    return rows.slice(-limit).map(wire);
  }

  // As if `truetape reconcile` had run some windows ago: what is whole is equal, a gap differs.
  reconciled(market, interval) {
    const at = iso(market.asOf);
    return market.candles[interval].slice(0, -5).filter((row) => ["complete", "quiet", "gap"].includes(row.completeness)).map((row) => ({
      instrument: market.instrument, tape: "trade", interval, start: iso(row.start), result: row.completeness === "gap" ? "differs" : "equal",
      reason: row.completeness === "gap" ? "gap" : row.completeness === "quiet" ? "rounding" : null,
      difference: row.completeness === "gap" ? `volume ${row.volume === null ? "none" : round(row.volume, 5)} here, ${round(row.volume + 3.25, 5)} there; trades ${row.trades ?? "none"} here, ${row.trades + 12} there; high 1 here, 2 there` : null, detail: null,
      epoch: row.epoch, revision: row.revision, at}));
  }

  // As tests/app/explain_test.py has it from the real one, of this window.
  explanation(market, interval, start) {
    const row = market.candles[interval].find((r) => r.start === start), end = start + kIntervals[interval] * 1000;
    const trade = (id, at) => ({instrument: market.instrument, tape: "trade", era: 0, id: String(id), first_id: id, last_id: id, event_time: iso(at),
      receive_time: iso(at + 3), price: "61602.02", quantity: "0.5", taker_side: "buy", kind: null, marks: null});
    const gap = row.completeness === "gap", [first, last] = [trade(501, start + 1), trade(512, end - 1500)];
    return {instrument: market.instrument, tape: "trade", interval, start: iso(start), end: iso(end), standing: "row",
      says: gap ? "Gap: at most 12 trades are missing." : "Complete: every trade of the window is in the row.",
      rule: gap ? "rule 3: between two trades that are known ids are missing, and they may belong to the window" : "rule 2: one run of ids without a hole",
      row: wire(row), rolled_up: false,
      trades: {records: 12, counted: 12, late: 1, more: false, first, last, sources: [
        {way: "stream", source: "f00d", file: null, trades: 11, late: 0, first_id: 501, last_id: 511, first_receive_time: iso(start + 4), last_receive_time: iso(end - 1500)},
        {way: "file", source: "0123456789abcdef0123456789abcdef01234567", file: "BTCUSDT-trades.csv", trades: 1, late: 1, first_id: 512, last_id: 512, first_receive_time: null, last_receive_time: null}]},
      edges: {before: trade(500, start - 10), after: trade(gap ? 525 : 513, end + 10), between: gap ? 24 : 12, accounted: 12, contiguous: !gap},
      holes: gap ? [{gap: {...market.gaps[0], first_id: 513, last_id: 524, missing: 12, state: "open"}, came: 0, transitions: [{offset: 7, appended: iso(end), state: "open", missing: 12}]}] : [],
      more_holes: false, revisions_left_out: 0,
      revisions: [
        {revision: 3, offset: 41, appended: iso(start + 50), cause: "first_trade", why: "the first trade came, id 501", changes: [], row: wire(row)},
        {revision: 14, offset: 57, appended: iso(end + 20), cause: "past_end", why: "closed: a trade past its end came", changes: ["status open → closed", "trades 1 → 12"], row: wire(row)}],
      stores: [{store: "SQLite", verdict: "same", says: "revision 14, the log's last one", row: wire(row)}],
      upper: [{interval: "5m", rolled_up: true, row: {...wire(row), status: "open", completeness: null, revision: 99}}], progress: null,
      looked: {topic: "candles", partition: 1, oldest: 0, end: 90, from: 30, ranges: [{from: 30, to: 60}], cut: false, says: "topic candles, partition 1: offsets 30 to 59 were looked through"}};
  }

  // --- quarantine: as GET has it. Those without an instrument come first; of one instrument without a cursor the newest ---
  waiting(query) {
    const fits = (row) => ["reason", "rule", "instrument"].every((name) => !query.has(name) || row[name] === query.get(name));
    const all = this.held.filter(fits), limit = Number(query.get("limit") ?? 500), first = Number(query.get("cursor") ?? 0);
    if (query.has("instrument") && !query.has("cursor")) return {list: all.slice(-limit), next: null};
    all.sort((a, b) => (a.instrument ?? "").localeCompare(b.instrument ?? ""));
    return {list: all.slice(first, first + limit), next: first + limit < all.length ? String(first + limit) : null};
  }
  // What `bad` holds true of stays, judged once more; all else leaves, a moment later.
  judge({all, items, ...asked}, drop) {
    const place = (row) => `${row.partition}/${row.offset}/${row.ordinal}`;
    const chosen = this.held.filter((row) => (all || !items || items.includes(place(row))) && Object.entries(asked).every(([name, value]) => row[name] === value));
    const stuck = chosen.filter((row) => row.cut), sent = chosen.filter((row) => !row.cut);
    setTimeout(() => {
      for (const row of sent) if (!drop && this.bad(row)) row.attempts += 1;
      this.held = this.held.filter((row) => !sent.includes(row) || (!drop && this.bad(row)));
    }, this.judging);
    return {sent: sent.length, unusable: stuck.length, more: false, ...(stuck.length ? {why: `${place(stuck[0])}: not all of its bytes are there`} : {})};
  }

  // --- HTTP ---
  answer(request, response) {
    const url = new URL(request.url, "http://127.0.0.1");
    this.requests.push(url.pathname + url.search);
    const send = (status, body, headers = {}) => {
      response.writeHead(status, {"Content-Type": status < 400 ? "application/json" : "application/problem+json", ...headers});
      response.end(JSON.stringify(body));
    };
    const problem = (status, title, detail, headers) => send(status, {type: "about:blank", title, status, detail}, headers);
    const file = this.files.get(url.pathname);
    if (file) {
      response.writeHead(200, {"Content-Type": kTypes[file.split(".").at(-1)], "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"});
      return response.end(readFileSync(file));
    }
    if (this.token && request.headers.authorization !== `Bearer ${this.token}`) return problem(401, "Unauthorized", "a token is needed", {"WWW-Authenticate": "Bearer"});
    if (!this.ready) return problem(503, "Service Unavailable", "the recent past is being read", {"Retry-After": "1"});
    const market = this.markets.get(url.searchParams.get("instrument"));
    const rows = (list) => send(200, {as_of: market ? iso(market.asOf) : null, stale: market?.stale ?? false, rows: list, next: null});
    switch (`${request.method} ${url.pathname}`) {
      case "GET /api/v1/instruments": return rows(this.instruments());
      case "GET /api/v1/pipeline": return rows([this.pipeline()]);
      case "GET /api/v1/candles": {
        const interval = url.searchParams.get("interval");
        if (!market || !kIntervals[interval]) return problem(400, "Bad Request", `interval: "${interval}" is not built`);
        return rows(this.candles(market, interval, {to: Number(url.searchParams.get("to")), limit: Number(url.searchParams.get("limit") ?? 500)}));
      }
      case "GET /api/v1/reconciled": {
        const from = Number(url.searchParams.get("from")), to = Number(url.searchParams.get("to"));
        return rows(this.reconciled(market, url.searchParams.get("interval")).filter((row) => Date.parse(row.start) >= from && Date.parse(row.start) < to));
      }
      case "GET /api/v1/explain": {
        const interval = url.searchParams.get("interval"), start = Date.parse(url.searchParams.get("start"));
        if (this.unexplained) return problem(503, "Service Unavailable", this.unexplained, {"Retry-After": "1"});
        return send(200, this.explanation(market, interval, start));
      }
      case "GET /api/v1/gaps": return rows(market?.gaps ?? []);
      case "GET /api/v1/news": return rows(this.headlines ?? []);
      case "GET /api/v1/news/counts": return rows((this.headlineCounts ?? []).filter((row) => row.interval === url.searchParams.get("interval")));
      case "GET /api/v1/cross": return rows(this.apart ?? []);
      case "GET /api/v1/quarantine": {
        if (this.unreadable) return problem(503, "Service Unavailable", this.unreadable, {"Retry-After": "1"});
        const {list, next} = this.waiting(url.searchParams);
        return send(200, {as_of: null, stale: false, rows: list, next});
      }
      case "POST /api/v1/quarantine/replay":
      case "POST /api/v1/quarantine/drop": {
        let body = "";
        request.on("data", (part) => body += part).on("end", () => {
          if (this.controlToken && request.headers.authorization !== `Bearer ${this.controlToken}`)
            return problem(403, "Forbidden", "this needs the control token (serve.control_token)");
          const asked = JSON.parse(body), drop = url.pathname.endsWith("drop");
          this.worked.push({drop, ...asked});
          return send(202, this.judge(asked, drop));
        });
        return undefined;
      }
      case "POST /api/v1/instruments": {
        let body = "";
        request.on("data", (part) => body += part).on("end", () => {
          const name = JSON.parse(body).instrument;
          this.markets.set(name, new Market(name, {seed: 99, price: 100, now: Date.now(), history: 3}));
          this.send("instruments", null, this.instruments());
          send(202, {state: "wanted"});
        });
        return undefined;
      }
      default: return problem(404, "Not Found", `${url.pathname} is not there`);
    }
  }

  // --- WebSocket: just enough of RFC 6455 ---
  upgrade(request, socket) {
    const url = new URL(request.url, "http://127.0.0.1");
    if (url.pathname !== "/api/v1/stream" || (this.token && url.searchParams.get("token") !== this.token)) return socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
    const accept = createHash("sha1").update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    const client = {socket, seq: 0, wants: new Set(), say: (message) => client.write({...message, seq: ++client.seq}),
      write(message) {
        const text = Buffer.from(JSON.stringify(message)), n = text.length;
        const head = n < 126 ? Buffer.from([0x81, n]) : n < 65536 ? Buffer.from([0x81, 126, n >> 8, n & 255]) : Buffer.alloc(10);
        if (n >= 65536) {
          head[0] = 0x81;
          head[1] = 127;
          head.writeBigUInt64BE(BigInt(n), 2);
        }
        socket.write(Buffer.concat([head, text]));
      }};
    this.clients.add(client);
    let buffer = Buffer.alloc(0);
    socket.on("data", (data) => {
      buffer = Buffer.concat([buffer, data]);
      for (;;) {
        if (buffer.length < 6) return;
        const wide = (buffer[1] & 127) === 126, n = wide ? buffer.readUInt16BE(2) : buffer[1] & 127, at = wide ? 4 : 2;
        if (buffer.length < at + 4 + n) return;
        const mask = buffer.subarray(at, at + 4), body = Buffer.from(buffer.subarray(at + 4, at + 4 + n).map((b, i) => b ^ mask[i % 4]));
        const kind = buffer[0] & 15;
        buffer = buffer.subarray(at + 4 + n);
        if (kind === 8) return socket.end();
        if (kind === 1) this.request(client, JSON.parse(body.toString()));
      }
    });
    socket.on("error", () => {});
    socket.on("close", () => this.clients.delete(client));
  }
  request(client, {op, id, channels, instruments}) {
    const keys = channels.flatMap((c) => (instruments ?? [""]).map((i) => [c, i]));
    for (const [c, i] of keys) client.wants[op === "subscribe" ? "add" : "delete"](`${c}|${i}`);
    client.write({type: "ack", id, subscriptions: client.wants.size});
    if (op !== "subscribe") return;
    for (const [channel, instrument] of keys) {
      const market = this.markets.get(instrument);
      const rows = channel === "feeds" ? [this.pipeline()] : channel === "instruments" ? this.instruments() : channel === "trades" ? market.trades :
        channel === "gaps" ? market.gaps : channel === "quotes" ? [this.best(market), this.ticker(market)] : this.candles(market, channel.slice(8), {limit: this.recent});
      client.say({type: "snapshot", channel, ...(market ? {instrument, as_of: iso(market.asOf), stale: market.stale} : {}), rows});
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = new Mock();
  mock.held = [...heldItems(120), ...heldItems(7, {reason: "syntax", rule: "syntax", instrument: null, id: null, detail: "$: no JSON", raw: "{\"e\":\"trade\",\"s\":"}, 200),
    ...heldItems(3, {instrument: "binance:ETHUSDT", reason: "rule", rule: "step", attempts: 2, detail: "$.data.p: 2683.505 is no multiple of the tick 0.01"}, 300)];
  mock.bad = (row) => row.reason === "syntax";
  console.log(`http://127.0.0.1:${await mock.start(Number(process.argv[2] ?? 0))}/`);
  process.on("SIGINT", () => process.exit(0));
}
