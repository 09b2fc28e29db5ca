#include "log/socket/log_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <list>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "log/socket/protocol.h"
#include "log/socket/unix_socket.h"

namespace truetape {
namespace log_socket {
namespace {

using namespace std::chrono_literals;

constexpr auto kSlice = 200ms;  // the longest that a client waits for an answer while the log makes something durable
constexpr auto kAnswer = 5'000ms;  // for a client to take an answer, which is a few bytes

bool only_full(const Error& error) { return error.fault == Fault::no_space && error.retry == Retry::after_backoff; }

// What all clients share.
struct Shared {
  Shared(Log& its_log, LogServerOptions its_options) : log{its_log}, options{std::move(its_options)} {}
  Log& log;
  const LogServerOptions options;
  std::atomic<bool> stopping{false};
  std::atomic<std::uint64_t> clients{0}, accepted{0}, refused{0}, broken{0}, records{0};
  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::string, std::less<>> alone;  // what is being done by a client alone; guarded by mutex

  void tell(const std::string& sentence) const {
    if (options.tell) options.tell(sentence);
  }
};

// One client, on its thread.
class Conversation {
 public:
  Conversation(Shared& shared, int fd) : shared_{shared}, fd_{fd} {}
  ~Conversation() {
    for (Channel& channel : channels_) channel.appender.reset();
    // Only now: whoever does the same next finds all of this client's records, or none more to come.
    if (alone_.empty()) return;
    const std::lock_guard lock{shared_.mutex};
    shared_.alone.erase(alone_);
    shared_.changed.notify_all();
  }

  void run() {
    if (!greet()) return;
    ++shared_.accepted;
    for (;;) {
      const auto frame = next_frame(shared_.options.idle);
      if (!frame) return break_off(frame.error());
      if (!*frame) return;
      if (const Status done = handle(**frame); !done) return break_off(done.error());
      if (ended_) return;
    }
  }

 private:
  struct Channel {
    std::unique_ptr<Appender> appender;  // none: closed
    std::string rest;                    // records that the appender had no room for yet
    std::uint32_t left = 0;              // how many
    bool asked = false;                  // an append that was not answered with durable yet
  };

  // nullopt: the client has gone.
  Result<std::optional<Frame>> next_frame(std::chrono::milliseconds wait) {
    auto until = std::chrono::steady_clock::now() + wait;
    bool begun = false;
    for (;;) {
      auto frame = frames_.next();
      if (!frame || *frame) return frame;
      if (frames_.half() && !begun) {
        begun = true;
        until = std::chrono::steady_clock::now() + shared_.options.frame;
      }
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      std::string bytes;
      switch (receive(fd_, bytes, std::max(left, 0ms))) {
        case Io::ok:
          if (left <= 0ms) break;
          frames_.add(bytes);
          continue;
        case Io::closed:
          if (shared_.stopping)
            return failure(Fault::unavailable, Retry::reconnect,
                           "the process that writes the log is ending; what was flushed is in the log, try again");
          return std::optional<Frame>{};
        case Io::late:
          break;
      }
      return failure(Fault::unavailable, Retry::never,
                     begun ? "half a frame came and no more of it" : "nothing came for a long time");
    }
  }

  bool send(const std::string& answer) { return send_all(fd_, answer, kAnswer) == Io::ok; }
  void answer(Kind kind, std::uint8_t channel) {
    std::string out;
    put(kind, channel, out);
    ended_ = !send(out);
  }
  void fail(const Error& error, bool ends) {
    std::string out;
    put(Failed{ends, error}, out);
    ended_ = !send(out) || ends;
  }
  void break_off(const Error& error) {
    if (!shared_.stopping) {
      ++shared_.broken;
      shared_.tell("a command that wrote through the socket was closed: " + error.detail);
    }
    fail(error, true);  // last: who has heard it finds it counted
  }
  bool turn_away(const Error& error) {
    ++shared_.refused;
    shared_.tell("a command was turned away from the socket: " + error.detail);
    fail(error, true);
    return false;
  }

  bool greet() {
    const auto frame = next_frame(shared_.options.greeting);
    if (!frame) return break_off(frame.error()), false;
    if (!*frame) return false;
    if ((*frame)->kind != Kind::hello)
      return break_off({Fault::malformed, Retry::never, "the first frame is no greeting"}), false;
    const auto hello = parse_hello((*frame)->body);
    if (!hello) return break_off(hello.error()), false;
    if (hello->version != kVersion)
      return turn_away({Fault::mismatch, Retry::never,
                        "the process that writes the log speaks version " + std::to_string(kVersion) +
                            " of the socket, this command version " + std::to_string(hello->version) +
                            "; use the same truetape for both"});
    if (!hello->log_id.empty() && hello->log_id != shared_.log.id())
      return turn_away({Fault::mismatch, Retry::never,
                        "the process that listens at the socket writes the log " + std::string{shared_.log.id()} +
                            ", not " + hello->log_id + "; is the data directory right?"});
    if (!hello->alone.empty()) {
      std::unique_lock lock{shared_.mutex};
      const bool mine = shared_.changed.wait_for(lock, shared_.options.alone, [&] {
        return shared_.stopping || !shared_.alone.contains(hello->alone);
      }) && !shared_.stopping;
      if (mine) {
        alone_ = hello->alone;
        shared_.alone.insert(alone_);
      }
      lock.unlock();
      if (!mine)
        return turn_away(
            {Fault::refused, Retry::after_backoff,
             "another " + hello->alone + " is writing through the socket; wait until it has ended, then run this one"});
    }
    std::string out;
    put(Welcome{kVersion, std::string{shared_.log.id()}, shared_.log.epoch(), shared_.log.partitions()}, out);
    return send(out);
  }

  Status handle(const Frame& frame) {
    switch (frame.kind) {
      case Kind::ping:
        return answer(Kind::pong, kNoChannel), Status{};
      case Kind::open: {
        const auto open = parse_open(frame.body);
        if (!open) return tl::unexpected{open.error()};
        return handle_open(*open);
      }
      case Kind::append: {
        const auto append = parse_append(frame.body);
        if (!append) return tl::unexpected{append.error()};
        return handle_append(*append);
      }
      case Kind::again:
      case Kind::close: {
        const auto number = parse_channel(frame.body);
        if (!number) return tl::unexpected{number.error()};
        Channel* channel = channel_of(*number);
        if (channel == nullptr) return no_channel();
        if (frame.kind == Kind::again) {
          const std::string rest = std::move(channel->rest);
          return take(*number, *channel, {*number, channel->left, rest});
        }
        *channel = {};
        return answer(Kind::closed, *number), Status{};
      }
      case Kind::forget: {
        const auto reader = parse_forget(frame.body);
        if (!reader) return tl::unexpected{reader.error()};
        const Status done = shared_.options.forget ? shared_.options.forget(*reader)
                                                   : failure(Fault::refused, Retry::never,
                                                             "the process that writes the log forgets no readers");
        if (!done) return fail(done.error(), false), Status{};
        return answer(Kind::forgotten, kNoChannel), Status{};
      }
      default:
        return failure(Fault::malformed, Retry::never, "a frame came that a client does not send");
    }
  }

  Channel* channel_of(std::uint8_t number) {
    return number < channels_.size() && channels_[number].appender ? &channels_[number] : nullptr;
  }
  static Status no_channel() {
    return failure(Fault::malformed, Retry::never, "a frame came for a channel that is not open");
  }

  Status handle_open(const Open& open) {
    if (open.channel >= channels_.size() || channels_[open.channel].appender)
      return failure(Fault::malformed, Retry::never, "a channel was opened that cannot be");
    auto appender = shared_.log.appender(open.topic);
    if (!appender) return fail(appender.error(), false), Status{};
    channels_[open.channel].appender = std::move(*appender);
    return answer(Kind::opened, open.channel), Status{};
  }

  Status handle_append(const Append& append) {
    Channel* channel = channel_of(append.channel);
    if (channel == nullptr) return no_channel();
    if (channel->asked)
      return failure(Fault::malformed, Retry::never, "records came before those before them were answered for");
    // All of it must be sound before any of it is taken.
    Records records{append};
    Record record;
    for (std::int32_t partition = 0;;) {
      const auto more = records.next(partition, record);
      if (!more) return tl::unexpected{more.error()};
      if (!*more) break;
      if (partition < 0 || partition >= shared_.log.partitions())
        return failure(Fault::out_of_range, Retry::never,
                       "a record came for partition " + std::to_string(partition) + ", the log has " +
                           std::to_string(shared_.log.partitions()));
    }
    channel->asked = true;
    return take(append.channel, *channel, append);
  }

  // Gives the records to the appender as far as it has room, and answers what became of them.
  Status take(std::uint8_t number, Channel& channel, const Append& append) {
    const auto until = std::chrono::steady_clock::now() + kSlice;
    // nullopt: flushed. Else what was answered instead.
    const auto flush = [&](bool& flushed) -> Status {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      const auto done = channel.appender->flush(std::max(left, 0ms));
      flushed = done && *done;
      if (flushed) return {};
      if (done) return answer(Kind::waiting, number), Status{};
      if (!only_full(done.error())) return tl::unexpected{done.error()};
      return fail(done.error(), false), Status{};
    };
    Records records{append};
    Record record;
    std::int32_t partition = 0;
    for (bool tried = false;;) {
      const std::string_view here = records.bytes();
      const std::uint32_t left = records.left();
      const auto more = records.next(partition, record);
      if (!more) return tl::unexpected{more.error()};
      if (!*more) break;
      while (!channel.appender->append(partition, record)) {
        bool flushed = false;
        const Status ok = flush(flushed);
        if (!ok) return ok;
        if (!flushed) {
          channel.rest = here;
          channel.left = left;
          return {};
        }
        if (std::exchange(tried, true)) return failure(Fault::io, Retry::rebuild, "the log takes no record any more");
      }
      tried = false;
      ++shared_.records;
    }
    channel.rest.clear();
    channel.left = 0;
    bool flushed = false;
    const Status ok = flush(flushed);
    if (!ok || !flushed) return ok;
    channel.asked = false;
    return answer(Kind::durable, number), Status{};
  }

  Shared& shared_;
  const int fd_;
  Frames frames_;
  std::array<Channel, kMostChannels> channels_;
  std::string alone_;  // what this client does alone
  bool ended_ = false;
};

class Server final : public LogServer {
 public:
  Server(Log& log, Listener listener, Fd wake, LogServerOptions options)
      : shared_{log, std::move(options)}, listener_{std::move(listener)}, wake_{std::move(wake)} {
    thread_ = std::thread{[this] { accept_all(); }};
  }
  ~Server() override {
    {
      const std::lock_guard lock{shared_.mutex};
      shared_.stopping = true;
      shared_.changed.notify_all();
    }
    wake();
    thread_.join();
    for (Client& client : clients_) ::shutdown(client.fd.get(), SHUT_RD);
    for (Client& client : clients_) client.thread.join();
  }
  LogServerCounts counts() const override {
    return {shared_.clients, shared_.accepted, shared_.refused, shared_.broken, shared_.records};
  }

 private:
  struct Client {
    Fd fd;
    std::atomic<bool> done{false};
    std::thread thread;
  };

  void wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
  }

  void accept_all() {
    while (!shared_.stopping) {
      std::array<pollfd, 2> both{{{listener_.fd(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
      if (::poll(both.data(), both.size(), -1) < 0) continue;
      std::uint64_t ignored = 0;
      if (both[1].revents != 0 && ::read(wake_.get(), &ignored, sizeof ignored) < 0) continue;
      std::erase_if(clients_, [](Client& client) {
        if (!client.done) return false;
        client.thread.join();
        return true;
      });
      if (both[0].revents == 0 || shared_.stopping) continue;
      Fd fd{::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
      if (!fd) {
        // Out of descriptors or the like: the client waits in the backlog, and this thread must not spin.
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) std::this_thread::sleep_for(50ms);
        continue;
      }
      if (clients_.size() >= shared_.options.most_clients) {
        turn_away(fd.get());
        continue;
      }
      Client& client = clients_.emplace_back();
      client.fd = std::move(fd);
      ++shared_.clients;
      client.thread = std::thread{[this, &client] {
        { Conversation{shared_, client.fd.get()}.run(); }
        ::shutdown(client.fd.get(), SHUT_RDWR);
        --shared_.clients;
        client.done = true;
        wake();
      }};
    }
  }

  void turn_away(int fd) {
    const Error error{Fault::refused, Retry::after_backoff,
                      std::to_string(shared_.options.most_clients) +
                          " commands write through the socket already, which is the most; wait until one has ended"};
    ++shared_.refused;
    shared_.tell("a command was turned away from the socket: " + error.detail);
    std::string out;
    put(Failed{true, error}, out);
    send_all(fd, out, 0ms);  // an empty connection has room for it
  }

  Shared shared_;
  Listener listener_;
  Fd wake_;
  std::list<Client> clients_;  // of the accepting thread, and of the destructor behind it
  std::thread thread_;
};

}  // namespace
}  // namespace log_socket

Result<std::unique_ptr<LogServer>> LogServer::start(Log& log, const std::filesystem::path& socket,
                                                    LogServerOptions options) {
  log_socket::Fd wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!wake) return failure(Fault::io, Retry::after_backoff, "the socket needs an eventfd, and there are none left");
  auto listener = log_socket::Listener::open(socket);
  if (!listener) return tl::unexpected{listener.error()};
  return std::make_unique<log_socket::Server>(log, std::move(*listener), std::move(wake), std::move(options));
}

}  // namespace truetape
