// truetape topics create | check | describe
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "app/command.h"
#include "app/lines.h"
#include "app/open_kafka.h"
#include "app/values.h"
#include "codec/rows.h"

namespace truetape::app {
namespace {

std::chrono::milliseconds topic_patience(const Config& config) {
  return std::chrono::ceil<std::chrono::milliseconds>(config.kafka.patience);
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out.append(out.empty() ? "" : ", ").append(name);
  return out;
}

int run_create(const Common& common) {
  const Config config = configure(common, Takes::kafka);
  const auto report = create_topics(*config.kafka_place, topic_settings(config), topic_patience(config));
  if (!report) return fail(report.error().detail);
  const std::size_t there = report->topics.size() - report->created.size();
  if (!report->created.empty()) std::printf("made %s\n", listed(report->created).c_str());
  if (there > 0) std::printf("%zu topics were there already\n", there);
  std::printf("log %s in %s: %d partitions, %d replicas\n", report->log_id.c_str(), config.data.c_str(),
              report->topics.empty() ? 0 : std::ranges::max(report->topics, {}, &KafkaTopic::partitions).partitions,
              report->topics.empty() ? 0 : report->topics.front().replication);
  return kOk;
}

int run_check(const Common& common) {
  const Config config = configure(common, Takes::kafka);
  const auto report = check_topics(*config.kafka_place, topic_settings(config), topic_patience(config));
  if (!report) return fail(report.error().detail);
  for (const KafkaTopic& topic : report->topics)
    for (const std::string& sentence : topic.differs) std::printf("differs: %s\n", sentence.c_str());
  for (const std::string& name : report->missing) std::printf("missing: %s\n", name.c_str());
  const std::string make = "truetape topics create --data " + shell_word(config.data);
  if (report->fits()) {
    std::printf("%zu topics of %s are as they should be\n", report->topics.size(), config.data.c_str());
    return kOk;
  }
  const bool differs = std::ranges::any_of(report->topics, [](const KafkaTopic& t) { return !t.differs.empty(); });
  fail(differs ? "the topics of " + config.data +
                     " are not what the configuration says; change it, or them with Kafka's own tools (docs/kafka.md)"
       : report->missing.empty() ? "the log " + config.data + " was not begun: no log_id is noted; begin it: " + make
                                 : "topics of " + config.data + " are missing; make them: " + make);
  return kDifferent;
}

// A row of `topics describe`. Missing topics have a name only.
struct TopicLine {
  const std::string& name;
  const KafkaTopic* topic;
};

std::span<const RowColumn> topic_columns() {
  static constexpr RowColumn kColumns[] = {{"topic"},     {"partitions", true}, {"replication", true}, {"cleanup"},
                                           {"retention"}, {"kept_whole"},       {"min_insync", true},  {"differs"}};
  return kColumns;
}

std::string config_of(const KafkaTopic& topic, std::string_view key) {
  for (const auto& [name, value] : topic.config)
    if (name == key) return value;
  return {};
}

// Kafka's milliseconds as people write them; "-1": for ever.
std::string milliseconds_text(const std::string& value) {
  if (value.empty() || value == "-1") return value.empty() ? "" : "for ever";
  return duration_text(std::chrono::milliseconds{std::strtoll(value.c_str(), nullptr, 10)});
}

void put_cells(const TopicLine& line, RowCells& out) {
  out.text(line.name);
  if (line.topic == nullptr) {
    for (int cell = 0; cell < 6; ++cell) out.null();
    out.text("is missing");
    return;
  }
  const KafkaTopic& topic = *line.topic;
  out.number(std::int64_t{topic.partitions});
  out.number(std::int64_t{topic.replication});
  out.text(config_of(topic, "cleanup.policy"));
  out.text(milliseconds_text(config_of(topic, "retention.ms")));
  out.text(milliseconds_text(config_of(topic, "min.compaction.lag.ms")));
  const std::string in_sync = config_of(topic, "min.insync.replicas");
  in_sync.empty() ? out.null() : out.number(std::int64_t{std::strtoll(in_sync.c_str(), nullptr, 10)});
  std::string differs;
  for (const std::string& sentence : topic.differs) differs.append(differs.empty() ? "" : "; ").append(sentence);
  out.text(differs);
}

}  // namespace

int run_describe(const Common& common, RowFormat format) {
  const Config config = configure(common, Takes::kafka);
  const auto report = check_topics(*config.kafka_place, topic_settings(config), topic_patience(config));
  if (!report) return fail(report.error().detail);
  RowWriter writer{format, topic_columns(), [](std::string_view text) {
                     return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
                   }};
  bool readable = true;
  for (const KafkaTopic& topic : report->topics) readable = readable && writer.write(TopicLine{topic.name, &topic});
  for (const std::string& name : report->missing) readable = readable && writer.write(TopicLine{name, nullptr});
  if (!writer.finish() || !readable || std::fflush(stdout) != 0) return fail("standard output cannot be written");
  return kOk;
}

void add_topics(CLI::App& root, Run& chosen) {
  CLI::App* topics = root.add_subcommand("topics", "Makes the topics of a log on Kafka, checks and describes them");
  topics->require_subcommand(1);
  topics->footer(
      "Examples:\n"
      "  truetape topics create --data kafka://broker1:9092,broker2:9092/market --set log.partitions=16\n"
      "  truetape topics check --data kafka://broker1:9092/market --config market.toml\n"
      "  truetape topics describe --data kafka://broker1:9092/market\n\n"
      "`truetape topics COMMAND --help` tells more of each.");

  CLI::App* create = topics->add_subcommand("create",
                                            "Makes the topics that are missing, and begins the log.\n\n"
                                            "Of the settings log.partitions, kafka.replication, kafka.min_insync, "
                                            "log.retain.raw and log.retain.results. Run\n"
                                            "again it changes nothing. If a topic that is there differs from the "
                                            "settings it makes nothing, and says in what.\n"
                                            "Nothing else makes topics: neither process nor load nor import.");
  create->footer(
      "Examples:\n"
      "  truetape topics create --data kafka://broker1:9092,broker2:9092/market --set log.partitions=16\n\n"
      "Exit status:\n"
      "  0  all topics are there\n"
      "  1  failed: no brokers, no rights, or a topic that is there differs; the sentence says what\n"
      "  2  command line or configuration refused");
  const auto create_common = add_common(*create, Takes::kafka);
  create->callback([create_common, &chosen] { chosen = [create_common] { return run_create(*create_common); }; });

  CLI::App* check = topics->add_subcommand("check",
                                           "Compares the topics with the configuration, and changes nothing.\n\n"
                                           "One line for each difference and each missing topic.");
  check->footer(
      "Examples:\n"
      "  truetape topics check --data kafka://broker1:9092/market --config market.toml\n\n"
      "Exit status:\n"
      "  0  they are as the configuration says\n"
      "  1  failed: no brokers, no rights\n"
      "  2  command line or configuration refused\n"
      "  3  topics differ, or are missing");
  const auto check_common = add_common(*check, Takes::kafka);
  check->callback([check_common, &chosen] { chosen = [check_common] { return run_check(*check_common); }; });

  CLI::App* describe = topics->add_subcommand(
      "describe",
      "Prints a row for each topic, as it is on the brokers.\n\n"
      "retention: how long records are kept; kept_whole: how long older records of a key are, where only the last one\n"
      "stays; differs: what the configuration says and the brokers do not.");
  describe->footer("Columns:\n  " + csv_header(topic_columns()) +
                   "\n\n"
                   "Examples:\n"
                   "  truetape topics describe --data kafka://broker1:9092/market\n\n"
                   "Exit status:\n"
                   "  0  done, also where something differs or is missing\n"
                   "  1  failed: no brokers, no rights\n"
                   "  2  command line or configuration refused");
  const auto describe_common = add_common(*describe, Takes::kafka);
  const auto format = std::make_shared<std::string>("table");
  describe->add_option("--format", *format, "table, csv or json (one object a line)")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->type_name("F");
  describe->callback(
      [=, &chosen] { chosen = [=] { return run_describe(*describe_common, *parse_row_format(*format)); }; });
}

}  // namespace truetape::app
