//! The results, the files beside them, and stdout.

mod common;

use std::collections::VecDeque;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{Script, Scripted};
use common::population::unlocked_users;
use common::{Stage, list, locked_users, missing_user, users};

/// Runs without a question and without pauses.
const RUN: &str = "--yes --quota 1000/1s";

const HEADER: &str = "line,input,user_id,outcome,http_status,error_code,error_message,attempts,\
    duration_ms,finished_at,trace_id,locked,banned,lockout_expires_in_seconds,\
    verification_attempts_remaining,username,email,external_id,first_name,last_name,\
    last_sign_in_at,updated_at,user,was_locked";

/// A stage whose server answers the unlock of this user with this body.
fn with_answer(id: &UserId, body: &str) -> Stage {
    let answer = Scripted::status(200).with_body(body);
    Stage::with_script(Script::from([(id.clone(), VecDeque::from([answer]))]))
}

/// A user object with unusual fields.
fn awkward(id: &UserId) -> String {
    format!(
        "{{\n  \"object\": \"user\", \"id\": \"{id}\",\n  \"locked\": false, \"banned\": true,\n  \
         \"first_name\": \"=HYPERLINK(\\\"x\\\")\",\n  \"last_name\": \"a\\nb\\u0007c\\u001b[2J\",\n  \
         \"username\": \"@sum\", \"external_id\": \"-7\", \"verification_attempts_remaining\": 10,\n  \
         \"primary_email_address_id\": \"e2\",\n  \"email_addresses\": [\n    \
         {{\"id\": \"e1\", \"email_address\": \"first@example.com\"}},\n    \
         {{\"id\": \"e2\", \"email_address\": \"primary@example.com\"}}\n  ],\n  \
         \"last_sign_in_at\": 1730556221704, \"updated_at\": null,\n  \
         \"number\": 1.50e2, \"private_metadata\": {{ \"note\": \"keep  both  spaces\" }}\n}}"
    )
}

#[test]
fn the_header_is_that_of_version_1() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&users(1)));
    stage.run(&format!("run ids.csv {RUN}")).exits_with(0);
    assert_eq!(stage.read("ids.results.csv").lines().next(), Some(HEADER));
    stage.run("plan ids.csv --quota 1000/1s").exits_with(0);
    assert_eq!(stage.read("ids.plan.csv").lines().next(), Some(HEADER));
}

#[test]
fn every_record_is_one_line() {
    let ids = users(40);
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&ids) + "\"user_\r\nsplit\"\n");
    stage.run(&format!("run ids.csv {RUN}")).exits_with(1);
    let text = stage.read("ids.results.csv");
    assert!(text.ends_with('\n') && !text.contains('\r'));
    assert_eq!(text.lines().count(), 1 + 41);
    assert_eq!(stage.row("ids.results.csv", 41)["input"], "user_ split");
}

#[test]
fn a_row_holds_the_input_the_outcome_and_the_user() {
    let stage = Stage::with_quick_sandbox();
    let id = &locked_users(1)[0];
    stage.write("ids.csv", format!("user_id\n{id}\n"));
    stage.run(&format!("run ids.csv {RUN}")).exits_with(0);
    let row = stage.row("ids.results.csv", 2);
    let cell = |column: &str| row[column].as_str();
    assert_eq!((cell("input"), cell("user_id")), (id.as_str(), id.as_str()));
    assert_eq!((cell("outcome"), cell("http_status")), ("unlocked", "200"));
    assert_eq!((cell("error_code"), cell("error_message")), ("", ""));
    assert_eq!((cell("attempts"), cell("locked")), ("1", "false"));
    assert_eq!(cell("verification_attempts_remaining"), "10");
    assert!(cell("duration_ms").parse::<u64>().is_ok(), "{}", cell("duration_ms"));
    for time in ["finished_at", "updated_at"] {
        let text = cell(time);
        assert!(text.len() == 24 && text.ends_with('Z') && text.contains('T'), "{time}: {text}");
    }
    let user: serde_json::Value = serde_json::from_str(cell("user")).expect("JSON");
    assert_eq!(user["id"], id.as_str());
    assert!(cell("email").contains('@') && cell("user").contains(cell("email")));
}

#[test]
fn was_locked_is_the_result_of_the_look_up() {
    let stage = Stage::with_quick_sandbox();
    stage.write(
        "ids.csv",
        list(&[locked_users(1), unlocked_users(1), vec![missing_user()]].concat()),
    );
    let was_locked = |flags: &str, name: &str| {
        stage.run(&format!("{flags} -o {name} --quota 1000/1s")).exits_with(1);
        stage.column(name, "was_locked")
    };
    // Without a look-up, it is not known.
    assert_eq!(was_locked("run ids.csv --yes --only-locked", "a.csv"), ["true", "false", ""]);
    assert_eq!(was_locked("run ids.csv --yes", "b.csv"), ["", "", ""]);
}

#[test]
fn a_row_of_an_error_has_status_code_message_and_trace_id() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&[missing_user()]));
    stage.run(&format!("run ids.csv {RUN}")).exits_with(1);
    let row = stage.row("ids.results.csv", 1);
    let cells = [&row["outcome"], &row["http_status"], &row["error_code"], &row["attempts"]];
    assert_eq!(cells, ["not_found", "404", "resource_not_found", "1"]);
    assert!(row["error_message"].contains("No user was found"), "{}", row["error_message"]);
    assert!(!row["trace_id"].is_empty());
    assert_eq!(row["user"], "");
}

#[test]
fn the_user_is_kept_as_sent_without_insignificant_white_space() {
    let id = &users(1)[0];
    let stage = with_answer(id, &awkward(id));
    stage.write("ids.csv", list(std::slice::from_ref(id)));
    stage.run(&format!("run ids.csv {RUN}")).exits_with(0);
    let row = stage.row("ids.results.csv", 1);
    let user = row["user"].replace(id.as_str(), "ID");
    insta::assert_snapshot!(user, @r#"{"object":"user","id":"ID","locked":false,"banned":true,"first_name":"=HYPERLINK(\"x\")","last_name":"a\nb\u0007c\u001b[2J","username":"@sum","external_id":"-7","verification_attempts_remaining":10,"primary_email_address_id":"e2","email_addresses":[{"id":"e1","email_address":"first@example.com"},{"id":"e2","email_address":"primary@example.com"}],"last_sign_in_at":1730556221704,"updated_at":null,"number":1.50e2,"private_metadata":{"note":"keep  both  spaces"}}"#);
    assert_eq!(row["email"], "primary@example.com");
    assert_eq!(row["last_sign_in_at"], "2024-11-02T14:03:41.704Z");
}

#[test]
fn no_cell_is_a_formula_or_contains_a_control_character() {
    let id = &users(1)[0];
    let stage = with_answer(id, &awkward(id));
    let text = format!("note,user_id\n\"@A1\nB\",{id}\n\"-1\",+2\n\"\t=3\",\"\u{1b}[31m=4\"\n");
    stage.write("ids.csv", text);
    stage.run(&format!("run ids.csv {RUN} --carry note")).exits_with(1);
    let row = stage.row("ids.results.csv", 2);
    assert_eq!(row["first_name"], "'=HYPERLINK(\"x\")");
    assert_eq!(row["last_name"], "a b c [2J");
    assert_eq!([&row["username"], &row["external_id"]], ["'@sum", "'-7"]);
    assert_eq!(row["in_note"], "'@A1 B");
    let names = ["ids.results.csv", "ids.results.failed.csv"];
    for name in names {
        for row in stage.rows(name) {
            let is_formula = |cell: &String| cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
            assert!(!row.values().any(is_formula), "{name}: {row:?}");
            assert!(!row.values().any(|it| it.contains(char::is_control)), "{name}: {row:?}");
        }
    }
    assert_eq!(stage.column("ids.results.csv", "input")[1..], ["'+2", "[31m=4"]);
}

#[test]
fn snapshot_decides_how_much_of_the_user_is_kept() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&users(1)));
    let kept = |mode: &str| {
        stage.run(&format!("run ids.csv {RUN} --force --snapshot {mode}")).exits_with(0);
        let row = stage.row("ids.results.csv", 1);
        [row["locked"].is_empty(), row["email"].is_empty(), row["user"].is_empty()]
    };
    assert_eq!(kept("full"), [false, false, false]);
    assert_eq!(kept("summary"), [false, false, true]);
    assert_eq!(kept("none"), [true, true, true]);
}

#[test]
fn redact_replaces_only_the_named_fields() {
    let id = &users(1)[0];
    let stage = with_answer(id, &awkward(id));
    stage.write("ids.csv", list(std::slice::from_ref(id)));
    let flags = "--redact private_metadata,first_name,email_addresses";
    stage.run(&format!("run ids.csv {RUN} {flags}")).exits_with(0);
    let row = stage.row("ids.results.csv", 1);
    assert!(row["user"].ends_with(r#""number":1.50e2,"private_metadata":"[redacted]"}"#));
    assert!(row["user"].contains(r#""email_addresses":"[redacted]","last_sign_in_at""#));
    assert_eq!([&row["first_name"], &row["email"]], ["[redacted]", "[redacted]"]);
    assert_eq!(row["username"], "'@sum");
    let text = stage.read("ids.results.csv");
    assert!(!text.contains("HYPERLINK") && !text.contains("primary@"), "{text}");
}

#[cfg(unix)]
#[test]
fn every_file_is_readable_only_by_its_owner() {
    use std::os::unix::fs::PermissionsExt;

    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&users(1)));
    // Other users could read the file that is overwritten.
    let path = stage.write("ids.results.csv", "old");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).expect("permissions");
    stage.run(&format!("run ids.csv {RUN} --force")).exits_with(0);
    for name in stage.files().iter().filter(|name| *name != "ids.csv") {
        let mode = stage.path(name).metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn the_sidecar_files_are_written_even_when_empty() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", format!("account\n{}", list(&users(2))));
    stage.run(&format!("run ids.csv {RUN} --skip 1 -o out.csv")).exits_with(0);
    let expected =
        ["ids.csv", "out.csv", "out.failed.csv", "out.manifest.json", "out.unprocessed.csv"];
    assert_eq!(stage.files(), expected);
    assert_eq!(stage.read("out.failed.csv"), "user_id,line,outcome,error_code,error_message\n");
    assert_eq!(stage.read("out.unprocessed.csv"), "user_id,line\n");
}

#[test]
fn failed_lists_rows_that_did_not_end_well_under_the_header_of_the_input() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(2);
    let text = format!("Clerk ID\n{}\n{}\nnobody\n{}\n", ids[0], missing_user(), ids[0]);
    stage.write("ids.csv", text);
    stage.write("keep.txt", list(&ids[1..]));
    stage.run(&format!("run ids.csv {RUN} --exclude keep.txt")).exits_with(1);
    let failed = stage.read("ids.results.failed.csv").replace(missing_user().as_str(), "GONE");
    let mut lines: Vec<&str> = failed.lines().collect();
    lines[1..].sort_unstable();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    Clerk ID,line,outcome,error_code,error_message
    GONE,3,not_found,resource_not_found,No user was found with id GONE.
    nobody,4,invalid,invalid_input,"a user id starts with ""user_"""
    "#);
}

#[test]
fn the_manifest_records_what_was_run_and_how_it_ended() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&[users(2), vec![missing_user()]].concat()));
    let line = format!("run ids.csv {RUN} --reason 'SEC-2231: stuffing'");
    stage.run(&line).exits_with(1);
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!(manifest["schema_version"], 1);
    assert_eq!(manifest["program_version"], env!("CARGO_PKG_VERSION"));
    let command = manifest["command"].as_str().expect("a text");
    let repeated = " run ids.csv --yes '--reason=SEC-2231: stuffing' --quota=1000/1s --api-url=";
    assert!(command.contains(repeated), "{command}");
    assert_eq!(manifest["instance"], "development");
    let url = stage.sandbox().url();
    assert_eq!(manifest["host"], url.trim_start_matches("http://"));
    assert_eq!(manifest["key"], "sk_test_…only");
    assert_eq!(manifest["reason"], "SEC-2231: stuffing");
    assert_eq!(manifest["ending"], "completed");
    assert!(manifest["started_at"].as_str() < manifest["finished_at"].as_str());
    assert_eq!(manifest["counts"], serde_json::json!({ "unlocked": 2, "not_found": 1 }));
    let sums = ["records", "rows", "unprocessed"].map(|it| manifest[it].as_u64());
    assert_eq!(sums, [Some(3), Some(3), Some(0)]);
}

#[test]
fn the_manifest_records_the_hashes_of_the_files() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&users(3)));
    stage.run(&format!("run ids.csv {RUN}")).exits_with(0);
    let manifest = stage.json("ids.results.manifest.json");
    let files = manifest["files"].as_array().expect("a list");
    let names: Vec<&str> = files.iter().filter_map(|file| file["name"].as_str()).collect();
    let expected =
        ["ids.csv", "ids.results.csv", "ids.results.failed.csv", "ids.results.unprocessed.csv"];
    assert_eq!(names, expected);
    for file in files {
        let name = file["name"].as_str().expect("a name");
        assert_eq!(file["sha256"], stage.sha256(name), "{name}");
    }
}

#[test]
fn the_names_of_the_outputs_follow_the_input() {
    let stage = Stage::with_quick_sandbox();
    std::fs::create_dir(stage.path("lists")).expect("a directory");
    stage.write("lists/monday.list.txt", list(&users(1)));
    stage.run(&format!("run lists/monday.list.txt {RUN}")).exits_with(0);
    stage.run("run -n lists/monday.list.txt --quota 1000/1s").exits_with(0);
    let files = stage.files();
    for name in ["monday.list.results.csv", "monday.list.plan.csv"] {
        assert!(files.contains(&name.to_owned()), "{files:?}");
    }
    stage.pipe(list(&users(1)), "plan --quota 1000/1s").exits_with(0);
    assert_eq!(stage.rows("stdin.plan.csv").len(), 1);
}

#[test]
fn an_existing_results_file_is_refused_and_force_overwrites_it() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&users(2)));
    stage.write("ids.results.csv", "precious\n");
    let ended = stage.run_refused(&format!("run ids.csv {RUN}"), 6);
    ended.prints("ids.results.csv already exists").prints("--resume").prints("--force");
    stage.run(&format!("run ids.csv {RUN} --force")).exits_with(0);
    assert_eq!(stage.rows("ids.results.csv").len(), 2);
}

#[test]
fn an_output_that_is_also_an_input_is_refused() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&users(2)));
    stage.write("out.failed.csv", list(&users(2)));
    let run = |line: &str| {
        let ended = stage.run_refused(&format!("{line} {RUN} --force"), 2);
        ended.prints("is both an input and an output; give another path");
    };
    run("run ids.csv -o ids.csv");
    run("run ids.csv -o ./ids.csv");
    run("run out.failed.csv -o out.csv");
    run("run ids.csv --exclude out.failed.csv -o out.csv");
    run("run ids.csv --report ids.csv");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("ids.csv", stage.path("link.csv")).expect("a link");
        run("run ids.csv -o link.csv");
    }
}

#[test]
fn an_output_that_cannot_be_created_is_refused() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&users(2)));
    std::fs::create_dir(stage.path("folder")).expect("a directory");
    stage.run_refused(&format!("run ids.csv {RUN} -o folder"), 6).prints("folder is a directory");
    stage
        .run_refused(&format!("run ids.csv {RUN} -o nowhere/out.csv"), 6)
        .prints("nowhere/out.csv");
}

#[test]
fn output_to_stdout_is_only_the_results_and_leaves_no_file() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&users(3)));
    let ended = stage.run(&format!("run ids.csv {RUN} -o -")).exits_with(0);
    assert_eq!(ended.stdout.lines().next(), Some(HEADER));
    assert_eq!(ended.stdout.lines().count(), 4);
    assert_eq!(stage.files(), ["ids.csv"]);
    for flag in ["--json", "--resume", "--force", "--report page.html", "--verify"] {
        stage.run_refused(&format!("run ids.csv {RUN} -o - {flag}"), 2).prints("-o -");
    }
}

#[test]
fn json_prints_only_the_summary_to_stdout() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&[users(2), vec![missing_user()]].concat()));
    let ended = stage.run(&format!("run ids.csv {RUN} --json")).exits_with(1);
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(summary["ending"], "completed");
    assert_eq!(summary["exit_code"], 1);
    assert_eq!(summary["counts"]["unlocked"], 2);
    assert_eq!(summary["counts"]["not_found"], 1);
}
