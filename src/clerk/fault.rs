//! What went wrong on the way, in a few words for people.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use crate::model::{Fault, one_line};

/// The longest reason that is kept, in characters.
const MAX_REASON: usize = 300;

/// Before an answer began.
pub(super) fn of_sending(error: &reqwest::Error, connect_timeout: Duration) -> Fault {
    if error.is_connect() && error.is_timeout() {
        return Fault::Timeout(connect_timeout);
    }
    let reason = reason(error);
    Fault::Connection(if error.is_dns() {
        format!("the host was not found: {reason}")
    } else {
        reason
    })
}

/// In the middle of an answer.
pub(super) fn of_reading(error: &reqwest::Error) -> Fault {
    Fault::Truncated(reason(error))
}

/// The innermost cause: what stands around it repeats the URL or says "error sending request".
pub(super) fn reason(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    loop {
        if let Some(known) = known_reason(cause) {
            return known;
        }
        match inner(cause) {
            Some(inner) => cause = inner,
            None => return one_line(&cause.to_string()).chars().take(MAX_REASON).collect(),
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

fn known_reason(error: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(tls_reason(error));
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
    Some(words.to_owned())
}

fn tls_reason(error: &rustls::Error) -> String {
    let text = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "certificate not trusted: its issuer is unknown here".to_owned()
        }
        rustls::Error::InvalidCertificate(why) => format!("certificate not trusted: {why}"),
        rustls::Error::General(why) => why.clone(),
        other => format!("TLS: {other}"),
    };
    one_line(&text).chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: impl Into<io::Error>, expected: &str) {
        assert_eq!(reason(&error.into()), expected);
    }

    #[test]
    fn the_innermost_cause_is_told() {
        check(io::ErrorKind::ConnectionRefused, "connection refused");
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        check(io::Error::other(reset), "connection reset");
        check(io::Error::other(io::Error::other("inner\nmost")), "inner most");
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_named_so() {
        let error = rustls::Error::InvalidCertificate(CertificateError::Revoked);
        check(
            io::Error::new(io::ErrorKind::InvalidData, error),
            "certificate not trusted: Revoked",
        );
    }

    #[test]
    fn a_long_reason_is_cut() {
        assert_eq!(reason(&io::Error::other("é".repeat(1_000))).chars().count(), MAX_REASON);
    }
}
