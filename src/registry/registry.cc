#include "registry/registry.h"

#include <simdjson.h>

#include <algorithm>
#include <random>

#include "codec/cells.h"
#include "core/clock.h"
#include "core/utf8.h"
#include "net/http_client.h"
#include "net/url.h"

namespace truetape {
namespace {

using simdjson::dom::element;

// Of the API, in the answer's "error_code".
constexpr std::int64_t kNoSubject = 40401, kNoVersion = 40402, kNoSchema = 40403, kReadOnly = 42205;

constexpr const char* kContentType = "application/vnd.schemaregistry.v1+json";

// The registry's words, or the beginning of whatever else answered, fit to stand in a line.
std::string in_a_line(std::string_view text, std::size_t longest) {
  std::string out;
  append_utf8(text.substr(0, longest), out);
  for (char& c : out)
    if (c >= 0 && c < ' ') c = ' ';
  if (text.size() > longest) out += " …";
  return out;
}

std::string schema_body(std::string_view schema) {
  std::string out = "{\"schema\":";
  append_json(schema, out);
  return out + '}';
}

struct Question {
  std::string method, path, body;
  std::string about;  // "subject market.trades-value"
};
// An answer that the caller decides on: of 2xx, 409, or one of the API's codes for what is not there.
struct Reply {
  int status = 0;
  std::int64_t code = 0;  // 0: none
  std::string words;
  std::string body;
};

}  // namespace

struct Registry::Impl {
  Impl(RegistryConfig c, net::Url u) : config{std::move(c)}, url{std::move(u)}, loop{clock} {
    while (url.target.ends_with('/')) url.target.pop_back();
    place = url.origin() + url.target;
    if (!config.password.empty()) url.password = config.password;
    const std::string user =
        url.user.empty() ? "" : net::percent_encode(url.user) + ":" + net::percent_encode(url.password) + "@";
    base = url.scheme + "://" + user + url.host_field() + url.target;
  }

  Result<Reply> ask(const Question& question);
  net::awaitable<Result<Reply>> attempts(const Question& question);
  Result<Reply> judge(const Question& question, net::HttpAnswer answer) const;

  std::string about(const Question& question) const {
    return "schema registry " + place + ", " + question.about + ": ";
  }
  auto no_registry(const Question& question, const std::string& what) const {
    return failure(Fault::malformed, Retry::never,
                   about(question) + what + ", which is no answer of a schema registry; check kafka.registry");
  }

  RegistryConfig config;
  net::Url url;
  std::string place, base;
  SystemClock clock;
  net::Loop loop;
  std::unique_ptr<net::Connector> connector;
  std::unique_ptr<net::HttpClient> client;
};

// What the status means. An error of Retry::after_backoff and status 5xx is asked again.
Result<Reply> Registry::Impl::judge(const Question& question, net::HttpAnswer answer) const {
  Reply reply{.status = answer.status, .code = 0, .words = {}, .body = std::move(answer.body)};
  if (reply.status / 100 == 2) return reply;
  simdjson::dom::parser parser;
  element error;
  std::string_view words;
  if (parser.parse(simdjson::padded_string{reply.body}).get(error) == simdjson::SUCCESS) {
    if (error.at_key("error_code").get(reply.code) != simdjson::SUCCESS) reply.code = 0;
    if (error.at_key("message").get(words) == simdjson::SUCCESS) reply.words = in_a_line(words, 2000);
  }
  const bool known = reply.code != 0;
  if (!known) reply.words = in_a_line(reply.body, 120);
  const std::string said =
      "it answers " + std::to_string(reply.status) + (reply.words.empty() ? std::string{} : " (" + reply.words + ")");
  const auto error_of = [&](Fault fault, Retry retry, std::string_view then) {
    return failure(fault, retry, about(question) + said + std::string{then});
  };
  switch (reply.status) {
    case 401:
      return error_of(Fault::refused, Retry::never,
                      ": it does not take this user and password; check kafka.registry and kafka.registry_password");
    case 403:
      return error_of(Fault::refused, Retry::never, "; ask its operator for the right to do this");
    case 404:
      if (reply.code == kNoSubject || reply.code == kNoVersion || reply.code == kNoSchema) return reply;
      return no_registry(question, said);
    case 408:
    case 429:
      return error_of(Fault::unavailable, Retry::after_backoff, "; ask less often, or later");
    case 409:
      if (known) return reply;
      break;
    case 422:
      if (reply.code == kReadOnly) return error_of(Fault::refused, Retry::never, "; ask its operator who may register");
      if (known) return error_of(Fault::malformed, Retry::never, "; it does not take this schema");
      break;
    default:
      if (reply.status >= 500)
        return error_of(Fault::unavailable, Retry::after_backoff, "; look at the registry's own log");
      if (known) return error_of(Fault::refused, Retry::never, "; its words say why");
  }
  return no_registry(question, said);
}

net::awaitable<Result<Reply>> Registry::Impl::attempts(const Question& question) {
  const net::SteadyTime until = loop.now() + config.wait;
  net::Backoff backoff{config.backoff, std::random_device{}()};
  for (;;) {
    net::HttpRequest request;
    request.method = question.method;
    request.url = base + question.path;
    request.headers.add("Accept", std::string{kContentType} + ", application/json");
    if (!question.body.empty()) request.headers.add("Content-Type", kContentType);
    request.body = question.body;
    auto answer = co_await client->send(std::move(request));
    Result<Reply> reply = tl::unexpected{Error{}};
    bool again = true;
    if (answer) {
      again = answer->status >= 500;
      reply = judge(question, std::move(*answer));
      if (reply || !again) co_return reply;
    } else {
      const Error& error = answer.error();
      again = error.fault == Fault::unavailable && error.retry != Retry::never;
      reply = failure(error.fault, error.retry == Retry::never ? Retry::never : Retry::after_backoff,
                      about(question) + error.detail);
    }
    const Nanoseconds pause = backoff.next();
    if (!again || loop.now() + pause >= until) co_return reply;
    co_await loop.sleep(pause);
  }
}

Result<Reply> Registry::Impl::ask(const Question& question) {
  std::optional<Result<Reply>> reply;
  loop.spawn([&]() -> net::awaitable<void> {
    reply = co_await attempts(question);
    loop.stop();
  });
  loop.run();
  return std::move(*reply);
}

namespace {

// Of the members of an answer; the first that is missing is named.
struct Members {
  explicit Members(const std::string& body)
      : good{parser.parse(simdjson::padded_string{body}).get(root) == simdjson::SUCCESS} {
    if (!good) wrong = "it answers no JSON";
  }
  template <class T>
  T need(const char* name) {
    T value{};
    if (good && root.at_key(name).get(value) != simdjson::SUCCESS) {
      good = false;
      wrong = std::string{"it answers without a proper \""} + name + "\"";
    }
    return value;
  }
  std::uint32_t id() {
    const auto id = need<std::int64_t>("id");
    if (good && (id < 0 || id > 0x7fff'ffff)) {
      good = false;
      wrong = "it answers with the id " + std::to_string(id);
    }
    return static_cast<std::uint32_t>(id);
  }
  Registry::Version version() {
    Registry::Version out{
        .id = id(), .version = static_cast<std::int32_t>(need<std::int64_t>("version")), .schema = {}};
    return out;
  }

  simdjson::dom::parser parser;
  element root;
  std::string wrong;
  bool good;
};

std::string subject_path(std::string_view subject) { return "/subjects/" + net::percent_encode(subject); }
std::string about_subject(std::string_view subject) { return "subject " + std::string{subject}; }

}  // namespace

Result<std::unique_ptr<Registry>> Registry::make(RegistryConfig config) {
  auto url = net::parse_url(config.url);
  if (!url || (url->scheme != "http" && url->scheme != "https") || url->target.find('?') != std::string::npos)
    return failure(Fault::malformed, Retry::never,
                   "the address of the schema registry is none; write kafka.registry as http://HOST[:PORT][/PATH] or "
                   "https://…, with USER@ before the host if it wants one");
  if (url->user.empty() && !config.password.empty())
    return failure(Fault::malformed, Retry::never,
                   "there is a password for the schema registry " + url->origin() +
                       " but no user; write it before the host in kafka.registry: " + url->scheme + "://USER@" +
                       url->host_field());
  config.connect.connect_timeout = config.attempt;
  auto impl = std::make_unique<Impl>(std::move(config), std::move(*url));
  auto connector = net::Connector::make(impl->loop, impl->config.connect);
  if (!connector) return tl::unexpected{connector.error()};
  impl->connector = std::move(*connector);
  net::HttpClientConfig client;
  client.header_timeout = client.body_timeout = impl->config.attempt;
  impl->client = std::make_unique<net::HttpClient>(*impl->connector, client);
  return std::unique_ptr<Registry>{new Registry{std::move(impl)}};
}

Registry::Registry(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}
Registry::~Registry() = default;

const std::string& Registry::place() const { return impl_->place; }
void Registry::wait_at_most(Nanoseconds wait) { impl_->config.wait = std::min(impl_->config.wait, wait); }

Result<std::optional<Registry::Version>> Registry::latest(std::string_view subject) {
  const Question question{"GET", subject_path(subject) + "/versions/latest", "", about_subject(subject)};
  const auto reply = impl_->ask(question);
  if (!reply) return tl::unexpected{reply.error()};
  if (reply->status == 404) return std::nullopt;
  Members members{reply->body};
  Version out = members.version();
  out.schema = members.need<std::string_view>("schema");
  if (!members.good) return impl_->no_registry(question, members.wrong);
  return out;
}

Result<Registry::LookedUp> Registry::look_up(std::string_view subject, std::string_view schema) {
  const Question question{"POST", subject_path(subject), schema_body(schema), about_subject(subject)};
  const auto reply = impl_->ask(question);
  if (!reply) return tl::unexpected{reply.error()};
  if (reply->status == 404) return LookedUp{.subject = reply->code == kNoSchema, .found = std::nullopt};
  Members members{reply->body};
  LookedUp out{.subject = true, .found = members.version()};
  if (!members.good) return impl_->no_registry(question, members.wrong);
  return out;
}

Result<std::uint32_t> Registry::add(std::string_view subject, std::string_view schema) {
  const Question question{"POST", subject_path(subject) + "/versions", schema_body(schema), about_subject(subject)};
  const auto reply = impl_->ask(question);
  if (!reply) return tl::unexpected{reply.error()};
  if (reply->status == 409)
    return failure(
        Fault::mismatch, Retry::never,
        impl_->about(question) + "it refuses our schema as incompatible with what is registered: " + reply->words);
  Members members{reply->body};
  const std::uint32_t id = members.id();
  if (!members.good) return impl_->no_registry(question, members.wrong);
  return id;
}

Result<std::vector<std::string>> Registry::objections(std::string_view subject, std::string_view schema) {
  const Question question{"POST", "/compatibility" + subject_path(subject) + "/versions/latest?verbose=true",
                          schema_body(schema), about_subject(subject)};
  const auto reply = impl_->ask(question);
  if (!reply) return tl::unexpected{reply.error()};
  std::vector<std::string> out;
  if (reply->status == 404) return out;
  Members members{reply->body};
  const bool compatible = members.need<bool>("is_compatible");
  if (!members.good) return impl_->no_registry(question, members.wrong);
  if (compatible) return out;
  simdjson::dom::array messages;
  if (members.root.at_key("messages").get(messages) == simdjson::SUCCESS)
    for (const element message : messages)
      if (std::string_view text; message.get(text) == simdjson::SUCCESS) out.push_back(in_a_line(text, 500));
  if (out.empty()) out.emplace_back("it is incompatible; the registry does not say why");
  return out;
}

Result<std::optional<Registry::Schema>> Registry::schema(std::uint32_t id) {
  const Question question{"GET", "/schemas/ids/" + std::to_string(id), "", "schema id " + std::to_string(id)};
  const auto reply = impl_->ask(question);
  if (!reply) return tl::unexpected{reply.error()};
  if (reply->status == 404) return std::nullopt;
  Members members{reply->body};
  Schema out{.type = "AVRO", .text = std::string{members.need<std::string_view>("schema")}};
  if (!members.good) return impl_->no_registry(question, members.wrong);
  if (std::string_view type; members.root.at_key("schemaType").get(type) == simdjson::SUCCESS) out.type = type;
  return out;
}

Result<std::string> Registry::compatibility_level() {
  const Question question{"GET", "/config", "", "compatibility level"};
  const auto reply = impl_->ask(question);
  if (!reply) return tl::unexpected{reply.error()};
  Members members{reply->body};
  const std::string level{members.need<std::string_view>("compatibilityLevel")};
  if (!members.good) return impl_->no_registry(question, members.wrong);
  return level;
}

}  // namespace truetape
