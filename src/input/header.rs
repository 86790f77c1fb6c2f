//! Which headers are known, and how headers are compared.

use crate::model::{IdentifierKind, canonical_cell};

/// The headers of a column of user ids, normalised, the likeliest first.
const USER_ID: &[&str] = &["userid", "id", "clerkid", "clerkuserid"];
const EMAIL: &[&str] =
    &["email", "emailaddress", "primaryemailaddress", "primaryemail", "useremail", "mail"];
const PHONE: &[&str] = &[
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
];
const USERNAME: &[&str] = &["username", "userlogin", "login", "loginname", "nickname"];
const EXTERNAL_ID: &[&str] = &["externalid", "extid", "externaluserid", "userexternalid"];

/// A header in the form in which headers are compared: lower case, without spaces, `-` and `_`.
pub(super) fn normalised(header: &str) -> String {
    let is_kept = |c: &char| !c.is_whitespace() && !matches!(c, '-' | '_' | '\u{feff}');
    canonical_cell(header).chars().filter(is_kept).flat_map(char::to_lowercase).collect()
}

/// The usual header of a column of that kind.
pub(super) fn usual(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::UserId => "user_id",
        IdentifierKind::Email => "email",
        IdentifierKind::Phone => "phone_number",
        IdentifierKind::Username => "username",
        IdentifierKind::ExternalId => "external_id",
    }
}

/// The place of the column that holds users of that kind by its header. A kind's own headers come
/// before those of user ids: an export has an `id` beside its `email`.
pub(super) fn find_known(headers: &[String], kind: IdentifierKind) -> Option<usize> {
    let headers: Vec<String> = headers.iter().map(|header| normalised(header)).collect();
    let place = |name: &&str| headers.iter().position(|header| header == name);
    known(kind).iter().chain(USER_ID).find_map(place)
}

/// The kind whose usual header stands among these: `kind` itself if it can be, user ids next.
pub(super) fn kind_of(headers: &[String], kind: IdentifierKind) -> Option<IdentifierKind> {
    use IdentifierKind::{Email, ExternalId, Phone, UserId, Username};

    let headers: Vec<String> = headers.iter().map(|header| normalised(header)).collect();
    let is_there =
        |&kind: &IdentifierKind| headers.iter().any(|it| known(kind).contains(&it.as_str()));
    [kind, UserId, Email, Phone, Username, ExternalId].into_iter().find(is_there)
}

/// The place of the column of that name: to the letter if there is one, else as headers are
/// compared.
pub(super) fn find_named(headers: &[String], name: &str) -> Option<usize> {
    let exact = headers.iter().position(|header| header == name.trim());
    exact.or_else(|| {
        let wanted = normalised(name);
        headers.iter().position(|header| normalised(header) == wanted)
    })
}

/// Whether a cell is the usual header of some kind. `user_id` and `user_name` have the shape of an
/// id, so this is asked before a first line is taken for a user.
pub(super) fn is_known(cell: &str) -> bool {
    let cell = normalised(cell);
    let known = [USER_ID, EMAIL, PHONE, USERNAME, EXTERNAL_ID];
    known.iter().any(|headers| headers.contains(&cell.as_str()))
}

fn known(kind: IdentifierKind) -> &'static [&'static str] {
    match kind {
        IdentifierKind::UserId => USER_ID,
        IdentifierKind::Email => EMAIL,
        IdentifierKind::Phone => PHONE,
        IdentifierKind::Username => USERNAME,
        IdentifierKind::ExternalId => EXTERNAL_ID,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &str, kind: IdentifierKind, expected: Option<usize>) {
        let headers: Vec<String> = headers.split(',').map(str::to_owned).collect();
        assert_eq!(find_known(&headers, kind), expected, "{headers:?}");
    }

    #[test]
    fn case_spaces_hyphens_and_underscores_do_not_matter() {
        for header in ["user_id", "userId", "User ID", "USER-ID", "\u{feff}user id", "userid"] {
            check(&format!("name,{header}"), IdentifierKind::UserId, Some(1));
        }
        check("e-mail,E-Mail Address", IdentifierKind::Email, Some(0));
    }

    #[test]
    fn the_likeliest_header_wins_wherever_it_stands() {
        check("id,user_id", IdentifierKind::UserId, Some(1));
        check("clerk_user_id,clerk_id,id", IdentifierKind::UserId, Some(2));
        check("name,clerk_user_id", IdentifierKind::UserId, Some(1));
        check("name,team", IdentifierKind::UserId, None);
    }

    #[test]
    fn a_kinds_own_headers_come_before_those_of_user_ids() {
        let export = "id,username,primary_email_address,primary_phone_number";
        check(export, IdentifierKind::UserId, Some(0));
        check(export, IdentifierKind::Username, Some(1));
        check(export, IdentifierKind::Email, Some(2));
        check(export, IdentifierKind::Phone, Some(3));
        check(export, IdentifierKind::ExternalId, Some(0));
    }

    #[test]
    fn a_name_to_the_letter_comes_before_a_name_that_is_alike() {
        let headers = ["User-Id", "user_id", "Team"].map(str::to_owned);
        assert_eq!(find_named(&headers, "user_id"), Some(1));
        assert_eq!(find_named(&headers, "userid"), Some(0));
        assert_eq!(find_named(&headers, " team "), Some(2));
        assert_eq!(find_named(&headers, "ticket"), None);
    }
}
