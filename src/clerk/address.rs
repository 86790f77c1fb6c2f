//! The address of the API, and the proxy for requests to it.

use std::ffi::OsString;
use std::fmt;

use reqwest::NoProxy;
use url::{Host, Url};

/// The address of Clerk's API, or of a server that behaves like it: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAddress {
    /// Scheme, host and port, without a trailing slash.
    origin: String,
    is_loopback: bool,
}

impl ApiAddress {
    /// The address of Clerk's own API.
    pub const DEFAULT: &'static str = "https://api.clerk.com";

    /// Parses an address. A trailing slash or `/v1` is removed.
    ///
    /// # Errors
    ///
    /// When the text is not an `https:` URL with a host, or has a user name, a query, a fragment or
    /// another path. `http:` is accepted for loopback hosts (`localhost`, `127.0.0.0/8`, `[::1]`),
    /// and for all hosts with `allow_http`. The error does not repeat the text, which may be a
    /// misplaced key.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        // `Url` would remove tabs and line breaks silently.
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(AddressError::NotAnAddress);
        }
        let url = Url::parse(text).map_err(|_| AddressError::NotAnAddress)?;
        // The host is printed, so it must not be a misplaced key.
        let is_key = |host: &str| host.starts_with("sk_") || host.starts_with("pk_");
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_some_and(is_key) {
            return Err(AddressError::NotAnAddress);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Userinfo);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(AddressError::QueryOrFragment);
        }
        // With a wrong path, the API would answer 404 for every user, as if none of them existed.
        if !matches!(url.path().trim_end_matches('/'), "" | "/v1") {
            return Err(AddressError::Path);
        }
        let is_loopback = url.host().is_some_and(|host| match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        });
        if url.scheme() == "http" && !is_loopback && !allow_http {
            return Err(AddressError::Unencrypted);
        }
        Ok(Self { origin: url.origin().ascii_serialization(), is_loopback })
    }

    /// The host, with its port unless it is the default of the scheme.
    pub fn host(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, host)| host)
    }

    /// Whether requests stay on this machine.
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Whether requests are encrypted.
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// Scheme, host and port, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.origin
    }
}

impl Default for ApiAddress {
    fn default() -> Self {
        Self { origin: Self::DEFAULT.to_owned(), is_loopback: false }
    }
}

impl fmt::Display for ApiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.origin)
    }
}

/// Why an address cannot be used. The message does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is empty.
    #[error("the API address is empty; leave it unset for https://api.clerk.com")]
    Empty,
    /// Not an `https:` URL with a host.
    #[error("the API address is not an https: URL with a host, such as https://api.clerk.com")]
    NotAnAddress,
    /// `http:` to another machine.
    #[error(
        "the API address is http:, which would send the secret key unencrypted; use https:, or \
         add --allow-http if you trust the network"
    )]
    Unencrypted,
    /// `user:password@`.
    #[error("the API address contains a user name or password; remove it")]
    Userinfo,
    /// `?…` or `#…`.
    #[error("the API address has a query or fragment; remove everything from \"?\" or \"#\" on")]
    QueryOrFragment,
    /// A path other than `/v1`.
    #[error("the API address has a path other than /v1; remove it, as in https://api.clerk.com")]
    Path,
}

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

    #[track_caller]
    fn check(text: &str, expected: Result<&str, AddressError>) {
        let parsed = ApiAddress::parse(text, false);
        assert_eq!(
            parsed.as_ref().map(ApiAddress::as_str).map_err(|error| *error),
            expected,
            "{text}"
        );
    }

    #[test]
    fn a_trailing_slash_or_v1_is_removed() {
        for text in ["", "/", "/v1", "/v1/", " \n"].map(|end| format!("https://api.clerk.com{end}"))
        {
            check(&text, Ok("https://api.clerk.com"));
        }
        check("HTTPS://API.Clerk.com:443/v1", Ok("https://api.clerk.com"));
    }

    #[test]
    fn http_is_allowed_for_loopback_hosts() {
        check("http://localhost:8787", Ok("http://localhost:8787"));
        check("http://127.0.0.1:8787/v1", Ok("http://127.0.0.1:8787"));
        check("http://127.9.9.9", Ok("http://127.9.9.9"));
        check("http://[::1]:80", Ok("http://[::1]"));
        for host in ["api.clerk.com", "localhost.example.com", "0.0.0.0", "10.0.0.1", "[::2]"] {
            check(&format!("http://{host}"), Err(AddressError::Unencrypted));
        }
    }

    #[test]
    fn allow_http_allows_nothing_but_http() {
        let parse = |text| ApiAddress::parse(text, true).map(|it| it.is_https());
        assert_eq!(parse("http://10.0.0.1"), Ok(false));
        assert_eq!(parse("ftp://10.0.0.1"), Err(AddressError::NotAnAddress));
        assert_eq!(parse("http://a:b@10.0.0.1"), Err(AddressError::Userinfo));
    }

    #[test]
    fn each_unusable_address_has_its_own_error() {
        check("", Err(AddressError::Empty));
        check(" \t", Err(AddressError::Empty));
        check("api.clerk.com", Err(AddressError::NotAnAddress));
        check("localhost:8787", Err(AddressError::NotAnAddress));
        check("sk_live_abcdefghijklmnop", Err(AddressError::NotAnAddress));
        check("https://sk_live_abcdefghijklmnop", Err(AddressError::NotAnAddress));
        check("https://", Err(AddressError::NotAnAddress));
        check("https://api.cl\nerk.com", Err(AddressError::NotAnAddress));
        check("https://me@api.clerk.com", Err(AddressError::Userinfo));
        check("https://:pass@api.clerk.com", Err(AddressError::Userinfo));
        check("https://api.clerk.com?x", Err(AddressError::QueryOrFragment));
        check("https://api.clerk.com/#x", Err(AddressError::QueryOrFragment));
        check("https://api.clerk.com/v2", Err(AddressError::Path));
        check("https://api.clerk.com/v1/users", Err(AddressError::Path));
    }

    #[test]
    fn the_host_includes_a_port_other_than_the_default() {
        let host = |text| ApiAddress::parse(text, true).unwrap().host().to_owned();
        assert_eq!(host("https://api.clerk.com:443"), "api.clerk.com");
        assert_eq!(host("https://api.clerk.com:8443"), "api.clerk.com:8443");
        assert_eq!(host("http://[::1]:8787"), "[::1]:8787");
    }

    #[test]
    fn the_default_address_is_valid() {
        assert_eq!(ApiAddress::parse(ApiAddress::DEFAULT, false), Ok(ApiAddress::default()));
    }

    #[test]
    fn error_messages() {
        use AddressError::{Empty, NotAnAddress, Path, QueryOrFragment, Unencrypted, Userinfo};
        let errors = [Empty, NotAnAddress, Unencrypted, Userinfo, QueryOrFragment, Path];
        insta::assert_snapshot!(errors.map(|it| it.to_string()).join("\n"), @r##"
        the API address is empty; leave it unset for https://api.clerk.com
        the API address is not an https: URL with a host, such as https://api.clerk.com
        the API address is http:, which would send the secret key unencrypted; use https:, or add --allow-http if you trust the network
        the API address contains a user name or password; remove it
        the API address has a query or fragment; remove everything from "?" or "#" on
        the API address has a path other than /v1; remove it, as in https://api.clerk.com
        "##);
    }

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
