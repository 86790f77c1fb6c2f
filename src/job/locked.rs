//! The list of locked users: count, walk, look up again whoever pages disagree about.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use super::Context;
use super::connection::Connection;
use super::exit::{ExitStatus, Failure};
use super::next::of_another_input;
use super::settings::Execution;
use crate::clerk::MAX_LOOK_UP;
use crate::engine::{
    Count, Recheck, Recorded, Recorder, Recording, Session, Shortfall, Span, Stretch, Walk, Work,
    WorkerPool, wall_clock,
};
use crate::model::{Identifier, StopReason};
use crate::report::{Level, Listener, LogType, Metrics, Progress, ReportContext, listeners, text};
use crate::results::{ListCounts, LockedFormat, LockedList};
use crate::stats::summary::{CommandKind, Ending, Summary};
use crate::stats::{Size, Stats};
use crate::stop::Stop;

/// The settings of a list.
pub(crate) struct ListSettings {
    /// The file; `None` is stdout.
    pub(crate) output: Option<PathBuf>,
    pub(crate) may_replace: bool,
    pub(crate) format: LockedFormat,
    pub(crate) execution: Execution,
}

/// Lists the users of the instance who are locked now.
pub(crate) fn list_locked(
    settings: ListSettings,
    connection: &Connection,
    context: Context<'_>,
) -> Result<ExitStatus, Failure> {
    let ListSettings { output, may_replace, format, execution } = settings;
    let list = match &output {
        None => LockedList::to_stdout(format),
        Some(path) => LockedList::create(path, may_replace, format)?,
    };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let stop = context.signals.stop().child();
    let stats = Stats::new(Size::default(), Instant::now(), wall_clock());
    let recording = Recording::of_walk(list, stats, &stop);
    let deadline = execution.max_duration.and_then(|it| Instant::now().checked_add(it));
    let (result, list) = std::thread::scope(|scope| {
        let recorder = Recorder::spawn(scope, recording).map_err(Failure::internal)?;
        let walker =
            Walker { connection, context, execution, runtime, stop: &stop, deadline, recorder };
        let result = walker.walk();
        let Recorded { list, stats, .. } = walker.recorder.finish();
        if let Some(metrics) = context.metrics {
            metrics.end_job(&stats, stats.n_unprocessed());
        }
        let list = list.ok_or_else(|| {
            Failure::internal(anyhow::anyhow!("internal error: list of users missing"))
        })?;
        Ok::<_, Failure>((result, list))
    })?;
    let counts = list.counts();
    if let Err(failure) = result {
        return Err(incomplete(failure, list));
    }
    let path = list.finish()?;
    let fields = json!({ "users": counts.n_users, "locked": counts.n_locked });
    context.console.say_as(LogType::Summary, Level::Answer, &headline(counts), fields);
    if let Some(path) = path.filter(|_| counts.n_locked > 0) {
        let line = of_another_input(&context.effective.line).without(&["snapshot", "redact"]);
        let plan = line.for_command("plan").operand(path).to_shell();
        context.console.note(&format!("\nTo see what a run would do with them:\n  {plan}"));
    }
    if counts.n_unknown > 0 {
        let users = text::counted(counts.n_unknown, "user", "users");
        context.console.warning(&format!(
            "not listed: {users} whose `locked` is neither true nor false in the response"
        ));
        return Ok(ExitStatus::NotAllWell);
    }
    Ok(ExitStatus::Success)
}

fn headline(counts: ListCounts) -> String {
    format!(
        "{} of {} are locked: {} locked on purpose, {} with a lock that never expires.",
        text::number(counts.n_locked),
        text::counted(counts.n_users, "user", "users"),
        text::number(counts.n_admin_locked),
        text::number(counts.n_never_expiring)
    )
}

/// Keeps what an incomplete walk found under another name, where a guard stopped it.
fn incomplete(failure: Failure, list: LockedList) -> Failure {
    if failure.status != ExitStatus::Guard {
        return failure;
    }
    let n_locked = text::counted(list.counts().n_locked, "locked user", "locked users");
    match list.finish_incomplete() {
        Ok(None) => failure,
        Ok(Some(part)) => {
            let text = format!("{failure}; the {n_locked} found so far are in {}", part.display());
            Failure::new(failure.status, anyhow::anyhow!(text))
        }
        Err(error) => error.into(),
    }
}

struct Walker<'scope, 'env> {
    connection: &'env Connection,
    context: Context<'env>,
    execution: Execution,
    runtime: Runtime,
    stop: &'env Stop,
    deadline: Option<Instant>,
    recorder: Recorder<'scope, 'env>,
}

impl<'env> Walker<'_, 'env> {
    /// Walks the whole instance; an error when users may be missing from the list.
    fn walk(&self) -> Result<(), Failure> {
        let counted = self.count()?;
        self.call(move |recording| {
            let n_users = counted.unwrap_or(0);
            recording.stats.resize(Size { n_records: n_users, n_jobs: n_users });
        })?;
        let stretches = self.stretches(counted.unwrap_or(0))?;
        let walk = Walk::new(&self.connection.client, counted);
        self.work(&walk, stretches, self.context.progress)?;
        let walked = walk.finish();
        self.check(walked.as_ref().err())?;
        self.recheck()?;
        let n_users = self.call(|recording| recording.list.as_ref().map(LockedList::counts))?;
        let n_users = n_users.unwrap_or_default().n_users;
        match counted {
            Some(counted) if n_users < counted => Err(Failure::new(
                ExitStatus::Guard,
                anyhow::anyhow!(
                    "the list is incomplete: the API counted {}, but listed {}",
                    text::counted(counted, "user", "users"),
                    text::number(n_users)
                ),
            )),
            None if walked.is_ok_and(|walked| walked.has_short_pages) => Err(Failure::new(
                ExitStatus::Guard,
                anyhow::anyhow!(
                    "the list may be incomplete: the API puts fewer users on a page than \
                     requested, and did not count them"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The number of users; `None` where the API does not count them. A walk does not need it, but
    /// shows by it whether users are missing.
    fn count(&self) -> Result<Option<u64>, Failure> {
        self.context.console.note(&format!("Counting users first ({})", self.connection.host));
        let count = Count::new(&self.connection.client);
        self.work(&count, vec![()], Progress::None)?;
        self.check(None)?;
        match count.finish() {
            Some(Ok(n_users)) => Ok(Some(n_users)),
            Some(Err(failure)) => {
                let text = format!("cannot count the users: {}", failure.message);
                self.context.console.warning(&text);
                Ok(None)
            }
            None => Err(self.stopped(StopReason::Interrupted)),
        }
    }

    /// Cuts the time between the oldest and the newest user; one stretch, where that is not known.
    fn stretches(&self, n_users: u64) -> Result<Vec<Stretch>, Failure> {
        /// For fewer users, one walk is as fast as several.
        const USERS_PER_STRETCH: u64 = 5_000;
        const MAX_STRETCHES: u64 = 16;
        let n_stretches = (n_users / USERS_PER_STRETCH).clamp(1, MAX_STRETCHES);
        if n_stretches == 1 {
            return Ok(vec![Stretch::whole()]);
        }
        let ends = Walk::new(&self.connection.client, None);
        self.work(&ends, vec![Stretch::oldest(), Stretch::newest()], Progress::None)?;
        let walked = ends.finish();
        self.check(walked.as_ref().err())?;
        let Some(Span { from, to }) = walked.ok().and_then(|walked| walked.created) else {
            return Ok(vec![Stretch::whole()]);
        };
        let spans = Span { from, to }.cut(u32::try_from(n_stretches).unwrap_or(1));
        let last = spans.len().saturating_sub(1);
        let stretch = |(at, &span)| Stretch::of(span, at == 0, at == last);
        Ok(spans.iter().enumerate().map(stretch).collect())
    }

    /// Looks up again whoever pages disagree about.
    fn recheck(&self) -> Result<(), Failure> {
        let disputed = self.call(|recording| {
            recording.list.as_mut().map(LockedList::take_disputed).unwrap_or_default()
        })?;
        if disputed.is_empty() {
            return Ok(());
        }
        let users = disputed.iter().filter_map(|id| Some(Identifier::UserId(id.parse().ok()?)));
        let users: Vec<Identifier> = users.collect();
        let batches = users.chunks(MAX_LOOK_UP).map(<[Identifier]>::to_vec).collect();
        let recheck = Recheck::new(&self.connection.client);
        self.work(&recheck, batches, Progress::None)?;
        self.check(recheck.finish().as_ref().err())
    }

    fn work<W: Work>(
        &self,
        work: &W,
        items: Vec<W::Item>,
        progress: Progress,
    ) -> Result<(), Failure> {
        let Self { connection, stop, deadline, .. } = *self;
        let session = Session { stop, signals: self.context.signals, deadline };
        let pool = self.execution.look_up_pool(connection.pace);
        let report = ReportContext {
            command: CommandKind::Locked,
            ceiling: Some(connection.ceiling()),
            records: &[],
        };
        let mut listeners: Vec<Box<dyn Listener + 'env>> =
            listeners(self.context.console, progress, report);
        listeners.extend(self.context.metrics.map(Metrics::listener));
        let ran = session.run(&self.runtime, &self.recorder, listeners, async |events| {
            WorkerPool::new(work, items, pool, &connection.pacer, stop, events).run().await;
        });
        ran.map_err(Failure::internal)
    }

    fn call<T: Send + 'env>(
        &self,
        action: impl FnOnce(&mut Recording<'env>) -> T + Send + 'env,
    ) -> Result<T, Failure> {
        self.recorder.call(action).map_err(Failure::internal)
    }

    /// An error when the walk was stopped or users are missing.
    fn check(&self, shortfall: Option<&Shortfall>) -> Result<(), Failure> {
        if let Some(reason) = self.stop.reason() {
            return Err(self.stopped(reason));
        }
        let Some(shortfall) = shortfall else { return Ok(()) };
        let (Shortfall::NoAnswer(failure) | Shortfall::Refused(failure)) = shortfall;
        let status = match shortfall {
            Shortfall::Refused(_) if matches!(failure.status, Some(401..=403)) => ExitStatus::Key,
            Shortfall::Refused(_) | Shortfall::NoAnswer(_) => ExitStatus::Guard,
        };
        let text = format!("the list is incomplete: {} ({})", failure.message, failure.code);
        Err(Failure::new(status, anyhow::anyhow!(text)))
    }

    fn stopped(&self, reason: StopReason) -> Failure {
        let ending = Ending::Stopped(reason);
        let summary = Summary { command: CommandKind::Locked, ending, ..Summary::default() };
        let text = match reason {
            StopReason::Unauthorized => {
                format!("the API refused the {} (401)", self.connection.key_and_host())
            }
            reason => format!("the list is incomplete: the walk was stopped ({reason})"),
        };
        Failure::new(ExitStatus::of(&summary), anyhow::anyhow!(text))
    }
}
