#include "venues/binance/page.h"

#include "core/digits.h"
#include "venues/json.h"

namespace truetape::binance {
namespace {

std::optional<std::uint64_t> id_of(std::string_view element, Tape tape) {
  json::Object object;
  json::Problem problem;
  if (!object.read(element, problem)) return std::nullopt;
  const json::Value id = tape == Tape::agg ? object.get('a') : object.get("id");
  if (id.type != json::Type::integer) return std::nullopt;
  const auto number = digits::natural(id.text);
  return number ? std::optional{static_cast<std::uint64_t>(*number)} : std::nullopt;
}

}  // namespace

Page read_page(std::string_view text, Tape tape) {
  Page out;
  json::Reader reader{text};
  const auto broken = [&] {
    out.problem = reader.problem().what + " (byte " + std::to_string(reader.problem().at) + ")";
    return out;
  };
  reader.blanks();
  if (reader.at_end()) {
    out.problem = "is empty";
    return out;
  }
  if (!reader.take('[')) {
    out.problem = "is no array";
    return out;
  }
  reader.blanks();
  bool neighbour = false;
  if (!reader.take(']')) {
    for (;;) {
      json::Value element;
      if (!reader.value(element)) return broken();
      out.elements.push_back(element.text);
      const auto id = element.type == json::Type::object ? id_of(element.text, tape) : std::nullopt;
      if (id) {
        if (!out.ids.empty()) {
          const std::uint64_t before = out.ids.back();
          if (*id <= before)
            out.rising = false;
          else if (neighbour && *id > before + 1)
            out.absent.emplace_back(before + 1, *id - 1);
        }
        out.ids.push_back(*id);
      }
      neighbour = id.has_value();
      reader.blanks();
      if (reader.take(']')) break;
      if (!reader.take(',')) {
        reader.fail("has no comma where one is needed");
        return broken();
      }
    }
  }
  reader.blanks();
  if (!reader.at_end()) {
    reader.fail("goes on behind its end");
    return broken();
  }
  if (!out.rising) out.absent.clear();
  return out;
}

}  // namespace truetape::binance
