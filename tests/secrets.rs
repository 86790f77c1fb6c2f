//! The key does not appear on a console, in a file, in an argument, or in a child process.

#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Stdio;

use bulk_unlock::sandbox::{FaultKind, Mode, SandboxConfig, Script, Scripted};
use common::watch::{FAST, for_each_in_parallel, slow_config, wait_until};
use common::{Ended, Running, Stage, list, users};

/// As long as a real key.
const KEY: &str = "sk_test_Zq7Wm3KLEAKED9xT5bR1vN8cJ4hG6fD2sA0pY2u7";
const FINGERPRINT: &str = "sk_test_…Y2u7";

/// A part of the key that appears nowhere else.
const LEAK: &str = "LEAKED";

fn stage(config: SandboxConfig) -> Stage {
    let stage = Stage::with_sandbox(config.key(KEY.to_owned()));
    stage.write("ids.txt", list(&users(20)));
    stage
}

/// Checks that the key is neither in the output nor in any file of the stage.
#[track_caller]
fn check_key_is_hidden(stage: &Stage, ended: Ended) -> Ended {
    for name in stage.files() {
        let bytes = fs::read(stage.path(&name)).unwrap_or_default();
        let is_in = bytes.windows(LEAK.len()).any(|window| window == LEAK.as_bytes());
        assert!(!is_in, "{}: the key is in {name}", ended.line);
    }
    ended.does_not_print(LEAK)
}

#[test]
fn successful_run_shows_only_the_fingerprint() {
    for flags in ["", "-q", "-v", "-vv", "--json"] {
        let stage = stage(slow_config("0"));
        let ended = stage.run(&format!("run ids.txt --yes {FAST} {flags}")).exits_with(0);
        check_key_is_hidden(&stage, ended);
        assert_eq!(stage.json("ids.results.manifest.json")["key"], FINGERPRINT);
    }
}

#[test]
fn faults_do_not_reveal_the_key() {
    // The faults are spread over many users, so that they are not taken for an outage.
    let ids = users(150);
    let faulty = ids.iter().step_by(5).zip(FaultKind::all());
    let script: Script =
        faulty.map(|(id, fault)| (id.clone(), vec![Scripted::Fault(fault); 2].into())).collect();
    for_each_in_parallel(["", "-v", "-vv", "-q"], |flags| {
        let stage = stage(slow_config("0").script(script.clone()));
        stage.write("ids.txt", list(&ids));
        let line = "run ids.txt --yes --json --report page.html --max-retries 1 --timeout 300ms";
        let ended = stage.run(&format!("{line} --rate 150/s {flags}")).exits_with(1);
        check_key_is_hidden(&stage, ended);
        assert!(stage.read("page.html").contains("</html>"));
        let n_429s = stage.sandbox().stats().by_status.get(&429).copied();
        assert_eq!(n_429s, Some(2), "the 429 occurred twice");
        assert!(stage.rows("ids.results.failed.csv").len() >= 14, "other faults occurred");
    });
}

#[test]
fn library_logs_do_not_reveal_the_key() {
    let mut stage = stage(slow_config("0"));
    stage.set("RUST_LOG", "trace");
    stage.set("RUST_BACKTRACE", "full");
    let ended = stage.run(&format!("run ids.txt --yes -vv {FAST}")).exits_with(0);
    check_key_is_hidden(&stage, ended);
}

#[test]
fn refused_key_is_not_shown() {
    let stage = stage(slow_config("0"));
    stage.sandbox().set_mode(Mode::Revoked);
    let ended = stage.run("run ids.txt --yes -vv").exits_with(4);
    check_key_is_hidden(&stage, ended);
}

#[test]
fn malformed_key_is_not_shown() {
    let mut stage = stage(slow_config("0"));
    for key in [
        format!("{KEY} {KEY}"),
        format!("pk_{KEY}"),
        format!("{KEY}\u{7}"),
        format!("{KEY}é"),
        format!("\"{KEY}\""),
        format!("'{KEY}'"),
        format!("CLERK_SECRET_KEY={KEY}"),
        format!("export CLERK_SECRET_KEY='{KEY}'"),
    ] {
        stage.set("CLERK_SECRET_KEY", &key);
        let ended = stage.run("run ids.txt --yes -vv").exits_with(4);
        check_key_is_hidden(&stage, ended);
    }
}

#[test]
fn key_in_the_wrong_argument_is_not_shown() {
    let stage = stage(slow_config("0"));
    let check = |line: &str, code| {
        let ended = stage.run(line).exits_with(code);
        check_key_is_hidden(&stage, Ended { line: "a key in the wrong place".to_owned(), ..ended });
    };
    check(&format!("run ids.txt --yes --api-url https://{KEY}@api.example.com"), 2);
    check(&format!("run ids.txt --yes --api-url {KEY}"), 2);
    check(&format!("run ids.txt --yes --secret-key-file {KEY}"), 4);
    check(&format!("run ids.txt --yes --secret-key={KEY}"), 2);
    check(&format!("run ids.txt --yes --quota {KEY}"), 2);
    check(&format!("run {KEY} --yes"), 2);
    check(&format!("verify {KEY}"), 2);
    check(&format!("report {KEY}"), 2);
    check(KEY, 2);
}

#[test]
fn key_as_file_name_or_reason_is_masked() {
    let stage = stage(slow_config("0"));
    let check = |line: &str| {
        let ended = stage.run(line).exits_with(0).does_not_print(LEAK);
        assert!(!ended.stdout.contains(LEAK), "{}", ended.stdout);
        check_key_is_hidden(
            &stage,
            Ended { line: "a key that was taken for a name".to_owned(), ..ended },
        )
    };
    let named = check(&format!("run ids.txt --yes -vv --json -o {KEY}.csv {FAST}"));
    named.prints(&format!("{FINGERPRINT}.csv"));
    check(&format!("report {KEY}.csv --json --html page.html"));
    check(&format!("report {KEY}.csv"));
    check(&format!("locked -o {KEY}.list {FAST}"));
    let reason = format!("--reason 'INC-7 {KEY}' --report reason.html");
    check(&format!("run ids.txt --yes -o b.csv {reason} {FAST}"));
    assert_eq!(stage.json("b.manifest.json")["reason"], format!("INC-7 {FINGERPRINT}"));
    assert!(stage.read("reason.html").contains(FINGERPRINT));
}

#[test]
fn key_in_the_input_is_an_invalid_row_and_masked() {
    let stage = stage(slow_config("0"));
    let ids = users(3);
    let rows = format!("{},{KEY}\n{KEY},x\n{},a {KEY}\n", ids[0], ids[1]);
    for (name, text, flags, n_rows) in [
        ("list.txt", format!("{}\n{KEY}\n{}\n", ids[0], ids[1]), "", 3),
        ("table.csv", format!("user_id,note\n{rows}"), "--carry all", 3),
        // The header is the key, too.
        ("odd.csv", format!("user_id,{KEY}\n{rows}"), "--carry all", 3),
    ] {
        stage.write(name, text);
        let results = format!("{name}.results.csv");
        let flags = format!("{flags} -vv -o {results} --report {name}.html --report-pii {FAST}");
        let ended = stage.run(&format!("run {name} --yes {flags}")).exits_with(1);
        fs::remove_file(stage.path(name)).unwrap();
        check_key_is_hidden(&stage, ended);
        let outcomes = stage.column(&results, "outcome");
        assert_eq!(outcomes.iter().filter(|it| *it == "invalid").count(), 1, "{name}");
        assert_eq!(outcomes.len(), n_rows, "{name}");
        assert!(stage.column(&results, "input").contains(&FINGERPRINT.to_owned()), "{name}");
    }
}

#[test]
fn escaped_key_in_a_response_is_masked() {
    let ids = users(20);
    let escaped = KEY.replacen('_', "\\u005f", 1).replace('Z', "\\u005a");
    let error =
        format!(r#"{{"errors":[{{"code":"{escaped}","long_message":"bad key {escaped}"}}]}}"#);
    let user =
        format!(r#"{{"id":"{}","object":"user","locked":false,"first_name":"{escaped}"}}"#, ids[1]);
    let responses = [Scripted::status(422).with_body(error), Scripted::status(200).with_body(user)];
    let script: Script =
        ids.iter().cloned().zip(responses.into_iter().map(|response| [response].into())).collect();
    let stage = stage(slow_config("0").script(script));
    let flags = "-vv --report page.html --report-pii";
    let ended = stage.run(&format!("run ids.txt --yes {flags} {FAST}")).exits_with(1);
    check_key_is_hidden(&stage, ended);
    let messages = stage.column("ids.results.csv", "error_message").join("\n");
    assert!(messages.contains(&format!("bad key {FINGERPRINT}")), "{messages}");
    assert!(stage.column("ids.results.csv", "first_name").contains(&FINGERPRINT.to_owned()));
}

#[test]
fn key_in_a_response_is_masked() {
    let ids = users(20);
    let body = format!(
        r#"{{"errors":[{{"message":"invalid key {KEY}","long_message":"the key {KEY} may not","code":"{KEY}","meta":{{}}}}],"clerk_trace_id":"{KEY}"}}"#
    );
    let user = format!(
        r#"{{"id":"{}","object":"user","locked":false,"first_name":"{KEY}","private_metadata":{{"key":"{KEY}"}}}}"#,
        ids[1]
    );
    let responses = [
        Scripted::status(422).with_body(body.clone()),
        Scripted::status(200).with_body(user),
        Scripted::status(500).with_body(body.clone()),
        Scripted::status(307).with_header("Location", &format!("http://127.0.0.1:9/{KEY}")),
        Scripted::status(403).with_body(format!("<html>{KEY}</html>")),
        Scripted::status(422).with_body("{}").with_header("CF-Ray", KEY),
        Scripted::status(200).with_body(format!("not json {KEY}")),
    ];
    let script: Script =
        ids.iter().cloned().zip(responses.into_iter().map(|response| [response].into())).collect();
    let stage = stage(slow_config("0").script(script));
    let ended = stage.run(&format!("run ids.txt --yes -vv {FAST}")).exits_with(1);
    check_key_is_hidden(&stage, ended);
    let messages = stage.column("ids.results.csv", "error_message").join("\n");
    assert!(messages.contains(&format!("the key {FINGERPRINT} may not")), "{messages}");

    let refused: Script =
        [(ids[0].clone(), [Scripted::status(401).with_body(body)].into())].into_iter().collect();
    let stage = self::stage(slow_config("0").script(refused));
    let ended = stage.run(&format!("run ids.txt --yes -vv -c 1 {FAST}")).exits_with(4);
    check_key_is_hidden(&stage, ended);
}

/// A server that gives these responses, one per connection.
fn serve(responses: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for (stream, response) in listener.incoming().flatten().zip(responses) {
            let mut lines = BufReader::new(&stream).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            (&stream).write_all(response.as_bytes()).expect("a reader");
        }
    });
    url
}

/// The key is masked first, as a truncated key would no longer be recognized.
#[test]
fn text_is_masked_before_it_is_truncated() {
    let ids = users(5);
    let after_padding = |n: usize| format!("{}{KEY}", "r".repeat(n));
    let response = |status: u16, ray: &str, body: &str| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nCF-Ray: {ray}");
        format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let error = format!(
        r#"{{"errors":[{{"code":"{0}","long_message":"{1}"}}],"clerk_trace_id":"{0}"}}"#,
        after_padding(60),
        after_padding(970),
    );
    let user = format!(r#"{{"id":"{}","object":"user","locked":false}}"#, ids[1]);
    let url = serve(vec![
        response(422, &after_padding(60), "{}"),
        response(200, &after_padding(60), &user),
        response(422, "8f", &error),
        // Only the first part of this page is read.
        response(422, "8f", &format!("{}{KEY}", " ".repeat(65_500))),
        // The error message quotes the body.
        response(200, "8f", &format!("{{\"id\":{{\"{}\":1}}}}", after_padding(280))),
    ]);
    let mut stage = stage(slow_config("0"));
    stage.set("CLERK_API_URL", &url);
    stage.write("ids.txt", list(&ids));
    let flags = "-vv -c 1 --max-retries 0 --report page.html --report-pii";
    let ended = stage.run(&format!("run ids.txt --yes {flags} {FAST}")).exits_with(1);
    check_key_is_hidden(&stage, ended);
    let hidden = format!("{}{FINGERPRINT}", "r".repeat(60));
    assert_eq!(
        stage.column("ids.results.csv", "trace_id"),
        [&*hidden, &*hidden, &*hidden, "8f", "8f"]
    );
    let outcomes = ["rejected", "unlocked", "rejected", "rejected", "failed"];
    assert_eq!(stage.column("ids.results.csv", "outcome"), outcomes);
}

#[test]
fn key_from_a_file_is_in_no_argument_environment_or_child_process() {
    let mut stage = stage(slow_config("30ms"));
    stage.write("key", format!("{KEY}\n"));
    stage.unset("CLERK_SECRET_KEY");
    let mut command = stage.command("run ids.txt --yes --rate 40/s --secret-key-file key");
    command.stdout(Stdio::piped());
    let running = Running::start(command);
    wait_until("a row is written", || stage.n_rows("ids.results.csv") > 2);
    let proc = format!("/proc/{}", running.id());
    if fs::metadata(&proc).is_ok() {
        for name in ["cmdline", "environ"] {
            let text =
                String::from_utf8_lossy(&fs::read(format!("{proc}/{name}")).unwrap()).into_owned();
            assert!(!text.is_empty() && !text.contains(LEAK), "the key is in {name}");
        }
        for task in fs::read_dir(format!("{proc}/task")).unwrap() {
            let children = fs::read_to_string(task.unwrap().path().join("children"));
            assert_eq!(children.unwrap_or_default(), "", "the program has a child process");
        }
    }
    let ended = running.wait().exits_with(0);
    fs::remove_file(stage.path("key")).unwrap();
    check_key_is_hidden(&stage, ended);
}

#[test]
fn key_from_the_environment_is_in_no_argument() {
    let stage = stage(slow_config("30ms"));
    let running = stage.spawn("run ids.txt --yes --rate 40/s");
    wait_until("a row is written", || stage.n_rows("ids.results.csv") > 2);
    let cmdline = fs::read(format!("/proc/{}/cmdline", running.id())).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&cmdline).contains(LEAK));
    let ended = running.wait().exits_with(0);
    check_key_is_hidden(&stage, ended);
}

#[test]
fn killed_run_leaves_no_key() {
    let stage = stage(slow_config("30ms"));
    let running = stage.spawn("run ids.txt --yes -vv --rate 40/s");
    wait_until("a row is written", || stage.n_rows("ids.results.csv") > 2);
    running.signal("KILL");
    let ended = running.wait();
    check_key_is_hidden(&stage, ended);
}

/// A key with an unknown prefix and a short key, in the wrong places.
#[test]
fn key_in_use_is_masked_in_any_argument() {
    for key in ["weirdkey_LEAKED_12345678", "sk_test_LEAKED"] {
        let config = slow_config("0").key(key.to_owned());
        let mut stage = Stage::with_sandbox(config);
        stage.set("CLERK_SECRET_KEY", key);
        let ids = format!("{}{key}\n", list(&users(3)));
        let line = format!("run - --yes -vv --json --report page.html --reason 'as {key}'");
        let ended = stage.pipe(ids, &format!("{line} {FAST}")).exits_with(1);
        check_key_is_hidden(&stage, ended);
        assert_eq!(stage.outcomes("stdin.results.csv")[3], "4 invalid");
        for line in ["run KEY", "verify KEY", "report KEY", "run x --quota KEY", "--KEY"] {
            let ended = stage.run(&line.replace("KEY", key));
            assert_ne!(ended.code, Some(0), "{line}");
            check_key_is_hidden(&stage, ended);
        }
    }
}
