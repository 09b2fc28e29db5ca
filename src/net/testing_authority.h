// Certificates for tests, made when they run. Link OpenSSL::Crypto.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

namespace truetape::net {

// A folder that goes with its owner.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "truetape-net-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error{"no temporary folder"};
    path_ = pattern;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// An authority of its own, and what it issues, as PEM files in the folder.
class TestAuthority {
 public:
  explicit TestAuthority(const TempFolder& folder, const std::string& name = "ca") : folder_{folder}, key_{make_key()} {
    certificate_ = make(key_.get(), name, "", -3600, 3600, nullptr, key_.get());
    ca_file_ = folder_ / (name + ".pem");
    write_certificate(ca_file_, certificate_.get());
  }
  const std::string& ca_file() const { return ca_file_; }

  struct Files {
    std::string certificate, key;
  };
  // For names as X.509 spells them: "DNS:localhost,IP:127.0.0.1"; valid between these seconds from now.
  Files issue(const std::string& name, const std::string& alternative_names, long from = -3600, long until = 3600) {
    const Key key = make_key();
    const Certificate certificate =
        make(key.get(), name, alternative_names, from, until, certificate_.get(), key_.get());
    Files files{.certificate = folder_ / (name + ".pem"), .key = folder_ / (name + ".key")};
    write_certificate(files.certificate, certificate.get());
    const Bio out{BIO_new_file(files.key.c_str(), "w"), BIO_free_all};
    check(PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr));
    return files;
  }

 private:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
  using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

  static void check(int done) {
    if (done <= 0) throw std::runtime_error{"OpenSSL could not make a certificate"};
  }
  static Key make_key() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }
  static void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    check(extension != nullptr ? X509_add_ext(certificate, extension, -1) : 0);
    X509_EXTENSION_free(extension);
  }
  // Signed by itself where there is no issuer.
  static Certificate make(EVP_PKEY* key, const std::string& name, const std::string& alternative_names, long from,
                          long until, X509* issuer, EVP_PKEY* signer) {
    static long serial = 0;
    Certificate made{X509_new(), X509_free};
    X509* certificate = made.get();
    check(X509_set_version(certificate, 2));
    check(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial));
    X509_gmtime_adj(X509_getm_notBefore(certificate), from);
    X509_gmtime_adj(X509_getm_notAfter(certificate), until);
    check(X509_set_pubkey(certificate, key));
    check(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                     reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0));
    check(X509_set_issuer_name(certificate, X509_get_subject_name(issuer != nullptr ? issuer : certificate)));
    X509* parent = issuer != nullptr ? issuer : certificate;
    if (issuer == nullptr) extend(certificate, parent, NID_basic_constraints, "critical,CA:TRUE");
    if (!alternative_names.empty()) extend(certificate, parent, NID_subject_alt_name, alternative_names);
    check(X509_sign(certificate, signer, EVP_sha256()));
    return made;
  }
  static void write_certificate(const std::string& path, X509* certificate) {
    const Bio out{BIO_new_file(path.c_str(), "w"), BIO_free_all};
    check(PEM_write_bio_X509(out.get(), certificate));
  }

  const TempFolder& folder_;
  Key key_;
  Certificate certificate_{nullptr, X509_free};
  std::string ca_file_;
};

}  // namespace truetape::net
