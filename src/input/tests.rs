//! The input's rules, from bytes to records.

mod carrying;
mod cases;
mod errors;
mod excluding;
mod own_files;
mod properties;
mod samples;

use super::error::Refusal;
use super::*;
use crate::model::IdentifierKind;
use crate::policy::exclude::ExcludeList;

fn read_text(text: &str, options: &Options) -> Result<ReadInput, Error> {
    read(Source::bytes("users.csv", text.as_bytes()), options)
}

fn read_exclusions(source: Source<'_>) -> Result<(ExcludeList, String), Error> {
    let mut list = ExcludeList::default();
    read::read_exclude_source(source, &mut list).map(|sha256| (list, sha256))
}

fn by(kind: IdentifierKind) -> Options {
    Options { kind, ..Options::default() }
}

fn column(choice: &str) -> Options {
    Options { column: choice.parse().ok(), ..Options::default() }
}

fn lenient() -> Options {
    Options { lenient: true, ..Options::default() }
}

fn with(delimiter: Delimiter, options: Options) -> Options {
    Options { delimiter, ..options }
}

/// Lines and cells, as `2:user_a 3:user_b`.
fn records_of(input: &ReadInput) -> String {
    let records = input.records.records.iter();
    records.map(|it| format!("{}:{}", it.line(), it.cell())).collect::<Vec<_>>().join(" ")
}

/// Lines of the records that cannot be users.
fn invalid(input: &ReadInput) -> Vec<u64> {
    let places = 0..input.records.records.len();
    let places = places.filter(|&place| input.records.target(place).is_err());
    places.map(|place| input.records.records[place].line()).collect()
}

#[track_caller]
fn check(text: &str, expected: &str) {
    check_with(&Options::default(), text, expected);
}

#[track_caller]
fn check_with(options: &Options, text: &str, expected: &str) {
    let input = read_text(text, options).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    assert_eq!(records_of(&input), expected, "{text:?}");
}

#[track_caller]
fn check_column(options: &Options, text: &str, expected: &str) {
    let input = read_text(text, options).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    assert_eq!(input.column.to_string(), expected, "{text:?}");
}

/// The refusal of a text.
#[track_caller]
fn refusal(options: &Options, text: &str) -> String {
    match read_text(text, options) {
        Ok(input) => panic!("{text:?} is read as {}", records_of(&input)),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_plain_list_has_one_record_per_line() {
    check("user_a\nuser_b\n", "1:user_a 2:user_b");
    check("user_a\r\nuser_b", "1:user_a 2:user_b");
    check("user_a\ruser_b\r", "1:user_a 2:user_b");
    check("\u{feff}user_a\n", "1:user_a");
    check("Users\nuser_a\n", "1:Users 2:user_a");
    check("user_a\nuser_b,x\n", "1:user_a 2:user_b,x");
}

#[test]
fn white_space_before_a_quoted_cell_is_ignored() {
    check("n, \"user_id\"\n1, \"user_a\"\n\"2, 3\" , \"user_b\"\n", "2:user_a 3:user_b");
    check("  \"user_a\"\n", "1:user_a");
    check_with(&by(IdentifierKind::Phone), "phone\n\" +4930123\"\n", "2:+4930123");
}

#[test]
fn a_number_beyond_the_last_column_is_a_header() {
    check_with(&column("2024"), "n,2024\n1,user_a\n", "2:user_a");
    check_with(&column("2"), "2,n\nuser_x,user_a\n", "2:user_a");
}

#[test]
fn blank_lines_and_comments_are_no_records_and_count_as_lines() {
    check("# who\n\n  \nuser_a\n\u{a0}\t\n# and\nuser_b\n\n", "4:user_a 7:user_b");
    check("#\r\n\r\nid,x\r\nuser_a,1\r\n", "4:user_a");
    check("user_a\n # indented\n", "1:user_a 2:# indented");
    let input = read_text("# a\nuser_a\n# b\n", &Options::default()).unwrap();
    assert_eq!((input.n_comments, input.n_lines), (2, 3));
}

#[test]
fn below_a_header_a_line_that_begins_with_a_number_sign_is_a_record() {
    check("user_id\nuser_a\n#user_b\n", "2:user_a 3:#user_b");
    check("ticket,user_id\n#1,user_a\n", "2:user_a");
    check("user_a,x\n#user_b,y\n", "1:user_a 2:#user_b");
}

#[test]
fn a_blank_cell_is_a_record_and_a_row_of_blank_cells_is_not() {
    check("id,x\n,\nuser_a\n\"\",1\n", "3:user_a 4:");
    check("x,id\nshort\ny,user_a\n", "2: 3:user_a");
    check("id\n\"\"\nuser_a\n", "3:user_a");
    check("x\tid\n\t\ny\tuser_a\n", "3:user_a");
    check("\t\nuser_a\n", "2:user_a");
}

#[test]
fn a_record_is_on_its_first_line() {
    check("x,id\n\"a\nb\",user_a\n\"c\r\n\n# d\",user_b\ne,user_c\n", "2:user_a 4:user_b 7:user_c");
    check("\"a\nb\",id\n1,user_a\n", "3:user_a");
}

#[test]
fn quotes_padding_and_formula_guards_are_removed() {
    check("id,x\n\"user_a\",\"b\"\"c\"\n  user_b ,d\n", "2:user_a 3:user_b");
    check("id\n'=1+1\n'user_a\n", "2:=1+1 3:user_a");
    check_with(&lenient(), "id,x\n\"user_\na\",1\n", "2:user_ a");
}

#[test]
fn a_file_of_a_header_alone_has_no_records() {
    let input = read_text("user_id,name\n", &Options::default()).unwrap();
    assert!(input.is_empty());
    assert_eq!(input.column.to_string(), r#"column 1 ("user_id")"#);
}

#[test]
fn an_empty_input_is_no_error() {
    for text in ["", "\n", "\u{feff}", "# nothing\n\n", "\r\n", ",,\n ,\n"] {
        let carry = Carry::Named(vec!["team".into()]);
        let options = Options { column: "team".parse().ok(), carry, ..Options::default() };
        assert!(read_text(text, &options).unwrap().is_empty(), "{text:?}");
    }
}

#[test]
fn the_column_is_found_by_its_header() {
    let options = Options::default();
    check_column(&options, "name;User Id\nx;user_a\n", r#"column 2 ("User Id")"#);
    check_column(&options, "id\n", r#"column 1 ("id")"#);
    check_column(&options, "user_a\n", "a plain list, one per line");
    check_column(&options, "user_a|x\n", "column 1 (no header)");
    check_column(&by(IdentifierKind::Email), "id,E-Mail\n", r#"column 2 ("E-Mail")"#);
    check_column(&by(IdentifierKind::Email), "a@x.org,x\n", "column 1 (no header)");
}

#[test]
fn the_header_of_another_kind_does_not_name_the_users() {
    for (kind, text) in [
        (IdentifierKind::Email, "user_id,x\n"),
        (IdentifierKind::Username, "id\nann\n"),
        (IdentifierKind::UserId, "user_email,team\na@x.org,red\n"),
    ] {
        let error = refusal(&by(kind), text);
        assert!(error.contains("no header names a column of"), "{error}");
        assert!(error.contains("give --by"), "{error}");
    }
}

#[test]
fn the_column_may_be_named() {
    check_column(&column("kunde"), "id,Kunde\n", r#"column 2 ("Kunde")"#);
    check_with(&column("Kunde"), "id,Kunde\n1,user_a\n", "2:user_a");
}

#[test]
fn with_a_number_the_first_row_is_a_header_unless_its_cell_is_a_user() {
    check_with(&column("2"), "n,kunde\n1,user_a\n", "2:user_a");
    check_with(&column("2"), "1,user_a\n2,user_b\n", "1:user_a 2:user_b");
    check_with(&column("2"), "1,user_name\n2,user_b\n", "2:user_b");
    check_with(&column("1"), "user_a\nuser_b\n", "1:user_a 2:user_b");
    check_column(&column("1"), "user_a\n", "a plain list, one per line");
}

/// Any word may be a username, so a header that is looked up may match a user.
#[test]
fn with_a_number_and_a_kind_without_a_shape_an_unclear_first_row_is_refused() {
    let numbered = |kind| Options { kind, ..column("2") };
    let username = numbered(IdentifierKind::Username);
    check_with(&username, "n,login\n1,ann\n", "2:ann");
    check_with(&username, "1,ann_1\n2,bob_22\n", "1:ann_1 2:bob_22");
    let error = refusal(&username, "n,konto\n1,ann\n");
    assert_eq!(
        error,
        "users.csv:1: is \"konto\" a column header or a username? If it is a header, give --column \
         with that name; if it is a username, add a header line"
    );
    let external_id = numbered(IdentifierKind::ExternalId);
    assert!(refusal(&external_id, "1,ann\n2,bob\n").contains("an external ID?"));
    check_with(
        &Options { kind: IdentifierKind::Username, ..column("1") },
        "ann\nbob\n",
        "1:ann 2:bob",
    );
}

#[test]
fn users_without_a_shape_are_read_from_a_csv_only_if_its_columns_are_known() {
    let by = by(IdentifierKind::Username);
    check_with(&by, "name,username\nAnn,a|b;c\n", "2:a|b;c");
    check_with(&by, "ann\nbob\n", "1:ann 2:bob");
    check_with(&by, "ann\t\n", "1:ann");
    for text in ["ann,x\n", "ann\nbob;x\n", "username\nann|x\n", "ann\n\"bob,x\"\n"] {
        let error = refusal(&by, text);
        assert!(error.contains("--column") && error.contains("--delimiter none"), "{error}");
    }
    check_with(&with(Delimiter::None, by.clone()), "ann,x\nbob;x\n", "1:ann,x 2:bob;x");
    check_with(&with(Delimiter::None, by.clone()), "username\nann,x\n", "2:ann,x");
    check_with(&with(Delimiter::Comma, by.clone()), "username\nann;x\n", "2:ann;x");
    assert!(refusal(&with(Delimiter::Comma, by), "ann,x\n").contains("name it with --column"));
}

#[test]
fn the_delimiter_may_be_named() {
    let semicolon = with(Delimiter::Semicolon, column("2"));
    check_with(&semicolon, "a;b, c\nx, y;user_a\n", "2:user_a");
    check_with(&with(Delimiter::None, lenient()), "user_a,x\n", "1:user_a,x");
    check_with(&with(Delimiter::Pipe, Options::default()), "sep=;\nid|x\nuser_a|1\n", "3:user_a");
}

#[test]
fn the_sep_line_of_excel_sets_the_delimiter_and_is_no_record() {
    let text = "sep=|\nname, first|user_id\nDoe, Ann|user_a\n";
    let input = read_text(text, &Options::default()).unwrap();
    assert_eq!((records_of(&input).as_str(), input.has_sep_line), ("3:user_a", true));
    assert_eq!(input.delimiter, Some('|'));
    let error = refusal(&Options::default(), "sep=:\nid:x\nuser_a:1\n");
    assert_eq!(
        error,
        "users.csv:1: the delimiter \":\" is not supported; expected a comma, semicolon, tab or pipe"
    );
}

#[test]
fn a_later_record_that_repeats_the_header_is_invalid() {
    let invalid_of = |options: &Options, text: &str| invalid(&read_text(text, options).unwrap());
    let user_id = Options::default();
    assert_eq!(invalid_of(&user_id, "User ID,x\nuser_a,1\nuser_id,y\nUSER ID,x\n"), [3, 4]);
    assert_eq!(invalid_of(&user_id, "user_a\nuser_id\nuser_b\n"), [2]);
    let username = by(IdentifierKind::Username);
    assert_eq!(invalid_of(&username, "username,x\nann,1\nusername,x\nlogin,2\n"), [3]);
    assert_eq!(invalid_of(&column("kunde"), "kunde,x\nuser_a,1\nKunde,x\n"), [3]);
    let skipped = Options { skip: 1, ..Options::default() };
    assert_eq!(invalid_of(&skipped, "user_id\nuser_a\nuser_b\nuser_id\n"), [4]);
}

#[test]
fn a_line_above_the_header_is_refused() {
    let title = |options: &Options, text: &str| {
        let error = refusal(options, text);
        assert!(error.contains("neither a header nor a user"), "{error}");
        error
    };
    let user_id = Options::default();
    assert!(title(&user_id, "Locked, today\nname,user_id\nAnn,user_a\n").contains("line 2 looks"));
    title(&user_id, "Locked users\nuser_id\nuser_a\n");
    title(&by(IdentifierKind::Username), "Locked users\n\nusername;x\nann;1\n");
    check("oops\nuser_a\n", "1:oops 2:user_a");
}

#[test]
fn skip_and_limit_choose_records_and_everything_is_read() {
    let text = "id\nuser_a\n\nuser_b\nuser_c\nuser_d\n";
    let options = Options { skip: 1, limit: Some(2), ..Options::default() };
    check_with(&options, text, "4:user_b 5:user_c");
    check_with(&Options { limit: Some(0), ..Options::default() }, text, "");
    check_with(&Options { skip: 9, ..Options::default() }, text, "");

    let whole = read_text(text, &Options::default()).unwrap();
    let part = read_text(text, &options).unwrap();
    assert_eq!((part.sha256, part.n_lines), (whole.sha256, 6));
    let broken = "id\nuser_a\n\"open\n";
    let error = refusal(&Options { limit: Some(1), ..Options::default() }, broken);
    assert!(error.contains("unclosed quote"), "{error}");
}

#[test]
fn the_hash_is_the_one_of_sha256sum() {
    let input = read_text("abc", &lenient()).unwrap();
    insta::assert_snapshot!(
        input.sha256,
        @"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn many_columns_are_accepted() {
    let text = format!("{}id\n{}user_a\n", "x,".repeat(199_999), ",".repeat(199_999));
    check(&text, "2:user_a");
}

#[test]
fn an_exclude_file_is_read_as_entries_with_their_lines() {
    let text = b"\xef\xbb\xbfid;note\r\n\"user_a\";Ann, CEO\r\rBob|user_b";
    let (list, sha256) = read_exclusions(Source::bytes("keep.csv", text)).unwrap();
    let entries: Vec<_> = list.unmatched().map(|it| (it.text, it.line)).collect();
    let expected =
        [("id", 1), ("note", 1), ("user_a", 2), ("Ann", 2), ("CEO", 2), ("Bob", 4), ("user_b", 4)];
    assert_eq!(entries, expected);
    assert_eq!(sha256.len(), 64);
}
