//! The proxy that the environment names.
//!
//! reqwest reads the same variables, but goes around a proxy whose setting it does not understand,
//! without a word. Here such a setting is an error.

use std::ffi::OsString;

use reqwest::NoProxy;
use url::Url;

use super::ApiAddress;

/// The proxy for the requests to one address.
#[derive(Debug)]
pub(super) struct Proxy {
    inner: reqwest::Proxy,
    is_https: bool,
}

impl Proxy {
    /// Whether the connection to the proxy itself is encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }

    pub(super) fn into_inner(self) -> reqwest::Proxy {
        self.inner
    }
}

/// Why a proxy variable of the environment does not name a usable proxy. Its value is not repeated:
/// it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The scheme is not supported.
    #[error(
        "{variable} names a proxy with an unsupported scheme; expected http, https, socks4, \
         socks4a, socks5 or socks5h"
    )]
    Scheme {
        /// The variable.
        variable: &'static str,
    },
    /// The value is not a URL with a host.
    #[error(
        "{variable} is not the URL of a proxy; expected, for example, http://proxy.example:3128"
    )]
    Url {
        /// The variable.
        variable: &'static str,
    },
}

/// The proxy that the environment names for this address, if any.
///
/// `HTTPS_PROXY` or `HTTP_PROXY`, else `ALL_PROXY`, each also in lower case; `NO_PROXY` names the
/// exceptions. Loopback addresses are never reached through a proxy.
///
/// # Errors
///
/// When the variable that counts does not name a usable proxy.
pub(super) fn for_address(
    address: &ApiAddress,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Proxy>, ProxyError> {
    // A proxy could not reach this machine's own loopback.
    if address.is_loopback() {
        return Ok(None);
    }
    let names: &[&'static str] = if address.is_https() {
        &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    } else if variable("REQUEST_METHOD").is_some() {
        // Inside a CGI server HTTP_PROXY is the `Proxy` header of the client's request (httpoxy).
        &["ALL_PROXY", "all_proxy"]
    } else {
        &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
    };
    let set = |name: &'static str| {
        variable(name).filter(|value| !value.is_empty()).map(|value| (name, value))
    };
    let Some((name, value)) = names.iter().copied().find_map(set) else { return Ok(None) };
    let no_proxy = ["NO_PROXY", "no_proxy"].into_iter().find_map(&variable).unwrap_or_default();
    let no_proxy = NoProxy::from_string(&no_proxy.to_string_lossy());
    let url = value.to_str().and_then(parse).ok_or(ProxyError::Url { variable: name })?;
    let is_https = match url.scheme() {
        "http" | "socks4" | "socks4a" | "socks5" | "socks5h" => false,
        "https" => true,
        _ => return Err(ProxyError::Scheme { variable: name }),
    };
    let proxy = reqwest::Proxy::all(url).map_err(|_| ProxyError::Url { variable: name })?;
    Ok(Some(Proxy { inner: proxy.no_proxy(no_proxy), is_https }))
}

/// Reads the URL of a proxy; without a scheme it is an `http` proxy, as curl has it.
fn parse(text: &str) -> Option<Url> {
    let text = text.trim();
    // The parser would remove tabs and line breaks silently.
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let url = if text.contains("://") {
        Url::parse(text).ok()?
    } else {
        let authority = text.strip_suffix('/').unwrap_or(text);
        Url::parse(&format!("http://{authority}")).ok().filter(|_| !authority.contains('/'))?
    };
    // reqwest would go around a proxy whose URL is not a URI.
    let uri: http::Uri = url.as_str().parse().ok()?;
    uri.host().filter(|host| !host.is_empty()).map(|_| url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(address: &str, variables: &[(&str, &str)]) -> Result<Option<String>, ProxyError> {
        let address = ApiAddress::parse(address, true).unwrap();
        let find = |name: &str| {
            variables.iter().find(|(it, _)| *it == name).map(|(_, value)| OsString::from(value))
        };
        let proxy = for_address(&address, find)?;
        Ok(proxy.map(|it| format!("{:?}", it.inner)))
    }

    /// Where `HTTPS_PROXY` leads.
    #[track_caller]
    fn leads_to(value: &str, expected: &str) {
        let proxy = with("https://api.clerk.com", &[("HTTPS_PROXY", value)]).unwrap().unwrap();
        assert!(proxy.contains(expected), "{value}: {proxy}");
    }

    const URL: Result<(), ProxyError> = Err(ProxyError::Url { variable: "HTTPS_PROXY" });
    const SCHEME: Result<(), ProxyError> = Err(ProxyError::Scheme { variable: "HTTPS_PROXY" });

    #[track_caller]
    fn refused(value: &str, expected: Result<(), ProxyError>) {
        let refused = with("https://api.clerk.com", &[("HTTPS_PROXY", value)]).map(|_| ());
        assert_eq!(refused, expected, "{value}");
    }

    #[test]
    fn a_proxy_is_a_url_or_a_host_and_a_port() {
        leads_to("http://proxy.test:3128", "proxy.test");
        leads_to(" http://u:p@proxy.test:3128/ ", "3128");
        leads_to("proxy.test:3128", "3128");
        leads_to("proxy.test/", "proxy.test");
        leads_to("https://proxy.test", "https");
        for scheme in ["socks4", "socks4a", "socks5", "socks5h"] {
            leads_to(&format!("{scheme}://proxy.test"), "1080");
            leads_to(&format!("{scheme}://proxy.test:9050"), "9050");
        }
    }

    #[test]
    fn a_proxy_that_would_be_gone_around_is_refused() {
        refused("ftp://proxy.test", SCHEME);
        refused("socks://proxy.test", SCHEME);
        refused("http2://proxy.test", SCHEME);
        refused("http://", URL);
        refused("http:/proxy.test", URL);
        refused("socks5:proxy.test", URL);
        refused("http://proxy.test:port", URL);
        refused("http://pro\nxy.test", URL);
        refused("http://pro{x}y.test", URL);
        refused("/proxy.test", URL);
    }

    #[test]
    fn the_first_variable_that_is_set_counts() {
        let proxy = |address: &str, variables: &[(&str, &str)]| {
            with(address, variables).map(|it| it.map(|it| it.contains("right")))
        };
        let (https, http) = ("https://api.clerk.com", "http://api.clerk.test");
        let found = Ok(Some(true));
        assert_eq!(proxy(https, &[("HTTPS_PROXY", "right"), ("ALL_PROXY", "x://")]), found);
        assert_eq!(proxy(https, &[("HTTPS_PROXY", ""), ("https_proxy", "right")]), found);
        assert_eq!(proxy(https, &[("HTTP_PROXY", "x://"), ("all_proxy", "right")]), found);
        assert_eq!(proxy(http, &[("http_proxy", "right"), ("HTTPS_PROXY", "x://")]), found);
        let cgi = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "x://")];
        assert_eq!(proxy(http, &cgi), Ok(None));
        assert_eq!(proxy(https, &[]), Ok(None));
        assert_eq!(proxy("http://localhost:1", &[("HTTP_PROXY", "x://")]), Ok(None));
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_text_is_refused() {
        use std::os::unix::ffi::OsStringExt;

        let find = |name: &str| (name == "ALL_PROXY").then(|| OsString::from_vec(vec![0xff]));
        let refused = for_address(&ApiAddress::default(), find).unwrap_err();
        assert_eq!(refused, ProxyError::Url { variable: "ALL_PROXY" });
    }
}
