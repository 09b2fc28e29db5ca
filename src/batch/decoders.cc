#include "batch/decoders.h"

#include "capture/history_decoder.h"
#include "venues/venue.h"

namespace truetape {
namespace {

class AllDecoders final : public Decoder {
 public:
  void decode(const RawRecord& record, Events& out) const override {
    RawKind kind = record.kind;
    if (kind == RawKind::replay)
      kind = parse_raw_kind(record.header(header::original_kind).value_or("frame")).value_or(RawKind::frame);
    if (kind != RawKind::frame && kind != RawKind::backfill && kind != RawKind::reference && kind != RawKind::history)
      return;
    const std::string_view name = venue_of(record);
    const Venue* const venue = find_venue(name);
    if (kind == RawKind::history) {
      const HistoryVenue known = venue == nullptr ? HistoryVenue{} : HistoryVenue{venue->trade_ids, venue->decode};
      return decode_history(record, known, out);
    }
    if (venue != nullptr) return venue->decode(record, out);
    const auto ordinal = static_cast<std::uint32_t>(out.items.size());
    Item& item = out.items.emplace_back();
    item.type = Item::Type::bad;
    item.reason = Reason::unroutable;
    item.ordinal = item.trade.ordinal = ordinal;
    item.raw = record.bytes;
    item.detail = name.empty() ? "the record names neither an instrument nor a venue"
                               : "no decoder knows the venue \"" + std::string{name.substr(0, 40)} + '"';
  }

  TradeIds trade_ids(std::string_view name) const override {
    const Venue* const venue = find_venue(name);
    return venue == nullptr ? TradeIds::none : venue->trade_ids;
  }

 private:
  static std::string_view venue_of(const RawRecord& record) {
    const std::size_t colon = record.instruments.find(':');
    if (colon != std::string_view::npos) return record.instruments.substr(0, colon);
    return record.header(header::venue).value_or("");
  }
};

}  // namespace

const Decoder& all_decoders() {
  static const AllDecoders all;
  return all;
}

}  // namespace truetape
