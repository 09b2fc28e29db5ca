// TLS contexts, and what OpenSSL says as a sentence. For files of src/net.
#pragma once

#include <memory>
#include <string>

#include "core/result.h"
#include "net/channel.h"

namespace truetape::net {

Result<std::unique_ptr<ssl::context>> client_tls(const std::string& ca_file);
Result<std::unique_ptr<ssl::context>> server_tls(const std::string& certificate_file, const std::string& key_file);
// Prepares a client's stream for the host: SNI and the name or address that the certificate must have.
error_code expect_host(Channel::Tls& stream, const std::string& host);
// "certificate has expired"; the protocol's error where the certificate is not the cause.
std::string handshake_failure(Channel::Tls& stream, error_code ec);
bool certificate_refused(Channel::Tls& stream);

}  // namespace truetape::net
