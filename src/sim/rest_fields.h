// Fields of REST's JSON objects. For files of src/sim.
#pragma once

#include "sim/rest.h"

namespace truetape::sim::rest {

inline RestAnswer refuse(int code, std::string_view message, int status = 400) {
  return {.status = status, .body = error_body(code, message)};
}

inline void field(std::string& out, std::string_view name) {
  out += out.back() == '{' ? "\"" : ",\"";
  out += name;
  out += "\":";
}
inline void field_text(std::string& out, std::string_view name, std::string_view value) {
  field(out, name);
  append_json(out, value);
}
inline void field_units(std::string& out, std::string_view name, Units value, int decimals) {
  field(out, name);
  out += '"';
  append_units(out, value, decimals);
  out += '"';
}
inline void field_wide(std::string& out, std::string_view name, Wide value, int scale, int decimals) {
  field(out, name);
  out += '"';
  append_wide(out, value, scale, decimals);
  out += '"';
}
inline void field_number(std::string& out, std::string_view name, std::uint64_t value) {
  field(out, name);
  append_number(out, value);
}
inline void field_flag(std::string& out, std::string_view name, bool value) {
  field(out, name);
  out += value ? "true" : "false";
}

}  // namespace truetape::sim::rest
