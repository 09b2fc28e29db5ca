#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>

namespace truetape::net {
namespace {

std::unique_ptr<ssl::context> basic_context(ssl::context::method method) {
  auto context = std::make_unique<ssl::context>(method);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  return context;
}

auto unusable(const std::string& what, const std::string& file, const error_code& ec) {
  return failure(Fault::io, Retry::never,
                 "the " + what + " '" + file + "' cannot be used (" + ec.message() + "); give a readable PEM file");
}

}  // namespace

Result<std::unique_ptr<ssl::context>> client_tls(const std::string& ca_file) {
  auto context = basic_context(ssl::context::tls_client);
  error_code ec;
  if (ca_file.empty())
    context->set_default_verify_paths(ec);
  else
    context->load_verify_file(ca_file, ec);
  if (ec) return unusable("file of trusted authorities", ca_file.empty() ? "(the system's)" : ca_file, ec);
  context->set_verify_mode(ssl::verify_peer);
  return context;
}

Result<std::unique_ptr<ssl::context>> server_tls(const std::string& certificate_file, const std::string& key_file) {
  auto context = basic_context(ssl::context::tls_server);
  error_code ec;
  context->use_certificate_chain_file(certificate_file, ec);
  if (ec) return unusable("certificate", certificate_file, ec);
  context->use_private_key_file(key_file, ssl::context::pem, ec);
  const auto code = static_cast<unsigned long>(ec.value());
  const bool mismatch = ec && ERR_GET_LIB(code) == ERR_LIB_X509 && ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH;
  if (ec && !mismatch) return unusable("private key", key_file, ec);
  if (mismatch || SSL_CTX_check_private_key(context->native_handle()) != 1)
    return failure(Fault::mismatch, Retry::never,
                   "the private key '" + key_file + "' does not belong to the certificate '" + certificate_file +
                       "'; give the key that the certificate was made with");
  return context;
}

error_code expect_host(Channel::Tls& stream, const std::string& host) {
  SSL* handle = stream.native_handle();
  error_code not_an_address;
  boost::asio::ip::make_address(host, not_an_address);
  int done = 0;
  if (not_an_address) {
    SSL_set_hostflags(handle, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    done = static_cast<int>(SSL_set_tlsext_host_name(handle, host.c_str()) == 1 &&
                            SSL_set1_host(handle, host.c_str()) == 1);
  } else {
    done = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(handle), host.c_str());
  }
  if (done == 1) return {};
  return error_code{static_cast<int>(ERR_get_error()), asio::error::get_ssl_category()};
}

bool certificate_refused(Channel::Tls& stream) { return SSL_get_verify_result(stream.native_handle()) != X509_V_OK; }

std::string handshake_failure(Channel::Tls& stream, error_code ec) {
  const long result = SSL_get_verify_result(stream.native_handle());
  return result == X509_V_OK ? ec.message() : X509_verify_cert_error_string(result);
}

}  // namespace truetape::net
