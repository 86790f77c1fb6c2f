//! The instance that a job calls, and the two requests of `check`.

use std::time::{Duration, SystemTime};

use tokio::runtime::Builder;

use super::exit::{ExitStatus, Failure};
use crate::clerk::{Client, KeyKind, PageRequest, Probe, TlsVersion};
use crate::engine::{Pacer, now, wall_clock};
use crate::model::{Reply, StopReason};
use crate::policy::classify::{self, Verdict};
use crate::policy::pacing::{Pace, Quota, Report};
use crate::sandbox::Sandbox;
use crate::stats::Ceiling;

/// The kind of instance that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instance {
    /// `sk_live_…`.
    Production,
    /// `sk_test_…`.
    Development,
    /// A key with another prefix: the care of production, the quota of development.
    Unknown,
    /// A server inside this program.
    Sandbox,
}

impl Instance {
    /// The word in manifests and summaries.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Production => KeyKind::Production.as_str(),
            Self::Development => KeyKind::Development.as_str(),
            Self::Unknown => KeyKind::Unknown.as_str(),
            Self::Sandbox => "sandbox",
        }
    }
}

/// A client of one instance and its pace. Nothing was sent yet.
pub(crate) struct Connection {
    pub(crate) instance: Instance,
    /// The host as results and plans name it.
    pub(crate) host: String,
    /// The fingerprint of the key; none in the sandbox.
    pub(crate) fingerprint: Option<String>,
    pub(crate) client: Client,
    pub(crate) pace: Pace,
    /// Shared by all jobs of this process: what a run sent counts for its read-back.
    pub(crate) pacer: Pacer,
    /// The quota that the pace is a part of, and the part in percent; `None` under `--rate`.
    pub(crate) share_of: Option<(f64, Quota)>,
    /// The embedded sandbox, which ends with the connection.
    #[expect(dead_code, reason = "it is dropped with the connection")]
    pub(crate) sandbox: Option<Sandbox>,
}

impl Connection {
    /// The pace as the progress bar shows it.
    pub(crate) fn ceiling(&self) -> Ceiling {
        let quota = self.pace.quota();
        let is_spaced = !matches!(self.pace, Pace::Burst(_));
        Ceiling { n_requests: quota.n.get(), per: quota.per, is_spaced }
    }

    /// The message about a refused key.
    pub(super) fn refused_key(&self) -> String {
        let key = self.fingerprint.as_deref().unwrap_or("of the sandbox");
        format!("the API refused the key {key} at {} (401)", self.host)
    }
}

/// What two responses show.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) is_encrypted: bool,
    /// `None` where it is not known: a proxy is in between.
    pub(crate) tls_version: Option<String>,
    /// The clock of this machine less that of the server, in seconds; `None` without a `Date`.
    pub(crate) clock_skew: Option<i64>,
    pub(crate) n_users: u64,
    /// Of the first request, which connects, and of the second.
    pub(crate) latency: [Duration; 2],
}

/// Asks the API twice, at the pace of a run. Each request is sent once: what fails now may fail
/// then.
pub(crate) fn check(connection: &Connection) -> Result<Checked, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let client = &connection.client;
    let tls_version = match client.tls_version() {
        TlsVersion::Known(version) => Some(version),
        TlsVersion::Unknown => None,
        TlsVersion::Failed(fault) => {
            return Err(Failure::usage(format!("cannot reach {}: {fault}", connection.host)));
        }
    };
    runtime.block_on(async {
        let count = PageRequest::default().filter;
        let (counted, skew, connecting) = ask(connection, client.probe_count(&count)).await;
        let n_users = good(connection, classify::count(counted))?;
        let page = PageRequest { limit: 1, ..PageRequest::default() };
        let (listed, _, connected) = ask(connection, client.probe_page(&page)).await;
        let users = good(connection, classify::page(listed))?;
        if users.len() > 1 {
            let text = format!("the API lists {} users on a page of one", users.len());
            return Err(Failure::usage(text));
        }
        Ok(Checked {
            is_encrypted: client.address().is_https(),
            tls_version,
            clock_skew: skew,
            n_users,
            latency: [connecting, connected],
        })
    })
}

async fn ask(
    connection: &Connection,
    request: impl Future<Output = Probe>,
) -> (Reply, Option<i64>, Duration) {
    let permit = connection.pacer.permit().await;
    let (sent_at, wall) = (now(), wall_clock());
    let Probe { reply, date } = request.await;
    let took = sent_at.elapsed();
    permit.report(match &reply {
        Reply::Answer(answer) if answer.status == 429 => Report::Throttled(answer.retry_after),
        _ => Report::Answered,
    });
    (reply, date.map(|date| skew(wall + took / 2, date)), took)
}

/// The server's date has whole seconds: on average, half a second has passed since.
fn skew(here: SystemTime, date: SystemTime) -> i64 {
    let seconds = match here.duration_since(date) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    };
    #[expect(clippy::cast_possible_truncation, reason = "dates are less than 2^63 s apart")]
    let skew = (seconds - 0.5).round_ties_even() as i64;
    skew
}

fn good<T>(connection: &Connection, verdict: Verdict<T>) -> Result<T, Failure> {
    let (status, failure) = match verdict {
        Verdict::Good(good) => return Ok(good),
        Verdict::Fatal(StopReason::Unauthorized, _) => {
            return Err(Failure::text(ExitStatus::Key, connection.refused_key()));
        }
        Verdict::Final(_, failure) if matches!(failure.status, Some(402 | 403)) => {
            (ExitStatus::Key, failure)
        }
        Verdict::Final(_, failure)
        | Verdict::Fatal(_, failure)
        | Verdict::StillLocked(_, failure)
        | Verdict::Throttled { failure, .. }
        | Verdict::Transient { failure, .. } => (ExitStatus::Usage, failure),
    };
    let text = format!(
        "{} did not answer as expected: {} ({})",
        connection.host, failure.message, failure.code
    );
    Err(Failure::text(status, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_of_the_servers_clock_are_no_skew() {
        let at = |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        for (here, expected) in
            [(10_000, 0), (10_999, 0), (12_500, 2), (8_000, -2), (3_610_500, 3_600)]
        {
            assert_eq!(skew(at(here), at(10_000)), expected, "{here}");
        }
    }
}
