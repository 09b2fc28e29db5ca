// truetape schemas register | check | ls
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "app/command.h"
#include "app/schemas.h"
#include "codec/rows.h"
#include "codec/wire.h"
#include "registry/ids_file.h"
#include "registry/standing.h"

namespace truetape::app {
namespace {

constexpr Nanoseconds kWait = std::chrono::seconds{5};  // for a registry that does not answer; somebody looks on

struct Asked {
  std::string prefix;
  std::string ids;               // of register: the file to write; empty: none
  std::string format = "table";  // of ls
};

Config configure(const Common& common, const Asked& asked) {
  Config config = configure(common, Takes::nothing);
  config.registry.prefix = asked.prefix;
  return config;
}

// One of our schemas, and what is known of it there.
struct Subject {
  const wire::SchemaInfo* schema;
  std::string name;
  Standing standing;
};
Result<std::vector<Subject>> look_up_all(Registry& registry, const std::string& prefix) {
  std::vector<Subject> out;
  for (const wire::SchemaInfo& schema : wire::schemas()) {
    const std::string name = subject_of(prefix, schema);
    auto found = standing(registry, name, schema.json);
    if (!found) return tl::unexpected{found.error()};
    out.push_back({&schema, name, std::move(*found)});
  }
  return out;
}

void tell(const std::string& subject, const Registry::Version& version, const char* state) {
  std::printf("%-28s id %-6u version %-4d %s\n", subject.c_str(), version.id, version.version, state);
}
const char* known_text(Standing::Is is) {
  return is == Standing::Is::but_for_words ? "known, with other descriptions" : "known";
}

// Tells what the registry has against those that are registered with another schema. Answers how many it refuses.
Result<int> tell_objections(Registry& registry, const std::vector<Subject>& subjects) {
  int refused = 0;
  for (const Subject& subject : subjects) {
    if (subject.standing.is != Standing::Is::another) continue;
    const auto words = registry.objections(subject.name, subject.schema->json);
    if (!words) return tl::unexpected{words.error()};
    tell(subject.name, subject.standing.version,
         words->empty() ? "another schema; ours is compatible" : "another schema; ours is refused as incompatible:");
    for (const std::string& word : *words) std::printf("    %s\n", word.c_str());
    if (!words->empty()) ++refused;
  }
  return refused;
}

int incompatible(const Registry& registry, int refused) {
  fail("schema registry " + registry.place() + " has an incompatible schema under " + std::to_string(refused) +
       (refused == 1 ? " subject" : " subjects") +
       "; use the version of truetape that registered it, or topics of another prefix");
  return kDifferent;
}

Status write_ids(const std::string& file, const IdsBySubject& fresh) {
  IdsBySubject all;
  if (std::error_code error; std::filesystem::exists(file, error)) {
    auto there = read_ids_file(file);
    if (!there) return tl::unexpected{there.error()};
    all = std::move(*there);
  }
  for (const auto& [subject, ids] : fresh) all[subject] = ids;
  return write_ids_file(file, all);
}

void expect_registry(const Config& config) {
  if (config.registry.url.empty())
    throw ConfigError{"no schema registry is named; set kafka.registry, as in --set kafka.registry=http://HOST:8081"};
}

int run_register(const Common& common, const Asked& asked) {
  const Config config = configure(common, asked);
  expect_registry(config);
  const std::string prefix = subject_prefix(config);
  const auto registry = open_registry(config, kWait);
  if (!registry) return fail(registry.error().detail);
  const auto subjects = look_up_all(**registry, prefix);
  if (!subjects) return fail(subjects.error().detail);
  // All or none, as far as that can be told before.
  const auto refused = tell_objections(**registry, *subjects);
  if (!refused) return fail(refused.error().detail);
  if (*refused > 0) return incompatible(**registry, *refused);
  IdsBySubject ids;
  for (const Subject& subject : *subjects) {
    Registry::Version version = subject.standing.version;
    const bool known = subject.standing.ours();
    if (!known) {
      const auto id = (*registry)->add(subject.name, subject.schema->json);
      if (!id) {
        fail(id.error().detail);
        return id.error().fault == Fault::mismatch ? kDifferent : kFailed;
      }
      const auto added = (*registry)->look_up(subject.name, subject.schema->json);
      if (!added) return fail(added.error().detail);
      version.id = *id;
      version.version = added->found ? added->found->version : 0;
    }
    tell(subject.name, version, known ? known_text(subject.standing.is) : "new");
    ids[subject.name] = {version.id};
  }
  if (asked.ids.empty()) return kOk;
  if (const Status written = write_ids(asked.ids, ids); !written) return fail(written.error().detail);
  std::printf("written: %s\n", asked.ids.c_str());
  return kOk;
}

// The ids of the file, held against those of the registry where there is one. Answers what the exit code is to be.
int check_file(const Config& config, const std::vector<Subject>& registered) {
  const std::string prefix = subject_prefix(config);
  const auto ids = schema_ids_of_file(config.registry.ids_file, prefix);
  if (!ids) {
    const bool unreadable = !read_ids_file(config.registry.ids_file);
    fail(ids.error().detail);
    return unreadable ? kFailed : kDifferent;
  }
  int wrong = 0;
  for (const wire::SchemaInfo& schema : wire::schemas()) {
    const std::string name = subject_of(prefix, schema);
    const auto written = (*ids)->written(schema.topic, schema.id);
    if (!written) return fail(written.error().detail);
    const auto other = std::ranges::find_if(registered, [&](const Subject& subject) {
      return subject.name == name && subject.standing.ours() && subject.standing.version.id != *written;
    });
    if (other == registered.end()) {
      std::printf("%-28s id %-6u in %s\n", name.c_str(), *written, config.registry.ids_file.c_str());
    } else {
      std::printf("%-28s id %-6u in %s, but %u in the registry\n", name.c_str(), *written,
                  config.registry.ids_file.c_str(), other->standing.version.id);
      ++wrong;
    }
  }
  if (wrong == 0) return kOk;
  fail(config.registry.ids_file + ": " + std::to_string(wrong) + (wrong == 1 ? " id is" : " ids are") +
       " not the registry's; `truetape schemas register --ids " + config.registry.ids_file + "` writes it anew");
  return kDifferent;
}

int run_check(const Common& common, const Asked& asked) {
  const Config config = configure(common, asked);
  const std::string prefix = subject_prefix(config);
  if (config.registry.url.empty() && config.registry.ids_file.empty())
    throw ConfigError{
        "there is nothing to check: neither kafka.registry nor kafka.schema_ids is set, and without them schema ids "
        "are truetape's own"};
  if (config.registry.url.empty()) return check_file(config, {});
  const auto registry = open_registry(config, kWait);
  if (!registry) return fail(registry.error().detail);
  const auto subjects = look_up_all(**registry, prefix);
  if (!subjects) return fail(subjects.error().detail);
  int missing = 0;
  for (const Subject& subject : *subjects) {
    if (subject.standing.ours()) tell(subject.name, subject.standing.version, known_text(subject.standing.is));
    if (subject.standing.is == Standing::Is::missing) std::printf("%-28s missing\n", subject.name.c_str());
    missing += !subject.standing.ours();
  }
  const auto refused = tell_objections(**registry, *subjects);
  if (!refused) return fail(refused.error().detail);
  if (*refused > 0) return incompatible(**registry, *refused);
  const int file = config.registry.ids_file.empty() ? kOk : check_file(config, *subjects);
  if (missing == 0) return file;
  fail("schema registry " + (*registry)->place() + " lacks " + std::to_string(missing) + " of " +
       std::to_string(subjects->size()) + " schemas; register them: truetape schemas register --prefix " +
       config.registry.prefix);
  return kDifferent;
}

constexpr std::array<RowColumn, 4> kColumns{{{"subject"}, {"id", true}, {"version", true}, {"state"}}};

// A line of ls; its own type, so that the row's cells are found.
struct SubjectRow {
  std::string subject;
  std::optional<std::uint32_t> id;
  std::optional<std::int32_t> version;
  std::string_view state;
};
void put_cells(const SubjectRow& row, RowCells& out) {
  out.text(row.subject);
  row.id ? out.number(std::int64_t{*row.id}) : out.null();
  row.version ? out.number(std::int64_t{*row.version}) : out.null();
  out.text(row.state);
}

std::string_view state_name(Standing::Is is) {
  switch (is) {
    case Standing::Is::registered:
      return "registered";
    case Standing::Is::but_for_words:
      return "other descriptions";
    case Standing::Is::another:
      return "another schema";
    case Standing::Is::missing:
      return "missing";
  }
  return "";
}

Result<std::vector<SubjectRow>> rows_of(const Config& config) {
  const std::string prefix = subject_prefix(config);
  std::vector<SubjectRow> out;
  if (!config.registry.url.empty()) {
    const auto registry = open_registry(config, kWait);
    if (!registry) return tl::unexpected{registry.error()};
    auto subjects = look_up_all(**registry, prefix);
    if (!subjects) return tl::unexpected{subjects.error()};
    for (const Subject& subject : *subjects) {
      SubjectRow row{.subject = subject.name, .id = {}, .version = {}, .state = state_name(subject.standing.is)};
      if (subject.standing.is != Standing::Is::missing) {
        row.id = subject.standing.version.id;
        row.version = subject.standing.version.version;
      }
      out.push_back(std::move(row));
    }
    return out;
  }
  const SystemClock clock;
  const auto ids = open_schema_ids(config, clock);
  if (!ids) return tl::unexpected{ids.error()};
  for (const wire::SchemaInfo& schema : wire::schemas()) {
    const auto id = (*ids)->written(schema.topic, schema.id);
    if (!id) return tl::unexpected{id.error()};
    out.push_back({.subject = subject_of(prefix, schema),
                   .id = *id,
                   .version = {},
                   .state = config.registry.ids_file.empty() ? "own" : "in the file"});
  }
  return out;
}

int run_ls(const Common& common, const Asked& asked) {
  const auto rows = rows_of(configure(common, asked));
  if (!rows) return fail(rows.error().detail);
  bool readable = true;
  RowWriter writer{parse_row_format(asked.format).value(), kColumns, [](std::string_view text) {
                     return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
                   }};
  for (const SubjectRow& row : *rows)
    if (readable) readable = writer.write(row);
  readable = writer.finish() && readable;
  if (std::fflush(stdout) != 0 || !readable) return fail("standard output cannot be written");
  return kOk;
}

// As log/kafka allows it.
CLI::Validator topic_prefix() {
  return CLI::Validator{
      [](std::string& text) {
        const bool good = !text.empty() && text.size() <= 100 &&
                          text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
                              std::string::npos;
        return good ? std::string{} : '"' + text + "\" is no prefix; 1 to 100 letters, digits, '.', '_' and '-' are";
      },
      ""};
}

}  // namespace

void add_schemas(CLI::App& root, Run& chosen) {
  CLI::App* schemas = root.add_subcommand(
      "schemas",
      "Registers truetape's schemas for a log on Kafka, or checks that they are.\n\n"
      "On Kafka every value says which schema it was written with, by an id that a schema registry gave. Workers look\n"
      "ids up and never register: that is done here, once, and again when a new version of truetape has new schemas.");
  schemas->require_subcommand(1);
  schemas->footer(
      "Examples:\n"
      "  truetape schemas register --prefix market --set kafka.registry=http://localhost:8081\n"
      "  truetape schemas check --prefix market --config prod.toml\n"
      "  truetape schemas ls --prefix market --config prod.toml\n\n"
      "`truetape schemas COMMAND --help` tells more of each.");

  const auto add = [&](const char* name, const char* about, const std::string& footer, auto run, auto options) {
    CLI::App* command = schemas->add_subcommand(name, about);
    command->footer(footer);
    const auto common = add_common(*command, Takes::nothing);
    const auto asked = std::make_shared<Asked>();
    command->add_option("--prefix", asked->prefix, "What the topics begin with: market for market.trades")
        ->required()
        ->check(topic_prefix())
        ->type_name("PREFIX");
    options(*command, *asked);
    command->callback([=, &chosen] { chosen = [=] { return run(*common, *asked); }; });
  };
  constexpr const char* kFailures =
      "  1  the registry does not answer, or refuses us; or a file cannot be read or written\n"
      "  2  command line or configuration refused; nothing was done\n";

  add("register",
      "Registers the schemas of all topics whose values are Avro.\n\n"
      "Says of each subject its id and version, and whether it is new. Doing it again changes nothing. Where the "
      "registry\n"
      "has an incompatible schema under one of the subjects, none is registered, and its words are shown.",
      std::string{"Examples:\n"
                  "  truetape schemas register --prefix market --set kafka.registry=http://localhost:8081\n"
                  "  truetape schemas register --prefix market --config prod.toml --ids ids.json\n\n"
                  "Exit status:\n"
                  "  0  all are registered\n"} +
          kFailures + "  3  the registry refuses a schema as incompatible",
      run_register, [](CLI::App& command, Asked& asked) {
        command
            .add_option("--ids", asked.ids,
                        "Writes the ids into this file too, for kafka.schema_ids; subjects of others in it stay")
            ->type_name("FILE");
      });
  add("check",
      "Says whether all schemas are registered; changes nothing.\n\n"
      "Where kafka.schema_ids is set, the ids of that file are compared with the registry's, or alone looked at.",
      std::string{"Examples:\n"
                  "  truetape schemas check --prefix market --config prod.toml\n\n"
                  "Exit status:\n"
                  "  0  workers can start with it\n"} +
          kFailures + "  3  a schema is missing, another one stands there, or an id differs",
      run_check, [](CLI::App&, Asked&) {});
  add("ls",
      "Lists the subjects with their ids.\n\n"
      "From the registry (of a subject with another schema: its latest version), else from the file of\n"
      "kafka.schema_ids, else truetape's own.",
      std::string{"Examples:\n"
                  "  truetape schemas ls --prefix market --config prod.toml --format csv\n\n"
                  "Exit status:\n"
                  "  0  done\n"} +
          kFailures,
      run_ls, [](CLI::App& command, Asked& asked) {
        command.add_option("--format", asked.format, "table, csv or json (one object a line)")
            ->capture_default_str()
            ->check(CLI::IsMember({"table", "csv", "json"}))
            ->type_name("F");
      });
}

}  // namespace truetape::app
