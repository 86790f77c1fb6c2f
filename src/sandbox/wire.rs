//! Puts an answer on the wire, well or badly.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::stream::{self, Stream};
use tokio::time::sleep;

use super::answer::{Answer, Delivery};

/// After so long even a request that hangs is let go.
const LATE: Duration = Duration::from_secs(120);
/// Long enough for what was written before to be on its way.
const FLUSH: Duration = Duration::from_millis(20);
const N_TRICKLES: usize = 20;
const TRICKLE: Duration = Duration::from_millis(100);
const N_HUGE_CHUNKS: u32 = 1024;
static HUGE_CHUNK: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// Makes the response; waits first where the answer is to be late.
pub(super) async fn respond(answer: Answer) -> Response {
    let body = match answer.delivery {
        Delivery::Whole(body) => return head(answer.status, &answer.headers, body.into()),
        Delivery::Closed => return closed(),
        Delivery::Late => {
            sleep(LATE).await;
            return closed();
        }
        Delivery::Endless => Body::from_stream(endless()),
        Delivery::CutOff(body) => {
            let headers = with_length(&answer.headers, &body);
            return head(answer.status, &headers, Body::from_stream(cut_off(body)));
        }
        Delivery::Trickled(body) => {
            let headers = with_length(&answer.headers, &body);
            return head(answer.status, &headers, Body::from_stream(trickled(body)));
        }
    };
    head(answer.status, &answer.headers, body)
}

/// A header that HTTP does not allow is left out.
fn head(status: u16, headers: &[(String, String)], body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn with_length(headers: &[(String, String)], body: &[u8]) -> Vec<(String, String)> {
    let length = ("Content-Length".to_owned(), body.len().to_string());
    headers.iter().cloned().chain([length]).collect()
}

/// A body that fails before its first byte: hyper then closes the connection (HTTP/2: resets the
/// stream) and never sends the head that it had written.
fn closed() -> Response {
    let failure = stream::iter([Err::<Bytes, _>(broken())]);
    Response::new(Body::from_stream(failure))
}

fn broken() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

fn cut_off(mut body: Vec<u8>) -> impl Stream<Item = io::Result<Bytes>> {
    body.truncate(body.len() / 2);
    stream::unfold(Some(body), |half| async {
        if let Some(half) = half {
            return Some((Ok(half.into()), None));
        }
        sleep(FLUSH).await;
        Some((Err(broken()), None))
    })
}

fn trickled(body: Vec<u8>) -> impl Stream<Item = io::Result<Bytes>> {
    let piece = body.len().div_ceil(N_TRICKLES).max(1);
    stream::unfold(Bytes::from(body), move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        sleep(TRICKLE).await;
        let next = rest.split_to(piece.min(rest.len()));
        Some((Ok(next), rest))
    })
}

fn endless() -> impl Stream<Item = io::Result<Bytes>> {
    stream::iter((0..N_HUGE_CHUNKS).map(|_| Ok(Bytes::from_static(&HUGE_CHUNK))))
}
