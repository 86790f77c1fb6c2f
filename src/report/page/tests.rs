use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::model::Outcome;
use crate::stats::Bucket;
use crate::stats::summary::{CommandKind, LatencySummary, NextStep};

mod colours;
mod looks;
mod verdicts;

/// Four in the morning of a day in January 2026, and so many seconds.
fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_829_165 + second)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn row(line: u64, outcome: Outcome) -> TableRow {
    TableRow {
        user_id: format!("user_{line}").parse().ok(),
        input: format!("user_{line}"),
        ..TableRow::new(0, line, outcome)
    }
}

/// A row with an error, and everything personal that a row may hold.
fn failed(line: u64, outcome: Outcome, code: &str) -> TableRow {
    TableRow {
        error_code: Some(code.to_owned()),
        error_message: Some("taken by private-message@x.org".to_owned()),
        attempts: 9,
        duration: Duration::from_secs(61),
        finished_at: Some(at(61)),
        username: Some("private-username".to_owned()),
        email: Some("private-email@x.org".to_owned()),
        first_name: Some("private-first".to_owned()),
        last_name: Some("private-last".to_owned()),
        ..row(line, outcome)
    }
}

fn pass(start: u64) -> Pass {
    let bucket = |(second, n_requests)| TimedBucket {
        start: at(start + second),
        width: Duration::from_secs(1),
        counts: Bucket {
            n_requests,
            n_throttled: u64::from(second == 2),
            n_failed: u64::from(second == 1),
            n_finished: 0,
        },
    };
    Pass {
        started_at: at(start),
        finished_at: Some(at(start + 61)),
        ending: "completed".to_owned(),
        n_requests: 12,
        n_lookups: 1,
        n_retries: 2,
        n_throttled: 1,
        paused: ms(2500),
        latency: Some(LatencySummary { p50: ms(80), p90: ms(120), p99: ms(900), max: ms(1240) }),
        timeline: (0..).zip([5, 4, 3]).map(bucket).collect(),
    }
}

fn source() -> Source {
    let file = |role: &str, name: &str| SourceFile {
        role: role.to_owned(),
        name: name.to_owned(),
        sha256: "5feceb66".to_owned(),
    };
    Source {
        name: "ids.results.csv".to_owned(),
        kind: Some(CommandKind::Run),
        program_version: Some("0.1.0".to_owned()),
        command: Some("bulk-unlock run ids.csv".to_owned()),
        instance: Some("live".to_owned()),
        host: Some("api.clerk.com".to_owned()),
        key: Some("sk_live_…a1b2".to_owned()),
        reason: Some("INC-4312".to_owned()),
        started_at: Some(at(0)),
        finished_at: Some(at(61)),
        ending: Some("completed".to_owned()),
        exit_code: Some(1),
        n_records: Some(8),
        n_unprocessed: Some(0),
        files: vec![file("input", "ids.csv"), file("results", "ids.results.csv")],
        passes: vec![pass(0)],
    }
}

/// A run of eight records that did not go all well.
fn facts() -> Facts {
    let unlocked = |line| TableRow {
        attempts: 1,
        duration: ms(80 + 30 * line),
        finished_at: Some(at(line)),
        ..row(line, Outcome::Unlocked)
    };
    let admin_locked = TableRow {
        locked: Some(true),
        verification_attempts_remaining: Some(3),
        ..row(6, Outcome::AdminLocked)
    };
    let invalid = TableRow {
        user_id: None,
        input: "private-cell@x.org".to_owned(),
        attempts: 0,
        ..failed(7, Outcome::Invalid, "invalid_input")
    };
    let rows = [
        unlocked(2),
        unlocked(3),
        unlocked(4),
        failed(5, Outcome::Failed, "http_503"),
        admin_locked,
        invalid,
        failed(8, Outcome::Rejected, "private code@x.org"),
        row(9, Outcome::Duplicate),
    ];
    Facts {
        made_at: Some(at(600)),
        made_by: "0.1.0".to_owned(),
        sources: vec![source()],
        rows: rows.into_iter().collect(),
        warnings: Vec::new(),
        next: vec![NextStep {
            look_first: None,
            why: "To try again those that may yet succeed".to_owned(),
            command: "bulk-unlock run --retry-failed ids.results.csv".to_owned(),
        }],
    }
}

fn html(facts: &Facts) -> String {
    render(facts, false).unwrap()
}

/// What a person reads: the body without its markup, a line for each line of it.
fn text_of(html: &str) -> String {
    let body = html.split_once("<body>").unwrap().1.split_once("<script>").unwrap().0;
    let body = body
        .replace("</th>", " | ")
        .replace("</td>", " | ")
        .replace("</dt>", ": ")
        .replace("</li>", "; ");
    let text: String =
        body.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect();
    let text = text.replace("&#34;", "\"").replace("&#39;", "'");
    let lines = text.lines().map(|line| line.trim().trim_end_matches([' ', '|']));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn without_pii_nothing_personal_is_on_the_page() {
    assert!(!html(&facts()).contains("private"));
    assert!(!html(&facts()).contains("x.org"));
}

#[test]
fn with_pii_everything_is_on_the_page() {
    let page = render(&facts(), true).unwrap();
    for what in ["message", "username", "email", "first", "last", "cell", " code"] {
        let what = format!("private{}{what}", if what == " code" { "" } else { "-" });
        assert!(page.contains(&what), "{what}");
    }
}

#[test]
fn only_five_thousand_rows_are_shown_and_the_file_with_the_rest_is_named() {
    let rows = (0..50_000).map(|line| match line % 100 {
        99 => row(line, Outcome::Gone),
        _ => row(line, Outcome::StillUnlocked),
    });
    let page = html(&Facts { rows: rows.collect(), ..facts() });
    assert_eq!(page.matches("<bdi>user_").count(), 5_000);
    assert!(page.contains(
        "5,000 of 50,000 rows, those that did not end well first. 45,000 are not shown; they are \
         in ids.results.csv."
    ));
    assert!(page.contains("(500 rows)") && page.contains("(4,500 of 49,500 rows)"));
}

#[test]
fn the_policy_names_the_hashes_of_what_is_inside() {
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

#[test]
fn every_place_that_is_linked_is_there() {
    let page = html(&facts());
    let links: Vec<_> =
        page.split("href=\"#").skip(1).map(|it| it.split('"').next().unwrap()).collect();
    assert_eq!(links.len(), 6);
    assert!(links.iter().all(|id| page.contains(&format!("id=\"{id}\""))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_comes_in_stays_text(
        texts in prop::collection::vec(
            "\\PC{0,12}|[<>&\"'/=a-z\u{0}-\u{1f}\u{202a}-\u{202e}]{0,20}|<script>alert\\(1\\)</script>|https?://x|\\{\\{ x \\}\\}",
            24),
        pii: bool,
    ) {
        let page = render(&of_texts(&texts), pii).unwrap();
        prop_assert_eq!(page.matches("<script").count(), 1);
        prop_assert_eq!(page.matches("</script").count(), 1);
        let controls = |c: char| c.is_control() && c != '\n';
        prop_assert!(!page.contains(controls));
        let turns_around = |c| matches!(c, '\u{202a}'..='\u{202e}');
        prop_assert!(!page.contains(turns_around));
        let same = render(&of_texts(&vec!["x".to_owned(); 24]), pii).unwrap();
        prop_assert!(tags(&page) == tags(&same));
        prop_assert!(tags(&page).iter().all(|tag| !tag.contains("://")));
    }

    #[test]
    fn the_counts_on_the_page_are_those_of_the_rows(
        outcomes in prop::collection::vec(prop::sample::select(Outcome::ALL.to_vec()), 0..60),
        n_unprocessed in 0u64..9,
    ) {
        let rows: Rows = (2..).zip(&outcomes).map(|(line, it)| row(line, *it)).collect();
        let n_records = outcomes.len() as u64 + n_unprocessed;
        let source = Source { n_records: Some(n_records), n_unprocessed: Some(n_unprocessed), ..source() };
        let page = html(&Facts { rows, sources: vec![source], ..facts() });
        for outcome in Outcome::ALL {
            let n = outcomes.iter().filter(|it| **it == outcome).count();
            let cell = format!("data-outcome=\"{outcome}\" data-count=\"{n}\"");
            prop_assert_eq!(page.contains(&cell), n > 0, "{}", cell);
        }
        let tile = |name, n: u64| page.contains(&format!("data-tile=\"{name}\" data-count=\"{n}\""));
        prop_assert!(tile("Records", n_records) && tile("Not processed", n_unprocessed));
        prop_assert_eq!(page.matches("<bdi>user_").count(), outcomes.len());
    }
}

#[test]
fn what_was_said_stands_on_the_page_as_it_was_said() {
    let mut facts = facts();
    facts.sources[0].reason = Some("INC-4312: the wave of Friday".to_owned());
    assert!(html(&facts).contains(">INC-4312: the wave of Friday<"));
}

/// Those texts wherever a text may come from outside, in a page that has the same tags whatever
/// they are: none is left out for being empty.
fn of_texts(texts: &[String]) -> Facts {
    let mut texts = texts.iter().map(|it| format!("x{it}"));
    let mut text = || texts.next().unwrap_or_default();
    let mut facts = facts();
    let source = &mut facts.sources[0];
    (source.name, source.program_version) = (text(), Some(text()));
    (source.command, source.instance) = (Some(text()), Some(text()));
    (source.host, source.key, source.reason) = (Some(text()), Some(text()), Some(text()));
    source.ending = Some(text());
    source.files = vec![SourceFile { role: text(), name: text(), sha256: text() }];
    source.passes[0].ending = text();
    facts.warnings = vec![text()];
    facts.next = vec![NextStep { look_first: None, why: text(), command: text() }];
    facts.made_by = text();
    let row = TableRow {
        input: text(),
        user_id: None,
        error_code: Some(text()),
        error_message: Some(text()),
        username: Some(text()),
        email: Some(text()),
        first_name: Some(text()),
        last_name: Some(text()),
        ..failed(2, Outcome::Rejected, "")
    };
    facts.rows = [row].into_iter().collect();
    facts
}

/// All tags of the page, those of its script and of its style sheet left out, and those around
/// each word.
fn tags(page: &str) -> Vec<&str> {
    let body = page.split_once("<body>").unwrap().1.split_once("<script>").unwrap().0;
    body.split('<')
        .skip(1)
        .map(|part| part.split_once('>').unwrap().0)
        .filter(|tag| !matches!(*tag, "span" | "/span"))
        .collect()
}
