//! Bad answers that have nothing to do with what was asked.

use std::borrow::Cow;

use super::FaultKind;
use super::answer::{Answer, Delivery};
use super::refusal::Refusal;

/// A page as a proxy in front of Clerk sends it.
const BAD_GATEWAY: &str = "<!DOCTYPE html>\n<html><head><title>502: Bad gateway</title></head>\
    <body><h1>Bad gateway</h1><p>The web server reported a bad gateway error.</p></body></html>\n";

/// `{"id":"user_gzip","object":"user","locked":false}`, compressed.
const GZIP: [u8; 61] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0xca, 0x4c, 0x51, 0xb2,
    0x52, 0x2a, 0x2d, 0x4e, 0x2d, 0x8a, 0x4f, 0xaf, 0xca, 0x2c, 0x50, 0xd2, 0x51, 0xca, 0x4f, 0xca,
    0x4a, 0x4d, 0x2e, 0x81, 0x0a, 0x02, 0xf9, 0x39, 0xf9, 0xc9, 0xd9, 0xa9, 0x40, 0x45, 0x69, 0x89,
    0x39, 0xc5, 0xa9, 0xb5, 0x00, 0x9c, 0x9e, 0x59, 0xfb, 0x31, 0x00, 0x00, 0x00,
];

/// Colours, a window title, a bell, a cursor jump, NUL, C1, line breaks, a right-to-left override.
const ESCAPES: &str = "\u{1b}[31mred\u{1b}[0m \u{1b}]0;owned\u{7} \u{1b}[2J\u{1b}[H a\u{0}b \
    \u{9b}5m one\r\ntwo\u{2028}three \u{202e}drawkcab";

const DEPTH: usize = 100_000;

/// The answer to whatever was asked.
///
/// Faults that need the right answer, in part or as a pattern, are the office's; here they are as
/// a server error.
pub(super) fn answer(fault: FaultKind, serial: u64) -> Answer {
    match fault {
        FaultKind::BadGateway => html(502, BAD_GATEWAY),
        FaultKind::Unavailable => {
            let refusal = Refusal { retry_after: Some(1), ..Refusal::plain(503) };
            Answer::refusal(&refusal, serial)
        }
        FaultKind::GatewayTimeout => Answer::refusal(&Refusal::plain(504), serial),
        FaultKind::Throttled => Answer::refusal(&Refusal::throttled(1), serial),
        FaultKind::Reset | FaultKind::ResetAfter => Answer::closed(),
        FaultKind::Hang => Answer { delivery: Delivery::Late, ..Answer::closed() },
        FaultKind::Garbage => Answer::json("{\"id\":\"user_\u{fffd}\",,,upstream".to_owned()),
        FaultKind::Empty => Answer::json(String::new()),
        FaultKind::Huge => Answer { delivery: Delivery::Endless, ..Answer::json(String::new()) },
        FaultKind::Gzip => Answer::with_type(200, "application/json", GZIP.to_vec())
            .with_header("Content-Encoding", "gzip"),
        FaultKind::Redirect => {
            Answer::with_type(307, "text/plain", Vec::new()).with_header("Location", NOWHERE)
        }
        FaultKind::Deep => Answer::json("[".repeat(DEPTH) + &"]".repeat(DEPTH)),
        FaultKind::Escapes => {
            let long_message = Cow::Borrowed(ESCAPES);
            let refusal = Refusal::new(422, "form_param_value_invalid", ESCAPES);
            Answer::refusal(&Refusal { long_message, ..refusal }, serial)
        }
        FaultKind::InternalError
        | FaultKind::Truncated
        | FaultKind::Slow
        | FaultKind::OtherUser
        | FaultKind::StillLocked => Answer::refusal(&Refusal::plain(500), serial),
    }
}

/// The discard port of this machine: a key that went there went nowhere.
const NOWHERE: &str = "http://127.0.0.1:9/";

fn html(status: u16, page: &str) -> Answer {
    Answer::with_type(status, "text/html; charset=UTF-8", page.as_bytes().to_vec())
}
