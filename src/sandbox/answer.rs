//! What goes back over the wire, before it does.

use super::refusal::Refusal;

/// What goes back over the wire.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// Meaningless where nothing is sent.
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) delivery: Delivery,
}

/// How a body goes out.
#[derive(Debug, PartialEq)]
pub(super) enum Delivery {
    /// As it should.
    Whole(Vec<u8>),
    /// Half of it, then the connection is closed.
    CutOff(Vec<u8>),
    /// In small pieces.
    Trickled(Vec<u8>),
    /// 64 MiB of nothing.
    Endless,
    /// No answer: the connection is closed.
    Closed,
    /// No answer, and the connection is closed late.
    Late,
}

impl Answer {
    pub(super) fn json(body: String) -> Self {
        Self::with_type(200, "application/json", body.into_bytes())
    }

    pub(super) fn refusal(refusal: &Refusal, serial: u64) -> Self {
        let body = refusal.body(serial).into_bytes();
        let mut answer = Self::with_type(refusal.status, "application/json", body);
        if let Some(seconds) = refusal.retry_after {
            answer = answer.with_header("Retry-After", &seconds.to_string());
        }
        answer
    }

    pub(super) fn with_type(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), delivery: Delivery::Whole(body) }
            .with_header("Content-Type", content_type)
    }

    pub(super) fn closed() -> Self {
        Self { status: 0, headers: Vec::new(), delivery: Delivery::Closed }
    }

    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, but for the way in which the body goes out.
    pub(super) fn delivered(mut self, how: fn(Vec<u8>) -> Delivery) -> Self {
        if let Delivery::Whole(body) = self.delivery {
            self.delivery = how(body);
        }
        self
    }

    /// The status, where one is sent.
    pub(super) fn sent_status(&self) -> Option<u16> {
        let is_sent = !matches!(self.delivery, Delivery::Closed | Delivery::Late);
        is_sent.then_some(self.status)
    }
}
