//! The files that this program wrote, as input.

use super::*;
use crate::model::Outcome;

const RESULTS: &str = "\
line,input,user_id,outcome,http_status,error_message,in_ticket,in_team
2,user_a,user_a,unlocked,200,,T-1,red
3,user_b,user_b,failed,503,\"busy, \"\"very\"\"\",'=T-2,blue
9,c@x.org,,failed,,,T-3,
5,sess_d,,invalid,,,T-4,red
6,e@x.org,user_e,still_locked,200,,T-5,red
7,user_f,user_f,would_unlock,,,T-6,red
";

fn retry(kind: IdentifierKind) -> Options {
    Options { retry_failed: true, kind, ..Options::default() }
}

fn recorded_text(text: &str, filter: &Filter) -> Result<ReadInput, Error> {
    recorded(Source::bytes("users.results.csv", text.as_bytes()), filter)
}

fn carried(input: &ReadInput) -> String {
    let cells = input.records.records.iter().map(|it| it.carried.join("/"));
    format!("{}: {}", input.records.carried.join("/"), cells.collect::<Vec<_>>().join(" "))
}

#[test]
fn retry_failed_takes_the_rows_that_may_yet_succeed() {
    let input = read_text(RESULTS, &retry(IdentifierKind::UserId)).unwrap();
    assert_eq!(told(&input), "3:user_b 4:c@x.org 6:user_e");
    assert_eq!(input.records.header.as_deref(), Some("user_id"));
    assert_eq!(input.records.kind, IdentifierKind::UserId);
    assert_eq!(input.column.to_string(), r#"column 3, "user_id""#);
}

#[test]
fn retry_failed_by_another_kind_takes_the_input_as_it_was() {
    let input = read_text(RESULTS, &retry(IdentifierKind::Email)).unwrap();
    assert_eq!(told(&input), "3:user_b 4:c@x.org 6:e@x.org");
    assert_eq!(input.records.header.as_deref(), Some("email"));
    assert_eq!(input.column.to_string(), r#"column 2, "input""#);
}

#[test]
fn retry_failed_heeds_skip_and_limit() {
    let options = Options { skip: 1, limit: Some(1), ..retry(IdentifierKind::UserId) };
    check_with(&options, RESULTS, "4:c@x.org");
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
fn a_plans_rows_keep_the_lines_of_the_plan() {
    let filter = Filter::of(&[Outcome::WouldUnlock, Outcome::Unlocked], IdentifierKind::UserId);
    let input = recorded_text(RESULTS, &filter).unwrap();
    assert_eq!(told(&input), "2:user_a 7:user_f");
    assert_eq!(carried(&input), "ticket/team: T-1/red T-6/red");
}

#[test]
fn another_file_is_no_results_file() {
    for text in ["", "user_a\n", "user_id,outcome\n", "input,line,user_id,outcome\n"] {
        let error = read_text(text, &retry(IdentifierKind::UserId)).unwrap_err();
        assert!(matches!(error, Error::NotResults { .. }), "{text:?}: {error}");
    }
    insta::assert_snapshot!(
        read_text("user_a\n", &retry(IdentifierKind::UserId)).unwrap_err(),
        @"users.csv is no results or plan file of this program: its header does not begin with line,input,user_id,outcome"
    );
}

#[test]
fn a_row_that_was_cut_off_is_named() {
    let torn = format!("{RESULTS}8,user_g,user_g,fai");
    insta::assert_snapshot!(
        read_text(&torn, &retry(IdentifierKind::UserId)).unwrap_err(),
        @r#"users.csv, line 8: "fai" is no outcome of this program; the file was edited, or its run was cut off: finish that with --resume"#
    );
    insta::assert_snapshot!(
        recorded_text(&RESULTS.replace("7,", "x7,"), &Filter::of(&[Outcome::WouldUnlock], IdentifierKind::UserId))
            .unwrap_err(),
        @r#"users.results.csv, line 7: "x7" in the column "line" is no line number; the file was edited"#
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
fn the_users_of_failed_and_unprocessed_files_stand_in_the_first_column() {
    let own = |name, text: &str| {
        told(&read(Source::bytes(name, text.as_bytes()), &Options::default()).unwrap())
    };
    let failed = "cust,id,line,outcome,error_code,error_message\nuser_a,user_x,2,failed,,\n";
    assert_eq!(own("x.csv", failed), "2:user_a");
    assert_eq!(own("x.unprocessed.csv", "cust,id,line\nuser_a,user_x,2\n"), "2:user_a");
    assert_eq!(own("standard input", "cust,team,line\nbad,red,2\n"), "2:bad");
    assert_eq!(own("mine.csv", "cust,id,line\nuser_a,user_x,2\n"), "2:user_x");
}

#[test]
fn a_row_of_a_results_file_without_a_user_id_is_named_by_its_input() {
    let text = "line,input,user_id,outcome\n2,user_a,user_a,unlocked\n3,bad one,,invalid\n";
    check(text, "2:user_a 3:bad one");
}

#[test]
fn results_and_the_list_of_the_locked_are_ordinary_input() {
    check(RESULTS, "2:user_a 3:user_b 4:c@x.org 5:sess_d 6:user_e 7:user_f");
    check("user_id,username,email,external_id\nuser_a,al,a@x.org,17\n", "2:user_a");
}
