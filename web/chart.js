// Candles and volume, drawn by Lightweight Charts; and where each window stands on the screen, for the strip.
// Numbers become doubles here, for drawing only.
import {CandlestickSeries, ColorType, HistogramSeries, LineSeries, createChart} from "./lightweight-charts.js";
import {classOf, completeness, decimalsOf, iso, price} from "./words.js";

const kStripHeight = 34;  // px, of the pane that the strip covers
const kMonths = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// What the axis writes at a mark; types are the library's TickMarkType.
function markText(time, type) {
  const at = new Date(time * 1000);
  if (type === 0) return String(at.getUTCFullYear());
  if (type === 1) return kMonths[at.getUTCMonth()];
  if (type === 2) return `${at.getUTCDate()} ${kMonths[at.getUTCMonth()]}`;
  return at.toISOString().slice(11, type === 4 ? 19 : 16);
}

export class Chart {
  // onView(): what is visible has changed. onNear(): the beginning of the data is near the left edge.
  // onPoint(index | null, x): the pointer is on a window. onPick(index): a click on one.
  constructor(place, {onView, onNear, onPoint, onPick}) {
    this.place = place;
    this.candles = null;
    this.chart = createChart(place, {
      autoSize: true,
      layout: {attributionLogo: false, fontSize: 11, panes: {enableResize: false}},
      rightPriceScale: {borderVisible: false},
      timeScale: {timeVisible: true, rightOffset: 3, minBarSpacing: 1.5, barSpacing: 9, borderVisible: false, tickMarkFormatter: markText},
      crosshair: {mode: 0},
      localization: {locale: "en-GB", timeFormatter: (time) => `${iso(time).slice(0, 19).replace("T", " ")} UTC`},
    });
    this.bars = this.chart.addSeries(CandlestickSeries, {borderVisible: true}, 0);
    this.volume = this.chart.addSeries(HistogramSeries,
      {priceFormat: {type: "volume"}, lastValueVisible: false, priceLineVisible: false}, 1);
    // Keeps the strip's pane open; it has no values.
    this.floor = this.chart.addSeries(LineSeries, {lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false}, 2);
    this.style();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.style();
      this.redraw();
    });

    const scale = this.chart.timeScale();
    scale.subscribeVisibleLogicalRangeChange((range) => {
      onView();
      if (range && this.candles?.rows.length && range.from < 30) onNear();
    });
    scale.subscribeSizeChange(onView);
    this.chart.subscribeCrosshairMove((at) => {
      if (this.pointing) return;  // the page moved it, not the pointer
      onPoint(at.point && at.logical !== undefined ? Math.round(at.logical) : null, at.point?.x ?? 0);
    });
    this.chart.subscribeClick((at) => at.point && at.logical !== undefined && onPick(Math.round(at.logical)));
    new ResizeObserver(() => {
      this.share();
      this.box = null;
      onView();
    }).observe(place);
  }

  // Colours are those of style.css.
  style() {
    const of = getComputedStyle(document.documentElement);
    const get = (name) => of.getPropertyValue(`--${name}`).trim();
    this.colour = Object.fromEntries(["up", "down", "up-soft", "down-soft", "gap", "gap-soft", "unsure", "unsure-soft", "text-soft", "line", "panel"]
      .map((name) => [name, get(name)]));
    this.chart.applyOptions({
      layout: {
        background: {type: ColorType.Solid, color: this.colour.panel}, textColor: this.colour["text-soft"],
        fontFamily: get("font"), panes: {separatorColor: this.colour.line, separatorHoverColor: this.colour.line},
      },
      grid: {vertLines: {color: this.colour.line}, horzLines: {color: this.colour.line}},
    });
    this.bars.applyOptions({upColor: this.colour.up, downColor: this.colour.down, borderUpColor: this.colour.up,
      borderDownColor: this.colour.down, wickUpColor: this.colour.up, wickDownColor: this.colour.down});
  }

  // Heights of the three panes: the strip's is fixed.
  share() {
    const rest = this.place.clientHeight - kStripHeight - 28;
    if (rest < 60) return;
    const [main, volume, strip] = this.chart.panes();
    main.setStretchFactor(rest * 0.8);
    volume.setStretchFactor(rest * 0.2);
    strip.setStretchFactor(kStripHeight);
  }

  bar(row, time) {
    if (!row || row.close === null) return [{time}, {time}];
    const open = Number(row.open), close = Number(row.close), up = close >= open;
    const kind = classOf(row);
    const out = {time, open, high: Number(row.high), low: Number(row.low), close};
    // What is not whole is hollow, in the colour that it has in the strip; an open candle is half filled.
    let soft = up ? this.colour["up-soft"] : this.colour["down-soft"];
    if (completeness[kind].whole === false) {
      const edge = kind === "unverifiable" ? this.colour.unsure : this.colour.gap;
      soft = kind === "unverifiable" ? this.colour["unsure-soft"] : this.colour["gap-soft"];
      Object.assign(out, {color: soft, borderColor: edge, wickColor: edge});
    } else if (kind === "open") {
      out.color = soft;
    }
    return [out, {time, value: Number(row.volume), color: soft}];
  }

  // Other candles, or the same after windows have moved. fit: show the newest again.
  show(candles, tick, seconds, fit) {
    this.candles = candles;
    const digits = decimalsOf(tick) ?? 2;
    this.bars.applyOptions({priceFormat: {type: "custom", minMove: tick ? Number(tick) : 10 ** -digits, formatter: (value) => price(value.toFixed(digits))}});
    this.chart.timeScale().applyOptions({secondsVisible: seconds % 60 !== 0});
    this.redraw();
    if (fit) {
      this.share();
      this.chart.timeScale().resetTimeScale();
      // Few candles stand wider, unless many more come soon.
      const room = this.chart.timeScale().width() / (candles.rows.length + 6);
      if (candles.rows.length) this.chart.timeScale().applyOptions({barSpacing: Math.max(9, Math.min(seconds < 60 ? 9 : 34, room))});
      this.chart.priceScale("right").applyOptions({autoScale: true});
    }
  }

  redraw() {
    const bars = [], volumes = [];
    this.candles?.rows.forEach((row, i) => {
      const [bar, volume] = this.bar(row, this.candles.startAt(i));
      bars.push(bar);
      volumes.push(volume);
    });
    this.bars.setData(bars);
    this.volume.setData(volumes);
    this.drawn = bars.length;
  }

  // Rows from `lowest` on have changed, none has moved: few are updated in place, many drawn anew.
  update(lowest) {
    if (lowest < 0) return;
    const rows = this.candles.rows;
    lowest = Math.min(lowest, this.drawn);  // windows that are not known take their place too
    const scale = this.chart.timeScale(), seen = scale.getVisibleLogicalRange(), before = this.drawn;
    this.redrawFrom(lowest, rows);
    // Who sees the newest goes on seeing it. The library sees to that only where it has prices.
    const added = this.drawn - before, now = scale.getVisibleLogicalRange();
    if (before > 0 && seen && now && seen.to >= before - 1 && Math.abs(now.to - seen.to - added) > 0.5)
      scale.setVisibleLogicalRange({from: seen.from + added, to: seen.to + added});
  }
  redrawFrom(lowest, rows) {
    if (rows.length - lowest > 50 || this.drawn === 0) return this.redraw();
    for (let i = lowest; i < rows.length; ++i) {
      const [bar, volume] = this.bar(rows[i], this.candles.startAt(i));
      this.bars.update(bar, i < this.drawn - 1);
      this.volume.update(volume, i < this.drawn - 1);
      this.drawn = Math.max(this.drawn, i + 1);
    }
  }

  // First and last index of the windows on screen, whole ones only; null without any.
  visible() {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range || !this.candles?.rows.length) return null;
    const from = Math.max(0, Math.ceil(range.from)), to = Math.min(this.candles.rows.length - 1, Math.floor(range.to));
    return from <= to ? {from, to} : null;
  }
  atRightEdge() {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    return !range || !this.candles?.rows.length || range.to >= this.candles.rows.length - 1;
  }
  x(index) { return this.chart.timeScale().logicalToCoordinate(index); }
  spacing() { return this.chart.timeScale().options().barSpacing; }
  width() { return this.chart.timeScale().width(); }
  // Where the strip's pane lies, relative to the chart's place; null before it is laid out.
  stripBox() {
    // Kept for as long as nothing changes its size: measuring makes the browser lay out the page.
    if (this.box && this.box.width === this.width() && performance.now() - this.box.at < 1000) return this.box;
    const row = this.chart.panes()[2]?.getHTMLElement();
    if (!row) return null;
    const box = row.getBoundingClientRect(), mine = this.place.getBoundingClientRect();
    return this.box = {top: box.top - mine.top, height: box.height, width: this.width(), at: performance.now()};
  }

  // Puts the crosshair on a window (from the keyboard), and takes it away.
  point(index) {
    const row = this.candles?.rows[index];
    this.pointing = true;
    if (row && row.close !== null) this.chart.setCrosshairPosition(Number(row.close), this.candles.startAt(index), this.bars);
    else this.chart.clearCrosshairPosition();
    this.pointing = false;
  }
  // Scrolls so far that the window is on screen.
  reveal(index) {
    const seen = this.visible();
    if (seen && index >= seen.from && index <= seen.to) return;
    const scale = this.chart.timeScale(), range = scale.getVisibleLogicalRange();
    const half = range ? (range.to - range.from) / 2 : 40;
    scale.setVisibleLogicalRange({from: index - half, to: index + half});
  }
  toNow() {
    const scale = this.chart.timeScale(), range = scale.getVisibleLogicalRange();
    if (!range) return;
    const to = this.candles.rows.length + 2;
    scale.setVisibleLogicalRange({from: to - (range.to - range.from), to});
  }
}
