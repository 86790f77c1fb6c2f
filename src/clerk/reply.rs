//! The reply to one request: a response, or the fault in its place; and the error that a caller of
//! the client gets instead.

use std::error::Error as StdError;
use std::io;
use std::time::{Duration, SystemTime};

use rustls::CertificateError;

use super::{ApiError, SecretKey};

/// The reply to one request. Sending a request has no other error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A complete response.
    Answer(Answer),
    /// No response.
    Fault(Fault),
    /// An incomplete response.
    Broken(Head, Fault),
}

/// A complete response with any status. Its body is not checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long to wait before the next request (`Retry-After`), not clamped.
    pub retry_after: Option<Duration>,
    /// Cloudflare's id of the request (`CF-Ray`), by which Clerk's support can find it.
    pub ray: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// The head of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// Cloudflare's id of the request (`CF-Ray`).
    pub ray: Option<String>,
}

/// Why a request has no complete response. The API may have processed the request nevertheless,
/// unless no connection was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The request or the connection attempt took longer than this.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The connection failed before a response began.
    #[error("{0}")]
    Connection(String),
    /// The certificate of the server or of an `https` proxy is not trusted. Nothing was sent.
    #[error("certificate not trusted: {0}")]
    UntrustedCertificate(String),
    /// The proxy requires authentication (407), or refused the user and password in its URL.
    #[error("the proxy requires authentication, or refused the user and password in its URL (407)")]
    ProxyAuthentication,
    /// The response ended early.
    #[error("the answer broke off: {0}")]
    Truncated(String),
    /// The response is larger than this many bytes.
    #[error("the answer is larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
}

impl Fault {
    /// The fault of a request whose response did not begin.
    pub(super) fn of_sending(error: &reqwest::Error, connect_timeout: Duration) -> Self {
        if error.is_connect() && error.is_timeout() {
            return Self::Timeout(connect_timeout);
        }
        match Self::of_cause(error) {
            Self::Connection(why) if error.is_dns() => {
                Self::Connection(format!("cannot resolve the host name: {why}"))
            }
            fault => fault,
        }
    }

    /// The fault of a connection attempt without a request.
    #[cfg(feature = "cli")]
    pub(super) fn of_connecting(error: &io::Error, connect_timeout: Duration) -> Self {
        // A read that times out is `WouldBlock` on Unix.
        if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) {
            return Self::Timeout(connect_timeout);
        }
        Self::of_cause(error)
    }

    /// The fault of a response that ended early.
    pub(super) fn of_reading(error: &reqwest::Error) -> Self {
        Self::Truncated(reason(error))
    }

    /// The fault that the innermost cause of an error names. The outer errors repeat the URL or read
    /// "error sending request".
    fn of_cause(mut error: &(dyn StdError + 'static)) -> Self {
        loop {
            if let Some(fault) = Self::of_known_cause(error) {
                return fault;
            }
            // An I/O error does not name the error that it wraps as its source.
            let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            match wrapped.map_or_else(|| error.source(), |wrapped| Some(wrapped)) {
                Some(inner) => error = inner,
                None => return Self::of_text(&error.to_string()),
            }
        }
    }

    fn of_known_cause(error: &(dyn StdError + 'static)) -> Option<Self> {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(match error {
                rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                    Self::UntrustedCertificate("its issuer is unknown".to_owned())
                }
                rustls::Error::InvalidCertificate(why) => {
                    Self::UntrustedCertificate(on_one_line(&why.to_string()))
                }
                rustls::Error::General(why) => Self::of_text(why),
                why => Self::of_text(&format!("TLS: {why}")),
            });
        }
        let error = error.downcast_ref::<io::Error>().filter(|it| it.get_ref().is_none())?;
        let text = match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused",
            io::ErrorKind::ConnectionReset => "connection reset",
            io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => "connection closed",
            io::ErrorKind::HostUnreachable => "host unreachable",
            io::ErrorKind::NetworkUnreachable => "network unreachable",
            io::ErrorKind::TimedOut => "connection timed out",
            _ => return None,
        };
        Some(Self::Connection(text.to_owned()))
    }

    /// The fault of an error whose type a library does not export, so that only its text identifies
    /// it.
    fn of_text(text: &str) -> Self {
        match text {
            "tunnel error: proxy authorization required"
            | "SOCKS error: credentials not accepted"
            | "SOCKS error: server does not support user/pass authentication" => {
                Self::ProxyAuthentication
            }
            "tunnel error: unsuccessful" => {
                Self::Connection("the proxy refused to connect".to_owned())
            }
            text => Self::Connection(on_one_line(text)),
        }
    }

    /// This fault with the key replaced in its text, and then cut to [`MAX_REASON`], so that no part
    /// of a key is left.
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

/// The maximum length of a reason, in characters.
const MAX_REASON: usize = 300;

/// The innermost cause of an error, as text.
pub(super) fn reason(error: &(dyn StdError + 'static)) -> String {
    Fault::of_cause(error).to_string()
}

/// The text with control characters and line separators replaced by spaces.
fn on_one_line(text: &str) -> String {
    let is_control = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.replace("\r\n", " ").replace(is_control, " ")
}

/// Why a call of a [`Client`](super::Client) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API answered with a status other than 200.
    #[error("the API answered {status}{}", details(error))]
    #[non_exhaustive]
    Api {
        /// The HTTP status.
        status: u16,
        /// The error in the body of the response.
        error: ApiError,
        /// How long to wait before the next request (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// No complete response arrived. The API may have processed the request nevertheless.
    #[error(transparent)]
    Transport(#[from] Fault),
    /// The API answered 200, but the body is not what was requested.
    #[error("the API answered 200, but the response cannot be trusted: {reason}")]
    #[non_exhaustive]
    Untrusted {
        /// What is wrong with the body.
        reason: String,
    },
    /// The values do not fit into one request. Nothing was sent.
    #[error("too many values for one request; send the first {n_fitting} first")]
    #[non_exhaustive]
    TooManyValues {
        /// The number of values that fit, starting with the first.
        n_fitting: usize,
    },
}

impl Error {
    pub(super) fn untrusted(reason: impl Into<String>) -> Self {
        Self::Untrusted { reason: reason.into() }
    }
}

fn details(error: &ApiError) -> String {
    let parts = [Some(""), error.code.as_deref(), error.message.as_deref()];
    on_one_line(&parts.into_iter().flatten().collect::<Vec<_>>().join(": "))
}

/// Parses a `Retry-After` header: how long to wait, without a maximum.
///
/// Accepts seconds, with or without a fraction, and HTTP dates, from which `now` is subtracted; for
/// a date in the past, the wait is zero. Returns `None` for anything else, such as a negative
/// number. A number too large for a [`Duration`] becomes [`Duration::MAX`].
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use bulk_unlock::clerk::parse_retry_after;
///
/// let now = SystemTime::UNIX_EPOCH;
/// assert_eq!(parse_retry_after("1.5", now), Some(Duration::from_millis(1500)));
/// let date = "Thu, 01 Jan 1970 00:01:00 GMT";
/// assert_eq!(parse_retry_after(date, now), Some(Duration::from_secs(60)));
/// assert_eq!(parse_retry_after("soon", now), None);
/// ```
pub fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.starts_with(|c: char| c.is_ascii_digit()) {
        let until = httpdate::parse_http_date(value).ok()?;
        return Some(until.duration_since(now).unwrap_or_default());
    }
    // `f64` would also accept exponents.
    if !value.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let seconds: f64 = value.parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_reason(error: impl Into<io::Error>, expected: &str) {
        assert_eq!(reason(&error.into()), expected);
    }

    #[test]
    fn the_reason_is_the_innermost_cause() {
        check_reason(io::ErrorKind::ConnectionRefused, "connection refused");
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        check_reason(io::Error::other(reset), "connection reset");
        check_reason(io::Error::other(io::Error::other("inner\nmost")), "inner most");
    }

    #[test]
    fn an_invalid_certificate_is_not_trusted() {
        let error = rustls::Error::InvalidCertificate(CertificateError::Revoked);
        check_reason(
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

    #[test]
    fn an_error_of_the_api_is_shown_on_one_line() {
        let error = ApiError {
            code: Some("resource_not_found".into()),
            message: Some("No user was\n\u{1b}[31mfound".into()),
            trace_id: None,
        };
        let error = Error::Api { status: 404, error, retry_after: None };
        insta::assert_snapshot!(
            error,
            @"the API answered 404: resource_not_found: No user was  [31mfound"
        );
        let error = Error::Api { status: 502, error: ApiError::default(), retry_after: None };
        insta::assert_snapshot!(error, @"the API answered 502");
    }

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const NOW: u64 = 784_111_777;

    #[track_caller]
    fn check_retry_after(value: &str, expected: Option<Duration>) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        assert_eq!(parse_retry_after(value, now), expected, "{value:?}");
    }

    #[test]
    fn retry_after_in_seconds_may_have_a_fraction_and_white_space() {
        check_retry_after("0", Some(Duration::ZERO));
        check_retry_after("10", Some(Duration::from_secs(10)));
        check_retry_after(" 007 ", Some(Duration::from_secs(7)));
        check_retry_after("0.25", Some(Duration::from_millis(250)));
        check_retry_after("3.", Some(Duration::from_secs(3)));
    }

    #[test]
    fn retry_after_as_a_date_is_relative_to_now_and_never_negative() {
        check_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", Some(Duration::from_secs(10)));
        check_retry_after("Sunday, 06-Nov-94 08:49:47 GMT", Some(Duration::from_secs(10)));
        check_retry_after("Sun Nov  6 08:49:47 1994", Some(Duration::from_secs(10)));
        check_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::ZERO));
        check_retry_after("Sun, 06 Nov 1994 08:49:27 GMT", Some(Duration::ZERO));
    }

    #[test]
    fn a_huge_retry_after_is_the_maximum_duration() {
        check_retry_after(&"9".repeat(30), Some(Duration::MAX));
        check_retry_after(&"9".repeat(500), Some(Duration::MAX));
    }

    #[test]
    fn any_other_retry_after_is_none() {
        for value in ["", " ", "soon", "-1", "-0", "+1", "1e3", "0x10", "1,5", "1.2.3", ".", "٣"] {
            check_retry_after(value, None);
        }
        for value in ["NaN", "nan", "inf", "infinity", "-inf", "1 s", "10, 20", "1\0"] {
            check_retry_after(value, None);
        }
    }

    proptest! {
        #[test]
        fn retry_after_never_panics(value: String, digits in "[-+0-9.eEnNaAiIfF, ]{0,40}") {
            let _ = parse_retry_after(&value, SystemTime::now());
            let _ = parse_retry_after(&digits, SystemTime::UNIX_EPOCH);
        }

        #[test]
        fn whole_seconds_of_retry_after_are_exact(n in 0u32..) {
            let wait = Duration::from_secs(n.into());
            let parsed = parse_retry_after(&n.to_string(), SystemTime::UNIX_EPOCH);
            prop_assert_eq!(parsed, Some(wait));
        }

        #[test]
        fn a_date_in_retry_after_is_exact(now in 0u64..1 << 40, wait in 0u64..1 << 30) {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now % (1 << 36));
            let wait = Duration::from_secs(wait);
            let date = httpdate::fmt_http_date(now + wait);
            prop_assert_eq!(parse_retry_after(&date, now), Some(wait));
        }
    }
}
