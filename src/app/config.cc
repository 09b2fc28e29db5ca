#include "app/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

#include "app/values.h"
#include "core/wildcard.h"
#include "net/url.h"
#include "venues/feed.h"
#include "venues/feed_entry.h"
#include "venues/venue.h"

namespace truetape::app {

std::map<std::string, FeedSettings, std::less<>> feeds_of_all_venues() {
  std::map<std::string, FeedSettings, std::less<>> out;
  for (const FeedEntry& entry : feed_entries()) {
    FeedSettings& feed = out[std::string{entry.venue}];
    feed.symbols = entry.symbols;
    if (entry.news) feed.news = NewsBy::poll;
  }
  return out;
}

namespace {

constexpr const char* kHold = "cross.hold";

// nullopt: there is no such file, it is a directory, or there are no rights.
std::optional<std::string> contents(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::ostringstream out;
  if (in.peek() == std::ifstream::traits_type::eof()) {  // empty, which is fine, or not to be read
    std::error_code error;
    if (!in.is_open() || !std::filesystem::is_regular_file(file, error) || error) return std::nullopt;
    return std::string{};
  }
  out << in.rdbuf();
  if (in.bad() || out.fail()) return std::nullopt;
  return std::move(out).str();
}

std::string place(const std::filesystem::path& file, const toml::node& node) {
  return file.string() + ':' + std::to_string(node.source().begin.line);
}

std::string_view kind_text(ValueKind kind) {
  switch (kind) {
    case ValueKind::text:
      return "a string";
    case ValueKind::whole_number:
      return "a whole number without quotes";
    case ValueKind::list:
      return "an array of strings";
  }
  return "";
}

std::string_view node_text(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a number with a point";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

// A rule's name may end in @venue or @venue:SYMBOL. Called by the thread that reads the configuration alone.
const Setting* find_setting(std::string_view key) {
  const auto wide = wide_name(key);
  for (const Setting& setting : settings()) {
    if (setting.key == key) return &setting;
    if (!wide || setting.key != *wide) continue;
    static std::map<std::string, Setting, std::less<>> narrower;
    Setting& narrow = narrower.try_emplace(std::string{key}, setting).first->second;
    narrow.key = key;
    return &narrow;
  }
  return nullptr;
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// What is allowed where an unknown key stands: its nearest neighbour if it looks like a slip, and the keys of its
// table.
std::string instead_of(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  const std::string_view table = dot == std::string_view::npos ? "" : key.substr(0, dot + 1);
  std::string nearest, beside;
  std::size_t least = 3;
  for (const Setting& setting : settings()) {
    if (const std::size_t d = distance(key, setting.key); d < least) {
      least = d;
      nearest = setting.key;
    }
    const std::string_view name{setting.key};
    if (name.starts_with(table) && name.find('.', table.size()) == std::string_view::npos)
      beside += (beside.empty() ? "" : ", ") + setting.key;
  }
  if (!nearest.empty()) return "did you mean " + nearest + "?";
  if (!beside.empty()) return "allowed here: " + beside;
  return "`truetape config settings` lists all keys";
}

[[noreturn]] void refuse_unknown(const std::string& where, std::string_view key) {
  throw ConfigError{where + ": there is no setting " + std::string{key} + "; " + instead_of(key)};
}

std::string read_secret_file(const std::filesystem::path& file, const std::string& where) {
  auto read = contents(file);
  if (!read) throw ConfigError{where + ": ${file:" + file.string() + "} cannot be read; check the path and its rights"};
  std::string text = std::move(*read);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  if (!text.empty() && text.back() == '\r') text.pop_back();
  return text;
}

// True if anything was put in: then the value may stand for a number too.
bool interpolate(std::string& text, const std::filesystem::path& file, const std::string& where) {
  std::string out;
  bool changed = false;
  for (std::size_t at = 0; at < text.size();) {
    if (text.compare(at, 3, "$${") == 0) {
      out += "${";
      at += 3;
    } else if (text.compare(at, 2, "${") == 0) {
      const std::size_t end = text.find('}', at);
      if (end == std::string::npos)
        throw ConfigError{where + ": \"${\" without \"}\"; write \"$${\" for a plain \"${\""};
      const std::string name = text.substr(at + 2, end - at - 2);
      if (name.starts_with("file:")) {
        out += read_secret_file(file.parent_path() / name.substr(5), where);
      } else {
        const char* value = std::getenv(name.c_str());
        if (value == nullptr) throw ConfigError{where + ": ${" + name + "} is not set in the environment"};
        out += value;
      }
      at = end + 1;
      changed = true;
    } else {
      out += text[at++];
    }
  }
  text = std::move(out);
  return changed;
}

// The node's value as the one text that setters take. Throws ConfigError on a wrong type.
std::string value_text(const Setting& setting, const toml::node& node, const std::filesystem::path& file) {
  const std::string where = place(file, node) + ": " + setting.key;
  const auto string_of = [&](const toml::node& string_node, bool& put_in) {
    std::string text = **string_node.as_string();
    put_in = interpolate(text, file, where);
    return text;
  };
  bool put_in = false;
  if (setting.kind == ValueKind::whole_number && node.is_integer()) return std::to_string(**node.as_integer());
  if (node.is_string()) {
    std::string text = string_of(node, put_in);
    if (setting.kind == ValueKind::text || put_in) return text;
  }
  if (const toml::array* list = node.as_array(); list != nullptr && setting.kind == ValueKind::list) {
    std::string joined;
    for (const toml::node& element : *list) {
      if (!element.is_string())
        throw ConfigError{where + " holds " + std::string{node_text(element)} + "; allowed: " + setting.allowed};
      joined += (joined.empty() ? "" : ",") + string_of(element, put_in);
    }
    return joined;
  }
  throw ConfigError{where + " is " + std::string{node_text(node)} + ", not " + std::string{kind_text(setting.kind)} +
                    "; allowed: " + setting.allowed};
}

std::string refusal(const Setting& setting, std::string_view value, const Error& error) {
  if (is_kafka_url(value)) return error.detail;  // names the URL, but none of its secrets
  const bool user = value.find('@') != std::string_view::npos &&
                    (value.find("://") != std::string_view::npos || setting.key.ends_with("url"));
  return setting.key + " = \"" +
         (is_secret(setting.key) ? "******"
          : user                 ? net::place_of(value)
                                 : std::string{value}) +
         "\" is refused; allowed: " + error.detail;
}

void apply(const Setting& setting, std::string_view value, const std::string& where, Effective& into) {
  if (const Status done = setting.set(into.config, setting, value); !done)
    throw ConfigError{where + ": " + refusal(setting, value, done.error())};
  if (const Status known = check_scope(setting.key, value); !known)
    throw ConfigError{where + ": " + setting.key + ": " + known.error().detail};
  into.origins[setting.key] = where;
  into.config.said.insert(setting.key);
}

void read_table(const toml::table& table, const std::string& prefix, const std::filesystem::path& file,
                Effective& into) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string{name.str()};
    if (const Setting* setting = find_setting(key)) {
      apply(*setting, value_text(*setting, node, file), place(file, node), into);
    } else if (const toml::table* inner = node.as_table();
               inner != nullptr &&
               std::ranges::any_of(settings(), [&](const Setting& s) { return s.key.starts_with(key + '.'); })) {
      read_table(*inner, key + '.', file, into);
    } else {
      refuse_unknown(place(file, node), key);
    }
  }
}

// A basic string of TOML, always in double quotes as people write it.
std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string toml_text(const Setting& setting, const std::string& value) {
  if (setting.kind == ValueKind::whole_number) return value;
  if (setting.kind == ValueKind::text) return toml_string(value);
  std::string out = "[";
  for (std::size_t at = 0; at < value.size();) {
    const std::size_t comma = std::min(value.find(',', at), value.size());
    out += (at == 0 ? "" : ", ") + toml_string(std::string_view{value}.substr(at, comma - at));
    at = comma + 1;
  }
  return out + "]";
}

}  // namespace

namespace {

// From an option of the setting's name.
void set_named(Config& config, const char* key, std::string_view value) {
  const Setting& setting = *find_setting(key);
  if (const Status done = setting.set(config, setting, value); !done)
    throw ConfigError{(is_kafka_url(value) ? "" : "--") + refusal(setting, value, done.error())};
}

}  // namespace

void Config::set_data(std::string_view path_or_url) { set_named(*this, "data", path_or_url); }
void Config::set_store(std::string_view url) { set_named(*this, "store", url); }
void Config::set_worker(std::string_view name) { set_named(*this, "worker", name); }

void Config::set_listen(std::string_view host_port) {
  const std::size_t colon = host_port.rfind(':');
  std::string_view host = host_port.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto set = [this](const char* key, std::string_view value) {
    const Setting& setting = *find_setting(key);
    return setting.set(*this, setting, value).has_value();
  };
  if (colon == std::string_view::npos || !set("serve.address", host) || !set("serve.port", host_port.substr(colon + 1)))
    throw ConfigError{"--listen \"" + std::string{host_port} +
                      "\" is refused; allowed: an IP address and a port, such as 127.0.0.1:9464; port 0: a free one"};
}

std::filesystem::path Config::store_file() const {
  return store.empty() ? std::filesystem::path{data} / "store.db"
                       : std::filesystem::path{store.substr(std::string_view{"sqlite:"}.size())};
}

void read_config(std::string_view text, const std::filesystem::path& name, Effective& into) {
  try {
    read_table(toml::parse(text, name.string()), "", name, into);
  } catch (const toml::parse_error& e) {
    throw ConfigError{name.string() + ':' + std::to_string(e.source().begin.line) +
                      ": not TOML: " + std::string{e.description()}};
  }
}

Effective load_config(std::span<const std::string> files, std::span<const std::string> sets) {
  Effective out;
  for (const std::string& file : files) {
    const auto text = contents(file);
    if (!text) throw ConfigError{file + ": cannot be read; check the path and its rights"};
    read_config(*text, file, out);
    out.config.from_file = true;
  }
  for (const std::string& set : sets) {
    const std::size_t equals = set.find('=');
    if (equals == std::string::npos) throw ConfigError{"--set " + set + ": write --set KEY=VALUE"};
    const Setting* setting = find_setting(std::string_view{set}.substr(0, equals));
    if (setting == nullptr) refuse_unknown("--set", std::string_view{set}.substr(0, equals));
    std::string value = set.substr(equals + 1);
    // A list may be written as in a file: intervals=["1m","5m"].
    if (setting->kind == ValueKind::list && value.starts_with('[')) {
      try {
        const toml::table parsed = toml::parse("value = " + value, std::string_view{"--set"});
        value = value_text(*setting, *parsed.get("value"), "--set");
      } catch (const toml::parse_error& e) {
        throw ConfigError{"--set " + set + ": not TOML: " + std::string{e.description()} + "; " + setting->key +
                          "=A,B does as well"};
      }
    } else {
      interpolate(value, {}, "--set " + setting->key);
    }
    apply(*setting, value, "--set", out);
  }
  if (const Status sound = check(out.config.rules); !sound) {
    // The sentence names its settings; where they were set must stand beside it.
    std::string where;
    for (const auto& [key, origin] : out.origins)
      if (sound.error().detail.find(key) != std::string::npos)
        where += (where.empty() ? "" : ", ") + origin + ": " + key;
    throw ConfigError{(where.empty() ? "configuration" : where) + ": " + sound.error().detail};
  }
  if (const Status met = check_hold(out.config, out.config.rules.intervals.front()); !met)
    throw ConfigError{out.origins.at(kHold) + ": " + met.error().detail};
  return out;
}

Status check_hold(const Config& config, Interval base) {
  if (!config.said.contains(kHold) || config.cross.hold >= base) return {};
  return failure(Fault::malformed, Retry::never,
                 std::string{kHold} + " = \"" + duration_text(config.cross.hold) +
                     "\" cannot be met: it is shorter than the " + "smallest candles, " + to_text(base) +
                     ", whose closes are compared; say " + to_text(base) + " or longer, or leave it out");
}

Status check_scope(std::string_view rule, std::string_view value) {
  const auto wide = wide_name(rule);
  if (!wide || value == "default") return {};
  const std::string_view scope = rule.substr(wide->size() + 1);
  const std::string_view venue = scope.substr(0, scope.find(':'));
  if (find_venue(venue) == nullptr) {
    std::string known;
    for (const Venue& each : venues()) known += (known.empty() ? "" : ", ") + std::string{each.name};
    return failure(Fault::malformed, Retry::never,
                   "there is no venue \"" + std::string{venue} + "\"; there are " + known);
  }
  if (venue == scope) return {};
  const auto instrument = receivable(scope);
  if (!instrument) return tl::unexpected{instrument.error()};
  if (is_wildcard(*instrument))
    return failure(Fault::malformed, Retry::never,
                   "write " + std::string{*wide} + '@' + std::string{venue} + " for all instruments of the venue");
  return {};
}

bool is_secret(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? key : key.substr(dot + 1);
  return std::ranges::any_of(std::array<std::string_view, 4>{"token", "secret", "password", "api_key"},
                             [&](std::string_view word) { return last.find(word) != std::string_view::npos; });
}

std::string effective_text(const Effective& effective) {
  std::string out;
  for (const Setting& setting : settings()) {
    const std::string value = setting.get(effective.config, setting);
    const std::string line =
        setting.key + " = " + (is_secret(setting.key) && !value.empty() ? "\"******\"" : toml_text(setting, value));
    const auto origin = effective.origins.find(setting.key);
    out += line + std::string(line.size() < 42 ? 44 - line.size() : 2, ' ') + "# " +
           (origin == effective.origins.end() ? "default" : origin->second) + '\n';
  }
  return out;
}

std::string commented_config() {
  std::string out =
      "# truetape: every setting with its default (`data` has none: set it here or with --data). Take away the \"# \" "
      "before a line to change it.\n"
      "# Strings may hold ${NAME} (an environment variable) and ${file:PATH} (a file's text).\n"
      "# Several files: truetape --config base.toml --config prod.toml …, the later overrides.\n";
  const Config defaults;
  for (const Setting& setting : settings()) {
    out += "\n# " + setting.about + "\n# Allowed: " + setting.allowed + ".\n";
    if (setting.key == "data")
      out += "data = \"truetape-data\"\n";
    else
      out += "# " + setting.key + " = " + toml_text(setting, setting.get(defaults, setting)) + '\n';
  }
  return out;
}

std::string settings_table() {
  std::string out = "| key | default | allowed | what it does |\n|---|---|---|---|\n";
  const Config defaults;
  for (const Setting& setting : settings())
    out += "| `" + setting.key + "` | `" + toml_text(setting, setting.get(defaults, setting)) + "` | " +
           setting.allowed + " | " + setting.about + " |\n";
  return out;
}

}  // namespace truetape::app
