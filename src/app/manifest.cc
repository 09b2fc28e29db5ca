#include "app/manifest.h"

#include <simdjson.h>

#include <algorithm>

#include "codec/cells.h"
#include "log/log.h"

namespace truetape::app {
namespace {

using simdjson::dom::element;

// One member a line, so that people can read it.
class Lines {
 public:
  void text(std::string_view name, std::string_view value) { append_json(value, begin(name)); }
  void number(std::string_view name, std::int64_t value) { begin(name) += std::to_string(value); }
  std::string& begin(std::string_view name) {
    out_ += out_.empty() ? "{\n  " : ",\n  ";
    append_json(name, out_);
    return out_ += ": ";
  }
  std::string end() { return out_ + "\n}\n"; }

 private:
  std::string out_;
};

bool read(const element& from, std::string_view name, std::string& to) {
  std::string_view text;
  if (from[name].get(text) != simdjson::SUCCESS) return false;
  to = text;
  return true;
}
template <class Number>
bool read(const element& from, std::string_view name, Number& to) {
  std::int64_t number = 0;
  if (from[name].get(number) != simdjson::SUCCESS || number < 0) return false;
  to = static_cast<Number>(number);
  return true;
}

// Nothing that leads out of the directory, and nothing but what a backup holds.
bool is_known_file(std::string_view name) {
  if (name == "log/log.mdb" || name == "store.db") return true;
  return name.starts_with("reconcile/") && name.ends_with(".json") && name.find('/', 10) == std::string_view::npos;
}

bool parse(const element& from, Manifest& to) {
  std::string time;
  if (!read(from, "program", to.program) || !read(from, "time", time) || !read(from, "log_id", to.log_id) ||
      !read(from, "epoch", to.epoch) || !read(from, "partitions", to.partitions) ||
      !read(from, "log_format", to.log_format) || !read(from, "state_version", to.state_version) ||
      !read(from, "store_schema", to.store_schema))
    return false;
  const auto at = parse_rfc3339(time);
  if (!at) return false;
  to.time = *at;
  simdjson::dom::array files, positions;
  if (from["files"].get(files) != simdjson::SUCCESS || from["positions"].get(positions) != simdjson::SUCCESS)
    return false;
  for (const element position : positions) {
    Manifest::Position& p = to.positions.emplace_back();
    if (!read(position, "topic", p.topic) || !read(position, "partition", p.partition) ||
        !read(position, "oldest", p.oldest) || !read(position, "end", p.end) || !read(position, "done", p.done) ||
        !topic::index(p.topic))
      return false;
  }
  for (const element file : files) {
    Manifest::File& f = to.files.emplace_back();
    if (!read(file, "name", f.name) || !read(file, "bytes", f.bytes) || !read(file, "sha256", f.sha256) ||
        !is_known_file(f.name) || f.sha256.size() != 64)
      return false;
  }
  return std::any_of(to.files.begin(), to.files.end(), [](const auto& f) { return f.name == "log/log.mdb"; });
}

}  // namespace

std::string program_version() { return TRUETAPE_VERSION; }

std::filesystem::path partial_of(const std::filesystem::path& directory) {
  std::string path = directory.string();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path + ".partial";
}

std::string manifest_text(const Manifest& manifest) {
  Lines lines;
  lines.number("format", manifest.format);
  lines.text("program", manifest.program);
  lines.text("time", to_rfc3339(manifest.time));
  lines.text("log_id", manifest.log_id);
  lines.number("epoch", manifest.epoch);
  lines.number("partitions", manifest.partitions);
  lines.number("log_format", manifest.log_format);
  lines.number("state_version", manifest.state_version);
  lines.number("store_schema", manifest.store_schema);
  std::string& files = lines.begin("files") += '[';
  for (const auto& file : manifest.files) {
    files += &file == manifest.files.data() ? "\n    {\"name\": " : ",\n    {\"name\": ";
    append_json(file.name, files);
    files += ", \"bytes\": " + std::to_string(file.bytes) + ", \"sha256\": ";
    append_json(file.sha256, files);
    files += '}';
  }
  files += ']';
  std::string& positions = lines.begin("positions") += '[';
  for (const auto& p : manifest.positions) {
    positions += &p == manifest.positions.data() ? "\n    {\"topic\": " : ",\n    {\"topic\": ";
    append_json(p.topic, positions);
    positions += ", \"partition\": " + std::to_string(p.partition) + ", \"oldest\": " + std::to_string(p.oldest) +
                 ", \"end\": " + std::to_string(p.end) + ", \"done\": " + std::to_string(p.done) + '}';
  }
  positions += ']';
  return lines.end();
}

Result<Manifest> read_manifest(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / kManifest;
  std::error_code error;
  if (!std::filesystem::exists(file, error))
    return failure(Fault::not_found, Retry::never,
                   directory.string() + " is no backup: it has no " + kManifest +
                       "; name the directory that truetape backup made");
  simdjson::dom::parser parser;
  element root;
  Manifest out;
  if (parser.load(file.string()).get(root) != simdjson::SUCCESS || !read(root, "format", out.format))
    return failure(Fault::corrupt, Retry::never,
                   file.string() + " cannot be read or is damaged; take another backup, or copy this one again");
  if (out.format > Manifest::kFormat)
    return failure(Fault::mismatch, Retry::never,
                   file.string() + " is of format " + std::to_string(out.format) + ", this program knows up to " +
                       std::to_string(Manifest::kFormat) + "; use a newer truetape");
  if (!parse(root, out))
    return failure(Fault::corrupt, Retry::never,
                   file.string() +
                       " is damaged: something is missing in it or is none of a backup; take another "
                       "backup, or copy this one again");
  return out;
}

}  // namespace truetape::app
