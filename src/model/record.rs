//! The records of an input.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use super::{Identifier, IdentifierKind, InvalidIdentifier, UserId};

/// One record of the input. Each one ends as exactly one row.
///
/// An input may have millions of them, most of which are a user ID and nothing else. Those take 32
/// bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRecord(Repr);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Repr {
    Id { line: u32, id: PackedId },
    Full(Box<Full>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Full {
    line: u64,
    cell: Box<str>,
    user: Option<UserId>,
    carried: Box<[Box<str>]>,
}

impl InputRecord {
    /// A record whose first line is this one, 1-based. `cell` names the user and is canonical (see
    /// [`canonical_cell`](super::canonical_cell)).
    pub fn new(line: u64, cell: &str) -> Self {
        match (u32::try_from(line), PackedId::pack(cell)) {
            (Ok(line), Some(id)) => Self(Repr::Id { line, id }),
            _ => Self(Repr::Full(Box::new(Full {
                line,
                cell: cell.into(),
                user: None,
                carried: Box::default(),
            }))),
        }
    }

    /// The same with the user that an earlier job of this program found for it.
    #[must_use]
    pub fn with_user(self, user: Option<UserId>) -> Self {
        match user {
            Some(user) => Self(Repr::Full(Box::new(Full { user: Some(user), ..self.into_full() }))),
            None => self,
        }
    }

    /// The same with carried cells, in the order of [`Records::carried`] and as many as there.
    #[must_use]
    pub fn with_carried(self, carried: Box<[Box<str>]>) -> Self {
        if carried.is_empty() {
            return self;
        }
        Self(Repr::Full(Box::new(Full { carried, ..self.into_full() })))
    }

    /// The record's first line in the input, 1-based.
    pub fn line(&self) -> u64 {
        match &self.0 {
            Repr::Id { line, .. } => u64::from(*line),
            Repr::Full(full) => full.line,
        }
    }

    /// The cell that names the user, canonical; empty where the record has no such cell.
    pub fn cell(&self) -> Cow<'_, str> {
        match &self.0 {
            Repr::Id { id, .. } => Cow::Owned(id.unpack()),
            Repr::Full(full) => Cow::Borrowed(&full.cell),
        }
    }

    /// The user, where an earlier job of this program looked it up.
    pub fn user(&self) -> Option<&UserId> {
        match &self.0 {
            Repr::Id { .. } => None,
            Repr::Full(full) => full.user.as_ref(),
        }
    }

    /// The carried cells.
    pub fn carried(&self) -> &[Box<str>] {
        match &self.0 {
            Repr::Id { .. } => &[],
            Repr::Full(full) => &full.carried,
        }
    }

    /// Replaces the texts for which the function gives another one: the cell and carried cells.
    pub fn replace_texts(&mut self, other: impl Fn(&str) -> Option<String>) {
        if let Some(cell) = other(&self.cell()) {
            let full = Full { cell: cell.into(), ..self.clone().into_full() };
            self.0 = Repr::Full(Box::new(full));
        }
        if let Repr::Full(full) = &mut self.0 {
            for text in &mut full.carried {
                if let Some(other) = other(text) {
                    *text = other.into();
                }
            }
        }
    }

    fn into_full(self) -> Full {
        match self.0 {
            Repr::Full(full) => *full,
            Repr::Id { line, id } => Full {
                line: u64::from(line),
                cell: id.unpack().into(),
                user: None,
                carried: Box::default(),
            },
        }
    }
}

/// The whole input, read and checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The records, in the order of the input.
    pub records: Vec<InputRecord>,
    /// What the column holds.
    pub kind: IdentifierKind,
    /// The header of the column that names the users, as written; `None` where there was none.
    pub header: Option<String>,
    /// The headers of the carried columns, as written.
    pub carried: Vec<String>,
    /// The places of the records that repeat the header of the users' column: they name no user.
    pub repeated_headers: BTreeSet<usize>,
}

impl Records {
    /// The user of the record at this place: the known one, or the one that its cell names.
    ///
    /// # Errors
    ///
    /// When the cell cannot be a user of the column's kind, or repeats the column's header.
    ///
    /// # Panics
    ///
    /// When there is no such place.
    pub fn target(&self, place: usize) -> Result<Identifier, InvalidIdentifier> {
        let record = &self.records[place];
        match record.user() {
            Some(user) => Ok(Identifier::UserId(user.clone())),
            None if self.repeated_headers.contains(&place) => Err(InvalidIdentifier::Header),
            None => Identifier::parse(self.kind, &record.cell().into()),
        }
    }

    /// The key of [`target`](Self::target); `None` where there is no target.
    ///
    /// # Panics
    ///
    /// When there is no such place.
    pub fn key(&self, place: usize) -> Option<TargetKey> {
        match &self.records[place].0 {
            Repr::Id { id, .. }
                if self.kind == IdentifierKind::UserId
                    && !self.repeated_headers.contains(&place) =>
            {
                Some(TargetKey(Key::Packed(*id)))
            }
            _ => self.target(place).ok().map(|target| TargetKey::of(&target)),
        }
    }
}

/// An identifier to compare and to find others by, which for most records costs no memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetKey(Key);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Packed(PackedId),
    Other(Identifier),
}

impl TargetKey {
    /// The same key for the same identifier.
    pub fn of(identifier: &Identifier) -> Self {
        let id = identifier.user_id().and_then(|id| PackedId::pack(id.as_str()));
        Self(id.map_or_else(|| Key::Other(identifier.clone()), Key::Packed))
    }
}

/// A user ID in 21 bytes, which would take 64 as text: `user_` and at most 28 ASCII letters and
/// digits, six bits each. Clerk's IDs have 27.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct PackedId([u8; PackedId::N_BYTES]);

impl PackedId {
    const N_BYTES: usize = 21;
    const N_CHARS: usize = 28;
    /// What follows the last character.
    const END: u8 = 0;
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    /// `None` if the text is not such an ID.
    fn pack(text: &str) -> Option<Self> {
        let tail = text.strip_prefix(UserId::PREFIX)?.as_bytes();
        if tail.is_empty() || tail.len() > Self::N_CHARS {
            return None;
        }
        let mut codes = [Self::END; Self::N_CHARS];
        for (code, &byte) in codes.iter_mut().zip(tail) {
            *code = 1 + match byte {
                b'0'..=b'9' => byte - b'0',
                b'A'..=b'Z' => byte - b'A' + 10,
                b'a'..=b'z' => byte - b'a' + 36,
                _ => return None,
            };
        }
        let mut bytes = [0; Self::N_BYTES];
        for (three, four) in bytes.chunks_exact_mut(3).zip(codes.chunks_exact(4)) {
            three[0] = four[0] << 2 | four[1] >> 4;
            three[1] = four[1] << 4 | four[2] >> 2;
            three[2] = four[2] << 6 | four[3];
        }
        Some(Self(bytes))
    }

    fn unpack(&self) -> String {
        let mut text = Vec::with_capacity(UserId::PREFIX.len() + Self::N_CHARS);
        text.extend_from_slice(UserId::PREFIX.as_bytes());
        let codes = self.0.chunks_exact(3).flat_map(|three| {
            [
                three[0] >> 2,
                three[0] << 4 & 0x3f | three[1] >> 4,
                three[1] << 2 & 0x3f | three[2] >> 6,
                three[2] & 0x3f,
            ]
        });
        let codes = codes.take_while(|&code| code != Self::END);
        text.extend(codes.map(|code| Self::ALPHABET[usize::from(code) - 1]));
        // All of it is ASCII.
        String::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Debug for PackedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.unpack(), f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "user_2NNEqL2nrIRdJ194ndJqAHwEfxC";

    #[test]
    fn a_record_that_is_only_a_user_id_takes_32_bytes() {
        assert_eq!(size_of::<InputRecord>(), 32);
        assert!(matches!(InputRecord::new(2, ID).0, Repr::Id { .. }));
    }

    #[test]
    fn a_record_returns_the_values_it_was_built_from() {
        let lines = [1, u64::from(u32::MAX), 1 << 32, u64::MAX];
        for (line, cell) in lines.into_iter().zip([ID, "", "a@x.org", "user_ä"]) {
            let record = InputRecord::new(line, cell);
            assert_eq!((record.line(), &*record.cell()), (line, cell));
            assert_eq!((record.user(), record.carried().len()), (None, 0));
            let user: UserId = "user_a".parse().unwrap();
            let record = record.with_user(Some(user.clone())).with_carried(["red".into()].into());
            assert_eq!((record.line(), &*record.cell()), (line, cell));
            assert_eq!((record.user(), &*record.carried()[0]), (Some(&user), "red"));
        }
    }

    #[test]
    fn records_with_the_same_target_have_the_same_key_and_others_do_not() {
        let user = |id: &str| id.parse().ok();
        let long = format!("user_{}", "a".repeat(40));
        let mut records = Records {
            records: vec![
                InputRecord::new(2, ID),
                InputRecord::new(3, "a@x.org").with_user(user(ID)),
                InputRecord::new(4, ID).with_carried(["red".into()].into()),
                InputRecord::new(5, "user_b"),
                InputRecord::new(6, &long),
                InputRecord::new(7, "oops"),
            ],
            ..Records::default()
        };
        let places = 0..records.records.len();
        for (one, other) in places.clone().flat_map(|one| places.clone().map(move |it| (one, it))) {
            let is_same = records.target(one).ok() == records.target(other).ok();
            assert_eq!(records.key(one) == records.key(other), is_same, "{one} {other}");
        }
        assert_eq!(records.key(5), None);
        records.repeated_headers.insert(0);
        assert_eq!(records.key(0), None);
    }

    #[test]
    fn texts_are_replaced_in_all_cells() {
        let mut record = InputRecord::new(7, ID).with_carried(["a".into(), ID.into()].into());
        let mut packed = InputRecord::new(7, ID);
        for record in [&mut record, &mut packed] {
            record.replace_texts(|text| (text == ID).then(|| "x".to_owned()));
            assert_eq!((record.line(), &*record.cell()), (7, "x"));
        }
        assert_eq!(record.carried(), [Box::from("a"), Box::from("x")]);
    }

    #[test]
    fn other_texts_are_not_packed() {
        let long = format!("user_{}", "a".repeat(29));
        for text in ["", "user_", "user", "User_a", "user_a b", "user_é", "user_a_b", &long] {
            assert_eq!(PackedId::pack(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_unpacked_as_it_was(text in "user_[0-9A-Za-z]{1,28}") {
            prop_assert_eq!(PackedId::pack(&text).unwrap().unpack(), text);
        }

        #[test]
        fn different_ids_are_different_when_packed(a in "user_[0aZ]{1,3}", b in "user_[0aZ]{1,3}") {
            prop_assert_eq!(PackedId::pack(&a) == PackedId::pack(&b), a == b);
        }
    }
}
