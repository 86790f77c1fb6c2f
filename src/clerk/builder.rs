//! Builds a client.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use super::connections::{ConnectionSettings, Connections, tls_config};
use super::proxy::proxy_for;
use super::reply::reason;
use super::{AddressError, ApiAddress, Client, KeyError, ProxyError, SecretKey};

/// The version of the API that this client supports.
const API_VERSION: &str = "2025-11-10";

/// Builds a [`Client`]; see [`Client::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    pub(super) key: SecretKey,
    pub(super) address: ApiAddress,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    /// The maximum size of the body of a response about one user, in bytes.
    pub(super) max_answer: usize,
    /// The maximum size of the body of a list, in bytes.
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
        // In a value that is not UTF-8, the replacement characters are invalid in both.
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

    /// The timeout of one request, from the connection to the last byte of the response (default:
    /// 30 s).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The timeout of a connection attempt, including the TLS handshake (default: 10 s).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// A PEM file of certificate authorities to trust in addition to those of the system.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// The value of the `Clerk-API-Version` header (default: `2025-11-10`).
    pub fn api_version(mut self, version: impl Into<String>) -> Self {
        self.api_version = version.into();
        self
    }

    /// The value of the `User-Agent` header (default: `bulk-unlock/VERSION`).
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The maximum number of idle connections to keep for later requests (default: 64).
    pub fn max_idle_connections(mut self, n: usize) -> Self {
        self.max_idle_connections = n;
        self
    }

    /// Builds the client. Sends nothing.
    ///
    /// Reads the proxy variables of the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, …) and
    /// `SSL_CERT_FILE`.
    ///
    /// # Errors
    ///
    /// When certificates cannot be read, a proxy variable is not the URL of a supported proxy, or a
    /// value cannot be sent in a header.
    pub fn build(self) -> Result<Client, BuildError> {
        let proxy = proxy_for(&self.address, |name| std::env::var_os(name))?;
        let uses_tls = self.address.is_https() || proxy.as_ref().is_some_and(|it| it.is_https);
        let settings = ConnectionSettings {
            headers: self.headers()?,
            tls: tls_config(self.ca_file.as_deref(), uses_tls)?,
            proxy: proxy.map(|it| it.inner),
            connect_timeout: self.connect_timeout,
            max_idle_connections: self.max_idle_connections,
        };
        let connections =
            Connections::new(settings).map_err(|error| BuildError::Http(reason(&error)))?;
        Ok(Client::new(self, connections))
    }

    fn headers(&self) -> Result<HeaderMap, BuildError> {
        let value =
            |text: &str, name| HeaderValue::from_str(text).map_err(|_| BuildError::Header { name });
        let key = self.key.to_header().map_err(|_| BuildError::Header { name: "Authorization" })?;
        let version = value(&self.api_version, "Clerk-API-Version")?;
        Ok(HeaderMap::from_iter([
            (AUTHORIZATION, key),
            (HeaderName::from_static("clerk-api-version"), version),
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
    /// The `ca_file` cannot be read.
    #[error("cannot read the certificates in {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// The `ca_file` has no certificate, or one that is invalid.
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
    /// The certificate authorities of the system are missing or cannot be loaded.
    #[error(
        "no certificate authority to trust ({0}); install the system's certificates \
         (ca-certificates), or name a file of them with --ca-file or SSL_CERT_FILE"
    )]
    NoRoots(String),
    /// A proxy variable of the environment is not the URL of a supported proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A value cannot be sent in a header.
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
        ClientBuilder::from_env(find).map_err(|error| error.to_string())
    }

    const KEY: (&str, &str) = ("CLERK_SECRET_KEY", "sk_test_0123456789a1b2\n");

    #[test]
    fn key_and_address_are_read_from_the_environment() {
        let builder = from_env(&[KEY, ("CLERK_API_URL", "http://localhost:8787/v1")]).unwrap();
        assert_eq!(builder.key.fingerprint(), "sk_test_…a1b2");
        assert_eq!(builder.address.as_str(), "http://localhost:8787");
        let builder = from_env(&[KEY, ("CLERK_API_URL", "")]).unwrap();
        assert_eq!(builder.address, ApiAddress::default());
        assert_eq!(from_env(&[]).unwrap_err(), "CLERK_SECRET_KEY: the secret key is empty");
        let error = from_env(&[KEY, ("CLERK_API_URL", "clerk.test")]).unwrap_err();
        assert!(error.starts_with("CLERK_API_URL: the API address is not"), "{error}");
    }

    #[test]
    fn a_value_that_cannot_be_sent_in_a_header_is_an_error() {
        let builder = || from_env(&[KEY]).unwrap();
        let error = builder().api_version("2025\n").build().unwrap_err().to_string();
        assert!(error.contains("Clerk-API-Version"), "{error}");
        let error = builder().user_agent("\u{7f}").build().unwrap_err().to_string();
        assert!(error.contains("User-Agent"), "{error}");
    }
}
