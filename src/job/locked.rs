//! A walk over the instance finds the users who are locked now: `locked` lists them, and
//! `--all-locked` makes them the input of a job. The users are counted first, and looked up again
//! where two pages disagree about them.

use std::path::PathBuf;

use serde_json::json;
use tokio::runtime::Builder;

use super::command_line::of_another_input;
use super::connection::Connection;
use super::exit::{ExitStatus, Failure};
use super::input::{Exclusions, InputSource, read_exclusions};
use super::output_paths::{check_in_the_way, check_not_read};
use super::run::Stages;
use super::settings::{Execution, ExistingFile};
use super::{Context, Job};
use crate::clerk::{MAX_LOOK_UP, UserFilter};
use crate::engine::{
    Count, Recheck, Recorder, Recording, Session, Shortfall, Stretch, Walk, Work, now, wall_clock,
};
use crate::model::{Identifier, StopReason};
use crate::policy::selection::{Condition, Selection};
use crate::report::{Console, Level, LogType, Progress, text};
use crate::results::{
    AtomicWriter, ListCounts, LockedFormat, LockedList, Redaction, SnapshotMode, check_own_list,
    refuse_existing,
};
use crate::stats::summary::CommandKind;
use crate::stats::{Size, Stats};

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
    if let Some(path) = &output {
        check_not_read(path, &context.effective.files)?;
    }
    let list = match &output {
        None => LockedList::to_stdout(format, selection.clone()),
        Some(path) => LockedList::create(path, may_replace, format, selection.clone())?,
    };
    let stop = context.signals.stop().child();
    let deadline = execution.max_duration.and_then(|it| now().checked_add(it));
    let session = Session { stop: &stop, signals: context.signals, deadline };
    let (list, filtered, _) = walk(list, &selection, execution, connection, context, session)?;
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

/// The result of a walk, before the input of a job is read. Empty for other inputs.
#[derive(Default)]
pub(super) struct Walked {
    /// The list, which is not at its path yet; `None` where an earlier run walked.
    pub(super) list: Option<AtomicWriter>,
    /// The users to exclude.
    pub(super) exclusions: Option<Exclusions>,
    /// The requests of the walk.
    pub(super) stats: Option<Stats>,
    /// How many users are listed, and how many each condition left out.
    pub(super) lines: Vec<String>,
    /// Users whose lock state is unclear in the response.
    pub(super) n_undecided: u64,
}

/// Walks the instance where that is the input of the job, unless a run is resumed, whose list exists.
/// Whatever can be refused without a request is refused first.
pub(super) fn walk_instance(job: &Job<'_>) -> Result<Walked, Failure> {
    let Job { settings, connection, context, files, session } = *job;
    let InputSource::Instance { list: path, selection, .. } = &settings.input else {
        return Ok(Walked::default());
    };
    let console = context.console;
    let exclusions = Some(read_exclusions(settings, console)?);
    match check_in_the_way(settings, connection)? {
        ExistingFile::Resume if settings.output.path.exists() => {
            return Ok(Walked { exclusions, ..Walked::default() });
        }
        ExistingFile::Replace => check_own_list(path)?,
        ExistingFile::Resume | ExistingFile::Refuse => refuse_existing(path)?,
    }
    drop(files.report.as_deref().map(AtomicWriter::create).transpose()?);
    let find = || {
        let snapshot = match settings.output.snapshot {
            SnapshotMode::None => SnapshotMode::None,
            SnapshotMode::Full | SnapshotMode::Summary => SnapshotMode::Summary,
        };
        let redaction = Redaction::new(settings.output.redact.iter().cloned());
        let format = LockedFormat { snapshot, redaction };
        let list = LockedList::create(path, true, format, selection.clone())?;
        let (list, filtered, stats) =
            walk(list, selection, settings.execution, connection, context, session)?;
        let counts = list.counts();
        let mut lines = vec![headline(&counts, selection)];
        lines.extend(left_out(&counts, &filtered, selection));
        for line in &lines {
            console.note(line);
        }
        if counts.n_unknown > 0 {
            warn_of_unknown(counts.n_unknown, console);
            lines.push(format!(
                "Not listed, because {UNKNOWN_LOCK}: {}.",
                text::counted(counts.n_unknown, "user", "users")
            ));
        }
        let (list, stats) = (list.write()?, Some(stats));
        Ok(Walked { list, exclusions, stats, lines, n_undecided: counts.n_unknown })
    };
    find().map_err(|failure: Failure| match settings.command {
        CommandKind::Run => {
            Failure::text(failure.status, format!("{failure}; no user was unlocked"))
        }
        _ => failure,
    })
}

/// How many users are in a list, in one line.
fn headline(counts: &ListCounts, selection: &Selection) -> String {
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
fn left_out(counts: &ListCounts, filtered: &Filtered, selection: &Selection) -> Vec<String> {
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

/// Why a user is not listed.
const UNKNOWN_LOCK: &str = "`locked` is neither true nor false, or \
                            `verification_attempts_remaining` is not an integer";

/// Warns of users who are neither listed nor known to be unlocked.
fn warn_of_unknown(n_unknown: u64, console: &Console) {
    let users = text::counted(n_unknown, "user", "users");
    console.warning(&format!("not listed: {users} whose {UNKNOWN_LOCK} in the response"));
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
            Failure::text(failure.status, text)
        }
        Err(error) => error.into(),
    }
}

/// How many users the API has with and without its filters; `None` where it does not count them.
#[derive(Debug, Default)]
pub(super) struct Filtered {
    /// All users of the instance; counted only where the API filters.
    n_all_users: Option<u64>,
    /// For each condition that the API filters, the users who meet it.
    n_users: Vec<Option<u64>>,
}

/// Walks the instance and fills the list; counts its requests. Of an incomplete walk, an error is
/// returned, and a list that would be a file is kept as `NAME.part.csv`.
fn walk(
    list: LockedList,
    selection: &Selection,
    execution: Execution,
    connection: &Connection,
    context: Context<'_>,
    session: Session<'_>,
) -> Result<(LockedList, Filtered, Stats), Failure> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let stats = Stats::new(Size::default(), now(), wall_clock());
    let recording = Recording::of_walk(list, stats, session.stop);
    let (result, recorded) = std::thread::scope(|scope| {
        let recorder = Recorder::spawn(scope, recording).map_err(Failure::internal)?;
        let stages = Stages { connection, context, session, runtime, recorder };
        let walker = Walker { stages, execution, filter: selection.filter() };
        let result = walker.walk().and_then(|counted| walker.count_filtered(selection, counted));
        Ok::<_, Failure>((result, walker.stages.recorder.finish()))
    })?;
    if let Some(metrics) = context.metrics {
        metrics.end_job(&recorded.stats, recorded.stats.n_unprocessed());
    }
    let list = recorded.list.ok_or_else(|| {
        Failure::text(ExitStatus::Internal, "internal error: list of users missing")
    })?;
    match result {
        Ok(filtered) => Ok((list, filtered, recorded.stats)),
        Err(failure) => Err(incomplete(failure, list)),
    }
}

struct Walker<'scope, 'env> {
    stages: Stages<'scope, 'env>,
    execution: Execution,
    /// The part of the selection that the API filters.
    filter: UserFilter,
}

impl Walker<'_, '_> {
    /// Walks all users who meet the filter; an error when some may be missing from the list. Gives
    /// the number of them that the API counted.
    fn walk(&self) -> Result<Option<u64>, Failure> {
        let Stages { connection, context, recorder, .. } = &self.stages;
        context.console.note(&format!("Counting users first ({})", connection.host));
        let counted = self.count(&self.filter)?;
        let n_users = counted.unwrap_or(0);
        let size = Size { n_records: n_users, n_jobs: n_users };
        recorder.call(move |recording| recording.stats.size = size)?;
        let stretches = self.stretches(n_users)?;
        let walk = Walk::new(&connection.client, counted);
        self.work(&walk, stretches, context.progress)?;
        let walked = self.check(walk.finish())?;
        self.recheck()?;
        let counts = recorder.call(|it| it.list.as_ref().map(LockedList::counts))?;
        let n_listed = counts.unwrap_or_default().n_users;
        let why = match counted {
            Some(counted) if n_listed < counted => format!(
                "the list is incomplete: the API counted {}, but listed {}",
                text::counted(counted, "user", "users"),
                text::number(n_listed)
            ),
            None if walked.has_short_pages => {
                "the list may be incomplete: the API puts fewer users on a page than requested, \
                 and did not count them"
                    .to_owned()
            }
            _ => return Ok(counted),
        };
        Err(Failure::text(ExitStatus::Guard, why))
    }

    /// The number of users who meet a filter; `None` where the API does not count them. A walk does
    /// not need it, but shows by it whether users are missing.
    fn count(&self, filter: &UserFilter) -> Result<Option<u64>, Failure> {
        let count = Count::new(&self.stages.connection.client, filter.clone());
        self.work(&count, vec![()], Progress::None)?;
        self.check(Ok(()))?;
        match count.finish() {
            Some(Ok(n_users)) => Ok(Some(n_users)),
            Some(Err(failure)) => {
                let text = format!("cannot count the users: {}", failure.message);
                self.stages.context.console.warning(&text);
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
        let mut filtered = Filtered { n_all_users: None, n_users: vec![None; filters.len()] };
        if counted.is_some() && !filters.is_empty() {
            filtered.n_users = match filters.as_slice() {
                [_] => vec![counted],
                filters => filters.iter().map(|it| self.count(it)).collect::<Result<_, _>>()?,
            };
            filtered.n_all_users = self.count(&UserFilter::default())?;
        }
        self.check_organizations(&filters, &filtered)?;
        Ok(filtered)
    }

    /// A user object does not show memberships, so a server that ignores the parameter would widen
    /// the list unnoticed. If all users seem to be members, the number of non-members must be 0.
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
                    let excluded_organization_ids = vec![id.clone()];
                    let others = UserFilter { excluded_organization_ids, ..UserFilter::default() };
                    self.count(&others)? != Some(0)
                }
                _ => true,
            };
            if is_ignored {
                let text = "cannot check that the API applies --organization: it counts as many \
                            users with the filter as without it, or does not count them";
                return Err(Failure::text(ExitStatus::Guard, text));
            }
        }
        Ok(())
    }

    /// Divides the time between the oldest and the newest user; one stretch where it is not known.
    fn stretches(&self, n_users: u64) -> Result<Vec<Stretch>, Failure> {
        let whole = || Ok(vec![Stretch::whole(self.filter.clone())]);
        let n_stretches = Stretch::n_for(n_users);
        if n_stretches <= 1 {
            return whole();
        }
        let ends = Walk::new(&self.stages.connection.client, None);
        let ends_of_list = [Stretch::oldest, Stretch::newest].map(|of| of(self.filter.clone()));
        self.work(&ends, ends_of_list.into(), Progress::None)?;
        let Some(created) = self.check(ends.finish())?.created else { return whole() };
        let spans = created.cut(n_stretches);
        let last = spans.len().saturating_sub(1);
        let stretch = |(at, &span)| Stretch::of(&self.filter, span, at == 0, at == last);
        Ok(spans.iter().enumerate().map(stretch).collect())
    }

    /// Looks up again users about whom pages disagree.
    fn recheck(&self) -> Result<(), Failure> {
        let disputed = self.stages.recorder.call(|recording| {
            recording.list.as_mut().map(LockedList::take_disputed).unwrap_or_default()
        })?;
        if disputed.is_empty() {
            return Ok(());
        }
        let users = disputed.iter().filter_map(|id| Some(Identifier::UserId(id.parse().ok()?)));
        let users: Vec<Identifier> = users.collect();
        let batches = users.chunks(MAX_LOOK_UP).map(<[Identifier]>::to_vec).collect();
        let recheck = Recheck::new(&self.stages.connection.client);
        self.work(&recheck, batches, Progress::None)?;
        self.check(recheck.finish())
    }

    fn work<W: Work>(
        &self,
        work: &W,
        items: Vec<W::Item>,
        progress: Progress,
    ) -> Result<(), Failure> {
        let pool = self.execution.look_up_pool(self.stages.connection.pace);
        let listeners = self.stages.listeners(CommandKind::Locked, &[], progress);
        Ok(self.stages.work(work, items, pool, listeners)?)
    }

    /// An error when the walk was stopped or users are missing.
    fn check<T>(&self, result: Result<T, Shortfall>) -> Result<T, Failure> {
        if let Some(reason) = self.stages.session.stop.reason() {
            return Err(self.stopped(reason));
        }
        let (status, failure) = match result {
            Ok(value) => return Ok(value),
            Err(Shortfall::Refused(failure)) if matches!(failure.status, Some(401..=403)) => {
                (ExitStatus::Key, failure)
            }
            Err(Shortfall::Refused(failure) | Shortfall::NoAnswer(failure)) => {
                (ExitStatus::Guard, failure)
            }
        };
        let text = format!("the list is incomplete: {} ({})", failure.message, failure.code);
        Err(Failure::text(status, text))
    }

    fn stopped(&self, reason: StopReason) -> Failure {
        let text = match reason {
            StopReason::Unauthorized => self.stages.connection.refused_key(),
            reason => format!("the list is incomplete: the walk was stopped ({reason})"),
        };
        Failure::text(ExitStatus::of_early_stop(reason), text)
    }
}
