#include "app/service.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace truetape::app {

void tell_service(std::string_view state) {
  const char* const place = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (place == nullptr || *place == '\0' || std::strlen(place) >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  const std::size_t size = std::strlen(place);
  std::memcpy(address.sun_path, place, size);
  if (*place == '@') address.sun_path[0] = '\0';  // of the abstract kind
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  // Unheard: the manager's time-out tells it, and the lines say how this went.
  [[maybe_unused]] const auto sent =
      ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
               static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size));
  ::close(fd);
}

}  // namespace truetape::app
