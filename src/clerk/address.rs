//! The address of the API.

use std::fmt;

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
}
