//! The objects inside a user object: addresses, numbers, wallets, accounts.

use serde::Deserialize;
use serde_json::Value;

use super::lenient::{lenient, lenient_list, lenient_object};

/// An email address of a user.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EmailAddress {
    /// Its id, `idn_…`; [`User::primary_email_address_id`](super::User) names the primary one.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// The address itself.
    #[serde(deserialize_with = "lenient")]
    pub email_address: String,
    /// Kept for this user although it is not verified.
    #[serde(deserialize_with = "lenient")]
    pub reserved: bool,
    /// How and whether it was verified; `None`: never tried.
    #[serde(deserialize_with = "lenient_object")]
    pub verification: Option<Verification>,
    /// What else vouches for it, such as an external account.
    #[serde(deserialize_with = "lenient_list")]
    pub linked_to: Vec<IdentificationLink>,
    /// Its domain belongs to an active enterprise connection.
    #[serde(deserialize_with = "lenient")]
    pub matches_sso_connection: Option<bool>,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub created_at: Option<i64>,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub updated_at: Option<i64>,
}

/// A phone number of a user.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PhoneNumber {
    /// Its id, `idn_…`.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// The number itself, in international form.
    #[serde(deserialize_with = "lenient")]
    pub phone_number: String,
    /// Used as a second factor.
    #[serde(deserialize_with = "lenient")]
    pub reserved_for_second_factor: bool,
    /// The second factor that is asked for first.
    #[serde(deserialize_with = "lenient")]
    pub default_second_factor: bool,
    /// Kept for this user although it is not verified.
    #[serde(deserialize_with = "lenient")]
    pub reserved: bool,
    /// How and whether it was verified; `None`: never tried.
    #[serde(deserialize_with = "lenient_object")]
    pub verification: Option<Verification>,
    /// What else vouches for it.
    #[serde(deserialize_with = "lenient_list")]
    pub linked_to: Vec<IdentificationLink>,
    /// Codes that stand in for the number when it is lost.
    #[serde(deserialize_with = "lenient")]
    pub backup_codes: Option<Vec<String>>,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub created_at: Option<i64>,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub updated_at: Option<i64>,
}

/// A wallet of a user.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Web3Wallet {
    /// Its id, `idn_…`.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// The wallet's address.
    #[serde(deserialize_with = "lenient")]
    pub web3_wallet: String,
    /// How and whether it was verified; `None`: never tried.
    #[serde(deserialize_with = "lenient_object")]
    pub verification: Option<Verification>,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub created_at: Option<i64>,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub updated_at: Option<i64>,
}

/// A passkey of a user.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Passkey {
    /// Its id.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// What the user calls it.
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub last_used_at: Option<i64>,
    /// How and whether it was verified.
    #[serde(deserialize_with = "lenient_object")]
    pub verification: Option<Verification>,
}

/// An account elsewhere (OAuth) that a user signs in with.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ExternalAccount {
    /// Its id.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// The kind of object, `external_account` or one that is named after its provider.
    #[serde(deserialize_with = "lenient")]
    pub object: String,
    /// Who keeps the account, such as `oauth_google`.
    #[serde(deserialize_with = "lenient")]
    pub provider: String,
    /// The identification it stands for, `idn_…`.
    #[serde(deserialize_with = "lenient")]
    pub identification_id: String,
    /// The user's id there.
    #[serde(deserialize_with = "lenient")]
    pub provider_user_id: String,
    /// What was granted, separated by spaces.
    #[serde(deserialize_with = "lenient")]
    pub approved_scopes: String,
    /// The email address there.
    #[serde(deserialize_with = "lenient")]
    pub email_address: String,
    /// Whether the provider says that it verified the address.
    #[serde(deserialize_with = "lenient")]
    pub email_address_verified: Option<bool>,
    /// The first name there.
    #[serde(deserialize_with = "lenient")]
    pub first_name: Option<String>,
    /// The last name there.
    #[serde(deserialize_with = "lenient")]
    pub last_name: Option<String>,
    /// The picture there.
    #[serde(deserialize_with = "lenient")]
    pub avatar_url: Option<String>,
    /// The picture as Clerk serves it.
    #[serde(deserialize_with = "lenient")]
    pub image_url: Option<String>,
    /// The user name there.
    #[serde(deserialize_with = "lenient")]
    pub username: Option<String>,
    /// The phone number there.
    #[serde(deserialize_with = "lenient")]
    pub phone_number: Option<String>,
    /// Metadata that everybody may read; null where there is none.
    #[serde(deserialize_with = "lenient")]
    pub public_metadata: Value,
    /// What the user calls the account.
    #[serde(deserialize_with = "lenient")]
    pub label: Option<String>,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub created_at: Option<i64>,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub updated_at: Option<i64>,
    /// How and whether it was verified.
    #[serde(deserialize_with = "lenient_object")]
    pub verification: Option<Verification>,
}

/// How something of a user's was verified. Clerk has a kind for each way; this holds what they
/// share and what the commonest of them add.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Verification {
    /// The kind, such as `verification_otp`.
    #[serde(deserialize_with = "lenient")]
    pub object: String,
    /// `verified`, `unverified`, `failed`, `expired`, …
    #[serde(deserialize_with = "lenient")]
    pub status: String,
    /// The way, such as `email_code`.
    #[serde(deserialize_with = "lenient")]
    pub strategy: String,
    /// How often it was tried.
    #[serde(deserialize_with = "lenient")]
    pub attempts: Option<i64>,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub expire_at: Option<i64>,
    /// How a code was sent, such as `sms`.
    #[serde(deserialize_with = "lenient")]
    pub channel: Option<String>,
    /// The client it was verified from.
    #[serde(deserialize_with = "lenient")]
    pub verified_at_client: Option<String>,
    /// What went wrong with an OAuth or SAML verification, as it was sent; null: nothing.
    #[serde(deserialize_with = "lenient")]
    pub error: Value,
}

/// Something that vouches for an email address or a phone number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct IdentificationLink {
    /// Its kind, such as `oauth_google`.
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub kind: String,
    /// Its id.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
}
