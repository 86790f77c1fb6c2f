//! This program's own `NAME.failed.csv` and `NAME.unprocessed.csv`: whatever the users' column is
//! called there, it is the first.

/// How the header of `failed` ends.
const OF_FAILED: [&str; 4] = ["line", "outcome", "error_code", "error_message"];

/// How the header of `unprocessed` ends.
const OF_UNPROCESSED: [&str; 1] = ["line"];

/// Whether the file is one of them. The shorter header may be anybody's, so that there the name
/// must be ours too: a column that was carried may have a header that is known.
pub(super) fn is_one(name: &str, headers: &[String]) -> bool {
    ends_with(headers, &OF_FAILED)
        || name.ends_with(".unprocessed.csv") && ends_with(headers, &OF_UNPROCESSED)
}

/// Whether a header may be of one of them, whatever the name of the file.
pub(super) fn is_header(headers: &[String]) -> bool {
    ends_with(headers, &OF_FAILED) || ends_with(headers, &OF_UNPROCESSED)
}

fn ends_with(headers: &[String], end: &[&str]) -> bool {
    let Some((_, rest)) = headers.split_first() else { return false };
    let n_before = rest.len().checked_sub(end.len());
    n_before.is_some_and(|n| rest[n..].iter().map(String::as_str).eq(end.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, header: &str, expected: bool) {
        let headers: Vec<String> = header.split(',').map(str::to_owned).collect();
        assert_eq!(is_one(name, &headers), expected, "{name}: {header}");
    }

    #[test]
    fn they_are_known_by_their_header_and_the_shorter_one_by_its_name_too() {
        check("x.csv", "cust,line,outcome,error_code,error_message", true);
        check("x.csv", "cust,id,line,outcome,error_code,error_message", true);
        check("x.csv", "line,outcome,error_code,error_message", false);
        check("x.unprocessed.csv", "cust,id,line", true);
        check("x.csv", "cust,id,line", false);
        check("x.unprocessed.csv", "line", false);
        check("x.unprocessed.csv", "name,user_id", false);
    }
}
