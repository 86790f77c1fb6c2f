//! Messages about single events: pauses, outages, the stop; and the reply to SIGUSR1.

use super::text::{clean, clipped, duration};
use super::{Console, Level, Listener, Progress, ReportContext, print_status, words};
use crate::model::{Event, Failure, PauseReason, StopReason};
use crate::stats::Stats;

/// Prints single events once. The bar shows pauses by 429s itself, so they are left to it.
pub struct Notices<'a> {
    console: Console,
    context: ReportContext<'a>,
    progress: Progress,
    pause: Option<PauseReason>,
    last_failure: String,
    stopping: Option<StopReason>,
}

/// Long enough to see what is wrong; `-v` shows the rest.
const MAX_MESSAGE: usize = 120;

impl<'a> Notices<'a> {
    /// Notices in addition to this kind of progress.
    pub fn new(console: Console, context: ReportContext<'a>, progress: Progress) -> Self {
        Self {
            console,
            context,
            progress,
            pause: None,
            last_failure: String::new(),
            stopping: None,
        }
    }

    /// Each 429 and each failed probe prolongs a pause; only the first is worth a line.
    fn pause_begins(&mut self, reason: PauseReason, stats: &Stats) {
        if self.pause.replace(reason) == Some(reason) {
            return;
        }
        let limit = stats.pace(self.context.ceiling).limit;
        match (reason, limit) {
            (PauseReason::Outage, _) => {
                let why = &self.last_failure;
                self.console
                    .warning(&format!("the API does not answer{why}; sending one probe at a time"));
            }
            (PauseReason::Throttled, Some(limit)) if self.progress == Progress::Lines => {
                self.console.note(&words::limit(&limit));
            }
            (PauseReason::Throttled, _) => {}
        }
    }

    fn pause_ends(&mut self, stats: &Stats) {
        let paused = duration(stats.paused());
        match self.pause.take() {
            Some(PauseReason::Outage) => {
                self.console.note(&format!("the API answers again (paused for {paused} so far)"));
            }
            Some(PauseReason::Throttled) if self.progress == Progress::Lines => {
                self.console
                    .note(&format!("continuing after the pause (paused for {paused} so far)"));
            }
            Some(PauseReason::Throttled) | None => {}
        }
    }

    fn stop_begins(&mut self, reason: StopReason) {
        if self.stopping.replace(reason) == Some(reason) {
            return;
        }
        if let StopReason::ProxyRefused | StopReason::UntrustedCertificate = reason {
            // The reason is in the failure alone, and `-q` must not hide it.
            self.console.error(&format!("the API cannot be reached{}", self.last_failure));
        }
        let by = words::stopped_by(reason);
        let text = match reason {
            StopReason::Interrupted => {
                "Stopping: waiting for requests in flight (Ctrl-C again to stop now)".to_owned()
            }
            _ => format!("Stopping {by}: waiting for requests in flight"),
        };
        self.console.note(&text);
    }
}

/// ` (connection: the host was not found)`
fn why(failure: &Failure) -> String {
    let message = clipped(&failure.message, MAX_MESSAGE);
    format!(" ({}: {message})", clean(&failure.code))
}

impl Listener for Notices<'_> {
    fn on_event(&mut self, event: &Event, stats: &Stats) {
        match event {
            Event::AttemptFailed { failure, .. } => self.last_failure = why(failure),
            Event::Paused(pause) => self.pause_begins(pause.reason, stats),
            Event::Resumed => self.pause_ends(stats),
            Event::Stopping(reason) => self.stop_begins(*reason),
            Event::StatusAsked => {
                // Asked for, so -q does not hold it back.
                print_status(&self.console, Level::Answer, self.context, stats);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::console::tests::Page;
    use super::*;
    use crate::model::Outcome;
    use crate::report::Verbosity;
    use crate::stats::story::Story;
    use crate::stats::summary::CommandKind;

    fn said(verbosity: Verbosity, progress: Progress) -> String {
        let page = Page::default();
        let context = ReportContext { command: CommandKind::Run, ceiling: None, records: &[] };
        let mut notices = Notices::new(page.console(verbosity), context, progress);
        let mut heard = 0;
        let mut tell = |story: Story| {
            story.events[heard..].iter().for_each(|event| notices.on_event(event, &story.stats));
            heard = story.events.len();
            story
        };
        let story = tell(Story::of(9).at(1000).rows(2, Outcome::Unlocked));
        let story = tell(story.paused(PauseReason::Throttled, 12_000));
        let story = tell(story.paused(PauseReason::Throttled, 12_000));
        let story = tell(story.at(13_000).resumed());
        let story = tell(story.retries(1, 0, "timeout"));
        let story = tell(story.at(20_000).paused(PauseReason::Outage, 1000));
        let story = tell(story.at(21_000).paused(PauseReason::Outage, 2000));
        let story = tell(story.on_event(Event::StatusAsked));
        let story = tell(story.at(25_000).resumed());
        let story = tell(story.stopping(StopReason::MaxFail));
        tell(story.stopping(StopReason::Interrupted));
        page.text()
    }

    #[test]
    fn beside_lines_each_change_is_said_once() {
        insta::assert_snapshot!(said(Verbosity::Normal, Progress::Lines), @"
            paused by a 429 until 03:12:46Z (12 s)
            continuing after the pause (paused for 12 s so far)
            warning: the API does not answer (timeout: the message of timeout); sending one probe at a time
            2 of 9 (22 %): 2 unlocked, 0 failed, 1 retry; 0.4/s, the API does not answer; next probe in 2 s
            the API answers again (paused for 17 s so far)
            Stopping by --max-fail: waiting for requests in flight
            Stopping: waiting for requests in flight (Ctrl-C again to stop now)
            ");
    }

    #[test]
    fn beside_a_bar_throttles_are_left_to_it() {
        insta::assert_snapshot!(said(Verbosity::Normal, Progress::Bar), @"
            warning: the API does not answer (timeout: the message of timeout); sending one probe at a time
            2 of 9 (22 %): 2 unlocked, 0 failed, 1 retry; 0.4/s, the API does not answer; next probe in 2 s
            the API answers again (paused for 17 s so far)
            Stopping by --max-fail: waiting for requests in flight
            Stopping: waiting for requests in flight (Ctrl-C again to stop now)
            ");
    }

    #[test]
    fn a_setting_that_cannot_work_is_an_error_with_its_reason() {
        let page = Page::default();
        let scene = ReportContext { command: CommandKind::Run, ceiling: None, records: &[] };
        let console = page.console(Verbosity::Quiet);
        let mut notices = Notices::new(console, scene, Progress::None);
        let story = Story::of(9).retries(1, 0, "untrusted_certificate");
        let story = story.stopping(StopReason::UntrustedCertificate);
        story.events.iter().for_each(|event| notices.on_event(event, &story.stats));
        insta::assert_snapshot!(page.text(), @"error: the API cannot be reached (untrusted_certificate: the message of untrusted_certificate)");
    }

    #[test]
    fn a_quiet_run_answers_when_it_is_asked() {
        insta::assert_snapshot!(said(Verbosity::Quiet, Progress::None), @"2 of 9 (22 %): 2 unlocked, 0 failed, 1 retry; 0.4/s, the API does not answer; next probe in 2 s");
    }
}
