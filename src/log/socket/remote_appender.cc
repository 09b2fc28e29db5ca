#include "log/socket/remote_appender.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "log/socket/protocol.h"
#include "log/socket/unix_socket.h"

namespace truetape {
namespace log_socket {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock::time_point;

constexpr auto kPing = 15s;
constexpr auto kNoRoomPause = 100ms;  // between questions while the log has no room

struct Batch {
  std::string records;
  std::uint32_t count = 0;
  std::size_t bytes = 0;  // by record_bytes()
};

// What one appender holds. The appender fills `building`, the connection's thread takes; all guarded by the mutex of
// the connection.
struct Channel {
  explicit Channel(std::uint8_t its_number) : number{its_number} {}
  const std::uint8_t number;
  Batch building;
  std::deque<Batch> ready;
  std::size_t bytes = 0;    // of what is not durable
  std::uint64_t added = 0;  // records, ever
  std::uint64_t durable = 0;
  std::uint32_t sent = 0;  // records that were sent and are not durable; their bytes
  std::size_t sent_bytes = 0;
  Steady again_at{};             // when to ask for them
  std::optional<Error> no_room;  // while it lasts
  std::uint64_t no_room_times = 0;
  bool left = false;     // its appender is gone
  bool refused = false;  // a record, since the connection is dead

  bool something_to_send() const { return !ready.empty() || building.count > 0; }
};

// The socket and its thread. One frame goes and one comes back, so there is never a question of whose answer it is.
class Connection {
 public:
  Connection(std::filesystem::path path, ConnectOptions options, Fd fd, Fd wake)
      : path_{std::move(path)}, options_{std::move(options)}, fd_{std::move(fd)}, wake_{std::move(wake)} {}
  ~Connection() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock{mutex_};
      stop_ = true;
    }
    ::shutdown(fd_.get(), SHUT_RDWR);
    wake();
    thread_.join();
  }

  Status greet() {
    std::string out;
    put(Hello{kVersion, options_.log_id, options_.alone}, out);
    const auto answer = exchange(out);
    if (!answer) return tl::unexpected{answer.error()};
    if (answer->kind != Kind::welcome) return tl::unexpected{strange()};
    auto welcome = parse_welcome(answer->body);
    if (!welcome) return tl::unexpected{welcome.error()};
    welcome_ = std::move(*welcome);
    thread_ = std::thread{[this] { run(); }};
    return {};
  }
  const Welcome& welcome() const { return welcome_; }

  Status health() const {
    const std::lock_guard lock{mutex_};
    return dead_ ? Status{tl::unexpected{*dead_}} : Status{};
  }

  Result<std::shared_ptr<Channel>> open(std::string_view topic) {
    std::unique_lock lock{mutex_};
    Opening opening{std::string{topic}, std::nullopt, nullptr};
    openings_.push_back(&opening);
    wake();
    changed_.wait(lock, [&] { return dead_ || opening.error || opening.channel; });
    std::erase(openings_, &opening);
    if (opening.channel) return opening.channel;
    return tl::unexpected{opening.error ? *opening.error : *dead_};
  }

  Status forget(std::string_view name) {
    std::unique_lock lock{mutex_};
    Forgetting forgetting{std::string{name}, std::nullopt};
    forgettings_.push_back(&forgetting);
    wake();
    changed_.wait(lock, [&] { return dead_ || forgetting.done; });
    std::erase(forgettings_, &forgetting);
    return forgetting.done ? *forgetting.done : Status{tl::unexpected{*dead_}};
  }

  bool add(Channel& channel, std::int32_t partition, const Record& record) {
    const std::size_t bytes = record_bytes(record);
    if (bytes > kMaxRecordBytes || partition < 0 || partition >= welcome_.partitions) return false;
    const std::lock_guard lock{mutex_};
    if (dead_) {
      channel.refused = true;
      return false;
    }
    if (channel.bytes > 0 && channel.bytes + bytes > options_.append_buffer_bytes) return false;
    Batch& building = channel.building;
    if (building.count > 0 && building.records.size() + bytes > kBatchBytes) {
      channel.ready.push_back(std::move(building));
      building = {};
    }
    put_record(partition, record, building.records);
    building.bytes += bytes;
    ++building.count;
    // An empty record takes room too: the bound must not be one of bytes alone.
    channel.bytes += bytes + 16;
    building.bytes += 16;
    if (channel.added++ == channel.durable) wake();
    return true;
  }

  Result<bool> flush(const Channel& channel, std::chrono::milliseconds wait) {
    std::unique_lock lock{mutex_};
    const std::uint64_t target = channel.added, tries = channel.no_room_times;
    changed_.wait_for(lock, wait, [&] { return dead_ || channel.durable >= target || channel.no_room_times != tries; });
    // Who was refused a record must not be told that all is well, else he tries for ever.
    if (dead_ && channel.refused) return tl::unexpected{*dead_};
    if (channel.durable >= target) return true;
    if (dead_) return tl::unexpected{*dead_};
    if (channel.no_room) return tl::unexpected{*channel.no_room};
    return false;
  }

  void leave(Channel& channel) {
    const std::lock_guard lock{mutex_};
    channel.left = true;
    wake();
  }

 private:
  struct Opening {
    std::string topic;
    std::optional<Error> error;
    std::shared_ptr<Channel> channel;
  };
  struct Forgetting {
    std::string name;
    std::optional<Status> done;
  };
  // A frame to send, and for whom.
  struct Job {
    Kind kind;
    std::shared_ptr<Channel> channel;  // none: ping, forget
    Opening* opening = nullptr;
    Batch batch;
    Forgetting* forgetting = nullptr;
  };

  void wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
  }

  Error strange() const {
    return {Fault::malformed, Retry::never,
            "what listens at " + path_.string() + " does not answer as truetape does; use the same truetape for both"};
  }
  Error gone() const {
    return {Fault::unavailable, Retry::reconnect,
            "the process that writes the log has ended, or closed " + path_.string() +
                "; what it had confirmed is in the log; run the same command again"};
  }

  // The next frame from the other side. An error of its own ends the connection.
  Result<Frame> read() {
    const auto until = std::chrono::steady_clock::now() + options_.patience;
    for (;;) {
      auto frame = frames_.next();
      if (!frame) return tl::unexpected{strange()};
      if (*frame) return **frame;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      std::string bytes;
      const Io done = receive(fd_.get(), bytes, std::max(left, 0ms));
      if (done == Io::closed) return tl::unexpected{gone()};
      if (done == Io::late)
        return failure(Fault::unavailable, Retry::reconnect,
                       "the process that listens at " + path_.string() + " says nothing for " +
                           std::to_string(std::chrono::ceil<std::chrono::seconds>(options_.patience).count()) +
                           " s; is it stopped?");
      frames_.add(bytes);
    }
  }

  // Sends and waits for the answer. What the other side has to say about its end counts more than that it has ended.
  Result<Frame> exchange(const std::string& out) {
    const Io sent = send_all(fd_.get(), out, options_.patience);
    auto answer = read();
    if (!answer) return answer;
    if (answer->kind == Kind::failed) {
      const auto failed = parse_failed(answer->body);
      if (!failed) return tl::unexpected{strange()};
      if (failed->ends) return tl::unexpected{failed->error};
    }
    if (sent != Io::ok) return tl::unexpected{gone()};
    return answer;
  }

  // Under the mutex. nullopt: nothing to do before `until`.
  std::optional<Job> next_job(Steady now, Steady& until) {
    until = ping_at_;
    for (auto& channel : channels_)
      if (channel && channel->left) return Job{Kind::close, channel, nullptr, {}, nullptr};
    for (Forgetting* forgetting : forgettings_)
      if (!forgetting->done) return Job{Kind::forget, nullptr, nullptr, {}, forgetting};
    for (Opening* opening : openings_)
      if (!opening->channel && !opening->error) {
        const auto free = std::find(channels_.begin(), channels_.end(), nullptr);
        if (free == channels_.end()) {
          opening->error = Error{Fault::refused, Retry::never,
                                 "a connection has at most " + std::to_string(kMostChannels) + " appenders"};
          changed_.notify_all();
          continue;
        }
        return Job{Kind::open,
                   std::make_shared<Channel>(static_cast<std::uint8_t>(free - channels_.begin())),
                   opening,
                   {},
                   nullptr};
      }
    for (std::size_t i = 0; i < channels_.size(); ++i) {
      const std::shared_ptr<Channel>& channel = channels_[turn_++ % channels_.size()];
      if (!channel) continue;
      if (channel->sent > 0) {
        if (channel->again_at <= now) return Job{Kind::again, channel, nullptr, {}, nullptr};
        until = std::min(until, channel->again_at);
      } else if (channel->something_to_send()) {
        Job job{Kind::append, channel, nullptr, {}, nullptr};
        if (channel->ready.empty()) {
          job.batch = std::exchange(channel->building, {});
        } else {
          job.batch = std::move(channel->ready.front());
          channel->ready.pop_front();
        }
        channel->sent = job.batch.count;
        channel->sent_bytes = job.batch.bytes;
        return job;
      }
    }
    if (ping_at_ <= now) return Job{Kind::ping, nullptr, nullptr, {}, nullptr};
    return std::nullopt;
  }

  static std::string frame_of(const Job& job) {
    std::string out;
    switch (job.kind) {
      case Kind::append:
        out.reserve(job.batch.records.size() + 16);
        put(Append{job.channel->number, job.batch.count, job.batch.records}, out);
        break;
      case Kind::open:
        put(Open{job.channel->number, job.opening->topic}, out);
        break;
      case Kind::forget:
        put_forget(job.forgetting->name, out);
        break;
      default:
        put(job.kind, job.channel ? job.channel->number : kNoChannel, out);
    }
    return out;
  }

  // Under the mutex: what the answer means. False: it is none to this.
  bool apply(const Job& job, const Frame& answer) {
    if (answer.kind == Kind::failed) {
      const auto failed = parse_failed(answer.body);
      if (!failed) return false;
      if (job.kind == Kind::open) {
        job.opening->error = failed->error;
      } else if (job.kind == Kind::forget) {
        job.forgetting->done = tl::unexpected{failed->error};
      } else if (job.kind == Kind::append || job.kind == Kind::again) {
        job.channel->no_room = failed->error;
        ++job.channel->no_room_times;
        job.channel->again_at = std::chrono::steady_clock::now() + kNoRoomPause;
      } else {
        return false;
      }
      return true;
    }
    const auto number = parse_channel(answer.body);
    if (!number || *number != (job.channel ? job.channel->number : kNoChannel)) return false;
    switch (job.kind) {
      case Kind::ping:
        return answer.kind == Kind::pong;
      case Kind::forget:
        job.forgetting->done = Status{};
        return answer.kind == Kind::forgotten;
      case Kind::open:
        channels_[job.channel->number] = job.channel;
        job.opening->channel = job.channel;
        return answer.kind == Kind::opened;
      case Kind::close:
        channels_[job.channel->number] = nullptr;
        return answer.kind == Kind::closed;
      default:
        job.channel->no_room.reset();
        if (answer.kind == Kind::waiting) {
          job.channel->again_at = {};
          return true;
        }
        job.channel->durable += std::exchange(job.channel->sent, 0);
        job.channel->bytes -= std::exchange(job.channel->sent_bytes, 0);
        return answer.kind == Kind::durable;
    }
  }

  void run() {
    std::unique_lock lock{mutex_};
    ping_at_ = std::chrono::steady_clock::now() + kPing;
    while (!stop_ && !dead_) {
      Steady until{};
      const auto job = next_job(std::chrono::steady_clock::now(), until);
      lock.unlock();
      std::optional<Error> error;
      Result<Frame> answer = failure(Fault::unavailable, Retry::never, "");
      if (job) {
        answer = exchange(frame_of(*job));
        if (!answer) error = answer.error();
      } else {
        error = idle(until);
      }
      lock.lock();
      if (job && answer) {
        ping_at_ = std::chrono::steady_clock::now() + kPing;
        if (!apply(*job, *answer)) error = strange();
      }
      if (error) dead_ = std::move(error);
      changed_.notify_all();
    }
    if (!dead_) dead_ = gone();
    changed_.notify_all();
  }

  // Until somebody wakes this thread, something comes unasked, which is the end, or the time has come.
  std::optional<Error> idle(Steady until) {
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    std::array<pollfd, 2> both{{{fd_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
    if (::poll(both.data(), both.size(), static_cast<int>(std::clamp<std::int64_t>(wait.count(), 0, 60'000))) <= 0)
      return std::nullopt;
    std::uint64_t ignored = 0;
    if (both[1].revents != 0 && ::read(wake_.get(), &ignored, sizeof ignored) < 0) return std::nullopt;
    if (both[0].revents == 0) return std::nullopt;
    const auto unasked = exchange({});
    return unasked ? strange() : unasked.error();
  }

  const std::filesystem::path path_;
  const ConnectOptions options_;
  const Fd fd_, wake_;
  Frames frames_;  // of the thread; of greet() before
  Welcome welcome_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::array<std::shared_ptr<Channel>, kMostChannels> channels_;
  std::size_t turn_ = 0;
  std::vector<Opening*> openings_;
  std::vector<Forgetting*> forgettings_;
  Steady ping_at_{};
  std::optional<Error> dead_;
  bool stop_ = false;
  std::thread thread_;
};

class RemoteAppender final : public Appender {
 public:
  RemoteAppender(std::shared_ptr<Connection> connection, std::shared_ptr<Channel> channel)
      : connection_{std::move(connection)}, channel_{std::move(channel)} {}
  ~RemoteAppender() override { connection_->leave(*channel_); }
  bool append(std::int32_t partition, const Record& record) override {
    return connection_->add(*channel_, partition, record);
  }
  Result<bool> flush(std::chrono::milliseconds wait) override { return connection_->flush(*channel_, wait); }

 private:
  const std::shared_ptr<Connection> connection_;
  const std::shared_ptr<Channel> channel_;
};

class Remote final : public RemoteLog {
 public:
  explicit Remote(std::shared_ptr<Connection> connection) : connection_{std::move(connection)} {}
  std::string_view id() const override { return connection_->welcome().log_id; }
  std::int64_t epoch() const override { return connection_->welcome().epoch; }
  std::int32_t partitions() const override { return connection_->welcome().partitions; }
  Result<std::unique_ptr<Appender>> appender(std::string_view topic) override {
    auto channel = connection_->open(topic);
    if (!channel) return tl::unexpected{channel.error()};
    return std::make_unique<RemoteAppender>(connection_, std::move(*channel));
  }
  Status forget_reader(std::string_view name) override { return connection_->forget(name); }
  Status health() const override { return connection_->health(); }

 private:
  const std::shared_ptr<Connection> connection_;
};

}  // namespace
}  // namespace log_socket

Result<std::unique_ptr<RemoteLog>> connect_log(const std::filesystem::path& socket, ConnectOptions options) {
  auto fd = log_socket::connect_to(socket);
  if (!fd) return tl::unexpected{fd.error()};
  log_socket::Fd wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!wake) return failure(Fault::io, Retry::after_backoff, "the socket needs an eventfd, and there are none left");
  auto connection =
      std::make_shared<log_socket::Connection>(socket, std::move(options), std::move(*fd), std::move(wake));
  if (Status greeted = connection->greet(); !greeted) return tl::unexpected{greeted.error()};
  return std::make_unique<log_socket::Remote>(std::move(connection));
}

}  // namespace truetape
