//! The page as a browser sees it: Debian's Chromium, without a console and without a network.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod common;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use bulk_unlock::model::Outcome;
use bulk_unlock::report::page::{Collector, Facts, Pass, Source, TableRow, TimedBucket, render};
use bulk_unlock::sandbox::{Script, Scripted};
use bulk_unlock::stats::Bucket;
use bulk_unlock::stats::summary::CommandKind;
use common::contract::sample;
use common::pages::outcomes_on_page;
use common::watch::FAST;
use common::{Stage, list, users};
use tempfile::TempDir;

/// What a browser made of a page.
struct Seen {
    dom: String,
    console: Vec<String>,
    asked_the_network: bool,
}

/// No page takes this long.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn the_page_asks_for_nothing_and_breaks_no_rule_of_its_own() {
    let Some(browser) = browser() else { return };
    let seen = open(&browser, &page(false), "");
    assert_eq!(seen.console, [""; 0]);
    assert!(!seen.asked_the_network);
    for attribute in ["src=", "srcset=", "url(", "@import", "style="] {
        assert!(!seen.dom.contains(attribute), "{attribute}");
    }
    assert!(seen.dom.split("href=\"").skip(1).all(|rest| rest.starts_with('#')));
}

#[test]
fn a_page_that_asks_or_complains_would_be_noticed() {
    let Some(browser) = browser() else { return };
    let asking = "<!DOCTYPE html><title>x</title><img src='http://images.invalid/x.png'>";
    assert!(open(&browser, asking, "").asked_the_network);
    let tampered = page(false).replace("color-scheme: light dark;", "color-scheme: dark;");
    let seen = open(&browser, &tampered, "");
    assert!(seen.console.iter().any(|line| line.contains("Content Security Policy")));
}

#[test]
fn names_of_markup_are_names() {
    let Some(browser) = browser() else { return };
    let seen = open(&browser, &page(true), "");
    assert_eq!(seen.console, [""; 0]);
    assert!(!seen.asked_the_network);
    assert!(seen.dom.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_eq!(seen.dom.matches("<script").count(), 1);
    assert!(!seen.dom.contains("<img"));
    assert!(seen.dom.contains("<title>Unlock run – api.clerk.com</title>"));
}

#[test]
fn the_counts_are_those_of_the_rows() {
    let Some(browser) = browser() else { return };
    let seen = open(&browser, &page(false), "");
    for (outcome, n) in [("unlocked", 40), ("failed", 3), ("not_found", 1), ("unprocessed", 6)] {
        let cell = format!("data-outcome=\"{outcome}\" data-count=\"{n}\">{n}</td>");
        assert!(seen.dom.contains(&cell), "{cell}");
    }
    assert!(seen.dom.contains("data-tile=\"Records\" data-count=\"50\">50</strong>"));
}

#[test]
fn the_filter_stands_in_the_address() {
    let Some(browser) = browser() else { return };
    let shown = |address: &str| shown_users(&open(&browser, &page(false), address).dom);
    assert_eq!(shown("").len(), 44);
    assert_eq!(shown("#outcome=failed"), ["user_2", "user_3", "user_4"]);
    assert_eq!(shown("#q=USER_12"), ["user_12"]);
    assert_eq!(shown("#outcome=failed&q=user_12"), [""; 0]);
    assert_eq!(shown("#outcome=no_such_outcome").len(), 44);
}

#[test]
fn without_its_script_the_page_shows_everything() {
    let Some(browser) = browser() else { return };
    let page = page(false);
    let (before, script) = page.split_once("<script>").unwrap();
    let (_, after) = script.split_once("</script>").unwrap();
    let seen = open(&browser, &format!("{before}{after}"), "#outcome=failed");
    assert_eq!(shown_users(&seen.dom).len(), 44);
    assert!(seen.dom.contains("<div id=\"tools\" role=\"search\" hidden=\"\">"));
}

/// Nothing complained, nothing was asked for, and no row is missing.
#[track_caller]
fn is_quiet_and_whole(seen: &Seen, n_rows: u64) {
    assert_eq!(seen.console, [""; 0]);
    assert!(!seen.asked_the_network);
    assert_eq!(shown_users(&seen.dom).len() as u64, n_rows);
    assert_eq!(found(&seen.dom), format!("{n_rows} of {n_rows} rows"));
}

#[test]
fn the_pages_that_run_and_plan_write_count_what_their_files_count() {
    let Some(browser) = browser() else { return };
    let stage = Stage::new();
    let fixed = "--lenient --sandbox --sandbox-latency 0ms --report page.html --force";
    for (command, code) in [("run", 1), ("plan", 0)] {
        let line = format!("{command} {} {fixed} -o out.csv", sample("mistakes.csv"));
        stage.run(&line).exits_with(code);
        let seen = open(&browser, &stage.read("page.html"), "");
        let counts = stage.counts("out.csv");
        assert!(counts.len() > 2, "{counts:?}");
        assert_eq!(outcomes_on_page(&seen.dom), counts, "{command}");
        is_quiet_and_whole(&seen, counts.values().sum());
    }
}

/// The name of somebody who knows markup.
const MARKUP: &str = "<script>alert(1)</script>";

#[test]
fn a_user_whose_name_is_a_script_is_a_name_on_the_page_that_run_writes() {
    let Some(browser) = browser() else { return };
    let id = users(1).remove(0);
    let names = format!(r#""username":"{MARKUP}","first_name":"{MARKUP}","last_name":"<b>""#);
    let user = format!(r#"{{"id":"{id}","object":"user","locked":false,{names}}}"#);
    let answer = Scripted::status(200).with_body(user);
    let stage = Stage::with_script(Script::from([(id.clone(), [answer].into())]));
    stage.write("ids.txt", list(&[id]));
    let line = format!("run ids.txt --yes --report page.html --report-pii {FAST}");
    stage.run(&line).exits_with(0);
    let seen = open(&browser, &stage.read("page.html"), "");
    is_quiet_and_whole(&seen, 1);
    let text = "&lt;script&gt;alert(1)&lt;/script&gt;";
    assert!(seen.dom.matches(text).count() >= 2, "the names are there, as text");
    assert_eq!(seen.dom.matches("<script").count(), 1, "the page's own");
}

/// Opens the page, and does this with its field of that id: what a reader's hand would do.
fn open_and_set(browser: &Path, page: &str, id: &str, value: &str, event: &str) -> Seen {
    let (before, after) = page.split_once("<meta http-equiv=").unwrap();
    let (_, after) = after.split_once('>').unwrap();
    let (body, end) = after.rsplit_once("</body>").unwrap();
    let hand = format!(
        "const field = document.getElementById('{id}'); field.value = '{value}'; \
         field.dispatchEvent(new Event('{event}'));"
    );
    open(browser, &format!("{before}{body}<script>{hand}</script></body>{end}"), "")
}

/// What the page says of how many rows there are to see.
fn found(dom: &str) -> String {
    let (_, output) = dom.split_once("id=\"found\"").unwrap();
    output.split(['>', '<']).nth(1).unwrap().to_owned()
}

#[test]
fn typing_into_the_search_shows_the_rows_that_hold_it() {
    let Some(browser) = browser() else { return };
    let seen = open_and_set(&browser, &page(false), "query", " USER_12 ", "input");
    assert_eq!(shown_users(&seen.dom), ["user_12"]);
    assert_eq!(found(&seen.dom), "1 of 44 rows");
}

#[test]
fn choosing_an_outcome_shows_its_rows_alone() {
    let Some(browser) = browser() else { return };
    let seen = open_and_set(&browser, &page(false), "outcome", "failed", "change");
    assert_eq!(shown_users(&seen.dom), ["user_2", "user_3", "user_4"]);
    assert_eq!(found(&seen.dom), "3 of 44 rows");
}

/// A run of fifty: forty unlocked, three failed, one not found, six without a row.
fn page(pii: bool) -> String {
    let outcomes = [Outcome::Failed; 3].into_iter().chain([Outcome::NotFound]);
    let outcomes = outcomes.chain([Outcome::Unlocked; 40]);
    let mut rows = Collector::default();
    for (line, outcome) in (2..).zip(outcomes) {
        rows.add(TableRow {
            user_id: format!("user_{line}").parse().ok(),
            error_code: (!outcome.ended_well()).then(|| "http_503".to_owned()),
            error_message: Some("<img src=x onerror=\"document.title='owned'\">".to_owned()),
            username: Some("<script>alert(1)</script>".to_owned()),
            first_name: Some("</bdi></td><script>document.title = 'owned'</script>".to_owned()),
            ..TableRow::new(0, line, outcome)
        });
    }
    let source = Source {
        name: "ids.results.csv".to_owned(),
        kind: Some(CommandKind::Run),
        command: Some("bulk-unlock run ids.csv --max-fail 3".to_owned()),
        instance: Some("live".to_owned()),
        host: Some("api.clerk.com".to_owned()),
        ending: Some("max_fail".to_owned()),
        n_records: Some(50),
        n_unprocessed: Some(6),
        passes: vec![pass()],
        ..Source::default()
    };
    let facts = Facts { sources: vec![source], rows: rows.finish(), ..Facts::default() };
    render(&facts, pii).unwrap()
}

fn pass() -> Pass {
    let started_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_829_165);
    let bucket = |second| TimedBucket {
        start: started_at + Duration::from_secs(second),
        width: Duration::from_secs(1),
        counts: Bucket {
            n_requests: 10 + second,
            n_throttled: second % 2,
            n_failed: 1,
            n_finished: 8,
        },
    };
    Pass {
        started_at,
        finished_at: None,
        ending: "max_fail".to_owned(),
        n_requests: 60,
        n_lookups: 0,
        n_retries: 5,
        n_throttled: 2,
        paused: Duration::from_secs(3),
        latency: None,
        timeline: (0..5).map(bucket).collect(),
    }
}

/// The users of the table whom a reader sees.
fn shown_users(dom: &str) -> Vec<String> {
    let bodies = dom.split("<tbody data-outcome=").skip(1);
    let bodies = bodies.filter(|body| !body.split('>').next().unwrap().contains("hidden"));
    let rows = bodies.flat_map(|body| body.split("<tr").skip(2));
    let shown = rows.filter(|row| row.starts_with('>'));
    shown
        .map(|row| row.split("<bdi>").nth(1).unwrap().split('<').next().unwrap().to_owned())
        .collect()
}

/// Chromium; `None` where there is none. In CI that is a failure.
fn browser() -> Option<PathBuf> {
    let named = env::var_os("CHROMIUM").map(PathBuf::from);
    let found = named.or_else(|| {
        let path = env::var_os("PATH")?;
        let usual = ["chromium", "chromium-browser", "google-chrome"];
        let places = env::split_paths(&path).flat_map(|dir| usual.map(|name| dir.join(name)));
        places.into_iter().find(|place| place.is_file())
    });
    if found.is_none() {
        assert!(env::var_os("CI").is_none_or(|it| it != "true"), "CI has no Chromium");
        println!("note: no Chromium here, so nothing was looked at");
    }
    found
}

/// Opens the page at that address and waits until it has settled.
fn open(browser: &Path, html: &str, address: &str) -> Seen {
    let dir = TempDir::new().unwrap();
    let file = |name: &str| dir.path().join(name);
    fs::write(file("page.html"), html).unwrap();
    let mut child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-quic", "--disable-dev-shm-usage", "--enable-logging=stderr", "--v=0"])
        // Chromium's own errands must not leave this machine either.
        .args(["--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND"])
        .arg(format!("--user-data-dir={}", file("profile").display()))
        .arg(format!("--log-net-log={}", file("net.json").display()))
        .arg("--dump-dom")
        .arg(format!("file://{}{address}", file("page.html").display()))
        .stdin(Stdio::null())
        .stdout(File::create(file("dom")).unwrap())
        .stderr(File::create(file("log")).unwrap())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        sleep(Duration::from_millis(20));
    }
    let read = |name| String::from_utf8_lossy(&fs::read(file(name)).unwrap()).into_owned();
    let (dom, log) = (read("dom"), read("log"));
    assert!(dom.ends_with("</html>\n"), "no page was seen:\n{log}");
    Seen {
        dom,
        console: log.lines().filter(|line| line.contains("CONSOLE")).map(Into::into).collect(),
        // Requests of pages that were opened from a file; Chromium's own have another key.
        asked_the_network: read("net.json").contains("\"network_isolation_key\":\"file://"),
    }
}
