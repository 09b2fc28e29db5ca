// What the log on Kafka is measured with; bench/kafka/measure.py calls it and starts brokers and workers. Each command
// prints one line of JSON for each number, after it has checked the content; wrong content ends it with 1.
//
//   topics BROKERS PREFIX PARTITIONS              made
//   fill BROKERS PREFIX TRADES INSTRUMENTS LATE   raw frames of the recording into raw; each LATE-th comes 2,000 later
//   check BROKERS PREFIX TRADES INSTRUMENTS       every trade once, no gap left open, every due candle right
//   work BROKERS PREFIX NAME MS INTERVALS LEAST   a worker, for so many seconds and until all of raw is processed; MS
//                                                 between commits, INTERVALS "": the default ones
//   copy BROKERS FROM TO GROUP ID MS RECORDS      a bare transactional copy of a topic, until RECORDS are committed
//   latency BROKERS PREFIX RATE WARM SECONDS      frames of now at a steady rate, until a committed candle holds each
//   restore BROKERS PREFIX RECORDS                state of so many keys, and how fast a worker has it back
#include <librdkafka/rdkafka.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <thread>

#include "batch/decoders.h"
#include "bench/truth.h"
#include "codec/wire.h"
#include "log/kafka/kafka_log.h"
#include "log/kafka/topics.h"
#include "log/read.h"
#include "market/rules.h"
#include "roles/process.h"

namespace truetape::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }
[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }
template <class T>
T must(Result<T> result) {
  if (!result) fail(result.error().detail);
  return std::move(*result);
}
void must(const Status& status) {
  if (!status) fail(status.error().detail);
}
double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return of(used.ru_utime) + of(used.ru_stime);
}
void say(const std::string& json) {
  std::printf("{%s}\n", json.c_str());
  std::fflush(stdout);
}
std::string field(const char* name, double value) {
  char text[96];
  std::snprintf(text, sizeof text, "\"%s\": %.6g", name, value);
  return text;
}

std::unique_ptr<KafkaLog> open(const std::string& brokers, const std::string& prefix, const std::string& worker = "") {
  KafkaOptions options;
  options.place = {brokers, prefix, {}};
  options.worker = worker;
  return must(open_kafka_log(options));
}

void append(Appender& to, std::int32_t partition, const Record& record) {
  while (!to.append(partition, record)) must(to.flush(milliseconds{2}));
}
void flush(Appender& to) {
  while (!must(to.flush(milliseconds{1000}))) {
  }
}

void fill(const std::string& brokers, const std::string& prefix, std::uint64_t trades, std::size_t instruments,
          std::uint64_t late) {
  constexpr std::uint64_t kChunk = 8'192, kDelay = 2'000;
  const auto log = open(brokers, prefix);
  const Dense dense;
  const Interleaved tape{dense, instruments};
  std::vector<std::size_t> partitions;
  for (const std::string& name : tape.names())
    partitions.push_back(static_cast<std::size_t>(partition_of(*Instrument::parse(name), log->partitions())));
  Session session{tape, partitions};
  const auto to = must(log->appender(topic::raw));
  Chunk chunk;
  std::uint64_t frames = 0;
  for (std::uint64_t done = 0; done < trades; done += kChunk) {
    chunk.build(session, done, std::min(trades, done + kChunk));
    // Delayed ones come within their chunk: its memory is used again.
    std::vector<std::pair<std::uint64_t, const Chunk::Entry*>> order;
    for (std::uint64_t i = 0; const Chunk::Entry& e : chunk.entries()) {
      const bool delayed = late > 0 && !e.value.empty() && ++frames % late == 0;
      order.emplace_back(delayed ? i + kDelay : i, &e);
      ++i;
    }
    std::ranges::stable_sort(order, {}, [](const auto& entry) { return entry.first; });
    for (const auto& [at, e] : order)
      append(*to, static_cast<std::int32_t>(e->partition), {e->key, e->value, e->headers});
  }
  flush(*to);
}

void check(const std::string& brokers, const std::string& prefix, std::uint64_t trades, std::size_t instruments,
           const std::string& intervals) {
  const auto log = open(brokers, prefix);
  const Dense dense;
  const Interleaved tape{dense, instruments};
  Rules rules;
  if (!intervals.empty()) must(set(rules, "intervals", intervals));
  Truth truth{tape, trades, rules.intervals};
  std::set<std::pair<std::string, std::uint64_t>> seen;
  std::map<std::string, GapState> gaps;
  std::uint64_t candles = 0, raw = 0;
  for (std::int32_t p = 0; p < log->partitions(); ++p) {
    const auto rows = [&](std::string_view topic, const std::function<void(const Stored&)>& each) {
      const TopicSpan span = must(log->span(topic, p));
      must(read_stretch(*log, {topic, p, span.oldest, span.end}, [&](const Stored& s) { return each(s), true; }));
    };
    rows(topic::trades, [&](const Stored& s) {
      const Trade t = must(wire::decode<Trade>(s.record.value));
      if (!seen.emplace(t.instrument.str(), t.order).second) fail("the trade " + t.id.str() + " is there twice");
    });
    rows(topic::candles, [&](const Stored& s) {
      ++candles;
      truth.take(must(wire::decode<Candle>(s.record.value)));
    });
    rows(topic::gaps, [&](const Stored& s) {
      const Gap g = must(wire::decode<Gap>(s.record.value));
      gaps[std::string{s.record.key}] = g.state;
    });
    rows(topic::quarantine, [&](const Stored&) { fail("a row in quarantine where all are sound"); });
    raw += static_cast<std::uint64_t>(must(log->span(topic::raw, p)).end);
  }
  if (seen.size() != trades) fail(std::to_string(seen.size()) + " trades, there were " + std::to_string(trades));
  for (const auto& [key, state] : gaps)
    if (state != GapState::repaired) fail("the gap " + key + " has not ended");
  if (const std::string wrong = truth.judge(); !wrong.empty()) fail(wrong);
  say(field("raw_records", static_cast<double>(raw)) + ", " + field("candle_records", static_cast<double>(candles)));
}

void work(const std::string& brokers, const std::string& prefix, const std::string& name, std::int64_t linger_ms,
          const std::string& intervals, double least) {
  const auto log = open(brokers, prefix, name);
  Rules rules;
  if (!intervals.empty()) must(set(rules, "intervals", intervals));
  const auto role = must(ProcessRole::open(*log, rules, all_decoders(), {.linger = milliseconds{linger_ms}}));
  Clock::time_point start{}, last{};
  double cpu = 0, used = 0;
  std::uint64_t records = 0, outputs = 0, states = 0, steps = 0, accepted = 0;
  const auto begun = Clock::now();
  for (auto looked = begun;;) {
    if (start == Clock::time_point{}) cpu = cpu_seconds();
    const auto before = Clock::now();
    must(role->step());
    const ProcessCounts did = role->take_counts();
    if (did.steps > 0) {
      if (start == Clock::time_point{}) start = before;  // what joining costs is not counted
      last = Clock::now();
      used = cpu_seconds() - cpu;
      steps += did.steps;
      records += did.records;
      outputs += did.outputs;
      states += did.state_changes;
      for (const auto& [venue, counts] : did.venues) accepted += counts.accepted;
    } else if (since(begun) >= least && Clock::now() - looked > milliseconds{100}) {
      looked = Clock::now();
      bool all = true;
      for (std::int32_t p = 0; p < log->partitions(); ++p)
        all = all && must(log->committed(p)) >= must(log->span(topic::raw, p)).end;
      if (all) break;
    }
  }
  const double taken = std::chrono::duration<double>(last - start).count();
  const auto n = static_cast<double>(accepted);
  if (accepted == 0) return say("\"trades\": 0");  // others had all partitions
  say(field("trades", n) + ", " + field("per_second", n / taken) + ", " + field("per_core_second", n / used) + ", " +
      field("cpu_us_per_trade", used * 1e6 / n) + ", " + field("seconds", taken) + ", " +
      field("steps", static_cast<double>(steps)) + ", " + field("records", static_cast<double>(records)) + ", " +
      field("outputs", static_cast<double>(outputs)) + ", " + field("state_changes", static_cast<double>(states)));
}

// The floor: what consuming, producing the same bytes and committing both costs without anything in between.
void copy(const std::string& brokers, const std::string& from, const std::string& to, const std::string& group,
          const std::string& id, std::int64_t every_ms, std::uint64_t records) {
  const auto make = [&](rd_kafka_type_t type, const std::vector<std::pair<std::string, std::string>>& properties) {
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    char why[256];
    const auto set = [&](const std::string& name, const std::string& value) {
      if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), why, sizeof why) != RD_KAFKA_CONF_OK) fail(why);
    };
    set("bootstrap.servers", brokers);
    set("socket.nagle.disable", "true");
    for (const auto& [name, value] : properties) set(name, value);
    rd_kafka_t* const out = rd_kafka_new(type, conf, why, sizeof why);
    if (out == nullptr) fail(why);
    return out;
  };
  const auto done = [](rd_kafka_error_t* error) {
    if (error != nullptr) fail(rd_kafka_error_string(error));
  };
  rd_kafka_t* const producer = make(RD_KAFKA_PRODUCER, {{"transactional.id", id},
                                                        {"linger.ms", "5"},
                                                        {"compression.type", "lz4"},
                                                        {"queue.buffering.max.messages", "1000000"}});
  rd_kafka_topic_t* const target = rd_kafka_topic_new(producer, to.c_str(), nullptr);
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(producer, 0, target, &metadata, 10'000)) fail("no metadata");
  rd_kafka_metadata_destroy(metadata);
  done(rd_kafka_init_transactions(producer, 60'000));
  rd_kafka_t* const consumer = make(RD_KAFKA_CONSUMER, {{"group.id", group},
                                                        {"group.instance.id", id},
                                                        {"enable.auto.commit", "false"},
                                                        {"auto.offset.reset", "earliest"},
                                                        {"fetch.wait.max.ms", "100"},
                                                        {"partition.assignment.strategy", "range"}});
  rd_kafka_poll_set_consumer(consumer);
  rd_kafka_topic_partition_list_t* const topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, from.c_str(), RD_KAFKA_PARTITION_UA);
  rd_kafka_subscribe(consumer, topics);
  std::uint64_t copied = 0;
  Clock::time_point start{};
  double cpu = 0;
  while (copied < records) {
    const auto until = Clock::now() + milliseconds{every_ms};
    std::map<std::int32_t, std::int64_t> next;
    std::uint64_t step = 0;
    while (step < 32'768) {
      const auto left = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
      rd_kafka_message_t* const message = rd_kafka_consumer_poll(consumer, static_cast<int>(std::max<long>(left, 0)));
      if (message == nullptr) {
        if (left <= 0) break;
        continue;
      }
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) fail(rd_kafka_message_errstr(message));
      if (start == Clock::time_point{}) {
        start = Clock::now();  // what joining costs is not counted
        cpu = cpu_seconds();
      }
      if (step++ == 0) done(rd_kafka_begin_transaction(producer));
      while (rd_kafka_produce(target, message->partition, RD_KAFKA_MSG_F_COPY, message->payload, message->len,
                              message->key, message->key_len, nullptr) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) fail("cannot produce");
        rd_kafka_poll(producer, 10);
      }
      next[message->partition] = message->offset + 1;
      rd_kafka_message_destroy(message);
    }
    if (step == 0) continue;
    rd_kafka_topic_partition_list_t* const offsets = rd_kafka_topic_partition_list_new(1);
    for (const auto& [p, offset] : next) rd_kafka_topic_partition_list_add(offsets, from.c_str(), p)->offset = offset;
    rd_kafka_consumer_group_metadata_t* const metadata_of_group = rd_kafka_consumer_group_metadata(consumer);
    done(rd_kafka_send_offsets_to_transaction(producer, offsets, metadata_of_group, -1));
    done(rd_kafka_commit_transaction(producer, -1));
    rd_kafka_consumer_group_metadata_destroy(metadata_of_group);
    rd_kafka_topic_partition_list_destroy(offsets);
    copied += step;
  }
  const double taken = since(start), used = cpu_seconds() - cpu;
  say(field("records", static_cast<double>(copied)) + ", " + field("per_second", static_cast<double>(copied) / taken) +
      ", " + field("per_core_second", static_cast<double>(copied) / used));
  std::fflush(stdout);
  std::_Exit(0);  // nothing is open; leaving the group is not measured
}

std::string percentiles(std::vector<double> ms) {
  std::ranges::sort(ms);
  const auto at = [&](double share) {
    return ms[std::min(ms.size() - 1, static_cast<std::size_t>(share * static_cast<double>(ms.size())))];
  };
  return field("p50_ms", at(0.5)) + ", " + field("p99_ms", at(0.99)) + ", " + field("max_ms", ms.back()) + ", " +
         field("trades", static_cast<double>(ms.size()));
}

// From the call that appends a trade's frame until a read_committed reader of this process has the first candle (of the
// shortest interval) that holds it, and until it has the trade itself.
void latency(const std::string& brokers, const std::string& prefix, double rate, double warm, double seconds) {
  const auto log = open(brokers, prefix);
  const Dense dense;
  const Interleaved tape{dense, 8};
  std::vector<std::int32_t> partitions;
  std::map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < tape.names().size(); ++i) {
    partitions.push_back(partition_of(*Instrument::parse(tape.names()[i]), log->partitions()));
    place[tape.names()[i]] = i;
  }
  const auto count = static_cast<std::uint64_t>(rate * (warm + seconds));
  const auto first_measured = static_cast<std::uint64_t>(rate * warm);
  std::vector<Clock::time_point> sent(count);
  std::atomic<std::uint64_t> appended{0};
  // Of each instrument the ids rise by one from 1; trade i is of instrument i % 8.
  const auto number = [](std::size_t instrument, std::uint64_t id) { return (id - 1) * 8 + instrument; };
  std::vector<double> of_trades, of_candles;
  std::string error;
  const auto follow = [&](std::string_view topic, std::vector<double>& times, const auto& covered) {
    try {
      auto reader = must(log->reader(topic, "", Share::all));
      for (const std::int32_t p : must(reader->poll(milliseconds{0})).assigned)
        must(reader->seek(p, must(log->span(topic, p)).end));
      std::vector<std::uint64_t> next(8, 1);  // by instrument: the first id not seen
      std::uint64_t seen = 0;
      while (seen < count) {
        const auto step = must(reader->poll(milliseconds{100}));
        const auto now = Clock::now();
        for (const Stored& s : step.records) {
          const auto [instrument, last] = covered(s);
          for (; next[instrument] <= last; ++next[instrument]) {
            const std::uint64_t i = number(instrument, next[instrument]);
            if (i >= first_measured) times.push_back(std::chrono::duration<double, std::milli>(now - sent[i]).count());
            ++seen;
          }
        }
        if (appended == count && step.records.empty() && since(sent[count - 1]) > 60)
          fail("only " + std::to_string(seen) + " of " + std::to_string(count) + " came by " + std::string{topic});
      }
    } catch (const std::exception& e) {
      error = e.what();
    }
  };
  std::thread trades{[&] {
    follow(topic::trades, of_trades, [&](const Stored& s) {
      const Trade t = must(wire::decode<Trade>(s.record.value));
      return std::pair{place.at(t.instrument.str()), t.order};
    });
  }};
  std::thread candles{[&] {
    follow(topic::candles, of_candles, [&](const Stored& s) {
      const Candle c = must(wire::decode<Candle>(s.record.value));
      return std::pair{place.at(c.instrument.str()), c.last_id.value_or(0)};
    });
  }};
  std::this_thread::sleep_for(milliseconds{1'500});  // both follow
  const auto to = must(log->appender(topic::raw));
  std::vector<std::uint64_t> seq(static_cast<std::size_t>(log->partitions()));
  std::string frame;
  const auto start = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto due = start + std::chrono::nanoseconds{static_cast<std::int64_t>(static_cast<double>(i) * 1e9 / rate)};
    while (Clock::now() < due) {
      must(to->flush(milliseconds{0}));
      std::this_thread::sleep_until(std::min(due, Clock::now() + milliseconds{1}));
    }
    const std::size_t k = i % 8;
    DenseTrade trade = dense.at(i);
    trade.id = i / 8 + 1;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    trade.time_ms = trade.sent_ms = std::chrono::duration_cast<milliseconds>(now).count();
    frame.clear();
    dense.spot_frame(trade, tape.symbols()[k], frame);
    const std::string received = std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
    const std::string numbered = std::to_string(++seq[static_cast<std::size_t>(partitions[k])]);
    const std::array<Header, 7> headers{{{header::kind, "frame"},
                                         {header::instruments, tape.names()[k]},
                                         {header::receive_time, received},
                                         {header::connection, "bench"},
                                         {header::session, "0123456789abcdef"},
                                         {header::seq, numbered},
                                         {header::clock_offset, "0"}}};
    sent[i] = Clock::now();
    append(*to, partitions[k], {tape.names()[k], frame, headers});
    appended = i + 1;
  }
  flush(*to);
  const double taken = since(start);
  trades.join();
  candles.join();
  if (!error.empty()) fail(error);
  say("\"of\": \"candles\", " + percentiles(of_candles) + ", " + field("rate", static_cast<double>(count) / taken));
  say("\"of\": \"trades\", " + percentiles(of_trades));
}

void restore(const std::string& brokers, const std::string& prefix, std::uint64_t records) {
  constexpr std::uint64_t kStep = 20'000;
  {
    const auto log = open(brokers, prefix, "w");
    const auto to = must(log->appender(topic::raw));
    const auto task = must(log->task());
    const std::string value(120, 's');
    std::uint64_t put = 0;
    while (put < records) {
      append(*to, 0, {"k", "v", {}});
      flush(*to);
      while (must(task->poll(milliseconds{5})).records.empty()) {
      }
      std::vector<std::string> keys;
      std::vector<StateChange> changes;
      for (std::uint64_t i = 0; i < kStep && put < records; ++i, ++put)
        keys.push_back("w:binance:BTCUSDT:trade:1s:" + std::to_string(put));
      for (std::size_t i = 0; i < keys.size(); ++i)
        changes.push_back({static_cast<std::int32_t>(i) % log->partitions(), keys[i], value});
      must(task->commit({}, changes));
    }
  }
  const auto log = open(brokers, prefix, "w");
  const auto start = Clock::now();
  const auto task = must(log->task());
  std::uint64_t there = 0;
  double first = 0;
  while (there < records) {
    const auto step = must(task->poll(milliseconds{5}));
    for (const Task::Assigned& assigned : step.assigned) there += assigned.state.size();
    if (first == 0 && !step.assigned.empty()) first = since(start);
    if (since(start) > 300) fail("the state does not come back");
  }
  if (there != records) fail(std::to_string(there) + " keys came back of " + std::to_string(records));
  say(field("records", static_cast<double>(records)) + ", " + field("seconds", first) + ", " +
      field("per_second", static_cast<double>(records) / first));
}

int run(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto number = [&](std::size_t i) { return std::stoull(words.at(i)); };
  const std::string& what = words.at(0);
  if (what == "topics")
    must(create_topics({words.at(1), words.at(2), {}}, {.partitions = std::stoi(words.at(3))}));
  else if (what == "fill")
    fill(words.at(1), words.at(2), number(3), number(4), number(5));
  else if (what == "check")
    check(words.at(1), words.at(2), number(3), number(4), words.size() > 5 ? words.at(5) : "");
  else if (what == "work")
    work(words.at(1), words.at(2), words.at(3), std::stoll(words.at(4)), words.at(5), std::stod(words.at(6)));
  else if (what == "copy")
    copy(words.at(1), words.at(2), words.at(3), words.at(4), words.at(5), std::stoll(words.at(6)), number(7));
  else if (what == "latency")
    latency(words.at(1), words.at(2), std::stod(words.at(3)), std::stod(words.at(4)), std::stod(words.at(5)));
  else if (what == "restore")
    restore(words.at(1), words.at(2), number(3));
  else
    fail("there is no '" + what + "'");
  return 0;
}

}  // namespace
}  // namespace truetape::bench

int main(int argc, char** argv) {
  try {
    return truetape::bench::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "kafka_bench: %s\n", e.what());
    return 1;
  }
}
