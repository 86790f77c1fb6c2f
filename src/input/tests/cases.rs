//! Small inputs that were read wrongly once. Each stands for a kind.

use super::*;

const A: &str = "user_2JhXJo1hLaFhTIJNipbeykzIc0n";
const B: &str = "user_2JhXX00P9PnmNR4Dgz82RXQDqjr";
const C: &str = "user_2JhXlx352xCb9ePDoRPeaKfalHE";
const D: &str = "user_2JhXy12TurMLWzAcLaMHdwI00s1";

#[test]
fn stray_quotes_that_swallow_records_are_refused() {
    let text = format!("user_id,name\n{A},\"Ann\n{B},Bob\n{C},\"Cy\n{D},Dee\n");
    for options in [Options::default(), lenient()] {
        assert_eq!(
            refusal(&options, &text),
            "users.csv:4: text after a closing quote, in the quoted cell on lines 2 to 4; quote the \
             whole cell or remove the quote"
        );
    }
}

#[test]
fn a_quoted_cell_with_records_is_refused_unless_lenient() {
    let text = format!("user_id,name\n{A},\"Ann\n{B},Bob\n{C},Cy\"\n{D},Dee\n");
    assert_eq!(
        refusal(&Options::default(), &text),
        "users.csv:2: the quoted cell that begins on line 2 contains lines that look like records; \
         check its quotes. To continue anyway, add --lenient"
    );
    let input = read_text(&text, &lenient()).unwrap();
    assert_eq!(records_of(&input), format!("2:{A} 5:{D}"));
    assert_eq!(input.suspicions.iter().map(|it| it.line).collect::<Vec<_>>(), [Some(2)]);
    // Usernames: a line with as many cells as a record. A note on several lines is none.
    let username = by(IdentifierKind::Username);
    assert!(refusal(&username, "username,name\nann,\"A\nbob,B\"\n").contains("look like records"));
    check_with(&username, "username,name\nann,\"A\nB\nC\"\n", "2:ann");
    check(
        "name,user_id\n\"A\nB\",user_a\n\"user_x, user_y\n\nuser_z\",user_b\n",
        "2:user_a 4:user_b",
    );
}

#[test]
fn white_space_before_a_quote_shifts_no_cell_on_any_line_of_a_record() {
    check("note,name,user_id\n\"a\nb\", \"Doe, user_zzz, Jr.\", user_a\n", "2:user_a");
}

#[test]
fn a_row_with_more_cells_than_the_header_is_refused() {
    let text = "notes,reporter_id,user_id\nfine,user_rep1,user_v1\nlate, again,user_rep2,user_v2\n";
    assert_eq!(
        refusal(&lenient(), text),
        "users.csv:3: 4 cells, but the header has 3; quote the cells that contain the delimiter"
    );
    // The same without a header.
    let error = refusal(&column("2"), "fine,user_a\nlate, again,user_b\n");
    assert!(error.contains("3 cells, but the first row has 2"), "{error}");
    check("user_id,name\nuser_a,Ann,,\nuser_b,Bob, ,\n", "2:user_a 3:user_b");
}

#[test]
fn a_number_sign_in_the_first_cell_drops_no_row() {
    check("ticket,user_id\n#101,user_a\n102,user_b\n#103,user_c\n", "2:user_a 3:user_b 4:user_c");
}

#[test]
fn composite_ids_are_not_split_at_a_guessed_delimiter() {
    let text = "ext_298|eu\next_298|us\n";
    let external_id = by(IdentifierKind::ExternalId);
    assert_eq!(
        refusal(&external_id, text),
        "users.csv:1: is this line one external ID, or the columns 1 \"ext_298\", 2 \"eu\"? Name a \
         column with --column, or take whole lines with --delimiter none"
    );
    let whole = with(Delimiter::None, external_id.clone());
    check_with(&whole, text, "1:ext_298|eu 2:ext_298|us");
    let first = Options { column: "1".parse().ok(), ..external_id };
    check_with(&first, text, "1:ext_298 2:ext_298");
}

#[test]
fn external_ids_under_an_unknown_header_are_refused_until_the_column_is_named() {
    let text = "name,legacy_id\nAnn,ext_298\nBob,ext_295\n";
    let external_id = by(IdentifierKind::ExternalId);
    let error = refusal(&external_id, text);
    assert!(error.contains(r#"columns 1 "name", 2 "legacy_id""#), "{error}");
    assert!(error.contains("--column"), "{error}");
    let named = Options { column: "legacy_id".parse().ok(), ..external_id };
    check_with(&named, text, "2:ext_298 3:ext_295");
}

#[test]
fn the_username_of_a_cognito_export_is_not_its_nickname() {
    let text = "name,nickname,preferred_username,email,cognito:username\nAnn A,james_294,,a@example.com,chidi_286\n";
    check_with(&by(IdentifierKind::Username), text, "2:chidi_286");
}

#[test]
fn the_id_of_clerk_is_preferred_to_that_of_a_database() {
    let text = format!("id,clerk_id,email\n17,{A},ann@example.com\n18,{B},bob@example.com\n");
    check(&text, &format!("2:{A} 3:{B}"));
}

#[test]
fn a_repeated_header_in_joined_lists_is_no_user() {
    let input = read_text(&format!("user_id\n{A}\nuser_id\n{B}\n"), &Options::default()).unwrap();
    assert_eq!(records_of(&input), format!("2:{A} 3:user_id 4:{B}"));
    assert_eq!(invalid(&input), [3]);
}

#[test]
fn a_sep_line_is_read() {
    let text = format!("sep=;\r\nuser_id;name\r\n{A};Ann\r\n{B};Bob\r\n");
    check(&text, &format!("3:{A} 4:{B}"));
}

#[test]
fn a_title_above_the_header_is_refused_with_advice() {
    let text = format!("Locked users per 27 Nov\n\nuser_id,name\n{A},Ann\n{B},Bob\n");
    assert_eq!(
        refusal(&Options::default(), &text),
        "users.csv:1: line 1 (\"Locked users per 27 Nov\") is neither a header nor a user, and line 3 \
         looks like the header; remove the lines above it"
    );
}

#[test]
fn rows_of_blank_cells_are_no_records() {
    let text = format!("user_id,name,team\r\n{A},Ann,x\r\n,,\r\n,,\r\n{B},Bob,y\r\n,,\r\n , ,\r\n");
    check(&text, &format!("2:{A} 5:{B}"));
}

#[test]
fn decorated_emails_are_unwrapped_or_invalid() {
    let text = "email\nana@corp.example\u{a0} \n\u{200b}ana@corp.example\nana@corp.example\u{200b}\n\
                <ana@corp.example>\nmailto:ana@corp.example\n\"Ann Smith <ana@corp.example>\"\n\
                ana@corp.example;\nana@corp.example\n";
    let records = read_text(text, &by(IdentifierKind::Email)).unwrap().records;
    let verdicts = (0..8).map(|place| match records.target(place) {
        Ok(target) => target.to_string(),
        Err(why) => why.to_string(),
    });
    insta::assert_snapshot!(verdicts.collect::<Vec<_>>().join("\n"), @r#"
    ana@corp.example
    an email address cannot contain U+200B (an invisible character)
    an email address cannot contain U+200B (an invisible character)
    ana@corp.example
    ana@corp.example
    an email address cannot contain a space
    an email address cannot contain ";"
    ana@corp.example
    "#);
}

#[test]
fn a_plain_list_of_another_kind_is_refused() {
    assert_eq!(
        refusal(&Options::default(), "+15550001\n"),
        "users.csv: no record can be a user: the list contains no valid user ID; for phone numbers \
         give --by phone. To continue anyway, add --lenient"
    );
}

#[test]
fn several_cells_that_contain_records_are_counted() {
    let text = "user_id,name\nuser_a,\"A\nuser_b,B\"\nuser_c,\"C\nuser_d,D\"\n";
    assert_eq!(
        refusal(&Options::default(), text),
        "users.csv:2: the quoted cell that begins on line 2 contains lines that look like records; \
         check its quotes (and those of 1 more cells). To continue anyway, add --lenient"
    );
}

#[test]
fn a_wrong_column_is_refused() {
    let records = |n_valid: usize, n_invalid: usize| {
        let valid = (0..n_valid).map(|n| format!("{n},user_{n}\n"));
        let invalid = (0..n_invalid).map(|n| format!("{n},oops {n}\n"));
        format!("n,id\n{}", valid.chain(invalid).collect::<String>())
    };
    assert_eq!(
        refusal(&Options::default(), &records(0, 1)),
        "users.csv: no record can be a user: column 2 (\"id\") contains no valid user ID; the columns \
         are 1 \"n\", 2 \"id\": name one with --column. To continue anyway, add --lenient"
    );
    assert_eq!(
        refusal(&Options::default(), &records(10, 2_990)),
        "users.csv: 2990 of 3000 records cannot be users: column 2 (\"id\") contains few valid user \
         IDs; the columns are 1 \"n\", 2 \"id\": name one with --column. To continue anyway, add \
         --lenient"
    );
    for (n_valid, n_invalid) in [(10, 10), (1, 18), (3, 0)] {
        let input = read_text(&records(n_valid, n_invalid), &Options::default()).unwrap();
        assert_eq!(input.records.records.len(), n_valid + n_invalid);
    }
    let input = read_text(&records(0, 30), &lenient()).unwrap();
    assert_eq!((input.records.records.len(), input.suspicions.len()), (30, 1));
    // All records count, not only those that are taken.
    let limited = Options { limit: Some(1), ..Options::default() };
    assert!(refusal(&limited, &records(9, 11)).contains("11 of 20 records"));
}

#[test]
fn a_wrong_column_is_refused_with_a_better_one() {
    let error = refusal(&Options::default(), "clerk_id,id\n17,user_a\n");
    assert!(error.contains("contains no valid user ID, but column 2 (\"id\") does"), "{error}");
    let error = refusal(&Options::default(), "ann@x.org\nbob@x.org\n");
    assert!(
        error.contains("the list contains no valid user ID; for email addresses give --by email")
    );
}
