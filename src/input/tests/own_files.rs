//! The files that this program wrote, as input.

use super::*;
use crate::model::Outcome;

const RESULTS: &str = "\
line,input,user_id,outcome,http_status,error_message,in_ticket,in_team
2,user_a,user_a,unlocked,200,,T-1,red
30,user_b,user_b,failed,503,\"busy, \"\"very\"\"\",'=T-2,blue
9,c@x.org,,failed,,,T-3,
5,sess_d,,invalid,,,T-4,red
6,e@x.org,user_e,still_locked,200,,T-5,red
";

const PLAN: &str = "\
line,input,user_id,outcome,in_ticket
2,user_a,user_a,would_unlock,T-1
3,user_b,user_b,already_unlocked,T-2
7,user_f,user_f,would_unlock,T-6
";

const LOCKED: &str = "\
user_id,username,email,locked,admin_locked
user_a,al,a@x.org,true,false
user_b,bo,b@x.org,true,true
";

fn retry(kind: IdentifierKind) -> Options {
    Options { retry_failed: true, kind, ..Options::default() }
}

fn recorded_text(text: &str, filter: &Filter) -> Result<ReadInput, Error> {
    recorded(Source::bytes("users.results.csv", text.as_bytes()), filter)
}

fn carried(input: &ReadInput) -> String {
    let cells = input.records.records.iter().map(|it| it.carried().join("/"));
    format!("{}: {}", input.records.carried.join("/"), cells.collect::<Vec<_>>().join(" "))
}

/// A file as spreadsheets and people hand it on.
fn resaved(text: &str) -> Vec<String> {
    let quoted = |line: &str| {
        let cells = line.split(',').map(|cell| format!("\"{cell}\""));
        cells.collect::<Vec<_>>().join(";")
    };
    let quoted: Vec<String> = text.lines().map(quoted).collect();
    vec![
        text.to_owned(),
        text.replace(',', ";"),
        text.replace(',', "\t").replace('\n', "\r\n"),
        format!("\u{feff}{}", quoted.join("\r\n")),
        text.replace("true", "TRUE").replace("user_id", "User ID"),
    ]
}

#[test]
fn retry_failed_takes_the_rows_that_may_yet_succeed_with_their_own_lines() {
    let input = read_text(RESULTS, &retry(IdentifierKind::UserId)).unwrap();
    assert_eq!(records_of(&input), "30:user_b 9:c@x.org 6:user_e");
    assert_eq!(input.records.header.as_deref(), Some("user_id"));
    assert_eq!(input.records.kind, IdentifierKind::UserId);
    assert_eq!(input.column.to_string(), r#"column 3 ("user_id")"#);
}

#[test]
fn retry_failed_by_another_kind_takes_the_cells_of_the_first_run() {
    let input = read_text(RESULTS, &retry(IdentifierKind::Email)).unwrap();
    assert_eq!(records_of(&input), "30:user_b 9:c@x.org 6:e@x.org");
    assert_eq!(input.records.header.as_deref(), Some("email"));
    assert_eq!(input.column.to_string(), r#"column 2 ("input")"#);
}

#[test]
fn retry_failed_takes_skip_and_limit() {
    let options = Options { skip: 1, limit: Some(1), ..retry(IdentifierKind::UserId) };
    check_with(&options, RESULTS, "9:c@x.org");
}

#[test]
fn retry_failed_refuses_rows_of_a_plan_or_of_verify() {
    for text in resaved(PLAN) {
        let error = read_text(&text, &retry(IdentifierKind::UserId)).unwrap_err().to_string();
        assert_eq!(
            error,
            "users.csv:2: this row was written by `plan`, and --retry-failed takes the results of \
             `run`; to run a plan, give it with --plan"
        );
    }
    let verified =
        "line,input,user_id,outcome\n2,user_a,user_a,failed\n3,user_b,user_b,locked_again\n";
    let error = read_text(verified, &retry(IdentifierKind::UserId)).unwrap_err().to_string();
    assert!(error.starts_with("users.csv:3: this row was written by `verify`"), "{error}");
}

#[test]
fn carried_columns_are_carried_on_under_their_own_names() {
    let input = read_text(RESULTS, &retry(IdentifierKind::UserId)).unwrap();
    assert_eq!(carried(&input), "ticket/team: =T-2/blue T-3/ T-5/red");
    let carry = Carry::Named(vec!["Team".into()]);
    let options = Options { carry, ..retry(IdentifierKind::UserId) };
    assert_eq!(carried(&read_text(RESULTS, &options).unwrap()), "team: blue  red");
}

#[test]
fn the_rows_of_a_plan_keep_the_lines_of_the_plan() {
    let filter = Filter::of(&[Outcome::WouldUnlock], IdentifierKind::UserId);
    for text in resaved(PLAN) {
        let input = recorded_text(&text, &filter).unwrap();
        assert_eq!(records_of(&input), "2:user_a 7:user_f");
        assert_eq!(carried(&input), "ticket: T-1 T-6");
    }
}

const UNLOCKED: &str = "\
line,input,user_id,outcome,in_was_locked,was_locked
2,user_a,user_a,unlocked,false,true
3,user_b,user_b,unlocked,true,false
4,user_c,user_c,already_unlocked,true,true
5,user_d,user_d,unlocked,true,
";

#[test]
fn users_to_lock_again_were_locked_before_they_were_unlocked() {
    let known = UNLOCKED.replace("5,user_d,user_d,unlocked,true,\n", "");
    let [strict, lenient] = [false, true].map(|it| Filter::unlocked(IdentifierKind::UserId, it));
    for text in resaved(&known) {
        assert_eq!(records_of(&recorded_text(&text, &strict).unwrap()), "2:user_a");
        assert_eq!(records_of(&recorded_text(&text, &lenient).unwrap()), "2:user_a");
    }
    assert_eq!(records_of(&recorded_text(UNLOCKED, &lenient).unwrap()), "2:user_a 5:user_d");
    insta::assert_snapshot!(
        recorded_text(UNLOCKED, &strict).unwrap_err(),
        @"users.results.csv:5: `was_locked` is neither true nor false: the run did not look this user up, so it is not known whether this user was locked before; to lock this user all the same, add --include-unknown"
    );
    let early = "line,input,user_id,outcome\n2,user_a,user_a,unlocked\n3,user_b,user_b,unlocked\n";
    assert_eq!(records_of(&recorded_text(early, &lenient).unwrap()), "2:user_a 3:user_b");
    insta::assert_snapshot!(
        recorded_text(early, &strict).unwrap_err(),
        @"users.results.csv:2: `was_locked` is neither true nor false, nor in 1 more row: the run did not look these users up, so it is not known whether they were locked before; to lock them all the same, add --include-unknown"
    );
}

#[test]
fn another_file_is_not_a_results_file() {
    for text in ["", "user_a\n", "user_id,outcome\n", "name,team\nAnn,red\n"] {
        let error = read_text(text, &retry(IdentifierKind::UserId)).unwrap_err();
        assert!(matches!(error.refusal, Refusal::NotResults), "{text:?}: {error}");
    }
    insta::assert_snapshot!(
        read_text("user_a\n", &retry(IdentifierKind::UserId)).unwrap_err(),
        @"users.csv is not a bulk-unlock results or plan file: it has no columns line, input, user_id and outcome"
    );
}

#[test]
fn a_row_that_was_cut_off_is_named() {
    let torn = format!("{RESULTS}8,user_g,user_g,fai");
    insta::assert_snapshot!(
        read_text(&torn, &retry(IdentifierKind::UserId)).unwrap_err(),
        @r#"users.csv:7: "fai" is not an outcome; the file was edited, or its run was cut off: finish that with --resume"#
    );
    insta::assert_snapshot!(
        recorded_text(&PLAN.replace("7,", "x7,"), &Filter::of(&[Outcome::WouldUnlock], IdentifierKind::UserId))
            .unwrap_err(),
        @r#"users.results.csv:4: "x7" in the column "line" is not a line number; the file was edited"#
    );
}

#[test]
fn failed_and_unprocessed_files_are_ordinary_input() {
    check("user_id,line,outcome,error_code,error_message\nuser_a,7,failed,timeout,x\n", "2:user_a");
    check("user_id,ticket,line\nuser_a,T-1,7\n", "2:user_a");
    check_with(&by(IdentifierKind::Email), "Email,team,line\na@x.org,red,7\n", "2:a@x.org");
    check_with(&by(IdentifierKind::Email), "user_id,line\na@x.org,7\n", "2:a@x.org");
}

/// Whatever the column is called there, and whatever was carried beside it.
#[test]
fn the_users_of_failed_and_unprocessed_files_are_in_the_first_column() {
    let own = |name, text: &str| {
        let read = read(Source::bytes(name, text.as_bytes()), &lenient());
        read.map_or_else(|error| error.to_string(), |input| records_of(&input))
    };
    let failed = "cust,id,line,outcome,error_code,error_message\nuser_a,user_x,2,failed,,\n";
    for text in resaved(failed) {
        assert_eq!(own("x.failed.csv", &text), "2:user_a");
        assert!(own("x.csv", &text).starts_with("x.csv:2: does this row name"), "{text}");
    }
    let alone = "cust,line,outcome,error_code,error_message\nuser_a,2,failed,,\n";
    assert_eq!(own("x.csv", alone), "2:user_a");
    let unprocessed = "cust,id,line\nuser_a,user_x,2\n";
    assert_eq!(own("x.unprocessed.csv", unprocessed), "2:user_a");
    assert_eq!(own("mine.csv", unprocessed), "2:user_x");
    assert_eq!(own("standard input", "user_id,team,line\nbad,red,2\n"), "2:bad");
    // Joined files repeat the header.
    let joined = unprocessed.repeat(2);
    assert_eq!(own("x.unprocessed.csv", &joined), "2:user_a 3:cust 4:user_a");
}

#[test]
fn a_file_that_may_be_ours_or_another_list_is_refused_with_both_readings() {
    insta::assert_snapshot!(refusal(&lenient(), "id,user_id,line\nuser_m,user_a,7\n"), @r#"users.csv:2: does this row name "user_m" or "user_a"? The user IDs are in column 1 ("id") if this is a failed or unprocessed file of bulk-unlock, and in column 2 ("user_id") if it is another list; choose one with --column"#);
    // The name, or some rows, may contradict the others.
    for (name, text) in [
        ("x.unprocessed.csv", "id,user_id,line\nuser_m,user_a,mobile\n"),
        ("x.unprocessed.csv", "id,user_id,line\nuser_m,user_a,7\nuser_m,user_b,\n"),
        ("x.csv", "id,user_id,line\nuser_m,user_a,mobile\nuser_m,user_a,7\n"),
        ("x.csv", "id,user_id,line\nuser_m,user_a\n"),
    ] {
        let error = read(Source::bytes(name, text.as_bytes()), &lenient()).unwrap_err();
        assert!(matches!(error.refusal, Refusal::OwnFileOrList { .. }), "{text}: {error}");
    }
    check_with(&column("id"), "id,user_id,line\nuser_m,user_a,7\n", "2:user_m");
    check_with(&column("2"), "id,user_id,line\nuser_m,user_a,7\n", "2:user_a");
    check("id,user_id,line\nuser_a,user_a,7\nuser_b,,8\n", "2:user_a 3:user_b");
    check("user_id,id,line\nuser_a,user_m,7\n", "2:user_a");
    let email = by(IdentifierKind::Email);
    let error = refusal(&email, "mail,email,line\na@x.org,b@x.org,7\n");
    assert!(error.contains("email addresses") || error.contains("emails"), "{error}");
    let repeated = "user_id,user_id,line\nuser_m,user_a,7\n";
    assert!(refusal(&lenient(), repeated).contains("are both named"));
}

#[test]
fn a_list_with_the_header_of_our_files_and_other_rows_is_an_ordinary_list() {
    check("id,user_id,line\nuser_m,user_a,mobile\n", "2:user_a");
    check("id,user_id,line\nuser_m,user_a,\n", "2:user_a");
    let failed = "owner,user_id,line,outcome,error_code,error_message\n";
    check(&format!("{failed}user_m,user_a,app,contacted,x,y\n"), "2:user_a");
    check(&format!("{failed}user_m,user_a,7,contacted,x,y\n"), "2:user_a");
    check("line,input,user_id,outcome\nmobile,user_m,user_a,x\nmobile,user_m,,x\n", "2:user_a 3:");
    let email = by(IdentifierKind::Email);
    let error = refusal(&email, "line,input,user_id,outcome\nmobile,a@x.org,user_a,x\n");
    assert!(error.contains("no header names a column of"), "{error}");
    let repeated = "line,input,user_id,outcome,user_id\nmobile,x,user_m,y,user_a\n";
    assert!(refusal(&lenient(), repeated).contains("are both named"));
}

#[test]
fn a_row_of_a_results_file_without_a_user_id_is_named_by_its_input() {
    for text in
        resaved("line,input,user_id,outcome\n2,user_a,user_a,unlocked\n3,bad one,,invalid\n")
    {
        check(&text, "2:user_a 3:bad one");
    }
}

#[test]
fn results_and_lists_of_locked_users_are_ordinary_input() {
    for text in resaved(&RESULTS.replace("\"busy, \"\"very\"\"\"", "busy")) {
        check(&text, "2:user_a 3:user_b 4:c@x.org 5:sess_d 6:user_e");
    }
    for text in resaved(&LOCKED.replace("true,true", "true,false")) {
        check(&text, "2:user_a 3:user_b");
        check_with(&by(IdentifierKind::Email), &text, "2:a@x.org 3:b@x.org");
    }
}

#[test]
fn a_plan_is_recognized_also_when_it_was_resaved() {
    for text in resaved(PLAN) {
        assert!(read_text(&text, &Options::default()).unwrap().is_plan);
    }
    assert!(!read_text(RESULTS, &Options::default()).unwrap().is_plan);
}

#[test]
fn rows_of_users_who_were_left_alone_are_refused_also_when_they_were_resaved() {
    for outcome in ["excluded", "admin_locked", "ambiguous"] {
        let results = PLAN.replace("already_unlocked", outcome);
        let failed = format!(
            "user_id,line,outcome,error_code,error_message\nuser_a,2,failed,,\nuser_b,3,{outcome},,\n"
        );
        // A file from which columns were removed.
        let edited = format!("user_id,outcome\nuser_a,unlocked\nuser_b,{outcome}\n");
        for text in [results, failed, edited].iter().flat_map(|text| resaved(text)) {
            let error = refusal(&lenient(), &text);
            assert!(error.starts_with("users.csv:3: the user of this row"), "{error}");
            assert!(error.contains(outcome), "{error}");
            assert!(error.contains("--plan") && error.contains("--retry-failed"), "{error}");
        }
    }
}

#[test]
fn users_who_are_listed_as_locked_on_purpose_are_refused_unless_they_may_be_taken() {
    for text in resaved(LOCKED) {
        let error = refusal(&lenient(), &text);
        assert!(error.starts_with("users.csv:3: the user of this row"), "{error}");
        assert!(error.contains("--only-locked") && error.contains("--include-admin-locked"));
        let taken = Options { takes_admin_locked: true, ..Options::default() };
        check_with(&taken, &text, "2:user_a 3:user_b");
    }
}
