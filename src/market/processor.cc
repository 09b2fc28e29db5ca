#include "market/processor.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <unordered_map>

#include "market/book.h"
#include "market/news.h"
#include "market/replays.h"

namespace truetape {
namespace {

using market::Book;
using market::Origin;
using market::Reader;
using market::Writer;

// Of the state's bytes. Two versions back are read as well, others are refused.
constexpr std::uint64_t kStateVersion = 4, kOldestState = 2;
constexpr std::uint64_t kCountedNews = 4;  // the first that counts headlines
constexpr std::size_t kSessionsPerConnection = 3;
constexpr std::size_t kMostCarried = 10'000;  // instruments of a session in a partition; of others it tells nothing
// Of a symbol list's entry and a headline, their texts together: a record of the log holds either, whatever it repeats.
constexpr std::size_t kMaxReferenceBytes = 64 << 10, kMaxHeadlineBytes = 512 << 10, kMaxHeadlineId = 256;

// One session in this partition.
struct Session {
  std::string connection;
  std::uint64_t next = 1;  // seq that is due
  bool whole = true;       // begun at 1: coverage may begin at `subscribed`
  bool broken = false;     // a seq was missing: no more evidence
  Nanoseconds offset{};    // the venue's clock minus ours
  std::uint64_t born = 0;  // order of first sight, to forget the oldest
  std::vector<Instrument> carried;
  bool to_save = false, to_save_carried = false;
};

// Finds an instrument by its text, so that none has to be made.
struct HashText {
  using is_transparent = void;
  std::size_t operator()(const Instrument& i) const { return std::hash<Instrument>{}(i); }
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
struct SameText {
  using is_transparent = void;
  bool operator()(const Instrument& a, const Instrument& b) const { return a == b; }
  bool operator()(const Instrument& a, std::string_view text) const { return a.text() == text; }
  bool operator()(std::string_view text, const Instrument& a) const { return a.text() == text; }
};

std::vector<std::pair<std::uint64_t, std::uint64_t>> parse_spans(std::string_view text) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    const std::size_t dash = word.find('-');
    std::uint64_t first = 0, last = 0;
    const auto read = [](std::string_view t, std::uint64_t& v) {
      const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), v);
      return error == std::errc{} && end == t.data() + t.size();
    };
    if (read(word.substr(0, dash), first) && read(dash == std::string_view::npos ? word : word.substr(dash + 1), last))
      out.emplace_back(first, last);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return out;
}

std::optional<std::uint64_t> natural(const RawRecord& raw, std::string_view header_name) {
  const auto text = raw.header(header_name);
  std::uint64_t value = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size()) return std::nullopt;
  return value;
}

std::optional<Timestamp> time_of(const RawRecord& raw, std::string_view header_name) {
  const auto ns = raw.integer(header_name);
  return ns ? std::optional{timestamp_ns(*ns)} : std::nullopt;
}

}  // namespace

bool Counts::balanced() const {
  return static_cast<std::int64_t>(in) ==
         static_cast<std::int64_t>(accepted + duplicate + contradiction + held + quarantined + empty + other_tape +
                                   not_a_trade + undecodable) +
             set_aside;
}

void Results::clear() {
  trades.clear();
  quotes.clear();
  candles.clear();
  news.clear();
  news_counts.clear();
  gaps.clear();
  quarantined.clear();
  progress.clear();
  late.clear();
  instruments.clear();
  state.clear();
  counts.clear();
}

struct Processor::Heart {
  Heart(const Rules& rules, const Decoder& heart_decoder, std::int32_t partition, std::int64_t epoch)
      : decoder{heart_decoder}, replays{partition} {
    setting.rules = rules;
    config_dirty = rules.version > 1;
    setting.partition = partition;
    setting.epoch = epoch;
  }

  const Decoder& decoder;
  market::Setting setting;
  // What config records said, by name: it outlives the process and goes before what that was made with.
  std::map<std::string, std::string> said;
  bool config_dirty = false, version_dirty = true, kinds_dirty = true;
  std::unordered_map<Instrument, std::unique_ptr<Book>, HashText, SameText> books;
  Book* last_book = nullptr;
  std::unordered_map<std::string, Session> sessions;
  std::string last_session_id;
  Session* last_session = nullptr;
  std::uint64_t sessions_seen = 0;
  Events events;
  market::NewsDesk news;
  market::Replays replays;     // of venues without contiguous ids
  std::vector<Book*> touched;  // since the last finish_batch, each once
  std::uint64_t record_number = 0, batch_number = 1;
  std::vector<Book*> in_record;        // by the record under way
  std::vector<Book*> working;          // with windows left to look at
  std::vector<std::string> forgotten;  // sessions

  Book& book(const Instrument& instrument) {
    if (last_book && last_book->instrument() == instrument) return *last_book;
    auto& found = books[instrument];
    if (!found) found = std::make_unique<Book>(instrument, decoder.trade_ids(instrument.venue()), setting);
    last_book = found.get();
    return *last_book;
  }

  // nullptr: nothing was heard of it yet.
  Book* known_book(std::string_view text) {
    if (last_book && last_book->instrument().text() == text) return last_book;
    const auto found = books.find(text);
    return found == books.end() ? nullptr : last_book = found->second.get();
  }

  Book& touch(const Instrument& instrument) { return touch(book(instrument)); }

  Book& touch(Book& b) {
    if (b.seen_record != record_number) {
      b.seen_record = record_number;
      in_record.push_back(&b);
    }
    touch_batch(b);
    return b;
  }

  void touch_batch(Book& b) {
    if (b.seen_batch == batch_number) return;
    b.seen_batch = batch_number;
    touched.push_back(&b);
  }

  static Counts& counts(std::string_view venue, Results& out) {
    for (auto& [name, counts] : out.counts)
      if (name == venue) return counts;
    return out.counts.emplace_back(std::string{venue}, Counts{}).second;
  }

  static std::string_view venue_of(const RawRecord& raw) {
    if (!raw.instruments.empty()) return raw.instruments.substr(0, raw.instruments.find(':'));
    return raw.header(header::venue).value_or(std::string_view{});
  }

  // The record's session, its sequence checked. nullptr: a record of none.
  Session* follow(const RawRecord& raw, bool& sound) {
    sound = false;
    if (raw.session.empty() || raw.session.size() > kMaxSessionBytes || raw.seq == 0) return nullptr;
    if (!last_session || last_session_id != raw.session) {
      last_session_id = raw.session;
      const auto [found, made] = sessions.try_emplace(last_session_id);
      last_session = &found->second;
      if (made) {
        last_session->connection = raw.connection;
        last_session->born = ++sessions_seen;
        last_session->whole = raw.seq == 1;
        last_session->next = raw.seq;
        forget_old(raw.connection);
      }
    }
    Session& s = *last_session;
    if (raw.seq < s.next) return &s;
    if (raw.seq > s.next && !s.broken) {
      s.broken = true;
      for (const Instrument& i : s.carried) touch(i).silence(raw.session);
    }
    s.next = raw.seq + 1;
    s.to_save = true;
    sound = !s.broken;
    if (raw.clock_offset) s.offset = *raw.clock_offset;
    return &s;
  }

  void forget_old(std::string_view connection) {
    std::vector<std::pair<std::uint64_t, std::string>> same;
    for (const auto& [id, s] : sessions)
      if (s.connection == connection) same.emplace_back(s.born, id);
    if (same.size() <= kSessionsPerConnection) return;
    const auto oldest = std::min_element(same.begin(), same.end());
    forgotten.push_back(oldest->second);
    sessions.erase(oldest->second);
    last_session = nullptr;
    const auto again = sessions.find(last_session_id);
    if (again != sessions.end()) last_session = &again->second;
  }

  void quarantine_record(const RawRecord& raw, std::uint32_t ordinal, Reason reason, std::string detail,
                         std::string_view bytes, Results& out) const {
    Quarantined q = market::row_at(market::owned(raw.headers), raw.partition, raw.offset, ordinal);
    const auto named = raw.instrument_list();
    if (named.size() == 1) q.instrument = named.front();
    q.receive_time = raw.receive_time;
    q.reason = reason;
    q.detail = std::move(detail);
    q.rule = Text<24>::cut(name(reason));
    q.rule_version = setting.rules.version;
    q.raw = bytes;
    out.quarantined.push_back(std::move(q));
  }

  // A frame that names no instrument is in the partition of none: of what it holds none may be judged here.
  static bool is_stray(const RawRecord& raw, const Item& item) {
    return raw.instruments.empty() && (raw.kind == RawKind::frame || raw.kind == RawKind::replay) &&
           !item.trade.instrument.empty();
  }

  void fold_item(const RawRecord& raw, const Item& item, const Origin& origin, Results& out) {
    if (is_stray(raw, item)) {
      Counts& c = counts(venue_of(raw), out);
      ++c.in;
      ++c.undecodable;
      quarantine_record(raw, item.ordinal, Reason::unroutable,
                        "its record names no instrument, but it is of " + item.trade.instrument.str(),
                        item.raw.empty() ? raw.bytes : item.raw, out);
      return;
    }
    if (item.trade.instrument.empty()) {
      Counts& c = counts(venue_of(raw), out);
      ++c.in;
      ++c.undecodable;
      quarantine_record(raw, item.ordinal, item.reason, item.detail, item.raw.empty() ? raw.bytes : item.raw, out);
      return;
    }
    touch(item.trade.instrument).fold(item, origin, out, counts(item.trade.instrument.venue(), out));
  }

  void fold_items(const RawRecord& raw, Origin& origin, Results& out) {
    events.clear();
    decoder.decode(raw, events);
    origin.record = &raw;
    origin.items = events.items;
    for (const Item& item : events.items) fold_item(raw, item, origin, out);
    fold_others(raw, static_cast<std::uint32_t>(events.items.size()), origin.offset, out);
  }

  // Of an item behind others in the bytes of its record, which of them it is. `first`: the ordinal behind the items.
  void tell_shared(Quarantined& q, const RawRecord& raw, std::uint32_t first, std::size_t all) const {
    if (all <= 1 || raw.header(header::shared_from)) return;
    q.headers.emplace_back(header::shared_from, std::to_string(first - events.items.size()));
    q.headers.emplace_back(header::shared_count, std::to_string(all));
  }

  // Quotes have ordinals behind the items of their record.
  void fold_quotes(const RawRecord& raw, std::uint32_t first, Results& out) {
    std::uint32_t ordinal = first;
    for (const Quote& quote : events.quotes) {
      const std::uint32_t place = ordinal++;
      if (quote.bid && quote.ask && !(*quote.bid < *quote.ask)) {
        const Action action = rules_of(setting.rules, quote.instrument).crossed;
        if (action != Action::accept) ++counts(quote.instrument.venue(), out).crossed;
        if (action == Action::quarantine) {
          quarantine_record(raw, place, Reason::rule,
                            "bid " + to_text(*quote.bid) + " is not below ask " + to_text(*quote.ask), raw.bytes, out);
          Quarantined& q = out.quarantined.back();
          q.rule = Text<24>::cut(rule::crossed);
          q.instrument = quote.instrument;
          tell_shared(q, raw, first, events.items.size() + events.quotes.size());
          continue;
        }
      }
      out.quotes.push_back(quote);
    }
  }

  // Headlines have ordinals behind the quotes. One of the future would end the counting of all that come.
  void fold_news(const RawRecord& raw, std::uint32_t first, Nanoseconds offset, Results& out) {
    std::uint32_t place = first + static_cast<std::uint32_t>(events.quotes.size());
    for (const News& headline : events.news) {
      const std::uint32_t ordinal = place++;
      const std::size_t bytes =
          headline.headline.size() + headline.source.size() + headline.url.size() + headline.summary.size();
      const bool too_large = bytes > kMaxHeadlineBytes || headline.id.size() > kMaxHeadlineId;
      const bool future =
          raw.receive_time &&
          headline.event_time > *raw.receive_time + offset + rules_of(setting.rules, headline.venue).future_tolerance;
      if (!too_large && !future) {
        news.fold(headline, out);
        continue;
      }
      Counts& c = counts(venue_of(raw), out);
      --c.not_a_trade;
      ++c.quarantined;
      quarantine_record(raw, ordinal, too_large ? Reason::too_large : Reason::future,
                        too_large
                            ? "the headline's texts have " + std::to_string(bytes) + " bytes, its id " +
                                  std::to_string(headline.id.size())
                            : "the headline's time " + to_rfc3339(headline.event_time) +
                                  " is beyond the receive time " + to_rfc3339(*raw.receive_time) + " and the tolerance",
                        raw.bytes, out);
      tell_shared(out.quarantined.back(), raw, first, events.items.size() + events.quotes.size() + events.news.size());
    }
  }

  // What is no item of a trade.
  void fold_others(const RawRecord& raw, std::uint32_t first_ordinal, Nanoseconds offset, Results& out) {
    const std::uint64_t others = events.not_a_trade + events.quotes.size() + events.news.size();
    if (others > 0) {
      Counts& c = counts(venue_of(raw), out);
      c.in += others;
      c.not_a_trade += others;
    }
    fold_quotes(raw, first_ordinal, out);
    fold_news(raw, first_ordinal, offset, out);
    for (const Reference& r : events.references) {
      if (raw.kind == RawKind::replay && book(r.instrument).has_reference()) continue;  // that may be newer
      if (const auto bytes = r.base.size() + r.quote.size() + r.name.size() + r.status.size();
          bytes > kMaxReferenceBytes) {
        quarantine_record(
            raw, 0, Reason::too_large,
            "the texts of the entry for " + r.instrument.str() + " have " + std::to_string(bytes) + " bytes", raw.bytes,
            out);
        continue;
      }
      touch(r.instrument).reference(r);
      out.instruments.push_back(r);
    }
    for (const Candle& c : events.candles)
      if (!touch(c.instrument).recomputed(c))
        quarantine_record(raw, 0, Reason::rule, "the stream still owns the window at " + to_rfc3339(c.start), raw.bytes,
                          out);
  }

  // Does no trade id tell that an item of it comes twice?
  bool is_loose(const RawRecord& raw) const { return decoder.trade_ids(venue_of(raw)) != TradeIds::contiguous; }

  // Where items of history and pages come from, and of replays of whatever kind.
  static Origin origin_of(const RawRecord& raw) {
    Origin origin;
    origin.source = Text<40>::cut(raw.header(header::file).value_or(raw.session).substr(0, 40));
    origin.seq = natural(raw, header::row).value_or(raw.seq);
    if (raw.clock_offset) origin.offset = *raw.clock_offset;
    return origin;
  }

  // Of the items, and the quotes and headlines behind them, that share the bytes of a replay the one that it is of. An
  // error: there are other ones than there were, so which it is cannot be told.
  Status keep_shared(std::size_t index, std::optional<std::uint64_t> count) {
    const std::size_t items = events.items.size(), quoted = items + events.quotes.size(),
                      all = quoted + events.news.size();
    const std::size_t now = index < items ? items : index < quoted ? quoted : all;
    if (index >= now || count.value_or(now) != now)
      return failure(Fault::malformed, Retry::never,
                     "its bytes hold " + std::to_string(now) + " items, but " +
                         (count ? std::to_string(*count) : "more") +
                         " when it came: which of them it is cannot be told");
    Events one;
    if (index < items) {
      one.items.push_back(std::move(events.items[index]));
    } else if (index < quoted) {
      one.quotes.push_back(std::move(events.quotes[index - items]));
    } else {
      one.news.push_back(std::move(events.news[index - quoted]));
    }
    events = std::move(one);
    return {};
  }

  // An item from quarantine, judged again. Its bytes may hold others too: these were judged when they came. What could
  // not be read at all may turn out to be several.
  void fold_replay(const RawRecord& raw, Results& out) {
    Counts& venue = counts(venue_of(raw), out);
    const auto kind = parse_raw_kind(raw.header(header::original_kind).value_or(name(RawKind::frame)));
    const auto place = static_cast<std::uint32_t>(natural(raw, header::original_ordinal).value_or(0));
    if (!kind || (*kind != RawKind::frame && *kind != RawKind::history && *kind != RawKind::backfill &&
                  *kind != RawKind::reference)) {
      quarantine_record(raw, place, Reason::rule, "records of this kind cannot be judged again", raw.bytes, out);
      ++venue.still_bad;
      return;
    }
    const auto of = market::place_of(raw);
    if (of && is_loose(raw) && replays.is_settled(*of)) {
      ++venue.in;
      ++venue.duplicate;
      out.quarantined.push_back(*market::resolved_row(raw, Resolution::replayed, setting.rules.version));
      return;
    }
    Origin origin = origin_of(raw);
    origin.record = &raw;
    origin.replay = true;
    origin.contradicted = raw.header(header::original_reason) == name(Reason::contradiction);
    events.clear();
    decoder.decode(raw, events);
    const auto shared = natural(raw, header::shared_from);
    if (shared) {
      const std::uint64_t apart = place - *shared;
      const bool lines = *kind == RawKind::history && apart >= kMostItems;
      const Status kept = keep_shared(lines ? apart / kMostItems : apart, natural(raw, header::shared_count));
      if (!kept) {
        quarantine_record(raw, place, Reason::rule, kept.error().detail, raw.bytes, out);
        ++venue.still_bad;
        return;
      }
    }
    // Without a session or file it is known by its place; else one of them would be taken for the other.
    if (origin.source.empty() && of) {
      origin.source = Text<40>::cut("raw/" + std::to_string(of->partition));
      origin.seq = static_cast<std::uint64_t>(of->offset);
    }
    // It is in quarantine again, waits in a series of ids, or was told of by a series that is believed.
    bool told = false;
    const std::size_t before = out.quarantined.size();
    // Numbered as they are in a frame, or in a record of lines that is here as a whole; behind one line of it alone
    // other items have the next numbers.
    const bool one_line = *kind == RawKind::history && raw.bytes.find('\n') == std::string_view::npos;
    const std::uint32_t step = one_line ? kMostItems : 1;
    std::uint32_t ordinal = place;
    for (Item& item : events.items) {
      item.ordinal = item.trade.ordinal = shared ? place : place + item.ordinal * step;
      item.follows = false;
      ordinal = item.ordinal + 1;
    }
    origin.items = events.items;
    for (const Item& item : events.items) {
      fold_item(raw, item, origin, out);
      const Book* const b = known_book(item.trade.instrument.text());
      told = told || (b && of && item.ordinal == place && b->sets_aside(*of));
    }
    fold_others(raw, ordinal, origin.offset, out);
    auto resolved = market::resolved_row(raw, Resolution::replayed, setting.rules.version);
    for (std::size_t i = before; i < out.quarantined.size() && resolved; ++i) {
      const Quarantined& q = out.quarantined[i];
      if (q.partition != resolved->partition || q.offset != resolved->offset || q.ordinal != resolved->ordinal)
        continue;
      if (q.resolution == Resolution::none) ++counts(venue_of(raw), out).still_bad;
      told = true;
    }
    if (!resolved || told) return;
    ++counts(venue_of(raw), out).replayed;
    out.quarantined.push_back(std::move(*resolved));
  }

  // An item in quarantine is given up; an id that was held becomes void.
  void drop(const RawRecord& raw, Results& out) {
    const auto id = natural(raw, header::id);
    const auto of = market::place_of(raw);
    if (id && of)
      for (const Instrument& i : raw.instrument_list()) touch(i).drop_held(*id, *of, counts(i.venue(), out));
    auto resolved = market::resolved_row(raw, Resolution::dropped, setting.rules.version);
    if (!resolved) return;
    ++counts(venue_of(raw), out).dropped;
    out.quarantined.push_back(std::move(*resolved));
  }

  void fold_frame(const RawRecord& raw, Results& out) {
    bool sound = false;
    const Session* session = follow(raw, sound);
    Origin origin;
    origin.live = true;
    origin.source.assign(raw.session);
    origin.seq = raw.seq;
    if (session) origin.offset = session->offset;
    if (raw.clock_offset) origin.offset = *raw.clock_offset;
    if (sound) {
      std::string_view rest = raw.instruments;
      while (!rest.empty()) {
        const std::size_t comma = rest.find(',');
        const std::string_view text = rest.substr(0, comma);
        if (Book* const b = known_book(text))
          touch(*b).alive(raw.session);
        else if (const auto instrument = Instrument::parse(text))
          touch(*instrument).alive(raw.session);
        if (comma == std::string_view::npos) break;
        rest.remove_prefix(comma + 1);
      }
    }
    fold_items(raw, origin, out);
  }

  void fold_session(const RawRecord& raw) {
    bool sound = false;
    Session* session = follow(raw, sound);
    if (!session || !sound) return;
    const auto subscribed = time_of(raw, header::subscribed);
    for (const Instrument& i : raw.instrument_list()) {
      if (std::find(session->carried.begin(), session->carried.end(), i) != session->carried.end()) continue;
      if (session->carried.size() == kMostCarried) break;
      session->carried.push_back(i);
      session->to_save_carried = true;
      touch(i).carried(raw.session, session->whole ? subscribed : std::nullopt);
    }
    const auto witness = time_of(raw, header::witness);
    const auto last = natural(raw, header::last_seq);
    if (!witness || (last && *last >= session->next)) return;
    const std::vector<Instrument> carried = session->carried;
    for (const Instrument& i : carried) touch(i).witness(raw.session, *witness);
  }

  void configure(const RawRecord& raw, Results& out) {
    const auto tape = raw.header(header::tape);
    if (tape) {
      const auto parsed = parse_tape(*tape);
      if (!parsed)
        return quarantine_record(raw, 0, Reason::rule, "tape \"" + std::string{*tape} + "\" is neither trade nor agg",
                                 raw.bytes, out);
      for (const Instrument& i : raw.instrument_list()) touch(i).fix_tape(*parsed);
    }
    Rules changed = setting.rules;
    changed.version = 0;
    bool any = false;
    for (const Header& h : raw.headers) {
      if (h.name != "intervals" && h.name.substr(0, 5) != "rule.") continue;
      if (const auto done = set(changed, h.name, h.value); !done)
        return quarantine_record(raw, 0, Reason::rule, done.error().detail, raw.bytes, out);
      any = true;
    }
    if (!any) return;
    // Only by what was said before, which is the same whatever configurations there were.
    if (const auto before = said.find("rule.version"); changed.version > 0 && before != said.end())
      if (Rules last; set(last, before->first, before->second) && changed.version < last.version)
        return quarantine_record(raw, 0, Reason::rule, "rule.version is " + before->second + " and only rises",
                                 raw.bytes, out);
    const std::uint32_t version = changed.version;
    changed.version = setting.rules.version;
    const bool other = to_pairs(changed) != to_pairs(setting.rules);
    if (other && version == 0 && setting.rules.version == UINT32_MAX)
      return quarantine_record(
          raw, 0, Reason::rule,
          "rule.version is " + std::to_string(UINT32_MAX) + " and cannot rise: say it with the rules", raw.bytes, out);
    const bool rises = other && version <= setting.rules.version && setting.rules.version < UINT32_MAX;
    changed.version = std::max(version, setting.rules.version + (rises ? 1 : 0));
    if (const auto sound = check(changed); !sound)
      return quarantine_record(raw, 0, Reason::rule, sound.error().detail, raw.bytes, out);
    if (changed.intervals != setting.rules.intervals && !books.empty())
      return quarantine_record(
          raw, 0, Reason::rule,
          "the intervals cannot change while there are candles: other ones need a directory of their own", raw.bytes,
          out);
    const bool other_content = changed.folded_kinds != setting.rules.folded_kinds;
    setting.rules = std::move(changed);
    ++setting.generation;
    if (other_content) forget_contents();
    for (const Header& h : raw.headers)
      if (h.name == "intervals" || h.name.substr(0, 5) == "rule.") said[std::string{h.name}] = h.value;
    config_dirty = true;
  }

  // Whether a trade's kind makes candles is part of its content: what was remembered cannot be compared any more.
  void forget_contents() {
    for (auto& [instrument, b] : books) {
      b->forget_contents();
      touch_batch(*b);
    }
    kinds_dirty = true;
  }

  void answer(const RawRecord& raw) {
    Book::Answer a;
    const auto era = natural(raw, header::era);
    if (era) a.era = static_cast<std::uint32_t>(*era);
    a.first = natural(raw, header::first_id);
    a.last = natural(raw, header::last_id);
    a.nothing_after = natural(raw, header::nothing_after);
    a.as_of = time_of(raw, header::as_of);
    a.skipped = parse_spans(raw.header(header::skipped).value_or(std::string_view{}));
    const auto verdict = raw.header(header::verdict);
    a.exhausted = verdict == "exhausted";
    a.refused = verdict == "refused";
    for (const Instrument& i : raw.instrument_list()) touch(i).answer(a);
  }

  void fold(const RawRecord& raw, Results& out) {
    in_record.clear();
    ++record_number;
    replays.begin(raw.offset);
    const std::size_t rows = out.quarantined.size();
    if (!working.empty()) {
      const std::vector<Book*> now = std::move(working);
      working.clear();
      for (Book* b : now) {
        touch(b->instrument());
        if (b->work()) working.push_back(b);
      }
    }
    switch (raw.kind) {
      case RawKind::frame:
        fold_frame(raw, out);
        break;
      case RawKind::session:
        fold_session(raw);
        break;
      case RawKind::history:
      case RawKind::backfill:
      case RawKind::reference:
      case RawKind::recompute: {
        Origin origin = origin_of(raw);
        fold_items(raw, origin, out);
        break;
      }
      case RawKind::replay:
        fold_replay(raw, out);
        break;
      case RawKind::begin:
      case RawKind::end: {
        const auto range = raw.header(header::range).value_or(std::string_view{});
        const bool named = raw.kind == RawKind::end || range.size() <= kMaxRangeBytes;
        bool taken = named;
        for (const Instrument& i : raw.instrument_list()) {
          if (raw.kind == RawKind::end)
            touch(i).end_range(range);
          else if (named && !touch(i).begin_range(range, time_of(raw, header::from), time_of(raw, header::to)))
            taken = false;
        }
        if (!taken)
          quarantine_record(raw, 0, Reason::rule,
                            !named ? "its range has a name of " + std::to_string(range.size()) + " bytes"
                                   : "too many ranges are open already",
                            raw.bytes, out);
        break;
      }
      case RawKind::coverage: {
        const auto from = time_of(raw, header::from), to = time_of(raw, header::to);
        if (!from || !to || *from >= *to) {
          quarantine_record(raw, 0, Reason::missing_field,
                            "a coverage record needs from and to, the first before the second", raw.bytes, out);
          break;
        }
        for (const Instrument& i : raw.instrument_list()) touch(i).declare(*from, *to);
        break;
      }
      case RawKind::answer:
        answer(raw);
        break;
      case RawKind::config:
        configure(raw, out);
        break;
      case RawKind::drop:
        drop(raw, out);
        break;
    }
    for (Book* b : in_record) b->end_page();
    ++counts(venue_of(raw), out).records[static_cast<std::size_t>(raw.kind)];
    if (raw.kind == RawKind::end)  // the last record of an import: nothing is left for later
      for (Book* b : in_record)
        while (b->has_work()) b->work();
    if (out.quarantined.size() > rows && is_loose(raw)) replays.note(std::span{out.quarantined}.subspan(rows));
    // After these nothing may come for long.
    const bool last_word =
        raw.kind == RawKind::end || (raw.kind == RawKind::session && raw.header(header::event) == "close");
    for (Book* b : in_record) {
      if (raw.receive_time) b->progress(*raw.receive_time, last_word);
      if (b->has_work() && std::find(working.begin(), working.end(), b) == working.end()) working.push_back(b);
    }
  }

  // By which the contents that are remembered can be compared.
  std::string folded_kinds() const {
    std::string value;
    Writer w{value};
    for (const std::string& kind : setting.rules.folded_kinds) w.text(kind);
    return value;
  }

  void finish(Results& out, bool emit_open) {
    const auto own = [&](std::string key, std::optional<std::string> value) {
      out.state.emplace_back("\n" + key, std::move(value));
    };
    if (version_dirty) own("v", std::to_string(kStateVersion));
    version_dirty = false;
    if (kinds_dirty) own("k", folded_kinds());
    kinds_dirty = false;
    if (config_dirty) {
      std::string value;
      Writer w{value};
      w.number(said.size());
      for (const auto& [key, text] : said) {
        w.text(key);
        w.text(text);
      }
      w.number(setting.rules.version);  // the greatest that was in force, which a configuration may have said
      own("c", std::move(value));
      config_dirty = false;
    }
    for (const std::string& id : forgotten) {
      own("s/" + id, std::nullopt);
      own("S/" + id, std::nullopt);
    }
    forgotten.clear();
    for (auto& [id, s] : sessions) {
      if (s.to_save) {
        std::string value;
        Writer w{value};
        w.text(s.connection);
        w.number(s.next);
        w.flag(s.whole);
        w.flag(s.broken);
        w.integer(s.offset.count());
        w.number(s.born);
        own("s/" + id, std::move(value));
      }
      if (s.to_save_carried) {
        std::string value;
        Writer w{value};
        w.number(s.carried.size());
        for (const Instrument& i : s.carried) w.text(i.text());
        own("S/" + id, std::move(value));
      }
      s.to_save = s.to_save_carried = false;
    }
    news.finish_batch(out, setting.epoch);
    replays.finish_batch(out);
    if (emit_open && kept_back) {
      // The end of catch-up: every open window once.
      for (auto& [instrument, b] : books) touch_batch(*b);
    }
    kept_back = !emit_open;
    for (Book* b : touched) b->finish_batch(out, emit_open);
    touched.clear();
    ++batch_number;
  }
  bool kept_back = true;  // after a start too: rows that were kept back before it

  void restore(std::span<const std::pair<std::string, std::string>> state) {
    bool versioned = state.empty(), older = false, uncounted = false;
    std::optional<std::string_view> kinds;  // an older program has not told
    for (const auto& [key, value] : state) {
      if (key == "\nv") {
        std::uint64_t version = kStateVersion;
        while (version >= kOldestState && value != std::to_string(version)) --version;
        if (version < kOldestState)
          throw ForeignState("it is of version " + value + ", this program reads " + std::to_string(kStateVersion));
        versioned = true;
        older = version < kStateVersion;
        uncounted = version < kCountedNews;
      } else if (key == "\nk") {
        kinds = value;
      } else if (key == "\nc") {
        const std::uint32_t configured = setting.rules.version;
        Reader r{value};
        for (auto n = r.number(); n > 0; --n) {
          std::string name{r.text()};
          const std::string_view text = r.text();
          if (const auto done = set(setting.rules, name, text); !done)
            throw std::runtime_error("state: " + done.error().detail);
          said.insert_or_assign(std::move(name), text);
        }
        const std::uint32_t before = r.at_end() ? setting.rules.version : static_cast<std::uint32_t>(r.number());
        r.end();
        config_dirty = configured > before;
        setting.rules.version = std::max(configured, before);
      }
    }
    if (!versioned) throw ForeignState("it does not say its version");
    for (const auto& [key, value] : state) {
      const std::size_t split = key.find('\n');
      if (split == std::string::npos) throw std::runtime_error("state: unknown key " + key);
      const std::string_view local = std::string_view{key}.substr(split + 1);
      if (split > 0) {
        const auto instrument = Instrument::parse(std::string_view{key}.substr(0, split));
        if (!instrument) throw std::runtime_error("state: a key names no instrument: " + key);
        book(*instrument).restore(local, value);
      } else if (market::Replays::is_key(local)) {
        replays.restore(local, value);
      } else if (market::NewsDesk::is_key(local)) {
        news.restore(local, value);
      } else if (local.size() > 2 && local.front() == 's') {
        Session& s = sessions[std::string{local.substr(2)}];
        Reader r{value};
        s.connection = r.text();
        s.next = r.number();
        s.whole = r.flag();
        s.broken = r.flag();
        s.offset = Nanoseconds{r.integer()};
        s.born = r.number();
        r.end();
        sessions_seen = std::max(sessions_seen, s.born);
      } else if (local.size() > 2 && local.front() == 'S') {
        Reader r{value};
        Session& s = sessions[std::string{local.substr(2)}];
        for (auto n = r.number(); n > 0; --n) s.carried.push_back(Instrument::parse(r.text()).value_or(Instrument{}));
        r.end();
      }
    }
    news.restored(uncounted);
    for (auto& [instrument, b] : books) {
      b->restored();
      if (b->has_work()) working.push_back(b.get());
    }
    version_dirty = state.empty() || older;
    kinds_dirty = !kinds;
    if (kinds && *kinds != folded_kinds()) forget_contents();
  }
};

Processor::Processor(const Rules& rules, const Decoder& decoder, std::int32_t partition, std::int64_t epoch)
    : heart_{std::make_unique<Heart>(rules, decoder, partition, epoch)} {}
Processor::~Processor() = default;
Processor::Processor(Processor&&) noexcept = default;

void Processor::restore(std::span<const std::pair<std::string, std::string>> state) { heart_->restore(state); }
void Processor::fold(const RawRecord& raw, Results& out) { heart_->fold(raw, out); }
void Processor::quarantine(const RawRecord& raw, Reason reason, std::string detail, Results& out) {
  Counts& c = Heart::counts(Heart::venue_of(raw), out);
  ++c.in;
  ++c.undecodable;
  const auto of = raw.kind == RawKind::replay ? market::place_of(raw) : std::nullopt;
  heart_->quarantine_record(raw, of ? of->ordinal : 0, reason, std::move(detail), raw.bytes, out);
  heart_->replays.begin(raw.offset);
  if (heart_->is_loose(raw)) heart_->replays.note(std::span{out.quarantined}.last(1));
}
std::vector<SetAside> Processor::set_aside() const {
  std::vector<SetAside> out;
  for (const auto& [instrument, book] : heart_->books) book->list_set_aside(out);
  std::ranges::stable_sort(
      out, [](const SetAside& a, const SetAside& b) { return a.trade.instrument < b.trade.instrument; });
  return out;
}
void Processor::finish_batch(Results& out, bool emit_open) { heart_->finish(out, emit_open); }

}  // namespace truetape
