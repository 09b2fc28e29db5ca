// A connected byte stream, plain, TLS or in memory, behind one type, so that Beast's templates are compiled once for
// both. For files of src/net. Lives on the heap: Beast and TLS hold references to it.
#pragma once

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/loop_impl.h"
#include "net/memory_wire.h"

namespace truetape::net {

namespace beast = boost::beast;
namespace ssl = boost::asio::ssl;
using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  using executor_type = asio::io_context::executor_type;
  using Tls = ssl::stream<Socket&>;

  explicit Channel(Socket socket) : socket_{std::move(socket)} {}
  // Over a wire in memory; the socket is never opened.
  Channel(Socket socket, std::shared_ptr<MemoryWire> wire) : socket_{std::move(socket)}, wire_{std::move(wire)} {}
  ~Channel() {
    if (wire_) wire_->close();
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  executor_type get_executor() noexcept { return socket_.get_executor(); }
  Socket& socket() { return socket_; }
  Tls& start_tls(ssl::context& context) { return tls_.emplace(socket_, context); }
  Tls* tls() { return tls_ ? &*tls_ : nullptr; }

  // Ends whatever is under way, at once; later writes fail.
  void close() {
    failed_ = asio::error::operation_aborted;
    if (wire_) return wire_->close();
    error_code ignored;
    socket_.close(ignored);
  }
  // From now on what is written goes nowhere, as if the cable were cut.
  void mute() { muted_ = true; }
  // The peer sees a reset instead of an end.
  void reset() {
    error_code ignored;
    if (!wire_) socket_.set_option(asio::socket_base::linger{true, 0}, ignored);
    close();
  }
  // What is being read ends with an error; writing goes on.
  void cancel_reading() {
    error_code ignored;
    if (wire_)
      wire_->cancel_reading();
    else
      socket_.cancel(ignored);
  }
  bool in_memory() const { return wire_ != nullptr; }

  // From now on small writes are gathered: a write is done when its bytes are in a buffer of kMostGathered, which goes
  // out as soon as the writer has no `more`, or when it is full. Many small messages then cost one system call. A
  // write that fails later fails the next one. The channel is in a shared_ptr; the loop outlives it.
  void gather(Loop& loop) { loop_ = &loop; }
  // Whether further writes follow the next one at once.
  void more(bool follows) { more_ = follows; }
  // Completes when what was gathered has gone out, or cannot.
  template <class Token>
  auto async_flush(Token&& token) {
    return asio::async_initiate<Token, void(error_code, std::size_t)>(
        [this](auto handler) { async_gather(std::move(handler), asio::const_buffer{}, true); }, token);
  }
  // When what goes out now was given to the network; nullopt: nothing does. For who limits how long that may take.
  std::optional<SteadyTime> flushing_since() const { return flushing_ ? std::optional{flush_began_} : std::nullopt; }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, std::size_t)>(
        [this](auto handler, const Buffers& to) {
          if (wire_)
            wire_->async_read_some(get_executor(), to, std::move(handler));
          else if (tls_)
            tls_->async_read_some(to, std::move(handler));
          else
            socket_.async_read_some(to, std::move(handler));
        },
        token, buffers);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, std::size_t)>(
        [this](auto handler, const Buffers& from) {
          if (muted_)
            return asio::post(get_executor(),
                              beast::bind_front_handler(std::move(handler), error_code{}, asio::buffer_size(from)));
          const bool large = loop_ != nullptr && asio::buffer_size(from) >= kLarge && out_.empty() && !flushing_;
          if (loop_ != nullptr && !large)
            async_gather(std::move(handler), from, false);
          else
            write_through(from, std::move(handler));
        },
        token, buffers);
  }

 private:
  static constexpr std::size_t kMostGathered = 64 * 1024;
  static constexpr std::size_t kLarge = 16 * 1024;  // from here on a copy costs more than a system call

  // A write that found the buffer full, or a flush.
  struct Waiting {
    virtual ~Waiting() = default;
    virtual void resume() = 0;
  };
  template <class Handler, class Buffers>
  struct WaitingFor final : Waiting {
    WaitingFor(Channel& c, Handler h, const Buffers& b, bool all)
        : channel{c}, handler{std::move(h)}, buffers{b}, flush{all} {}
    void resume() override { channel.async_gather(std::move(handler), buffers, flush); }
    Channel& channel;
    Handler handler;
    Buffers buffers;
    bool flush;
  };

  // Ends a flush. Destroyed without a call when the loop goes: then nobody else ends what waits, which holds the
  // channel.
  class FlushDone {
   public:
    explicit FlushDone(std::shared_ptr<Channel> channel) : channel_{std::move(channel)} {}
    FlushDone(FlushDone&&) = default;
    ~FlushDone() {
      if (channel_) channel_->waiting_.clear();
    }
    void operator()(error_code ec, std::size_t) {
      const auto channel = std::move(channel_);
      channel->flushed(ec);
    }

   private:
    std::shared_ptr<Channel> channel_;
  };

  template <class Buffers, class Handler>
  void write_through(const Buffers& from, Handler handler) {
    if (wire_)
      wire_->async_write_some(get_executor(), from, std::move(handler));
    else if (tls_)
      tls_->async_write_some(from, std::move(handler));
    else
      socket_.async_write_some(from, std::move(handler));
  }

  template <class Handler, class Buffers>
  void async_gather(Handler handler, const Buffers& from, bool flush) {
    const std::size_t room = kMostGathered - out_.size();
    const bool wait = flush ? flushing_ || !out_.empty() : room == 0;
    if (wait && !failed_) {
      waiting_.push_back(std::make_unique<WaitingFor<Handler, Buffers>>(*this, std::move(handler), from, flush));
      start_flush();
      return;
    }
    std::size_t taken = 0;
    if (!failed_ && !flush) {
      taken = std::min(room, asio::buffer_size(from));
      const std::size_t before = out_.size();
      out_.resize(before + taken);
      asio::buffer_copy(asio::buffer(out_.data() + before, taken), from);
      if (!more_ || out_.size() == kMostGathered) start_flush();
    }
    asio::post(get_executor(), beast::bind_front_handler(std::move(handler), failed_, taken));
  }

  void start_flush() {
    if (flushing_ || out_.empty() || failed_) return;
    flushing_ = true;
    flush_began_ = loop_->now();
    std::swap(out_, sending_);
    if (wire_)
      wire_->async_write_some(get_executor(), asio::buffer(sending_), FlushDone{shared_from_this()});
    else if (tls_)
      asio::async_write(*tls_, asio::buffer(sending_), FlushDone{shared_from_this()});
    else
      asio::async_write(socket_, asio::buffer(sending_), FlushDone{shared_from_this()});
  }

  void flushed(error_code ec) {
    flushing_ = false;
    sending_.clear();
    if (out_.empty() && sending_.capacity() > kLarge)
      std::string{}.swap(sending_);  // a thousand idle clients hold none
    if (!failed_) failed_ = ec;
    if (failed_)
      out_.clear();
    else if (!more_ || out_.size() == kMostGathered)
      start_flush();
    auto waiting = std::exchange(waiting_, {});
    for (const auto& write : waiting) write->resume();
  }

  Socket socket_;
  std::shared_ptr<MemoryWire> wire_;
  std::optional<Tls> tls_;
  bool muted_ = false;
  Loop* loop_ = nullptr;  // set: small writes are gathered
  bool more_ = false, flushing_ = false;
  SteadyTime flush_began_{};
  error_code failed_;
  std::string out_, sending_;
  std::vector<std::unique_ptr<Waiting>> waiting_;
};

// What Beast's WebSocket calls at the end of a close handshake; finish() does the rest.
template <class Handler>
void async_teardown(beast::role_type, Channel& channel, Handler&& handler) {
  asio::post(channel.get_executor(), beast::bind_front_handler(std::forward<Handler>(handler), error_code{}));
}
inline void beast_close_socket(Channel& channel) { channel.close(); }

// Closes so that what was written last arrives: says goodbye in TLS, ends our direction, then reads away what the peer
// still sends. Closing before that would reset the connection under a peer that reads only after it has sent all, such
// as one whose request was refused by its header. It ends with the peer's end, or after kLingerQuiet without a byte,
// kLingerWhole in all, or kLingerBytes.
inline constexpr Nanoseconds kLingerQuiet = std::chrono::seconds{2};
inline constexpr Nanoseconds kLingerWhole = std::chrono::seconds{10};
inline constexpr std::size_t kLingerBytes = 16 << 20;
awaitable<void> finish(Loop& loop, std::shared_ptr<Channel> channel);

// Closes the channel when the time is over, which ends its operation with an error; passed() then tells why. It ends
// with its owner.
class Deadline {
 public:
  Deadline(Loop& loop, Channel& channel) : timer_{loop}, channel_{channel} {}
  void set(Nanoseconds limit) {
    timer_.after(limit, [this] {
      passed_ = true;
      channel_.close();
    });
  }
  // Only ends what is read, so that the other side can be told; closes a second later, in case there was no read.
  void set_for_reading(Nanoseconds limit) {
    timer_.after(limit, [this] {
      passed_ = true;
      channel_.cancel_reading();
      timer_.after(std::chrono::seconds{1}, [this] { channel_.close(); });
    });
  }
  void cancel() { timer_.cancel(); }
  bool passed() const { return passed_; }

 private:
  Timer timer_;
  Channel& channel_;
  bool passed_ = false;
};

}  // namespace truetape::net
