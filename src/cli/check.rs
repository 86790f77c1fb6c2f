//! `check`: whether a run could start. It only reads.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use super::args::{CheckArgs, ConnectionArgs};
use super::connection::{self, KEY_VARIABLE};
use super::consent::pace_in_words;
use super::settings::{OF_THE_TERMINAL, with_value};
use crate::job::{self, Checked, Connection, Context, ExitStatus, Failure, Instance, Source};
use crate::model::mask_keys;
use crate::report::text;

/// The largest clock difference in seconds that causes no warning. Plans are valid for hours.
const MAX_SKEW: u64 = 60;

pub(super) fn check(args: &CheckArgs, context: Context<'_>) -> Result<ExitStatus, Failure> {
    let console = context.console;
    let connection = connection::open(&args.connection, &args.execution(), console)?;
    let ConnectionArgs { secret_key_file, secret_key_command, sandbox, .. } = &args.connection;
    let key_source = match (secret_key_file, secret_key_command) {
        _ if sandbox.sandbox => "sandbox".to_owned(),
        (Some(path), _) => format!("--secret-key-file {}", path.display()),
        (None, Some(command)) => format!("--secret-key-command {}", command.program),
        (None, None) => KEY_VARIABLE.to_owned(),
    };
    let is_shown = |name: &str| {
        name != "json"
            && !OF_THE_TERMINAL.contains(&name)
            && (!name.starts_with("sandbox") || connection.instance == Instance::Sandbox)
    };
    let settings = with_value(context.effective).filter(|(name, ..)| is_shown(name));
    let settings: Vec<_> = settings.collect();
    let checked = job::check(&connection);
    if args.json {
        // After a failure, the caller prints the object of the error in place of this one.
        let json = json(&connection, &key_source, &settings, &checked?);
        print(&(serde_json::to_string_pretty(&json).map_err(Failure::internal)? + "\n"))?;
        return Ok(ExitStatus::Success);
    }
    // If the API refuses the key, the text shows which key that is and where it comes from.
    print(&text(&connection, &key_source, &settings, checked.as_ref().ok()))?;
    if checked?.clock_skew.is_some_and(|skew| skew.unsigned_abs() > MAX_SKEW) {
        console.warning("the clock of this machine or of the server is wrong; set it by NTP");
    }
    Ok(ExitStatus::Success)
}

fn print(text: &str) -> Result<(), Failure> {
    let written = std::io::stdout().write_all(mask_keys(text).as_bytes());
    written.map_err(|error| Failure::output(format!("cannot write to stdout: {error}")))
}

type Settings<'a> = [(&'a str, &'a Value, &'a Source)];

fn text(
    connection: &Connection,
    key_source: &str,
    settings: &Settings<'_>,
    checked: Option<&Checked>,
) -> String {
    let instance = connection.instance.code();
    let key = match &connection.fingerprint {
        Some(fingerprint) => format!("{fingerprint} ({instance}), from {key_source}"),
        None => "none; this is the sandbox".to_owned(),
    };
    let mut lines = vec![
        ("key", key),
        ("host", connection.host.clone()),
        ("pace", pace_in_words(connection)),
        ("API version", connection.client.api_version().to_owned()),
    ];
    if let Some(checked) = checked {
        let tls = match &checked.tls_version {
            _ if !checked.is_encrypted => "none: the address is http".to_owned(),
            Some(version) => format!("{version}, certificate verified"),
            None => "certificate verified; the version is not known through a proxy".to_owned(),
        };
        let skew = match checked.clock_skew {
            None => "not known: the response has no date".to_owned(),
            Some(-1..=1) => "in step with the server".to_owned(),
            Some(skew) => {
                let direction = if skew > 0 { "ahead of" } else { "behind" };
                format!("{} s {direction} the server", skew.unsigned_abs())
            }
        };
        let [count, page] = checked.latency.map(|it| format!("{} ms", it.as_millis()));
        lines.push(("TLS", tls));
        lines.push(("clock", skew));
        lines.push(("users", text::number(checked.n_users)));
        lines.push(("latency", format!("{count} with connecting, {page} without")));
    }
    let mut text = String::new();
    for (name, value) in lines {
        text += &format!("{name:<13}{value}\n");
    }
    text.push_str("\nSettings:\n");
    for (name, value, source) in settings {
        let flag = name.replace('_', "-");
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text += &format!("  {flag:<18}{value} ({source})\n");
    }
    text
}

fn json(
    connection: &Connection,
    key_source: &str,
    settings: &Settings<'_>,
    checked: &Checked,
) -> Value {
    let settings = settings.iter().map(|(name, value, source)| {
        ((*name).to_owned(), json!({ "value": value, "source": source.to_string() }))
    });
    let [count, page] = checked.latency.map(|it| it.as_secs_f64() * 1e3);
    json!({
        "schema_version": 1,
        "command": "check",
        "exit_code": 0,
        "instance": connection.instance.code(),
        "key": connection.fingerprint,
        "key_source": key_source,
        "host": connection.host,
        "pace": pace_in_words(connection),
        "api_version": connection.client.api_version(),
        "tls": checked.is_encrypted.then(|| json!({
            "verified": true,
            "version": checked.tls_version,
        })),
        "clock_skew_seconds": checked.clock_skew,
        "users": checked.n_users,
        "latency_ms": { "with_connecting": count, "without": page },
        "settings": settings.collect::<Map<String, Value>>(),
    })
}
