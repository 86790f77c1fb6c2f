//! Responses, right and wrong, and how they are sent.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use futures_util::stream::{self, StreamExt};
use serde_json::json;
use tokio::time::sleep;

/// A response to be sent.
#[derive(Debug)]
pub(super) struct Response {
    /// `None` closes the connection without a response.
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) delivery: Delivery,
}

/// How the body is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Delivery {
    Whole,
    /// The first half, then the connection is closed.
    Truncated,
    /// In small pieces.
    Slow,
    /// 64 MiB of spaces in place of the body.
    Huge,
    /// Two minutes later.
    Late,
}

impl Response {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self { status: Some(status), headers, body: body.into(), delivery: Delivery::Whole }
    }

    pub(super) fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "application/json", body)
    }

    /// No response: the connection is closed.
    pub(super) fn closed() -> Self {
        Self { status: None, ..Self::json(0, "") }
    }

    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn with_delivery(self, delivery: Delivery) -> Self {
        Self { delivery, ..self }
    }

    /// Waits where the response is late. Headers that HTTP does not allow are left out.
    pub(super) async fn into_http(self) -> axum::response::Response {
        const PIECES: usize = 20;
        let length = self.body.len();
        let at_once = |bytes: Bytes| (Duration::ZERO, Ok(bytes));
        let closed = |after| (after, Err(io::Error::from(io::ErrorKind::ConnectionReset)));
        let (body, is_sized) = match self.delivery {
            Delivery::Late => {
                sleep(Duration::from_secs(120)).await;
                (in_pieces(vec![closed(Duration::ZERO)]), false)
            }
            // A body that fails before its first byte: the connection is closed (HTTP/2: the
            // stream is reset) and the head is never sent.
            _ if self.status.is_none() => (in_pieces(vec![closed(Duration::ZERO)]), false),
            Delivery::Whole => (self.body.into(), false),
            Delivery::Truncated => {
                // The pause lets the first half reach the client before the connection closes.
                let half = at_once(self.body.slice(..length / 2));
                (in_pieces(vec![half, closed(Duration::from_millis(20))]), true)
            }
            Delivery::Slow => {
                let piece = |bytes| (Duration::from_millis(100), Ok(bytes));
                let starts = (0..length).step_by(length.div_ceil(PIECES).max(1));
                let ends = starts.clone().skip(1).chain([length]);
                let pieces =
                    starts.zip(ends).map(|(start, end)| piece(self.body.slice(start..end)));
                (in_pieces(pieces.collect()), true)
            }
            Delivery::Huge => {
                let piece = Bytes::from(vec![b' '; 64 * 1024]);
                (in_pieces((0..1024).map(|_| at_once(piece.clone())).collect()), false)
            }
        };
        let mut response = axum::response::Response::new(body);
        let status = self.status.and_then(|status| StatusCode::from_u16(status).ok());
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let length = is_sized.then(|| ("Content-Length".to_owned(), length.to_string()));
        let ray = ("CF-Ray".to_owned(), format!("{:016x}-LHR", fastrand::u64(..)));
        for (name, value) in self.headers.into_iter().chain(length).chain([ray]) {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(&value))
            {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// Sends each piece after a pause; an error closes the connection.
fn in_pieces(pieces: Vec<(Duration, io::Result<Bytes>)>) -> Body {
    Body::from_stream(stream::iter(pieces).then(async |(pause, piece)| {
        if !pause.is_zero() {
            sleep(pause).await;
        }
        piece
    }))
}

/// An error response with a body of Clerk's shape.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) message: String,
    /// Parameter that is wrong.
    pub(super) parameter: Option<String>,
    pub(super) retry_after: Option<u64>,
}

impl ApiError {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), parameter: None, retry_after: None }
    }

    /// The usual error of a status.
    pub(super) fn of_status(status: u16) -> Self {
        let message = match status {
            401 => "The sandbox accepts only the secret key that it printed.",
            403 => "Unauthorized request",
            404 => "not found",
            429 => "Too many requests. Please try again in a bit.",
            500.. => "Oops, an unexpected error occurred",
            _ => "The sandbox was told to refuse this.",
        };
        let retry_after = (status == 429).then_some(1);
        Self { retry_after, ..Self::new(status, message) }
    }

    pub(super) fn no_user(id: &str) -> Self {
        Self::new(404, format!("No user was found with id {id}."))
    }

    pub(super) fn parameter(name: &str, message: &str) -> Self {
        Self { parameter: Some(name.to_owned()), ..Self::new(422, message) }
    }

    pub(super) fn into_response(self) -> Response {
        let (code, message) = match self.status {
            401 => ("authentication_invalid", "Invalid authentication"),
            403 => ("authorization_invalid", "Unauthorized request"),
            404 => ("resource_not_found", "not found"),
            405 => ("method_not_allowed", "method not allowed"),
            422 => ("form_param_value_invalid", self.message.as_str()),
            429 => ("rate_limit_exceeded", "Too many requests"),
            500.. => ("internal_clerk_error", self.message.as_str()),
            _ => ("sandbox_refusal", self.message.as_str()),
        };
        let meta = self.parameter.map_or_else(|| json!({}), |name| json!({ "param_name": name }));
        let error =
            json!({ "message": message, "long_message": self.message, "code": code, "meta": meta });
        let trace_id = format!("{:032x}", fastrand::u128(..));
        let body = json!({ "errors": [error], "clerk_trace_id": trace_id });
        let response = Response::json(self.status, body.to_string());
        match self.retry_after {
            Some(seconds) => response.with_header("Retry-After", &seconds.to_string()),
            None => response,
        }
    }
}
