#include "codec/avro_schema.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "codec/cells.h"

namespace truetape::avro {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

constexpr int kDeepest = 64;  // schemas in each other

bool is_primitive(std::string_view name) {
  constexpr std::array<std::string_view, 8> kAll{"null",  "boolean", "int",   "long",
                                                 "float", "double",  "bytes", "string"};
  return std::ranges::find(kAll, name) != kAll.end();
}
bool is_named(std::string_view type) {
  return type == "record" || type == "error" || type == "enum" || type == "fixed";
}

std::string full_name(std::string_view name, std::string_view space) {
  if (space.empty() || name.find('.') != std::string_view::npos) return std::string{name};
  return std::string{space} + '.' + std::string{name};
}

// Writes the form while it goes down the schema; the first thing that is wrong ends it.
class Writer {
 public:
  bool schema(element at, const std::string& space, const std::string& path) {
    if (++depth_ > kDeepest) return wrong(path, "is nested too deeply");
    const bool good = any(at, space, path);
    --depth_;
    return good;
  }
  std::string take() { return std::move(out_); }
  const std::string& why() const { return why_; }

 private:
  bool wrong(const std::string& path, std::string_view what) {
    why_ = path + " " + std::string{what};
    return false;
  }

  bool any(element at, const std::string& space, const std::string& path) {
    std::string_view name;
    if (at.get(name) == simdjson::SUCCESS) return named_type(name, space, path);
    array branches;
    if (at.get(branches) == simdjson::SUCCESS) return list(branches, space, path);
    object attributes;
    if (at.get(attributes) == simdjson::SUCCESS) return definition(attributes, space, path);
    return wrong(path, "is neither a name, a list nor an object");
  }

  bool named_type(std::string_view name, const std::string& space, const std::string& path) {
    const std::string full = is_primitive(name) ? std::string{name} : full_name(name, space);
    if (!is_primitive(name) && !defined_.contains(full))
      return wrong(path, "names the type \"" + full + "\", which is not defined before it");
    append_json(full, out_);
    return true;
  }

  bool list(array branches, const std::string& space, const std::string& path) {
    out_ += '[';
    std::size_t i = 0;
    for (const element branch : branches) {
      if (i > 0) out_ += ',';
      if (!schema(branch, space, path + "[" + std::to_string(i++) + "]")) return false;
    }
    out_ += ']';
    return true;
  }

  bool definition(object attributes, const std::string& space, const std::string& path) {
    element inner;
    if (attributes.at_key("type").get(inner) != simdjson::SUCCESS) return wrong(path, "has no \"type\"");
    std::string_view type;
    if (inner.get(type) != simdjson::SUCCESS) return schema(inner, space, path + ".type");  // {"type": {"type": ...}}
    std::string logical;
    if (!logical_type(attributes, path, logical)) return false;
    if (!is_named(type) && type != "array" && type != "map") {
      if (logical.empty()) return named_type(type, space, path);
      out_ += "{\"type\":";
      if (!named_type(type, space, path)) return false;
      out_ += logical + '}';
      return true;
    }
    out_ += '{';
    std::string inside = space;
    if (is_named(type) && !define(attributes, inside, path)) return false;
    out_ += "\"type\":";
    append_json(type, out_);
    out_ += logical;
    if (!content(type, attributes, inside, path)) return false;
    out_ += '}';
    return true;
  }

  // Writes the full name; `space` becomes the namespace of what is inside.
  bool define(object attributes, std::string& space, const std::string& path) {
    std::string_view name, given;
    if (attributes.at_key("name").get(name) != simdjson::SUCCESS || name.empty()) return wrong(path, "has no \"name\"");
    if (attributes.at_key("namespace").get(given) == simdjson::SUCCESS) space = given;
    const std::string full = full_name(name, space);
    const std::size_t dot = full.rfind('.');
    space = dot == std::string::npos ? "" : full.substr(0, dot);
    if (is_primitive(full) || !defined_.insert(full).second) return wrong(path, "defines \"" + full + "\" again");
    out_ += "\"name\":";
    append_json(full, out_);
    out_ += ',';
    return true;
  }

  bool content(std::string_view type, object attributes, const std::string& space, const std::string& path) {
    const std::string_view what = type == "array"   ? "items"
                                  : type == "map"   ? "values"
                                  : type == "enum"  ? "symbols"
                                  : type == "fixed" ? "size"
                                                    : "fields";
    element found;
    if (attributes.at_key(what).get(found) != simdjson::SUCCESS)
      return wrong(path, "has no \"" + std::string{what} + "\"");
    out_.append(",\"").append(what).append("\":");
    const std::string place = path + "." + std::string{what};
    if (what == "items" || what == "values") return schema(found, space, place);
    if (what == "size") return size(found, place);
    array entries;
    if (found.get(entries) != simdjson::SUCCESS) return wrong(place, "is no list");
    out_ += '[';
    std::size_t i = 0;
    for (const element entry : entries) {
      if (i > 0) out_ += ',';
      const std::string where = place + "[" + std::to_string(i++) + "]";
      if (!(what == "symbols" ? symbol(entry, where) : field(entry, space, where))) return false;
    }
    out_ += ']';
    return true;
  }

  bool symbol(element entry, const std::string& path) {
    std::string_view text;
    if (entry.get(text) != simdjson::SUCCESS) return wrong(path, "is no text");
    append_json(text, out_);
    return true;
  }

  bool field(element entry, const std::string& space, const std::string& path) {
    std::string_view name;
    element type;
    if (entry.at_key("name").get(name) != simdjson::SUCCESS) return wrong(path, "has no \"name\"");
    if (entry.at_key("type").get(type) != simdjson::SUCCESS) return wrong(path, "has no \"type\"");
    out_ += "{\"name\":";
    append_json(name, out_);
    out_ += ",\"type\":";
    if (!schema(type, space, path + ".type")) return false;
    out_ += '}';
    return true;
  }

  // A number; as a text, with leading zeros, in old schemas.
  bool size(element found, const std::string& path) {
    std::int64_t number = 0;
    std::string_view text;
    if (found.get(text) == simdjson::SUCCESS) {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc{} || end != text.data() + text.size()) return wrong(path, "is no number");
    } else if (found.get(number) != simdjson::SUCCESS) {
      return wrong(path, "is no number");
    }
    append_number(number, out_);
    return true;
  }

  bool logical_type(object attributes, const std::string& path, std::string& out) {
    std::string_view logical;
    if (attributes.at_key("logicalType").get(logical) != simdjson::SUCCESS) return true;
    out = ",\"logicalType\":";
    append_json(logical, out);
    if (logical != "decimal") return true;
    std::int64_t precision = 0, scale = 0;
    if (attributes.at_key("precision").get(precision) != simdjson::SUCCESS)
      return wrong(path, "is a decimal without \"precision\"");
    if (element said; attributes.at_key("scale").get(said) == simdjson::SUCCESS && said.get(scale) != simdjson::SUCCESS)
      return wrong(path, "is a decimal whose \"scale\" is no number");
    out += ",\"precision\":";
    append_number(precision, out);
    out += ",\"scale\":";
    append_number(scale, out);
    return true;
  }

  std::string out_, why_;
  std::set<std::string, std::less<>> defined_;
  int depth_ = 0;
};

}  // namespace

Result<std::string> canonical_schema(std::string_view json) {
  simdjson::dom::parser parser;
  element root;
  const simdjson::padded_string padded{json};
  if (const auto error = parser.parse(padded).get(root))
    return failure(Fault::malformed, Retry::never,
                   std::string{"the schema is no JSON: "} + simdjson::error_message(error));
  Writer writer;
  if (!writer.schema(root, "", "$"))
    return failure(Fault::malformed, Retry::never, "the text is no Avro schema: " + writer.why());
  return writer.take();
}

}  // namespace truetape::avro
