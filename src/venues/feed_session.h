// From what a connection receives to records of `raw`: headers, partitions, sessions and their numbers, session records
// (semantics section 3; feed.h tells what is promised). For the feeds of all venues; one for each connection, on the
// loop's thread. Nothing here waits.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "venues/feed.h"

namespace truetape {

class SessionWriter {
 public:
  // `new_id` makes a session's id: at most 40 bytes, never the same again in this log.
  SessionWriter(RawSink& sink, std::string venue, std::string connection, std::function<std::string()> new_id);

  // The venue's clock minus ours, and +-: in every record from now on. Without it nothing is carried.
  void set_clock(Nanoseconds offset, Nanoseconds error);

  // One received frame that speaks of `to`. `tape`: it came on their tape, so it is evidence. False: no room; call
  // again with the same arguments, before anything else, when there is.
  [[nodiscard]] bool frame(std::string_view bytes, std::span<const Instrument> to, Timestamp received, bool tape);

  // The connection carries the tape of these since the venue time `since`.
  void carry(std::span<const Instrument> instruments, Timestamp since);
  // And of these no longer, from now on: the sessions of their partitions end, and new ones begin for the others,
  // without a break, since what was received so far is in the log.
  void drop(std::span<const Instrument> instruments, Timestamp now);

  // All that the venue sent on this connection up to venue time `witness` has been put. Never goes back.
  void witness(Timestamp witness);
  std::optional<Timestamp> witness() const { return witness_; }

  // While held the witness stays in no record; what is carried is told all the same.
  void hold_witness(bool hold) { held_ = hold; }

  // Session records of the partitions where there is something new to say. What finds no room is said next time.
  void beat(Timestamp now);
  // The last words, if there is room. Nothing is put afterwards.
  void close(Timestamp now);

 private:
  struct Part {
    std::string id;         // of the session
    std::uint64_t seq = 0;  // of its last record
    std::uint64_t generation = 0;
    std::map<Instrument, Timestamp> carried;  // since when
    std::vector<Instrument> unsaid;           // carried, but in no record yet
    std::optional<Timestamp> said;            // witness of the last record
    std::optional<Timestamp> listed;          // when all were named last, by our clock
    bool said_open = false;
  };
  // The part with a session that may go on.
  Part& part(std::int32_t partition, Timestamp now);
  // A new session for what is carried; nothing of it counts before `since`.
  static void renew(Part& part, Timestamp since);
  bool put_frame(std::int32_t partition, std::string_view key, std::string_view names, std::string_view bytes,
                 Timestamp received, bool tape);
  // False: no room.
  bool say(std::int32_t partition, Part& part, std::string_view event, Timestamp now, std::string_view names,
           std::optional<Timestamp> since);
  bool say_all(std::int32_t partition, Part& part, Timestamp now);

  RawSink& sink_;
  std::string venue_, connection_;
  std::function<std::string()> new_id_;
  std::int32_t partitions_;
  Nanoseconds offset_{}, error_{};
  bool clock_known_ = false, closed_ = false, held_ = false;
  std::optional<Timestamp> witness_;
  std::map<std::int32_t, Part> parts_;
  std::size_t resume_ = 0;  // partitions of the frame under way that have it
};

// Puts a record about one instrument that belongs to no session: config, reference. False: no room.
[[nodiscard]] bool put_single(RawSink& sink, RawKind kind, const Instrument& instrument, std::string_view bytes,
                              Timestamp now, std::span<const Header> more = {});

// The same about several, once in each partition concerned; about none: in partition 0, with the venue's name. `done`
// is 0 at first; on false call again with it as it is.
[[nodiscard]] bool put_each(RawSink& sink, RawKind kind, std::string_view venue, std::span<const Instrument> to,
                            std::string_view bytes, Timestamp now, std::span<const Header> more, std::size_t& done);

}  // namespace truetape
