//! What a preflight asks: requests whose responses say the server's time, and the version of TLS.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::{Method, Response};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion};
use url::Url;

use super::{Client, Inner, date_of};
use crate::clerk::reply::Reply;
use crate::clerk::{Fault, PageRequest, UserFilter};

/// A reply, and the server's time where it says so.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) reply: Reply,
    pub(crate) date: Option<SystemTime>,
}

/// The version of TLS over which the API is reached.
#[derive(Clone, Debug)]
pub(crate) enum TlsVersion {
    /// Such as `TLS 1.3`.
    Known(String),
    /// A proxy is in between, or there is no TLS.
    Unknown,
    /// No connection can be made.
    Failed(Fault),
}

impl Client {
    /// One attempt to count users, with the server's time.
    pub(crate) async fn probe_count(&self, filter: &UserFilter) -> Probe {
        self.probe(self.inner.urls.count(filter), self.inner.max_answer).await
    }

    /// One attempt to get a page, with the server's time.
    pub(crate) async fn probe_page(&self, page: &PageRequest) -> Probe {
        self.probe(self.inner.urls.page(page), self.inner.max_list).await
    }

    /// Connects over TLS and disconnects, to find out the version. Sends no request. Blocks.
    pub(crate) fn tls_version(&self) -> TlsVersion {
        let Inner { connections, address, connect_timeout, .. } = &*self.inner;
        let Some(tls) = connections.direct_tls().filter(|_| address.is_https()) else {
            return TlsVersion::Unknown;
        };
        match version(tls.clone(), address.as_str(), *connect_timeout) {
            Ok(version) => TlsVersion::Known(version),
            Err(error) => {
                let fault = Fault::of_connecting(&error, *connect_timeout);
                TlsVersion::Failed(fault.without_key(&self.inner.key))
            }
        }
    }

    async fn probe(&self, url: String, max_body: usize) -> Probe {
        let mut date = None;
        let on_head = |response: &Response| date = date_of(response);
        let generation = self.inner.connections.current();
        let reply = self.inner.send(&generation, Method::GET, url, max_body, on_head).await;
        Probe { reply, date }
    }
}

/// Connects to the host of an `https:` URL, and gives the version that both sides chose.
fn version(config: ClientConfig, url: &str, timeout: Duration) -> io::Result<String> {
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
