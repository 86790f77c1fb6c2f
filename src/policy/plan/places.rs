//! Finds records by what they name, and keeps nothing of them but their places: an input may have
//! millions of records.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::model::{Records, TargetKey};

/// The place of one record of each user.
#[derive(Clone, Debug, Default)]
pub(super) struct PlacesByUser {
    hasher: RandomState,
    table: HashTable<u32>,
}

impl PlacesByUser {
    /// The first record of each user.
    pub(super) fn of(records: &Records) -> Self {
        let table = HashTable::with_capacity(records.records.len());
        let mut places = Self { hasher: RandomState::new(), table };
        for place in 0..records.records.len() {
            if let Some(key) = records.key(place) {
                places.add(records, &key, place);
            }
        }
        places
    }

    fn add(&mut self, records: &Records, key: &TargetKey, place: usize) {
        let Self { hasher, table } = self;
        let is_same = |&it: &u32| records.key(it as usize).as_ref() == Some(key);
        let hash_of = |&it: &u32| hasher.hash_one(records.key(it as usize));
        // As `hash_of` hashes it.
        let hash = hasher.hash_one(Some(key));
        if let Entry::Vacant(entry) = table.entry(hash, is_same, hash_of) {
            entry.insert(stored(place));
        }
    }

    pub(super) fn find(&self, records: &Records, key: &TargetKey) -> Option<usize> {
        let is_same = |&it: &u32| records.key(it as usize).as_ref() == Some(key);
        self.table.find(self.hasher.hash_one(Some(key)), is_same).map(|&place| place as usize)
    }

    /// Puts another record of the same user in place of the first.
    pub(super) fn replace(&mut self, records: &Records, key: &TargetKey, place: usize) {
        let is_same = |&it: &u32| records.key(it as usize).as_ref() == Some(key);
        if let Some(it) = self.table.find_mut(self.hasher.hash_one(Some(key)), is_same) {
            *it = stored(place);
        }
    }
}

/// The place of the last record on each line.
#[derive(Clone, Debug, Default)]
pub(super) struct PlacesByLine {
    hasher: RandomState,
    table: HashTable<u32>,
}

impl PlacesByLine {
    pub(super) fn of(records: &Records) -> Self {
        let records = &records.records;
        let (hasher, mut table) = (RandomState::new(), HashTable::with_capacity(records.len()));
        for (place, record) in records.iter().enumerate() {
            let line_of = |&it: &u32| records[it as usize].line();
            let is_same = |it: &u32| line_of(it) == record.line();
            let hash_of = |it: &u32| hasher.hash_one(line_of(it));
            match table.entry(hasher.hash_one(record.line()), is_same, hash_of) {
                Entry::Occupied(mut entry) => *entry.get_mut() = stored(place),
                Entry::Vacant(entry) => drop(entry.insert(stored(place))),
            }
        }
        Self { hasher, table }
    }

    pub(super) fn find(&self, records: &Records, line: u64) -> Option<usize> {
        let is_same = |&it: &u32| records.records[it as usize].line() == line;
        self.table.find(self.hasher.hash_one(line), is_same).map(|&place| place as usize)
    }
}

/// A place as it is stored where there may be millions of them.
pub(super) fn stored(place: usize) -> u32 {
    u32::try_from(place).expect("four billion records do not fit into memory")
}
