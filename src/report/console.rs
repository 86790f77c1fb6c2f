//! The console: all output to stderr goes through it, so that lines do not mix with the bar, and the
//! verbosity holds everywhere.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use indicatif::ProgressBar;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::style::{Paint, Style};
use super::text::clean;
use crate::model::mask_keys;

/// How much is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// `-q`: errors and one closing line.
    Quiet,
    /// What most people want to know.
    #[default]
    Normal,
    /// `-v`: failed attempts, and rows that did not end well.
    Verbose,
    /// `-vv`: each request and each row.
    VeryVerbose,
}

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The command fails.
    Error,
    /// What was asked for and the headline at the end; also under `-q`.
    Answer,
    /// Something to know about.
    Warning,
    /// What the program does.
    Note,
    /// Only under `-v`.
    Detail,
    /// Only under `-vv`.
    Trace,
}

impl Level {
    fn code(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Answer | Self::Note => "info",
            Self::Detail => "debug",
            Self::Trace => "trace",
        }
    }
}

/// What a line of a JSON log is about: its `type`. The names are stable; types are only ever added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogType {
    /// The first line: which program writes the log.
    Version,
    /// The command fails.
    Error,
    /// Something to know about.
    Warning,
    /// What the program does.
    Note,
    /// A failed attempt, or a row that did not end well (`-v`).
    Detail,
    /// A request or a row (`-vv`).
    Trace,
    /// The state of the job.
    Progress,
    /// How the job ended.
    Summary,
    /// A setting and its source (`-v`).
    Setting,
}

impl LogType {
    fn of(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warning => Self::Warning,
            Level::Answer | Level::Note => Self::Note,
            Level::Detail => Self::Detail,
            Level::Trace => Self::Trace,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
            Self::Detail => "detail",
            Self::Trace => "trace",
            Self::Progress => "progress",
            Self::Summary => "summary",
            Self::Setting => "setting",
        }
    }
}

/// How messages are written (`--log-format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, the first of which is [`LogType::Version`].
    Json,
}

/// The console. Clones share it. What cannot be written, to a closed pipe for example, is lost: no
/// run ends because nobody reads its messages.
#[derive(Clone)]
pub struct Console {
    verbosity: Verbosity,
    style: Style,
    format: LogFormat,
    clock: fn() -> SystemTime,
    /// The same in all lines of a JSON log.
    run_id: Arc<str>,
    out: Arc<Mutex<Out>>,
}

struct Out {
    sink: Box<dyn Write + Send>,
    bar: Option<ProgressBar>,
}

impl Console {
    /// A console on stderr.
    #[allow(clippy::disallowed_methods, reason = "only the time of log lines")]
    pub fn stderr(verbosity: Verbosity, style: Style, format: LogFormat) -> Self {
        let run_id = format!("{:032x}", fastrand::u128(..));
        Self::to(Box::new(io::stderr()), verbosity, style, format, SystemTime::now, &run_id)
    }

    /// One that writes elsewhere. The clock gives JSON lines their time.
    pub fn to(
        sink: Box<dyn Write + Send>,
        verbosity: Verbosity,
        style: Style,
        format: LogFormat,
        clock: fn() -> SystemTime,
        run_id: &str,
    ) -> Self {
        let out = Arc::new(Mutex::new(Out { sink, bar: None }));
        Self { verbosity, style, format, clock, run_id: run_id.into(), out }
    }

    /// Writes the first line of a JSON log, whatever the verbosity. `traceparent` is that of the
    /// process that started this one, as W3C Trace Context defines it.
    pub fn begin(&self, traceparent: Option<&str>) {
        if self.format == LogFormat::Json {
            let version = env!("CARGO_PKG_VERSION");
            let fields = json!({
                "version": version,
                "schema_version": LOG_SCHEMA_VERSION,
                "traceparent": traceparent,
            });
            let text = format!("bulk-unlock {version}");
            self.write(&self.json_line(LogType::Version, Level::Note, &text, fields));
        }
    }

    /// Whether to color.
    pub fn style(&self) -> Style {
        self.style
    }

    /// How messages are written.
    pub fn format(&self) -> LogFormat {
        self.format
    }

    /// How much is printed.
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Whether a message of this level is printed.
    pub fn is_enabled(&self, level: Level) -> bool {
        let least = match level {
            Level::Error | Level::Answer => Verbosity::Quiet,
            Level::Warning | Level::Note => Verbosity::Normal,
            Level::Detail => Verbosity::Verbose,
            Level::Trace => Verbosity::VeryVerbose,
        };
        least <= self.verbosity
    }

    /// Prints "error: …". The text may have several lines; other characters that could move the cursor
    /// are removed, as in all messages.
    pub fn error(&self, text: &str) {
        self.error_with(text, Value::Null);
    }

    /// The same, with these fields in a JSON log.
    pub fn error_with(&self, text: &str, fields: Value) {
        self.message((LogType::Error, Level::Error), ("error: ", Paint::Bad), text, fields);
    }

    /// Prints "warning: …".
    pub fn warning(&self, text: &str) {
        let kind = (LogType::Warning, Level::Warning);
        self.message(kind, ("warning: ", Paint::Warn), text, Value::Null);
    }

    /// What the program does.
    pub fn note(&self, text: &str) {
        self.log(Level::Note, text);
    }

    /// Prints a message of this level.
    pub fn log(&self, level: Level, text: &str) {
        self.log_as(LogType::of(level), level, text, Value::Null);
    }

    /// The same, of this type and with these fields in a JSON log.
    pub fn log_as(&self, kind: LogType, level: Level, text: &str, fields: Value) {
        self.message((kind, level), ("", Paint::Plain), text, fields);
    }

    fn message(
        &self,
        (kind, level): (LogType, Level),
        (prefix, paint): (&str, Paint),
        text: &str,
        fields: Value,
    ) {
        if !self.is_enabled(level) {
            return;
        }
        let lines: Vec<_> = text.split('\n').map(clean).collect();
        let text = lines.join("\n");
        match self.format {
            LogFormat::Text => self.write(&format!("{}{text}\n", self.style.paint(paint, prefix))),
            LogFormat::Json => self.write(&self.json_line(kind, level, &text, fields)),
        }
    }

    fn json_line(&self, kind: LogType, level: Level, text: &str, fields: Value) -> String {
        let time = Timestamp::try_from((self.clock)()).unwrap_or(Timestamp::UNIX_EPOCH);
        let line = JsonLine {
            kind: kind.code(),
            time: format!("{time:.3}"),
            run_id: &self.run_id,
            level: level.code(),
            message: text.trim(),
            fields: match fields {
                Value::Object(fields) => fields,
                _ => Map::new(),
            },
        };
        // A map of JSON values always serializes.
        serde_json::to_string(&line).unwrap_or_default() + "\n"
    }

    /// Prints a finished text, colored and laid out by the caller, without adding a line break, so
    /// that a question can be asked. A JSON log has it as a message.
    pub fn print(&self, level: Level, text: &str) {
        match self.format {
            LogFormat::Text if self.is_enabled(level) => self.write(text),
            LogFormat::Json if !text.trim().is_empty() => self.log(level, text),
            LogFormat::Text | LogFormat::Json => {}
        }
    }

    /// Removes secret keys from all output: people put them where paths belong.
    fn write(&self, text: &str) {
        let text = mask_keys(text);
        let mut out = self.out();
        let Out { sink, bar } = &mut *out;
        let mut write = || drop(sink.write_all(text.as_bytes()).and_then(|()| sink.flush()));
        match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Prints everything above this bar until it is replaced.
    pub(super) fn set_bar(&self, bar: Option<ProgressBar>) {
        self.out().bar = bar;
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        // A panic while printing left at most half a line.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version of the lines of a JSON log.
const LOG_SCHEMA_VERSION: u32 = 1;

/// A line of a JSON log.
#[derive(Serialize)]
struct JsonLine<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    run_id: &'a str,
    level: &'static str,
    message: &'a str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// A sink that can be read, and that can be told to be closed.
    #[derive(Clone, Default)]
    pub(in crate::report) struct Page {
        bytes: Arc<Mutex<Vec<u8>>>,
        is_closed: bool,
    }

    impl Page {
        pub(in crate::report) fn console(&self, verbosity: Verbosity) -> Console {
            self.screen_in(verbosity, LogFormat::Text)
        }

        pub(in crate::report) fn screen_in(
            &self,
            verbosity: Verbosity,
            format: LogFormat,
        ) -> Console {
            let clock = || SystemTime::UNIX_EPOCH + Duration::from_millis(11_565_250);
            Console::to(Box::new(self.clone()), verbosity, Style::default(), format, clock, "1d")
        }

        pub(in crate::report) fn text(&self) -> String {
            String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.is_closed {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.bytes.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(verbosity: Verbosity) -> String {
        let page = Page::default();
        let console = page.console(verbosity);
        console.error("e");
        console.log(Level::Answer, "a");
        console.warning("w");
        console.note("n");
        console.log(Level::Detail, "d");
        console.log(Level::Trace, "t");
        page.text().replace('\n', "|")
    }

    #[test]
    fn each_voice_says_what_it_may() {
        assert_eq!(said(Verbosity::Quiet), "error: e|a|");
        assert_eq!(said(Verbosity::Normal), "error: e|a|warning: w|n|");
        assert_eq!(said(Verbosity::Verbose), "error: e|a|warning: w|n|d|");
        assert_eq!(said(Verbosity::VeryVerbose), "error: e|a|warning: w|n|d|t|");
    }

    #[test]
    fn a_message_has_lines_but_never_moves_the_cursor() {
        let page = Page::default();
        page.console(Verbosity::Normal).warning("one\ntwo \u{1b}[2J\u{9b}31m\r\u{202e}three");
        assert_eq!(page.text(), "warning: one\ntwo  [2J 31m \u{fffd}three\n");
    }

    #[test]
    fn every_line_of_a_json_log_is_an_object_with_type_time_and_run_id() {
        let page = Page::default();
        let console = page.screen_in(Verbosity::Quiet, LogFormat::Json);
        console.begin(Some("00-1-2-00"));
        console.error_with("the key \"x\"\nis old", json!({ "exit_code": 4 }));
        console.warning("not shown under -q");
        console.print(Level::Answer, "\nEnded at once.\n");
        console.print(Level::Answer, "\n");
        insta::assert_snapshot!(page.text(), @r#"
        {"type":"version","time":"1970-01-01T03:12:45.250Z","run_id":"1d","level":"info","message":"bulk-unlock 0.1.0","schema_version":1,"traceparent":"00-1-2-00","version":"0.1.0"}
        {"type":"error","time":"1970-01-01T03:12:45.250Z","run_id":"1d","level":"error","message":"the key \"x\"\nis old","exit_code":4}
        {"type":"note","time":"1970-01-01T03:12:45.250Z","run_id":"1d","level":"info","message":"Ended at once."}
        "#);
    }

    #[test]
    fn a_closed_stderr_is_not_an_error() {
        let page = Page { is_closed: true, ..Page::default() };
        page.console(Verbosity::Normal).error("to a closed pipe");
    }

    #[test]
    fn messages_are_printed_above_a_bar() {
        let page = Page::default();
        let console = page.console(Verbosity::Normal);
        console.set_bar(Some(ProgressBar::hidden()));
        console.note("above the bar");
        assert_eq!(page.text(), "above the bar\n");
    }
}
