//! `check`: whether a run could begin, found out by reading only.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use crate::cli::check_args::CheckArgs;
use crate::cli::connection::{self, KEY_VARIABLE};
use crate::cli::consent::pace_in_words;
use crate::cli::settings::OF_THE_TERMINAL;
use crate::job::{Checked, Connection, Context, ExitStatus, Failure, Instance, check};
use crate::model::mask_keys;
use crate::report::text;

pub(in crate::cli) fn command(
    args: &CheckArgs,
    context: Context<'_>,
) -> Result<ExitStatus, Failure> {
    let console = context.console;
    let execution = args.execution();
    let connection = connection::open(&args.connection, &args.sandbox, &execution, console)?;
    let facts = Facts { connection: &connection, context, key_source: key_source(args) };
    let checked = check(&connection);
    if args.json {
        // A failure is reported as one: no half of an object goes to stdout.
        let json = facts.json(&checked?);
        print(&(serde_json::to_string_pretty(&json).map_err(Failure::internal)? + "\n"))?;
        return Ok(ExitStatus::Success);
    }
    // Where the API refuses the key, it matters which key that is and where it comes from.
    print(&facts.text(checked.as_ref().ok()))?;
    let checked = checked?;
    if checked.clock_skew.is_some_and(|skew| skew.unsigned_abs() > MAX_SKEW) {
        console.warning("the clock of this machine or of the server is wrong; set it by NTP");
    }
    Ok(ExitStatus::Success)
}

/// Differences in seconds that matter to nobody: a plan is good for hours.
const MAX_SKEW: u64 = 60;

fn key_source(args: &CheckArgs) -> String {
    match &args.connection.secret_key_file {
        _ if args.sandbox.sandbox => "sandbox".to_owned(),
        Some(path) => format!("--secret-key-file {}", path.display()),
        None => KEY_VARIABLE.to_owned(),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let written = std::io::stdout().write_all(mask_keys(text).as_bytes());
    written.map_err(|error| Failure::output(format!("cannot write to stdout: {error}")))
}

/// What is known without a request.
struct Facts<'a> {
    connection: &'a Connection,
    context: Context<'a>,
    key_source: String,
}

impl Facts<'_> {
    fn text(&self, checked: Option<&Checked>) -> String {
        let Self { connection, key_source, .. } = self;
        let instance = connection.instance.code();
        let key = match &connection.fingerprint {
            Some(fingerprint) => format!("{fingerprint} ({instance}), from {key_source}"),
            None => "none; this is the sandbox".to_owned(),
        };
        let mut lines = vec![
            ("key", key),
            ("host", connection.host.clone()),
            ("pace", self.pace()),
            ("API version", connection.client.api_version().to_owned()),
        ];
        if let Some(checked) = checked {
            lines.push(("TLS", tls_text(checked)));
            lines.push(("clock", skew_text(checked.clock_skew)));
            lines.push(("users", text::number(checked.n_users)));
            let [count, page] = checked.latency.map(|it| format!("{} ms", it.as_millis()));
            lines.push(("latency", format!("{count} with connecting, {page} without")));
        }
        let mut text = String::new();
        for (name, value) in lines {
            text += &format!("{name:<13}{value}\n");
        }
        text.push_str("\nSettings:\n");
        for (name, value, source) in self.settings() {
            let flag = name.replace('_', "-");
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text += &format!("  {flag:<18}{value} ({source})\n");
        }
        text
    }

    fn json(&self, checked: &Checked) -> Value {
        let Self { connection, key_source, .. } = self;
        let settings = self.settings().into_iter();
        let settings: Map<String, Value> = settings
            .map(|(name, value, source)| {
                (name.to_owned(), json!({ "value": value, "source": source }))
            })
            .collect();
        let [count, page] = checked.latency.map(|it| it.as_secs_f64() * 1e3);
        json!({
            "schema_version": 1,
            "command": "check",
            "exit_code": 0,
            "instance": connection.instance.code(),
            "key": connection.fingerprint,
            "key_source": key_source,
            "host": connection.host,
            "pace": self.pace(),
            "api_version": connection.client.api_version(),
            "tls": checked.is_encrypted.then(|| json!({
                "verified": true,
                "version": checked.tls_version,
            })),
            "clock_skew_seconds": checked.clock_skew,
            "users": checked.n_users,
            "latency_ms": { "with_connecting": count, "without": page },
            "settings": settings,
        })
    }

    fn pace(&self) -> String {
        let share = self.connection.share_of.map(|(percent, _)| percent);
        pace_in_words(self.connection.pace, share)
    }

    /// The settings that have a value, and where each comes from.
    fn settings(&self) -> Vec<(&str, &Value, String)> {
        let effective = self.context.effective;
        let has_value = |value: &Value| match value {
            Value::Null => false,
            Value::Array(values) => !values.is_empty(),
            _ => true,
        };
        let is_used = |name: &str| {
            name != "json"
                && !OF_THE_TERMINAL.contains(&name)
                && (!name.starts_with("sandbox") || self.connection.instance == Instance::Sandbox)
        };
        let settings = effective.map.iter();
        let settings = settings.filter(|(name, value)| has_value(value) && is_used(name));
        settings
            .map(|(name, value)| {
                let source = effective.sources.get(name);
                (name.as_str(), value, source.map(ToString::to_string).unwrap_or_default())
            })
            .collect()
    }
}

fn tls_text(checked: &Checked) -> String {
    match &checked.tls_version {
        _ if !checked.is_encrypted => "none: the address is http".to_owned(),
        Some(version) => format!("{version}, certificate verified"),
        None => "certificate verified; the version is not known through a proxy".to_owned(),
    }
}

fn skew_text(skew: Option<i64>) -> String {
    match skew {
        None => "not known: the response has no date".to_owned(),
        Some(-1..=1) => "in step with the server".to_owned(),
        Some(skew) => {
            let direction = if skew > 0 { "ahead of" } else { "behind" };
            format!("{} s {direction} the server", skew.unsigned_abs())
        }
    }
}
