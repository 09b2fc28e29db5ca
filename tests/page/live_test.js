// The page as `truetape run` serves it, in a real browser, with the simulator in place of the venue: what a person sees must be
// what the interface says. Nothing here waits for a time: each step waits for what must come.
//
//   TRUETAPE=build/dev/truetape node tests/page/live_test.js
import assert from "node:assert/strict";
import {spawn} from "node:child_process";
import {mkdtempSync, rmSync} from "node:fs";
import {createServer} from "node:net";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {after, test} from "node:test";
import {createInterface} from "node:readline";
import {cells, coloured, launch, open, says, stripEqualsApi, text, until} from "./browser.js";

const kBinary = process.env.TRUETAPE ?? "build/dev/truetape";
const kBtc = "binance:BTCUSDT", kEth = "binance:ETHUSDT";
// Refused while it is gone; 503 while it reads what there is, just after its start.
const kOutage = /WebSocket connection to .* failed|ERR_CONNECTION_REFUSED|503 \(Service Unavailable\)/;

const browser = await launch();
const folder = mkdtempSync(join(tmpdir(), "truetape-page-"));
const processes = new Set();
after(async () => {
  await browser.close();
  for (const process of processes) {
    process.kill("SIGCONT");
    process.kill("SIGKILL");
  }
  rmSync(folder, {recursive: true, force: true});
});

function start(...words) {
  const process_ = spawn(kBinary, words, {stdio: ["ignore", "pipe", "pipe"]});
  processes.add(process_);
  process_.told = "";
  process_.ended = new Promise((done) => process_.on("close", (code) => {
    processes.delete(process_);
    done(code);
  }));
  process_.stderr.on("data", (data) => process_.told += data);
  return process_;
}
// The simulated venue: both symbols, and now and then a trade of BTCUSDT that is not sent.
async function venue() {
  const sim = start("sim", "--symbols", "BTCUSDT,ETHUSDT", "--rate", "60", "--shift", "now", "--seed", "5",
    "--fault", "drop,streams=btcusdt@trade,at=4s,every=9s,for=150ms");
  const line = await new Promise((done, failed) => {
    createInterface({input: sim.stdout}).once("line", done);
    sim.ended.then((code) => failed(new Error(`sim ended with ${code}: ${sim.told}`)));
  });
  const told = Object.fromEntries(line.split(" ").slice(1).map((part) => part.split("=")));
  return {process: sim, rest: told.rest, websocket: told.websocket};
}
const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const {port} = server.address();
    server.close(() => done(port));
  });
});
async function run(from, port, {instruments = [kBtc, kEth], data = "data", settings = []} = {}) {
  const out = start("run", ...instruments, "--data", join(folder, data), ...settings.flatMap((one) => ["--set", one]), "--set", `serve.port=${port}`, "--set", "serve.stale_after=2s", "--set", "backfill.enabled=no",
    "--set", `feed.binance.stream_url=${from.websocket}`, "--set", `feed.binance.rest_url=${from.rest}`);
  out.stdout.resume();
  await until(async () => {
    assert.equal(out.exitCode, null, `run ended: ${out.told}`);
    assert.equal((await fetch(`http://127.0.0.1:${port}/health/ready`)).status, 200);
  }, 60000);
  return out;
}

const port = await freePort(), origin = `http://127.0.0.1:${port}`;
const from = await venue();
let server = await run(from, port);
const page = await open(browser, `${origin}/#${kBtc}/1s`);
const api = async (path) => (await (await fetch(`${origin}/api/v1/${path}`)).json()).rows;

test("live: instruments, candles that move, and a strip that says what the interface says", async () => {
  await says(page, "#state-word", /^(LIVE|GAP)$/, 30000);
  await until(async () => assert.ok((await cells(page)).length >= 4), 30000);
  await stripEqualsApi(page, origin, kBtc, "1s");
  await until(async () => assert.ok(await coloured(page, "up", "down", "gap") > 50));
  const before = [await text(page, "#last"), (await cells(page)).at(-1)[0]];
  await until(async () => {
    assert.notEqual(await text(page, "#last"), before[0]);
    assert.ok((await cells(page)).at(-1)[0] > before[1]);
  });
  await page.keyboard.press("/");
  await until(async () => assert.deepEqual(await page.locator("#picks .pick-name").allInnerTexts(), [kBtc, kEth]));
  await page.keyboard.press("Escape");
  await says(page, "#connections", /binance-1 live, \d+ of \d+ streams/);
  await says(page, "#bid", /^[\d,.]+ × [\d.]+$/);
  assert.deepEqual(await page.locator("#intervals button").allInnerTexts(), (await api("pipeline"))[0].intervals);
  page.check();
});

// The list of open gaps is the interface's, and not empty.
const gapsEqualApi = (instrument) => until(async () => {
  const open = (await api(`gaps?instrument=${instrument}`)).filter((gap) => ["pending", "open", "progress"].includes(gap.state));
  assert.ok(open.length > 0);
  const shown = await page.locator("#gaps li.open").evaluateAll((all) => all.map((item) => Number(item.dataset.first)));
  assert.deepEqual(shown.sort(), open.map((gap) => gap.first_id).sort());
}, 30000);

test("trades that the venue did not send are a gap on the page", async () => {
  await gapsEqualApi(kBtc);
  await until(async () => assert.ok((await cells(page)).some(([, name]) => name === "gap")));
  await stripEqualsApi(page, origin, kBtc, "1s");
  await says(page, "#not-says", /\d+ with a gap \(\d+ trades? missing\)/);
});

test("another interval, another instrument", async () => {
  await page.getByRole("button", {name: "1m", exact: true}).click();
  await stripEqualsApi(page, origin, kBtc, "1m");
  await page.keyboard.press("/");
  await page.keyboard.type("eth");
  await page.keyboard.press("Enter");
  await stripEqualsApi(page, origin, kEth, "1m");
  await page.getByRole("button", {name: "1s", exact: true}).click();
  await stripEqualsApi(page, origin, kEth, "1s");
  await says(page, "#state-word", /^LIVE$/);
  await says(page, "#gaps-count", /^0 open, 0 ended$/);
  page.check();
});

test("the venue falls silent: stale; it speaks again: live", async () => {
  from.process.kill("SIGSTOP");
  await says(page, "#state-word", /^STALE$/, 20000);
  from.process.kill("SIGCONT");
  await says(page, "#state-word", /^LIVE$/, 40000);
  await stripEqualsApi(page, origin, kEth, "1s");
  page.check();
});

test("stopped and started by command", async () => {
  const post = async (path) => assert.equal((await fetch(origin + path, {method: "POST"})).status, 202);
  await post("/stop");
  await says(page, "#state-word", /^STOPPED$/, 20000);
  await post("/start");
  await says(page, "#state-word", /^(LIVE|GAP)$/, 40000);
  page.check();
});

test("the server is killed and started again: reconnecting, then live, with nothing missing on screen", async () => {
  server.kill("SIGKILL");
  await server.ended;
  await says(page, "#state-word", /^RECONNECTING$/);
  server = await run(from, port);
  await says(page, "#state-word", /^(LIVE|GAP)$/, 40000);
  await gapsEqualApi(kEth);  // what was missed meanwhile
  await stripEqualsApi(page, origin, kEth, "1s");
  page.check(kOutage);
});

test("what a rule with a bug holds is judged again on the page once the rule is mended, or given up", async () => {
  const bug = "rule.folded_kinds=RPI";  // trades without a kind make no candles any more: all are held
  const port = await freePort(), origin = `http://127.0.0.1:${port}`;
  const server = await run(from, port, {instruments: [kEth], data: "held", settings: [bug]});
  const waiting = async () => (await (await fetch(`${origin}/api/v1/quarantine?limit=10000`)).json()).rows;
  await until(async () => assert.ok((await waiting()).length >= 30), 60000);
  assert.equal((await fetch(`${origin}/stop`, {method: "POST"})).status, 202);  // so that the numbers stand still
  await until(async () => {
    const [{feeds, behind}] = (await (await fetch(`${origin}/api/v1/pipeline`)).json()).rows;
    assert.ok(feeds.every((feed) => feed.connections.every((connection) => connection.state === "idle")));
    assert.deepEqual(Object.values(behind).filter((records) => records !== 0), []);
  }, 40000);
  const held = await waiting();
  const page = await open(browser, `${origin}/#${kEth}/1s`);
  const n = held.length, amount = (count) => count.toLocaleString("en");
  await says(page, "#quarantine-count", new RegExp(`^${amount(n)} items$`));
  await page.getByRole("button", {name: "Look at the items"}).click();
  await says(page, "#waits-kinds", new RegExp(`unknown_kind\\s+kind\\s+${amount(n)}`));
  const first = page.locator("#waits-list li").first();
  await first.getByRole("button").click();
  assert.equal(await first.locator("pre").innerText(), held[0].raw);

  // Nothing is mended yet: it stays, once.
  const work = async (button, word) => {
    await page.locator(button).click();
    await page.locator("#sure").getByRole("button", {name: word, exact: true}).click();
  };
  await first.getByRole("checkbox").check();
  await work("#waits-replay", "Replay");
  await says(page, "#waits-result", /^1 item sent: 0 out of quarantine, 1 still bad\.$/, 40000);
  assert.deepEqual((await waiting()).map((row) => row.attempts).sort(), [...Array(n - 1).fill(1), 2]);
  await page.locator("#waits-list li").nth(1).getByRole("checkbox").check();
  await work("#waits-drop", "Drop");
  await says(page, "#waits-result", /^1 item sent: 1 dropped\.$/, 40000);
  assert.equal((await waiting()).length, n - 1);

  const mend = start("rules", "set", "--data", join(folder, "held"), "--set", bug, "rule.folded_kinds=-,MARKET,RPI");
  mend.stdout.resume();
  assert.equal(await mend.ended, 0, mend.told);
  await work("#waits-replay", "Replay");
  await says(page, "#waits-result", new RegExp(`^${amount(n - 1)} items sent: ${amount(n - 1)} out of quarantine, 0 still bad\\.$`), 60000);
  await says(page, "#waits-place", /^Nothing waits in quarantine/);
  assert.deepEqual(await waiting(), []);
  const trades = (await (await fetch(`${origin}/api/v1/trades?instrument=${kEth}&limit=10000`)).json()).rows;
  assert.deepEqual(trades.map((trade) => trade.id), held.map((row) => row.id).filter((id) => id !== held[1].id).sort((a, b) => a - b));
  // A page of another origin may do none of this.
  const foreign = await fetch(`${origin}/api/v1/quarantine/drop`, {method: "POST", headers: {Origin: "http://elsewhere.test"}, body: '{"all":true}'});
  assert.equal(foreign.status, 403);
  page.check();
  await page.close();
  server.kill("SIGTERM");
  assert.equal(await server.ended, 0, server.told);
});

test("the headers keep the page to this server", async () => {
  const answer = await fetch(`${origin}/`);
  assert.match(answer.headers.get("content-security-policy"), /default-src 'none'; script-src 'self'/);
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  const again = await fetch(`${origin}/page/app.js`, {headers: {"If-None-Match": (await fetch(`${origin}/page/app.js`)).headers.get("etag")}});
  assert.equal(again.status, 304);
  server.kill("SIGTERM");
  assert.equal(await server.ended, 0, server.told);
});
