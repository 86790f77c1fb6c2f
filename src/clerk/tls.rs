//! TLS: which certificate authorities are trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

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
