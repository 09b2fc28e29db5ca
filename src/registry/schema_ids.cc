#include "registry/schema_ids.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <utility>
#include <vector>

#include "codec/avro_schema.h"
#include "registry/ids_file.h"
#include "registry/standing.h"

namespace truetape {
namespace {

// One of our schemas, and the ids that stand for it; the first is written.
struct Known {
  const wire::SchemaInfo* schema;
  std::vector<std::uint32_t> ids;
};

// What all three have in common: a table that never changes, so that it is read without a lock.
class TableIds : public SchemaIds {
 public:
  explicit TableIds(std::vector<Known> table) : table_{std::move(table)} {}

  Result<std::uint32_t> written(std::string_view topic, std::uint32_t local) final {
    for (const Known& known : table_)
      if (known.schema->id == local && known.schema->topic == topic) return known.ids.front();
    if (!has_frames(topic)) return unframed(topic);
    return failure(Fault::mismatch, Retry::never,
                   "the local schema id " + std::to_string(local) + " is none of topic " + std::string{topic});
  }

  Result<std::uint32_t> local(std::string_view topic, std::uint32_t id) final {
    for (const Known& known : table_)
      if (known.schema->topic == topic && std::ranges::find(known.ids, id) != known.ids.end()) return known.schema->id;
    if (!has_frames(topic)) return unframed(topic);
    return unknown(topic, id);
  }

 protected:
  virtual Result<std::uint32_t> unknown(std::string_view topic, std::uint32_t id) = 0;

  const Known* of_topic(std::string_view topic) const {
    const auto found = std::ranges::find(table_, topic, [](const Known& known) { return known.schema->topic; });
    return found == table_.end() ? nullptr : &*found;
  }
  const Known* of_id(std::uint32_t id) const {
    const auto found = std::ranges::find_if(
        table_, [&](const Known& known) { return std::ranges::find(known.ids, id) != known.ids.end(); });
    return found == table_.end() ? nullptr : &*found;
  }

 private:
  bool has_frames(std::string_view topic) const { return of_topic(topic) != nullptr; }
  static tl::unexpected<Error> unframed(std::string_view topic) {
    return failure(Fault::out_of_range, Retry::never,
                   "the values of topic " + std::string{topic} + " are no framed Avro and have no schema id");
  }

  const std::vector<Known> table_;
};

auto cannot_read(std::string_view topic, std::uint32_t id, const std::string& why, Fault fault = Fault::not_found) {
  return failure(
      fault, Retry::never,
      "a value of topic " + std::string{topic} + " was written with schema id " + std::to_string(id) + ": " + why);
}

// Of a schema in canonical form, which begins with it: {"name":"truetape.Trade", …
std::string_view full_name(std::string_view canonical) { return canonical.substr(0, canonical.find(',')); }

std::vector<Known> own_table() {
  std::vector<Known> out;
  for (const wire::SchemaInfo& schema : wire::schemas()) out.push_back({&schema, {schema.id}});
  return out;
}

class OwnIds final : public TableIds {
 public:
  OwnIds() : TableIds{own_table()} {}

 private:
  Result<std::uint32_t> unknown(std::string_view topic, std::uint32_t id) override {
    // Lower ones are, or may become, truetape's own.
    return cannot_read(topic, id,
                       "without a registry (kafka.registry) or a file of ids (kafka.schema_ids) only truetape's own " +
                           std::to_string(of_topic(topic)->ids.front()) + " is known there",
                       id < wire::kOwnIds ? Fault::mismatch : Fault::not_found);
  }
};

class FileIds final : public TableIds {
 public:
  FileIds(std::vector<Known> table, std::vector<std::uint32_t> foreign, std::string file, std::string prefix)
      : TableIds{std::move(table)}, foreign_{std::move(foreign)}, file_{std::move(file)}, prefix_{std::move(prefix)} {}

 private:
  // Nobody can tell here whether a newer truetape wrote it: leaving it out could lose data, so somebody must say.
  Result<std::uint32_t> unknown(std::string_view topic, std::uint32_t id) override {
    if (std::ranges::find(foreign_, id) != foreign_.end())
      return cannot_read(topic, id, file_ + " says that it is not truetape's");
    if (const Known* other = of_id(id))
      return cannot_read(topic, id,
                         file_ + " says that it is the schema of topic " + std::string{other->schema->topic});
    return cannot_read(topic, id,
                       file_ + " does not name it; if it is the same schema, add it to the list of \"" +
                           subject_of(prefix_, *of_topic(topic)->schema) + "\" there, if it is not truetape's to \"" +
                           std::string{kForeignIds} + '"',
                       Fault::mismatch);
  }

  const std::vector<std::uint32_t> foreign_;
  const std::string file_, prefix_;
};

class RegistryIds final : public TableIds {
 public:
  RegistryIds(std::vector<Known> table, std::unique_ptr<Registry> registry, const Clock& clock)
      : TableIds{std::move(table)}, registry_{std::move(registry)}, clock_{clock} {
    registry_->wait_at_most(kPause);  // a reader asks again by itself, and meanwhile has other partitions to read
    for (const wire::SchemaInfo& schema : wire::schemas())
      if (auto form = avro::canonical_schema(schema.json)) forms_.emplace(std::move(*form), &schema);
  }

 private:
  using Steady = std::chrono::steady_clock::time_point;
  static constexpr auto kBelieved = std::chrono::minutes{1};  // that an id cannot be read
  static constexpr auto kPause = std::chrono::seconds{1};     // between calls that fail

  // What an id stands for: one of our schemas, or why none of them.
  struct Answer {
    const wire::SchemaInfo* schema = nullptr;
    std::string why;
    Steady at{};
    std::string_view newer{};  // the topic of whose schema it is a version that we do not know; empty: of none
  };

  Result<std::uint32_t> unknown(std::string_view topic, std::uint32_t id) override {
    if (auto answer = remembered(id)) return verdict(topic, id, *answer);
    const std::lock_guard one_at_a_time{asking_};
    if (auto answer = remembered(id)) return verdict(topic, id, *answer);  // another thread has asked meanwhile
    if (failed_ && clock_.steady() < failed_until_) return not_asked(topic, id);
    const auto schema = registry_->schema(id);
    if (!schema) {  // also a wrong password, which is no fault of the record's
      failed_ = schema.error();
      failed_until_ = clock_.steady() + kPause;
      return not_asked(topic, id);
    }
    failed_.reset();
    const Answer answer = judge(*schema);
    remember(id, answer);
    return verdict(topic, id, answer);
  }

  tl::unexpected<Error> not_asked(std::string_view topic, std::uint32_t id) const {
    return failure(Fault::unavailable, Retry::after_backoff,
                   "a value of topic " + std::string{topic} + " has schema id " + std::to_string(id) +
                       ", which nobody has looked up yet: " + failed_->detail);
  }

  Answer judge(const std::optional<Registry::Schema>& schema) const {
    Answer answer{.schema = nullptr, .why = {}, .at = clock_.steady()};
    if (!schema) {
      answer.why = "schema registry " + registry_->place() + " has no such schema; the bytes are foreign or damaged";
    } else if (schema->type != "AVRO") {
      answer.why = "that is a schema of type " + schema->type + "; truetape reads Avro";
    } else if (const auto form = avro::canonical_schema(schema->text); !form) {
      answer.why = form.error().detail;
    } else if (const auto ours = forms_.find(*form); ours != forms_.end()) {
      answer.schema = ours->second;
    } else {
      for (const auto& [text, known] : forms_)
        if (full_name(text) == full_name(*form)) answer.newer = known->topic;
      answer.why = answer.newer.empty()
                       ? "that is no schema of truetape's"
                       : "that is another version of the schema than this truetape reads; use a newer truetape";
    }
    return answer;
  }

  static Result<std::uint32_t> verdict(std::string_view topic, std::uint32_t id, const Answer& answer) {
    if (answer.schema == nullptr)
      return cannot_read(topic, id, answer.why, answer.newer == topic ? Fault::mismatch : Fault::not_found);
    if (answer.schema->topic != topic)
      return cannot_read(topic, id, "that is the schema of topic " + std::string{answer.schema->topic});
    return answer.schema->id;
  }

  std::optional<Answer> remembered(std::uint32_t id) {
    const std::shared_lock reading{cache_};
    const auto found = answers_.find(id);
    if (found == answers_.end()) return std::nullopt;
    if (found->second.schema == nullptr && clock_.steady() - found->second.at >= kBelieved) return std::nullopt;
    return found->second;
  }

  // Ids that stand for our schemas are few; of the others, which may be any number, the oldest gives way.
  void remember(std::uint32_t id, const Answer& answer) {
    const std::lock_guard writing{cache_};
    unknown_ -= std::size_t{answers_.contains(id)};  // only those that cannot be read are asked again
    answers_[id] = answer;
    if (answer.schema != nullptr || ++unknown_ <= kMostUnknown) return;
    auto oldest = answers_.end();
    for (auto entry = answers_.begin(); entry != answers_.end(); ++entry)
      if (entry->second.schema == nullptr && (oldest == answers_.end() || entry->second.at < oldest->second.at))
        oldest = entry;
    answers_.erase(oldest);
    --unknown_;
  }

  const std::unique_ptr<Registry> registry_;
  const Clock& clock_;
  std::map<std::string, const wire::SchemaInfo*, std::less<>> forms_;  // canonical

  std::shared_mutex cache_;
  std::map<std::uint32_t, Answer> answers_;
  std::size_t unknown_ = 0;  // of them that stand for none of ours

  std::mutex asking_;  // the registry, and what follows
  std::optional<Error> failed_;
  Steady failed_until_{};
};

std::string listed(const std::vector<std::string>& subjects) {
  std::string out;
  for (const std::string& subject : subjects) out += (out.empty() ? "" : ", ") + subject;
  return out;
}

}  // namespace

std::string subject_of(std::string_view prefix, const wire::SchemaInfo& schema) {
  return std::string{prefix} + std::string{schema.subject};
}

std::unique_ptr<SchemaIds> own_schema_ids() { return std::make_unique<OwnIds>(); }

Result<std::unique_ptr<SchemaIds>> schema_ids_of_file(const std::filesystem::path& file, std::string_view prefix) {
  auto read = read_ids_file(file);
  if (!read) return tl::unexpected{read.error()};
  std::vector<Known> table;
  std::map<std::uint32_t, std::string> taken;
  for (const wire::SchemaInfo& schema : wire::schemas()) {
    const std::string subject = subject_of(prefix, schema);
    const auto found = read->find(subject);
    if (found == read->end())
      return failure(Fault::not_found, Retry::never,
                     file.string() + ": \"" + subject +
                         "\" is missing; add its id, or `truetape schemas register --ids " + file.string() +
                         "` makes the file");
    for (const std::uint32_t id : found->second)
      if (const auto [other, fresh] = taken.emplace(id, subject); !fresh && other->second != subject)
        return failure(Fault::malformed, Retry::never,
                       file.string() + ": id " + std::to_string(id) + " stands for \"" + other->second + "\" and \"" +
                           subject + "\"; one id is one schema, mend one of them");
    table.push_back({&schema, found->second});
  }
  const auto said = read->find(kForeignIds);
  auto foreign = said == read->end() ? std::vector<std::uint32_t>{} : said->second;
  for (const std::uint32_t id : foreign)
    if (const auto ours = taken.find(id); ours != taken.end())
      return failure(Fault::malformed, Retry::never,
                     file.string() + ": id " + std::to_string(id) + " stands for \"" + ours->second + "\" and in \"" +
                         std::string{kForeignIds} + "\"; take it out of one of them");
  return std::make_unique<FileIds>(std::move(table), std::move(foreign), file.string(), std::string{prefix});
}

Result<std::unique_ptr<SchemaIds>> schema_ids_of_registry(std::unique_ptr<Registry> registry, std::string_view prefix,
                                                          const Clock& clock) {
  std::vector<Known> table;
  std::vector<std::string> missing, other;
  for (const wire::SchemaInfo& schema : wire::schemas()) {
    const std::string subject = subject_of(prefix, schema);
    const auto found = standing(*registry, subject, schema.json);
    if (!found) return tl::unexpected{found.error()};
    if (found->is == Standing::Is::missing) missing.push_back(subject);
    if (found->is == Standing::Is::another) other.push_back(subject);
    table.push_back({&schema, {found->version.id}});
  }
  const std::string where = "schema registry " + registry->place() + ": ";
  if (!missing.empty())
    return failure(
        Fault::not_found, Retry::never,
        where + "not registered: " + listed(missing) + "; `truetape schemas register` does it once, workers never do");
  if (!other.empty())
    return failure(
        Fault::mismatch, Retry::never,
        where + "registered, but not with the schema of this version of truetape: " + listed(other) +
            "; `truetape schemas check` tells more, `truetape schemas register` adds it where it is compatible");
  return std::make_unique<RegistryIds>(std::move(table), std::move(registry), clock);
}

}  // namespace truetape
