// The WebSocket to the server: subscriptions that survive it, back-off, and a check that no message was lost.

const kFirstWait = 500, kLongestWait = 10000;  // ms between two tries, doubled each time, with jitter
const kSilence = 15000;                        // ms without a message after which the server is asked whether it lives

// url(): of the stream. probe(): a promise that fails if the server does not answer.
// onMessage(message): snapshots, updates, status, skipped. onLink({state, retryAt, tries}): "connecting", "open", "waiting".
// onRefused(detail): the server refused a subscription. onFresh(again): connected and subscribed, so what is asked
// for from then on misses nothing.
export class Stream {
  constructor({url, probe, onMessage, onLink, onRefused, onFresh}) {
    Object.assign(this, {url, probe, onMessage, onLink, onRefused, onFresh});
    this.wanted = new Map();  // name → {channels, instruments?}
    this.socket = null;
    this.sent = 0;            // id of the last request
    this.asked = new Map();   // id → name
    this.seq = 0;
    this.tries = 0;
    this.opened = 0;          // connections so far
    this.fresh = null;        // the last request of a new connection, until it is answered
    this.holes = 0;           // lost messages noticed so far
    this.timer = null;
    this.heard = 0;
    setInterval(() => this.watch(), 5000);
    addEventListener("online", () => this.socket || this.connect());
  }

  connect() {
    clearTimeout(this.timer);
    this.onLink({state: "connecting", tries: this.tries});
    const socket = this.socket = new WebSocket(this.url());
    socket.onopen = () => {
      this.seq = 0;
      this.heard = performance.now();
      const again = this.opened++ > 0;
      for (const name of this.wanted.keys()) this.ask("subscribe", name);
      this.fresh = this.wanted.size > 0 ? {id: this.sent, again} : null;
      if (!this.fresh) this.onFresh(again);
      this.onLink({state: "open", tries: this.tries});
    };
    socket.onmessage = (event) => this.take(JSON.parse(event.data));
    socket.onclose = () => this.lost(socket);
  }

  // Under a name, in place of what was subscribed under it before.
  subscribe(name, channels, instruments) {
    this.unsubscribe(name);
    this.wanted.set(name, {channels, instruments});
    this.ask("subscribe", name);
  }
  unsubscribe(name) {
    if (!this.wanted.has(name)) return;
    this.ask("unsubscribe", name);
    this.wanted.delete(name);
  }

  ask(op, name) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.asked.set(++this.sent, name);
    this.socket.send(JSON.stringify({op, id: this.sent, ...this.wanted.get(name)}));
  }

  take(message) {
    this.heard = performance.now();
    if (message.type === "ack" || message.type === "error") {
      this.asked.delete(message.id);
      if (message.type === "error") this.onRefused(message.detail);
      if (message.id === this.fresh?.id) {
        const {again} = this.fresh;
        this.fresh = null;
        this.onFresh(again);
      }
      return;
    }
    // A hole in the numbers: everything is asked for anew, so each subscription begins with a snapshot again.
    if (message.seq !== this.seq + 1) {
      ++this.holes;
      console.warn(`stream: message ${this.seq + 1} was expected, ${message.seq} came; subscribing anew`);
      this.seq = message.seq;
      for (const name of this.wanted.keys()) {
        this.ask("unsubscribe", name);
        this.ask("subscribe", name);
      }
    }
    this.seq = message.seq;
    this.tries = 0;  // only a server that speaks has been reached
    this.onMessage(message);
  }

  lost(socket) {
    if (this.socket !== socket) return;
    this.socket = null;
    this.asked.clear();
    const longest = Math.min(kLongestWait, kFirstWait * 2 ** this.tries++);
    const wait = longest / 2 + Math.random() * longest / 2;
    this.timer = setTimeout(() => this.connect(), wait);
    this.onLink({state: "waiting", retryAt: performance.now() + wait, tries: this.tries});
  }

  // A connection can die without a word. A silent one is given up if the server does not answer otherwise either.
  async watch() {
    const socket = this.socket;
    if (socket?.readyState !== WebSocket.OPEN || performance.now() - this.heard < kSilence) return;
    try {
      await this.probe();
    } catch {
      if (this.socket !== socket) return;
      socket.onclose = null;
      socket.close();
      this.lost(socket);
    }
  }
}
