// The three answers at the top (what is live, what is complete, what is not), prices, and the connections below.
import {age, clock, compareDecimals, connectionTrouble, count, day, feedState, micros, price} from "./words.js";

const set = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};
const several = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
const listed = (parts) => parts.filter(Boolean).join(", ");

const kDay = 86400e6;  // µs

export class Header {
  constructor($) {
    this.$ = $;
    this.drawnAt = 0;
  }

  drawnSince(ms) { return performance.now() - this.drawnAt < ms; }

  draw(view, {row, decimals, seen, holeNow, quietFor}) {
    this.drawnAt = performance.now();
    const state = feedState({link: view.link.state, instrument: row, pipeline: view.pipeline, asOf: view.asOf, stale: view.stale,
      quietFor, holeNow});
    if (view.link.state === "connecting" && !this.everOpen) Object.assign(state, {word: "CONNECTING", says: "Asking the server."});
    if (view.link.state === "open") this.everOpen = true;
    this.state(view, state, quietFor);
    if (view.candles) this.complete(view, seen);
    this.prices(view, decimals, state);
    this.connections(view);
  }

  state(view, state, quietFor) {
    const $ = this.$;
    $("state").dataset.tone = state.tone;
    document.body.dataset.link = view.link.state;
    set($("state-word"), state.word);
    set($("state-says"), state.says);
    const today = view.asOf && view.asOf.startsWith(new Date().toISOString().slice(0, 10));
    let fine = view.asOf ? `As of ${today ? "" : `${day(view.asOf)} `}${clock(view.asOf)} UTC` : "";
    if (fine && !view.stale && Math.abs(Date.now() * 1000 - micros(view.asOf)) > kDay) fine += " (replay)";
    if (fine && state.tone !== "lost" && quietFor !== null && view.movedAt !== null) fine += `, ${age(quietFor)} ago`;
    const mine = view.pipeline?.feeds?.find((feed) => feed.venue === view.instrument?.split(":")[0])?.connections ?? [];
    if (mine.length && state.tone !== "lost")
      fine += `${fine ? " · " : ""}${mine.filter((c) => c.state === "live").length}/${mine.length} connected`;
    if (view.link.state === "waiting") {
      const wait = Math.max(0, view.link.retryAt - performance.now());
      fine = `${fine}${fine ? ". " : ""}Try ${view.link.tries + 1} in ${age(wait)}`;
    }
    set($("state-fine"), fine);
    set($("link"), view.link.state === "open" ? "" : "reconnecting … ");
  }

  complete(view, seen) {
    const $ = this.$;
    const n = seen ? view.candles.tally(seen.from, seen.to) : view.candles.tally(0, -1);
    const judged = n.windows - n.open;
    set($("whole-count"), judged ? `${count(n.whole)} of ${count(judged)}` : "");
    set($("whole-says"), !judged ? "No candle has closed yet." : !n.whole ? "No candle on screen is complete yet." :
      `${n.whole === judged ? "All closed candles" : "Closed candles"} on screen: ${listed([n.complete && several(n.complete, "complete", "complete"),
        n.quiet && `${count(n.quiet)} quiet`])}.`);
    const ids = (n.proof.ids ?? 0) + (n.proof.declared ?? 0) + (n.proof.overlap ?? 0);
    set($("whole-fine"), listed([ids && `${count(ids)} proven by trade ids`, n.proof.session && `${count(n.proof.session)} by an unbroken connection`,
      n.repaired && `${count(n.repaired)} repaired`]));

    const open = Math.max(view.gaps.open().length, view.instruments.get(view.instrument)?.open_gaps ?? 0);
    $("not").dataset.some = String(n.not + open > 0);
    set($("not-count"), judged ? (n.not ? count(n.not) : "none") : "");
    const at = (index) => view.candles.startAt(index) * 1e6, missing = n.gap ? view.gaps.missing(at(seen.from), at(seen.to + 1)) : 0;
    const lacking = missing === null ? " (an unknown number of trades missing)" : missing ? ` (${several(missing, "trade")} missing)` : "";
    set($("not-says"), n.not ? `On screen: ${listed([n.gap && `${count(n.gap)} with a gap${lacking}`, n.partial && `${count(n.partial)} partial`,
      n.unverifiable && `${count(n.unverifiable)} unverifiable`, n.unknown && `${count(n.unknown)} unknown`])}.` :
      n.windows ? "Of the candles on screen none is known to lack a trade." : "Nothing is known to be missing.");
    set($("not-fine"), listed([view.gapsLoaded && (open ? `${several(open, "gap")} of this instrument open` : "No gap of this instrument is open"),
      n.open && `${several(n.open, "candle")} still filling`]));
  }

  prices(view, decimals, state) {
    const $ = this.$;
    const last = view.trades.rows[0]?.price ?? view.ticker?.last ?? view.candles?.rows.findLast((one) => one?.close)?.close ?? null;
    if (last !== this.last && last !== null) {
      const turn = this.last && this.of === view.instrument ? compareDecimals(last, this.last) : 0;
      $("last").dataset.turn = turn > 0 ? "up" : turn < 0 ? "down" : "";
      this.last = last;
      this.of = view.instrument;
    }
    set($("last"), price(last, decimals));
    const {last: now, open: then} = view.ticker ?? {};
    const percent = now && then ? (Number(now) / Number(then) - 1) * 100 : null;
    set($("change"), percent === null ? "" : `${percent < 0 ? "−" : "+"}${Math.abs(percent).toFixed(2)} % in 24 h`);
    $("change").dataset.turn = percent === null ? "" : percent < 0 ? "down" : "up";
    const side = (name) => {
      const best = view.best;
      set($(name), best?.[name] ? `${price(best[name], decimals)} × ${price(best[`${name}_quantity`])}` : "–");
    };
    side("bid");
    side("ask");
    const title = view.instrument ? `${last ? `${price(last, decimals)} ` : ""}${view.instrument} · ${state.word} · truetape` : "truetape";
    if (document.title !== title) document.title = title;
  }

  connections(view) {
    const feeds = view.pipeline?.feeds ?? [];
    const text = JSON.stringify(feeds.map((f) => [f.venue, f.running, f.connections.map((c) => [c.name, c.state, c.streams, c.confirmed, c.trouble, c.next_attempt]), f.unknown]));
    if (text === this.told) return;
    this.told = text;
    const items = feeds.flatMap((feed) => [
      ...feed.connections.map((c) => [c.state, `${c.name} ${c.state}, ${c.confirmed} of ${several(c.streams, "stream")}${connectionTrouble(c)}`]),
      ...(feed.connections.length ? [] : [["idle", `${feed.venue}: no connection`]]),
      ...(feed.unknown ?? []).map((name) => ["waiting", `${name}: not in the venue's list`]),
    ]);
    if (!items.length) items.push(["idle", "no connection to a venue"]);
    this.$("connections").replaceChildren(...items.map(([state, words]) => {
      const out = document.createElement("li"), lamp = document.createElement("i");
      lamp.className = "lamp";
      out.dataset.state = state;
      out.append(lamp, words);
      return out;
    }));
  }
}
