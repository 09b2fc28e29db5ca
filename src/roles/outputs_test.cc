#include "roles/outputs.h"

#include <gtest/gtest.h>

#include "codec/keys.h"
#include "codec/quarantine.h"
#include "log/memory/memory_log.h"
#include "roles/process.h"

namespace truetape {
namespace {

constexpr std::size_t kKept = 64 * 1024;

Quarantined item(std::size_t bytes) {
  Quarantined out;
  out.instrument = Instrument::parse("binance:BTCUSDT").value();
  out.partition = 1;
  out.offset = 7;
  out.reason = Reason::syntax;
  out.detail = "it is none";
  out.raw.resize(bytes);
  for (std::size_t i = 0; i < bytes; ++i) out.raw[i] = static_cast<char>('a' + i % 23);
  out.headers = {{"kind", "frame"}, {"instruments", "binance:BTCUSDT"}};
  return out;
}

// What becomes of it: the record, read back.
struct Written {
  std::size_t bytes = 0, cut = 0;
  Quarantined row;
};
Written write(const Quarantined& row) {
  Results results;
  results.quarantined.push_back(row);
  Outputs outputs;
  Written out;
  out.cut = outputs.add(results, 1);
  const auto records = outputs.outputs();
  EXPECT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].topic, topic::quarantine);
  out.bytes = record_bytes(records[0].record);
  auto read = read_quarantined(records[0].record.value, records[0].record.headers);
  EXPECT_TRUE(read) << read.error().detail;
  if (read) out.row = std::move(*read);
  return out;
}

Quarantined cut(Quarantined row) {
  row.headers.emplace_back("cut", std::to_string(row.raw.size()));
  row.raw.resize(kKept);
  return row;
}

TEST(Outputs, WhatOneRecordHoldsIsWholeAndOfMoreItsBeginningIsKept) {
  const std::size_t most = kMaxRecordBytes - (write(item(0)).bytes);
  const Written whole = write(item(most));
  EXPECT_EQ(whole.bytes, kMaxRecordBytes);
  EXPECT_EQ(whole.cut, 0U);
  EXPECT_EQ(whole.row, item(most));
  for (const std::size_t bytes : {most + 1, kMaxRecordBytes, std::size_t{2} << 20}) {
    const Written less = write(item(bytes));
    EXPECT_EQ(less.cut, 1U) << bytes;
    EXPECT_EQ(less.row, cut(item(bytes))) << bytes;
    EXPECT_LT(less.bytes, kKept + 4096) << bytes;
  }
}

TEST(Outputs, WhoCutItBeforeHasSaidHowLongItWas) {
  Quarantined row = item(kMaxRecordBytes);
  row.headers.insert(row.headers.begin(), {"cut", "5000000"});
  Quarantined expected = row;
  expected.raw.resize(kKept);
  EXPECT_EQ(write(row).row, expected);
}

TEST(Outputs, HeadersAndDetailsOfAnySizeAreShortenedToo) {
  Quarantined one = item(10);
  one.headers.insert(one.headers.begin(), {"large", std::string(2 << 20, 'h')});
  Quarantined expected = item(10);
  expected.detail = "it is none (its record is too large: 1 of its headers are left out)";
  EXPECT_EQ(write(one).row, expected);

  // Of many small ones, whose names become longer, so many as have room; and each byte of the detail becomes three.
  Quarantined many = item(kMaxRecordBytes);
  for (int i = 0; i < 100'000; ++i) many.headers.emplace_back("truetape.x", "");
  for (int i = 0; i < 100'000; ++i) many.headers.emplace_back("cut", "1");
  many.detail.assign(1 << 20, '\xff');
  const Written less = write(many);
  EXPECT_EQ(less.cut, 1U);
  EXPECT_LE(less.bytes, kMaxRecordBytes);
  EXPECT_EQ(less.row.raw, many.raw.substr(0, kKept));
  EXPECT_EQ(less.row.headers.front(), many.headers.front());
  EXPECT_GT(less.row.headers.size(), 10'000U);
  EXPECT_NE(less.row.detail.find(std::to_string(many.headers.size() + 1 - less.row.headers.size()) +
                                 " of its headers are left out"),
            std::string::npos);
}

// Nothing that it is given is a trade.
class NoTrades final : public Decoder {
 public:
  void decode(const RawRecord& record, Events& out) const override {
    Item& bad = out.items.emplace_back();
    bad.type = Item::Type::bad;
    bad.reason = Reason::syntax;
    bad.detail = "no trade";
    bad.raw = record.bytes;
  }
  TradeIds trade_ids(std::string_view) const override { return TradeIds::contiguous; }
};

TEST(Outputs, APartitionGoesOnBehindAFrameThatJustFitsIntoRaw) {
  MemoryLog log{MemoryOptions{.partitions = 1, .dice = {}}};
  const Header headers[] = {{header::kind, "frame"}, {header::instruments, "binance:BTCUSDT"}};
  const Record empty{"binance:BTCUSDT", {}, headers};
  const std::string frame = item(kMaxRecordBytes - record_bytes(empty)).raw;
  auto appender = log.appender(topic::raw).value();
  ASSERT_TRUE(appender->append(0, {empty.key, frame, headers}));
  ASSERT_TRUE(appender->append(0, {empty.key, "next", headers}));
  ASSERT_TRUE(appender->flush(std::chrono::milliseconds{0}).value());

  const NoTrades decoder;
  const Rules rules;
  auto role = ProcessRole::open(log, rules, decoder, {.linger = std::chrono::milliseconds{0}}).value();
  for (int i = 0; i < 5; ++i) {
    const Status done = role->step();
    ASSERT_TRUE(done) << done.error().detail;
  }
  EXPECT_EQ(role->lag().value(), 0);
  EXPECT_EQ(role->take_counts().cut, 1U);
  auto reader = log.reader(topic::quarantine, "", Share::all).value();
  ASSERT_TRUE(reader->poll(std::chrono::milliseconds{0}));
  ASSERT_TRUE(reader->seek(0, 0));
  const auto step = reader->poll(std::chrono::milliseconds{0}).value();
  ASSERT_EQ(step.records.size(), 2U);
  std::vector<Quarantined> rows;
  for (const Stored& s : step.records) rows.push_back(read_quarantined(s.record.value, s.record.headers).value());
  EXPECT_EQ(rows[0].raw, frame.substr(0, kKept));
  EXPECT_EQ(rows[0].headers.back(), (std::pair{std::string{"cut"}, std::to_string(frame.size())}));
  EXPECT_EQ(rows[0].detail, "no trade");
  EXPECT_EQ(rows[1].raw, "next");
}

}  // namespace
}  // namespace truetape
