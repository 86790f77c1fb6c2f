//! Whom the client trusts.

use std::path::{Path, PathBuf};

use reqwest::{Certificate, ClientBuilder};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{ClientConfig, ClientError};

/// Makes *ring* do the cryptography of this process, unless somebody chose before us.
pub(super) fn install_provider() {
    // The error says that there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Trusts the system's certificates and those of `ca_file`.
pub(super) fn trust(
    builder: ClientBuilder,
    config: &ClientConfig,
) -> Result<ClientBuilder, ClientError> {
    let mut files: Vec<PathBuf> = config.ca_file.iter().cloned().collect();
    if !config.address.is_https() {
        // Certificates are checked all the same, but loading the system's takes time, and fails
        // where there are none, for nothing.
        read_all(&files)?;
        return Ok(builder.tls_certs_only([]));
    }
    // Elsewhere the system's verifier reads this variable itself.
    if cfg!(any(target_vendor = "apple", windows)) {
        files.extend(std::env::var_os("SSL_CERT_FILE").map(PathBuf::from));
    }
    let certificates = read_all(&files)?;
    Ok(builder.tls_certs_merge(certificates))
}

fn read_all(files: &[PathBuf]) -> Result<Vec<Certificate>, ClientError> {
    let mut all = Vec::new();
    for path in files {
        all.extend(read(path)?);
    }
    Ok(all)
}

fn read(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let pem = std::fs::read(path)
        .map_err(|reason| ClientError::CaFile { path: path.to_owned(), reason })?;
    certificates(&pem)
        .map_err(|reason| ClientError::NoCertificates { path: path.to_owned(), reason })
}

/// Each is tried here: later on nobody could say which file it came from.
fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    let mut certificates = Vec::new();
    for der in CertificateDer::pem_slice_iter(pem) {
        let der = der.map_err(|why| why.to_string())?;
        RootCertStore::empty().add(der.clone()).map_err(|why| why.to_string())?;
        certificates.push(Certificate::from_der(&der).map_err(|why| why.to_string())?);
    }
    if certificates.is_empty() {
        return Err("there is none in it".to_owned());
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests;
