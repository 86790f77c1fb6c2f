//! The proxy for requests to the API, from the variables of the environment.

use std::ffi::OsString;

use reqwest::NoProxy;
use url::Url;

use super::ApiAddress;

/// The proxy for requests to one address.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) inner: reqwest::Proxy,
    /// Whether the connection to the proxy itself is encrypted.
    pub(super) is_https: bool,
}

/// Why a proxy variable of the environment cannot be used. The message does not repeat the value,
/// which may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The scheme is not supported.
    #[error(
        "{variable} names a proxy with an unsupported scheme; expected http, https, socks4, \
         socks4a, socks5 or socks5h"
    )]
    Scheme {
        /// The name of the variable.
        variable: &'static str,
    },
    /// The value is not a URL with a host.
    #[error(
        "{variable} is not the URL of a proxy; expected, for example, http://proxy.example:3128"
    )]
    Url {
        /// The name of the variable.
        variable: &'static str,
    },
}

/// The proxy for requests to this address, if the environment sets one: `HTTPS_PROXY` or
/// `HTTP_PROXY`, else `ALL_PROXY`, each also in lower case. `NO_PROXY` lists exceptions. Loopback
/// addresses are never reached through a proxy.
///
/// reqwest reads the same variables but silently ignores a value that it does not understand. Here,
/// such a value is an error.
pub(super) fn proxy_for(
    address: &ApiAddress,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Proxy>, ProxyError> {
    if address.is_loopback() {
        return Ok(None);
    }
    let names: &[&'static str] = if address.is_https() {
        &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    } else if variable("REQUEST_METHOD").is_some() {
        // In a CGI program, `HTTP_PROXY` is the `Proxy` header of an incoming request (httpoxy).
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
    let url = value.to_str().and_then(parse_proxy).ok_or(ProxyError::Url { variable: name })?;
    let is_https = match url.scheme() {
        "http" | "socks4" | "socks4a" | "socks5" | "socks5h" => false,
        "https" => true,
        _ => return Err(ProxyError::Scheme { variable: name }),
    };
    let proxy = reqwest::Proxy::all(url).map_err(|_| ProxyError::Url { variable: name })?;
    Ok(Some(Proxy { inner: proxy.no_proxy(no_proxy), is_https }))
}

/// The URL of a proxy. The default scheme is `http`, as in curl.
fn parse_proxy(text: &str) -> Option<Url> {
    let text = text.trim();
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let url = if text.contains("://") {
        Url::parse(text).ok()?
    } else {
        let authority = text.strip_suffix('/').unwrap_or(text);
        Url::parse(&format!("http://{authority}")).ok().filter(|_| !authority.contains('/'))?
    };
    // reqwest would ignore a proxy whose URL is not a valid URI.
    let uri: http::Uri = url.as_str().parse().ok()?;
    uri.host().filter(|host| !host.is_empty()).map(|_| url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy_of(address: &str, variables: &[(&str, &str)]) -> Result<Option<String>, ProxyError> {
        let address = ApiAddress::parse(address, true).unwrap();
        let find = |name: &str| {
            variables.iter().find(|(it, _)| *it == name).map(|(_, value)| OsString::from(value))
        };
        let proxy = proxy_for(&address, find)?;
        Ok(proxy.map(|it| format!("{:?}", it.inner)))
    }

    #[track_caller]
    fn accepted(https_proxy: &str, expected: &str) {
        let proxy = proxy_of("https://api.clerk.com", &[("HTTPS_PROXY", https_proxy)]);
        let proxy = proxy.unwrap().unwrap();
        assert!(proxy.contains(expected), "{https_proxy}: {proxy}");
    }

    const URL: ProxyError = ProxyError::Url { variable: "HTTPS_PROXY" };
    const SCHEME: ProxyError = ProxyError::Scheme { variable: "HTTPS_PROXY" };

    #[track_caller]
    fn refused(https_proxy: &str, expected: ProxyError) {
        let refused = proxy_of("https://api.clerk.com", &[("HTTPS_PROXY", https_proxy)]);
        assert_eq!(refused, Err(expected), "{https_proxy}");
    }

    #[test]
    fn a_proxy_is_a_url_or_a_host_and_port() {
        accepted("http://proxy.test:3128", "proxy.test");
        accepted(" http://u:p@proxy.test:3128/ ", "3128");
        accepted("proxy.test:3128", "3128");
        accepted("proxy.test/", "proxy.test");
        accepted("https://proxy.test", "https");
        for scheme in ["socks4", "socks4a", "socks5", "socks5h"] {
            accepted(&format!("{scheme}://proxy.test"), "1080");
            accepted(&format!("{scheme}://proxy.test:9050"), "9050");
        }
    }

    #[test]
    fn a_proxy_that_reqwest_would_ignore_is_an_error() {
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
    fn the_first_variable_that_is_set_applies() {
        let proxy = |address: &str, variables: &[(&str, &str)]| {
            proxy_of(address, variables).map(|it| it.map(|it| it.contains("right")))
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
    fn a_proxy_that_is_not_utf8_is_an_error() {
        use std::os::unix::ffi::OsStringExt;

        let find = |name: &str| (name == "ALL_PROXY").then(|| OsString::from_vec(vec![0xff]));
        let refused = proxy_for(&ApiAddress::default(), find).unwrap_err();
        assert_eq!(refused, ProxyError::Url { variable: "ALL_PROXY" });
    }
}
