#include "batch/audit_fields.h"

#include <utility>
#include <vector>

namespace truetape::audit_parts {
namespace {

constexpr std::size_t kShown = 60;  // of a text

// Each field as a text of its own; what is not known is "nothing".
class Texts {
 public:
  using Field = std::pair<const char*, std::string>;
  std::vector<Field> out;

  void operator()(const char* field, std::uint64_t value) { put(field, std::to_string(value)); }
  void operator()(const char* field, std::int64_t value) { put(field, std::to_string(value)); }
  void operator()(const char* field, bool value) { put(field, value ? "true" : "false"); }
  void operator()(const char* field, Timestamp value) { put(field, to_rfc3339(value)); }
  void operator()(const char* field, Decimal value) { put(field, to_text(value)); }
  void operator()(const char* field, Amount value) { put(field, to_text(value)); }
  void operator()(const char* field, std::string_view value) { put(field, std::string{value}); }
  void operator()(const char* field, Marks value) {
    put(field, std::string_view{field} == "marks" ? marks_text(value) : std::to_string(value));
  }
  template <std::size_t N>
  void operator()(const char* field, const Text<N>& value) {
    put(field, value.str());
  }
  template <class T>
  void operator()(const char* field, const std::optional<T>& value) {
    value ? (*this)(field, *value) : put(field, {});
  }
  template <class Enum>
  requires std::is_enum_v<Enum>
  void operator()(const char* field, Enum value) { put(field, std::string{name(value)}); }

 private:
  void put(const char* field, std::string text) { out.emplace_back(field, std::move(text)); }
};

std::string shown(const std::string& text) {
  if (text.empty()) return "nothing";
  return text.size() <= kShown ? text : text.substr(0, kShown) + "…";
}

template <class Row>
std::string first_difference(const Row& log, const Row& store) {
  Texts left, right;
  fields(log, left);
  fields(store, right);
  for (std::size_t i = 0; i < left.out.size() || i < right.out.size(); ++i) {
    const Texts::Field none{"headers", {}};  // only lists of headers differ in length
    const auto& a = i < left.out.size() ? left.out[i] : none;
    const auto& b = i < right.out.size() ? right.out[i] : none;
    if (a.second != b.second) return std::string{a.first} + ": log " + shown(a.second) + ", store " + shown(b.second);
  }
  return {};
}

}  // namespace

std::string hex(const Sum& sum) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out(32, '0');
  for (std::size_t i = 0; i < 32; ++i) out[i] = kDigits[static_cast<unsigned>(sum.bits >> (124 - 4 * i)) & 15];
  return out;
}

std::string difference(const Trade& log, const Trade& store) { return first_difference(log, store); }
std::string difference(const Candle& log, const Candle& store) { return first_difference(log, store); }
std::string difference(const Gap& log, const Gap& store) { return first_difference(log, store); }
std::string difference(const Progress& log, const Progress& store) { return first_difference(log, store); }
std::string difference(const Quarantined& log, const Quarantined& store) { return first_difference(log, store); }

}  // namespace truetape::audit_parts
