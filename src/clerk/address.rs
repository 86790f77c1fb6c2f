//! The address of the API.

use std::fmt;

use url::{Host, Url};

/// The address of an API that behaves like Clerk's: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAddress {
    /// Scheme, host and port, without a slash at the end.
    origin: String,
    /// Where the host begins in `origin`.
    host_at: usize,
    is_loopback: bool,
}

impl ApiAddress {
    /// The address of Clerk's API.
    pub const DEFAULT: &'static str = "https://api.clerk.com";

    /// Checks an address, with or without a slash or `/v1` at its end.
    ///
    /// # Errors
    ///
    /// When the text is not the `https:` address of a host, or has parts that would be lost or would
    /// leak. `http:` is for loopback hosts (`localhost`, `127.0.0.0/8`, `[::1]`), or for all hosts
    /// with `allow_http`. The error does not repeat the text, which may be a misplaced key.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        // The parser would remove tabs and line breaks silently.
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(AddressError::NotAnAddress);
        }
        let url = Url::parse(text).map_err(|_| AddressError::NotAnAddress)?;
        let is_http = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(AddressError::NotAnAddress),
        };
        // A host is shown to people; a key that was pasted in its place must not be.
        if url.host_str().is_some_and(|host| host.starts_with("sk_") || host.starts_with("pk_")) {
            return Err(AddressError::NotAnAddress);
        }
        let is_loopback = url.host().is_some_and(|host| is_loopback(&host));
        check_parts(&url)?;
        if is_http && !is_loopback && !allow_http {
            return Err(AddressError::Unencrypted);
        }
        let origin = url.origin().ascii_serialization();
        Ok(Self { origin, host_at: url.scheme().len() + "://".len(), is_loopback })
    }

    /// The host, with its port unless that is the scheme's default.
    pub fn host(&self) -> &str {
        &self.origin[self.host_at..]
    }

    /// Whether requests stay on this machine.
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Whether requests are encrypted.
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// Scheme, host and port, without a slash at the end.
    pub fn as_str(&self) -> &str {
        &self.origin
    }
}

impl Default for ApiAddress {
    fn default() -> Self {
        let origin = Self::DEFAULT.to_owned();
        Self { origin, host_at: "https://".len(), is_loopback: false }
    }
}

impl fmt::Display for ApiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.origin)
    }
}

/// Why a text is not the address of an API. The message does not repeat the text.
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

fn check_parts(url: &Url) -> Result<(), AddressError> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Userinfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(AddressError::QueryOrFragment);
    }
    // With a wrong path the answer would be 404 for each user, as if none of them existed.
    if !matches!(url.path().trim_end_matches('/'), "" | "/v1") {
        return Err(AddressError::Path);
    }
    Ok(())
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, AddressError>) {
        let parsed = ApiAddress::parse(text, false);
        assert_eq!(parsed.as_ref().map(ApiAddress::as_str).map_err(|why| *why), expected, "{text}");
    }

    #[test]
    fn a_slash_and_v1_at_the_end_are_removed() {
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
    fn allow_http_allows_http_and_nothing_more() {
        let parse = |text| ApiAddress::parse(text, true).map(|it| it.is_https());
        assert_eq!(parse("http://10.0.0.1"), Ok(false));
        assert_eq!(parse("ftp://10.0.0.1"), Err(AddressError::NotAnAddress));
        assert_eq!(parse("http://a:b@10.0.0.1"), Err(AddressError::Userinfo));
    }

    #[test]
    fn text_that_is_not_an_address_is_refused_with_its_own_reason() {
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
    fn the_host_includes_a_port_that_is_not_the_default() {
        let host = |text| ApiAddress::parse(text, true).unwrap().host().to_owned();
        assert_eq!(host("https://api.clerk.com:443"), "api.clerk.com");
        assert_eq!(host("https://api.clerk.com:8443"), "api.clerk.com:8443");
        assert_eq!(host("http://[::1]:8787"), "[::1]:8787");
    }

    #[test]
    fn the_default_equals_its_parsed_text() {
        assert_eq!(ApiAddress::parse(ApiAddress::DEFAULT, false), Ok(ApiAddress::default()));
    }

    #[test]
    fn errors_read_like_this() {
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
