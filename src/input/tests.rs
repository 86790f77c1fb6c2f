//! The input's rules, from bytes to records.

mod carrying;
mod errors;
mod properties;
mod recorded;
mod samples;

use super::*;
use crate::model::IdentifierKind;

fn read_text(text: &str, options: &Options) -> Result<ReadInput, Error> {
    read(Source::bytes("users.csv", text.as_bytes()), options)
}

fn by(kind: IdentifierKind) -> Options {
    Options { kind, ..Options::default() }
}

fn column(choice: &str) -> Options {
    Options { column: choice.parse().ok(), ..Options::default() }
}

/// Lines and cells, as `2:user_a 3:user_b`.
fn told(input: &ReadInput) -> String {
    let records = input.records.records.iter();
    records.map(|it| format!("{}:{}", it.line, it.cell)).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(text: &str, expected: &str) {
    check_with(&Options::default(), text, expected);
}

#[track_caller]
fn check_with(options: &Options, text: &str, expected: &str) {
    let input = read_text(text, options).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    assert_eq!(told(&input), expected, "{text:?}");
}

#[track_caller]
fn check_column(options: &Options, text: &str, expected: &str) {
    let input = read_text(text, options).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    assert_eq!(input.column.to_string(), expected, "{text:?}");
}

#[test]
fn a_plain_list_has_one_record_a_line() {
    check("user_a\nuser_b\n", "1:user_a 2:user_b");
    check("user_a\r\nuser_b", "1:user_a 2:user_b");
    check("user_a\ruser_b\r", "1:user_a 2:user_b");
    check("\u{feff}user_a\n", "1:user_a");
    check("Users\nuser_a\n", "1:Users 2:user_a");
    check("user_a\nuser_b,x\n", "1:user_a 2:user_b,x");
}

#[test]
fn white_space_before_a_quote_is_none_of_the_cells() {
    check("n, \"user_id\"\n1, \"user_a\"\n\"2, 3\" , \"user_b\"\n", "2:user_a 3:user_b");
    check("  \"user_a\"\n", "1:user_a");
    check_with(&by(IdentifierKind::Username), "username\n\"ann \"\"x\"\"\"\n", "2:ann \"x\"");
}

#[test]
fn a_number_is_a_header_where_there_are_not_so_many_columns() {
    check_with(&column("2024"), "n,2024\n1,user_a\n", "2:user_a");
    check_with(&column("2"), "2,n\nuser_x,user_a\n", "2:user_a");
}

#[test]
fn blank_lines_and_comments_are_no_records_and_count_as_lines() {
    check("# who\n\n  \nuser_a\n\u{a0}\t\n# and\nuser_b\n\n", "4:user_a 7:user_b");
    check("#\r\n\r\nid,x\r\n#\r\nuser_a,1\r\n", "5:user_a");
    check("user_a\n # indented\n", "1:user_a 2:# indented");
}

#[test]
fn a_blank_cell_is_a_record() {
    check("id,x\n,\nuser_a\n\"\",1\n", "2: 3:user_a 4:");
    check("x,id\nshort\n", "2:");
    check("id\n\"\"\n", "2:");
    check("x\tid\n\t\n", "2:");
    check("\t\nuser_a\n", "2:user_a");
}

#[test]
fn a_record_stands_on_its_first_line() {
    check("x,id\n\"a\nb\",user_a\n\"c\r\n\n# d\",user_b\ne,user_c\n", "2:user_a 4:user_b 7:user_c");
    check("\"a\nb\",id\n1,user_a\n", "3:user_a");
}

#[test]
fn quotes_padding_and_formula_guards_are_taken_off() {
    check("id,x\n\"user_a\",\"b\"\"c\"\n  user_b ,d\n", "2:user_a 3:user_b");
    check("id\n'=1+1\n'user_a\n", "2:=1+1 3:user_a");
    check("id,x\n\"user_\na\",1\n", "2:user_ a");
}

#[test]
fn a_file_of_a_header_alone_has_no_records() {
    let input = read_text("user_id,name\n", &Options::default()).unwrap();
    assert!(input.is_empty());
    assert_eq!(input.column.to_string(), r#"column 1, "user_id""#);
}

#[test]
fn an_empty_input_is_no_error() {
    for text in ["", "\n", "\u{feff}", "# nothing\n\n", "\r\n"] {
        let options = Options { column: "team".parse().ok(), ..Options::default() };
        assert!(read_text(text, &options).unwrap().is_empty(), "{text:?}");
    }
}

#[test]
fn the_column_is_found_by_its_header() {
    let options = Options::default();
    check_column(&options, "name;User Id\nx;user_a\n", r#"column 2, "User Id""#);
    check_column(&options, "id\n", r#"column 1, "id""#);
    check_column(&options, "user_a\n", "a plain list, one a line");
    check_column(&options, "user_a|x\n", "column 1 (there is no header)");
    check_column(&by(IdentifierKind::Email), "id,E-Mail\n", r#"column 2, "E-Mail""#);
    check_column(&by(IdentifierKind::Email), "user_id,x\n", r#"column 1, "user_id""#);
    check_column(&by(IdentifierKind::Email), "a@x.org,x\n", "column 1 (there is no header)");
}

#[test]
fn the_column_may_be_named() {
    check_column(&column("kunde"), "id,Kunde\n", r#"column 2, "Kunde""#);
    check_with(&column("Kunde"), "id,Kunde\n1,user_a\n", "2:user_a");
}

#[test]
fn with_a_number_the_first_row_is_a_header_unless_its_cell_is_a_user() {
    check_with(&column("2"), "n,kunde\n1,user_a\n", "2:user_a");
    check_with(&column("2"), "1,user_a\n2,user_b\n", "1:user_a 2:user_b");
    check_with(&column("2"), "1,user_name\n2,user_b\n", "2:user_b");
    check_with(&column("1"), "user_a\nuser_b\n", "1:user_a 2:user_b");
    check_column(&column("1"), "user_a\n", "a plain list, one a line");
}

#[test]
fn skip_and_limit_choose_records_and_the_hash_is_of_all_bytes() {
    let text = "id\nuser_a\n\nuser_b\nuser_c\nuser_d\n";
    let options = Options { skip: 1, limit: Some(2), ..Options::default() };
    check_with(&options, text, "4:user_b 5:user_c");
    check_with(&Options { limit: Some(0), ..Options::default() }, text, "");
    check_with(&Options { skip: 9, ..Options::default() }, text, "");

    let whole = read_text(text, &Options::default()).unwrap();
    assert_eq!(read_text(text, &options).unwrap().sha256, whole.sha256);
    assert_eq!(whole.n_lines, 6);
}

#[test]
fn the_hash_is_the_one_that_sha256sum_tells() {
    let input = read_text("abc", &Options::default()).unwrap();
    insta::assert_snapshot!(
        input.sha256,
        @"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn very_many_columns_do_no_harm() {
    let text = format!("{}id\n{}user_a\n", "x,".repeat(199_999), ",".repeat(199_999));
    check(&text, "2:user_a");
}

#[test]
fn what_is_excluded_may_be_ids_and_identifiers_side_by_side() {
    let text = "# taken over\nuser_a\nA@x.org\n\nuser_b@x.org\n";
    let source = Source::bytes("exclude.txt", text.as_bytes());
    let excluded = super::excluded::excluded(source, IdentifierKind::Email).unwrap().users;
    let mut names: Vec<&str> = excluded.iter().map(crate::model::Identifier::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["a@x.org", "user_a", "user_b@x.org"]);
}

#[test]
fn an_excluded_cell_that_may_be_an_id_or_another_identifier_is_both() {
    let source = Source::bytes("exclude.txt", b"user_a\n");
    let excluded = super::excluded::excluded(source, IdentifierKind::ExternalId).unwrap().users;
    assert_eq!(excluded.len(), 2);
}
