//! Input: the formats that are accepted, and what is refused.

mod common;

use std::fs::File;
use std::time::{Duration, SystemTime};

use bulk_unlock::clerk::UserId;
use common::population::admin_locked_users;
use common::{Stage, list, locked_users, missing_user, users};

/// Runs without a confirmation prompt and without pauses.
const RUN: &str = "--yes --quota 1000/1s";

/// Runs on this text and checks `line outcome` of each row. Returns stderr.
#[track_caller]
fn check(text: impl AsRef<[u8]>, flags: &str, expected: &[&str]) -> String {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", text);
    let ended = stage.run(&format!("run ids.csv {RUN} {flags}"));
    assert!(matches!(ended.code, Some(0 | 1)), "{}", ended.stderr);
    assert_eq!(stage.outcomes("ids.results.csv"), expected, "{}", ended.stderr);
    ended.stderr
}

/// Runs on this text, which must be refused with all of these words.
#[track_caller]
fn check_refused(text: impl AsRef<[u8]>, flags: &str, expected: &[&str]) {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", text);
    let mut ended = stage.run_refused(&format!("run ids.csv {RUN} {flags}"), 2);
    for words in expected {
        ended = ended.prints(words);
    }
}

/// Two users.
fn two() -> (UserId, UserId) {
    let ids = users(2);
    (ids[0].clone(), ids[1].clone())
}

#[test]
fn the_delimiter_is_detected() {
    let (a, b) = two();
    for delimiter in [",", ";", "\t", "|"] {
        let rows =
            [["name", "userID", "team"], ["Ann", a.as_str(), "red"], ["Bob", b.as_str(), ""]];
        let text: String = rows.map(|row| row.join(delimiter) + "\n").concat();
        let stderr = check(text, "", &["2 unlocked", "3 unlocked"]);
        assert!(stderr.contains("Read 2 records; user IDs from column 2 (\"userID\")"), "{stderr}");
    }
}

#[test]
fn byte_order_marks_line_ends_quotes_blank_lines_and_comments_are_read() {
    let (a, b) = two();
    let text = format!(
        "\u{feff}# from the desk\r\n\r\n\"name\",\"user_id\"\r\n\"Ann,\r\nthe first\",{a}\r\n\r\n#2,\"{b}\""
    );
    let stderr = check(text, "", &["4 unlocked", "7 unlocked"]);
    assert!(stderr.contains("Skipped 1 comment line\n"), "{stderr}");
}

#[test]
fn the_column_is_found_by_its_header_in_any_spelling() {
    let (a, b) = two();
    for header in ["user_id", "userId", "id", "clerk_id", "Clerk User-ID", "USER ID"] {
        let stderr =
            check(format!("team,{header}\nred,{a}\nblue,{b}\n"), "", &["2 unlocked", "3 unlocked"]);
        assert!(stderr.contains(&format!("Read 2 records; user IDs from column 2 (\"{header}\")")));
    }
}

#[test]
fn one_column_without_a_known_header_is_a_plain_list() {
    let (a, b) = two();
    let stderr = check(format!("{a}\n{b}\n"), "", &["1 unlocked", "2 unlocked"]);
    assert!(stderr.contains("user IDs from a plain list, one per line"), "{stderr}");
    check(format!("accounts\n{a}\n"), "", &["1 invalid", "2 unlocked"]);
}

#[test]
fn a_csv_without_a_header_is_read_from_its_first_column() {
    let (a, b) = two();
    let stderr = check(format!("{a},red\n{b},blue\n"), "", &["1 unlocked", "2 unlocked"]);
    assert!(stderr.contains("column 1 (no header)"), "{stderr}");
}

#[test]
fn columns_without_a_known_header_are_refused_and_listed() {
    let (a, _) = two();
    check_refused(format!("name,account\nAnn,{a}\n"), "", &["\"name\"", "\"account\"", "--column"]);
}

#[test]
fn column_takes_a_name_or_a_number() {
    let (a, b) = two();
    let text = format!("user_id,account\nx,{a}\ny,{b}\n");
    check(&text, "--column account", &["2 unlocked", "3 unlocked"]);
    check(&text, "--column ACCOUNT", &["2 unlocked", "3 unlocked"]);
    check(&text, "--column 2", &["2 unlocked", "3 unlocked"]);
    let stderr = check(format!("x,{a}\ny,{b}\n"), "--column 2", &["1 unlocked", "2 unlocked"]);
    assert!(stderr.contains("column 2 (no header)"), "{stderr}");
}

#[test]
fn an_unknown_column_is_refused_and_the_columns_are_listed() {
    let (a, _) = two();
    let text = format!("name,user_id\nAnn,{a}\n");
    check_refused(&text, "--column accounts", &["\"accounts\"", "\"name\"", "\"user_id\""]);
    check_refused(&text, "--column 3", &["column number 3", "\"name\"", "\"user_id\""]);
    check_refused(&text, "--column 0", &["column number 0"]);
}

#[test]
fn white_space_and_formula_guards_are_removed() {
    let (a, b) = two();
    check(format!("user_id\n  {a}\t\n\" {b}\u{a0}\"\n"), "", &["2 unlocked", "3 unlocked"]);
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", "user_id\n'=1+1\n'quoted\n");
    stage.run(&format!("run ids.csv {RUN} --lenient")).exits_with(1);
    assert_eq!(stage.column("ids.results.csv", "input"), ["'=1+1", "'quoted"]);
}

#[test]
fn blank_rows_are_skipped_and_a_blank_cell_in_another_row_is_invalid() {
    let (a, _) = two();
    check(
        format!("name,user_id\n\nAnn,\n   \nBob,\"  \"\nCid,{a}\nDan\n,\n\"\", \n"),
        "",
        &["3 invalid", "5 invalid", "6 unlocked", "7 invalid"],
    );
}

#[test]
fn a_repeated_user_is_a_duplicate_that_names_the_first_line() {
    let (a, b) = two();
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", format!("user_id\n{a}\n{b}\n {a}\n"));
    stage.run(&format!("run ids.csv {RUN}")).exits_with(0);
    let row = stage.row("ids.results.csv", 4);
    assert_eq!((&*row["outcome"], &*row["user_id"]), ("duplicate", a.as_str()));
    assert!(row["error_message"].contains("line 2"), "{}", row["error_message"]);
    assert_eq!(stage.n_requests(), 2);
}

#[test]
fn stdin_is_read_for_a_dash_or_without_input() {
    let (a, b) = two();
    for line in ["run -", "run"] {
        let stage = Stage::with_quick_sandbox();
        stage.pipe(list(&[a.clone(), b.clone()]), &format!("{line} {RUN}")).exits_with(0);
        assert_eq!(stage.outcomes("stdin.results.csv"), ["1 unlocked", "2 unlocked"]);
        assert_eq!(stage.json("stdin.results.manifest.json")["files"][0]["name"], "stdin");
    }
}

#[cfg(unix)]
#[test]
fn the_outputs_of_a_descriptor_are_named_after_stdin() {
    let ids = users(2);
    for path in ["/dev/stdin", "/dev/fd/0"] {
        let stage = Stage::with_quick_sandbox();
        stage.pipe(list(&ids), &format!("run {path} {RUN}")).exits_with(0);
        assert_eq!(stage.outcomes("stdin.results.csv"), ["1 unlocked", "2 unlocked"]);
    }
}

#[test]
fn the_whole_input_is_checked_before_the_first_request() {
    let ids = list(&users(50));
    check_refused(format!("user_id\n{ids}\"user_open\n"), "", &["line 52", "quote"]);
    check_refused([b"user_id\n", ids.as_bytes(), b"caf\xe9\n"].concat(), "", &["line 52", "UTF-8"]);
}

#[test]
fn other_encodings_and_formats_are_refused_with_the_way_to_convert_them() {
    check_refused(b"name,user_id\nJos\xe9,user_1\n", "", &["line 2", "iconv -f WINDOWS-1252"]);
    let utf16: Vec<u8> = "user_id\nuser_1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check_refused([b"\xff\xfe", &*utf16].concat(), "", &["UTF-16", "iconv -f UTF-16LE -t UTF-8"]);
    check_refused(&utf16, "", &["UTF-16"]);
    check_refused(b"PK\x03\x04rest", "", &["Excel workbook", "CSV"]);
    check_refused(br#"[{"id":"user_1"}]"#, "", &["JSON", "jq"]);
    check_refused(b"user_id\nuser_\0\n", "", &["line 2", "NUL"]);
}

#[test]
fn a_missing_input_is_refused_with_path_and_reason() {
    let stage = Stage::with_quick_sandbox();
    std::fs::create_dir(stage.path("lists")).expect("a directory");
    stage
        .run_refused(&format!("run missing.csv {RUN}"), 2)
        .prints("missing.csv")
        .prints("No such file");
    stage.run_refused(&format!("run lists {RUN}"), 2).prints("lists is a directory");
}

#[cfg(unix)]
#[test]
fn an_unreadable_input_is_refused_with_path_and_reason() {
    use std::os::unix::fs::PermissionsExt;

    let stage = Stage::with_quick_sandbox();
    let path = stage.write("ids.csv", list(&users(1)));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).expect("permissions");
    // The superuser can read every file.
    if File::open(&path).is_err() {
        let ended = stage.run(&format!("run ids.csv {RUN}")).exits_with(2);
        ended.prints("ids.csv").prints("Permission denied");
        assert_eq!(stage.files(), ["ids.csv"]);
    }
}

#[test]
fn an_empty_input_is_refused_unless_if_empty_allows_it() {
    for text in ["", "user_id\n", "# nobody today\n\n", "\u{feff}"] {
        check_refused(text, "", &["ids.csv has no records", "--if-empty ok"]);
        check_refused(text, "--if-empty fail", &["ids.csv has no records"]);
        let stderr = check(text, "--if-empty warn", &[]);
        assert!(stderr.contains("warning: ids.csv has no records"), "{stderr}");
        let stderr = check(text, "--if-empty ok", &[]);
        assert!(!stderr.contains("warning"), "{stderr}");
    }
}

#[test]
fn limit_and_skip_exclude_records_from_all_counts() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", format!("user_id\n{}", list(&users(10))));
    stage.run(&format!("run ids.csv {RUN} --skip 3 --limit 2")).exits_with(0);
    assert_eq!(stage.outcomes("ids.results.csv"), ["5 unlocked", "6 unlocked"]);
    assert_eq!(stage.json("ids.results.manifest.json")["records"], 2);
    assert_eq!(stage.rows("ids.results.unprocessed.csv").len(), 0);
    stage.run_refused(&format!("run ids.csv {RUN} --skip 10 -o none.csv"), 2).prints("no record");
}

#[test]
fn excluded_users_are_not_changed() {
    let ids = users(3);
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&ids));
    stage.write("taken-over.csv", format!("user_id;#{};user_x\n", ids[1]));
    stage.run(&format!("run ids.csv {RUN} --exclude taken-over.csv")).exits_with(0);
    let expected = ["1 unlocked", "2 excluded", "3 unlocked"];
    assert_eq!(stage.outcomes("ids.results.csv"), expected);
    let asked = stage.sandbox().requests();
    assert!(asked.iter().all(|it| !it.path_and_query.contains(ids[1].as_str())));
    let files = stage.json("ids.results.manifest.json")["files"].clone();
    assert_eq!(files[1]["role"], "exclude");
    assert_eq!(files[1]["sha256"], stage.sha256("taken-over.csv"));
}

/// The failed file of a plan and a list of locked users contain admin-locked users too.
#[test]
fn rows_of_users_left_alone_on_purpose_are_refused() {
    let stage = Stage::with_quick_sandbox();
    let ids = [admin_locked_users(2), locked_users(1)].concat();
    stage.write("ids.csv", list(&ids));
    stage.write("keep.txt", ids[2].as_str());
    stage.run("plan ids.csv --exclude keep.txt --quota 1000/1s").exits_with(0);
    for (file, n_rows) in [("ids.plan.csv", 3), ("ids.plan.failed.csv", 2)] {
        let text = stage.read(file);
        let resaved = format!("\u{feff}{}", text.replace(',', ";").replace('\n', "\r\n"));
        for text in [text, resaved] {
            let n_requests = stage.n_requests();
            stage.write("list.csv", &text);
            for command in ["run", "run --only-locked", "run --include-admin-locked"] {
                let refused =
                    stage.run(&format!("{command} list.csv {RUN} -o out.csv")).exits_with(2);
                let refused =
                    refused.prints("list.csv:2: the user of this row was left alone on purpose");
                let more = ["1 more row", "2 more rows"][n_rows - 2];
                let refused = refused.prints(more);
                refused.prints("--plan").prints("--retry-failed");
            }
            stage.pipe(&text, &format!("run {RUN} -o out.csv")).exits_with(2).prints("left alone");
            assert_eq!(stage.n_requests(), n_requests);
        }
    }
}

#[test]
fn listed_admin_locked_users_are_refused_without_a_look_up_or_a_flag() {
    let stage = Stage::with_quick_sandbox();
    let ids = [admin_locked_users(1), locked_users(1)].concat();
    let text =
        format!("user_id,locked,admin_locked\n{},TRUE,TRUE\n{},TRUE,FALSE\n", ids[0], ids[1]);
    stage.write("locked.csv", text);
    let refused = stage.run_refused(&format!("run locked.csv {RUN}"), 2);
    refused
        .prints("locked.csv:2: the user of this row")
        .prints("--only-locked")
        .prints("--include-admin-locked");
    stage.run("plan locked.csv --quota 1000/1s").exits_with(0);
    let expected = ["2 admin_locked", "3 would_unlock"];
    assert_eq!(stage.outcomes("locked.plan.csv"), expected);
    stage.run(&format!("run locked.csv {RUN} --only-locked")).exits_with(1);
    assert_eq!(stage.outcomes("locked.results.csv"), ["2 admin_locked", "3 unlocked"]);
    stage.run(&format!("run locked.csv {RUN} --include-admin-locked --force")).exits_with(0);
}

#[test]
fn retry_failed_keeps_the_lines_of_the_first_run() {
    let stage = Stage::with_quick_sandbox();
    let ids = locked_users(3);
    stage.write("ids.csv", format!("# locked\nuser_id\n{}", list(&ids)));
    stage.run("plan ids.csv --quota 1000/1s").exits_with(0);
    stage.run(&format!("run ids.csv {RUN}")).exits_with(0);
    stage.run("verify ids.results.csv --quota 1000/1s").exits_with(0);
    let n_requests = stage.n_requests();
    let retry = |file: &str| {
        stage.write("moved.csv", stage.read(file));
        for file in [file, "moved.csv"] {
            let line = format!("run {file} --retry-failed {RUN} -o out.csv");
            stage.run(&line).exits_with(2).prints("--retry-failed");
        }
    };
    retry("ids.plan.csv");
    retry("ids.results.verify.csv");
    assert_eq!(stage.n_requests(), n_requests);

    let failed = stage.read("ids.results.csv").replace(",unlocked,", ",failed,");
    stage.write("moved.csv", failed.replace(',', "\t").replace('\n', "\r\n"));
    let ended = stage.run(&format!("run moved.csv --retry-failed {RUN} -o out.csv")).exits_with(0);
    ended.prints("moved.manifest.json is missing: cannot check the host");
    assert_eq!(stage.outcomes("out.csv"), ["3 unlocked", "4 unlocked", "5 unlocked"]);
    let line = format!("run --retry-failed {RUN} -o piped.csv");
    stage.pipe(failed, &line).exits_with(0).prints("cannot check the host");
    assert_eq!(stage.outcomes("piped.csv"), ["3 unlocked", "4 unlocked", "5 unlocked"]);
}

#[test]
fn a_list_without_a_valid_user_is_refused_unless_lenient() {
    let text = "ann@example.com\nbob@example.com\n";
    check_refused(text, "", &["no record can be a user", "for email addresses give --by email"]);
    let stderr = check(text, "--lenient", &["1 invalid", "2 invalid"]);
    assert!(stderr.contains("warning: ids.csv: no record can be a user"), "{stderr}");
}

/// Input that has two readings or is malformed: nothing is sent.
#[test]
fn an_ambiguous_input_is_refused_with_the_flag_that_decides() {
    let (a, b) = two();
    let swallowed = format!("user_id,name\n{a},\"Ann\n{b},Bob\n{a},\"Cy\n{b},Dee\n");
    check_refused(&swallowed, "", &["ids.csv:4: text after a closing quote", "lines 2 to 4"]);
    check_refused(&swallowed, "--lenient", &["ids.csv:4: text after a closing quote"]);
    let in_a_cell = format!("user_id,name\n{a},\"Ann\n{b},Cy\"\n");
    check_refused(&in_a_cell, "", &["ids.csv:2:", "lines that look like records", "--lenient"]);
    let stderr = check(&in_a_cell, "--lenient", &["2 unlocked"]);
    assert!(stderr.contains("warning: ids.csv: the quoted cell"), "{stderr}");
    check_refused(
        format!("notes,reporter,user_id\nlate, again,{a},{b}\n"),
        "",
        &["ids.csv:2: 4 cells, but the header has 3"],
    );
    check_refused(
        "ext_298|eu\next_298|us\n",
        "--by external-id",
        &["--column", "--delimiter none"],
    );
    check_refused(
        "name,legacy_id\nAnn,ext_2\n",
        "--by external-id",
        &["\"legacy_id\"", "--column"],
    );
    check_refused(
        "name,konto\nAnn,bob\n",
        "--by username --column 2",
        &["a column header or a user"],
    );
    check_refused(
        format!("Locked users\n\nuser_id,name\n{a},Ann\n"),
        "",
        &["ids.csv:1: line 1", "neither a header nor a user", "line 3 looks like the header"],
    );
    check_refused(
        format!("user_id,name,userId\n{a},Ann,{b}\n"),
        "",
        &["columns 1 and 3 are both named", "--column"],
    );
    check_refused("sep=:\nuser_id:x\n", "", &["ids.csv:1: the delimiter \":\" is not supported"]);
}

#[test]
fn skipped_lines_are_counted() {
    let (a, b) = two();
    let stderr = check(
        format!("sep=;\r\n# who\r\nuser_id;x\r\n{a};1\r\n#,;2\r\n{b};3\r\n"),
        "",
        &["4 unlocked", "5 invalid", "6 unlocked"],
    );
    assert!(stderr.contains("Skipped 1 sep= line\nSkipped 1 comment line\n"), "{stderr}");
}

#[test]
fn a_repeated_header_is_not_sent() {
    let (a, b) = two();
    check(format!("user_id\n{a}\nuser_id\n{b}\n"), "", &["2 unlocked", "3 invalid", "4 unlocked"]);
    check(format!("{a}\nuser_id\n{b}\n"), "", &["1 unlocked", "2 invalid", "3 unlocked"]);
}

#[test]
fn max_input_age_refuses_an_older_file() {
    let stage = Stage::with_quick_sandbox();
    let path = stage.write("ids.csv", list(&users(1)));
    let then = SystemTime::now() - Duration::from_secs(3 * 3_600);
    File::options().write(true).open(path).and_then(|it| it.set_modified(then)).expect("a file");
    let ended = stage.run_refused(&format!("run ids.csv {RUN} --max-input-age 2h"), 2);
    ended.prints("3 h 00 min ago").prints("--max-input-age");
    stage.run(&format!("run ids.csv {RUN} --max-input-age 4h")).exits_with(0);

    let line = format!("run {RUN} --max-input-age 2h -o piped.csv");
    let mut command = stage.command(&line);
    command.stdin(File::open(stage.path("ids.csv")).expect("a file"));
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2), "a redirected file has an age too");
    stage.pipe(list(&users(1)), &line).exits_with(0).prints("cannot check --max-input-age");
}

#[test]
fn carried_columns_are_in_the_results_and_the_sidecar_files() {
    let stage = Stage::with_quick_sandbox();
    let (a, b) = two();
    let text = format!("Ticket,user_id,team\nT-1,{a},red\nT-2,{},\nT-3,{b}\n", missing_user());
    stage.write("ids.csv", text);
    stage.run(&format!("run ids.csv {RUN} --carry team,ticket")).exits_with(1);
    assert!(stage.read("ids.results.csv").lines().all(|line| line.split(',').count() >= 25));
    assert_eq!(stage.column("ids.results.csv", "in_Ticket"), ["T-1", "T-2", "T-3"]);
    assert_eq!(stage.column("ids.results.csv", "in_team"), ["red", "", ""]);
    let header = stage.read("ids.results.csv").lines().next().map(str::to_owned);
    assert!(header.is_some_and(|it| it.ends_with(",user,was_locked,in_team,in_Ticket")));
    let failed = stage.read("ids.results.failed.csv");
    let header = "user_id,team,Ticket,line,outcome,error_code,error_message\n";
    assert!(failed.starts_with(header), "{failed}");
    assert_eq!(stage.rows("ids.results.failed.csv")[0]["Ticket"], "T-2");

    stage.run(&format!("run ids.csv {RUN} --carry all -o all.csv")).exits_with(1);
    assert_eq!(stage.column("all.csv", "in_Ticket"), ["T-1", "T-2", "T-3"]);
    stage
        .run_refused(&format!("run ids.csv {RUN} --carry Tickets -o no.csv"), 2)
        .prints("\"Ticket\"");
}

#[test]
fn by_looks_users_up_by_other_identifiers() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(5);
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt {RUN}")).exits_with(0);
    for (by, header, column) in [
        ("email", "Email Address", "email"),
        ("username", "user_name", "username"),
        ("external-id", "externalId", "external_id"),
    ] {
        let cells = stage.column("ids.results.csv", column);
        let known: Vec<&String> = cells.iter().filter(|cell| !cell.is_empty()).collect();
        let rows = known.iter().fold(String::new(), |rows, cell| rows + "x," + cell + "\n");
        stage.write("who.csv", format!("id,{header}\n{rows}x,nobody@nowhere.example\n"));
        let line = format!("run who.csv {RUN} --by {by} --force");
        let n_before = stage.n_requests();
        let ended = stage.run(&line).exits_with(1).prints(&format!("column 2 (\"{header}\")"));
        assert_eq!(stage.n_requests(), n_before + 1, "{}", ended.stderr);
        let mut outcomes = vec!["already_unlocked"; known.len()];
        outcomes.push("not_found");
        assert_eq!(stage.column("who.results.csv", "outcome"), outcomes, "{by}");
        let failed = stage.read("who.results.failed.csv");
        assert!(failed.starts_with(&format!("{header},line,")), "{failed}");
    }
}

#[test]
fn files_of_an_earlier_run_are_accepted_as_input() {
    let stage = Stage::with_quick_sandbox();
    let (a, b) = two();
    let gone = missing_user();
    stage.write("ids.csv", format!("account,user_id\n1,{a}\n2,=1+1\n3,{gone}\n4,{b}\n"));
    stage.run("plan ids.csv --quota 1000/1s").exits_with(0);
    stage.run(&format!("run ids.csv {RUN}")).exits_with(1);
    let results = ["2 unlocked", "3 invalid", "4 not_found", "5 unlocked"];
    assert_eq!(stage.outcomes("ids.results.csv"), results);

    let again = |input: &str, flags: &str| {
        let code = stage.run(&format!("run {input} {RUN} --force -o again.csv {flags}")).code;
        assert!(matches!(code, Some(0 | 1)), "{input}: {code:?}");
        let outcomes = stage.column("again.csv", "outcome");
        outcomes.into_iter().zip(stage.column("again.csv", "input")).collect::<Vec<_>>()
    };
    let row = |outcome: &str, input: &str| (outcome.to_owned(), input.to_owned());
    let failed = [row("invalid", "'=1+1"), row("not_found", gone.as_str())];
    assert_eq!(again("ids.results.failed.csv", ""), failed);
    assert_eq!(again("ids.results.unprocessed.csv", "--if-empty ok"), []);
    // A row without a user ID is named by its cell.
    let mut expected = vec![row("invalid", "'=1+1"), row("not_found", gone.as_str())];
    expected.extend([&a, &b].map(|user| row("unlocked", user.as_str())));
    let mut read = again("ids.results.csv", "");
    read.sort();
    expected.sort();
    assert_eq!(read, expected);
}

#[test]
fn the_unprocessed_file_continues_a_stopped_run() {
    let stage = Stage::with_quick_sandbox();
    let mut ids = vec![missing_user()];
    ids.extend(users(30));
    let rows = (0..).zip(&ids).map(|(n, id)| format!("T-{n},{id}\n"));
    stage.write("ids.csv", format!("ticket,clerk_id\n{}", rows.collect::<String>()));
    let line = format!("run ids.csv {RUN} --canary 1 --carry ticket");
    stage.run(&line).exits_with(3);
    let unprocessed = stage.read("ids.results.unprocessed.csv");
    assert!(unprocessed.starts_with("clerk_id,ticket,line\n"), "{unprocessed}");
    let n_rows = stage.rows("ids.results.csv").len();
    assert_eq!(n_rows + stage.rows("ids.results.unprocessed.csv").len(), ids.len());
    let line = format!("run ids.results.unprocessed.csv {RUN} --carry ticket -o rest.csv");
    stage.run(&line).exits_with(0);
    assert_eq!(n_rows + stage.rows("rest.csv").len(), ids.len());
    assert!(stage.column("rest.csv", "in_ticket").contains(&"T-30".to_owned()));
}

#[test]
fn a_header_in_a_comment_that_names_another_column_is_refused() {
    let (a, b) = two();
    let expected = [
        "ids.csv:2:",
        "\"#manager_id,user_id\"",
        "column 2 (\"user_id\")",
        "column 1 (no header)",
        "remove the \"#\"",
        "--column",
    ];
    let text = format!("# from the desk\n#manager_id,user_id\n{b},{a}\n");
    check_refused(&text, "", &expected);
    check_refused(&text, "--lenient", &expected);
    check(&text, "--column 1", &["3 unlocked"]);
    check(&text, "--column 2", &["3 unlocked"]);
    for comment in ["#user_id,manager_id", "# see user_id, and the wiki", "#user_id", "#a,b"] {
        check(format!("{comment}\n{a},{b}\n"), "", &["2 unlocked"]);
    }
}

/// A list may end with the columns of our `unprocessed` or `failed` files by chance.
#[test]
fn a_list_that_only_has_the_header_of_an_own_file_is_an_ordinary_list() {
    let (a, b) = two();
    let text = format!("id,user_id,line\n{b},{a},mobile\n");
    let stderr = check(&text, "", &["2 unlocked"]);
    assert!(stderr.contains("user IDs from column 2 (\"user_id\")"), "{stderr}");
    let text =
        format!("owner,user_id,line,outcome,error_code,error_message\n{b},{a},app,contacted,x,y\n");
    let stderr = check(&text, "", &["2 unlocked"]);
    assert!(stderr.contains("user IDs from column 2 (\"user_id\")"), "{stderr}");
}

#[test]
fn a_file_that_may_be_an_own_file_or_a_list_of_other_users_is_refused() {
    let (a, b) = two();
    let readings = [
        format!("ids.csv:2: does this row name \"{a}\" or \"{b}\"?"),
        "column 1 (\"clerk_id\")".to_owned(),
        "column 2 (\"user_id\")".to_owned(),
        "--column".to_owned(),
    ];
    let readings = readings.each_ref().map(String::as_str);
    let unprocessed = format!("clerk_id,user_id,line\n{a},{b},2\n");
    check_refused(&unprocessed, "", &readings);
    check_refused(&unprocessed, "--lenient", &readings);
    let failed = format!(
        "clerk_id,user_id,line,outcome,error_code,error_message\n{a},{b},2,failed,timeout,x\n"
    );
    check_refused(&failed, "", &readings);
    // A row without a line number, anywhere in the file.
    for n_before in [0, 50] {
        let before = format!("{b},{b},7\n").repeat(n_before);
        let text = format!("clerk_id,user_id,line\n{before}{a},{b},7\n{a},{b},\n");
        check_refused(&text, "", &readings[1..]);
    }
    check(&unprocessed, "--column clerk_id", &["2 unlocked"]);
    check(&unprocessed, "--column 2", &["2 unlocked"]);
    // Both columns name the same user.
    check(format!("clerk_id,user_id,line\n{a},{a},2\n"), "", &["2 unlocked"]);
    check(format!("user_id,id,line\n{a},{b},2\n"), "", &["2 unlocked"]);
}

#[test]
fn own_files_of_a_chosen_column_are_read_from_it_under_their_own_names() {
    let stage = Stage::with_quick_sandbox();
    let (a, b) = two();
    let (gone, other) = (missing_user(), users(3).remove(2));
    stage.write("ids.csv", format!("user_id,clerk_id\n{other},{gone}\n{other},{a}\n{a},{b}\n"));
    let line = format!("run ids.csv {RUN} --column clerk_id --carry all --canary 1");
    stage.run(&line).exits_with(3);
    for name in ["ids.results.failed.csv", "ids.results.unprocessed.csv"] {
        let text = stage.read(name);
        assert!(text.starts_with("clerk_id,user_id,line"), "{text}");
        stage.pipe(&text, &format!("run - {RUN}")).exits_with(2).prints("--column");
    }
    stage.run(&format!("run ids.results.failed.csv {RUN} -o failed.csv")).exits_with(1);
    assert_eq!(stage.column("failed.csv", "input"), [gone.as_str()]);
    stage.run(&format!("run ids.results.unprocessed.csv {RUN} -o rest.csv")).exits_with(0);
    let mut rest = stage.column("rest.csv", "input");
    rest.sort();
    let mut expected = [a.as_str(), b.as_str()];
    expected.sort_unstable();
    assert_eq!(rest, expected);
}

/// A spreadsheet may write booleans in another language, and `sort` may move the header.
#[test]
fn edited_own_files_are_refused_as_plain_input() {
    let header = "user_id,line,outcome,error_code,error_message";
    let rows = "user_b,4,failed,timeout,x\nuser_z,3,admin_locked,,";
    for text in [
        "user_id,admin_locked\nuser_a,1\n".to_owned(),
        "user_id;admin_locked\nuser_a;WAHR\n".to_owned(),
        format!("{rows}\n{header}\n"),
        format!("{rows}\n"),
        "user_id,line,outcome\nuser_a,2,already_locked\n".to_owned(),
        "user_id,line,outcome\nuser_a,2,would_relock\n".to_owned(),
    ] {
        check_refused(&text, "", &["ids.csv"]);
    }
}

/// Spreadsheets format line numbers, and file systems change the case of names.
#[test]
fn own_files_with_formatted_line_numbers_are_recognized() {
    let stage = Stage::with_quick_sandbox();
    let header = "line,input,user_id,outcome";
    let rows = "3.0,user_b,,failed\n\"1,000\",user_c,,failed\n4,user_d,user_d,failed\n";
    stage.write("rows.csv", format!("{header}\n{rows}"));
    stage.run("plan rows.csv -o rows.plan.csv").prints("Read 3 records");
    assert_eq!(stage.column("rows.plan.csv", "input"), ["user_b", "user_c", "user_d"]);
    let failed =
        "cust,id,line,outcome,error_code,error_message\nuser_a,user_x,2.0,failed,timeout,x\n";
    stage.write("R.FAILED.CSV", failed);
    stage.run("plan R.FAILED.CSV -o failed.plan.csv");
    assert_eq!(stage.column("failed.plan.csv", "input"), ["user_a"]);
}
