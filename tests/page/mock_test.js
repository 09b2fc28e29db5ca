// The page in a real browser, against a server that says exactly what the test wants (mock.js).
import assert from "node:assert/strict";
import {after, test} from "node:test";
import {cells, coloured, launch, open, says, stripEqualsApi, text, until} from "./browser.js";
import {Mock} from "./mock.js";

const kBtc = "binance:BTCUSDT";
const kOutage = /WebSocket connection to .* failed|ERR_CONNECTION_REFUSED/;  // what Chromium says of a server that is away

const browser = await launch();
const mocks = [];
after(async () => {
  await browser.close();
  for (const mock of mocks) if (mock.server.listening) await mock.stop();
});
async function serve(options) {
  const mock = new Mock(options);
  mocks.push(mock);
  const origin = `http://127.0.0.1:${await mock.start()}`;
  return {mock, origin, url: `${origin}/`};
}
const live = (page) => says(page, "#state-word", /^LIVE$/);

test("a newcomer sees what is live, what is complete and what is not", async () => {
  const {mock, origin, url} = await serve();
  const page = await open(browser, url);
  await live(page);
  await stripEqualsApi(page, origin, kBtc, "1m", 60);
  const seen = await cells(page);
  const count = (kind) => seen.filter(([, name]) => name.split(" ")[0] === kind).length;
  for (const kind of ["complete", "quiet", "gap", "partial", "unverifiable", "open"]) assert.ok(count(kind) > 0, kind);
  const whole = count("complete") + count("quiet"), not = count("gap") + count("partial") + count("unverifiable");
  await says(page, "#whole-count", new RegExp(`^${whole} of ${whole + not}$`));
  await says(page, "#not-count", new RegExp(`^${not}$`));
  assert.match(await text(page, "#not-says"), /3 with a gap \(37 trades missing\).*partial.*3 unverifiable/);
  assert.match(await text(page, "#whole-fine"), new RegExp(`${whole} proven by trade ids`));
  assert.match(await text(page, "#not-fine"), /1 gap of this instrument open, 1 candle still filling/);
  assert.match(await text(page, "#state-fine"), /As of ([\d-]+ )?\d\d:\d\d:\d\d UTC, \d.* · 1\/1 connected/);
  assert.match(await text(page, "#connections"), /binance-1 live, 6 of 6 streams/);
  assert.match(await text(page, "#bid"), /^[\d,]+\.\d\d × 1\.20417$/);
  assert.match(await page.title(), /^[\d,]+\.\d\d binance:BTCUSDT · LIVE · truetape$/);
  for (const kind of ["complete", "quiet", "open", "gap", "partial", "unverifiable", "repaired"]) assert.match(await text(page, ".legend"), new RegExp(kind));
  assert.match(await text(page, "footer"), /TradingView/);
  assert.equal(await page.locator('footer a[href="https://www.tradingview.com/"]').count(), 1);
  // Each cell stands under its bar, and cells do not overlap.
  const boxes = await page.$$eval("#strip .cell", (all) => all.map((cell) => cell.getBoundingClientRect()).map(({left, right}) => [left, right]));
  boxes.slice(1).forEach(([left], i) => assert.ok(left >= boxes[i][1] - 0.5, `cell ${i + 1}`));
  assert.ok(mock.requests.includes("/api/v1/pipeline"));
  page.check();
  await page.close();
});

test("candles are drawn, and move with the trades", async () => {
  const {mock, url} = await serve();
  const page = await open(browser, url);
  await live(page);
  await until(async () => assert.ok(await coloured(page, "up", "down") > 300));
  const state = async () => [await text(page, "#last"), await text(page, "#tape tr:first-child"), await page.locator("#strip").getAttribute("aria-valuetext")];
  const before = await state();
  await until(async () => (await state()).forEach((now, i) => assert.notEqual(now, before[i])));
  // What stands at the top is the server's newest trade, to the last digit.
  mock.stall(true);
  const trade = mock.market().trades.at(-1);
  await until(async () => {
    const [time, , price, quantity] = await page.locator("#tape tr:first-child td").allInnerTexts();
    assert.deepEqual([time, price.replace(",", ""), quantity], [trade.event_time.slice(11, 23).replace("Z", ".000").slice(0, 12), Number(trade.price).toFixed(2), trade.quantity]);
  });
  const newest = mock.candles(mock.market(), "1m", {limit: 1})[0];
  await until(async () => assert.match(await page.locator("#strip").getAttribute("aria-valuetext"),
    new RegExp(`close ${Number(newest.close).toLocaleString("en", {minimumFractionDigits: 2})}, volume ${newest.volume}\\.$`)));
  page.check();
  await page.close();
});

test("pointing at a window tells its proof, what is missing, held, repaired and its revision", async () => {
  const {origin, url} = await serve();
  const page = await open(browser, url);
  await stripEqualsApi(page, origin, kBtc, "1m", 60);
  const point = async (selector) => {
    const box = await page.locator(selector).first().boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y - 120);
  };
  await point("#strip .gap");
  await until(async () => assert.match(await text(page, "#card"), /^GAP\n/));
  const card = await text(page, "#card");
  for (const part of [/known to be missing/, /at most 12 trades/, /ids: the venue's trade ids jump here/, /held back\s+none/, /repaired\s+no/, /revision\s+1, closed/]) assert.match(card, part);
  // The comparison with the venue's own candles: equal, differs, nothing for a row that has changed since.
  const differs = /at the venue\s+differs: volume ([\d.]+|none) here, [\d.]+ there; trades (\d+|none) here, \d+ there; and 1 more \(gap\)/;
  await until(async () => assert.match(await text(page, "#card"), differs));
  await point("#strip .quiet");
  await until(async () => assert.match(await text(page, "#card"), /^QUIET\n[^]*at the venue\s+equal to the venue's own candle, but for the rounding of its quote volume/));
  await point("#strip .complete:not(.repaired)");
  await until(async () => assert.match(await text(page, "#card"), /^COMPLETE\n[^]*at the venue\s+equal to the venue's own candle\n/));
  // One of the newest, that nobody has compared yet.
  const last = await page.locator("#strip .complete").last().boundingBox();
  await page.mouse.move(last.x + last.width / 2, last.y - 120);
  await until(async () => assert.doesNotMatch(await text(page, "#card"), /at the venue/));
  assert.match(await text(page, "#card"), /^COMPLETE\n/);
  await point("#strip .complete");
  await until(async () => assert.match(await text(page, "#card"), /^COMPLETE\n[^]*Every trade of this window is in[^]*open, high\s+[\d,]+\.\d\d, [\d,]+\.\d\d/));
  // Each cell stands under its own bar: the library says which window is under the pointer, the strip has put the cell there.
  for (const k of [3, 20, 41, 66]) {
    const cell = page.locator("#strip .cell").nth(k), box = await cell.boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y - 60);
    const start = new Date(Number(await cell.getAttribute("data-start")) * 1000).toISOString();
    await until(async () => assert.ok((await text(page, ".card-time")).startsWith(`${start.slice(0, 10)} ${start.slice(11, 16)} – `), start));
  }
  await page.mouse.move(5, 5);
  await page.locator("#card").waitFor({state: "hidden"});
  page.check();
  await page.close();
});

test("a click on a window, or Enter, tells its life", async () => {
  const {mock, origin, url} = await serve();
  const page = await open(browser, url);
  await stripEqualsApi(page, origin, kBtc, "1m", 60);
  mock.stall(true);
  const box = await page.locator("#strip .gap").first().boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y - 120);
  await says(page, "#life", /Gap: at most 12 trades are missing\./);
  const life = await text(page, "#life");
  for (const part of [/binance:BTCUSDT 1m: gap/, /Because\s+rule 3: between two trades/, /12: first id 501 at [^]*, last id 512/, /11 by the stream, session f00d/,
    /1 from the file BTCUSDT-trades\.csv, 1 of them late/, /12 of the 24 ids between them are no trades here/, /ids 513 – 524: open, 12 missing/,
    /3: the first trade came, id 501\s+offset 41/, /14: closed: a trade past its end came\s+offset 57[^]*trades 1 → 12/, /SQLite: revision 14, the log's last one/,
    /5m: open, revision 99, rolled up now/, /offsets 30 to 59 were looked through/]) assert.match(life, part);
  const start = await page.locator("#strip .gap").first().getAttribute("data-start");
  assert.equal(new URL(mock.requests.filter((r) => r.startsWith("/api/v1/explain")).at(-1), origin).searchParams.get("start"),
    new Date(Number(start) * 1000).toISOString().replace(".000Z", "Z"));
  await page.keyboard.press("Escape");
  await page.locator("#life").waitFor({state: "hidden"});
  // By keyboard; and what the server refuses is said.
  await page.locator("#strip").focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Enter");
  await says(page, "#life", /Complete: every trade of the window is in the row\./);
  assert.match(await text(page, "#life"), /all 12 ids between them are trades here/);
  await page.getByRole("button", {name: "Close"}).click();
  await page.locator("#life").waitFor({state: "hidden"});
  mock.unexplained = "the store cannot be read";
  await page.locator("#strip").focus();
  await page.keyboard.press("Enter");
  await says(page, "#life", /the store cannot be read/);
  page.check(/503/);
  await page.close();
});

test("everything is reached by keyboard", async () => {
  const {origin, url} = await serve();
  const page = await open(browser, url);
  await stripEqualsApi(page, origin, kBtc, "1m", 60);
  const reached = [];
  for (let i = 0; i < 22; ++i) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.textContent));
  }
  for (const want of ["skip", "pick", "1s", "5m", "strip", "scroll", "gaps"]) assert.ok(reached.includes(want), `${want} is not in ${reached}`);
  // Along the strip by arrows; a screen reader hears the sentence.
  await page.locator("#strip").focus();
  await page.keyboard.press("ArrowLeft");
  const strip = page.locator("#strip");
  const at = Number(await strip.getAttribute("aria-valuenow"));
  assert.match(await strip.getAttribute("aria-valuetext"), /UTC: complete\. Every trade of this window is in\./);
  await page.locator("#card").waitFor();
  await page.keyboard.press("ArrowLeft");
  assert.equal(Number(await strip.getAttribute("aria-valuenow")), at - 1);
  await page.keyboard.press("Escape");
  await page.locator("#card").waitFor({state: "hidden"});
  // The instrument by "/", arrows and Enter.
  await page.keyboard.press("/");
  await until(async () => assert.deepEqual(await page.locator("#picks .pick-name").allInnerTexts(), [kBtc, "binance:ETHUSDT"]));
  await page.keyboard.type("eth");
  await page.keyboard.press("Enter");
  await stripEqualsApi(page, origin, "binance:ETHUSDT", "1m", 60);
  assert.match(page.url(), /#binance:ETHUSDT\/1m$/);
  await says(page, "#last", /^2,\d{3}\.\d\d$/);
  page.check();
  await page.close();
});

test("another interval", async () => {
  const {origin, url} = await serve();
  const page = await open(browser, `${url}#${kBtc}/5m`);
  await stripEqualsApi(page, origin, kBtc, "5m", 60);
  for (const interval of ["1s", "1h"]) {
    await page.getByRole("button", {name: interval, exact: true}).click();
    await stripEqualsApi(page, origin, kBtc, interval, 60);
    assert.equal(await page.locator('#intervals [aria-pressed="true"]').innerText(), interval);
  }
  page.check();
  await page.close();
});

test("older candles come when one scrolls to the left", async () => {
  const {mock, origin, url} = await serve();
  const page = await open(browser, url);
  await stripEqualsApi(page, origin, kBtc, "1m", 60);
  const older = () => mock.requests.filter((path) => /candles.*[?&]to=\d+/.test(path)).length;
  assert.equal(older(), 0);
  await page.locator("#strip").focus();
  for (let pages = 1; pages <= 2; ++pages) {
    // Nothing is asked for while the page before is still being drawn; each that is asked for is counted before it is there.
    await until(async () => {
      await page.keyboard.press("Home");
      assert.equal(older(), pages);
    });
    await until(async () => assert.ok(Number(await page.locator("#strip").getAttribute("aria-valuemax")) >= 499 + pages * 400));
  }
  await page.keyboard.press("Home");
  await until(async () => assert.equal((await cells(page))[0][0], mock.market().candles["1m"][0].start / 1000));
  await page.getByRole("button", {name: "to the newest"}).click();
  await page.locator("#strip").blur();
  await stripEqualsApi(page, origin, kBtc, "1m", 60);
  page.check();
  await page.close();
});

test("prices that are apart on two venues stand beside the gaps, and nothing while there are none", async () => {
  const {mock, url} = await serve();
  const quiet = await open(browser, url);
  await live(quiet);
  assert.equal(await quiet.locator("#cross").isVisible(), false);
  quiet.check();
  await quiet.close();
  mock.apart = [
    {instrument_a: kBtc, instrument_b: "kucoin:BTC-USDT", from: "2024-08-08T12:00:05Z", to: null, greatest_percent: "1.2346", price_a: "100", price_b: "101.2346"},
    {instrument_a: kBtc, instrument_b: "kucoin:BTC-USDT", from: "2024-08-08T11:00:05Z", to: "2024-08-08T11:01:00Z", greatest_percent: "0.7000", price_a: "100", price_b: "99.3"}];
  const page = await open(browser, url);
  await live(page);
  await says(page, "#cross-list li.open", /^kucoin:BTC-USDT: apart by 1\.23 % \(100 and 101\.2346\), .*12:00:05 – now$/);
  await says(page, "#cross-list li.ended", /apart by 0\.70 % .*11:00:05 – 11:01:00$/);
  page.check();
  await page.close();
});

test("headlines, and how many by window and source", async () => {
  const {mock, origin, url} = await serve();
  const counted = (interval, start, source, headlines) => ({instrument: kBtc, source, interval, start, headlines});
  const headline = (id, event_time, url) => ({venue: "finnhub", id, event_time, headline: `Headline ${id} <b>`, source: "Yahoo", url, summary: "", related: kBtc});
  mock.headlines = [headline("1", "2024-08-08T11:59:00Z", "javascript:alert(1)"), headline("2", "2024-08-08T12:00:30Z", "https://news.test/2")];
  mock.headlineCounts = [counted("1m", "2024-08-08T11:59:00Z", "Yahoo", 1), counted("1m", "2024-08-08T12:00:00Z", "CNBC", 1), counted("1m", "2024-08-08T12:00:00Z", "<i>", 2),
    counted("1h", "2024-08-08T11:00:00Z", "Yahoo", 1201), counted("1h", "2024-08-08T23:00:00Z", null, 3)];
  const page = await open(browser, url);
  await live(page);
  await says(page, "#news-count", /^4 in the last hour$/);
  assert.match(await text(page, "#news"), /^Headline 2 <b>\s*Yahoo · 2024-08-08 12:00:30\s+Headline 1 <b>/);
  assert.deepEqual(await page.locator("#news a").evaluateAll((all) => all.map((link) => link.href)), ["https://news.test/2"]);
  const table = () => page.locator("#news-rows tr").evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
  await page.locator("#news-windows summary").focus();
  await page.keyboard.press("Enter");
  await until(async () => assert.deepEqual(await table(),
    [["08-08 12:00 – 12:01", "<i>", "2"], ["08-08 12:00 – 12:01", "CNBC", "1"], ["08-08 11:59 – 12:00", "Yahoo", "1"]]));
  assert.equal(await text(page, "#news-span"), "the last hour");
  await page.locator("#news-lengths").getByRole("button", {name: "1h"}).click();
  await until(async () => assert.deepEqual(await table(), [["08-08 23:00 – 00:00", "not named", "3"], ["08-08 11:00 – 12:00", "Yahoo", "1,201"]]));
  await says(page, "#news-span", /^the last 24 hours$/);
  const {searchParams} = new URL(mock.requests.findLast((path) => path.startsWith("/api/v1/news/counts") && path.includes("1h")), origin);
  assert.equal(searchParams.get("symbol"), kBtc);
  page.check();
  await page.close();
});

test("lost trades are a gap: in the word, the list, the strip and the count; and then repaired", async () => {
  const {mock, origin, url} = await serve();
  const page = await open(browser, url);
  await live(page);
  await says(page, "#gaps-count", /^1 open, 1 ended$/);
  const gap = mock.drop(17);
  await says(page, "#state-word", /^GAP$/);
  await says(page, "#gaps li:first-child", new RegExp(`OPEN[^]*ids ${gap.first_id} – ${gap.last_id} · 17 missing`, "i"));
  await says(page, "#gaps-count", /^2 open, 1 ended$/);
  await stripEqualsApi(page, origin, kBtc, "1m", 60);
  assert.ok((await cells(page)).slice(-2).some(([, name]) => name === "gap"));
  await says(page, "#not-says", /54 trades missing/);
  mock.repair(gap);
  await says(page, "#gaps-count", /^1 open, 2 ended$/);
  await live(page);
  await stripEqualsApi(page, origin, kBtc, "1m", 60);
  assert.ok((await cells(page)).slice(-2).some(([, name]) => name.endsWith(" repaired")));
  // A click on the older gap shows its place.
  await page.locator("#gaps li.open button").click();
  await page.locator("#card").waitFor();
  page.check();
  await page.close();
});

test("the newest candle stays on screen when windows without prices come before it", async () => {
  const {mock, origin, url} = await serve();
  const page = await open(browser, `${url}#${kBtc}/1s`);
  await live(page);
  await stripEqualsApi(page, origin, kBtc, "1s", 60);
  mock.stall(true);
  let silent = 0;
  await until(() => {
    silent += mock.silence();
    assert.ok(silent >= 7);
  }, 20000);
  await until(async () => assert.ok((await cells(page)).filter(([, name]) => name === "gap").length >= 7));
  mock.stall(false);
  await live(page);
  await stripEqualsApi(page, origin, kBtc, "1s", 60);
  assert.equal(await page.locator("#now").isVisible(), false);
  page.check();
  await page.close();
});

test("stale, stopped, and live again", async () => {
  const {mock, url} = await serve();
  const page = await open(browser, url);
  await live(page);
  mock.stall(true);
  await says(page, "#state-word", /^STALE$/);
  await says(page, "#state-says", /nothing new has come for \d/);
  assert.match(await page.title(), /STALE/);
  mock.stall(false);
  await live(page);
  mock.switchTo("stopped");
  await says(page, "#state-word", /^STOPPED$/);
  await says(page, "#connections", /idle/);
  mock.switchTo("started");
  await live(page);
  page.check();
  await page.close();
});

test("a lost message is noticed, and everything asked for anew", async () => {
  const {mock, origin, url} = await serve();
  const page = await open(browser, url);
  const warned = page.waitForEvent("console", (message) => /was expected/.test(message.text()));
  await live(page);
  mock.loseMessage();
  await warned;
  await stripEqualsApi(page, origin, kBtc, "1m", 60);
  const before = await text(page, "#tape tr:first-child");
  await until(async () => assert.notEqual(await text(page, "#tape tr:first-child"), before));
  await live(page);
  page.check();
  await page.close();
});

test("the server goes away and comes back: visible, and nothing is missing afterwards", async () => {
  const {mock, origin, url} = await serve();
  const page = await open(browser, `${url}#${kBtc}/1s`);
  await live(page);
  await stripEqualsApi(page, origin, kBtc, "1s", 60);
  mock.recent = 1;  // so few candles in a snapshot that what happens meanwhile must be asked for
  const last = (await cells(page)).at(-1)[0];
  await mock.stop();
  await says(page, "#state-word", /^RECONNECTING$/);
  await says(page, "#state-fine", /Try \d+ in/);
  assert.match(await text(page, "footer"), /reconnecting/);
  assert.ok((await cells(page)).length >= 60, "what was known stays on screen");
  await until(() => assert.ok(Date.now() / 1000 > last + 5));
  await mock.start(mock.port);
  await live(page);
  mock.stall(true);
  await stripEqualsApi(page, origin, kBtc, "1s", 60);
  page.check(kOutage);
  await page.close();
});

test("a server that is not ready, asks for a token, or has no instrument yet", async () => {
  const {mock, url} = await serve({instruments: [], token: "secret"});
  mock.ready = false;
  const page = await open(browser, url);
  await page.getByRole("heading", {name: "A token is needed"}).waitFor();
  await page.keyboard.type("secret");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", {name: "The server is not ready yet"}).waitFor();
  assert.match(await text(page, "#failed-says"), /the recent past is being read/);
  mock.ready = true;
  await page.getByRole("heading", {name: "No instrument yet"}).waitFor();
  await page.getByLabel("Instrument to follow").fill("binance:SOLUSDT");
  await page.getByRole("button", {name: "Follow"}).click();
  await live(page);
  await until(async () => assert.equal(await page.locator("#pick").inputValue(), "binance:SOLUSDT"));
  // Another token since: asked for again.
  mock.token = "another secret";
  for (const client of mock.clients) client.socket.destroy();
  await page.getByRole("heading", {name: "A token is needed"}).waitFor();
  await page.getByLabel("Token", {exact: true}).fill("another secret");
  await page.keyboard.press("Enter");
  await live(page);
  page.check(/status of (401|503)|WebSocket connection to .* failed/);
  await page.close();
});

test("names that look like HTML are shown as text", async () => {
  const evil = "binance:<img/src=x>";
  const {url} = await serve({instruments: [evil]});
  const page = await open(browser, url);
  await live(page);
  await page.locator("#pick").focus();
  await says(page, "#picks", /<img\/src=x>/);
  assert.equal(await page.evaluate(() => location.hash), "#binance:%3Cimg%2Fsrc%3Dx%3E/1m");
  await page.reload();
  await live(page);
  await until(async () => assert.equal(await page.locator("#pick").inputValue(), evil));
  assert.equal(await page.locator("img").count(), 1);  // the mark beside the name of the program
  page.check();
  await page.close();
});

test("at 400 px everything fits, in both colour schemes", async () => {
  const {origin, url} = await serve();
  const grounds = [];
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(browser, url, {width: 400, height: 800, colorScheme});
    await live(page);
    await stripEqualsApi(page, origin, kBtc, "1m", 20);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 400);
    for (const part of ["#state", ".whole", ".not", "#canvas", ".legend", ".tape", ".gaps", ".quarantine", "#connections"]) {
      const box = await page.locator(part).boundingBox();
      assert.ok(box.x >= 0 && box.x + box.width <= 400 && box.height > 10, part);
    }
    grounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
    page.check();
    await page.close();
  }
  assert.notEqual(grounds[0], grounds[1]);
});
