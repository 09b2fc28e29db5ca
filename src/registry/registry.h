// A client of a schema registry that speaks Confluent's REST API, as Confluent's own, Karapace, Apicurio and Redpanda
// do. Calls block: there is a loop of its own inside, which runs during a call. One thread at a time; who shares it
// locks.
//
// An answer of 5xx, none in time and a refused connection are asked again, with growing pauses, for as long as
// RegistryConfig::wait says; a 4xx never is. Errors, each one sentence with the registry's address, the subject and the
// registry's own words:
//   unavailable, after_backoff  no answer within the wait; 408 and 429
//   refused, never              user and password are wrong (401), a right is missing (403), the registry is read-only
//   refused, after_backoff      its certificate is not trusted
//   mismatch, never             an incompatible schema (409)
//   malformed, never            no registry answers there, or the schema is none to it (422)
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "net/backoff.h"
#include "net/connector.h"

namespace truetape {

struct RegistryConfig {
  std::string url;                                // http[s]://[user[:password]@]host[:port][/path]
  std::string password = {};                      // in place of the URL's; neither: no authorization is sent
  net::ConnectConfig connect = {};                // authorities to trust, proxies
  Nanoseconds wait = std::chrono::seconds{15};    // of one call: no attempt begins later than this
  Nanoseconds attempt = std::chrono::seconds{5};  // for connecting, for the answer's header, and for its body
  net::BackoffConfig backoff = {std::chrono::milliseconds{200}, std::chrono::seconds{3}, 2};
};

class Registry {
 public:
  // Connects at the first call. An address that cannot be meant, or an unreadable file of authorities, is an error.
  static Result<std::unique_ptr<Registry>> make(RegistryConfig config);
  ~Registry();

  // "http://host:port/path", without user and password: for sentences.
  const std::string& place() const;
  // Makes RegistryConfig::wait of all later calls shorter, never longer: for a caller that itself asks again.
  void wait_at_most(Nanoseconds wait);

  struct Version {
    std::uint32_t id = 0;
    std::int32_t version = 0;  // of its subject, from 1
    std::string schema;        // its text; empty in an answer to look_up(), where it is what was asked for
  };
  // nullopt: there is no such subject.
  Result<std::optional<Version>> latest(std::string_view subject);
  // Whether exactly this schema is a version of the subject.
  struct LookedUp {
    bool subject = false;          // it exists
    std::optional<Version> found;  // the schema in it
  };
  Result<LookedUp> look_up(std::string_view subject, std::string_view schema);
  // Registers it and answers its id; one that is there already keeps its id. Fault::mismatch: the subject has versions
  // that it is not compatible with.
  Result<std::uint32_t> add(std::string_view subject, std::string_view schema);
  // What the registry has against adding it; empty: nothing, or there is no such subject.
  Result<std::vector<std::string>> objections(std::string_view subject, std::string_view schema);

  struct Schema {
    std::string type;  // AVRO, JSON, PROTOBUF
    std::string text;
  };
  // nullopt: no schema has this id.
  Result<std::optional<Schema>> schema(std::uint32_t id);
  // The registry's own level, such as BACKWARD; a subject may have another.
  Result<std::string> compatibility_level();

 private:
  struct Impl;
  explicit Registry(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace truetape
