// Ids from a registry that is up, down, and wrong; from files that are right and wrong; and our own.
#include "registry/schema_ids.h"

#include <gmock/gmock.h>

#include <atomic>
#include <fstream>

#include "codec/schema_testing.h"
#include "codec/wire.h"
#include "net/testing_authority.h"
#include "registry/ids_file.h"
#include "registry/testing.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

// The id of the schema number `local` in the registries and files of these tests.
constexpr std::uint32_t remote(std::uint32_t local) { return 100 + 7 * local; }

void expect_mismatch(const Result<std::uint32_t>& found, const std::string& why, Fault fault = Fault::mismatch) {
  ASSERT_FALSE(found) << *found;
  EXPECT_EQ(found.error().fault, fault) << found.error().detail;
  EXPECT_EQ(found.error().retry, Retry::never) << found.error().detail;
  EXPECT_THAT(found.error().detail, HasSubstr(why));
}

// What holds of every table.
void expect_table(SchemaIds& ids, std::uint32_t (*theirs)(std::uint32_t)) {
  for (const wire::SchemaInfo& schema : wire::schemas()) {
    EXPECT_EQ(ids.written(schema.topic, schema.id).value(), theirs(schema.id)) << schema.topic;
    EXPECT_EQ(ids.local(schema.topic, theirs(schema.id)).value(), schema.id) << schema.topic;
  }
  expect_mismatch(ids.written("trades", 3), "local schema id 3 is none of topic trades");
  for (const std::string_view topic : {"raw", "quarantine", "control", "no-topic"}) {
    for (const auto& found : {ids.written(topic, 1), ids.local(topic, 1)}) {
      ASSERT_FALSE(found) << topic;
      EXPECT_EQ(found.error().fault, Fault::out_of_range);
      EXPECT_EQ(found.error().retry, Retry::never);
    }
  }
}

TEST(OwnSchemaIds, AreTheLocalOnesAsTheyAre) {
  const auto ids = own_schema_ids();
  expect_table(*ids, [](std::uint32_t local) { return local; });
  expect_mismatch(ids->local("trades", 17), "topic trades was written with schema id 17: without a registry");
  expect_mismatch(ids->local("trades", 3), "only truetape's own 1 is known there");
  expect_mismatch(ids->local("trades", 999), "only truetape's own 1");
  expect_mismatch(ids->local("trades", 1000), "only truetape's own 1", Fault::not_found);
}

class FileSchemaIds : public testing::Test {
 protected:
  Result<std::unique_ptr<SchemaIds>> of(const std::string& text, std::string_view prefix = "market.") {
    std::ofstream{file_} << text;
    return schema_ids_of_file(file_, prefix);
  }
  static IdsBySubject all(const std::string& prefix) {
    IdsBySubject out;
    for (const wire::SchemaInfo& schema : wire::schemas()) out[subject_of(prefix, schema)] = {remote(schema.id)};
    return out;
  }

  const net::TempFolder folder_;
  const std::string file_ = folder_ / "ids.json";
};

TEST_F(FileSchemaIds, AreWhatTheFileSaysTheFirstWrittenAllRead) {
  IdsBySubject said = all("market.");
  said["market.trades-value"] = {remote(1), 12, 2147483647};
  said["other.trades-value"] = {12};  // another prefix may share ids: one schema has one id
  ASSERT_TRUE(write_ids_file(file_, said));
  EXPECT_EQ(read_ids_file(file_).value(), said);
  const auto ids = schema_ids_of_file(file_, "market.");
  ASSERT_TRUE(ids) << ids.error().detail;
  expect_table(**ids, remote);
  EXPECT_EQ((*ids)->local("trades", 12).value(), 1u);
  EXPECT_EQ((*ids)->local("trades", 2147483647).value(), 1u);
  expect_mismatch((*ids)->local("trades", 13), file_ + " does not name it");
  expect_mismatch((*ids)->local("candles", 13), "add it to the list of \"market.candles-value\"");
  expect_mismatch((*ids)->local("candles", 12), file_ + " says that it is the schema of topic trades",
                  Fault::not_found);
}

TEST_F(FileSchemaIds, SomeAreKnownToBeForeign) {
  IdsBySubject said = all("market.");
  said["foreign"] = {77, 78};
  ASSERT_TRUE(write_ids_file(file_, said));
  const auto ids = schema_ids_of_file(file_, "market.");
  ASSERT_TRUE(ids) << ids.error().detail;
  expect_table(**ids, remote);
  expect_mismatch((*ids)->local("trades", 77), "is not truetape's", Fault::not_found);
  expect_mismatch((*ids)->local("trades", 79), "if it is not truetape's to \"foreign\"");
  said["foreign"] = {remote(1)};
  ASSERT_TRUE(write_ids_file(file_, said));
  const auto both = schema_ids_of_file(file_, "market.");
  ASSERT_FALSE(both);
  EXPECT_THAT(both.error().detail, HasSubstr("\"market.trades-value\" and in \"foreign\""));
}

TEST_F(FileSchemaIds, WithoutAPrefixSubjectsAreTheBareTopics) {
  ASSERT_TRUE(write_ids_file(file_, all("")));
  const auto ids = schema_ids_of_file(file_, "");
  ASSERT_TRUE(ids) << ids.error().detail;
  expect_table(**ids, remote);
}

TEST_F(FileSchemaIds, WhatIsWrongIsNamedWithFileAndKey) {
  struct Case {
    std::string text;
    Fault fault;
    std::string why;
  };
  for (const Case& c : {
           Case{"", Fault::malformed, "is no JSON"},
           Case{"{\"market.trades-value\": 17,", Fault::malformed, "is no JSON"},
           Case{"[17]", Fault::malformed, "is no object"},
           Case{R"({"market.trades-value": "17"})", Fault::malformed, "\"market.trades-value\" is neither an id"},
           Case{R"({"market.trades-value": -1})", Fault::malformed, "\"market.trades-value\" is neither an id"},
           Case{R"({"market.trades-value": 2147483648})", Fault::malformed, "\"market.trades-value\" is neither an id"},
           Case{R"({"market.trades-value": 1.5})", Fault::malformed, "\"market.trades-value\" is neither an id"},
           Case{R"({"market.trades-value": []})", Fault::malformed, "\"market.trades-value\" is neither an id"},
           Case{R"({"market.trades-value": [1, null]})", Fault::malformed, "\"market.trades-value\" is neither an id"},
           Case{R"({"market.trades-value": 1, "market.trades-value": 2})", Fault::malformed,
                "\"market.trades-value\" stands there twice"},
           Case{R"({"market.trades-value": 1})", Fault::not_found, "\"market.quotes-value\" is missing"},
           Case{R"({"market.trades-value": [5, 1], "market.quotes-value": 1})", Fault::malformed,
                "id 1 stands for \"market.trades-value\" and \"market.quotes-value\""},
       }) {
    const auto ids = of(c.text);
    ASSERT_FALSE(ids) << c.text;
    EXPECT_EQ(ids.error().fault, c.fault) << c.text;
    EXPECT_EQ(ids.error().retry, Retry::never);
    EXPECT_THAT(ids.error().detail, AllOf(HasSubstr(file_), HasSubstr(c.why))) << c.text;
  }
  EXPECT_EQ(schema_ids_of_file(folder_ / "nowhere.json", "").error().fault, Fault::not_found);
  EXPECT_EQ(schema_ids_of_file(folder_ / "", "").error().fault, Fault::io);
}

TEST_F(FileSchemaIds, AFileThatCannotBeWrittenLeavesNothing) {
  const Status done = write_ids_file(folder_ / "nowhere/ids.json", all(""));
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().detail, HasSubstr("nowhere/ids.json: cannot be written"));
  std::filesystem::create_directory(folder_ / "taken");
  EXPECT_FALSE(write_ids_file(folder_ / "taken", all("")));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "taken"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "taken.partial"));
}

class RegistrySchemaIds : public testing::Test {
 protected:
  void register_all(const std::string& prefix = "market.") {
    for (const wire::SchemaInfo& schema : wire::schemas())
      server_.put(subject_of(prefix, schema), {remote(schema.id), std::string{schema.json}});
  }
  Result<std::unique_ptr<SchemaIds>> make(Nanoseconds wait = 60s) {
    RegistryConfig config;
    config.url = server_.origin;
    config.wait = wait;
    config.attempt = 60s;
    config.backoff = {1ms, 5ms, 2};
    return schema_ids_of_registry(Registry::make(config).value(), "market.", clock_);
  }
  static std::string schema_of(std::string_view topic) {
    for (const wire::SchemaInfo& schema : wire::schemas())
      if (schema.topic == topic) return std::string{schema.json};
    return {};
  }
  static std::string body(const std::string& schema) { return "{\"schema\":" + FakeRegistry::quoted(schema) + "}"; }

  ManualClock clock_{*parse_rfc3339("2024-08-08T23:59:00Z")};
  FakeRegistry server_;
};

TEST_F(RegistrySchemaIds, AreLookedUpOnceAndNeverRegistered) {
  register_all();
  const auto ids = make();
  ASSERT_TRUE(ids) << ids.error().detail;
  EXPECT_EQ(server_.count(), wire::schemas().size());
  for (const auto& seen : server_.seen()) EXPECT_FALSE(seen.target.ends_with("/versions")) << "it registers";
  server_.stop();  // from here on it is not needed
  expect_table(**ids, remote);
}

TEST_F(RegistrySchemaIds, ALatestVersionWithOtherDescriptionsIsOurs) {
  register_all();
  const std::string words = told_anew(schema_of("news"));
  ASSERT_NE(words, schema_of("news"));
  FakeRegistry other;
  for (const wire::SchemaInfo& schema : wire::schemas())
    other.put(subject_of("market.", schema),
              {remote(schema.id), schema.topic == "news" ? words : std::string{schema.json}});
  RegistryConfig config;
  config.url = other.origin;
  const auto ids = schema_ids_of_registry(Registry::make(config).value(), "market.", clock_);
  ASSERT_TRUE(ids) << ids.error().detail;
  expect_table(**ids, remote);
}

TEST_F(RegistrySchemaIds, WhatIsNotThereIsNamedAtTheStart) {
  auto none = make();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().fault, Fault::not_found);
  EXPECT_EQ(none.error().retry, Retry::never);
  EXPECT_THAT(none.error().detail,
              AllOf(HasSubstr(server_.origin), HasSubstr("market.trades-value, market.quotes-value"),
                    HasSubstr("truetape schemas register")));
  register_all("elsewhere.");
  EXPECT_FALSE(make()) << "another prefix is not ours";
  for (const wire::SchemaInfo& schema : wire::schemas())
    server_.put(subject_of("market.", schema),
                {remote(schema.id), schema.topic == "gaps" ? "\"int\"" : std::string{schema.json}});
  const auto other = make();
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().fault, Fault::mismatch);
  EXPECT_THAT(other.error().detail, HasSubstr("not with the schema of this version of truetape: market.gaps-value;"));
}

TEST_F(RegistrySchemaIds, ARegistryThatIsDownAtTheStartIsAskedAgainLater) {
  register_all();
  server_.stop();
  const auto down = make(20ms);
  ASSERT_FALSE(down);
  EXPECT_EQ(down.error().fault, Fault::unavailable);
  EXPECT_EQ(down.error().retry, Retry::after_backoff);
  server_.start();
  EXPECT_TRUE(make());
}

TEST_F(RegistrySchemaIds, AnUnknownIdIsAskedForOnceAndComparedByItsMeaning) {
  register_all();
  const auto ids = make();
  ASSERT_TRUE(ids);
  const std::string trade = schema_of("trades");
  server_.put_id(501, body(told_anew(trade)));
  server_.put_id(502, body(replaced(trade, "\"scale\": 18", "\"scale\": 8")));
  server_.put_id(506, body(R"({"type": "record", "name": "Tick", "fields": []})"));
  server_.put_id(503, body("{\"type\":\"record\"}"));
  server_.put_id(504, R"({"schemaType":"PROTOBUF","schema":"message Trade {}"})");
  struct Case {
    std::string_view topic;
    std::uint32_t id, local;  // 0: cannot be read
    std::string why;
  };
  const std::vector<Case> cases{
      {"trades", 501, 1, ""},
      {"candles", 501, 0, "that is the schema of topic trades"},
      {"candles", remote(1), 0, "that is the schema of topic trades"},
      {"trades", 502, 0, "another version of the schema than this truetape reads"},
      {"candles", 502, 0, "another version of the schema than this truetape reads"},
      {"trades", 506, 0, "no schema of truetape's"},
      {"trades", 503, 0, "no Avro schema: $ has no \"name\""},
      {"trades", 504, 0, "a schema of type PROTOBUF"},
      {"trades", 505, 0, server_.origin + " has no such schema; the bytes are foreign or damaged"},
      {"trades", 0xffff'ffff, 0, "has no such schema"},
  };
  server_.instead([](const net::ServerRequest& request) -> FakeRegistry::Answer {
    if (request.target == "/schemas/ids/4294967295") return FakeRegistry::error(404, 40403, "Schema not found");
    return std::nullopt;
  });
  server_.forget();
  for (int again = 0; again < 3; ++again) {
    for (const Case& c : cases) {
      const auto found = (*ids)->local(c.topic, c.id);
      if (c.local == 0)
        expect_mismatch(found, c.why, c.topic == "trades" && c.id == 502 ? Fault::mismatch : Fault::not_found);
      else
        EXPECT_EQ(found.value(), c.local) << c.id;
    }
    EXPECT_EQ(server_.count(), 8u) << "each id once, whatever the topic; round " << again;
  }
}

TEST_F(RegistrySchemaIds, ThatAnIdCannotBeReadIsBelievedForAMinute) {
  register_all();
  const auto ids = make();
  ASSERT_TRUE(ids);
  server_.forget();
  expect_mismatch((*ids)->local("trades", 600), "no such schema", Fault::not_found);
  clock_.advance(59s);
  expect_mismatch((*ids)->local("trades", 600), "no such schema", Fault::not_found);
  EXPECT_EQ(server_.count(), 1u);
  server_.put_id(600, body(schema_of("trades")));
  clock_.advance(1s);
  EXPECT_EQ((*ids)->local("trades", 600).value(), 1u);
  EXPECT_EQ(server_.count(), 2u);
  clock_.advance(24h);
  server_.stop();
  EXPECT_EQ((*ids)->local("trades", 600).value(), 1u) << "what is known stays known";
}

TEST_F(RegistrySchemaIds, OfIdsThatCannotBeReadTheOldestIsForgotten) {
  register_all();
  server_.put_id(50'000, body(schema_of("trades")));
  const auto ids = make();
  ASSERT_TRUE(ids);
  EXPECT_EQ((*ids)->local("trades", 50'000).value(), 1u);
  server_.forget();
  const auto ask = [&](std::uint32_t id) {
    expect_mismatch((*ids)->local("trades", id), "no such schema", Fault::not_found);
    return server_.count();
  };
  for (std::uint32_t i = 0; i < kMostUnknown; ++i) {
    ask(1000 + i);
    clock_.advance(1us);
  }
  EXPECT_EQ(ask(1000), kMostUnknown) << "all of them are remembered";
  EXPECT_EQ(ask(9000), kMostUnknown + 1);
  EXPECT_EQ(ask(1001), kMostUnknown + 1) << "the second oldest still is";
  EXPECT_EQ(ask(1000), kMostUnknown + 2) << "the oldest gave way";
  EXPECT_EQ((*ids)->local("trades", 50'000).value(), 1u);
  EXPECT_EQ(server_.count(), kMostUnknown + 2) << "what can be read is not forgotten for it";
}

TEST_F(RegistrySchemaIds, WhileTheRegistryIsDownKnownIdsWorkAndUnknownOnesWait) {
  register_all();
  server_.put_id(700, body(schema_of("quotes")));
  const auto ids = make(0ns);
  ASSERT_TRUE(ids) << ids.error().detail;
  const auto waits = [&](std::uint32_t id) {
    const auto found = (*ids)->local("quotes", id);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().fault, Fault::unavailable);
    EXPECT_EQ(found.error().retry, Retry::after_backoff);
    EXPECT_THAT(found.error().detail, HasSubstr("topic quotes has schema id " + std::to_string(id)));
  };
  std::atomic<int> status = 500;
  server_.forget();
  server_.instead([&](const net::ServerRequest&) { return FakeRegistry::error(status, status, "not now"); });
  waits(700);
  waits(701);
  EXPECT_EQ(server_.count(), 1u) << "not more than once a second";
  EXPECT_EQ((*ids)->local("quotes", remote(2)).value(), 2u);
  status = 401;  // no fault of the record either
  clock_.advance(1s);
  waits(700);
  EXPECT_EQ(server_.count(), 2u);
  server_.instead({});
  clock_.advance(1s);
  EXPECT_EQ((*ids)->local("quotes", 700).value(), 2u);
}

TEST_F(RegistrySchemaIds, ManyWorkersAskForOneIdOnce) {
  register_all();
  const auto ids = make();
  ASSERT_TRUE(ids);
  for (std::uint32_t id = 800; id < 820; ++id) server_.put_id(id, body(schema_of("late")));
  server_.forget();
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> workers;
    for (int worker = 0; worker < 4; ++worker)
      workers.emplace_back([&] {
        for (int round = 0; round < 50; ++round)
          for (std::uint32_t id = 800; id < 820; ++id) {
            const auto unknown = (*ids)->local("late", id), known = (*ids)->local("late", remote(6));
            good += unknown && *unknown == 6 && known && *known == 6 && (*ids)->written("late", 6).value() == remote(6);
          }
      });
  }
  EXPECT_EQ(good, 4 * 50 * 20);
  EXPECT_EQ(server_.count(), 20u);
}

}  // namespace
}  // namespace truetape
