//! The walk over the instance: counted first, then walked in stretches side by side.

use std::cell::Cell;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

use crate::clerk::Client;
use crate::cli::Context;
use crate::cli::connection::Connection;
use crate::cli::consent::ceiling;
use crate::cli::failure::Failure;
use crate::cli::job::Execution;
use crate::cli::status::Status;
use crate::engine::{
    Count, Recorder, Recording, Session, Shortfall, Span, Stretch, Walk, Work, WorkerPool, spans,
    wall_clock,
};
use crate::model::{StopReason, UserView};
use crate::policy::stop_rule::StopRule;
use crate::report::{Listener, Progress, ReportContext, listeners};
use crate::stats::summary::{CommandKind, Ending, Summary};
use crate::stats::{Size, Stats};
use crate::stop::Stop;

/// Below so many users one walk is as quick as several.
const USERS_PER_STRETCH: u64 = 5_000;
const MOST_STRETCHES: u64 = 16;

/// Asks for pages, at the pace of every other job.
pub(super) struct Walker<'a> {
    client: &'a Client,
    connection: &'a Connection,
    execution: Execution,
    context: Context<'a>,
    runtime: Runtime,
    stop: Stop,
    deadline: Option<Instant>,
}

impl<'a> Walker<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        execution: Execution,
        context: Context<'a>,
    ) -> Result<Self, Failure> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
        let deadline = execution.max_duration.and_then(|it| Instant::now().checked_add(it));
        Ok(Self {
            client: &connection.client,
            connection,
            execution,
            context,
            runtime,
            stop: Stop::default(),
            deadline,
        })
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// How many users the instance has; `None` where the API does not say. The walk can do without,
    /// but knows by it whether somebody is missing.
    pub(super) fn count(&self) -> Result<Option<u64>, Failure> {
        self.context.console.note(&format!("counting users first ({})", self.connection.host));
        let work = Count::new(self.client);
        // There is nothing to draw yet; what goes wrong is told all the same.
        self.work(&work, vec![()], 0, self.listeners(Progress::None))?;
        match work.into_counted() {
            Some(Ok(n_users)) => Ok(Some(n_users)),
            Some(Err(refusal)) => {
                let text = format!("the users can't be counted: {}", refusal.message);
                self.context.console.warning(&text);
                Ok(None)
            }
            None => Err(self.why_stopped()),
        }
    }

    /// Walks over everybody, and says how many passed by.
    pub(super) fn walk(
        &self,
        counted: Option<u64>,
        on_page: impl FnMut(Vec<UserView>),
    ) -> Result<u64, Failure> {
        let n_users = counted.unwrap_or(0);
        let n_stretches = (n_users / USERS_PER_STRETCH).clamp(1, MOST_STRETCHES);
        let stretches = match n_stretches {
            1 => vec![Stretch::whole()],
            _ => self.stretches(u32::try_from(n_stretches).unwrap_or(1))?,
        };
        let walk = Walk::new(self.client, counted, on_page);
        self.work(&walk, stretches, n_users, self.listeners(self.context.progress))?;
        match walk.into_passed() {
            Err(shortfall) => Err(self.not_whole(&shortfall)),
            Ok(_) if self.stop.is_asked() => Err(self.why_stopped()),
            Ok(n_passed) => Ok(n_passed),
        }
    }

    /// Cuts the time between the oldest and the newest user; without their times, one stretch.
    fn stretches(&self, n_stretches: u32) -> Result<Vec<Stretch>, Failure> {
        let ends = Cell::new(None::<(i64, i64)>);
        let walk = Walk::new(self.client, None, |users: Vec<UserView>| {
            for created_at in users.iter().filter_map(|user| user.created_at) {
                let (from, to) = ends.get().unwrap_or((created_at, created_at));
                ends.set(Some((from.min(created_at), to.max(created_at))));
            }
        });
        self.work(&walk, vec![Stretch::oldest(), Stretch::newest()], 0, Vec::new())?;
        let Some((from, to)) = ends.get() else { return Ok(vec![Stretch::whole()]) };
        let spans = spans(Span { from, to }, n_stretches);
        let last = spans.len().saturating_sub(1);
        let stretch = |(at, &span)| Stretch::of(span, at == 0, at == last);
        Ok(spans.iter().enumerate().map(stretch).collect())
    }

    fn work<W: Work>(
        &self,
        work: &W,
        items: Vec<W::Item>,
        n_users: u64,
        listeners: Vec<Box<dyn Listener + '_>>,
    ) -> Result<(), Failure> {
        let size = Size { n_records: n_users, n_jobs: n_users };
        let stats = Stats::new(size, Instant::now(), wall_clock());
        // Users passed by are counted; the list is written elsewhere.
        let recording = Recording::new(None, stats, vec![], StopRule::default(), &self.stop);
        let signals = self.context.signals;
        let session = Session { stop: &self.stop, signals, deadline: self.deadline };
        let settings = self.execution.look_up_pool(self.connection.pace);
        std::thread::scope(|scope| {
            let recorder = Recorder::spawn(scope, recording).map_err(Failure::internal)?;
            let ran = session.run(&self.runtime, &recorder, listeners, async |events| {
                let pacer = &self.connection.pacer;
                WorkerPool::new(work, items, settings, pacer, &self.stop, events).run().await;
            });
            recorder.finish();
            ran.map_err(Failure::internal)
        })
    }

    fn listeners(&self, progress: Progress) -> Vec<Box<dyn Listener + '_>> {
        let ceiling = Some(ceiling(self.connection.pace));
        let scene = ReportContext { command: CommandKind::Locked, ceiling, records: &[] };
        listeners(self.context.console, progress, scene)
    }

    fn not_whole(&self, shortfall: &Shortfall) -> Failure {
        let (Shortfall::NoAnswer(failure) | Shortfall::Refused(failure)) = shortfall;
        let status = match shortfall {
            _ if self.stop.is_asked() => self.why_stopped().status,
            Shortfall::NoAnswer(_) => Status::of_stop(StopReason::Outage),
            Shortfall::Refused(_) if matches!(failure.status, Some(401..=403)) => Status::Key,
            Shortfall::Refused(_) => Status::NotAllWell,
        };
        let text = format!("the list is not whole: {} ({})", failure.message, failure.code);
        Failure::new(status, anyhow::anyhow!(text))
    }

    fn why_stopped(&self) -> Failure {
        let reason = self.stop.reason().unwrap_or(StopReason::Interrupted);
        let summary = Summary { ending: Ending::Stopped(reason), ..Summary::default() };
        let text = match reason {
            StopReason::Unauthorized => "the API refused the secret key (401)".to_owned(),
            reason => format!("the list is not whole: the walk was stopped ({reason})"),
        };
        Failure::new(Status::of(&summary), anyhow::anyhow!(text))
    }
}
