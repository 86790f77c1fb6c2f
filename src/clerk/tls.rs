//! TLS: which certificate authorities are trusted.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore};
use rustls_platform_verifier::Verifier;
use url::Url;

use super::BuildError;
use super::reply::reason;

/// A configuration that trusts the system's certificate authorities and those in `ca_file`. Its
/// cryptography is its own: no provider is installed for the process.
///
/// Without `uses_tls` nothing is trusted: loading the system's authorities takes time, and fails
/// where there are none. A `ca_file` is read all the same, so that a mistake in it is found.
pub(super) fn config(ca_file: Option<&Path>, uses_tls: bool) -> Result<ClientConfig, BuildError> {
    let mut files: Vec<PathBuf> = ca_file.into_iter().map(Path::to_owned).collect();
    // On other systems the verifier reads this variable itself.
    if uses_tls && cfg!(any(target_vendor = "apple", windows)) {
        files.extend(std::env::var_os("SSL_CERT_FILE").map(PathBuf::from));
    }
    let mut authorities = Vec::new();
    for path in &files {
        authorities.extend(read(path)?);
    }
    let no_roots = |why: rustls::Error| BuildError::NoRoots(reason(&why));
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

/// Connects to the host of an `https:` URL, and gives the version that both sides chose.
pub(super) fn version(config: ClientConfig, url: &str, timeout: Duration) -> io::Result<String> {
    let url = Url::parse(url).map_err(io::Error::other)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = connect(&url.socket_addrs(|| None)?, timeout)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    connection.send_close_notify();
    // What is known does not depend on a polite end.
    let _ = connection.complete_io(&mut stream);
    Ok(match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
        other => format!("{other:?}"),
    })
}

fn connect(addresses: &[SocketAddr], timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match TcpStream::connect_timeout(address, timeout) {
            Ok(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let pem = std::fs::read(path)
        .map_err(|reason| BuildError::CaFile { path: path.to_owned(), reason })?;
    certificates(&pem)
        .map_err(|reason| BuildError::NoCertificates { path: path.to_owned(), reason })
}

/// Each certificate is tried here, where it is known which file it comes from.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut certificates = Vec::new();
    for der in CertificateDer::pem_slice_iter(pem) {
        let der = der.map_err(|why| why.to_string())?;
        RootCertStore::empty().add(der.clone()).map_err(|why| why.to_string())?;
        certificates.push(der);
    }
    if certificates.is_empty() {
        return Err("it contains none".to_owned());
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests;
