//! Which column holds the users, and which others are carried into the results.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use super::error::Refusal;
use super::rows::Row;
use crate::model::{Identifier, IdentifierKind, excerpt, is_header, normalized_header};
use crate::results::format::{CARRIED_PREFIX, OwnFile};

/// The usual header of a column of that kind.
pub(super) fn usual_header(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::UserId => "user_id",
        IdentifierKind::Email => "email",
        IdentifierKind::Phone => "phone_number",
        IdentifierKind::Username => "username",
        IdentifierKind::ExternalId => "external_id",
    }
}

/// The headers of a column of that kind, normalized, the most specific first.
fn known_headers(kind: IdentifierKind) -> &'static [&'static str] {
    match kind {
        IdentifierKind::UserId => &["userid", "clerkid", "clerkuserid", "id"],
        IdentifierKind::Email => {
            &["email", "emailaddress", "primaryemailaddress", "primaryemail", "useremail", "mail"]
        }
        IdentifierKind::Phone => &[
            "phone",
            "phonenumber",
            "primaryphonenumber",
            "primaryphone",
            "userphone",
            "mobile",
            "mobilephone",
            "mobilenumber",
            "telephone",
            "tel",
        ],
        IdentifierKind::Username => {
            &["username", "cognito:username", "userlogin", "loginname", "login"]
        }
        IdentifierKind::ExternalId => &["externalid", "extid", "externaluserid", "userexternalid"],
    }
}

/// Whether a cell is a header of a column of that kind.
pub(super) fn is_header_of(kind: IdentifierKind, cell: &str) -> bool {
    known_headers(kind).iter().any(|name| is_header(cell, name))
}

/// Whether a cell is a header of a column of any kind. `user_id` and `user_name` have the form of a
/// user ID, so this must be checked before a first cell is read as a user.
fn is_any_header(cell: &str) -> bool {
    IdentifierKind::ALL.into_iter().any(|kind| is_header_of(kind, cell))
}

/// The column with a name: the one that has it to the letter, else the one that reads the same.
fn find_named(headers: &[String], wanted: &str) -> Result<Option<usize>, Refusal> {
    let exact = places(headers, |header| header == wanted.trim());
    if !exact.is_empty() {
        return only(headers, &exact);
    }
    let normalized = normalized_header(wanted);
    only(headers, &places(headers, |header| is_header(header, &normalized)))
}

fn places(headers: &[String], is_it: impl Fn(&str) -> bool) -> Vec<usize> {
    (0..headers.len()).filter(|&place| is_it(&headers[place])).collect()
}

/// Two columns with one name may hold different users.
fn only(headers: &[String], places: &[usize]) -> Result<Option<usize>, Refusal> {
    match *places {
        [] => Ok(None),
        [place] => Ok(Some(place)),
        [first, second, ..] => Err(Refusal::RepeatedColumn {
            header: headers[first].clone(),
            numbers: (first + 1, second + 1),
        }),
    }
}

/// The column that the user chose (`--column`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnChoice {
    /// By its header, compared without regard to case, white space, `-` and `_`.
    Name(String),
    /// By its place, 1-based.
    Number(usize),
}

impl FromStr for ColumnChoice {
    type Err = Infallible;

    /// All digits are a number, anything else is a name.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.trim().parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Number))
    }
}

/// Where the users are. Displayed so that it continues "user IDs from ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserColumn {
    /// A column with a header; the first record is that header.
    Named {
        /// The header as written, trimmed.
        header: String,
        /// The column's place, 0-based.
        index: usize,
    },
    /// A column of an input without a header.
    Numbered {
        /// The column's place, 0-based.
        index: usize,
    },
    /// The only column, without a header.
    PlainList,
}

impl UserColumn {
    pub(super) fn named(headers: &[String], index: usize) -> Self {
        Self::Named { header: headers.get(index).cloned().unwrap_or_default(), index }
    }

    /// Its header, where it has one.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::Named { header, .. } => Some(header),
            Self::Numbered { .. } | Self::PlainList => None,
        }
    }

    /// Its place, 0-based.
    pub fn index(&self) -> usize {
        match *self {
            Self::Named { index, .. } | Self::Numbered { index } => index,
            Self::PlainList => 0,
        }
    }
}

impl fmt::Display for UserColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { header, index } => {
                write!(f, "column {} (\"{}\")", index + 1, excerpt(header))
            }
            Self::Numbered { index } => write!(f, "column {} (no header)", index + 1),
            Self::PlainList => f.write_str("a plain list, one per line"),
        }
    }
}

/// Finds later records that repeat the header: lists that were joined have them.
pub(super) struct HeaderFinder {
    kind: IdentifierKind,
    /// The header of the users' column, normalized.
    own: Option<String>,
}

impl HeaderFinder {
    pub(super) fn new(kind: IdentifierKind, column: &UserColumn) -> Self {
        let own = column.header().map(normalized_header).filter(|own| !own.is_empty());
        Self { kind, own }
    }

    /// Whether a cell repeats the header of the users' column. Where that has none, or where a
    /// header could pass for a user ID, any usual header counts.
    pub(super) fn is_header(&self, cell: &str) -> bool {
        match &self.own {
            Some(own) if is_header(cell, own) => true,
            Some(_) if self.kind != IdentifierKind::UserId => false,
            _ => is_header_of(self.kind, cell),
        }
    }
}

/// What the first record must contain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The name of the input.
    pub(super) name: &'a str,
    pub(super) kind: IdentifierKind,
    pub(super) column: Option<&'a ColumnChoice>,
}

impl Wanted<'_> {
    /// How well a first and a second record match the wanted column: from 0 (not at all) to 3 (a
    /// header, or a user in the right place). The delimiter with the best match is used.
    pub(super) fn fit(&self, first: &[String], second: &[String]) -> u8 {
        let is_user = |cells: &[String], index: usize| {
            self.kind.has_shape() && cells.get(index).is_some_and(|cell| self.is_user(cell))
        };
        match self.column {
            Some(ColumnChoice::Name(wanted)) => {
                u8::from(!matches!(find_named(first, wanted), Ok(None))) * 3
            }
            Some(&ColumnChoice::Number(number)) => match number.checked_sub(1) {
                Some(index) if is_user(first, index) => 3,
                Some(index) if is_user(second, index) => 2,
                Some(index) if index < first.len() => 1,
                _ => 3 * u8::from(named_by_number(number, first).is_some()),
            },
            None if self.own_file(first).is_some() => 3,
            None if !matches!(self.find_known(first), Ok(None)) => 3,
            None => 2 * u8::from(is_user(first, 0)),
        }
    }

    /// Finds the column of the users by the first record, and some records below it.
    pub(super) fn choose(
        &self,
        line: u64,
        first: &[String],
        below: &[Vec<String>],
    ) -> Result<UserColumn, Refusal> {
        let columns = || Columns::of(first);
        match self.column {
            Some(ColumnChoice::Name(wanted)) => match find_named(first, wanted)? {
                Some(index) => Ok(UserColumn::named(first, index)),
                None => Err(Refusal::UnknownColumn { wanted: wanted.clone(), columns: columns() }),
            },
            Some(&ColumnChoice::Number(number)) => self.numbered(line, number, first, below),
            None => self
                .found(first, below)?
                .ok_or_else(|| Refusal::NoUserColumn { kind: self.kind, columns: columns() }),
        }
    }

    /// The columns besides the chosen one whose headers are known for such users.
    pub(super) fn other_known(&self, first: &[String], chosen: &UserColumn) -> Vec<usize> {
        match chosen.header() {
            Some(_) => (0..first.len())
                .filter(|&index| index != chosen.index() && is_header_of(self.kind, &first[index]))
                .collect(),
            None => Vec::new(),
        }
    }

    /// Which of this program's own files the first record is the header of.
    pub(super) fn own_file(&self, first: &[String]) -> Option<OwnFile> {
        OwnFile::recognize(self.name, first, |header| is_header_of(self.kind, header))
    }

    /// Whether a first record is a header of a file of such users.
    pub(super) fn is_header_row(&self, cells: &[String]) -> bool {
        self.own_file(cells).is_some() || cells.iter().any(|cell| is_header_of(self.kind, cell))
    }

    /// Whether a cell of a first record is a user and no header.
    pub(super) fn is_user(&self, cell: &str) -> bool {
        !is_any_header(cell) && self.is_valid(cell)
    }

    /// Whether a cell can be a user.
    pub(super) fn is_valid(&self, cell: &str) -> bool {
        Identifier::is_valid(self.kind, cell)
    }

    fn numbered(
        &self,
        line: u64,
        number: usize,
        first: &[String],
        below: &[Vec<String>],
    ) -> Result<UserColumn, Refusal> {
        let Some((index, cell)) = number.checked_sub(1).and_then(|it| Some((it, first.get(it)?)))
        else {
            return named_by_number(number, first)
                .ok_or_else(|| Refusal::NoSuchNumber { number, columns: Columns::of(first) });
        };
        let is_data = if first.len() == 1 {
            !is_any_header(cell) && (!self.kind.has_shape() || self.is_valid(cell))
        } else if self.kind.has_shape() || is_any_header(cell) {
            self.is_user(cell)
        } else if below.iter().filter_map(|row| row.get(index)).any(|it| is_alike(cell, it)) {
            true
        } else {
            // Any word may be such a user, and the look-up of a header may find one.
            return Err(Refusal::HeaderOrUser { line, kind: self.kind, cell: cell.clone() });
        };
        Ok(match is_data {
            true if first.len() == 1 => UserColumn::PlainList,
            true => UserColumn::Numbered { index },
            false => UserColumn::named(first, index),
        })
    }

    fn found(
        &self,
        first: &[String],
        below: &[Vec<String>],
    ) -> Result<Option<UserColumn>, Refusal> {
        // The last of these rows may be cut off.
        let mut whole = below.iter().filter(|row| row.len() >= first.len());
        let own = self.own_file(first).filter(|own| {
            let is_named = matches!(own, OwnFile::Unfinished { is_named: true, .. });
            is_named || whole.all(|row| own.has_row(|at| &row[at]))
        });
        let index = match own {
            Some(OwnFile::Unfinished { is_named: true, .. }) => Some(0),
            Some(OwnFile::Unfinished { is_named: false, .. }) => {
                // It may be a list, and two columns with one name are refused there.
                self.find_known(first)?;
                Some(0)
            }
            Some(OwnFile::Rows { input, .. }) => self.find_known(first)?.or(Some(input)),
            Some(OwnFile::Locked) | None => self.find_known(first)?,
        };
        if let Some(index) = index {
            return Ok(Some(UserColumn::named(first, index)));
        }
        Ok(match first {
            [cell] => (!is_any_header(cell)).then_some(UserColumn::PlainList),
            [cell, ..] if self.kind.has_shape() && self.is_user(cell) => {
                Some(UserColumn::Numbered { index: 0 })
            }
            _ => None,
        })
    }

    /// The column with a known header, the most specific one.
    pub(super) fn find_known(&self, headers: &[String]) -> Result<Option<usize>, Refusal> {
        for known in known_headers(self.kind) {
            let places = places(headers, |header| is_header(header, known));
            if !places.is_empty() {
                return only(headers, &places);
            }
        }
        Ok(None)
    }
}

/// The column whose header is that number, such as a year.
fn named_by_number(number: usize, first: &[String]) -> Option<UserColumn> {
    let index = find_named(first, &number.to_string()).ok()??;
    Some(UserColumn::named(first, index))
}

/// Whether two cells have a digit and the same form: letters and digits in the same order, the same
/// other characters between them. A header seldom looks like the cells below it.
fn is_alike(cell: &str, other: &str) -> bool {
    let form = |text: &str| {
        let mut form: Vec<char> = text
            .chars()
            .map(|c| match c {
                c if c.is_numeric() => '0',
                c if c.is_alphabetic() => 'a',
                c => c,
            })
            .collect();
        form.dedup();
        form
    };
    let form_of_cell = form(cell);
    form_of_cell.contains(&'0') && form_of_cell == form(other)
}

/// How many columns a message names before it only counts them.
const MAX_SHOWN: usize = 30;

/// The columns that an input has; shows as `1 "id", 2 "email"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(Vec<String>);

impl Columns {
    pub(super) fn of(headers: &[String]) -> Self {
        Self(headers.to_vec())
    }

    /// Whether one of them has a usual header of that kind.
    pub(super) fn has_header_of(&self, kind: IdentifierKind) -> bool {
        self.0.iter().any(|header| is_header_of(kind, header))
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, header) in self.0.iter().take(MAX_SHOWN).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} \"{}\"", index + 1, excerpt(header))?;
        }
        match self.0.len().checked_sub(MAX_SHOWN) {
            Some(n_more @ 1..) => write!(f, " and {n_more} more"),
            _ => Ok(()),
        }
    }
}

/// Which columns besides the users' one are carried into the results (`--carry`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Carry {
    /// None of them; of a results file those that it carried itself.
    #[default]
    None,
    /// All of them; of a results file those that it carried itself.
    All,
    /// Those with these headers, in this order.
    Named(Vec<String>),
}

/// The carried columns: the index of each, and the header under which it is carried.
pub(super) struct Carried(Vec<(usize, String)>);

impl Carried {
    /// The columns of an ordinary input, by its first record.
    pub(super) fn of_input(
        carry: &Carry,
        first: &[String],
        users: &UserColumn,
    ) -> Result<Self, Refusal> {
        let is_named = users.header().is_some();
        let columns = first.iter().enumerate().map(|(index, header)| {
            (index, if is_named { header.clone() } else { format!("column_{}", index + 1) })
        });
        match carry {
            Carry::None => Ok(Self(Vec::new())),
            Carry::All => Ok(Self(columns.filter(|(index, _)| *index != users.index()).collect())),
            // An empty input has no columns.
            Carry::Named(names) if names.is_empty() || first.is_empty() => Ok(Self(Vec::new())),
            Carry::Named(names) if is_named => Self::named(names, &columns.collect::<Vec<_>>()),
            Carry::Named(names) => Err(Refusal::CarryWithoutHeader { wanted: names[0].clone() }),
        }
    }

    /// The columns that a results file carried, under the headers they had in its input.
    pub(super) fn of_results(carry: &Carry, headers: &[String]) -> Result<Self, Refusal> {
        let columns: Vec<(usize, String)> = headers
            .iter()
            .enumerate()
            .filter_map(|(index, it)| Some((index, it.strip_prefix(CARRIED_PREFIX)?.to_owned())))
            .collect();
        match carry {
            Carry::Named(names) => Self::named(names, &columns),
            Carry::None | Carry::All => Ok(Self(columns)),
        }
    }

    fn named(names: &[String], columns: &[(usize, String)]) -> Result<Self, Refusal> {
        let headers: Vec<String> = columns.iter().map(|(_, header)| header.clone()).collect();
        let mut carried = Vec::new();
        for wanted in names {
            let place = find_named(&headers, wanted)?.ok_or_else(|| Refusal::UnknownCarry {
                wanted: wanted.clone(),
                columns: Columns::of(&headers),
            })?;
            if !carried.contains(&columns[place]) {
                carried.push(columns[place].clone());
            }
        }
        Ok(Self(carried))
    }

    /// The carried cells of one row.
    pub(super) fn cells(&self, row: &Row<'_>) -> Box<[Box<str>]> {
        self.0.iter().map(|(index, _)| row.cell(*index).into()).collect()
    }

    pub(super) fn into_headers(self) -> Vec<String> {
        self.0.into_iter().map(|(_, header)| header).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[track_caller]
    fn check(text: &str, kind: IdentifierKind, expected: Option<usize>) {
        let wanted = Wanted { name: "users.csv", kind, column: None };
        assert_eq!(wanted.find_known(&headers(text)).unwrap(), expected, "{text}");
    }

    #[test]
    fn the_most_specific_header_wins_wherever_it_is() {
        use IdentifierKind::UserId;
        check("id,user_id", UserId, Some(1));
        check("id,clerk_user_id,clerk_id", UserId, Some(2));
        check("id,clerk_user_id", UserId, Some(1));
        check("name,\u{feff}User ID", UserId, Some(1));
        check("name,team", UserId, None);
    }

    #[test]
    fn each_kind_has_its_own_headers_and_no_others() {
        let export = "id,username,primary_email_address,primary_phone_number";
        check(export, IdentifierKind::UserId, Some(0));
        check(export, IdentifierKind::Username, Some(1));
        check(export, IdentifierKind::Email, Some(2));
        check(export, IdentifierKind::Phone, Some(3));
        check(export, IdentifierKind::ExternalId, None);
        check("nickname,cognito:username", IdentifierKind::Username, Some(1));
        check("nickname", IdentifierKind::Username, None);
    }

    #[test]
    fn an_exact_name_comes_before_an_equivalent_one() {
        let headers = headers("User-Id,user_id,Team");
        let find = |name| find_named(&headers, name);
        assert_eq!(find("user_id").unwrap(), Some(1));
        assert_eq!(find(" team ").unwrap(), Some(2));
        assert_eq!(find("ticket").unwrap(), None);
        assert!(find("userid").is_err());
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let wanted = Wanted { name: "users.csv", kind: IdentifierKind::UserId, column: None };
        let refused = wanted.find_known(&headers("user_id,name,userId"));
        assert!(matches!(refused, Err(Refusal::RepeatedColumn { numbers: (1, 3), .. })));
    }

    #[test]
    fn cells_with_a_digit_and_the_same_form_are_alike() {
        assert!(is_alike("ext_298", "ext_9"));
        assert!(!is_alike("legacy_id", "ext_298") && !is_alike("ann", "bob"));
    }

    #[test]
    fn columns_are_numbered_and_at_most_thirty_are_named() {
        let headers = |n: usize| (1..=n).map(|i| format!("c{i}")).collect::<Vec<_>>();
        assert_eq!(Columns::of(&headers(2)).to_string(), r#"1 "c1", 2 "c2""#);
        assert!(Columns::of(&headers(30)).to_string().ends_with(r#"30 "c30""#));
        assert!(Columns::of(&headers(1000)).to_string().ends_with(r#"30 "c30" and 970 more"#));
    }
}
