// How a day of an audit is printed.
#include <array>

#include "batch/audit.h"

namespace truetape {
namespace {

constexpr std::array<RowColumn, 20> kColumns{{{"instrument"},
                                              {"tape"},
                                              {"day"},
                                              {"trades_log", true},
                                              {"trades_store", true},
                                              {"volume_log", true},
                                              {"volume_store", true},
                                              {"first_id", true},
                                              {"last_id", true},
                                              {"holes_open", true},
                                              {"holes_lost", true},
                                              {"ids_missing", true},
                                              {"candles_log", true},
                                              {"candles_store", true},
                                              {"trades_digest_log"},
                                              {"trades_digest_store"},
                                              {"candles_digest_log"},
                                              {"candles_digest_store"},
                                              {"verdict"},
                                              {"known"}}};
constexpr std::array<RowColumn, 10> kLineColumns{{{"instrument"},
                                                  {"tape"},
                                                  {"day"},
                                                  {"trades", true},
                                                  {"volume", true},
                                                  {"ids", true},
                                                  {"holes", true},
                                                  {"missing", true},
                                                  {"candles", true},
                                                  {"verdict"}}};

void day_cell(const AuditDay& row, RowCells& out) { out.text(to_rfc3339(Timestamp{row.day}).substr(0, 10)); }
void volume_cell(const std::optional<Amount>& volume, RowCells& out) { volume ? out.decimal(*volume) : out.null(); }
std::string both(std::uint64_t log, std::uint64_t store) {
  return log == store ? std::to_string(log) : std::to_string(log) + '/' + std::to_string(store);
}

}  // namespace

std::span<const RowColumn> audit_columns() { return kColumns; }
std::span<const RowColumn> audit_line_columns() { return kLineColumns; }

void put_cells(const AuditDay& row, RowCells& out) {
  out.text(row.instrument.text());
  out.text(name(row.tape));
  day_cell(row, out);
  out.number(row.log.trades);
  out.number(row.store.trades);
  volume_cell(row.log.volume, out);
  volume_cell(row.store.volume, out);
  out.text(row.first_id);
  out.text(row.last_id);
  out.number(row.open);
  out.number(row.lost);
  out.number(row.missing);
  out.number(row.log.candles);
  out.number(row.store.candles);
  out.text(row.log.trades_digest);
  out.text(row.store.trades_digest);
  out.text(row.log.candles_digest);
  out.text(row.store.candles_digest);
  out.text(text(row));
  out.text(row.verdict == Verdict::differs ? "" : row.where);
}

void put_cells(const AuditLine& line, RowCells& out) {
  const AuditDay& row = *line.day;
  out.text(row.instrument.text());
  out.text(name(row.tape));
  day_cell(row, out);
  out.text(both(row.log.trades, row.store.trades));
  volume_cell(row.log.volume ? row.log.volume : row.store.volume, out);
  out.text(row.first_id.empty() || row.first_id == row.last_id ? row.first_id : row.first_id + '-' + row.last_id);
  out.text(row.open + row.lost == 0 ? "" : std::to_string(row.open) + " open, " + std::to_string(row.lost) + " lost");
  out.text(row.missing == 0 ? "" : std::to_string(row.missing));
  out.text(both(row.log.candles, row.store.candles));
  out.text(text(row));
}

}  // namespace truetape
