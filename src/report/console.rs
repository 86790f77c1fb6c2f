//! The console: all output to stderr. It keeps lines apart from the bar, and applies verbosity, color
//! and log format.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use indicatif::ProgressBar;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::text::clean;
use crate::model::mask_keys;

/// How much is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// `-q`: errors and one closing line.
    Quiet,
    /// Progress, warnings, and the closing lines.
    #[default]
    Normal,
    /// `-v`: failed attempts, and rows that did not end well.
    Verbose,
    /// `-vv`: each request and each row.
    VeryVerbose,
}

/// The importance of a message; in a JSON log, its `level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The command fails.
    Error,
    /// A requested answer or the final headline; also under `-q`.
    #[serde(rename = "info")]
    Answer,
    /// A problem that does not stop the command.
    Warning,
    /// What the program does.
    #[serde(rename = "info")]
    Note,
    /// Only under `-v`.
    #[serde(rename = "debug")]
    Detail,
    /// Only under `-vv`.
    Trace,
}

/// The `type` of a line of a JSON log. The names are stable; types are only ever added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogType {
    /// The first line, with the version of the program.
    Version,
    /// The command fails.
    Error,
    /// A problem that does not stop the command.
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

/// The console. Clones share it. Failed writes, to a closed pipe for example, are ignored: they must
/// not end a run.
#[derive(Clone)]
pub struct Console {
    /// How much is printed.
    pub verbosity: Verbosity,
    /// Whether to color.
    pub style: Style,
    /// How messages are written.
    pub format: LogFormat,
    clock: fn() -> SystemTime,
    /// In all lines of a JSON log.
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
        Self::new(Box::new(io::stderr()), verbosity, style, format, SystemTime::now, &run_id)
    }

    fn new(
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

    /// Writes the first line of a JSON log. `traceparent` is the W3C Trace Context of the parent
    /// process.
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

    /// Prints "error: …".
    pub fn error(&self, text: &str) {
        self.log(Level::Error, text);
    }

    /// Prints "error: …"; a JSON log has these fields, too.
    pub fn error_with(&self, text: &str, fields: Value) {
        self.log_as(LogType::Error, Level::Error, text, fields);
    }

    /// Prints "warning: …".
    pub fn warning(&self, text: &str) {
        self.log(Level::Warning, text);
    }

    /// Prints what the program does.
    pub fn note(&self, text: &str) {
        self.log(Level::Note, text);
    }

    /// Prints a message of this level.
    pub fn log(&self, level: Level, text: &str) {
        self.log_as(LogType::of(level), level, text, Value::Null);
    }

    /// Prints a message of this level; a JSON log has this type and these fields. The text may have
    /// several lines; characters that move the cursor are removed.
    pub fn log_as(&self, kind: LogType, level: Level, text: &str, fields: Value) {
        if !self.is_enabled(level) {
            return;
        }
        let lines: Vec<_> = text.split('\n').map(clean).collect();
        let text = lines.join("\n");
        let prefix = match level {
            Level::Error => self.style.paint(Paint::Bad, "error: "),
            Level::Warning => self.style.paint(Paint::Warn, "warning: "),
            _ => String::new(),
        };
        match self.format {
            LogFormat::Text => self.write(&format!("{prefix}{text}\n")),
            LogFormat::Json => self.write(&self.json_line(kind, level, &text, fields)),
        }
    }

    fn json_line(&self, kind: LogType, level: Level, text: &str, fields: Value) -> String {
        let time = Timestamp::try_from((self.clock)()).unwrap_or(Timestamp::UNIX_EPOCH);
        let line = JsonLine {
            kind,
            time: format!("{time:.3}"),
            run_id: &self.run_id,
            level,
            message: text.trim(),
            fields,
        };
        // A map of JSON values always serializes.
        serde_json::to_string(&line).unwrap_or_default() + "\n"
    }

    /// Prints a text that is colored and laid out, without a line break at its end. In a JSON log, it
    /// is a message.
    pub fn print(&self, level: Level, text: &str) {
        match self.format {
            LogFormat::Text if self.is_enabled(level) => self.write(text),
            LogFormat::Json if !text.trim().is_empty() => self.log(level, text),
            LogFormat::Text | LogFormat::Json => {}
        }
    }

    /// Masks secret keys in all output: one may have been typed in place of a path.
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
        // After a panic while printing, at most a part of a line is missing.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version of the lines of a JSON log.
const LOG_SCHEMA_VERSION: u32 = 1;

/// A line of a JSON log.
#[derive(Serialize)]
struct JsonLine<'a> {
    #[serde(rename = "type")]
    kind: LogType,
    time: String,
    run_id: &'a str,
    level: Level,
    message: &'a str,
    #[serde(flatten)]
    fields: Value,
}

/// The meaning of a color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// No color.
    Plain,
    /// Success.
    Good,
    /// Failure.
    Bad,
    /// A warning.
    Warn,
    /// A hint.
    Dim,
    /// The most important text.
    Bold,
}

/// Whether to color.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether the terminal supports colors and the user allows them.
    pub color: bool,
}

impl Style {
    /// The text in its color.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            _ if !self.color || text.is_empty() => return text.to_owned(),
            Paint::Plain => return text.to_owned(),
            Paint::Good => "32",
            Paint::Bad => "31",
            Paint::Warn => "33",
            Paint::Dim => "2",
            Paint::Bold => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// A sink whose text can be read, and which can be closed.
    #[derive(Clone, Default)]
    pub(in crate::report) struct Sink {
        bytes: Arc<Mutex<Vec<u8>>>,
        is_closed: bool,
    }

    impl Sink {
        pub(in crate::report) fn console(&self, verbosity: Verbosity) -> Console {
            self.console_in(verbosity, LogFormat::Text)
        }

        pub(in crate::report) fn console_in(
            &self,
            verbosity: Verbosity,
            format: LogFormat,
        ) -> Console {
            let clock = || SystemTime::UNIX_EPOCH + Duration::from_millis(11_565_250);
            Console::new(Box::new(self.clone()), verbosity, Style::default(), format, clock, "1d")
        }

        pub(in crate::report) fn text(&self) -> String {
            String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Sink {
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

    fn printed(verbosity: Verbosity) -> String {
        let sink = Sink::default();
        let console = sink.console(verbosity);
        console.error("e");
        console.log(Level::Answer, "a");
        console.warning("w");
        console.note("n");
        console.log(Level::Detail, "d");
        console.log(Level::Trace, "t");
        sink.text().replace('\n', "|")
    }

    #[test]
    fn each_verbosity_prints_its_levels() {
        assert_eq!(printed(Verbosity::Quiet), "error: e|a|");
        assert_eq!(printed(Verbosity::Normal), "error: e|a|warning: w|n|");
        assert_eq!(printed(Verbosity::Verbose), "error: e|a|warning: w|n|d|");
        assert_eq!(printed(Verbosity::VeryVerbose), "error: e|a|warning: w|n|d|t|");
    }

    #[test]
    fn a_message_keeps_line_breaks_but_no_other_control_characters() {
        let sink = Sink::default();
        sink.console(Verbosity::Normal).warning("one\ntwo \u{1b}[2J\u{9b}31m\r\u{202e}three");
        assert_eq!(sink.text(), "warning: one\ntwo  [2J 31m \u{fffd}three\n");
    }

    #[test]
    fn every_line_of_a_json_log_is_an_object_with_type_time_and_run_id() {
        let sink = Sink::default();
        let console = sink.console_in(Verbosity::Quiet, LogFormat::Json);
        console.begin(Some("00-1-2-00"));
        console.error_with("the key \"x\"\nis old", json!({ "exit_code": 4 }));
        console.warning("not shown under -q");
        console.print(Level::Answer, "\nEnded at once.\n");
        console.print(Level::Answer, "\n");
        insta::assert_snapshot!(sink.text(), @r#"
        {"type":"version","time":"1970-01-01T03:12:45.250Z","run_id":"1d","level":"info","message":"bulk-unlock 0.1.0","schema_version":1,"traceparent":"00-1-2-00","version":"0.1.0"}
        {"type":"error","time":"1970-01-01T03:12:45.250Z","run_id":"1d","level":"error","message":"the key \"x\"\nis old","exit_code":4}
        {"type":"note","time":"1970-01-01T03:12:45.250Z","run_id":"1d","level":"info","message":"Ended at once."}
        "#);
    }

    #[test]
    fn a_closed_stderr_is_not_an_error() {
        let sink = Sink { is_closed: true, ..Sink::default() };
        sink.console(Verbosity::Normal).error("to a closed pipe");
    }

    #[test]
    fn messages_are_printed_above_a_bar() {
        let sink = Sink::default();
        let console = sink.console(Verbosity::Normal);
        console.set_bar(Some(ProgressBar::hidden()));
        console.note("above the bar");
        assert_eq!(sink.text(), "above the bar\n");
    }

    #[test]
    fn without_color_a_text_is_not_changed() {
        assert_eq!(Style { color: false }.paint(Paint::Bad, "2 failed"), "2 failed");
        assert_eq!(
            Style { color: true }.paint(Paint::Bad, "2 failed"),
            "\u{1b}[31m2 failed\u{1b}[0m"
        );
    }
}
