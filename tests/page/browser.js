// What the browser tests share: Debian's Chromium, and what no page may do: errors, requests to others, breaches of the policy.
import assert from "node:assert/strict";
import {existsSync} from "node:fs";

const kPlaces = [process.env.TRUETAPE_CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser"];
const kSkipped = 77;  // ctest's word for it

// The browser; without Chromium or its driver the whole program says so and ends as skipped, which is no pass.
export async function launch() {
  const executablePath = kPlaces.find((place) => place && existsSync(place));
  const driver = await import("playwright-core").catch(() => null);
  if (!executablePath || !driver) {
    console.log(`SKIPPED: ${executablePath ? "playwright-core" : "chromium"} is not installed, so NOTHING of the page was tested. ./dev setup test installs it.`);
    process.exit(kSkipped);
  }
  return driver.chromium.launch({executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"]});
}

// A page that keeps account. check(allowed): fails if anything was wrong but what `allowed` (a pattern) names.
export async function open(browser, url, {width = 1280, height = 800, ...more} = {}) {
  const page = await browser.newPage({viewport: {width, height}, reducedMotion: "reduce", ...more});
  const wrong = [], host = new URL(url).host;
  page.on("console", (message) => ["error"].includes(message.type()) && wrong.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`script: ${error.stack}`));
  page.on("request", (request) => {
    const to = new URL(request.url());
    if (to.protocol !== "data:" && to.host !== host) wrong.push(`request to another host: ${request.url()}`);
  });
  page.on("websocket", (socket) => new URL(socket.url()).host !== host && wrong.push(`stream from another host: ${socket.url()}`));
  await page.addInitScript(() => addEventListener("securitypolicyviolation",
    (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`)));
  await page.goto(url);
  page.check = (allowed = null) => assert.deepEqual(wrong.filter((text) => !allowed?.test(text)), []);
  return page;
}

// Until `what` answers without throwing; its last error otherwise.
export async function until(what, limit = 10000) {
  const end = performance.now() + limit;
  for (;;) {
    try {
      return await what();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await new Promise((done) => setTimeout(done, 60));
  }
}

export const text = (page, selector) => page.locator(selector).innerText();
export const says = (page, selector, pattern, limit) => until(async () => assert.match(await text(page, selector), pattern), limit);

// The strip's cells as a person sees them: start in Unix seconds, and class.
export const cells = (page) => page.$$eval("#strip .cell", (all) => all.map((cell) =>
  [Number(cell.dataset.start), cell.className.split(" ").filter((name) => !["cell", "picked", "thin"].includes(name)).join(" ")]));

// What the API says of the same windows.
export async function stripEqualsApi(page, origin, instrument, interval, least = 1) {
  await until(async () => {
    const answer = await (await fetch(`${origin}/api/v1/candles?instrument=${encodeURIComponent(instrument)}&interval=${interval}&limit=2000`)).json();
    const rows = new Map(answer.rows.map((row) => [Date.parse(row.start) / 1000, row]));
    // The page may have gone on meanwhile.
    const all = await cells(page), newest = Math.max(...rows.keys()), seen = all.filter(([start]) => start <= newest);
    // Seconds without a trade have no row: between ids that follow each other they are quiet.
    const neighbour = (start, step) => rows.get([...rows.keys()].filter((at) => (at - start) * step > 0).sort((a, b) => (a - b) * step)[0]);
    const implied = (start) => neighbour(start, -1)?.last_id + 1 === neighbour(start, 1)?.first_id ? "quiet" : "gap";
    const wanted = (start) => {
      const row = rows.get(start);
      return row ? (row.completeness ?? "open") + (row.repaired ? " repaired" : "") : implied(start);
    };
    assert.ok(seen.length >= least, `only ${seen.length} windows on screen`);
    assert.deepEqual(seen, seen.map(([start]) => [start, wanted(start)]));
    assert.equal(seen.at(-1)[0], newest, "the newest candle is on screen");
  });
}

// How many pixels of the chart have about the colour that style.css gives to a name.
export const coloured = (page, ...names) => page.evaluate((names) => {
  const probe = document.createElement("canvas").getContext("2d");
  const wanted = names.map((name) => {
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    probe.fillRect(0, 0, 1, 1);
    return probe.getImageData(0, 0, 1, 1).data;
  });
  let n = 0;
  for (const canvas of document.querySelectorAll("#canvas canvas")) {
    if (!canvas.width || !canvas.height) continue;
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) n += wanted.some((c) => Math.abs(data[i] - c[0]) + Math.abs(data[i + 1] - c[1]) + Math.abs(data[i + 2] - c[2]) < 12 && data[i + 3] > 200);
  }
  return n;
}, names);
