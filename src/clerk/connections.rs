//! The connections to the API, and which certificate authorities they trust.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::BuildError;
use super::reply::reason;

/// The settings of all connections of a client.
pub(super) struct ConnectionSettings {
    pub(super) headers: HeaderMap,
    pub(super) tls: ClientConfig,
    pub(super) proxy: Option<reqwest::Proxy>,
    pub(super) connect_timeout: Duration,
    pub(super) max_idle_connections: usize,
}

/// The connections of a client: a reqwest client with its pool, which can be replaced.
///
/// Over HTTP/2, all requests share one connection. If the server still answers PING on it but no
/// requests, every request fails until the server closes it, and reqwest cannot close a single
/// connection. Therefore the whole reqwest client is replaced: new requests use new connections, and
/// the old ones close when their last request ends.
pub(super) struct Connections {
    pub(super) settings: ConnectionSettings,
    current: Mutex<Generation>,
}

/// A reqwest client; clones share its connections.
#[derive(Clone)]
pub(super) struct Generation {
    number: u64,
    pub(super) http: reqwest::Client,
}

impl Connections {
    pub(super) fn new(settings: ConnectionSettings) -> reqwest::Result<Self> {
        let current = Mutex::new(Generation { number: 0, http: settings.build()? });
        Ok(Self { settings, current })
    }

    pub(super) fn current(&self) -> Generation {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes further requests use new connections, unless this generation was replaced before: of
    /// many timeouts at once, only the first has an effect.
    pub(super) fn replace(&self, generation: &Generation) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number != generation.number {
            return;
        }
        // The same settings were built before; if that fails now, the old connections are kept.
        if let Ok(http) = self.settings.build() {
            *current = Generation { number: current.number + 1, http };
        }
    }
}

impl ConnectionSettings {
    fn build(&self) -> reqwest::Result<reqwest::Client> {
        let builder = reqwest::Client::builder()
            .default_headers(self.headers.clone())
            // The key must not reach another server, and a redirect is an outcome.
            .redirect(reqwest::redirect::Policy::none())
            // A retry inside reqwest would not be paced.
            .retry(reqwest::retry::never().max_retries_per_request(0))
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(self.max_idle_connections)
            .tcp_nodelay(true)
            // Detects a dead connection before the requests on it time out.
            .http2_keep_alive_interval(Duration::from_secs(15))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .tls_backend_preconfigured(self.tls.clone())
            // Ignores the environment, which `proxy_for` reads.
            .no_proxy();
        match &self.proxy {
            Some(proxy) => builder.proxy(proxy.clone()).build(),
            None => builder.build(),
        }
    }
}

/// A TLS configuration that trusts the certificate authorities of the system and those in `ca_file`.
/// It has its own cryptography provider; none is installed for the process.
///
/// Without `uses_tls` it trusts none: loading the authorities of the system takes time, and fails on
/// a system without any. `ca_file` is read in any case, so that a mistake in it is reported.
pub(super) fn tls_config(
    ca_file: Option<&Path>,
    uses_tls: bool,
) -> Result<ClientConfig, BuildError> {
    let mut files: Vec<PathBuf> = ca_file.into_iter().map(Path::to_owned).collect();
    // On other systems, the verifier reads this variable itself.
    if uses_tls && cfg!(any(target_vendor = "apple", windows)) {
        files.extend(std::env::var_os("SSL_CERT_FILE").map(PathBuf::from));
    }
    let mut authorities = Vec::new();
    for path in files {
        let pem = std::fs::read(&path)
            .map_err(|reason| BuildError::CaFile { path: path.clone(), reason })?;
        let read = certificates(&pem);
        authorities.extend(read.map_err(|reason| BuildError::NoCertificates { path, reason })?);
    }
    let no_roots = |error: rustls::Error| BuildError::NoRoots(reason(&error));
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(no_roots)?;
    let mut config = if uses_tls {
        let verifier = Verifier::new_with_extra_roots(authorities, provider).map_err(no_roots)?;
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth()
    } else {
        builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificates in a file. Each is checked here, where the name of the file is still known.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut certificates = Vec::new();
    for der in CertificateDer::pem_slice_iter(pem) {
        let der = der.map_err(|error| error.to_string())?;
        RootCertStore::empty().add(der.clone()).map_err(|error| error.to_string())?;
        certificates.push(der);
    }
    if certificates.is_empty() {
        return Err("it contains none".to_owned());
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests;
