//! What a client needs to know, and why none could be made of it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{ApiAddress, SecretKey};

/// What a [`Client`](super::Client) needs to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Where the API is.
    pub address: ApiAddress,
    /// The key that is sent with each request.
    pub key: SecretKey,
    /// How long one attempt may take, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// How long connecting may take, the TLS handshake included.
    pub connect_timeout: Duration,
    /// Certificates (PEM) of authorities that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The value of `Clerk-API-Version`.
    pub api_version: String,
    /// The largest body of an answer about one user, in bytes.
    pub max_answer: usize,
    /// The largest body of a list, in bytes.
    pub max_list: usize,
    /// How many idle connections are kept for the next requests.
    pub n_idle_connections: usize,
}

impl ClientConfig {
    /// Everything else as the program has it by default.
    pub fn new(address: ApiAddress, key: SecretKey) -> Self {
        Self {
            address,
            key,
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            ca_file: None,
            api_version: "2025-11-10".to_owned(),
            max_answer: 4 << 20,
            max_list: 32 << 20,
            n_idle_connections: 64,
        }
    }
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of certificates can't be read.
    #[error("the certificates in {} can't be read: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// The file holds something else than certificates, or broken ones.
    #[error(
        "{} holds no usable certificates ({reason}); they are expected as PEM, each between \
         BEGIN CERTIFICATE and END CERTIFICATE",
        path.display()
    )]
    NoCertificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system has no certificates of authorities, or they can't be used.
    #[error(
        "nobody could be trusted ({0}); install the system's certificates (ca-certificates), or \
         name a file of them with --ca-file or SSL_CERT_FILE"
    )]
    NoTrust(String),
    /// What stands in the configuration can't be sent as a header.
    #[error("{0} can't be sent in a header")]
    Header(&'static str),
}
