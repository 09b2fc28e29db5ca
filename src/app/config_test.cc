#include "app/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "app/values.h"

namespace truetape::app {
namespace {

using testing::HasSubstr;

Effective read(std::string_view text) {
  Effective out;
  read_config(text, "t.toml", out);
  return out;
}

std::string refusal(std::string_view text) {
  try {
    read(text);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Config, ReadsEveryKindOfValue) {
  const Effective e = read(
      "data = \"d\"\nintervals = [\"1s\", \"1m\"]\n[log]\npartitions = 8\ncommit_spacing = \"10ms\"\nsize = \"1GiB\"\n"
      "compressed = [\"raw\", \"trades\"]\n[rule]\nhold = \"30s\"\nfolded_kinds = [\"-\", "
      "\"MARKET\"]\n[rule.future]\ntolerance = \"1h\"\n");
  EXPECT_EQ(e.config.data, "d");
  EXPECT_EQ(e.config.partitions, 8);
  EXPECT_EQ(e.config.commit_spacing, std::chrono::milliseconds{10});
  EXPECT_EQ(e.config.log_size, 1ULL << 30);
  EXPECT_EQ(e.config.compressed_topics, "raw,trades");
  EXPECT_EQ(e.config.rules.intervals, (std::vector<Interval>{Interval{1}, Interval{60}}));
  EXPECT_EQ(e.config.rules.hold, std::chrono::seconds{30});
  EXPECT_EQ(e.config.rules.future_tolerance, std::chrono::hours{1});
  EXPECT_EQ(e.config.rules.folded_kinds, (std::set<std::string, std::less<>>{"", "MARKET"}));
  EXPECT_EQ(e.origins.at("log.partitions"), "t.toml:4");
}

struct Refused {
  const char* text;
  const char* expected;  // begins with file and line
};
class ConfigRefuses : public testing::TestWithParam<Refused> {};
TEST_P(ConfigRefuses, WithFileLineKeyAndWhatIsAllowed) { EXPECT_EQ(refusal(GetParam().text), GetParam().expected); }
INSTANTIATE_TEST_SUITE_P(
    All, ConfigRefuses,
    testing::Values(
        Refused{"\n\n[log]\npartition = 3\n",
                "t.toml:4: there is no setting log.partition; did you mean log.partitions?"},
        Refused{"[log]\nnothing_like = 3\n",
                "t.toml:2: there is no setting log.nothing_like; allowed here: log.partitions, log.commit_spacing, "
                "log.size, "
                "log.compressed"},
        Refused{"[nowhere]\nx = 1\n",
                "t.toml:1: there is no setting nowhere; allowed here: data, store, worker, log_level, log_format, "
                "instruments, intervals"},
        Refused{"store = \"m.db\"\n",
                "t.toml:1: store = \"m.db\" is refused; allowed: sqlite:FILE; empty: DIR/store.db"},
        Refused{"worker = \"a b\"\n",
                "t.toml:1: worker = \"a b\" is refused; allowed: at most 100 letters, digits, '.', '_' and '-'; empty: "
                "the host's name"},
        Refused{"[kafka]\ncommit = \"10ms\"\n",
                "t.toml:2: kafka.commit = \"10ms\" is refused; allowed: from \"20ms\" to \"1s\""},
        Refused{"[log]\npartitions = \"8\"\n",
                "t.toml:2: log.partitions is a string, not a whole number without quotes; allowed: a whole number from "
                "1 to 256"},
        Refused{"[log]\npartitions = 1.5\n",
                "t.toml:2: log.partitions is a number with a point, not a whole number without quotes; allowed: a "
                "whole number "
                "from 1 to 256"},
        Refused{"log_level = true\n",
                "t.toml:1: log_level is true or false, not a string; allowed: trace, debug, info, warn, error or off"},
        Refused{"[log]\npartitions = 0\n",
                "t.toml:2: log.partitions = \"0\" is refused; allowed: a whole number from 1 to 256"},
        Refused{"[log]\npartitions = 257\n",
                "t.toml:2: log.partitions = \"257\" is refused; allowed: a whole number from 1 to 256"},
        Refused{"[log]\ncommit_spacing = \"51ms\"\n",
                "t.toml:2: log.commit_spacing = \"51ms\" is refused; allowed: from \"0ms\" to \"50ms\""},
        Refused{
            "[log]\ncompressed = [\"raws\"]\n",
            "t.toml:2: log.compressed = \"raws\" is refused; allowed: names of topics: raw, trades, quotes, candles, "
            "news, gaps, quarantine, late, progress, instruments, control, news_counts"},
        Refused{
            "[rule]\nbound = \"3651d\"\n",
            "t.toml:2: rule.bound = \"3651d\" is refused; allowed: from \"0s\" to \"3650d\", a whole number with ns, "
            "us, ms, s, m, h or d"},
        Refused{"data = \"${file:/tmp}\"\n",
                "t.toml:1: data: ${file:/tmp} cannot be read; check the path and its rights"},
        Refused{"[rule]\noff_tick = \"drop\"\n",
                "t.toml:2: rule.off_tick = \"drop\" is refused; allowed: accept, mark or quarantine"},
        Refused{"intervals = [\"1s\", 60]\n",
                "t.toml:1: intervals holds a whole number; allowed: lengths from \"1s\" to \"1d\", rising, each a "
                "multiple of "
                "the first and a part of a day"},
        Refused{"intervals = [\"7s\"]\n",
                "t.toml:1: intervals = \"7s\" is refused; allowed: lengths from \"1s\" to \"1d\", rising, each a "
                "multiple of the "
                "first and a part of a day"},
        Refused{"data = \"${TRUETAPE_TEST_UNSET}\"\n",
                "t.toml:1: data: ${TRUETAPE_TEST_UNSET} is not set in the environment"},
        Refused{"data = \"${file:/nonexistent/x}\"\n",
                "t.toml:1: data: ${file:/nonexistent/x} cannot be read; check the path and its rights"},
        Refused{"data = \"${OPEN\"\n", "t.toml:1: data: \"${\" without \"}\"; write \"$${\" for a plain \"${\""}));

TEST(Config, ReadsWhatRunsLive) {
  const Config c = read(R"(
instruments = ["binance:BTCUSDT", "binance-usdm:ETHUSDT", "binance:BTCUSDT"]
[feed.binance]
stream_url = "ws://127.0.0.1:8900"
rest_url = "http://127.0.0.1:8900/"
tape = "agg"
connections = 2
quotes = []
[feed.binance-usdm]
quotes = ["ticker"]
[net]
ca_file = "ca.pem"
[serve]
address = "::1"
port = 0
read_token = "0123456789abcdef"
stale_after = "1m"
tls = { certificate = "c.pem", key = "k.pem" }
)")
                       .config;
  EXPECT_THAT(c.instruments,
              testing::ElementsAre(*Instrument::parse("binance:BTCUSDT"), *Instrument::parse("binance-usdm:ETHUSDT")));
  const FeedSettings& spot = c.feeds.at("binance");
  EXPECT_EQ(spot.stream_url, "ws://127.0.0.1:8900");
  EXPECT_EQ(spot.rest_url, "http://127.0.0.1:8900/");
  EXPECT_EQ(spot.tape, Tape::agg);
  EXPECT_EQ(spot.connections, 2);
  EXPECT_FALSE(spot.best || spot.ticker);
  const FeedSettings& usdm = c.feeds.at("binance-usdm");
  EXPECT_EQ(usdm.stream_url, "");
  EXPECT_EQ(usdm.tape, Tape::trade);
  EXPECT_FALSE(usdm.best);
  EXPECT_TRUE(usdm.ticker);
  EXPECT_EQ(c.ca_file, "ca.pem");
  EXPECT_EQ(c.serve.address, "::1");
  EXPECT_EQ(c.serve.port, 0);
  EXPECT_EQ(c.serve.read_token, "0123456789abcdef");
  EXPECT_EQ(c.serve.control_token, "");
  EXPECT_EQ(c.serve.certificate, "c.pem");
  EXPECT_EQ(c.serve.key, "k.pem");
  EXPECT_EQ(c.serve.stale_after, std::chrono::minutes{1});
}

TEST(Config, RefusesWhatCannotRunLive) {
  for (const char* set : {"instruments=BTCUSDT",
                          "instruments=kucoin:btc-USDT",
                          "instruments=nyse:IBM",
                          "instruments=binance:*USDT",
                          "instruments=finnhub:*",
                          "instruments=binance:",
                          "instruments=binance:A B",
                          "feed.binance.stream_url=wss://host/ws",
                          "feed.binance.stream_url=https://host",
                          "feed.binance.stream_url=host",
                          "feed.binance.rest_url=ws://host",
                          "feed.binance-usdm.rest_url=http://host:99999",
                          "feed.binance.tape=trades",
                          "feed.binance.connections=3",
                          "feed.binance.connections=0",
                          "feed.binance.quotes=depth",
                          "feed.kucoin.tape=trade",
                          "serve.address=localhost",
                          "serve.address=",
                          "serve.address=127.0.0.1:80",
                          "serve.address=1.2.3.400",
                          "serve.port=65536",
                          "serve.port=-1",
                          "serve.read_token=short",
                          "serve.control_token=has a blank in its text",
                          "serve.stale_after=999ms",
                          "serve.stale_after=25h",
                          "rule.off_tick@nyse=mark",
                          "rule.off_tick@nyse:IBM=mark",
                          "rule.off_tick@binance:btcusdt=mark",
                          "rule.off_tick@binance:*=mark",
                          "feed.finnhub.token=${TRUETAPE_TEST_UNSET}",
                          "cross.band=0.5",
                          "cross.band=0%",
                          "cross.hold=0s",
                          "cross.same_names=yes",
                          "cross.pairs=binance:BTCUSDT",
                          "cross.pairs=binance:BTCUSDT=binance:ETHUSDT"}) {
    const std::vector<std::string> sets{set};
    EXPECT_THROW(load_config({}, sets), ConfigError) << set;
  }
}

TEST(Config, AHoldShorterThanTheSmallestCandlesIsRefused) {
  const auto refused = [](std::vector<std::string> sets) -> std::string {
    try {
      load_config({}, sets);
    } catch (const ConfigError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(refused({"intervals=1m,1h", "cross.hold=59s"}),
            "--set: cross.hold = \"59s\" cannot be met: it is shorter than the smallest candles, 1m, whose closes are "
            "compared; say 1m or longer, or leave it out");
  EXPECT_EQ(refused({"intervals=1m,1h", "cross.hold=1m"}), "");
  EXPECT_EQ(refused({"intervals=1m,1h"}), "");
  const std::vector<std::string> minutes{"intervals=1m,1h"};
  EXPECT_THAT(effective_text(load_config({}, minutes)), HasSubstr("cross.hold = \"60s\"")) << "it grows with them";
  EXPECT_EQ(refused({"intervals=1s,1m", "cross.hold=1s"}), "");
}

TEST(Config, TokensAreMaskedWhereverTheyCouldShow) {
  const std::string text = effective_text(read("[serve]\nread_token = \"0123456789abcdef\"\n"));
  EXPECT_THAT(text, HasSubstr("serve.read_token = \"******\""));
  EXPECT_THAT(text, HasSubstr("serve.control_token = \"\""));
  EXPECT_EQ(refusal("[serve]\nread_token = \"secret\"\n"),
            "t.toml:2: serve.read_token = \"******\" is refused; allowed: 16 to 512 characters without blanks; empty: "
            "none is asked for");
}

TEST(Config, NeverShowsThePasswordOfTheRegistry) {
  for (const char* given :
       {"kafka.registry = \"https://alice:s%40cret@registry.example/x\"\n",
        "kafka.registry = \"https://alice@registry.example/x\"\nkafka.registry_password = \"s%40cret\"\n"}) {
    const Effective e = read(given);
    const std::string text = effective_text(e);
    EXPECT_THAT(text, HasSubstr("alice"));
    EXPECT_THAT(text, HasSubstr("******"));
    EXPECT_THAT(text, HasSubstr("@registry.example/x\""));
    EXPECT_THAT(text, testing::Not(HasSubstr("cret")));
    EXPECT_THAT(e.config.registry.url + e.config.registry.password, HasSubstr("s%40cret"));
  }
  for (const char* wrong : {"registry:8081", "ftp://registry", "http://registry/?x=1", "http://"})
    EXPECT_THAT(refusal("kafka.registry = \"" + std::string{wrong} + "\"\n"),
                HasSubstr("is refused; allowed: http[s]://"));
}

TEST(Config, NeverShowsThePasswordOfAFeedsAddress) {
  for (const std::string key : {"stream_url", "rest_url", "fill_url"}) {
    const std::string scheme = key == "stream_url" ? "wss" : "https";
    const Effective e = read("feed.binance." + key + " = \"" + scheme + "://alice:s%40cret@venue.example:8443\"\n");
    EXPECT_THAT(effective_text(e),
                HasSubstr("feed.binance." + key + " = \"" + scheme + "://alice:******@venue.example:8443/\""));
    EXPECT_THAT(effective_text(e), testing::Not(HasSubstr("cret")));
    for (const char* wrong : {"://alice:s%40cret@venue.example/path", "://alice:s%zzcret@venue.example"}) {
      const std::string said = refusal("feed.binance." + key + " = \"" + scheme + wrong + "\"\n");
      EXPECT_THAT(said, HasSubstr(scheme + "://venue.example"));
      EXPECT_THAT(said, testing::Not(HasSubstr("cret")));
    }
  }
  EXPECT_EQ(
      read("feed.binance.rest_url = \"https://alice:s%40cret@venue.example\"\n").config.feeds.at("binance").rest_url,
      "https://alice:s%40cret@venue.example");
}

TEST(Config, ALogOnKafkaIsNamedWithoutItsSecrets) {
  const Effective e = read(
      "data = \"kafka://b1:9092,b2/market?sasl.username=me&sasl.password=s%26cret\"\nstore = "
      "\"sqlite:m.db\"\n");
  EXPECT_TRUE(e.config.on_kafka());
  EXPECT_EQ(e.config.data, "kafka://b1:9092,b2:9092/market");
  EXPECT_EQ(e.config.kafka_place->properties.at(1).second, "s&cret");
  EXPECT_EQ(e.config.store_file(), "m.db");
  EXPECT_THAT(effective_text(e), HasSubstr("data = \"kafka://b1:9092,b2:9092/market?******\""));
  EXPECT_THAT(effective_text(e), testing::Not(HasSubstr("cret")));
  EXPECT_THAT(effective_text(read("data = \"kafka://b/m\"\n")), HasSubstr("data = \"kafka://b:9092/m\" "));
}

TEST(Config, AWrongPlaceOnKafkaIsRefusedWithoutItsSecrets) {
  const std::string said = refusal("data = \"kafka://b1:9092?sasl.password=secret\"\n");
  EXPECT_THAT(said, testing::StartsWith("t.toml:1: \"kafka://b1:9092\" is no place of a log on Kafka: the prefix"));
  EXPECT_THAT(said, testing::Not(HasSubstr("secret")));
  Config config;
  EXPECT_THROW(config.set_data("kafka://b1:9092/m?group.id=x"), ConfigError);
  config.set_data("kafka://b1:9092/m");
  config.set_data("a-directory");
  EXPECT_FALSE(config.on_kafka());
  EXPECT_EQ(config.store_file(), "a-directory/store.db");
}

TEST(Config, SyntaxErrorsNameTheLine) {
  EXPECT_THAT(refusal("data = \"a\"\n[log\n"), testing::StartsWith("t.toml:2: not TOML: "));
}

TEST(Config, InterpolatesEnvironmentAndFiles) {
  ::setenv("TRUETAPE_TEST_VALUE", "6", 1);
  const std::string file = testing::TempDir() + "truetape_config_test_secret";
  std::ofstream{file} << "from file\n";
  EXPECT_EQ(read("data = \"a${TRUETAPE_TEST_VALUE}b\"").config.data, "a6b");
  EXPECT_EQ(read("data = \"${file:" + file + "}\"").config.data, "from file");
  EXPECT_EQ(read("data = \"$${TRUETAPE_TEST_VALUE}\"").config.data, "${TRUETAPE_TEST_VALUE}");
  const std::vector<std::string> sets{"log.partitions=${TRUETAPE_TEST_VALUE}", "data=$${TRUETAPE_TEST_VALUE}"};
  const Config set = load_config({}, sets).config;
  EXPECT_EQ(set.partitions, 6);
  EXPECT_EQ(set.data, "${TRUETAPE_TEST_VALUE}");
  EXPECT_EQ(read("[log]\npartitions = \"${TRUETAPE_TEST_VALUE}\"").config.partitions, 6);
  std::filesystem::remove(file);
}

TEST(Config, LaterFilesAndSetsOverride) {
  const std::string base = testing::TempDir() + "truetape_base.toml", prod = testing::TempDir() + "truetape_prod.toml";
  std::ofstream{base} << "data = \"base\"\nlog_level = \"debug\"\n[log]\npartitions = 2\n";
  std::ofstream{prod} << "data = \"prod\"\n[log]\npartitions = 16\n";
  const std::vector<std::string> files{base, prod}, sets{"log.partitions=32", "intervals=1s,1m"};
  const Effective e = load_config(files, sets);
  EXPECT_EQ(e.config.data, "prod");
  EXPECT_EQ(e.config.log_level, "debug");
  EXPECT_EQ(e.config.partitions, 32);
  EXPECT_EQ(e.config.rules.intervals.size(), 2u);
  EXPECT_EQ(e.origins.at("log.partitions"), "--set");
  EXPECT_EQ(e.origins.at("data"), prod + ":1");
  std::filesystem::remove(base);
  std::filesystem::remove(prod);
}

TEST(Config, RulesAreCheckedAsAWhole) {
  const std::vector<std::string> sets{"rule.horizon=1s"};
  EXPECT_THROW(load_config({}, sets), ConfigError);
}

// What is printed reads back to the same, and what init writes is accepted: data is its only setting.
TEST(Config, PrintedTextsReadBack) {
  const Effective e = read(
      "data = \"a \\\"b\\\"\"\nintervals = [\"1s\", \"1h\"]\n[log]\nsize = \"1GiB\"\n[rule]\nsettle = \"1500ms\"\n");
  const std::string text = effective_text(e);
  EXPECT_EQ(read(text).config.rules.settle, std::chrono::milliseconds{1500});
  const auto without_origins = [](const std::string& s) {
    std::string out;
    for (std::size_t at = 0; at < s.size();) {
      const std::size_t end = s.find('\n', at);
      out += s.substr(at, s.find("  # ", at) - at) + '\n';
      at = end + 1;
    }
    return out;
  };
  EXPECT_EQ(without_origins(effective_text(read(text))), without_origins(text));
  Effective expected;
  expected.config.data = "truetape-data";
  EXPECT_EQ(without_origins(effective_text(read(commented_config()))), without_origins(effective_text(expected)));
}

TEST(Config, KeysOfSecretsAreToldByName) {
  EXPECT_TRUE(is_secret("serve.control_token"));
  EXPECT_TRUE(is_secret("finnhub.token"));
  EXPECT_TRUE(is_secret("store.password"));
  EXPECT_TRUE(is_secret("client_secret"));
  EXPECT_FALSE(is_secret("token.file_path"));
  EXPECT_FALSE(is_secret("data"));
}

TEST(Values, DurationsAndSizesReadBack) {
  for (const char* text : {"0s", "1ns", "1500us", "2ms", "60s", "90s", "10m", "2h", "7d", "30d"})
    EXPECT_EQ(duration_text(*parse_duration(text)), text);
  for (const char* text : {"", "10", "s", "-1s", "1.5s", "1 s", "9223372036855s", "1w"})
    EXPECT_FALSE(parse_duration(text)) << text;
  for (const char* text : {"1", "1KB", "20GB", "1GiB", "3MiB", "16TB"}) EXPECT_EQ(size_text(*parse_size(text)), text);
  for (const char* text : {"", "GB", "-1GB", "1.5GB", "99999999TB"}) EXPECT_FALSE(parse_size(text)) << text;
}

}  // namespace
}  // namespace truetape::app
