#include "writer.h"

#include <algorithm>

namespace truetape::model {
namespace {

std::optional<std::string> find(const Message& m, std::string_view name) {
  for (const auto& [n, v] : m.headers)
    if (n == name) return v;
  return std::nullopt;
}

}  // namespace

void Writer::add_line(std::int64_t at, const Listing& l, const std::string& session, std::string text,
                      std::int64_t venue_time) {
  deliveries_.push_back({at, tie_++, l.partition, session, l.instrument(), std::move(text), venue_time, std::nullopt});
}

void Writer::add(std::int64_t at, Message m) {
  m.receive = at;
  deliveries_.push_back({at, tie_++, m.partition, "", "", "", 0, std::move(m)});
}

Message Writer::message(RawKind kind, const Listing& l) {
  Message m;
  m.kind = kind;
  m.partition = l.partition;
  m.instruments = l.instrument();
  return m;
}

void Writer::add_session(std::int64_t at, const std::string& session, const char* event, std::int64_t subscribed,
                         bool ping) {
  for (int p = 0; p < market_.partitions; ++p) {
    Message m;
    m.kind = RawKind::session;
    m.partition = p;
    for (const Listing& l : market_.listings)
      if (l.partition == p) m.instruments += (m.instruments.empty() ? "" : ",") + l.instrument();
    if (m.instruments.empty()) continue;
    m.with(header::session, session).with(header::event, event).with(header::subscribed, std::to_string(subscribed));
    if (ping) m.with("ping", "1");
    add(at, std::move(m));
  }
}

std::vector<Message> Writer::chunks(const Listing& l, const std::vector<const Happened*>& rows, const std::string& file,
                                    bool archive, std::int64_t least, std::int64_t most) {
  std::vector<Message> out;
  for (std::size_t i = 0; i < rows.size();) {
    Message m = message(RawKind::history, l);
    m.with(header::venue, "test")
        .with(header::file, file)
        .with(header::row, std::to_string(i + 1))
        .with(header::tape, "trade");
    if (archive) m.with(header::archive, "1");
    const auto n = static_cast<std::size_t>(dice_.in(least, most));
    for (std::size_t j = i; j < std::min(rows.size(), i + n); ++j) m.bytes += line(l.symbol, *rows[j]) + "\n";
    i += n;
    out.push_back(std::move(m));
  }
  return out;
}

std::vector<Message> Writer::finish(const std::map<std::string, std::int64_t>& clock_offset) {
  std::stable_sort(deliveries_.begin(), deliveries_.end(), [](const Delivery& a, const Delivery& b) {
    return std::pair{a.at, a.tie} < std::pair{b.at, b.tie};
  });
  std::vector<Message> out;
  std::map<std::pair<std::string, int>, std::uint64_t> seq;
  std::map<std::string, std::int64_t> newest;
  const auto number = [&](Message& m, const std::string& session) {
    m.with(header::seq, std::to_string(++seq[{session, m.partition}]));
    const std::int64_t offset = clock_offset.contains(session) ? clock_offset.at(session) : 0;
    if (offset != 0) {
      m.with(header::clock_offset, std::to_string(offset));
      *m.receive -= offset;
    }
  };
  for (std::size_t i = 0; i < deliveries_.size();) {
    const Delivery& d = deliveries_[i];
    if (d.message) {
      Message m = *d.message;
      if (m.kind == RawKind::session) {
        const std::string session = *find(m, header::session);
        std::optional<std::int64_t> witness;
        if (newest.contains(session)) witness = newest[session] - 500 * kMs;
        if (find(m, "ping")) {
          std::erase_if(m.headers, [](const auto& h) { return h.first == "ping"; });
          witness = std::max(witness.value_or(0), d.at - 500 * kMs);
        }
        if (witness) {
          newest[session] = std::max(newest[session], *witness + 500 * kMs);
          m.with(header::witness, std::to_string(*witness));
        }
        m.with(header::last_seq, std::to_string(seq[{session, m.partition}]));
        number(m, session);
      }
      out.push_back(std::move(m));
      ++i;
      continue;
    }
    Message m;
    m.partition = d.partition;
    m.receive = d.at;
    m.with(header::session, d.session);
    std::size_t j = i;
    const auto most = static_cast<std::size_t>(dice_.chance(70) ? 1 : dice_.in(2, 8));
    std::vector<std::string> names;
    for (; j < deliveries_.size() && j < i + most; ++j) {
      const Delivery& x = deliveries_[j];
      if (x.message || x.session != d.session || x.partition != d.partition) break;
      if (std::find(names.begin(), names.end(), x.instrument) == names.end()) names.push_back(x.instrument);
      m.bytes += x.text + "\n";
      m.receive = x.at;
      newest[d.session] = std::max(newest[d.session], x.venue_time);
    }
    for (const auto& n : names) m.instruments += (m.instruments.empty() ? "" : ",") + n;
    number(m, d.session);
    out.push_back(std::move(m));
    i = j;
  }
  return out;
}

void add_tape_configs(const Market& market, std::vector<Message>& out) {
  std::vector<Message> configs;
  for (const Listing& l : market.listings) {
    Message m;
    m.kind = RawKind::config;
    m.partition = l.partition;
    m.instruments = l.instrument();
    m.receive = kBegin - kHour;
    configs.push_back(m.with(header::tape, "trade"));
  }
  out.insert(out.begin(), configs.begin(), configs.end());
}

Message with_range(Message m, const std::string& range, std::int64_t from, std::int64_t to) {
  m.with(header::range, range).with(header::from, std::to_string(from)).with(header::to, std::to_string(to));
  return m;
}

}  // namespace truetape::model
