//! The result of one attempt: a response, or the fault in its place.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use super::{SecretKey, on_one_line};

/// The result of one attempt. An attempt has no other errors: whatever happens is a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A complete response.
    Answer(Answer),
    /// No response.
    Fault(Fault),
    /// A response that began and is not complete.
    Broken(Head, Fault),
}

/// A complete response of the server, whatever its status. Nothing in it is trusted yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long the server asks to wait (`Retry-After`); not clamped.
    pub retry_after: Option<Duration>,
    /// Cloudflare's id of the request (`CF-Ray`), by which Clerk's support finds it.
    pub ray: Option<String>,
    /// The body, at most as long as the client allows.
    pub body: Vec<u8>,
}

/// What is known of a response before its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// Cloudflare's id of the request (`CF-Ray`).
    pub ray: Option<String>,
}

/// Why an attempt has no complete response. The request may have been carried out all the same,
/// unless no connection was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The attempt, or making the connection, took longer than this.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The connection could not be made, or broke before a response began.
    #[error("{0}")]
    Connection(String),
    /// The certificate of the server (or of an `https` proxy) is not trusted, for this reason.
    /// Nothing was sent.
    #[error("certificate not trusted: {0}")]
    UntrustedCertificate(String),
    /// The proxy refused to forward the request until it is authenticated (407), or refused the
    /// user and password in its URL.
    #[error("the proxy requires authentication, or refused the user and password in its URL (407)")]
    ProxyAuthentication,
    /// The response broke off.
    #[error("the answer broke off: {0}")]
    Truncated(String),
    /// The response is larger than this many bytes and was not read to its end.
    #[error("the answer is larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
}

impl Fault {
    /// A fault before the response began.
    pub(super) fn of_sending(error: &reqwest::Error, connect_timeout: Duration) -> Self {
        if error.is_connect() && error.is_timeout() {
            return Self::Timeout(connect_timeout);
        }
        match cause(error) {
            Cause::Certificate(why) => Self::UntrustedCertificate(why),
            Cause::ProxyAuthentication => Self::ProxyAuthentication,
            Cause::Other(why) if error.is_dns() => {
                Self::Connection(format!("cannot resolve the host name: {why}"))
            }
            Cause::Other(why) => Self::Connection(why),
        }
    }

    /// A fault while a connection was made by other means than a request.
    #[cfg(feature = "cli")]
    pub(super) fn of_connecting(error: &io::Error, connect_timeout: Duration) -> Self {
        // A read that times out is `WouldBlock` on Unix.
        if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) {
            return Self::Timeout(connect_timeout);
        }
        match cause(error) {
            Cause::Certificate(why) => Self::UntrustedCertificate(why),
            Cause::ProxyAuthentication => Self::ProxyAuthentication,
            Cause::Other(why) => Self::Connection(why),
        }
    }

    /// A fault in the middle of a response.
    pub(super) fn of_reading(error: &reqwest::Error) -> Self {
        Self::Truncated(reason(error))
    }

    /// The same without the key, and no longer than a message may be: hidden first, then cut, so
    /// that no part of a key is left.
    pub(super) fn without_key(self, key: &SecretKey) -> Self {
        let fit = |text: String| key.hide_in(&text).chars().take(MAX_REASON).collect();
        match self {
            Self::Connection(why) => Self::Connection(fit(why)),
            Self::UntrustedCertificate(why) => Self::UntrustedCertificate(fit(why)),
            Self::Truncated(why) => Self::Truncated(fit(why)),
            Self::Timeout(_) | Self::ProxyAuthentication | Self::TooLarge(_) => self,
        }
    }
}

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 300;

/// The innermost cause of an error, in words: the errors around it repeat the URL or say "error
/// sending request".
pub(super) fn reason(error: &(dyn StdError + 'static)) -> String {
    match cause(error) {
        Cause::Certificate(why) => format!("certificate not trusted: {why}"),
        Cause::ProxyAuthentication => Fault::ProxyAuthentication.to_string(),
        Cause::Other(why) => why,
    }
}

enum Cause {
    Certificate(String),
    ProxyAuthentication,
    Other(String),
}

fn cause(error: &(dyn StdError + 'static)) -> Cause {
    let mut error = error;
    loop {
        if let Some(known) = known_cause(error) {
            return known;
        }
        match inner(error) {
            Some(inner) => error = inner,
            None => return other(&error.to_string()),
        }
    }
}

/// An I/O error that wraps another does not name it as its source.
fn inner<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn known_cause(error: &(dyn StdError + 'static)) -> Option<Cause> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(tls_cause(error));
    }
    let error = error.downcast_ref::<io::Error>().filter(|it| it.get_ref().is_none())?;
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset",
        io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => "connection closed",
        io::ErrorKind::HostUnreachable => "host unreachable",
        io::ErrorKind::NetworkUnreachable => "network unreachable",
        io::ErrorKind::TimedOut => "connection timed out",
        _ => return None,
    };
    Some(Cause::Other(words.to_owned()))
}

fn tls_cause(error: &rustls::Error) -> Cause {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            Cause::Certificate("its issuer is unknown".to_owned())
        }
        rustls::Error::InvalidCertificate(why) => Cause::Certificate(on_one_line(&why.to_string())),
        rustls::Error::General(why) => other(why),
        why => other(&format!("TLS: {why}")),
    }
}

/// An error of another library, of a type that it does not export: known by its words alone.
fn other(words: &str) -> Cause {
    match words {
        "tunnel error: proxy authorization required"
        | "SOCKS error: credentials not accepted"
        | "SOCKS error: server does not support user/pass authentication" => {
            Cause::ProxyAuthentication
        }
        "tunnel error: unsuccessful" => Cause::Other("the proxy refused to connect".to_owned()),
        words => Cause::Other(on_one_line(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: impl Into<io::Error>, expected: &str) {
        assert_eq!(reason(&error.into()), expected);
    }

    #[test]
    fn the_innermost_cause_is_the_reason() {
        check(io::ErrorKind::ConnectionRefused, "connection refused");
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        check(io::Error::other(reset), "connection reset");
        check(io::Error::other(io::Error::other("inner\nmost")), "inner most");
    }

    #[test]
    fn an_invalid_certificate_is_not_trusted() {
        let error = rustls::Error::InvalidCertificate(CertificateError::Revoked);
        check(
            io::Error::new(io::ErrorKind::InvalidData, error),
            "certificate not trusted: Revoked",
        );
    }

    #[test]
    fn a_key_is_hidden_before_a_reason_is_cut() {
        let key = SecretKey::parse("sk_live_0123456789abcdef").unwrap();
        let long = format!("{}sk_live_0123456789abcdef", "é".repeat(MAX_REASON - 15));
        let Fault::Connection(why) = Fault::Connection(long).without_key(&key) else {
            panic!("another fault");
        };
        assert_eq!(why.chars().count(), MAX_REASON - 15 + "sk_live_…cdef".chars().count());
        assert!(why.ends_with("ésk_live_…cdef"), "{why}");
    }
}
