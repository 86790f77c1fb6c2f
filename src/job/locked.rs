//! The list of locked users: count, walk, look up again users about whom pages disagree.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use super::Context;
use super::connection::Connection;
use super::exit::{ExitStatus, Failure};
use super::next::of_another_input;
use super::settings::Execution;
use crate::clerk::{MAX_LOOK_UP, UserFilter};
use crate::engine::{
    Count, Recheck, Recorder, Recording, Session, Shortfall, Span, Stretch, Walk, Work, WorkerPool,
    now, wall_clock,
};
use crate::model::{Identifier, StopReason};
use crate::policy::selection::{Condition, Selection};
use crate::report::{
    Console, Level, Listener, LogType, Metrics, Progress, ReportContext, listeners, text,
};
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
    pub(crate) selection: Selection,
    pub(crate) execution: Execution,
}

/// Lists the users of the instance who are locked now.
pub(crate) fn list_locked(
    settings: ListSettings,
    connection: &Connection,
    context: Context<'_>,
) -> Result<ExitStatus, Failure> {
    let ListSettings { output, may_replace, format, selection, execution } = settings;
    let list = match &output {
        None => LockedList::to_stdout(format, selection.clone()),
        Some(path) => LockedList::create(path, may_replace, format, selection.clone())?,
    };
    let stop = context.signals.stop().child();
    let deadline = execution.max_duration.and_then(|it| now().checked_add(it));
    let place = WalkContext { connection, context, execution, deadline, stop: &stop };
    let (list, filtered, _) = walk(list, &selection, place)?;
    let counts = list.counts();
    let path = list.finish()?;
    let fields = json!({ "users": counts.n_users, "locked": counts.n_listed });
    let headline = headline(&counts, &selection);
    context.console.log_as(LogType::Summary, Level::Answer, &headline, fields);
    for line in left_out(&counts, &filtered, &selection) {
        context.console.note(&line);
    }
    if let Some(path) = path.filter(|_| counts.n_listed > 0) {
        let line = of_another_input(&context.effective.line).without(&["snapshot", "redact"]);
        let plan = line.for_command("plan").operand(path).to_shell();
        context.console.note(&format!("\nTo see what a run would do with them:\n  {plan}"));
    }
    if counts.n_unknown > 0 {
        warn_of_unknown(counts.n_unknown, context.console);
        return Ok(ExitStatus::NotAllWell);
    }
    Ok(ExitStatus::Success)
}

/// How many users are in a list, in one line.
pub(super) fn headline(counts: &ListCounts, selection: &Selection) -> String {
    let users = text::counted(counts.n_users, "user", "users");
    let n_listed = text::number(counts.n_listed);
    let of = if selection.conditions.is_empty() {
        format!("{n_listed} of {users} are locked")
    } else {
        let locked = text::counted(counts.n_locked(), "locked user", "locked users");
        format!("{n_listed} of {locked} are listed ({users} read)")
    };
    let never_expiring = text::number(counts.n_never_expiring);
    let never_expiring = format!("{never_expiring} with a lock that never expires.");
    if selection.conditions.contains(&Condition::NotAdminLocked) {
        return format!("{of}: {never_expiring}");
    }
    let admin_locked = text::number(counts.n_admin_locked);
    format!("{of}: {admin_locked} locked on purpose, {never_expiring}")
}

/// How many users each condition left out, a line each for the program and for the API.
pub(super) fn left_out(
    counts: &ListCounts,
    filtered: &Filtered,
    selection: &Selection,
) -> Vec<String> {
    let conditions = || selection.conditions.iter();
    let locked = conditions().zip(&counts.left_out).filter(|(condition, n)| {
        // What the API filtered out was not read.
        condition.filter().is_none() || **n > 0
    });
    let locked: Vec<String> =
        locked.map(|(condition, n)| format!("{condition}: {}", text::number(*n))).collect();
    let n_left_out = |n_users: &Option<u64>| match (filtered.n_all_users, n_users) {
        (Some(all), Some(n_users)) => text::number(all.saturating_sub(*n_users)),
        _ => "unknown".to_owned(),
    };
    let by_api: Vec<String> = conditions()
        .filter(|condition| condition.filter().is_some())
        .zip(&filtered.n_users)
        .map(|(condition, n_users)| format!("{condition}: {}", n_left_out(n_users)))
        .collect();
    let mut lines = Vec::new();
    if !by_api.is_empty() {
        let of = filtered.n_all_users.map(|n| format!(" of {}", text::counted(n, "user", "users")));
        let of = of.unwrap_or_default();
        lines.push(format!("Left out by the API{of}, locked or not: {}.", by_api.join(", ")));
    }
    if !locked.is_empty() {
        let of = text::counted(counts.n_locked(), "locked user", "locked users");
        lines.push(format!("Left out of {of}: {}.", locked.join(", ")));
    }
    lines
}

/// Warns of users who are neither listed nor known to be unlocked.
pub(super) fn warn_of_unknown(n_unknown: u64, console: &Console) {
    let users = text::counted(n_unknown, "user", "users");
    console.warning(&format!(
        "not listed: {users} whose `locked` is neither true nor false in the response"
    ));
}

/// Keeps what an incomplete walk found under another name, where a guard stopped it.
fn incomplete(failure: Failure, list: LockedList) -> Failure {
    if failure.status != ExitStatus::Guard {
        return failure;
    }
    let n_listed = text::counted(list.counts().n_listed, "locked user", "locked users");
    match list.finish_incomplete() {
        Ok(None) => failure,
        Ok(Some(part)) => {
            let text = format!("{failure}; the {n_listed} found so far are in {}", part.display());
            Failure::new(failure.status, anyhow::anyhow!(text))
        }
        Err(error) => error.into(),
    }
}

/// What a walk shares with its caller.
#[derive(Clone, Copy)]
pub(super) struct WalkContext<'a> {
    pub(super) connection: &'a Connection,
    pub(super) context: Context<'a>,
    pub(super) execution: Execution,
    pub(super) deadline: Option<Instant>,
    pub(super) stop: &'a Stop,
}

/// How many users the API has with and without its filters; `None` where it does not count them.
#[derive(Debug, Default)]
pub(super) struct Filtered {
    /// All users of the instance; counted only where the API filters.
    n_all_users: Option<u64>,
    /// For each condition that the API filters, the users who meet it.
    n_users: Vec<Option<u64>>,
}

/// Walks the instance and fills the list; counts its requests. Of an incomplete walk, an error is returned, and a list
/// that would be a file is kept as `NAME.part.csv`.
pub(super) fn walk(
    list: LockedList,
    selection: &Selection,
    place: WalkContext<'_>,
) -> Result<(LockedList, Filtered, Stats), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let stats = Stats::new(Size::default(), now(), wall_clock());
    let recording = Recording::of_walk(list, stats, place.stop);
    let (result, recorded) = std::thread::scope(|scope| {
        let recorder = Recorder::spawn(scope, recording).map_err(Failure::internal)?;
        let walker = Walker { place, filter: selection.filter(), runtime, recorder };
        let result = walker.walk().and_then(|counted| walker.count_filtered(selection, counted));
        Ok::<_, Failure>((result, walker.recorder.finish()))
    })?;
    if let Some(metrics) = place.context.metrics {
        metrics.end_job(&recorded.stats, recorded.stats.n_unprocessed());
    }
    let list = recorded.list.ok_or_else(|| {
        Failure::internal(anyhow::anyhow!("internal error: list of users missing"))
    })?;
    match result {
        Ok(filtered) => Ok((list, filtered, recorded.stats)),
        Err(failure) => Err(incomplete(failure, list)),
    }
}

struct Walker<'scope, 'env> {
    place: WalkContext<'env>,
    /// The part of the selection that the API filters.
    filter: UserFilter,
    runtime: Runtime,
    recorder: Recorder<'scope, 'env>,
}

impl<'env> Walker<'_, 'env> {
    /// Walks all users who meet the filter; an error when some may be missing from the list. Gives
    /// the number of them that the API counted.
    fn walk(&self) -> Result<Option<u64>, Failure> {
        let place = &self.place;
        place.context.console.note(&format!("Counting users first ({})", place.connection.host));
        let counted = self.count(&self.filter)?;
        self.call(move |recording| {
            let n_users = counted.unwrap_or(0);
            recording.stats.size = Size { n_records: n_users, n_jobs: n_users };
        })?;
        let stretches = self.stretches(counted.unwrap_or(0))?;
        let walk = Walk::new(&place.connection.client, counted);
        self.work(&walk, stretches, place.context.progress)?;
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
            _ => Ok(counted),
        }
    }

    /// The number of users who meet a filter; `None` where the API does not count them. A walk does
    /// not need it, but shows by it whether users are missing.
    fn count(&self, filter: &UserFilter) -> Result<Option<u64>, Failure> {
        let count = Count::new(&self.place.connection.client, filter.clone());
        self.work(&count, vec![()], Progress::None)?;
        self.check(None)?;
        match count.finish() {
            Some(Ok(n_users)) => Ok(Some(n_users)),
            Some(Err(failure)) => {
                let text = format!("cannot count the users: {}", failure.message);
                self.place.context.console.warning(&text);
                Ok(None)
            }
            None => Err(self.stopped(StopReason::Interrupted)),
        }
    }

    /// Counts the users whom each filter of the API leaves out; `counted` is with all filters. Without
    /// a count of the API, no number is known.
    fn count_filtered(
        &self,
        selection: &Selection,
        counted: Option<u64>,
    ) -> Result<Filtered, Failure> {
        let filters: Vec<UserFilter> =
            selection.conditions.iter().filter_map(Condition::filter).collect();
        let uncounted = Filtered { n_all_users: None, n_users: vec![None; filters.len()] };
        if filters.is_empty() || counted.is_none() {
            self.check_organizations(&filters, &uncounted)?;
            return Ok(uncounted);
        }
        let n_users = match filters.as_slice() {
            [_] => vec![counted],
            filters => filters.iter().map(|filter| self.count(filter)).collect::<Result<_, _>>()?,
        };
        let filtered = Filtered { n_all_users: self.count(&UserFilter::default())?, n_users };
        self.check_organizations(&filters, &filtered)?;
        Ok(filtered)
    }

    /// A user object does not show memberships, so a server that ignores the parameter would widen
    /// the list unnoticed. Where all users seem to be members, there must be none who are not.
    fn check_organizations(
        &self,
        filters: &[UserFilter],
        filtered: &Filtered,
    ) -> Result<(), Failure> {
        for (filter, n_members) in filters.iter().zip(&filtered.n_users) {
            let [id] = filter.organization_ids.as_slice() else { continue };
            let is_ignored = match (filtered.n_all_users, *n_members) {
                (Some(all), Some(n_members)) if n_members < all || all == 0 => false,
                (Some(_), Some(_)) => {
                    let organization_ids = vec![format!("-{id}")];
                    let others = UserFilter { organization_ids, ..UserFilter::default() };
                    self.count(&others)? != Some(0)
                }
                _ => true,
            };
            if is_ignored {
                let text = "cannot check that the API applies --organization: it counts as many \
                            users with the filter as without it, or does not count them";
                return Err(Failure::new(ExitStatus::Guard, anyhow::anyhow!(text)));
            }
        }
        Ok(())
    }

    /// Cuts the time between the oldest and the newest user; one stretch, where that is not known.
    fn stretches(&self, n_users: u64) -> Result<Vec<Stretch>, Failure> {
        /// For fewer users, one walk is as fast as several.
        const USERS_PER_STRETCH: u64 = 5_000;
        const MAX_STRETCHES: u64 = 16;
        let n_stretches = (n_users / USERS_PER_STRETCH).clamp(1, MAX_STRETCHES);
        if n_stretches == 1 {
            return Ok(vec![Stretch::whole(self.filter.clone())]);
        }
        let ends = Walk::new(&self.place.connection.client, None);
        let ends_of_list = [Stretch::oldest, Stretch::newest].map(|of| of(self.filter.clone()));
        self.work(&ends, ends_of_list.into(), Progress::None)?;
        let walked = ends.finish();
        self.check(walked.as_ref().err())?;
        let Some(Span { from, to }) = walked.ok().and_then(|walked| walked.created) else {
            return Ok(vec![Stretch::whole(self.filter.clone())]);
        };
        let spans = Span { from, to }.cut(u32::try_from(n_stretches).unwrap_or(1));
        let last = spans.len().saturating_sub(1);
        let stretch = |(at, &span)| Stretch::of(&self.filter, span, at == 0, at == last);
        Ok(spans.iter().enumerate().map(stretch).collect())
    }

    /// Looks up again users about whom pages disagree.
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
        let recheck = Recheck::new(&self.place.connection.client);
        self.work(&recheck, batches, Progress::None)?;
        self.check(recheck.finish().as_ref().err())
    }

    fn work<W: Work>(
        &self,
        work: &W,
        items: Vec<W::Item>,
        progress: Progress,
    ) -> Result<(), Failure> {
        let WalkContext { connection, context, execution, deadline, stop } = self.place;
        let session = Session { stop, signals: context.signals, deadline };
        let pool = execution.look_up_pool(connection.pace);
        let report = ReportContext {
            command: CommandKind::Locked,
            ceiling: Some(connection.ceiling()),
            records: &[],
        };
        let mut listeners: Vec<Box<dyn Listener + 'env>> =
            listeners(context.console, progress, report);
        listeners.extend(context.metrics.map(Metrics::listener));
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
        if let Some(reason) = self.place.stop.reason() {
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
                format!("the API refused the {} (401)", self.place.connection.key_and_host())
            }
            reason => format!("the list is incomplete: the walk was stopped ({reason})"),
        };
        Failure::new(ExitStatus::of(&summary), anyhow::anyhow!(text))
    }
}
