// What waits in quarantine, on the page: looked at, judged again, given up. In a real browser, against mock.js.
import assert from "node:assert/strict";
import {after, test} from "node:test";
import {launch, open, says, text, until} from "./browser.js";
import {Mock, heldItems} from "./mock.js";

const browser = await launch();
const mocks = [];
after(async () => {
  await browser.close();
  for (const mock of mocks) if (mock.server.listening) await mock.stop();
});
async function serve() {
  const mock = new Mock();
  mocks.push(mock);
  return {mock, url: `http://127.0.0.1:${await mock.start()}/`};
}
const live = (page) => says(page, "#state-word", /^LIVE$/);

const kEth = "binance:ETHUSDT";
const kUnread = {reason: "syntax", rule: "syntax", instrument: null, id: null, detail: "$: no JSON", raw: "{\"e\":\"trade\",\"s\":"};
// 120 of a kind, 7 whose instrument could not be read, 3 of another instrument.
const mixed = () => [...heldItems(120), ...heldItems(7, kUnread, 200), ...heldItems(3, {instrument: kEth, reason: "rule", rule: "step", attempts: 2}, 300)];
async function waits(url, options) {
  const page = await open(browser, url, options);
  await live(page);
  await page.getByRole("button", {name: "Look at the items"}).click();
  await says(page, "#waits-place", /as of/);
  return page;
}
const kindRows = (page) => page.locator("#waits-kinds tr").evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent).join(" ")));
const places = (page) => page.locator("#waits-list li[data-place]").evaluateAll((all) => all.map((item) => item.dataset.place));

test("nothing waits; and what does is counted by reason and rule beside the gaps", async () => {
  const {mock, url} = await serve();
  const empty = await waits(url);
  assert.equal(await text(empty, "#quarantine-count"), "nothing waits");
  assert.match(await text(empty, "#waits-place"), /^Nothing waits in quarantine, as of \d\d:\d\d:\d\d\.$/);
  assert.equal(await empty.locator("#waits-all").isVisible(), false);
  // Some come while it is looked at.
  mock.held = mixed();
  await empty.getByRole("button", {name: "Look again"}).click();
  await until(async () => assert.deepEqual(await kindRows(empty), ["unknown_kind kind 120", "syntax syntax 7", "rule step 3"]));
  empty.check();
  await empty.close();
  mock.held.push(...heldItems(2, {reason: "future", rule: "future"}, 400));
  const page = await open(browser, url);
  await says(page, "#quarantine-count", /^132 items$/);
  assert.deepEqual(await page.locator("#quarantine-kinds li").allInnerTexts(), ["120 unknown_kind (rule kind)", "7 syntax", "and 2 kinds more"]);
  mock.held = heldItems(1001);
  await page.reload();
  await says(page, "#quarantine-count", /^more than 1,000 items$/);
  await says(page, "#quarantine-kinds", /^of the first 1,000:\n1,000 unknown_kind \(rule kind\)$/);
  page.check();
  await page.close();
});

test("items by page, by reason, rule and instrument, and one with its bytes", async () => {
  const {mock, url} = await serve();
  mock.held = mixed();
  const page = await waits(url);
  await says(page, "#waits-place", /^1 – 50 of 130, as of/);
  assert.match(await page.locator("#waits-list li").first().innerText(), /2024-08-08 12:00:00\.000\s+instrument not readable\s+syntax\s+\{"e":"trade","s":/);
  const back = page.getByRole("button", {name: "Back"}), next = page.getByRole("button", {name: "Next"});
  assert.equal(await back.isDisabled(), true);
  await next.focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await says(page, "#waits-place", /^101 – 130 of 130/);
  // What has the focus can be used: the last page has no next one.
  assert.equal(await page.evaluate(() => document.activeElement.id), "waits-back");
  await page.keyboard.press("Enter");
  await says(page, "#waits-place", /^51 – 100 of 130/);

  await page.locator("#waits-instrument").selectOption(kEth);
  await says(page, "#waits-place", /^1 – 3 of 3/);
  assert.deepEqual(await places(page), ["0/4300/0", "0/4301/0", "0/4302/0"]);
  assert.equal(await text(page, "#waits-replay"), "Replay these 3 …");
  assert.match(await page.locator("#waits-list li").first().innerText(), /binance:ETHUSDT\s+rule \(rule step\), judged 2 times/);
  await page.locator("#waits-reason").selectOption("syntax");
  await says(page, "#waits-list", /^Nothing of that waits\.$/);
  assert.equal(await page.locator("#waits-replay").getAttribute("aria-disabled"), "true");
  await page.locator("#waits-instrument").selectOption({label: "not readable"});
  await says(page, "#waits-place", /^1 – 7 of 7/);
  await page.getByRole("button", {name: "unknown_kind", exact: true}).click();
  await says(page, "#waits-place", /^1 – 50 of 120/);
  assert.equal(await page.locator("#waits-rule").inputValue(), '"kind"');
  await page.getByRole("button", {name: "All", exact: true}).click();
  await says(page, "#waits-place", /^1 – 50 of 130/);

  // One item, by keyboard.
  await page.getByRole("button", {name: "unknown_kind", exact: true}).click();
  const item = page.locator("#waits-list li").nth(1);
  await item.getByRole("button").focus();
  await page.keyboard.press("Enter");
  await item.locator(".waits-details").waitFor();
  const details = await item.innerText();
  for (const part of [/why\s+\$\.data\.X: "NEW_KIND" is neither folded nor stored/, /rule\s+kind, version 1/, /id\s+70001/, /received\s+2024-08-08 12:00:01\.000/, /judged\s+1 time\n/,
    /place\s+0\/4001\/0/]) assert.match(details, part);
  assert.equal(await item.locator("pre").innerText(), mock.held.find((row) => row.offset === 4001).raw);
  await page.keyboard.press("Enter");
  await item.locator(".waits-details").waitFor({state: "detached"});
  page.check();
  await page.close();
});

test("a replay names how many, asks, and tells what became of them", async () => {
  const {mock, url} = await serve();
  mock.held = mixed();
  mock.bad = (row) => row.reason === "syntax";
  const page = await waits(url);
  // Cancelled, nothing is sent; the question has the focus, and gives it back.
  await page.locator("#waits-replay").focus();
  await page.keyboard.press("Enter");
  await says(page, "#sure-title", /^Replay 130 items\?$/);
  assert.deepEqual(await page.locator("#sure-kinds li").allInnerTexts(), ["120 unknown_kind (rule kind)", "7 syntax", "3 rule (rule step)"]);
  assert.equal(await page.evaluate(() => document.activeElement.id), "sure-no");
  await page.keyboard.press("Escape");
  await page.locator("#sure").waitFor({state: "hidden"});
  assert.equal(await page.locator("#waits").isVisible(), true);
  assert.equal(await page.evaluate(() => document.activeElement.id), "waits-replay");
  assert.deepEqual(mock.worked, []);

  await page.getByRole("button", {name: "Replay all 130"}).click();
  await page.getByRole("button", {name: "Replay", exact: true}).click();
  await says(page, "#waits-result", /^130 items sent: 123 out of quarantine, 7 still bad\.$/);
  assert.equal(await page.locator("#waits-result").getAttribute("aria-live"), "polite");
  assert.equal(mock.worked.length, 1);
  assert.equal(mock.worked[0].drop, false);
  assert.equal(mock.worked[0].items.length, 130);
  assert.deepEqual(await kindRows(page), ["syntax syntax 7"]);
  assert.match(await page.locator("#waits-list li").first().innerText(), /judged 2 times/);
  // The panel behind it knows.
  assert.equal(await text(page, "#quarantine-count"), "7 items");

  // More than can be named one by one: by what chooses them.
  mock.bad = () => false;
  mock.held.push(...heldItems(1500, {}, 1000));
  await page.getByRole("button", {name: "Look again"}).click();
  await page.getByRole("button", {name: "unknown_kind", exact: true}).click();
  await page.getByRole("button", {name: "Replay these 1,500"}).click();
  await says(page, "#sure-says", /What comes meanwhile and is chosen in the same way is among it\.$/);
  await page.getByRole("button", {name: "Replay", exact: true}).click();
  await says(page, "#waits-result", /^1,500 items sent: 1,500 out of quarantine, 0 still bad\.$/);
  assert.deepEqual(mock.worked.at(-1), {drop: false, reason: "unknown_kind", rule: "kind"});
  page.check();
  await page.close();
});

test("selected items are dropped, and no others; what cannot be is told", async () => {
  const {mock, url} = await serve();
  mock.held = mixed();
  mock.held.at(-1).cut = true;
  const page = await waits(url);
  await page.getByRole("button", {name: "rule", exact: true}).click();
  await says(page, "#waits-place", /^1 – 3 of 3/);
  await page.getByLabel("select this page").check();
  assert.equal(await text(page, "#waits-drop"), "Drop 3 selected …");
  await page.getByLabel("Select 0/4300/0").uncheck();
  assert.equal(await page.getByLabel("select this page").evaluate((box) => box.indeterminate), true);
  assert.equal(await text(page, "#waits-count"), "2 selected of 3");
  // One of them leaves before the question is put: it is not counted any more.
  mock.held.splice(mock.held.findIndex((row) => row.offset === 4301), 1);
  await page.locator("#waits-drop").click();
  await says(page, "#sure-title", /^Drop 1 item\?$/);
  await page.locator("#sure-no").click();
  await page.getByLabel("select this page").check();
  await page.locator("#waits-drop").click();
  await says(page, "#sure-title", /^Drop 2 items\?$/);
  await says(page, "#sure-says", /given up for good/);
  await page.getByRole("button", {name: "Drop", exact: true}).click();
  await says(page, "#waits-result", /^1 item sent: 1 dropped\. 1 item cannot be dropped: 0\/4302\/0: not all of its bytes are there\.$/);
  assert.deepEqual(mock.worked, [{drop: true, items: ["0/4300/0", "0/4302/0"]}]);
  assert.equal(mock.held.length, 128);
  page.check();
  await page.close();
});

test("errors are told in words, and nothing is lost by them", async () => {
  const {mock, url} = await serve();
  mock.held = mixed();
  mock.controlToken = "control";
  const page = await waits(url);
  mock.unreadable = "the store cannot be read";
  await page.getByRole("button", {name: "Look again"}).click();
  await says(page, "#waits-result", /^What waits could not be read: the store cannot be read$/);
  assert.match(await text(page, "#waits-place"), /of 130/);
  // Nor is anything replayed that could not be counted.
  await page.locator("#waits-replay").click();
  await says(page, "#waits-result", /the store cannot be read$/);
  assert.equal(await page.locator("#sure").isVisible(), false);
  mock.unreadable = null;

  // Who may only read is asked for the token that may change things.
  await page.locator("#waits-replay").click();
  await page.locator("#sure-yes").click();
  await says(page, "#sure-wrong", /^this needs the control token/);
  await page.getByLabel("Control token").fill("wrong");
  await page.keyboard.press("Enter");
  await until(async () => assert.equal(mock.requests.filter((path) => path.endsWith("/replay")).length, 2));
  assert.deepEqual(mock.worked, []);
  await page.getByLabel("Control token").fill("control");
  await page.getByRole("button", {name: "Try again"}).click();
  await says(page, "#waits-result", /^130 items sent: 130 out of quarantine, 0 still bad\.$/);
  await says(page, "#waits-place", /^Nothing waits/);
  assert.equal(await page.evaluate(() => document.activeElement.id), "waits-again");
  // The server is gone.
  await mock.stop();
  await says(page, "#link", /reconnecting/);
  await page.getByRole("button", {name: "Look again"}).click();
  await says(page, "#waits-result", /^What waits could not be read: The server does not answer\.$/);
  await mock.start(mock.port);
  await live(page);
  await page.keyboard.press("Escape");
  await page.locator("#waits").waitFor({state: "hidden"});
  page.check(/status of (403|503)|WebSocket connection to .* failed|ERR_CONNECTION_REFUSED/);
  await page.close();
});

test("more than is looked through: said so, and still chosen, replayed and told", async () => {
  const {mock, url} = await serve();
  mock.held = [...heldItems(12000), ...heldItems(5, {instrument: kEth}, 20000)];
  const page = await waits(url);
  await says(page, "#waits-place", /^1 – 50 of more than 10,000, as of/);
  assert.equal(await text(page, "#waits-count"), "Of all, the first 10,000 are counted. Of these, the first 10,000 are listed.");
  assert.deepEqual(await kindRows(page), ["unknown_kind kind 10,000"]);
  await page.locator("#waits-replay").click();
  assert.equal(await text(page, "#waits-replay"), "Replay all, more than 10,000 …");
  await says(page, "#sure-title", /^Replay more than 10,000 items\?$/);
  await page.locator("#sure-no").click();
  // Of an instrument that is not among them.
  await page.locator("#waits-instrument").selectOption(kEth);
  await says(page, "#waits-place", /^1 – 5 of 5/);
  await page.locator("#waits-replay").click();
  await says(page, "#sure-title", /^Replay 5 items\?$/);
  await page.locator("#sure-yes").click();
  await says(page, "#waits-result", /^5 items sent\. Of what is chosen here none waits now\.$/);
  await page.getByRole("button", {name: "All", exact: true}).click();
  await says(page, "#waits-place", /more than 10,000/);
  await page.locator("#waits-replay").click();
  await page.locator("#sure-yes").click();
  await says(page, "#waits-result", /^12,000 items sent\. Of what is chosen here none waits now\.$/);
  assert.deepEqual(mock.worked.at(-1), {drop: false, all: true});
  page.check();
  await page.close();
});

test("how many wait is asked for each half minute, and not while the server is away", async () => {
  const {mock, url} = await serve();
  const page = await open(browser, url), asked = [];
  await page.clock.install();
  page.on("request", (request) => request.url().includes("/api/v1/quarantine") && asked.push(request.url()));
  await page.reload();
  await live(page);
  await says(page, "#quarantine-count", /^nothing waits$/);
  assert.deepEqual(asked, [`${url}api/v1/quarantine?limit=1000`]);
  mock.held = mixed();
  await page.clock.fastForward(30000);
  await says(page, "#quarantine-count", /^130 items$/);
  await mock.stop();
  await says(page, "#link", /reconnecting/);
  const before = asked.length;
  await page.clock.fastForward(30000);
  await page.clock.fastForward(30000);
  await mock.start(mock.port);
  await live(page);
  assert.equal(asked.length, before);
  page.check(/WebSocket connection to .* failed|ERR_CONNECTION_REFUSED/);
  await page.close();
});

test("bytes of others are text, and nothing in them hides; at 400 px all of it fits", async () => {
  const {mock, url} = await serve();
  const evil = `<img src=x onerror="document.title='owned'"><script>document.title = 'owned'</script>`;
  mock.held = [...heldItems(1, {...kUnread, detail: evil, raw: `${evil}\u202egnp.exe\u0000`}), ...heldItems(1, {instrument: "binance:<b>X</b>", id: evil, detail: evil, raw: evil.repeat(400)}, 9)];
  for (const colorScheme of ["light", "dark"]) {
    const page = await waits(url, {width: 400, height: 800, colorScheme});
    for (const button of await page.locator("#waits-list li > button").all()) await button.click();
    const first = page.locator("#waits-list li").first();
    assert.equal(await first.locator("pre").innerText(), `${evil}⟨U+202E⟩gnp.exe⟨U+0000⟩`);
    assert.match(await page.locator("#waits-list").innerText(), /binance:<b>X<\/b>/);
    await says(page, "#waits-list", /The first 20,000 of 3\d,\d{3} characters\./);
    assert.equal(await page.locator("#waits :is(img, script, pre b, .waits-details b)").count(), 0);
    assert.doesNotMatch(await page.title(), /owned/);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 400);
    assert.ok(await page.locator("#waits").evaluate((dialog) => dialog.scrollWidth <= dialog.clientWidth));
    for (const part of ["#waits-kinds", "#waits-choice", "#waits-replay", "#waits-drop", "#waits-list", "#waits-again"]) {
      const box = await page.locator(part).boundingBox();
      assert.ok(box.x >= 0 && box.x + box.width <= 400, part);
    }
    await page.locator("#waits-drop").click();
    await page.locator("#sure-yes").waitFor();
    const box = await page.locator("#sure").boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= 400);
    page.check();
    await page.close();
  }
});
