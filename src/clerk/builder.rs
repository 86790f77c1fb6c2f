//! Builds a client.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};

use super::connections::{ConnectionSettings, Connections};
use super::reply::reason;
use super::{AddressError, ApiAddress, Client, KeyError, ProxyError, SecretKey, proxy, tls};

/// The version of the API that the client is written for.
const API_VERSION: &str = "2025-11-10";

/// Builds a [`Client`]; see [`Client::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    pub(super) key: SecretKey,
    pub(super) address: ApiAddress,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    /// The largest body of a response about one user, in bytes.
    pub(super) max_answer: usize,
    /// The largest body of a list, in bytes.
    pub(super) max_list: usize,
    ca_file: Option<PathBuf>,
    pub(super) api_version: String,
    user_agent: String,
    max_idle_connections: usize,
}

impl ClientBuilder {
    pub(super) fn new(key: SecretKey) -> Self {
        Self {
            key,
            address: ApiAddress::default(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            max_answer: 4 << 20,
            max_list: 32 << 20,
            ca_file: None,
            api_version: API_VERSION.to_owned(),
            user_agent: concat!("bulk-unlock/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_idle_connections: 64,
        }
    }

    pub(super) fn from_env(
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, BuildError> {
        // A value that is not text has characters that neither allows.
        let text = |name: &str| variable(name).unwrap_or_default().to_string_lossy().into_owned();
        let builder = Self::new(SecretKey::parse(&text("CLERK_SECRET_KEY"))?);
        let url = text("CLERK_API_URL");
        if url.is_empty() {
            return Ok(builder);
        }
        Ok(builder.address(ApiAddress::parse(&url, false)?))
    }

    /// The address of the API (default: `https://api.clerk.com`).
    pub fn address(mut self, address: ApiAddress) -> Self {
        self.address = address;
        self
    }

    /// The timeout of one request, from connecting to the last byte of the response (30 s).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The timeout of connecting, the TLS handshake included (10 s).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// A file of certificate authorities (PEM) to trust in addition to the system's.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// The value of the `Clerk-API-Version` header (`2025-11-10`).
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = version.into();
        self
    }

    /// The value of the `User-Agent` header (`bulk-unlock/VERSION`).
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The maximum number of idle connections that are kept for later requests (64).
    pub fn max_idle_connections(mut self, n: usize) -> Self {
        self.max_idle_connections = n;
        self
    }

    /// Builds the client. Nothing is sent yet.
    ///
    /// The proxy variables of the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, …) and
    /// `SSL_CERT_FILE` are read now.
    ///
    /// # Errors
    ///
    /// When certificates cannot be read, a proxy variable does not name a usable proxy, or a value
    /// cannot be sent in a header.
    pub fn build(self) -> Result<Client, BuildError> {
        let proxy = proxy::for_address(&self.address, |name| std::env::var_os(name))?;
        let uses_tls =
            self.address.is_https() || proxy.as_ref().is_some_and(proxy::Proxy::is_https);
        let settings = ConnectionSettings {
            headers: self.headers()?,
            tls: tls::config(self.ca_file.as_deref(), uses_tls)?,
            proxy: proxy.map(proxy::Proxy::into_inner),
            connect_timeout: self.connect_timeout,
            max_idle_connections: self.max_idle_connections,
        };
        let connections =
            Connections::new(settings).map_err(|why| BuildError::Http(reason(&why)))?;
        Ok(Client::new(self, connections))
    }

    fn headers(&self) -> Result<HeaderMap, BuildError> {
        let value =
            |text: &str, name| HeaderValue::from_str(text).map_err(|_| BuildError::Header { name });
        let key = self.key.to_header().map_err(|_| BuildError::Header { name: "Authorization" })?;
        Ok(HeaderMap::from_iter([
            (AUTHORIZATION, key),
            (
                reqwest::header::HeaderName::from_static("clerk-api-version"),
                value(&self.api_version, "Clerk-API-Version")?,
            ),
            (ACCEPT, HeaderValue::from_static("application/json")),
            (USER_AGENT, value(&self.user_agent, "User-Agent")?),
        ]))
    }
}

/// Why a client cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// `CLERK_SECRET_KEY` is not set, or not a secret key.
    #[error("CLERK_SECRET_KEY: {0}")]
    Key(#[from] KeyError),
    /// `CLERK_API_URL` is not an address.
    #[error("CLERK_API_URL: {0}")]
    Address(#[from] AddressError),
    /// The file of certificates cannot be read.
    #[error("cannot read the certificates in {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// The file does not hold certificates, or a broken one.
    #[error(
        "{} does not hold usable certificates ({reason}); expected PEM, each certificate between \
         BEGIN CERTIFICATE and END CERTIFICATE",
        path.display()
    )]
    NoCertificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system has no certificate authorities, or they cannot be loaded.
    #[error(
        "no certificate authority to trust ({0}); install the system's certificates \
         (ca-certificates), or name a file of them with --ca-file or SSL_CERT_FILE"
    )]
    NoRoots(String),
    /// A proxy variable of the environment does not name a usable proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A value that cannot be sent in a header.
    #[error("the value of the {name} header contains a character that cannot be sent")]
    Header {
        /// The header.
        name: &'static str,
    },
    /// The HTTP client cannot be built.
    #[error("cannot build the HTTP client: {0}")]
    Http(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_env(variables: &[(&str, &str)]) -> Result<ClientBuilder, String> {
        let find = |name: &str| {
            variables.iter().find(|(it, _)| *it == name).map(|(_, value)| OsString::from(value))
        };
        ClientBuilder::from_env(find).map_err(|why| why.to_string())
    }

    const KEY: (&str, &str) = ("CLERK_SECRET_KEY", "sk_test_0123456789a1b2\n");

    #[test]
    fn the_environment_names_the_key_and_the_address() {
        let builder = from_env(&[KEY, ("CLERK_API_URL", "http://localhost:8787/v1")]).unwrap();
        assert_eq!(builder.key.fingerprint(), "sk_test_…a1b2");
        assert_eq!(builder.address.as_str(), "http://localhost:8787");
        let builder = from_env(&[KEY, ("CLERK_API_URL", "")]).unwrap();
        assert_eq!(builder.address, ApiAddress::default());
        assert_eq!(from_env(&[]).unwrap_err(), "CLERK_SECRET_KEY: the secret key is empty");
        let why = from_env(&[KEY, ("CLERK_API_URL", "clerk.test")]).unwrap_err();
        assert!(why.starts_with("CLERK_API_URL: the API address is not"), "{why}");
    }

    #[test]
    fn a_value_that_cannot_be_sent_in_a_header_is_refused() {
        let builder = || from_env(&[KEY]).unwrap();
        let why = builder().api_version("2025\n").build().unwrap_err().to_string();
        assert!(why.contains("Clerk-API-Version"), "{why}");
        let why = builder().user_agent("\u{7f}").build().unwrap_err().to_string();
        assert!(why.contains("User-Agent"), "{why}");
    }
}
