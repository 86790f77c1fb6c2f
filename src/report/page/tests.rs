use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::{Outcome, Row, UserView};
use crate::results::manifest::FileEntry;
use crate::stats::RowStats;
use crate::stats::summary::{CommandKind, Ending, Incident, NextStep, Stage, Summary};

mod markdown;

/// This number of seconds after 03:12:45 on a day in January 2026.
fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_829_165 + second)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn row(line: u64, outcome: Outcome) -> FinalRow {
    let id = format!("user_{line}");
    let row = Row {
        line,
        input: id.as_str().into(),
        user_id: id.parse().ok(),
        outcome,
        http_status: None,
        error_code: None,
        error_message: None,
        attempts: 1,
        duration: ms(80),
        finished_at: Some(at(line)),
        trace_id: None,
        user: None,
        was_locked: None,
        carried: Box::default(),
    };
    FinalRow { source: 0, row }
}

/// A row with an error and all personal data that a row may contain.
fn failed(line: u64, outcome: Outcome, code: &str) -> FinalRow {
    let mut it = row(line, outcome);
    it.row.error_code = Some(code.to_owned().into());
    it.row.error_message = Some("taken by private-message@x.org".to_owned());
    it.row.user = Some(Box::new(UserView {
        locked: Some(true),
        verification_attempts_remaining: Some(3),
        username: Some("private-username".to_owned()),
        email: Some("private-email@x.org".to_owned()),
        first_name: Some("private-first".to_owned()),
        last_name: Some("private-last".to_owned()),
        ..UserView::default()
    }));
    it
}

/// The manifest of a finished run with one pass.
fn manifest() -> Manifest {
    let bucket = |(at, requests): (u64, u64)| {
        json!({
            "at": at,
            "bucket_seconds": 1,
            "requests": requests,
            "throttled": u64::from(at == 2),
            "failed_attempts": u64::from(at == 1),
        })
    };
    let timeline: Vec<_> = (0..).zip([5, 4, 3]).map(bucket).collect();
    let (began, ended) = ("2026-01-31T03:12:45Z", "2026-01-31T03:13:46Z");
    let manifest = json!({
        "schema_version": 1,
        "program_version": "0.1.0",
        "command": "bulk-unlock run ids.csv",
        "kind": "run",
        "instance": "production",
        "host": "api.clerk.com",
        "key": "sk_live_…a1b2",
        "operator": "ada",
        "reason": "INC-4312",
        "started_at": began,
        "ending": "completed",
        "exit_code": 1,
        "files": [{ "role": "input", "name": "ids.csv", "sha256": "5feceb66" }],
        "passes": [{
            "started_at": began,
            "finished_at": ended,
            "ending": "completed",
            "requests": 12,
            "look_ups": 1,
            "retries": 2,
            "throttled": 1,
            "paused_seconds": 2.5,
            "latency_ms": { "p50": 80, "p90": 120, "p99": 900, "max": 1240, "mean": 90 },
            "timeline": timeline,
        }],
    });
    serde_json::from_value(manifest).unwrap()
}

/// A page about one file with these rows, of this number of records.
fn page_of(kind: CommandKind, n_records: u64, rows: Vec<FinalRow>) -> Facts {
    let mut stats = RowStats::default();
    for it in &rows {
        stats.add(&it.row);
    }
    let n_unprocessed = n_records.saturating_sub(rows.len() as u64);
    let summary = Summary {
        command: kind,
        counts: stats.counts,
        errors: stats.errors.most_frequent_first(),
        n_records,
        n_unprocessed,
        next: Some(NextStep {
            look_first: None,
            why: String::new(),
            command: "bulk-unlock run --retry-failed ids.results.csv".to_owned(),
        }),
        ..Summary::default()
    };
    let stage = Stage {
        file: "ids.results.csv".to_owned(),
        ending: Some(Ending::Completed),
        exit_code: Some(1),
        n_left: n_unprocessed,
        summary: summary.clone(),
        ..Stage::default()
    };
    let source = Source {
        name: "ids.results.csv".to_owned(),
        kind: Some(kind),
        plan_sha256: None,
        manifest: Some(manifest()),
    };
    Facts {
        made_at: Some(at(600)),
        incident: Incident { summary, stages: vec![stage], ..Incident::default() },
        sources: vec![source],
        rows,
        warnings: Vec::new(),
    }
}

/// A run with rows of many kinds.
fn facts() -> Facts {
    let mut invalid = failed(7, Outcome::Invalid, "invalid_input");
    (invalid.row.user_id, invalid.row.input) = (None, "private-cell@x.org".into());
    let rows = vec![
        row(2, Outcome::Unlocked),
        failed(5, Outcome::Failed, "http_503"),
        invalid,
        failed(8, Outcome::Rejected, "private code@x.org"),
        row(9, Outcome::Duplicate),
    ];
    page_of(CommandKind::Run, 5, rows)
}

fn html(facts: &Facts) -> String {
    render(facts, false).unwrap()
}

/// The class of the verdict.
fn tone(facts: &Facts) -> String {
    let page = html(facts);
    let (_, rest) = page.split_once("<div class=\"verdict ").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn without_pii_nothing_personal_is_on_the_page() {
    assert!(!html(&facts()).contains("private"));
    assert!(!html(&facts()).contains("x.org"));
}

#[test]
fn with_pii_all_personal_data_is_on_the_page() {
    let page = render(&facts(), true).unwrap();
    for what in ["-message", "-username", "-email", "-first", "-last", "-cell", " code"] {
        assert!(page.contains(&format!("private{what}")), "{what}");
    }
}

#[test]
fn a_plan_with_missing_users_is_not_a_failure() {
    use Outcome::{NotFound, WouldUnlock};
    let plan = page_of(CommandKind::Plan, 2, vec![row(2, WouldUnlock), row(3, NotFound)]);
    assert_eq!(tone(&plan), "warn");
    assert!(!html(&plan).contains("did not end well"));
}

#[test]
fn records_left_are_worse_than_rows_that_need_attention() {
    let run =
        |n_records, outcome| tone(&page_of(CommandKind::Run, n_records, vec![row(2, outcome)]));
    assert_eq!(run(1, Outcome::Unlocked), "good");
    assert_eq!(run(1, Outcome::NotFound), "warn");
    assert_eq!(run(2, Outcome::Unlocked), "bad");
}

#[test]
fn rows_that_do_not_match_the_manifest_are_the_headline() {
    let mut facts = page_of(CommandKind::Run, 2, vec![row(2, Outcome::Unlocked)]);
    facts.incident.stages[0].summary.n_unprocessed = 0;
    assert!(html(&facts).contains("<p class=\"headline\">The accounting does not add up.</p>"));
}

#[test]
fn the_policy_has_the_hashes_of_the_style_and_the_script() {
    use base64::Engine as _;
    use sha2::{Digest, Sha256};

    let page = html(&facts());
    for tag in ["style", "script"] {
        let inside = page.split_once(&format!("<{tag}>")).unwrap().1;
        let inside = inside.split_once(&format!("</{tag}>")).unwrap().0;
        let hash = base64::prelude::BASE64_STANDARD.encode(Sha256::digest(inside));
        let escaped = hash.replace('+', "&#43;");
        let is_named = |hash: &str| page.contains(&format!("{tag}-src &#39;sha256-{hash}&#39;"));
        assert!(is_named(&hash) || is_named(&escaped), "{tag}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn text_from_outside_stays_text(
        texts in prop::collection::vec(
            "\\PC{0,12}|[<>&\"'/=a-z\u{0}-\u{1f}\u{202a}-\u{202e}]{0,20}|<script>alert\\(1\\)</script>|https?://x|\\{\\{ x \\}\\}",
            24),
        pii: bool,
    ) {
        let page = render(&of_texts(&texts), pii).unwrap();
        prop_assert_eq!(page.matches("<script").count(), 1);
        prop_assert_eq!(page.matches("</script").count(), 1);
        let controls = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        prop_assert!(!page.contains(controls));
        let reverses = |c| matches!(c, '\u{202a}'..='\u{202e}');
        prop_assert!(!page.contains(reverses));
        let same = render(&of_texts(&vec!["x".to_owned(); 24]), pii).unwrap();
        prop_assert!(tags(&page) == tags(&same));
        prop_assert!(tags(&page).iter().all(|tag| !tag.contains("://")));
        prop_assert_eq!(n_cells(&page), n_cells(&same));
    }

    #[test]
    fn the_counts_on_the_page_are_those_of_the_rows(
        outcomes in prop::collection::vec(prop::sample::select(Outcome::ALL.to_vec()), 1..60),
        n_unprocessed in 0u64..9,
    ) {
        let rows: Vec<_> = (2..).zip(&outcomes).map(|(line, it)| row(line, *it)).collect();
        let n_records = outcomes.len() as u64 + n_unprocessed;
        let page = html(&page_of(CommandKind::Run, n_records, rows));
        for outcome in Outcome::ALL {
            let n = outcomes.iter().filter(|it| **it == outcome).count();
            let cell = format!("data-outcome=\"{outcome}\" data-count=\"{n}\"");
            prop_assert_eq!(page.contains(&cell), n > 0, "{}", cell);
        }
        prop_assert_eq!(page.matches("<bdi>user_").count(), outcomes.len() + n_errors(&page));
        prop_assert_eq!(n_cells(&page).0, outcomes.len());
    }
}

/// Number of examples of errors.
fn n_errors(page: &str) -> usize {
    page.matches("class=\"example\"><bdi>user_").count()
}

/// Number of rows and of cells in the compact text.
fn n_cells(page: &str) -> (usize, usize) {
    let data =
        page.split_once("<pre id=\"rows\" hidden>\n").unwrap().1.split_once("</pre>").unwrap().0;
    (data.lines().count() - 1, data.lines().skip(1).map(|line| line.split('\t').count()).sum())
}

/// Facts with these texts in all places of texts from outside. No text is empty, so that the page always
/// has the same tags.
fn of_texts(texts: &[String]) -> Facts {
    let mut texts = texts.iter().map(|it| format!("x{it}"));
    let mut text = || texts.next().unwrap_or_default();
    let mut it = failed(2, Outcome::Rejected, &text());
    (it.row.user_id, it.row.input) = (None, text().into());
    it.row.error_message = Some(text());
    if let Some(user) = &mut it.row.user {
        (user.username, user.email) = (Some(text()), Some(text()));
        (user.first_name, user.last_name) = (Some(text()), Some(text()));
    }
    let mut facts = page_of(CommandKind::Run, 1, vec![it]);
    facts.sources[0].name = text();
    let manifest = facts.sources[0].manifest.as_mut().unwrap();
    (manifest.program_version, manifest.command) = (text(), text());
    (manifest.instance, manifest.host) = (text(), text());
    (manifest.key, manifest.reason, manifest.ending) = (Some(text()), Some(text()), text());
    manifest.files = vec![FileEntry { role: text(), name: text(), sha256: text() }];
    manifest.passes[0].ending = text();
    facts.warnings = vec![text()];
    facts.incident.summary.next =
        Some(NextStep { look_first: None, why: String::new(), command: text() });
    facts.incident.stages[0].file = text();
    facts
}

/// All tags of the page but those of its script and style sheet, and those around each word.
fn tags(page: &str) -> Vec<&str> {
    let body = page.split_once("<body>").unwrap().1.split_once("<script>").unwrap().0;
    body.split('<')
        .skip(1)
        .map(|part| part.split_once('>').unwrap().0)
        .filter(|tag| !matches!(*tag, "span" | "/span"))
        .collect()
}

/// The colors of the light, the dark and the printed page, by name.
fn palettes() -> Vec<Vec<(&'static str, [u8; 3])>> {
    let blocks =
        include_str!("page.css").split(":root {").skip(1).map(|it| it.split_once('}').unwrap().0);
    let color = |line: &'static str| {
        let (name, value) = line.trim().strip_prefix("--")?.split_once(": #")?;
        let channel = |at: usize| u8::from_str_radix(&value[at..at + 2], 16).unwrap();
        Some((name, [channel(0), channel(2), channel(4)]))
    };
    blocks.map(|block| block.split(';').filter_map(color).collect()).collect()
}

/// Relative luminance, as WCAG 2 defines it.
fn luminance(color: [u8; 3]) -> f64 {
    let linear = |channel: u8| match f64::from(channel) / 255.0 {
        low if low <= 0.04045 => low / 12.92,
        high => ((high + 0.055) / 1.055).powf(2.4),
    };
    let [red, green, blue] = color.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let [one, other] = [one, other].map(luminance);
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// The color of each text, the colors of its backgrounds, and the minimum contrast: WCAG 2 requires
/// 4.5 to 1 for text.
const TEXTS: [(&str, &[&str], f64); 7] = [
    ("ink", &["page", "panel", "good-tint", "warn-tint", "bad-tint"], 4.5),
    ("soft", &["page", "panel"], 4.5),
    ("link", &["panel"], 4.5),
    ("good", &["panel", "good-tint"], 4.5),
    ("warn", &["panel", "warn-tint"], 4.5),
    ("bad", &["panel", "bad-tint"], 4.5),
    ("fill-open", &["panel"], 2.0),
];

#[test]
fn texts_have_enough_contrast_in_light_in_dark_and_in_print() {
    let palettes = palettes();
    assert_eq!(palettes.len(), 3);
    for palette in palettes {
        let color = |name| palette.iter().find(|(it, _)| *it == name).unwrap().1;
        for (text, grounds, wanted) in TEXTS {
            for ground in grounds {
                let is = contrast(color(text), color(ground));
                assert!(is >= wanted, "{text} on {ground}: {is:.2}");
            }
        }
    }
}
