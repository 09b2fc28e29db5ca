// 1-minute bars by tardis-dev's computeTradeBars from trades in the order of their arrival.
// usage: node tardis_bars.js TRADES.csv BARS.jsonl     prints the seconds and the CPU time that compute took, the trades in memory already
const fs = require('fs')
const path = require('path')
const { compute, computeTradeBars } = require(path.join(process.env.TRUETAPE_PEERS, 'node_modules', 'tardis-dev'))

const [trades, bars] = process.argv.slice(2)
const messages = fs
  .readFileSync(trades, 'utf8')
  .split('\n')
  .slice(1)
  .filter((line) => line !== '')
  .map((line) => {
    const [received, id, price, quantity, time, maker] = line.split(',')
    return {
      type: 'trade', symbol: 'BTCUSDT', exchange: 'binance', id, price: Number(price), amount: Number(quantity),
      side: maker === 'true' ? 'sell' : 'buy', timestamp: new Date(Number(time)), localTimestamp: new Date(Number(received))
    }
  })

async function* feed() {
  for (const message of messages) yield message
}

async function main() {
  const out = []
  const start = process.hrtime.bigint()
  const cpu = process.cpuUsage()
  for await (const message of compute(feed(), computeTradeBars({ kind: 'time', interval: 60_000 })))
    if (message.type === 'trade_bar') out.push(message)
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  const spent = process.cpuUsage(cpu) // of all threads, the collector's too
  fs.writeFileSync(
    bars,
    out.map((b) => JSON.stringify({ start: Math.floor(b.openTimestamp.valueOf() / 60_000) * 60_000, open: b.open, high: b.high, low: b.low, close: b.close, volume: b.volume, trades: b.trades }) + '\n').join('')
  )
  console.log(JSON.stringify({ seconds, cpu_seconds: (spent.user + spent.system) / 1e6, trades: messages.length }))
}
main()
