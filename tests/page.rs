//! The page in a browser: headless Chromium, without console messages and without a network.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod common;

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bulk_unlock::sandbox::{Script, Scripted};
use common::page::outcomes_on_page;
use common::sample;
use common::watch::FAST;
use common::{Stage, list, locked_users, users};
use tempfile::TempDir;

/// A page as the browser shows it.
struct Seen {
    dom: String,
    console: Vec<String>,
    sent_a_request: bool,
}

/// Longer than any page takes.
const TIMEOUT: Duration = Duration::from_secs(120);

#[test]
fn the_page_loads_nothing_and_follows_its_policy() {
    let Some(browser) = browser() else { return };
    let seen = open(&browser, &page(""), "");
    assert_eq!(seen.console, [""; 0]);
    assert!(!seen.sent_a_request);
    for attribute in ["src=", "srcset=", "url(", "@import", "style="] {
        assert!(!seen.dom.contains(attribute), "{attribute}");
    }
    assert!(seen.dom.split("href=\"").skip(1).all(|rest| rest.starts_with('#')));
}

#[test]
fn the_checks_detect_a_page_that_loads_something_or_breaks_its_policy() {
    let Some(browser) = browser() else { return };
    let loading = "<!DOCTYPE html><title>x</title><img src='http://images.invalid/x.png'>";
    assert!(open(&browser, loading, "").sent_a_request);
    let tampered = page("").replace("color-scheme: light dark;", "color-scheme: dark;");
    let seen = open(&browser, &tampered, "");
    assert!(seen.console.iter().any(|line| line.contains("Content Security Policy")));
}

#[test]
fn names_that_contain_markup_are_text() {
    let Some(browser) = browser() else { return };
    let seen = open(&browser, &page("--report-pii"), "");
    assert_eq!(seen.console, [""; 0]);
    assert!(!seen.sent_a_request);
    assert!(seen.dom.contains("<bdi>@&lt;script&gt;alert(1)&lt;/script&gt;</bdi>"));
    assert_eq!(seen.dom.matches("<script").count(), 1);
    assert!(!seen.dom.contains("<img"));
    assert!(seen.dom.contains("<title>INC-1 – Unlock run</title>"));
}

#[test]
fn the_counts_are_those_of_the_rows() {
    let Some(browser) = browser() else { return };
    let seen = open(&browser, &page(""), "");
    for (outcome, n) in [("unlocked", 40), ("failed", 3), ("not_found", 1), ("unprocessed", 6)] {
        let cell = format!("data-outcome=\"{outcome}\" data-count=\"{n}\">{n}</td>");
        assert!(seen.dom.contains(&cell), "{cell}");
    }
    assert!(seen.dom.contains("data-tile=\"Records\" data-count=\"50\">50</strong>"));
}

#[test]
fn the_address_selects_the_rows() {
    let Some(browser) = browser() else { return };
    let shown = |address: &str| shown_users(&open(&browser, &page(""), address).dom);
    assert_eq!(shown("").len(), 44);
    assert_eq!(shown("#outcome=failed"), ["user_2", "user_3", "user_4"]);
    assert_eq!(shown("#q=USER_12"), ["user_12"]);
    assert_eq!(shown("#outcome=failed&q=user_12"), [""; 0]);
    assert_eq!(shown("#outcome=no_such_outcome").len(), 44);
}

#[test]
fn without_its_script_the_page_shows_the_first_users() {
    let Some(browser) = browser() else { return };
    let seen = open(&browser, &without_script(&page("")), "#outcome=failed");
    assert_eq!(shown_users(&seen.dom).len(), 44);
    assert!(seen.dom.contains("<div id=\"tools\" role=\"search\" hidden=\"\">"));
    assert!(!seen.dom.contains("allow JavaScript"), "all users are shown");
}

fn without_script(page: &str) -> String {
    let (before, script) = page.split_once("<script>").unwrap();
    format!("{before}{}", script.split_once("</script>").unwrap().1)
}

/// Asserts that the console is empty, that nothing was loaded, and that no row is missing.
#[track_caller]
fn assert_quiet_and_complete(seen: &Seen, n_rows: u64) {
    assert_eq!(seen.console, [""; 0]);
    assert!(!seen.sent_a_request);
    assert_eq!(shown_users(&seen.dom).len() as u64, n_rows);
    assert_eq!(found(&seen.dom), format!("{n_rows} of {n_rows} rows"));
}

#[test]
fn the_counts_of_run_and_plan_are_those_of_their_files() {
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
        assert_quiet_and_complete(&seen, counts.values().sum());
    }
}

/// The name of a user.
const MARKUP: &str = "<script>alert(1)</script>";

#[test]
fn a_name_that_is_a_script_is_text_on_the_page_of_a_run() {
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
    assert_quiet_and_complete(&seen, 1);
    let text = "&lt;script&gt;alert(1)&lt;/script&gt;";
    assert!(seen.dom.matches(text).count() >= 2, "the names are shown as text");
    assert_eq!(seen.dom.matches("<script").count(), 1, "the script of the page");
}

/// Opens the page and sets the value of the field with this ID.
fn open_and_set(browser: &Path, page: &str, id: &str, value: &str, event: &str) -> Seen {
    let (before, after) = page.split_once("<meta http-equiv=").unwrap();
    let (_, after) = after.split_once('>').unwrap();
    let (body, end) = after.rsplit_once("</body>").unwrap();
    let action = format!(
        "const field = document.getElementById('{id}'); field.value = '{value}'; \
         field.dispatchEvent(new Event('{event}'));"
    );
    open(browser, &format!("{before}{body}<script>{action}</script></body>{end}"), "")
}

/// The number of rows as the page shows it.
fn found(dom: &str) -> String {
    let (_, output) = dom.split_once("id=\"found\"").unwrap();
    output.split(['>', '<']).nth(1).unwrap().to_owned()
}

#[test]
fn a_search_shows_the_rows_that_contain_it() {
    let Some(browser) = browser() else { return };
    let seen = open_and_set(&browser, &page(""), "query", " USER_12 ", "input");
    assert_eq!(shown_users(&seen.dom), ["user_12"]);
    assert_eq!(found(&seen.dom), "1 of 44 rows");
}

#[test]
fn selecting_an_outcome_shows_only_its_rows() {
    let Some(browser) = browser() else { return };
    let seen = open_and_set(&browser, &page(""), "outcome", "failed", "change");
    assert_eq!(shown_users(&seen.dom), ["user_2", "user_3", "user_4"]);
    assert_eq!(found(&seen.dom), "3 of 44 rows");
}

/// 50,000 rows with IDs of the usual length.
fn large() -> Stage {
    let stage = Stage::new();
    let row = |line: u32| {
        let outcome = if line.is_multiple_of(100) { "not_found" } else { "unlocked" };
        results_row(line, &format!("user_2AbCdEfGhIjKlMnOpQrSt{line:07}"), outcome, "", "")
    };
    let rows: String = (2..50_002).map(row).collect();
    stage.write("large.csv", format!("{HEADER}{rows}"));
    stage.write("large.manifest.json", manifest("completed", 50_000, 0));
    stage.run("report large.csv --html page.html").exits_with(0);
    stage
}

#[test]
fn a_search_covers_all_of_fifty_thousand_users() {
    let Some(browser) = browser() else { return };
    let page = large().read("page.html");
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    let seen = open(&browser, &page, "");
    assert_eq!(seen.console, [""; 0]);
    assert_eq!(shown_users(&seen.dom).len(), 200);
    assert_eq!(found(&seen.dom), "50,000 of 50,000 rows, first 200 shown");
    let last = "user_2AbCdEfGhIjKlMnOpQrSt0050001";
    let seen = open(&browser, &page, &format!("#q={last}"));
    assert_eq!(shown_users(&seen.dom), [last]);
    assert_eq!(found(&seen.dom), "1 of 50,000 rows");
    let seen = open(&browser, &without_script(&page), "");
    assert_eq!(shown_users(&seen.dom).len(), 200);
    assert!(seen.dom.contains("These are the first 200 of 50,000 rows."));
}

#[test]
fn without_the_users_the_page_prints_on_at_most_two_sheets() {
    let Some(browser) = browser() else { return };
    let stage = large();
    stage.write("large.html", stage.read("page.html"));
    stage.write("small.html", page(""));
    stage.write("incident.html", incident());
    for page in ["large.html", "small.html", "incident.html"] {
        let n_pages = n_printed_pages(&browser, &stage.path(page));
        assert!((1..=2).contains(&n_pages), "{page}: {n_pages}");
    }
    let with_users = stage.read("page.html").replace("<body>", "<body class=\"with-users\">");
    stage.write("users.html", without_script(&with_users));
    assert!(n_printed_pages(&browser, &stage.path("users.html")) > 2, "on request");
}

/// The page of plans, a run and a verification of a list with all kinds of mistakes.
fn incident() -> String {
    let stage = Stage::with_quick_sandbox();
    let users = list(&locked_users(30));
    stage.write("ids.csv", fs::read_to_string(sample("mistakes.csv")).unwrap());
    stage.write("more.txt", users);
    for line in [
        "plan ids.csv --lenient",
        "plan more.txt",
        "run --plan more.plan.csv --yes -o run.csv",
        "verify run.csv",
    ] {
        stage.run(&format!("{line} --quiet --burst")).exits_with(0);
    }
    let files = "ids.plan.csv more.plan.csv run.csv run.verify.csv";
    stage.run(&format!("report {files} --html page.html")).exits_with(0);
    stage.read("page.html")
}

fn n_printed_pages(browser: &Path, page: &Path) -> usize {
    let dir = TempDir::new().unwrap();
    let pdf = dir.path().join("page.pdf");
    let status = chromium(browser, &dir)
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!("file://{}", page.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let pdf = fs::read(pdf).unwrap();
    let pdf = String::from_utf8_lossy(&pdf);
    pdf.matches("/Type /Page\n").count() + pdf.matches("/Type /Page ").count()
}

const HEADER: &str = "line,input,user_id,outcome,http_status,error_code,error_message,attempts,\
    duration_ms,finished_at,trace_id,locked,banned,lockout_expires_in_seconds,\
    verification_attempts_remaining,username,email,external_id,first_name,last_name,\
    last_sign_in_at,updated_at,user,was_locked\n";

fn results_row(line: u32, id: &str, outcome: &str, code: &str, username: &str) -> String {
    let message = if code.is_empty() { "" } else { "<img src=x onerror=alert(1)>" };
    format!(
        "{line},{id},{id},{outcome},200,{code},{message},1,80,2026-01-31T03:12:45.000Z,,,,,,\
         {username},,,,,,,,\n"
    )
}

fn manifest(ending: &str, records: u64, unprocessed: u64) -> String {
    let bucket = |at: u64| {
        format!(
            r#"{{"at":{at},"bucket_seconds":1,"requests":{},"throttled":1,"failed_attempts":1}}"#,
            10 + at
        )
    };
    let timeline: Vec<String> = (0..9).map(bucket).collect();
    let timeline = timeline.join(",");
    format!(
        r#"{{"schema_version":1,"program_version":"0.1.0","command":"bulk-unlock run ids.csv",
        "kind":"run","instance":"production","host":"api.clerk.com","key":"sk_live_…a1b2",
        "reason":"INC-1","started_at":"2026-01-31T03:12:45Z","finished_at":"2026-01-31T03:13:45Z",
        "ending":"{ending}","exit_code":3,"records":{records},"unprocessed":{unprocessed},
        "next":"bulk-unlock run ids.csv --resume","files":[],
        "passes":[{{"started_at":"2026-01-31T03:12:45Z","finished_at":"2026-01-31T03:13:45Z",
        "ending":"{ending}","requests":90,"timeline":[{timeline}]}}]}}"#
    )
}

/// The page of a run of fifty: forty unlocked, three failed, one not found, six without a row.
fn page(flags: &str) -> String {
    let stage = Stage::new();
    let mut rows = HEADER.to_owned();
    for line in 2..46 {
        let (outcome, code) = match line {
            2..5 => ("failed", "http_503"),
            5 => ("not_found", "resource_not_found"),
            _ => ("unlocked", ""),
        };
        write!(rows, "{}", results_row(line, &format!("user_{line}"), outcome, code, MARKUP))
            .unwrap();
    }
    stage.write("r.csv", rows);
    stage.write("r.manifest.json", manifest("max_fail", 50, 6));
    stage.run(&format!("report r.csv --html page.html {flags}")).exits_with(0);
    stage.read("page.html")
}

/// The users in the table.
fn shown_users(dom: &str) -> Vec<String> {
    let (_, table) = dom.split_once("<table id=\"users\">").unwrap();
    let (_, body) = table.split_once("<tbody>").unwrap();
    let (body, _) = body.split_once("</tbody>").unwrap();
    let rows = body.split("<tr>").skip(1);
    let user = |row: &str| row.split("<bdi>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    rows.map(user).collect()
}

/// Chromium; `None` if it is not installed, which is a failure in CI.
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
        println!("note: Chromium not found, nothing was checked");
    }
    found
}

/// Chromium with a temporary profile and without background requests.
fn chromium(browser: &Path, dir: &TempDir) -> Command {
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-quic", "--disable-dev-shm-usage", "--enable-logging=stderr", "--v=0"])
        .args(["--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND"])
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()));
    command
}

/// Opens the page at this address and waits until it is ready.
fn open(browser: &Path, html: &str, address: &str) -> Seen {
    let dir = TempDir::new().unwrap();
    let file = |name: &str| dir.path().join(name);
    fs::write(file("page.html"), html).unwrap();
    let mut child = chromium(browser, &dir)
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
        if began.elapsed() > TIMEOUT {
            child.kill().unwrap();
        }
        sleep(Duration::from_millis(20));
    }
    let read = |name| String::from_utf8_lossy(&fs::read(file(name)).unwrap()).into_owned();
    let (dom, log) = (read("dom"), read("log"));
    assert!(dom.ends_with("</html>\n"), "no page was rendered:\n{log}");
    Seen {
        dom,
        console: log.lines().filter(|line| line.contains("CONSOLE")).map(Into::into).collect(),
        // Requests of pages opened from a file. Those of Chromium itself have another key.
        sent_a_request: read("net.json").contains("\"network_isolation_key\":\"file://"),
    }
}
