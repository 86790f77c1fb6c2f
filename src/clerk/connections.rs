//! The open connections, which all requests share until one of them turns out to be sick.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;

/// What connections are made with.
pub(super) struct ConnectionSettings {
    pub(super) headers: HeaderMap,
    /// Shared by all generations, and so are its TLS sessions.
    pub(super) tls: rustls::ClientConfig,
    pub(super) proxy: Option<reqwest::Proxy>,
    pub(super) connect_timeout: Duration,
    pub(super) max_idle_connections: usize,
}

/// The open connections, as generations of a reqwest client with its pool.
///
/// Over HTTP/2 all requests share one connection. One that still answers PING, but no request, would
/// fail them all until the server closes it, and reqwest cannot close a single connection. So the
/// whole generation is retired: new requests go over new connections, and the old ones live until
/// their last request ends.
pub(super) struct Connections {
    settings: ConnectionSettings,
    current: Mutex<Generation>,
}

/// One generation; clones share its connections.
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

    /// How connections are encrypted; `None` where they are made through a proxy.
    #[cfg(feature = "cli")]
    pub(super) fn direct_tls(&self) -> Option<&rustls::ClientConfig> {
        Some(&self.settings.tls).filter(|_| self.settings.proxy.is_none())
    }

    pub(super) fn current(&self) -> Generation {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes further requests use new connections, unless this generation is retired already: of
    /// many timeouts at once only the first has an effect.
    pub(super) fn retire(&self, generation: &Generation) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number != generation.number {
            return;
        }
        // What was built once can be built again; if not, the old connections have to do.
        if let Ok(http) = self.settings.build() {
            *current = Generation { number: current.number + 1, http };
        }
    }
}

impl ConnectionSettings {
    fn build(&self) -> reqwest::Result<reqwest::Client> {
        let builder = reqwest::Client::builder()
            .default_headers(self.headers.clone())
            // The key is sent nowhere else, and a redirect is an outcome.
            .redirect(reqwest::redirect::Policy::none())
            // One attempt is one request, or the pace would not be kept.
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(self.max_idle_connections)
            .tcp_nodelay(true)
            // A connection that died silently would take all its requests to the timeout.
            .http2_keep_alive_interval(Duration::from_secs(15))
            .http2_keep_alive_timeout(Duration::from_secs(10))
            .tls_backend_preconfigured(self.tls.clone())
            // reqwest's own reading of the environment.
            .no_proxy();
        match &self.proxy {
            Some(proxy) => builder.proxy(proxy.clone()).build(),
            None => builder.build(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clerk::tls;

    #[test]
    fn many_timeouts_of_one_generation_retire_it_once() {
        let settings = ConnectionSettings {
            headers: HeaderMap::new(),
            tls: tls::config(None, false).unwrap(),
            proxy: None,
            connect_timeout: Duration::from_secs(1),
            max_idle_connections: 1,
        };
        let connections = Connections::new(settings).unwrap();
        let first = connections.current();
        (0..3).for_each(|_| connections.retire(&first));
        let second = connections.current();
        assert_eq!((first.number, second.number), (0, 1));
        connections.retire(&second);
        connections.retire(&first);
        assert_eq!(connections.current().number, 2);
    }
}
