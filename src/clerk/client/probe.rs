//! The requests of `check`, with the time of the server and the version of TLS.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::Method;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion};
use url::Url;

use super::{Client, Inner};
use crate::clerk::reply::Reply;
use crate::clerk::{Fault, PageRequest, UserFilter};

/// A reply, and the time of the server if the response has a `Date`.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) reply: Reply,
    pub(crate) date: Option<SystemTime>,
}

/// The version of TLS with which the API is reached.
#[derive(Clone, Debug)]
pub(crate) enum TlsVersion {
    /// Such as `TLS 1.3`.
    Known(String),
    /// The client uses a proxy or does not use TLS.
    Unknown,
    /// The connection failed.
    Failed(Fault),
}

impl Client {
    /// One attempt to count users, with the time of the server.
    pub(crate) async fn probe_count(&self, filter: &UserFilter) -> Probe {
        let Inner { settings, urls, .. } = &*self.inner;
        let (reply, date) = self.send(Method::GET, urls.count(filter), settings.max_answer).await;
        Probe { reply, date }
    }

    /// One attempt to get a page, with the time of the server.
    pub(crate) async fn probe_page(&self, page: &PageRequest) -> Probe {
        let Inner { settings, urls, .. } = &*self.inner;
        let (reply, date) = self.send(Method::GET, urls.page(page), settings.max_list).await;
        Probe { reply, date }
    }

    /// Connects and disconnects to determine the version of TLS. Sends no request. Blocks.
    pub(crate) fn tls_version(&self) -> TlsVersion {
        let Inner { settings, connections, .. } = &*self.inner;
        let tls = &connections.settings.tls;
        if connections.settings.proxy.is_some() || !settings.address.is_https() {
            return TlsVersion::Unknown;
        }
        match tls_version(tls.clone(), settings.address.as_str(), settings.connect_timeout) {
            Ok(version) => TlsVersion::Known(version),
            Err(error) => {
                let fault = Fault::of_connecting(&error, settings.connect_timeout);
                TlsVersion::Failed(fault.without_key(&settings.key))
            }
        }
    }
}

/// Connects to the host of an `https:` URL and returns the negotiated version.
fn tls_version(config: ClientConfig, url: &str, timeout: Duration) -> io::Result<String> {
    let url = Url::parse(url).map_err(io::Error::other)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = connect(&url.socket_addrs(|| None)?, timeout)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    connection.send_close_notify();
    // An error here does not change the version.
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
