//! The results CSV, version 1: its columns, a row as a line, and how our files are recognized.

use crate::model::{Outcome, Row, UserView, is_header, normalized_header};
use crate::stats::summary::CommandKind;

use super::lines::LineWriter;
use super::lines::Moment;
use super::snapshot::{REDACTED, Redaction, SnapshotMode, compact};

/// The version of the format. Columns are only ever appended.
pub const SCHEMA_VERSION: u32 = 1;

/// The columns, in order. Carried columns follow, prefixed with [`CARRIED_PREFIX`].
pub const COLUMNS: [&str; 24] = [
    "line",
    "input",
    "user_id",
    "outcome",
    "http_status",
    "error_code",
    "error_message",
    "attempts",
    "duration_ms",
    "finished_at",
    "trace_id",
    "locked",
    "banned",
    "lockout_expires_in_seconds",
    "verification_attempts_remaining",
    "username",
    "email",
    "external_id",
    "first_name",
    "last_name",
    "last_sign_in_at",
    "updated_at",
    "user",
    "was_locked",
];

/// The prefix of a carried column's header.
pub const CARRIED_PREFIX: &str = "in_";

/// The last columns of `NAME.failed.csv`, after the users' column and the carried ones.
pub const FAILED_COLUMNS: [&str; 4] = ["line", "outcome", "error_code", "error_message"];

/// The last columns of `NAME.unprocessed.csv`, after the users' column and the carried ones.
pub const UNPROCESSED_COLUMNS: [&str; 1] = ["line"];

/// Number of columns that come from the user object, `locked` to `user`.
const N_USER_COLUMNS: usize = 12;

/// How rows are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowFormat {
    /// How much of the user is recorded.
    pub snapshot: SnapshotMode,
    /// Which fields of the user are redacted.
    pub redaction: Redaction,
    /// The headers of the carried columns, as in the input.
    pub carried: Vec<String>,
}

impl RowFormat {
    /// Writes the header; gives the length of all lines.
    pub(super) fn write_header(&self, out: &mut LineWriter) -> usize {
        out.texts(COLUMNS);
        out.texts(self.carried.iter().map(|name| format!("{CARRIED_PREFIX}{name}")));
        out.end_line()
    }

    /// Writes a row as exactly one line; gives the length of all lines.
    pub(super) fn write_row(&self, row: &Row, out: &mut LineWriter) -> usize {
        out.plain(row.line);
        out.text(&row.input);
        out.maybe_plain(row.user_id.as_ref());
        out.plain(row.outcome);
        out.maybe_plain(row.http_status);
        out.maybe_text(row.error_code.as_deref());
        out.maybe_text(row.error_message.as_deref());
        out.plain(row.attempts);
        out.plain(row.duration.as_millis());
        out.maybe_plain(row.finished_at.and_then(Moment::from_system));
        out.maybe_text(row.trace_id.as_deref());
        self.write_user(row.user.as_deref(), out);
        out.maybe_plain(row.was_locked);
        for at in 0..self.carried.len() {
            out.maybe_text(row.carried.get(at).map(AsRef::as_ref));
        }
        out.end_line()
    }

    fn write_user(&self, user: Option<&UserView>, out: &mut LineWriter) {
        let Some(user) = user.filter(|_| self.snapshot != SnapshotMode::None) else {
            return out.empty(N_USER_COLUMNS);
        };
        let mut fields = FieldWriter { out, redaction: &self.redaction };
        fields.plain("locked", user.locked);
        fields.plain("banned", user.banned);
        fields.plain("lockout_expires_in_seconds", user.lockout_expires_in_seconds);
        fields.plain("verification_attempts_remaining", user.verification_attempts_remaining);
        fields.text("username", user.username.as_deref());
        fields.text("email_addresses", user.email.as_deref());
        fields.text("external_id", user.external_id.as_deref());
        fields.text("first_name", user.first_name.as_deref());
        fields.text("last_name", user.last_name.as_deref());
        fields.plain("last_sign_in_at", user.last_sign_in_at.and_then(Moment::from_unix_ms));
        fields.plain("updated_at", user.updated_at.and_then(Moment::from_unix_ms));
        match self.snapshot {
            SnapshotMode::Full => out.text(&self.redaction.apply(&compact(&user.json))),
            SnapshotMode::Summary | SnapshotMode::None => out.empty(1),
        }
    }
}

/// Writes cells that come from fields of the user object, unless the field is redacted.
pub(super) struct FieldWriter<'a> {
    pub(super) out: &'a mut LineWriter,
    pub(super) redaction: &'a Redaction,
}

impl FieldWriter<'_> {
    pub(super) fn plain(&mut self, field: &str, value: Option<impl std::fmt::Display>) {
        if self.redaction.hides(field) {
            self.out.plain(REDACTED);
        } else {
            self.out.maybe_plain(value);
        }
    }

    pub(super) fn text(&mut self, field: &str, value: Option<&str>) {
        let shown = if self.redaction.hides(field) { Some(REDACTED) } else { value };
        self.out.maybe_text(shown);
    }
}

/// The only command that writes this outcome; `None` if several do.
pub fn kind_of_outcome(outcome: Outcome) -> Option<CommandKind> {
    match outcome {
        Outcome::WouldUnlock => Some(CommandKind::Plan),
        Outcome::Unlocked | Outcome::StillLocked => Some(CommandKind::Run),
        Outcome::StillUnlocked | Outcome::LockedAgain | Outcome::Gone | Outcome::Unknown => {
            Some(CommandKind::Verify)
        }
        Outcome::Relocked => Some(CommandKind::Relock),
        Outcome::WouldRelock => Some(CommandKind::RelockPlan),
        Outcome::AlreadyUnlocked
        | Outcome::AlreadyLocked
        | Outcome::Duplicate
        | Outcome::Excluded
        | Outcome::AdminLocked
        | Outcome::NotFound
        | Outcome::Ambiguous
        | Outcome::Invalid
        | Outcome::Rejected
        | Outcome::Failed => None,
    }
}

/// A file of this program, and where its columns are (0-based). It may be renamed, piped, or saved
/// by a spreadsheet, which changes delimiters, quotes, and letter case, but not the column names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnFile {
    /// Results of `run`, `plan`, `verify`, or `relock`.
    Rows { line: usize, input: usize, user_id: usize, outcome: usize },
    /// `NAME.failed.csv`, which has outcomes, or `NAME.unprocessed.csv`: the users' column is the
    /// first. `is_named`: the file still has that name.
    Unfinished { line: usize, outcome: Option<usize>, is_named: bool },
    /// The list of `locked`.
    Locked,
}

impl OwnFile {
    /// The file that has this header, if the rows below agree ([`OwnFile::has_row`]). The header of
    /// an `unprocessed` file can occur in any file, so it counts only with our file name or a users'
    /// column in front.
    pub fn recognize<T: AsRef<str>>(
        name: &str,
        headers: &[T],
        is_users_header: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let (first, name) = (headers.first()?.as_ref(), name.to_lowercase());
        let column = |name| columns_named(headers, name).next();
        if let (Some(line), Some(input), Some(user_id), Some(outcome)) =
            (column("line"), column("input"), column("user_id"), column("outcome"))
        {
            return Some(Self::Rows { line, input, user_id, outcome });
        }
        if let Some(line) = end_columns(headers, &FAILED_COLUMNS) {
            let is_named = name.ends_with(".failed.csv");
            return Some(Self::Unfinished { line, outcome: Some(line + 1), is_named });
        }
        if ["user_id", "locked", "admin_locked"].iter().all(|name| column(name).is_some()) {
            return Some(Self::Locked);
        }
        let is_named = name.ends_with(".unprocessed.csv");
        let is_ours =
            is_named || is_header(first, &normalized_header("user_id")) || is_users_header(first);
        let line = end_columns(headers, &UNPROCESSED_COLUMNS).filter(|_| is_ours)?;
        Some(Self::Unfinished { line, outcome: None, is_named })
    }

    /// Whether a row below the header can be of this file: its `line` is a line number, and its
    /// `outcome` one of this program. Joined files repeat the header.
    pub fn has_row<T: AsRef<str>>(self, cell: impl Fn(usize) -> T) -> bool {
        let (line, outcome) = match self {
            Self::Rows { line, outcome, .. } => (line, Some(outcome)),
            Self::Unfinished { line, outcome, .. } => (line, outcome),
            Self::Locked => return true,
        };
        let line = cell(line);
        is_header(line.as_ref(), "line")
            || is_number(line.as_ref())
                && outcome.is_none_or(|at| outcome_of(cell(at).as_ref()).is_some())
    }
}

/// Whether a spreadsheet may have made this of a line number: `1000`, `1000.0`, `1,000`, `1 000`.
fn is_number(cell: &str) -> bool {
    let is_part = |c: char| c.is_ascii_digit() || ".,' \u{a0}\u{202f}".contains(c);
    cell.starts_with(|c: char| c.is_ascii_digit()) && cell.chars().all(is_part)
}

/// The outcome in a cell, if it is one.
pub fn outcome_of(cell: &str) -> Option<Outcome> {
    cell.trim().to_ascii_lowercase().parse().ok()
}

/// The indices of the columns with this name, as any spreadsheet may have written it.
pub fn columns_named<T: AsRef<str>>(headers: &[T], name: &str) -> impl Iterator<Item = usize> {
    let name = normalized_header(name);
    (0..headers.len()).filter(move |&index| is_header(headers[index].as_ref(), &name))
}

/// Where the header has these columns as its last ones, after at least one other.
fn end_columns<T: AsRef<str>>(headers: &[T], end: &[&str]) -> Option<usize> {
    // A spreadsheet may append empty columns.
    let n_named = headers.iter().rposition(|header| !header.as_ref().trim().is_empty());
    let headers = &headers[..n_named.map_or(0, |last| last + 1)];
    let start = headers.len().checked_sub(end.len()).filter(|&start| start > 0)?;
    let mut pairs = headers[start..].iter().zip(end);
    let is_end = pairs.all(|(header, name)| is_header(header.as_ref(), &normalized_header(name)));
    is_end.then_some(start)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::testing::{any_row, carrying, moment, record, unlocked};
    use super::*;
    use crate::model::{is_formula_start, is_separator};

    const N_CELLS: usize = COLUMNS.len() + 2;

    fn written(format: &RowFormat, rows: &[Row]) -> String {
        let mut out = LineWriter::new();
        for row in rows {
            format.write_row(row, &mut out);
        }
        String::from_utf8(out.take(Vec::new())).unwrap()
    }

    fn cells(line: &str) -> csv::StringRecord {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        reader.records().next().unwrap().unwrap()
    }

    /// A user with an unusual value in every field.
    fn unusual_row() -> Row {
        let user = UserView::parse(
            r#"{
                "id": "user_a", "locked": false, "banned": true,
                "lockout_expires_in_seconds": null, "verification_attempts_remaining": 10,
                "username": "=HYPERLINK(\"http://x\")", "primary_email_address_id": "e1",
                "email_addresses": [{"id": "e1", "email_address": "+a@x.org"}],
                "external_id": "-7, or\nso", "first_name": "<script>alert(1)</script>",
                "last_name": "O\"Neill\u001b[31m", "last_sign_in_at": 1700000000123,
                "updated_at": 99999999999999999, "private_metadata": {"pin": 1.50}
            }"#,
        );
        Row {
            user: Some(Box::new(user.unwrap())),
            error_message: Some("was locked;\r\nnow not".into()),
            trace_id: Some("@trace".into()),
            was_locked: Some(true),
            carried: ["red".into(), "=1+1".into()].into(),
            ..unlocked("user_a")
        }
    }

    #[test]
    fn the_header_names_the_columns_and_the_carried_ones() {
        let format = RowFormat {
            carried: vec!["team, unit".into(), "=x\ny".into()],
            ..RowFormat::default()
        };
        let mut out = LineWriter::new();
        format.write_header(&mut out);
        insta::assert_snapshot!(String::from_utf8(out.take(Vec::new())).unwrap(), @r#"line,input,user_id,outcome,http_status,error_code,error_message,attempts,duration_ms,finished_at,trace_id,locked,banned,lockout_expires_in_seconds,verification_attempts_remaining,username,email,external_id,first_name,last_name,last_sign_in_at,updated_at,user,was_locked,"in_team, unit",in_=x y"#);
    }

    #[test]
    fn rows_with_unusual_values() {
        let failed = Row {
            outcome: Outcome::Failed,
            http_status: Some(503),
            error_code: Some("http_503".into()),
            error_message: Some("Service Unavailable".into()),
            attempts: 9,
            user: None,
            carried: ["".into(), "#7".into()].into(),
            ..unlocked("user_b")
        };
        let invalid = Row {
            error_code: Some("invalid".into()),
            error_message: Some("a user id starts with \"user_\"".into()),
            ..Row::new(&record(4, "+49 30 1", &["a,b", "é"]), Outcome::Invalid, moment(0))
        };
        insta::assert_snapshot!(written(&carrying(), &[unusual_row(), failed, invalid]), @r##"
        2,user_a,user_a,unlocked,200,,was locked; now not,1,87,2023-11-14T22:13:20.005Z,'@trace,false,true,,10,"'=HYPERLINK(""http://x"")",'+a@x.org,"'-7, or so",<script>alert(1)</script>,"O""Neill [31m",2023-11-14T22:13:20.123Z,,"{""id"":""user_a"",""locked"":false,""banned"":true,""lockout_expires_in_seconds"":null,""verification_attempts_remaining"":10,""username"":""=HYPERLINK(\""http://x\"")"",""primary_email_address_id"":""e1"",""email_addresses"":[{""id"":""e1"",""email_address"":""+a@x.org""}],""external_id"":""-7, or\nso"",""first_name"":""<script>alert(1)</script>"",""last_name"":""O\""Neill\u001b[31m"",""last_sign_in_at"":1700000000123,""updated_at"":99999999999999999,""private_metadata"":{""pin"":1.50}}",true,red,'=1+1
        2,user_b,user_b,failed,503,http_503,Service Unavailable,9,87,2023-11-14T22:13:20.005Z,,,,,,,,,,,,,,,,"#7"
        4,'+49 30 1,,invalid,,invalid,"a user id starts with ""user_""",0,0,2023-11-14T22:13:20.000Z,,,,,,,,,,,,,,,"a,b",é
        "##);
    }

    #[test]
    fn summary_has_the_columns_without_the_object() {
        let format = RowFormat { snapshot: SnapshotMode::Summary, ..RowFormat::default() };
        insta::assert_snapshot!(written(&format, &[unusual_row()]), @r#"2,user_a,user_a,unlocked,200,,was locked; now not,1,87,2023-11-14T22:13:20.005Z,'@trace,false,true,,10,"'=HYPERLINK(""http://x"")",'+a@x.org,"'-7, or so",<script>alert(1)</script>,"O""Neill [31m",2023-11-14T22:13:20.123Z,,,true"#);
    }

    #[test]
    fn none_leaves_the_columns_of_the_user_empty() {
        let format = RowFormat { snapshot: SnapshotMode::None, ..RowFormat::default() };
        insta::assert_snapshot!(written(&format, &[unusual_row()]), @"2,user_a,user_a,unlocked,200,,was locked; now not,1,87,2023-11-14T22:13:20.005Z,'@trace,,,,,,,,,,,,,true");
    }

    #[test]
    fn redacted_fields_are_hidden_in_their_columns_too() {
        let fields =
            ["private_metadata", "email_addresses", "username", "last_sign_in_at", "absent"];
        let redaction = Redaction::new(fields.map(ToOwned::to_owned));
        let format = RowFormat { redaction, ..RowFormat::default() };
        insta::assert_snapshot!(written(&format, &[unusual_row()]), @r#"2,user_a,user_a,unlocked,200,,was locked; now not,1,87,2023-11-14T22:13:20.005Z,'@trace,false,true,,10,[redacted],[redacted],"'-7, or so",<script>alert(1)</script>,"O""Neill [31m",[redacted],,"{""id"":""user_a"",""locked"":false,""banned"":true,""lockout_expires_in_seconds"":null,""verification_attempts_remaining"":10,""username"":""[redacted]"",""primary_email_address_id"":""e1"",""email_addresses"":""[redacted]"",""external_id"":""-7, or\nso"",""first_name"":""<script>alert(1)</script>"",""last_name"":""O\""Neill\u001b[31m"",""last_sign_in_at"":""[redacted]"",""updated_at"":99999999999999999,""private_metadata"":""[redacted]""}",true"#);
    }

    #[test]
    fn a_row_with_too_few_or_too_many_carried_cells_has_as_many_as_the_header() {
        let n_cells = |carried: &[&str]| {
            let record = record(2, "user_a", carried);
            let row = Row::new(&record, Outcome::Duplicate, moment(0));
            cells(&written(&carrying(), &[row])).len()
        };
        assert_eq!([n_cells(&[]), n_cells(&["a", "b"]), n_cells(&["a", "b", "c"])], [N_CELLS; 3]);
    }

    #[test]
    fn a_control_character_that_json_allows_in_a_string_becomes_a_space() {
        let user = UserView { json: "{\"a\":\"x\u{7f}y\u{85}z\"}".into(), ..UserView::default() };
        let row = Row { user: Some(Box::new(user)), ..unlocked("user_a") };
        let line = written(&RowFormat::default(), &[row]);
        assert!(line.ends_with("\"{\"\"a\"\":\"\"x y z\"\"}\",\n"), "{line}");
    }

    #[test]
    fn a_duration_is_written_in_whole_milliseconds() {
        let row = Row { duration: Duration::from_micros(86_999), ..unlocked("user_a") };
        assert!(written(&RowFormat::default(), &[row]).contains(",1,86,"));
    }

    #[track_caller]
    fn check_recognized(name: &str, header: &str, expected: Option<OwnFile>) {
        let headers: Vec<&str> = header.split(',').collect();
        let found = OwnFile::recognize(name, &headers, |header| header == "email");
        assert_eq!(found, expected, "{name}: {header}");
    }

    #[test]
    fn rows_are_recognized_by_four_columns_wherever_they_are() {
        let rows =
            |line, input, user_id, outcome| Some(OwnFile::Rows { line, input, user_id, outcome });
        check_recognized("x.csv", &COLUMNS.join(","), rows(0, 1, 2, 3));
        check_recognized(
            "x.csv",
            "\u{feff}Line,Input,User ID,OUTCOME,http_status",
            rows(0, 1, 2, 3),
        );
        check_recognized("x.csv", "user_id,outcome,line,input,in_line", rows(2, 3, 0, 1));
        check_recognized("x.csv", "line,user_id,outcome", None);
    }

    #[test]
    fn a_failed_file_is_recognized_by_the_end_of_its_header() {
        let failed =
            |line, is_named| Some(OwnFile::Unfinished { line, outcome: Some(line + 1), is_named });
        let header = "cust,line,outcome,error_code,error_message";
        check_recognized("x.csv", header, failed(1, false));
        check_recognized("x.failed.csv", header, failed(1, true));
        let resaved = "cust,id,Line,Outcome,Error Code,error_message,,";
        check_recognized("x.csv", resaved, failed(2, false));
        check_recognized("x.csv", "line,outcome,error_code,error_message", None);
    }

    #[test]
    fn an_unprocessed_file_is_recognized_by_its_name_or_its_first_column_too() {
        let unprocessed =
            |line, is_named| Some(OwnFile::Unfinished { line, outcome: None, is_named });
        check_recognized("x.unprocessed.csv", "cust,id,line", unprocessed(2, true));
        check_recognized("x.csv", "user_id,ticket,line", unprocessed(2, false));
        check_recognized("x.csv", "email,line", unprocessed(1, false));
        check_recognized("x.csv", "cust,id,line", None);
        check_recognized("x.unprocessed.csv", "line", None);
        check_recognized("x.unprocessed.csv", "name,user_id", None);
    }

    #[test]
    fn a_list_of_locked_users_is_recognized_by_its_columns() {
        let list = super::super::locked_list::LOCKED_COLUMNS.join(",");
        check_recognized("x.csv", &list, Some(OwnFile::Locked));
        check_recognized("x.csv", "user_id,locked", None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_row_is_one_line_and_no_cell_is_a_formula(row in any_row()) {
            let line = written(&carrying(), &[row]);
            prop_assert_eq!(line.find(char::is_control), Some(line.len() - 1));
            let cells = cells(&line);
            prop_assert_eq!(cells.len(), N_CELLS);
            let is_number = |cell: &str| cell.parse::<i64>().is_ok();
            let is_formula = |cell: &str| cell.starts_with(is_formula_start);
            prop_assert!(!cells.iter().any(|cell| is_formula(cell) && !is_number(cell)));
        }

        #[test]
        fn the_object_is_the_one_that_was_sent(row in any_row()) {
            let Some(user) = &row.user else { return Ok(()) };
            let has_control = |c: char| c.is_control() && c != '\n';
            prop_assume!(!user.json.contains(has_control) && !user.json.contains(is_separator));
            let sent: Value = serde_json::from_str(&user.json).unwrap();
            let line = written(&carrying(), &[row]);
            prop_assert_eq!(&cells(&line)[22], serde_json::to_string(&sent).unwrap());
        }
    }
}
