#include "log/socket/protocol.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace truetape::log_socket {
namespace {

std::string append_frame(const std::vector<std::pair<std::int32_t, Record>>& records) {
  std::string bytes, out;
  for (const auto& [partition, record] : records) put_record(partition, record, bytes);
  put(Append{3, static_cast<std::uint32_t>(records.size()), bytes}, out);
  return out;
}

// One frame of each kind that has a body of its own, and what stands in it as text.
std::string conversation() {
  static constexpr std::array<Header, 2> headers{{{"kind", "frame"}, {"", ""}}};
  std::string out;
  put(Hello{kVersion, "id", "import"}, out);
  put(Welcome{kVersion, "other", -5, 8}, out);
  put(Open{2, "raw"}, out);
  out += append_frame({{1, {"key", "value", headers}}, {0, {"", "", {}}}});
  put(Failed{true, {Fault::no_space, Retry::after_backoff, "no room"}}, out);
  put(Kind::again, 7, out);
  put_forget("load:gone", out);
  return out;
}

std::string told(const Frame& frame) {
  switch (frame.kind) {
    case Kind::hello: {
      const auto v = parse_hello(frame.body);
      return "hello " + std::to_string(v->version) + ' ' + v->log_id + ' ' + v->alone;
    }
    case Kind::welcome: {
      const auto v = parse_welcome(frame.body);
      return "welcome " + v->log_id + ' ' + std::to_string(v->epoch) + ' ' + std::to_string(v->partitions);
    }
    case Kind::open: {
      const auto v = parse_open(frame.body);
      return "open " + std::to_string(v->channel) + ' ' + v->topic;
    }
    case Kind::append: {
      const auto v = parse_append(frame.body);
      std::string out = "append " + std::to_string(v->channel);
      Records records{*v};
      Record record;
      for (std::int32_t partition = 0; records.next(partition, record).value();) {
        out += ' ' + std::to_string(partition) + ':' + std::string{record.key} + '=' + std::string{record.value};
        for (const Header& h : record.headers) out += '[' + std::string{h.name} + '=' + std::string{h.value} + ']';
      }
      return out;
    }
    case Kind::forget:
      return "forget " + parse_forget(frame.body).value();
    case Kind::failed: {
      const auto v = parse_failed(frame.body);
      return "failed " + std::to_string(v->ends) + (v->error.fault == Fault::no_space ? " no_space" : " ?") +
             (v->error.retry == Retry::after_backoff ? " after_backoff " : " ? ") + v->error.detail;
    }
    default:
      return std::to_string(static_cast<int>(frame.kind)) + ' ' +
             std::to_string(static_cast<int>(*parse_channel(frame.body)));
  }
}

const std::vector<std::string> kTold{"hello 1 id import",
                                     "welcome other -5 8",
                                     "open 2 raw",
                                     "append 3 1:key=value[kind=frame][=] 0:=",
                                     "failed 1 no_space after_backoff no room",
                                     "8 7",
                                     "forget load:gone"};

TEST(LogSocketProtocol, FramesComeBackAsTheyWereHoweverTheyAreCut) {
  const std::string bytes = conversation();
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, bytes.size()}) {
    Frames frames;
    std::vector<std::string> found;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      frames.add(std::string_view{bytes}.substr(at, piece));
      for (;;) {
        const auto frame = frames.next();
        ASSERT_TRUE(frame) << frame.error().detail;
        if (!*frame) break;
        found.push_back(told(**frame));
      }
    }
    EXPECT_EQ(found, kTold) << piece;
    EXPECT_FALSE(frames.half());
  }
}

TEST(LogSocketProtocol, EveryFaultAndRetryIsCarriedOver) {
  for (const Fault fault : {Fault::malformed, Fault::not_found, Fault::refused, Fault::mismatch, Fault::out_of_range,
                            Fault::no_space, Fault::corrupt, Fault::unavailable, Fault::io})
    for (const Retry retry : {Retry::never, Retry::after_backoff, Retry::reconnect, Retry::rebuild}) {
      std::string out;
      put(Failed{false, {fault, retry, std::string(100'000, 'x')}}, out);
      const auto failed = parse_failed(std::string_view{out}.substr(kHeadBytes));
      ASSERT_TRUE(failed);
      EXPECT_EQ(failed->error.fault, fault);
      EXPECT_EQ(failed->error.retry, retry);
      Frames frames;  // a long sentence is cut, so that the frame is within its limit
      frames.add(out);
      EXPECT_TRUE(frames.next().value());
    }
}

TEST(LogSocketProtocol, WhatIsAnnouncedTooLargeOrUnknownIsRefusedBeforeItComes) {
  const auto refuse = [](const std::string& bytes) {
    Frames frames;
    frames.add(bytes);
    const auto frame = frames.next();
    return !frame && frame.error().fault == Fault::malformed;
  };
  const std::string limit{"\x00\x00\x20\x00", 4}, beyond{"\x01\x00\x20\x00", 4}, talk{"\x01\x20\x00\x00", 4};
  EXPECT_EQ(kMaxBody, 0x200000U);
  EXPECT_TRUE(refuse(beyond));  // by the length alone
  EXPECT_TRUE(refuse("\xff\xff\xff\xff"));
  EXPECT_TRUE(refuse(talk + '\x01'));    // a greeting of more than 8 KiB
  EXPECT_FALSE(refuse(limit + '\x05'));  // an append may be so large
  EXPECT_TRUE(refuse(std::string{"\0\0\0\0\0", 5}));
  EXPECT_TRUE(refuse(std::string{"\0\0\0\0\x10", 5}));
  EXPECT_TRUE(refuse("GET / HTTP/1.1\r\n\r\n"));
}

TEST(LogSocketProtocol, EachBodyThatIsCutOrTooLongIsMalformed) {
  const std::string bytes = conversation();
  Frames frames;
  frames.add(bytes);
  const auto sound = [](Kind kind, std::string_view body) -> bool {
    switch (kind) {
      case Kind::hello:
        return parse_hello(body).has_value();
      case Kind::welcome:
        return parse_welcome(body).has_value();
      case Kind::open:
        return parse_open(body).has_value();
      case Kind::failed:
        return parse_failed(body).has_value();
      case Kind::forget:
        return parse_forget(body).has_value();
      case Kind::append: {
        const auto append = parse_append(body);
        if (!append) return false;
        Records records{*append};
        Record record;
        for (std::int32_t partition = 0;;) {
          const auto more = records.next(partition, record);
          if (!more) return false;
          if (!*more) return true;
        }
      }
      default:
        return parse_channel(body).has_value();
    }
  };
  for (std::size_t i = 0; i < kTold.size(); ++i) {
    const auto frame = frames.next();
    ASSERT_TRUE(frame && *frame);
    const std::string body{(*frame)->body};
    EXPECT_TRUE(sound((*frame)->kind, body)) << kTold[i];
    for (std::size_t n = 0; n < body.size(); ++n)
      EXPECT_FALSE(sound((*frame)->kind, std::string_view{body}.substr(0, n))) << kTold[i] << ", " << n;
    EXPECT_FALSE(sound((*frame)->kind, body + 'x')) << kTold[i];
  }
}

TEST(LogSocketProtocol, AGreetingOfAnotherVersionIsReadAsFarAsThat) {
  std::string out;
  put(Hello{7, "", ""}, out);
  out.resize(kHeadBytes + kMagic.size() + 2);
  const auto hello = parse_hello(std::string_view{out}.substr(kHeadBytes));
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->version, 7);
}

TEST(LogSocketProtocol, ARecordAboveOneMiBIsOutOfRangeAndOneOfExactlyThatIsNot) {
  for (const auto& [size, fits] : {std::pair{kMaxRecordBytes - 1, true}, std::pair{kMaxRecordBytes, false}}) {
    const std::string value(size, 'v');
    const std::string bytes = append_frame({{0, {"k", value, {}}}});
    Frames frames;
    frames.add(bytes);
    const auto frame = frames.next();
    ASSERT_TRUE(frame && *frame);
    const auto append = parse_append((*frame)->body);
    Records records{*append};
    Record record;
    std::int32_t partition = 0;
    const auto more = records.next(partition, record);
    EXPECT_EQ(more.has_value(), fits);
    EXPECT_TRUE(more || more.error().fault == Fault::out_of_range);
  }
}

// Sizes within a record that lie: no bytes outside of the frame are looked at, and no memory is taken for them.
TEST(LogSocketProtocol, SizesThatLieAreMalformed) {
  std::string record;
  static constexpr std::array<Header, 1> headers{{{"name", "value"}}};
  put_record(0, {"key", "value", headers}, record);
  for (std::size_t at = 4; at < 24; ++at)  // each byte of the sizes
    for (const int to : {1, 127, 255}) {
      std::string wrong = record;
      if (wrong[at] == static_cast<char>(to)) continue;
      wrong[at] = static_cast<char>(to);
      Records records{Append{0, 1, wrong}};
      Record out;
      std::int32_t partition = 0;
      auto more = records.next(partition, out);
      if (more) more = records.next(partition, out);
      EXPECT_FALSE(more) << at << ' ' << to;
    }
}

TEST(LogSocketProtocol, NoBytesWhateverTheyAreDoHarm) {
  std::mt19937_64 random{7};
  const std::string sound = conversation();
  std::uint64_t refused = 0, whole = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = sound;
    for (int flips = 0; flips < 3; ++flips) bytes[random() % bytes.size()] = static_cast<char>(random());
    Frames frames;
    frames.add(bytes);
    for (;;) {
      const auto frame = frames.next();
      if (!frame) ++refused;
      if (!frame || !*frame) break;
      ++whole;
      (void)parse_hello((*frame)->body), (void)parse_welcome((*frame)->body), (void)parse_open((*frame)->body);
      (void)parse_failed((*frame)->body), (void)parse_channel((*frame)->body);
      if (const auto append = parse_append((*frame)->body)) {
        Records records{*append};
        Record record;
        std::int32_t partition = 0;
        for (int i = 0; i < 10; ++i)
          if (const auto more = records.next(partition, record); !more || !*more) break;
      }
    }
  }
  EXPECT_GT(refused, 1'000U);
  EXPECT_GT(whole, 1'000U);
}

}  // namespace
}  // namespace truetape::log_socket
