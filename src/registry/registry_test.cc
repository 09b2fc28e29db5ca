// The client against a real HTTP server that answers what a registry may.
#include "registry/registry.h"

#include <gmock/gmock.h>

#include "net/testing_authority.h"
#include "registry/standing.h"
#include "registry/testing.h"

namespace truetape {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string kSchema = R"({"type": "record", "name": "T", "fields": [{"name": "a", "type": "long"}]})";
const std::string kSubject = "market.trades-value";

class RegistryTest : public testing::Test {
 protected:
  // Long limits where an answer comes; pauses that do not make the test slow.
  RegistryConfig config() const {
    RegistryConfig out;
    out.url = server_.origin;
    out.wait = 60s;
    out.attempt = 60s;
    out.backoff = {1ms, 5ms, 2};
    return out;
  }
  static std::unique_ptr<Registry> make(RegistryConfig config) {
    auto made = Registry::make(std::move(config));
    EXPECT_TRUE(made) << made.error().detail;
    return std::move(*made);
  }
  std::unique_ptr<Registry> make() { return make(config()); }

  FakeRegistry server_;
};

TEST_F(RegistryTest, AsksAsTheApiWantsIt) {
  server_.instead([](const net::ServerRequest& request) -> FakeRegistry::Answer {
    if (request.where.path == "/config") return FakeRegistry::json(200, R"({"compatibilityLevel":"BACKWARD"})");
    if (request.where.path.starts_with("/compatibility")) return FakeRegistry::json(200, R"({"is_compatible":true})");
    if (request.where.path.ends_with("/versions")) return FakeRegistry::json(200, R"({"id":7})");
    return std::nullopt;
  });
  const auto registry = make();
  EXPECT_EQ(registry->compatibility_level().value(), "BACKWARD");
  EXPECT_EQ(registry->objections("a/b c%-value", kSchema).value(), std::vector<std::string>{});
  EXPECT_EQ(registry->add("a/b c%-value", kSchema).value(), 7u);
  const std::string body = "{\"schema\":" + FakeRegistry::quoted(kSchema) + "}";
  const auto seen = server_.seen();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].method + " " + seen[0].target, "GET /config");
  EXPECT_EQ(seen[1].method + " " + seen[1].target,
            "POST /compatibility/subjects/a%2Fb%20c%25-value/versions/latest?verbose=true");
  EXPECT_EQ(seen[2].method + " " + seen[2].target, "POST /subjects/a%2Fb%20c%25-value/versions");
  for (const auto i : {1u, 2u}) {
    EXPECT_EQ(seen[i].body, body);
    EXPECT_EQ(seen[i].content_type, "application/vnd.schemaregistry.v1+json");
    EXPECT_EQ(seen[i].authorization, "");
  }
}

TEST_F(RegistryTest, KnowsSubjectsVersionsAndIds) {
  const auto registry = make();
  EXPECT_EQ(registry->latest(kSubject).value(), std::nullopt);
  EXPECT_FALSE(registry->look_up(kSubject, kSchema).value().subject);
  server_.put(kSubject, {12, "\"string\""});
  server_.put(kSubject, {2147483647, kSchema});
  const auto latest = registry->latest(kSubject);
  ASSERT_TRUE(latest && *latest);
  EXPECT_EQ((*latest)->id, 2147483647u);
  EXPECT_EQ((*latest)->version, 2);
  EXPECT_EQ((*latest)->schema, kSchema);
  const auto first = registry->look_up(kSubject, "\"string\"");
  ASSERT_TRUE(first && first->found);
  EXPECT_EQ(first->found->id, 12u);
  EXPECT_EQ(first->found->version, 1);
  const auto none = registry->look_up(kSubject, "\"int\"");
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->subject);
  EXPECT_FALSE(none->found);
  EXPECT_EQ(registry->schema(12).value().value().text, "\"string\"");
  EXPECT_EQ(registry->schema(12).value().value().type, "AVRO");
  EXPECT_FALSE(registry->schema(13).value());
  server_.put_id(13, R"({"schemaType":"PROTOBUF","schema":"message X {}"})");
  EXPECT_EQ(registry->schema(13).value().value().type, "PROTOBUF");
}

TEST_F(RegistryTest, SaysWhatTheRegistryHasAgainstASchema) {
  const auto registry = make();
  EXPECT_TRUE(registry->objections(kSubject, kSchema).value().empty()) << "no subject, nothing to be compatible with";
  struct Case {
    std::string body;
    std::vector<std::string> words;
  };
  for (const Case& c : {
           Case{R"({"is_compatible":false,"messages":["READER_FIELD_MISSING_DEFAULT_VALUE: b","and\nmore"]})",
                {"READER_FIELD_MISSING_DEFAULT_VALUE: b", "and more"}},
           Case{R"({"is_compatible":false})", {"it is incompatible; the registry does not say why"}},
           Case{R"({"is_compatible":true,"messages":[]})", {}},
       }) {
    server_.instead([&](const net::ServerRequest&) { return FakeRegistry::json(200, c.body); });
    EXPECT_EQ(registry->objections(kSubject, kSchema).value(), c.words);
  }
}

// Each status by itself: how often it is asked, and what the error is.
TEST_F(RegistryTest, ErrorsNameRegistrySubjectAndWhatToDo) {
  struct Case {
    int status, code;  // code 0: the body is no JSON of the API
    std::string message;
    Fault fault;
    Retry retry;
    std::string then;
  };
  for (const Case& c : {
           Case{401, 401, "Unauthorized", Fault::refused, Retry::never, "kafka.registry_password"},
           Case{401, 0, "<html>", Fault::refused, Retry::never, "kafka.registry_password"},
           Case{403, 40301, "User is denied operation Write on Subject", Fault::refused, Retry::never,
                "ask its operator"},
           Case{404, 404, "HTTP 404 Not Found", Fault::malformed, Retry::never, "check kafka.registry"},
           Case{404, 0, "<h1>It works!</h1>", Fault::malformed, Retry::never, "check kafka.registry"},
           Case{405, 405, "HTTP 405", Fault::refused, Retry::never, "its words say why"},
           Case{405, 0, "no", Fault::malformed, Retry::never, "check kafka.registry"},
           Case{302, 0, "", Fault::malformed, Retry::never, "check kafka.registry"},
           Case{408, 0, "", Fault::unavailable, Retry::after_backoff, "later"},
           Case{409, 409, "READER_FIELD_MISSING_DEFAULT_VALUE", Fault::mismatch, Retry::never, "incompatible"},
           Case{409, 0, "", Fault::malformed, Retry::never, "check kafka.registry"},
           Case{422, 42201, "Invalid schema", Fault::malformed, Retry::never, "it does not take this schema"},
           Case{422, 42205, "Subject is in read-only mode", Fault::refused, Retry::never, "who may register"},
           Case{422, 0, "", Fault::malformed, Retry::never, "check kafka.registry"},
           Case{429, 429, "Too Many Requests", Fault::unavailable, Retry::after_backoff, "later"},
       }) {
    server_.forget();
    server_.instead([&](const net::ServerRequest&) {
      return c.code != 0 ? FakeRegistry::error(c.status, c.code, c.message)
                         : net::text_answer(c.status, "text/html", c.message);
    });
    const auto added = make()->add(kSubject, kSchema);
    ASSERT_FALSE(added) << c.status;
    const Error& error = added.error();
    EXPECT_EQ(error.fault, c.fault) << error.detail;
    EXPECT_EQ(error.retry, c.retry) << error.detail;
    EXPECT_THAT(error.detail, AllOf(HasSubstr("schema registry " + server_.origin + ", subject " + kSubject + ": "),
                                    HasSubstr(c.message), HasSubstr(c.then)));
    EXPECT_EQ(server_.count(), 1u) << c.status << ": a 4xx is never asked again";
  }
}

TEST_F(RegistryTest, AnswersThatNoRegistryGivesAreNamed) {
  struct Case {
    std::string body, why;
  };
  for (const Case& c : {
           Case{"<html>welcome</html>", "no JSON"},
           Case{"", "no JSON"},
           Case{"[]", "\"id\""},
           Case{R"({"version":1})", "\"id\""},
           Case{R"({"id":"7","version":1})", "\"id\""},
           Case{R"({"id":-1,"version":1})", "the id -1"},
           Case{R"({"id":2147483648,"version":1})", "the id 2147483648"},
           Case{R"({"id":7})", "\"version\""},
       }) {
    server_.instead([&](const net::ServerRequest&) { return net::text_answer(200, "text/html", c.body); });
    const auto found = make()->look_up(kSubject, kSchema);
    ASSERT_FALSE(found) << c.body;
    EXPECT_EQ(found.error().fault, Fault::malformed);
    EXPECT_EQ(found.error().retry, Retry::never);
    EXPECT_THAT(found.error().detail, AllOf(HasSubstr(c.why), HasSubstr("check kafka.registry")));
  }
}

TEST_F(RegistryTest, AsksAgainWhileTheServerFailsAndUntilItsWaitIsOver) {
  for (const int status : {500, 502, 503, 504}) {
    int failures = 3;
    server_.forget();
    server_.instead([&](const net::ServerRequest&) -> FakeRegistry::Answer {
      if (failures-- > 0) return FakeRegistry::error(status, 50001, "Error in the backend datastore");
      return FakeRegistry::json(200, R"({"id":7})");
    });
    EXPECT_EQ(make()->add(kSubject, kSchema).value(), 7u);
    EXPECT_EQ(server_.count(), 4u) << status;
  }
  server_.instead([](const net::ServerRequest&) { return FakeRegistry::error(500, 50002, "Operation timed out"); });
  RegistryConfig impatient = config();
  impatient.wait = 50ms;
  const auto failed = make(impatient)->add(kSubject, kSchema);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().fault, Fault::unavailable);
  EXPECT_EQ(failed.error().retry, Retry::after_backoff);
  EXPECT_THAT(failed.error().detail, AllOf(HasSubstr(kSubject), HasSubstr("500 (Operation timed out)")));
  impatient.wait = 0ns;
  server_.forget();
  EXPECT_FALSE(make(impatient)->add(kSubject, kSchema));
  EXPECT_EQ(server_.count(), 1u) << "without time to wait it is asked once";
}

TEST_F(RegistryTest, GoesOnAfterARestartOfTheRegistryAndSaysWhenItIsDown) {
  server_.put(kSubject, {12, kSchema});
  RegistryConfig impatient = config();
  impatient.wait = 20ms;
  const auto registry = make(impatient);
  EXPECT_EQ(registry->look_up(kSubject, kSchema).value().found.value().id, 12u);
  server_.stop();
  const auto down = registry->look_up(kSubject, kSchema);
  ASSERT_FALSE(down);
  EXPECT_EQ(down.error().fault, Fault::unavailable);
  EXPECT_EQ(down.error().retry, Retry::after_backoff);
  EXPECT_THAT(down.error().detail, AllOf(HasSubstr(server_.origin), HasSubstr(kSubject)));
  server_.start();
  EXPECT_EQ(registry->look_up(kSubject, kSchema).value().found.value().id, 12u);
  // A connection that the registry has dropped meanwhile: a POST on it is sent again, too.
  const auto patient = make();
  EXPECT_EQ(patient->look_up(kSubject, kSchema).value().found.value().id, 12u);
  server_.stop();
  server_.start();
  EXPECT_EQ(patient->look_up(kSubject, kSchema).value().found.value().id, 12u);
}

TEST_F(RegistryTest, AServerThatNeverAnswersEndsWithTheAttempt) {
  server_.instead([](const net::ServerRequest&) {
    net::ServerAnswer answer;
    answer.then = net::ServerAnswer::Then::cut;
    return answer;
  });
  RegistryConfig impatient = config();
  impatient.wait = 20ms;
  const auto cut = make(impatient)->look_up(kSubject, kSchema);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().retry, Retry::after_backoff);
  EXPECT_THAT(cut.error().detail, HasSubstr("ended before an answer"));

  server_.instead([](const net::ServerRequest&) {
    net::ServerAnswer answer;  // a body that never comes
    answer.source = []() -> net::awaitable<Result<std::string>> {
      std::this_thread::sleep_for(1ms);
      co_return std::string{" "};
    };
    return answer;
  });
  impatient.attempt = 100ms;
  const auto endless = make(impatient)->look_up(kSubject, kSchema);
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().fault, Fault::unavailable);
  EXPECT_THAT(endless.error().detail, HasSubstr("in time"));
}

TEST_F(RegistryTest, SendsUserAndPasswordAndNeverTellsThem) {
  const std::string host = server_.origin.substr(7);
  server_.instead([](const net::ServerRequest& request) -> FakeRegistry::Answer {
    if (request.headers.get("Authorization") == "Basic YWxpY2U6c0AvOmNyZXQ=") return std::nullopt;  // alice:s@/:cret
    return FakeRegistry::error(401, 401, "Unauthorized");
  });
  RegistryConfig in_url = config();
  in_url.url = "http://alice:s%40%2F%3Acret@" + host + "/";
  RegistryConfig beside = config();
  beside.url = "http://alice@" + host;
  beside.password = "s@/:cret";
  for (const RegistryConfig& good : {in_url, beside}) {
    const auto registry = make(good);
    EXPECT_TRUE(registry->latest(kSubject));
    EXPECT_EQ(registry->place(), server_.origin);
  }
  beside.password = "wrong-one";
  const auto refused = make(beside)->latest(kSubject);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::refused);
  EXPECT_THAT(refused.error().detail, AllOf(Not(HasSubstr("wrong-one")), Not(HasSubstr("alice"))));
}

TEST_F(RegistryTest, AddressesThatCannotBeMeantAreRefused) {
  for (const char* url : {"", "registry:8081", "ftp://x", "http://", "http://x/?a=b", "http://u:secret@x:99999"}) {
    RegistryConfig config;
    config.url = url;
    const auto made = Registry::make(config);
    ASSERT_FALSE(made) << url;
    EXPECT_EQ(made.error().retry, Retry::never);
    EXPECT_THAT(made.error().detail, AllOf(HasSubstr("kafka.registry"), Not(HasSubstr("secret"))));
  }
  RegistryConfig nobody;
  nobody.url = "http://registry.example";
  nobody.password = "secret";
  const auto made = Registry::make(nobody);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().detail, AllOf(HasSubstr("no user"), Not(HasSubstr("secret"))));
}

TEST_F(RegistryTest, APathBeforeTheApiIsKept) {
  RegistryConfig behind = config();
  behind.url = server_.origin + "/apis/ccompat/v7/";
  server_.instead([](const net::ServerRequest& request) -> FakeRegistry::Answer {
    if (request.target == "/apis/ccompat/v7/schemas/ids/5") return FakeRegistry::json(200, R"({"schema":"\"int\""})");
    return std::nullopt;
  });
  const auto registry = make(behind);
  EXPECT_EQ(registry->place(), server_.origin + "/apis/ccompat/v7");
  EXPECT_EQ(registry->schema(5).value().value().text, "\"int\"");
}

TEST(RegistryTls, TrustsTheGivenAuthorityAndNoOther) {
  const net::TempFolder folder;
  net::TestAuthority authority{folder}, stranger{folder, "stranger"};
  const auto files = authority.issue("registry", "IP:127.0.0.1");
  net::ServerConfig server_config;
  server_config.certificate_file = files.certificate;
  server_config.key_file = files.key;
  FakeRegistry server{server_config};
  server.put(kSubject, {12, kSchema});
  RegistryConfig config;
  config.url = server.origin;
  ASSERT_TRUE(config.url.starts_with("https://")) << config.url;
  config.wait = config.attempt = 60s;
  config.connect.ca_file = authority.ca_file();
  auto trusted = Registry::make(config);
  ASSERT_TRUE(trusted) << trusted.error().detail;
  EXPECT_EQ((*trusted)->latest(kSubject).value().value().id, 12u);
  config.connect.ca_file = stranger.ca_file();
  auto untrusted = Registry::make(config);
  ASSERT_TRUE(untrusted);
  const auto refused = (*untrusted)->latest(kSubject);  // at once: nothing mends it within the wait
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::refused);
  EXPECT_THAT(refused.error().detail, HasSubstr("not to be trusted"));
  config.connect.ca_file = folder / "nowhere.pem";
  EXPECT_FALSE(Registry::make(config));
}

TEST_F(RegistryTest, AStandingIsOfTheBytesNotOfTheWords) {
  const auto registry = make();
  using enum Standing::Is;
  EXPECT_EQ(standing(*registry, kSubject, kSchema).value().is, missing);
  server_.put(kSubject, {3, R"({"type":"record","name":"T","fields":[]})"});
  EXPECT_EQ(standing(*registry, kSubject, kSchema).value().is, another);
  EXPECT_EQ(standing(*registry, kSubject, kSchema).value().version.id, 3u);
  server_.put(kSubject, {4, R"({"type":"record","doc":"anew","name":"T","fields":[{"type":"long","name":"a"}]})"});
  EXPECT_EQ(standing(*registry, kSubject, kSchema).value().is, but_for_words);
  EXPECT_EQ(standing(*registry, kSubject, kSchema).value().version.id, 4u);
  server_.put(kSubject, {5, kSchema});
  server_.put(kSubject, {6, "\"int\""});
  EXPECT_EQ(standing(*registry, kSubject, kSchema).value().is, registered) << "also when it is not the latest";
  EXPECT_EQ(standing(*registry, kSubject, kSchema).value().version.id, 5u);
  server_.put("odd", {7, "no schema at all"});
  EXPECT_EQ(standing(*registry, "odd", kSchema).value().is, another);
}

}  // namespace
}  // namespace truetape
