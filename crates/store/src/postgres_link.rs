//! How a PostgreSQL server is reached: what a connection string means, and its TLS.
//!
//! The store's own server and the databases behind SQL connectors are reached
//! alike, so that there is one answer to who may listen in.
//!
//! Invariants:
//! - No server that is elsewhere is spoken to without TLS unless its connection
//!   string says `sslmode=disable`. Certificates and names are always checked.
//! - The connection string is in no error.

use std::net::IpAddr;
use std::sync::Arc;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Reads a connection string: a URL, or `key=value` pairs.
///
/// # Errors
///
/// Says what is wrong with it, without repeating any of it.
pub fn parse(url: &str) -> Result<Config, String> {
    // rustls always verifies the server's certificate and name, whatever the word for it.
    let url =
        url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
    // The parser's own error may quote the string.
    let mut config: Config = url.parse().map_err(|_| "it is not a connection string of PostgreSQL")?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err("it names no host".into());
    }
    // `prefer`, the default, would let whoever sits in between take the encryption away.
    if config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(if is_on_this_machine(&config) { SslMode::Disable } else { SslMode::Require });
    }
    Ok(config)
}

fn is_on_this_machine(config: &Config) -> bool {
    let is_local = |host: &Host| match host {
        Host::Tcp(name) if config.get_hostaddrs().is_empty() => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        Host::Tcp(_) => true, // the addresses count instead
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    config.get_hosts().iter().all(is_local) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

/// TLS as `config` asks for, with the certificates that the machine trusts, or
/// those of `SSL_CERT_FILE`. For a server without TLS it is there and not used.
///
/// # Errors
///
/// Says so if no server's certificate could be checked.
pub fn tls(config: &Config) -> Result<MakeRustlsConnect, String> {
    let mut roots = rustls::RootCertStore::empty();
    if config.get_ssl_mode() != SslMode::Disable {
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err("this machine trusts no certificates, so the server's cannot be checked: \
                        install `ca-certificates` or set SSL_CERT_FILE"
                .into());
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    if config.get_ssl_negotiation() == SslNegotiation::Direct {
        tls.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(tls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_connection_string_is_said_without_repeating_it() {
        for url in
            ["hunter2", "postgres://ada@db/metrics?hunter2=1", "postgres://ada:hunter2@db:port/metrics"]
        {
            let error = parse(url).map(|_| ()).expect_err("a bad connection string");
            assert!(error.contains("not a connection string") && !error.contains("hunter2"), "{error}");
        }
        assert_eq!(parse("postgres:///metrics?user=ada").map(|_| ()), Err("it names no host".into()));
    }

    #[test]
    fn modes_that_verify_the_certificate_require_tls() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let config =
                parse(&format!("postgres://ada@db/metrics?sslmode={mode}")).expect("a connection string");
            assert_eq!(config.get_ssl_mode(), SslMode::Require);
        }
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_tls_unless_told() {
        let mode = |url: &str| parse(url).expect("a connection string").get_ssl_mode();
        for url in [
            "postgres://ada@127.0.0.1/metrics",
            "postgres://ada@[::1]/metrics",
            "postgres://ada@localhost/metrics?sslmode=prefer",
            "postgres://ada@%2Fvar%2Frun%2Fpostgresql/metrics",
            "postgres://ada@db.example.test/metrics?sslmode=disable",
        ] {
            assert_eq!(mode(url), SslMode::Disable, "{url}");
        }
        for url in [
            "postgres://ada@127.0.0.1/metrics?sslmode=require",
            "postgres://ada@db.example.test/metrics",
            "postgres://ada@db.example.test/metrics?sslmode=prefer",
            "postgres://ada@127.0.0.1,db.example.test/metrics",
            "postgres://ada@localhost/metrics?hostaddr=192.0.2.7",
        ] {
            assert_eq!(mode(url), SslMode::Require, "{url}");
        }
    }
}
