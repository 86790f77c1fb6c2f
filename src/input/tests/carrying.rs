//! Columns that are kept beside the users.

use super::*;

fn carried(carry: Carry, text: &str) -> Result<String, String> {
    let options = Options { carry, ..Options::default() };
    let records = read_text(text, &options).map_err(|e| e.to_string())?.records;
    let cells = records.records.iter().map(|it| it.carried().join("/"));
    Ok(format!("{}: {}", records.carried.join("/"), cells.collect::<Vec<_>>().join(" ")))
}

fn named(names: &str) -> Carry {
    Carry::Named(names.split(',').map(str::to_owned).collect())
}

#[track_caller]
fn check(carry: Carry, text: &str, expected: &str) {
    assert_eq!(carried(carry, text).as_deref(), Ok(expected), "{text:?}");
}

const TEXT: &str = "Team,id,Ticket No\nred,user_a,T-1\n\"blue\nish\",user_b\n";

#[test]
fn columns_are_carried_by_name_in_the_order_they_are_named() {
    check(named("ticket_no,team"), TEXT, "Ticket No/Team: T-1/red /blue ish");
    check(named("team,TEAM"), TEXT, "Team: red blue ish");
}

#[test]
fn all_columns_are_those_beside_the_users() {
    check(Carry::All, TEXT, "Team/Ticket No: red/T-1 blue ish/");
    check(Carry::All, "user_a,red\nuser_b\n", "column_2: red ");
    check(Carry::All, "user_a\n", ": ");
    check(Carry::None, TEXT, ":  ");
}

#[test]
fn an_unknown_column_is_an_error_that_lists_the_columns() {
    insta::assert_snapshot!(
        carried(named("team,tikcet"), TEXT).unwrap_err(),
        @r#"users.csv has no column "tikcet" to carry; its columns are 1 "Team", 2 "id", 3 "Ticket No""#
    );
    insta::assert_snapshot!(
        carried(named("team"), "user_a\n").unwrap_err(),
        @r#"users.csv has no header, so it has no column "team" to carry; add a header line"#
    );
}

#[test]
fn nothing_carried_costs_no_memory() {
    let input = read_text("user_a\n", &Options::default()).unwrap();
    assert!(input.records.records[0].carried().is_empty());
}
