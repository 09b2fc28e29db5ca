#include "codec/canonical.h"

#include "codec/cells.h"

namespace truetape {
namespace {

std::int64_t unix_ms(Timestamp t) {
  return std::chrono::floor<std::chrono::milliseconds>(t.time_since_epoch()).count();
}

class Line {
 public:
  explicit Line(std::string& out) : out_{out} {}
  void number(std::uint64_t value) {
    comma();
    append_number(value, out_);
  }
  void time(Timestamp t) {
    comma();
    append_number(unix_ms(t), out_);
  }
  void text(std::string_view value) {
    comma();
    append_csv(value, out_);
  }
  template <class Exact>
  void decimal(Exact value) {
    comma();
    out_ += to_text(value);
  }
  void optional(const std::optional<std::uint64_t>& value) { value ? number(*value) : comma(); }
  void optional(const std::optional<Timestamp>& value) { value ? time(*value) : comma(); }
  template <class Exact>
  void optional(const std::optional<Exact>& value) {
    value ? decimal(*value) : comma();
  }
  void end() { out_ += '\n'; }

 private:
  void comma() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  std::string& out_;
  bool first_ = true;
};

}  // namespace

void append_canonical(const Trade& t, std::string& out) {
  Line line{out};
  line.number(t.era);
  line.number(t.order);
  line.text(t.id.view());
  line.number(t.first_id);
  line.number(t.last_id);
  line.time(t.event_time);
  line.decimal(t.price);
  line.decimal(t.quantity);
  line.text(name(t.taker_side));
  line.text(t.kind.view());
  line.end();
}

void append_canonical(const Candle& c, std::string& out) {
  Line line{out};
  line.time(c.start);
  line.optional(c.open);
  line.optional(c.high);
  line.optional(c.low);
  line.optional(c.close);
  line.optional(c.volume);
  line.optional(c.quote_volume);
  line.optional(c.trades);
  line.optional(c.taker_buy_volume);
  line.optional(c.taker_buy_quote_volume);
  line.optional(c.vwap);
  line.optional(c.first_id);
  line.optional(c.last_id);
  line.optional(c.first_time);
  line.optional(c.last_time);
  line.text(name(c.completeness));
  line.end();
}

bool comparable(const Candle& c) {
  return c.status != CandleStatus::open &&
         (c.proof == Proof::ids || c.proof == Proof::declared || c.proof == Proof::overlap);
}

}  // namespace truetape
