// What the program tells the service manager that has started it (systemd's Type=notify).
#pragma once

#include <string_view>

namespace truetape::app {

// "READY=1", "STOPPING=1". Nothing happens where nobody asked for it in NOTIFY_SOCKET.
void tell_service(std::string_view state);

}  // namespace truetape::app
