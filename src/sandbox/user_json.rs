//! The user object as Clerk's Backend API writes it: all 46 properties, about 2.6 KB.

use std::fmt::{self, Display, Formatter};

use super::changes::Standing;
use super::json::{OrNull, Text};
use super::world::mix::mix;
use super::world::{Person, ksuid};

/// A user object, on its way into an answer.
pub(super) struct UserJson<'a> {
    pub(super) person: &'a Person,
    pub(super) standing: &'a Standing,
}

/// As much as most user objects need.
pub(super) const USUAL_SIZE: usize = 3 * 1024;

impl Display for UserJson<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_names(f)?;
        self.write_metadata(f)?;
        self.write_emails(f)?;
        self.write_phones(f)?;
        self.write_passkeys(f)?;
        self.write_credentials(f)?;
        self.write_external_account(f)?;
        self.write_standing(f)
    }
}

impl UserJson<'_> {
    fn write_names(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let it = self.person;
        let image = ImageUrl(it.salt);
        write!(
            f,
            r#"{{"id":"{id}","object":"user","username":{username},"first_name":{first},"last_name":{last},"locale":{locale},"profile_image_url":"{image}","image_url":"{image}","has_image":{has_image},"primary_email_address_id":"{email}","primary_phone_number_id":{phone},"primary_web3_wallet_id":null,"external_id":{external_id},"#,
            id = it.id,
            username = OrNull(it.username.as_deref().map(Text)),
            first = OrNull(it.first_name.map(Text)),
            last = OrNull(it.last_name.map(Text)),
            locale = OrNull(self.is_one_in(4, 1).then_some(Text("en-GB"))),
            has_image = self.is_one_in(3, 2),
            email = self.part("idn", 0),
            phone = OrNull(it.phone.is_some().then(|| format!("\"{}\"", self.part("idn", 9)))),
            external_id = OrNull(it.external_id.as_deref().map(Text)),
        )
    }

    fn write_metadata(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let salt = self.person.salt;
        let plan = ["free", "pro", "team", "enterprise"][(salt & 3) as usize];
        write!(
            f,
            r#""public_metadata":{{"plan":"{plan}","seats":{seats}}},"private_metadata":{{"crm_id":"crm_{crm:08x}","risk_score":0.{risk:02}}},"unsafe_metadata":{{"theme":"dark","onboarded":true}},"#,
            seats = 1 + (salt >> 8) % 40,
            crm = salt >> 32,
            risk = (salt >> 16) % 100,
        )
    }

    fn write_emails(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let created_at = self.person.created_at;
        f.write_str(r#""email_addresses":["#)?;
        for (n, email) in (0_u64..).zip(&self.person.emails) {
            let comma = if n == 0 { "" } else { "," };
            write!(
                f,
                r#"{comma}{{"id":"{id}","object":"email_address","email_address":{email},"reserved":false,"verification":{{"object":"verification_otp","status":"verified","strategy":"email_code","attempts":1,"expire_at":{expire_at}}},"linked_to":[],"matches_sso_connection":false,"created_at":{created_at},"updated_at":{created_at}}}"#,
                id = self.part("idn", n),
                email = Text(email),
                expire_at = created_at + 600_000,
            )?;
        }
        f.write_str("],")
    }

    fn write_phones(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let created_at = self.person.created_at;
        f.write_str(r#""phone_numbers":["#)?;
        if let Some(phone) = &self.person.phone {
            write!(
                f,
                r#"{{"id":"{id}","object":"phone_number","phone_number":"{phone}","reserved_for_second_factor":false,"default_second_factor":false,"reserved":false,"verification":{{"object":"verification_otp","status":"verified","strategy":"phone_code","attempts":1,"expire_at":{expire_at}}},"linked_to":[],"backup_codes":null,"created_at":{created_at},"updated_at":{created_at}}}"#,
                id = self.part("idn", 9),
                expire_at = created_at + 600_000,
            )?;
        }
        f.write_str("],")
    }

    fn write_passkeys(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(r#""web3_wallets":[],"passkeys":["#)?;
        if self.is_one_in(12, 3) {
            write!(
                f,
                r#"{{"id":"{id}","object":"passkey","name":"Phone","last_used_at":{at},"verification":{{"object":"verification_passkey","status":"verified","strategy":"passkey","nonce":"{nonce:016x}","attempts":1,"expire_at":{at}}}}}"#,
                id = self.part("idn", 20),
                nonce = mix(self.person.salt),
                at = self.person.created_at + 300_000,
            )?;
        }
        f.write_str("],")
    }

    fn write_credentials(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let created_at = self.person.created_at;
        let has_totp = self.is_one_in(5, 4);
        write!(
            f,
            r#""password_enabled":{has_password},"two_factor_enabled":{has_totp},"totp_enabled":{has_totp},"backup_code_enabled":{has_totp},"mfa_enabled_at":{mfa_enabled_at},"mfa_disabled_at":null,"password_last_updated_at":{password_at},"#,
            has_password = !self.is_one_in(5, 5),
            mfa_enabled_at = OrNull(has_totp.then_some(created_at + 86_400_000)),
            password_at = OrNull((!self.is_one_in(5, 5)).then_some(created_at)),
        )
    }

    fn write_external_account(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let it = self.person;
        f.write_str(r#""external_accounts":["#)?;
        if !self.is_one_in(5, 6) {
            write!(
                f,
                r#"{{"object":"google_account","id":"{id}","provider":"oauth_google","identification_id":"{identification}","provider_user_id":"{google:020}","approved_scopes":"email openid profile","email_address":{email},"email_address_verified":true,"first_name":{first},"last_name":{last},"avatar_url":"{image}","image_url":"{image}","username":null,"phone_number":null,"public_metadata":{{}},"label":null,"created_at":{at},"updated_at":{at},"verification":{{"object":"verification_oauth","status":"verified","strategy":"oauth_google","attempts":null,"expire_at":null}}}}"#,
                id = self.part("eac", 30),
                identification = self.part("idn", 31),
                google = mix(it.salt),
                email = Text(&it.emails[0]),
                first = Text(it.first_name.unwrap_or_default()),
                last = Text(it.last_name.unwrap_or_default()),
                image = ImageUrl(!it.salt),
                at = it.created_at,
            )?;
        }
        f.write_str(
            r#"],"saml_accounts":[],"enterprise_accounts":[],"organization_memberships":[],"#,
        )
    }

    fn write_standing(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let it = self.person;
        write!(
            f,
            r#""last_sign_in_at":{last_sign_in_at},"banned":{banned},"locked":{locked},"deprovisioned":false,"lockout_expires_in_seconds":{expires_in},"verification_attempts_remaining":{attempts},"updated_at":{updated_at},"created_at":{created_at},"delete_self_enabled":true,"create_organization_enabled":true,"create_organizations_limit":null,"last_active_at":{last_active_at},"legal_accepted_at":{legal_at},"bypass_client_trust":false,"scim":null}}"#,
            last_sign_in_at = OrNull(it.last_sign_in_at),
            banned = it.truth.banned,
            locked = self.standing.is_locked,
            expires_in = OrNull(self.standing.expires_in_seconds),
            attempts = self.standing.attempts_left,
            updated_at = self.standing.changed_at.unwrap_or(it.created_at),
            created_at = it.created_at,
            last_active_at = OrNull(it.last_sign_in_at.map(|at| at / 86_400_000 * 86_400_000)),
            legal_at = OrNull(self.is_one_in(2, 7).then_some(it.created_at)),
        )
    }

    /// The id of something that belongs to the user.
    fn part(&self, prefix: &str, n: u64) -> String {
        format!("{prefix}_{}", ksuid::ksuid(self.person.salt ^ n))
    }

    /// Whether the user is one of so many with some trait.
    fn is_one_in(&self, n: u64, what: u64) -> bool {
        mix(self.person.salt ^ (what << 56)).is_multiple_of(n)
    }
}

/// The address of a picture: long, as Clerk's are, as they hold an encoded object.
struct ImageUrl(u64);

impl Display for ImageUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let salt = self.0;
        write!(f, "https://img.example/{salt:016x}{:016x}", mix(salt))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::model::UserView;
    use crate::sandbox::World;
    use crate::sandbox::changes::Changes;

    const PROPERTIES: &str = "backup_code_enabled banned bypass_client_trust \
        create_organization_enabled create_organizations_limit created_at delete_self_enabled \
        deprovisioned email_addresses enterprise_accounts external_accounts external_id \
        first_name has_image id image_url last_active_at last_name last_sign_in_at \
        legal_accepted_at locale locked lockout_expires_in_seconds mfa_disabled_at \
        mfa_enabled_at object organization_memberships passkeys password_enabled \
        password_last_updated_at phone_numbers primary_email_address_id \
        primary_phone_number_id primary_web3_wallet_id private_metadata profile_image_url \
        public_metadata saml_accounts scim totp_enabled two_factor_enabled unsafe_metadata \
        updated_at username verification_attempts_remaining web3_wallets";

    fn listed(n: u32) -> impl Iterator<Item = (Person, String)> {
        let world = World::new(1);
        (0..n).map(move |index| {
            let person = world.person(&world.listed_id(index)).unwrap();
            let standing = Changes::default().standing_of(&person, Duration::ZERO);
            let json = UserJson { person: &person, standing: &standing }.to_string();
            (person, json)
        })
    }

    #[test]
    fn a_user_has_all_46_properties_and_no_others() {
        for (_, json) in listed(300) {
            let user: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&json).unwrap();
            let names: BTreeSet<&str> = user.keys().map(String::as_str).collect();
            assert_eq!(names.len(), 46);
            assert_eq!(names, PROPERTIES.split_whitespace().collect());
        }
    }

    #[test]
    fn a_user_is_of_a_realistic_size() {
        let sizes: Vec<usize> = listed(500).map(|(_, json)| json.len()).collect();
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((2_500..2_750).contains(&mean), "{mean}");
    }

    #[test]
    fn the_facts_are_read_back() {
        for (person, json) in listed(300) {
            let view = UserView::parse(&json).unwrap();
            assert!(view.is_of(&person.id));
            assert_eq!(view.is_locked(), person.truth.locked());
            assert_eq!(view.is_admin_locked(), person.truth.admin_locked());
            assert_eq!(view.banned, Some(person.truth.banned));
            assert_eq!(view.email.as_ref(), Some(&person.emails[0]));
            assert_eq!(view.emails, person.emails);
            assert_eq!(view.first_name.as_deref(), person.first_name);
        }
    }
}
