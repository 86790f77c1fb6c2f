//! Where the API is.

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
    /// Clerk's own.
    pub const DEFAULT: &'static str = "https://api.clerk.com";

    /// Checks an address as people write it: with or without a slash at the end, with or without
    /// `/v1`.
    ///
    /// # Errors
    ///
    /// When it is no `https:` address of a host, or has parts that would be lost or would leak.
    /// `http:` is for loopback hosts (`localhost`, `127.0.0.0/8`, `[::1]`), or for all of them with
    /// `allow_http`. The text is not repeated: people paste keys into the wrong variable.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        // The parser would take tabs and line breaks out in silence.
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(AddressError::NoAddress);
        }
        let url = Url::parse(text).map_err(|_| AddressError::NoAddress)?;
        let is_http = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(AddressError::NoAddress),
        };
        // A host is shown; a key that was pasted in its place must not be.
        if url.host_str().is_some_and(|host| host.starts_with("sk_") || host.starts_with("pk_")) {
            return Err(AddressError::NoAddress);
        }
        let is_loopback = url.host().is_some_and(|host| is_loopback(&host));
        check_parts(&url)?;
        if is_http && !is_loopback && !allow_http {
            return Err(AddressError::Unencrypted);
        }
        let origin = url.origin().ascii_serialization();
        Ok(Self { origin, host_at: url.scheme().len() + "://".len(), is_loopback })
    }

    /// The host, with its port where that is not the scheme's own: how results, plans and people
    /// name the instance.
    pub fn host(&self) -> &str {
        &self.origin[self.host_at..]
    }

    /// Whether requests stay on this machine.
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Whether requests travel encrypted.
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

/// Why a text can't be the API's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing there.
    #[error("the API address is empty; leave it unset for https://api.clerk.com")]
    Empty,
    /// Not `https://host`.
    #[error("the API address has no readable host; write it as https://api.clerk.com")]
    NoAddress,
    /// `http:` to another machine.
    #[error(
        "the API address is http:, and the secret key would travel unencrypted; write https:, \
         or give --allow-http when you are sure of the network"
    )]
    Unencrypted,
    /// `user:password@`.
    #[error("the API address has a user name or password in it; only the secret key is sent")]
    Userinfo,
    /// `?…` or `#…`.
    #[error("the API address has a query or fragment; leave out everything from \"?\" or \"#\" on")]
    QueryOrFragment,
    /// A path other than `/v1`.
    #[error("the API address has a path other than /v1; leave it out, as in https://api.clerk.com")]
    Path,
}

fn check_parts(url: &Url) -> Result<(), AddressError> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Userinfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(AddressError::QueryOrFragment);
    }
    // A mistaken path would answer 404 for each user, as if none of them existed.
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
    fn a_slash_and_v1_at_the_end_are_taken_off() {
        for text in ["", "/", "/v1", "/v1/", " \n"].map(|end| format!("https://api.clerk.com{end}"))
        {
            check(&text, Ok("https://api.clerk.com"));
        }
        check("HTTPS://API.Clerk.com:443/v1", Ok("https://api.clerk.com"));
    }

    #[test]
    fn http_is_for_loopback_hosts() {
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
        assert_eq!(parse("ftp://10.0.0.1"), Err(AddressError::NoAddress));
        assert_eq!(parse("http://a:b@10.0.0.1"), Err(AddressError::Userinfo));
    }

    #[test]
    fn what_is_no_address_of_a_host_is_refused_with_its_own_reason() {
        check("", Err(AddressError::Empty));
        check(" \t", Err(AddressError::Empty));
        check("api.clerk.com", Err(AddressError::NoAddress));
        check("localhost:8787", Err(AddressError::NoAddress));
        check("sk_live_abcdefghijklmnop", Err(AddressError::NoAddress));
        check("https://sk_live_abcdefghijklmnop", Err(AddressError::NoAddress));
        check("https://", Err(AddressError::NoAddress));
        check("https://api.cl\nerk.com", Err(AddressError::NoAddress));
        check("https://me@api.clerk.com", Err(AddressError::Userinfo));
        check("https://:pass@api.clerk.com", Err(AddressError::Userinfo));
        check("https://api.clerk.com?x", Err(AddressError::QueryOrFragment));
        check("https://api.clerk.com/#x", Err(AddressError::QueryOrFragment));
        check("https://api.clerk.com/v2", Err(AddressError::Path));
        check("https://api.clerk.com/v1/users", Err(AddressError::Path));
    }

    #[test]
    fn the_host_is_shown_with_a_port_of_its_own() {
        let host = |text| ApiAddress::parse(text, true).unwrap().host().to_owned();
        assert_eq!(host("https://api.clerk.com:443"), "api.clerk.com");
        assert_eq!(host("https://api.clerk.com:8443"), "api.clerk.com:8443");
        assert_eq!(host("http://[::1]:8787"), "[::1]:8787");
    }

    #[test]
    fn the_default_is_what_parsing_its_text_gives() {
        assert_eq!(ApiAddress::parse(ApiAddress::DEFAULT, false), Ok(ApiAddress::default()));
    }

    #[test]
    fn each_refusal_is_told_in_these_words() {
        use AddressError::{Empty, NoAddress, Path, QueryOrFragment, Unencrypted, Userinfo};
        let told = [Empty, NoAddress, Unencrypted, Userinfo, QueryOrFragment, Path];
        let told = told.map(|it| format!("{it:?}: {it}")).join("\n");
        insta::assert_snapshot!(told, @r##"
        Empty: the API address is empty; leave it unset for https://api.clerk.com
        NoAddress: the API address has no readable host; write it as https://api.clerk.com
        Unencrypted: the API address is http:, and the secret key would travel unencrypted; write https:, or give --allow-http when you are sure of the network
        Userinfo: the API address has a user name or password in it; only the secret key is sent
        QueryOrFragment: the API address has a query or fragment; leave out everything from "?" or "#" on
        Path: the API address has a path other than /v1; leave it out, as in https://api.clerk.com
        "##);
    }
}
