#include "serve/render.h"

#include <array>

#include "codec/cells.h"

namespace truetape {

template <>
std::span<const RowColumn> columns<InstrumentRow>() {
  static constexpr std::array<RowColumn, 12> kColumns{{{"instrument"},
                                                       {"base"},
                                                       {"quote"},
                                                       {"name"},
                                                       {"tick", true},
                                                       {"lot", true},
                                                       {"status"},
                                                       {"tape"},
                                                       {"wanted"},
                                                       {"as_of"},
                                                       {"stale"},
                                                       {"open_gaps", true}}};
  return kColumns;
}

void put_cells(const InstrumentRow& row, RowCells& out) {
  if (row.reference) {
    put_cells(*row.reference, out);
  } else {
    out.text(row.instrument.text());
    for (int i = 0; i < 6; ++i) out.null();
  }
  row.tape ? out.text(name(*row.tape)) : out.null();
  out.boolean(row.wanted);
  row.as_of ? out.time(*row.as_of) : out.null();
  out.boolean(row.stale);
  out.number(row.open_gaps);
}

InstrumentRow instrument_row(const InstrumentMemory& of, const ControlState& control) {
  InstrumentRow row;
  row.instrument = of.instrument;
  row.reference = of.reference;
  if (of.memory(of.tape) != nullptr) row.tape = of.tape;
  row.wanted = control.wants(of.instrument, of.reference ? std::string_view{of.reference->quote} : std::string_view{});
  row.as_of = of.as_of();
  row.stale = of.stale;
  row.open_gaps = of.open_gaps();
  return row;
}

const std::shared_ptr<const std::string>& json_of(const CandleRow& row, RowText& text) {
  if (!row.json) {
    std::string out;
    out.reserve(640);
    text.json(row.row, out);
    row.json = std::make_shared<const std::string>(std::move(out));
  }
  return row.json;
}

void append_as_of(std::optional<Timestamp> as_of, bool stale, std::string& out) {
  out += "\"as_of\":";
  if (as_of)
    append_json(to_rfc3339(*as_of), out);
  else
    out += "null";
  out += stale ? ",\"stale\":true" : ",\"stale\":false";
}

std::string feed_json(const FeedReport& report) {
  std::string out = "{\"venue\":";
  append_json(report.venue, out);
  out += ',';
  out += std::string_view{control_text(report).value}.substr(1);
  return out;
}

std::string ingest_json(const ControlState& control) {
  return control.started ? R"({"state":"started"})" : R"({"state":"stopped"})";
}

}  // namespace truetape
