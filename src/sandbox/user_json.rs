//! Clerk's user object: all 46 properties, about 2.8 KB.

#![expect(non_camel_case_types, reason = "`object!` names the type of a field after the field")]

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::FakeUser;
use super::population::{ksuid, mix};

/// An object to serialize, with its fields in this order. Values of `serde_json::json!` would make
/// the server three times slower, and with it the tests and benchmarks.
macro_rules! object {
    ($($field:ident: $value:expr),* $(,)?) => {{
        #[derive(Serialize)]
        struct Object<$($field),*> {
            $($field: $field),*
        }
        Object { $($field: $value),* }
    }};
}

const NULL: Option<()> = None;
const EMPTY: [(); 0] = [];
const NO_METADATA: BTreeMap<&str, &str> = BTreeMap::new();

/// The user object as Clerk's Backend API sends it.
impl Serialize for FakeUser {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        user_object(self).serialize(serializer)
    }
}

fn user_object(user: &FakeUser) -> impl Serialize {
    let salt = user.salt;
    // Whether the user is one in `n` with a certain trait.
    let is_one_in = |n: u64, trait_: u64| mix(salt ^ (trait_ << 56)).is_multiple_of(n);
    let has_mfa = is_one_in(5, 4);
    object! {
        id: user.id.as_str(),
        object: "user",
        username: &user.username,
        first_name: user.first_name,
        last_name: user.last_name,
        locale: is_one_in(4, 1).then_some("en-GB"),
        profile_image_url: image_url(salt),
        image_url: image_url(salt),
        has_image: is_one_in(3, 2),
        primary_email_address_id: part_id(user, "idn", 0),
        primary_phone_number_id: user.phone.as_ref().map(|_| part_id(user, "idn", 9)),
        primary_web3_wallet_id: NULL,
        external_id: &user.external_id,
        public_metadata: object! {
            plan: ["free", "pro", "team", "enterprise"][(salt & 3) as usize],
            seats: 1 + (salt >> 8) % 40,
        },
        private_metadata: object! {
            crm_id: format!("crm_{:08x}", salt >> 32),
            risk_score: 0.25,
        },
        unsafe_metadata: object! { theme: "dark", onboarded: true },
        email_addresses: email_addresses(user),
        phone_numbers: phone_numbers(user),
        web3_wallets: EMPTY,
        passkeys: if is_one_in(12, 3) { passkeys(user) } else { Vec::new() },
        external_accounts: if is_one_in(5, 6) { Vec::new() } else { external_accounts(user) },
        saml_accounts: EMPTY,
        enterprise_accounts: EMPTY,
        organization_memberships: memberships(user),
        password_enabled: user.password_last_updated_at.is_some(),
        password_last_updated_at: user.password_last_updated_at,
        two_factor_enabled: has_mfa,
        totp_enabled: has_mfa,
        backup_code_enabled: has_mfa,
        mfa_enabled_at: has_mfa.then_some(user.created_at + 86_400_000),
        mfa_disabled_at: NULL,
        banned: user.banned,
        locked: user.lock.locked,
        lockout_expires_in_seconds: user.lock.expires_in.map(|it| it.as_secs()),
        verification_attempts_remaining: user.lock.attempts_left,
        deprovisioned: false,
        created_at: user.created_at,
        updated_at: user.updated_at,
        last_sign_in_at: user.last_sign_in_at,
        last_active_at: user.last_active_at(),
        legal_accepted_at: is_one_in(2, 7).then_some(user.created_at),
        delete_self_enabled: true,
        create_organization_enabled: true,
        create_organizations_limit: NULL,
        bypass_client_trust: false,
        scim: NULL,
    }
}

fn email_addresses(user: &FakeUser) -> Vec<impl Serialize> {
    let addresses = (0..).zip(&user.emails).map(|(n, email)| {
        object! {
            id: part_id(user, "idn", n),
            object: "email_address",
            email_address: email,
            reserved: false,
            verification: otp(user, "email_code"),
            linked_to: EMPTY,
            matches_sso_connection: false,
            created_at: user.created_at,
            updated_at: user.created_at,
        }
    });
    addresses.collect()
}

fn phone_numbers(user: &FakeUser) -> Vec<impl Serialize> {
    let numbers = user.phone.iter().map(|phone| {
        object! {
            id: part_id(user, "idn", 9),
            object: "phone_number",
            phone_number: phone,
            reserved_for_second_factor: false,
            default_second_factor: false,
            reserved: false,
            verification: otp(user, "phone_code"),
            linked_to: EMPTY,
            backup_codes: NULL,
            created_at: user.created_at,
            updated_at: user.created_at,
        }
    });
    numbers.collect()
}

fn otp(user: &FakeUser, strategy: &'static str) -> impl Serialize + use<> {
    object! {
        object: "verification_otp",
        status: "verified",
        strategy: strategy,
        attempts: 1,
        expire_at: user.created_at + 600_000,
    }
}

fn passkeys(user: &FakeUser) -> Vec<impl Serialize> {
    vec![object! {
        id: part_id(user, "idn", 20),
        object: "passkey",
        name: "Phone",
        last_used_at: user.created_at + 300_000,
        verification: object! {
            object: "verification_passkey",
            status: "verified",
            strategy: "passkey",
            attempts: 1,
            expire_at: user.created_at + 300_000,
        },
    }]
}

fn external_accounts(user: &FakeUser) -> Vec<impl Serialize> {
    vec![object! {
        object: "google_account",
        id: part_id(user, "eac", 30),
        provider: "oauth_google",
        identification_id: part_id(user, "idn", 31),
        provider_user_id: format!("{:020}", mix(user.salt)),
        approved_scopes: "email openid profile",
        email_address: user.emails.first(),
        email_address_verified: true,
        first_name: user.first_name.unwrap_or_default(),
        last_name: user.last_name.unwrap_or_default(),
        avatar_url: image_url(!user.salt),
        image_url: image_url(!user.salt),
        username: NULL,
        phone_number: NULL,
        public_metadata: NO_METADATA,
        label: NULL,
        created_at: user.created_at,
        updated_at: user.created_at,
        verification: object! {
            object: "verification_oauth",
            status: "verified",
            strategy: "oauth_google",
            attempts: NULL,
            expire_at: user.created_at + 600_000,
        },
    }]
}

fn memberships(user: &FakeUser) -> Vec<impl Serialize> {
    let memberships = (40..).zip(&user.organizations).map(|(n, organization)| {
        let slug = organization.trim_start_matches("org_");
        object! {
            object: "organization_membership",
            id: part_id(user, "orgmem", n),
            role: "org:member",
            role_name: "Member",
            permissions: EMPTY,
            public_metadata: NO_METADATA,
            organization: object! {
                object: "organization",
                id: organization,
                name: slug,
                slug: slug,
                has_image: false,
                max_allowed_memberships: 0,
                admin_delete_enabled: true,
                public_metadata: NO_METADATA,
                created_at: 1_719_792_000_000_u64,
                updated_at: 1_719_792_000_000_u64,
            },
            created_at: user.created_at,
            updated_at: user.created_at,
        }
    });
    memberships.collect()
}

/// ID of something that belongs to the user.
fn part_id(user: &FakeUser, prefix: &str, n: u64) -> String {
    format!("{prefix}_{}", ksuid(user.salt ^ n))
}

fn image_url(salt: u64) -> String {
    format!("https://img.example/{salt:016x}{:016x}", mix(salt))
}

#[cfg(test)]
mod tests {
    use super::super::Population;
    use super::*;
    use crate::model::UserView;
    use serde_json::to_string;

    fn listed(n: u32) -> impl Iterator<Item = FakeUser> {
        let population = Population::new(1);
        (0..n).filter_map(move |index| population.user(&population.listed_id(index)))
    }

    #[test]
    fn a_user_object_is_of_a_realistic_size() {
        let size: usize = listed(500).map(|user| to_string(&user).unwrap().len()).sum();
        assert!((2_500..3_000).contains(&(size / 500)), "{}", size / 500);
    }

    #[test]
    fn the_user_is_read_back_from_its_object() {
        for user in listed(300) {
            let view = UserView::parse(&to_string(&user).unwrap()).unwrap();
            assert!(view.is_of(&user.id));
            assert_eq!(view.is_locked(), user.is_locked());
            assert_eq!(view.is_admin_locked(), user.is_admin_locked());
            assert_eq!(view.banned, Some(user.banned));
            assert_eq!(view.emails, user.emails);
            assert_eq!(view.first_name.as_deref(), user.first_name);
        }
    }
}
