//! The requests of `check`: the number of users, and one page with one user.

use std::time::{Duration, SystemTime};

use tokio::runtime::Builder;

use super::connection::Connection;
use super::exit::{ExitStatus, Failure};
use crate::clerk::{PageRequest, Probe, TlsVersion};
use crate::engine::{now, wall_clock};
use crate::model::{self, Fault, StopReason};
use crate::policy::classify::{self, Verdict};
use crate::policy::pacing::Report;

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
        TlsVersion::Failed(fault) => return Err(unreachable(connection, &fault)),
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
) -> (model::Reply, Option<i64>, Duration) {
    let permit = connection.pacer.permit().await;
    let (sent_at, wall) = (now(), wall_clock());
    let Probe { reply, date } = request.await;
    let took = sent_at.elapsed();
    permit.report(match &reply {
        model::Reply::Answer(answer) if answer.status == 429 => {
            Report::Throttled(answer.retry_after)
        }
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
            let text = format!("the API refused the {} (401)", connection.key_and_host());
            return Err(Failure::new(ExitStatus::Key, anyhow::anyhow!(text)));
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
    Err(Failure::new(status, anyhow::anyhow!(text)))
}

fn unreachable(connection: &Connection, fault: &Fault) -> Failure {
    Failure::usage(format!("cannot reach {}: {fault}", connection.host))
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
