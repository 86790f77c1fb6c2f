//! Hostile content from the server and the input: correct outcomes, little memory, no escape
//! sequences on the terminal, no formulas in cells, and no panic.

#![cfg(unix)]

mod common;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{FaultKind, Faults, Script, Scripted};
use common::watch::{FAST, for_each_in_parallel, slow_config};
use common::{Ended, Running, SEED, Stage, list, throttled, users};

/// Whether a terminal would act on the character. The program itself prints line breaks.
fn is_control(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[track_caller]
fn is_clean(ended: Ended) -> Ended {
    let found = ended.stderr.chars().find(|&c| is_control(c));
    assert_eq!(found, None, "{}: on stderr\n{:?}", ended.line, ended.stderr);
    ended.does_not_print("panicked")
}

/// Checks that no cell is a formula and no line contains a control character.
#[track_caller]
fn is_safe_csv(stage: &Stage, name: &str) {
    let text = stage.read(name);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    for row in reader.records() {
        for cell in &row.expect("a row") {
            let is_number = cell.parse::<f64>().is_ok();
            let is_formula = cell.starts_with(['=', '+', '-', '@']) && !is_number;
            assert!(!is_formula, "{name}: {cell:?}");
        }
    }
}

/// A run in which this is the response for the first user; the others succeed.
fn run_with(answer: Scripted, flags: &str) -> (Stage, Ended) {
    let ids = users(3);
    let script: Script = [(ids[0].clone(), vec![answer; 9].into())].into_iter().collect();
    let stage = Stage::with_sandbox(slow_config("0").script(script));
    stage.write("ids.txt", list(&ids));
    let ended = stage.run(&format!("run ids.txt --yes -vv --max-retries 1 {FAST} {flags}"));
    let ended = is_clean(ended);
    for name in ["ids.results.csv", "ids.results.failed.csv", "ids.results.unprocessed.csv"] {
        is_safe_csv(&stage, name);
    }
    stage.check_accounting("ids.results", &ids);
    (stage, ended)
}

#[track_caller]
fn ends_as(answer: &Scripted, outcome: &str, code: &str) {
    let (stage, ended) = run_with(answer.clone(), "");
    assert_eq!(
        stage.column("ids.results.csv", "outcome"),
        [outcome, "unlocked", "unlocked"],
        "{answer:?}"
    );
    assert_eq!(stage.column("ids.results.csv", "error_code")[0], code, "{answer:?}");
    assert_eq!(ended.code, Some(i32::from(outcome != "unlocked")), "{answer:?}");
}

fn ok(body: impl Into<String>) -> Scripted {
    Scripted::status(200).with_body(body)
}

/// A user object of the first user, with more fields.
fn object(fields: &str) -> String {
    format!(r#"{{"id":"{}","object":"user","locked":false{fields}}}"#, users(1)[0])
}

#[test]
fn an_untrusted_200_is_never_an_unlock() {
    let untrusted = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "true".to_owned(),
        "\u{feff}".to_owned(),
        "<html>all is well</html>".to_owned(),
        r#"{"id":"user_somebodyElse","object":"user","locked":false}"#.to_owned(),
        format!("[{}]", object("")),
        format!(r#"{{"data":{}}}"#, object("")),
        object("")[..20].to_owned(),
        format!("{}{}", object(""), object("")),
        object("").replace("\"id\":\"user_", "\"id\":\"USER_"),
        r#"{"id":["#.repeat(50_000),
        format!(r#"{{"id":{}"x"}}"#, "[".repeat(100_000)),
        "[".repeat(1_000_000),
    ];
    for_each_in_parallel(untrusted, |body| ends_as(&ok(body), "failed", "untrusted_answer"));
}

#[test]
fn unusual_but_valid_responses_are_accepted() {
    for fields in [
        "",
        r#","brand_new":{"a":[1,2,{"b":null}]}"#,
        r#","email_addresses":"none","phone_numbers":7,"banned":"perhaps""#,
        r#","created_at":1e400,"updated_at":-1,"last_sign_in_at":99999999999999999999"#,
        r#","lockout_expires_in_seconds":-5,"verification_attempts_remaining":"many""#,
    ] {
        let (stage, ended) = run_with(ok(object(fields)), "");
        assert_eq!(ended.code, Some(0), "{fields}: {}", ended.stderr);
        assert_eq!(stage.column("ids.results.csv", "outcome")[0], "unlocked", "{fields}");
    }
}

#[test]
fn a_response_with_locked_true_is_no_unlock_and_a_contradictory_one_is_untrusted() {
    let locked = object("").replace("false", "true");
    ends_as(&ok(locked), "still_locked", "still_locked");
    ends_as(&ok(object(r#","locked":true"#)), "failed", "untrusted_answer");
}

#[test]
fn escape_sequences_and_formulas_in_names_are_neutralized_everywhere() {
    let nasty = [
        r"\u001b[31mred\u001b[0m",
        r"\u001b]0;owned\u0007",
        r"a\r\nb\u2028c\u0000d\u009b5m\u202edrawkcab",
        r#"=HYPERLINK(\"http:\/\/evil\")"#,
        "@SUM(1)",
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        r"\t=1+1",
        r"\r=1+1",
        r#"\",\"\n\"=1"#,
        r"'=1+1",
    ];
    for name in nasty {
        let fields = format!(
            r#","username":"{name}","first_name":"{name}","last_name":"{name}","external_id":"{name}","primary_email_address_id":"e","email_addresses":[{{"id":"e","email_address":"{name}"}}],"public_metadata":{{"{name}":"{name}"}}"#
        );
        let (stage, ended) = run_with(ok(object(&fields)), "");
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
        assert_eq!(stage.n_rows("ids.results.csv"), 3, "one line each");
    }
}

#[test]
fn escape_sequences_and_formulas_in_messages_are_neutralized() {
    ends_as(&Scripted::Fault(FaultKind::Escapes), "rejected", "form_param_value_invalid");
    for text in [r"=cmd|' /C calc'!A0", r"\u001b[2J\u001b[H", r"a\nb\rc\u0000", r"@x", r"\t-1"] {
        let body = format!(
            r#"{{"errors":[{{"message":"{text}","long_message":"{text}","code":"{text}"}}],"clerk_trace_id":"{text}"}}"#
        );
        let (stage, _) = run_with(Scripted::status(422).with_body(body), "");
        assert_eq!(stage.column("ids.results.csv", "outcome")[0], "rejected", "{text}");
    }
}

#[test]
fn the_body_of_an_error_does_not_change_the_outcome() {
    const BODIES: [&str; 6] =
        ["", "null", "<html>", r#"{"errors":7}"#, r#"{"errors":[null,{"code":[]}]}"#, "\u{0}"];
    for_each_in_parallel(BODIES, |body| {
        let meanings = [(400, "rejected"), (404, "not_found"), (409, "rejected"), (500, "failed")];
        for (status, outcome) in meanings {
            let code = format!("http_{status}");
            ends_as(&Scripted::status(status).with_body(body), outcome, &code);
        }
    });
    let endless = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(3 << 20));
    ends_as(&Scripted::status(422).with_body(endless), "rejected", "http_422");
}

/// Checks a run whose first response is a 429 with this `Retry-After`.
#[track_caller]
fn check_retry_after(retry_after: &str, flags: &str, code: i32) {
    let ids = users(3);
    let script: Script = [(ids[0].clone(), [throttled(retry_after)].into())].into_iter().collect();
    let stage = Stage::with_sandbox(slow_config("0").script(script));
    stage.write("ids.txt", list(&ids));
    let ended = stage.run(&format!("run ids.txt --yes {FAST} {flags}"));
    assert_eq!(ended.code, Some(code), "{retry_after}: {}", ended.stderr);
}

#[test]
fn an_invalid_retry_after_is_ignored() {
    const DATE: &str = "Thu, 01 Jan 1970 00:00:00 GMT";
    let odd = ["0", "-1", "NaN", "1e9", "tomorrow", "0.2", "", "1, 1", DATE];
    for_each_in_parallel(odd, |value| check_retry_after(value, "", 0));
}

#[test]
fn max_duration_ends_the_wait_for_a_retry_after_of_years() {
    let long = ["600.5", "999999999", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"];
    for_each_in_parallel(long, |value| check_retry_after(value, "--max-duration 2s", 3));
}

/// A server that sends these bytes on each connection and closes it.
fn raw_server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = stream.read(&mut [0; 4_096]);
            // The client may close the connection first.
            let _ = stream.write_all(answer);
        }
    });
    url
}

#[test]
fn a_response_that_is_not_http_fails_only_its_user() {
    let answers: [&[u8]; 8] = [
        b"",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"HTTP/1.1 200 \x1b[31m\r\n\x00: \x01\r\n\r\n",
        b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\xff\xff\xff\xff",
    ];
    for_each_in_parallel(answers, |answer: &'static [u8]| {
        let mut stage = Stage::with_quick_sandbox();
        let ids = users(1);
        stage.write("ids.txt", list(&ids));
        stage.set("CLERK_API_URL", &raw_server(answer));
        let line = format!("run ids.txt --yes -vv --max-retries 1 --timeout 2s {FAST}");
        let ended = is_clean(stage.run(&line)).exits_with(1);
        let outcome = &stage.column("ids.results.csv", "outcome")[0];
        assert!(["failed", "rejected"].contains(&outcome.as_str()), "{outcome} {}", ended.stderr);
        is_safe_csv(&stage, "ids.results.csv");
    });
}

/// The peak is known only on Linux.
#[track_caller]
fn is_below(peak: Option<u64>, limit: u64) {
    assert!(peak.is_some_and(|mib| mib > 0) || !cfg!(target_os = "linux"), "{peak:?} MiB");
    assert!(peak.is_none_or(|mib| mib < limit), "{peak:?} MiB");
}

/// Checks that a run takes less memory than this, in MiB.
#[track_caller]
fn stays_below(limit: u64, stage: &Stage, line: &str) {
    let (ended, peak) = stage.spawn(line).wait_with_peak_memory();
    let ended = is_clean(ended);
    assert!(matches!(ended.code, Some(0 | 1)), "{}", ended.stderr);
    is_below(peak, limit);
}

fn against(faults: Faults, n_users: usize) -> Stage {
    let stage = Stage::with_sandbox(slow_config("0").faults(faults).seed(SEED));
    stage.write("ids.txt", list(&users(n_users)));
    stage
}

#[test]
fn responses_of_64_mebibytes_take_little_memory() {
    let stage = against(Faults::only(FaultKind::Huge, 0.5), 20);
    // Each of four workers holds 4 MiB at most, twice while it grows.
    stays_below(80, &stage, &format!("run ids.txt --yes -c 4 {FAST}"));
    stage.check_all_outcomes("ids.results.csv", "unlocked");
}

#[test]
fn deep_nesting_takes_little_memory() {
    let stage = against(Faults::only(FaultKind::Deep, 0.5), 20);
    stays_below(60, &stage, &format!("run ids.txt --yes -c 4 {FAST}"));
    stage.check_all_outcomes("ids.results.csv", "unlocked");
}

#[test]
fn the_timeout_ends_a_response_that_trickles() {
    let ids = users(3);
    let script: Script =
        [(ids[0].clone(), vec![Scripted::Fault(FaultKind::Slow); 9].into())].into_iter().collect();
    let stage = Stage::with_sandbox(slow_config("0").script(script));
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --yes --timeout 400ms --max-retries 1 {FAST}")).exits_with(1);
    assert_eq!(stage.column("ids.results.csv", "outcome"), ["failed", "unlocked", "unlocked"]);
    assert_eq!(stage.column("ids.results.csv", "error_code")[0], "timeout");
}

#[test]
fn a_hostile_look_up_response_shows_no_user_as_unlocked() {
    let kinds = [
        FaultKind::Garbage,
        FaultKind::Empty,
        FaultKind::OtherUser,
        FaultKind::Deep,
        FaultKind::Gzip,
        FaultKind::Truncated,
    ];
    for_each_in_parallel(kinds, |kind| {
        let stage = against(Faults::only(kind, 1.0), 30);
        let line = format!("run ids.txt --dry-run -vv --max-retries 1 {FAST}");
        let ended = is_clean(stage.run(&line)).exits_with(1);
        for row in stage.rows("ids.plan.csv") {
            assert_eq!(row["outcome"], "failed", "{kind}: {row:?}\n{}", ended.stderr);
        }
        is_safe_csv(&stage, "ids.plan.csv");
    });
}

const IN_SANDBOX: &str =
    "--sandbox --sandbox-latency 0ms --sandbox-quota none --quota 1000000/1s --progress none";

/// Gives this to the program on stdin, which must refuse it or run it, without a panic.
#[track_caller]
fn survives(input: impl AsRef<[u8]>) -> (Stage, Ended) {
    let stage = Stage::new();
    let ended = is_clean(stage.pipe(input, &format!("run {IN_SANDBOX}")));
    assert!(matches!(ended.code, Some(0..=2)), "{:?} {}", ended.code, ended.stderr);
    if ended.code == Some(2) {
        assert_eq!(stage.files(), Vec::<String>::new(), "refused, so no file is made");
    } else {
        is_safe_csv(&stage, "stdin.results.csv");
        let manifest = stage.json("stdin.results.manifest.json");
        assert_eq!(manifest["records"], stage.n_rows("stdin.results.csv"));
    }
    (stage, ended)
}

/// Checks that the program refuses this with a reason before it sends a request or creates a file.
#[track_caller]
fn is_refused(input: impl AsRef<[u8]>, text: &str) {
    let stage = Stage::with_quick_sandbox();
    is_clean(stage.pipe(input, "run --yes")).exits_with(2).prints(text);
    assert!(stage.sandbox().requests().is_empty(), "{text}");
    assert_eq!(stage.files(), Vec::<String>::new(), "{text}");
}

#[test]
fn binary_input_is_refused_with_the_reason() {
    is_refused(b"user_id\nuser_a\0b\n", "NUL");
    is_refused(b"\xff\xfeu\0s\0e\0r\0_\0a\0\n\0", "UTF-16");
    is_refused(b"user_id\nuser_\xe9\n", "this is not UTF-8");
    is_refused(b"PK\x03\x04 a workbook", "standard input looks like");
    is_refused(b"\x1f\x8b\x08\0 compressed", "standard input looks like");
    is_refused(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "standard input looks like");
    is_refused("user_id\n\"user_a\nuser_b\n", "never closed");
    let noise: Vec<u8> = {
        let mut rng = fastrand::Rng::with_seed(SEED);
        (0..100_000).map(|_| rng.u8(..)).collect()
    };
    is_refused(noise, "error: ");
}

#[test]
fn an_endless_line_is_refused_and_takes_little_memory() {
    let stage = Stage::with_quick_sandbox();
    let mut command = stage.command("run --yes");
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let mut pipe = running.take_stdin();
    let feeder = thread::spawn(move || {
        let chunk = vec![b'x'; 64 << 10];
        // At most a gibibyte.
        (0..16_384_u32).find(|_| pipe.write_all(&chunk).is_err())
    });
    let (ended, peak) = running.wait_with_peak_memory();
    ended.exits_with(2).prints("longer than 16 MiB");
    let n_chunks = feeder.join().unwrap().expect("the pipe was closed early");
    assert!(n_chunks < 1_024, "{} MiB were read", n_chunks / 16);
    is_below(peak, 160);
    assert!(stage.sandbox().requests().is_empty());
    assert_eq!(stage.files(), Vec::<String>::new());
}

#[test]
fn a_hundred_thousand_columns_are_read_and_more_than_a_million_refused() {
    let header = format!("user_id{}", ",x".repeat(100_000));
    let row = format!("{}{}", users(1)[0], ",y".repeat(100_000));
    survives(format!("{header}\n{row}\n")).1.exits_with(0);
    is_refused(format!("user_id{}\n", ",".repeat(1_100_000)), "more than a million cells");
}

#[test]
fn cells_with_formulas_or_escape_sequences_are_invalid_and_neutralized() {
    let input = "user_id,team\n=1+1,=2+2\n\u{1b}[31muser_a,\u{1b}[2J\n\"user_b\nuser_c\",\"x\ny\"\n\
        @x,+1\n'=1,-1\nuser_../../v1/users,\u{202e}x\nuser_a?x=1#y,\u{9b}5m\n";
    let stage = Stage::new();
    let ended = stage.pipe(input, &format!("run --carry all --lenient -vv {IN_SANDBOX}"));
    is_clean(ended).exits_with(1);
    assert!(stage.rows("stdin.results.csv").iter().all(|row| row["outcome"] == "invalid"));
    assert_eq!(stage.rows("stdin.results.csv").len(), 7);
    for name in ["stdin.results.csv", "stdin.results.failed.csv"] {
        is_safe_csv(&stage, name);
    }
    // The files can be read back as input.
    stage.run(&format!("run stdin.results.failed.csv --lenient {IN_SANDBOX}")).exits_with(1);
    assert_eq!(stage.rows("stdin.results.failed.results.csv").len(), 7);
}

#[test]
fn a_path_in_an_id_is_never_sent() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", "user_a/../../x\nuser_a%2f..\nuser_\nuser_a b\nuser_é\nuser_a;b\n");
    stage.run(&format!("run ids.txt --lenient --yes {FAST}")).exits_with(1);
    stage.check_all_outcomes("ids.results.csv", "invalid");
    assert!(stage.sandbox().requests().is_empty());
}

/// A valid CSV file in which some bytes were changed, removed, or doubled.
fn mutated(rng: &mut fastrand::Rng, ids: &[UserId]) -> Vec<u8> {
    const BAD: &[u8] = b"\"\"\",;\t|\n\r#'=\0\xff\xc3\xa9\xef\xbb\xbf\x1b ";
    let rows = list(ids).replace('\n', ",\"Doe, \"\"J\"\"\",2\n");
    let mut bytes = format!("user_id,name,n\n{rows}").into_bytes();
    for _ in 0..rng.usize(1..12) {
        let at = rng.usize(..bytes.len());
        match rng.u8(..5) {
            0 => bytes[at] = BAD[rng.usize(..BAD.len())],
            1 => bytes.insert(at, BAD[rng.usize(..BAD.len())]),
            2 => drop(bytes.remove(at)),
            3 => bytes.truncate(at.max(1)),
            _ => {
                let end = (at + rng.usize(1..60)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.extend(again);
            }
        }
    }
    bytes
}

#[test]
fn mutated_csv_is_refused_or_run_without_a_panic() {
    let ids = users(8);
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut codes = [0; 3];
    for _ in 0..60 {
        let (_, ended) = survives(mutated(&mut rng, &ids));
        codes[usize::try_from(ended.code.unwrap()).unwrap()] += 1;
    }
    assert!(codes[1] > 5 && codes[2] > 5, "both are met: {codes:?}");
}

#[test]
fn mutated_results_are_refused_or_resumed_without_a_panic() {
    let ids = users(6);
    let stage = Stage::new();
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt {IN_SANDBOX}")).exits_with(0);
    let good = std::fs::read(stage.path("ids.results.csv")).unwrap();
    let mut rng = fastrand::Rng::with_seed(SEED);
    for _ in 0..40 {
        let mut bytes = good.clone();
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(..bytes.len());
            match rng.u8(..3) {
                0 => bytes[at] = rng.u8(..),
                1 => bytes.truncate(at.max(1)),
                _ => drop(bytes.remove(at)),
            }
        }
        stage.write("ids.results.csv", &bytes);
        let line = format!("run ids.txt --resume {IN_SANDBOX}");
        let ended = is_clean(stage.run(&line));
        match ended.code {
            Some(6 | 2) => assert_eq!(std::fs::read(stage.path("ids.results.csv")).unwrap(), bytes),
            Some(0 | 1) => {
                let rows = stage.rows("ids.results.csv");
                for id in &ids {
                    let is_his = |row: &&HashMap<String, String>| row["user_id"] == id.as_str();
                    assert_eq!(rows.iter().filter(is_his).count(), 1, "rows of {id}");
                }
            }
            code => panic!("{code:?} {}", ended.stderr),
        }
        let ended = is_clean(stage.run(&format!("verify ids.results.csv --force {IN_SANDBOX}")));
        assert!(matches!(ended.code, Some(0..=2)), "{:?} {}", ended.code, ended.stderr);
    }
}
