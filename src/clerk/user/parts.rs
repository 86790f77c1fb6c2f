//! The objects inside a user object: email addresses, phone numbers, wallets, accounts.

use serde::Deserialize;
use serde_json::Value;

use super::{lenient, lenient_list, lenient_object};

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
    /// Reserved for this user although it is not verified.
    #[serde(deserialize_with = "lenient")]
    pub reserved: bool,
    /// Its verification; `None`: never attempted.
    #[serde(deserialize_with = "lenient_object")]
    pub verification: Option<Verification>,
    /// What else verifies it, such as an external account.
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
    /// The number in E.164 format.
    #[serde(deserialize_with = "lenient")]
    pub phone_number: String,
    /// Used as a second factor.
    #[serde(deserialize_with = "lenient")]
    pub reserved_for_second_factor: bool,
    /// The default second factor.
    #[serde(deserialize_with = "lenient")]
    pub default_second_factor: bool,
    /// Reserved for this user although it is not verified.
    #[serde(deserialize_with = "lenient")]
    pub reserved: bool,
    /// Its verification; `None`: never attempted.
    #[serde(deserialize_with = "lenient_object")]
    pub verification: Option<Verification>,
    /// What else verifies it.
    #[serde(deserialize_with = "lenient_list")]
    pub linked_to: Vec<IdentificationLink>,
    /// Backup codes for when the number is lost.
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
    /// Its verification; `None`: never attempted.
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
    /// The name the user gave it.
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub last_used_at: Option<i64>,
    /// Its verification.
    #[serde(deserialize_with = "lenient_object")]
    pub verification: Option<Verification>,
}

/// An OAuth account that a user signs in with.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ExternalAccount {
    /// Its id.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
    /// The object type: `external_account` or one named after the provider.
    #[serde(deserialize_with = "lenient")]
    pub object: String,
    /// The provider, such as `oauth_google`.
    #[serde(deserialize_with = "lenient")]
    pub provider: String,
    /// The id of its identification, `idn_…`.
    #[serde(deserialize_with = "lenient")]
    pub identification_id: String,
    /// The user's id at the provider.
    #[serde(deserialize_with = "lenient")]
    pub provider_user_id: String,
    /// The scopes that were granted, separated by spaces.
    #[serde(deserialize_with = "lenient")]
    pub approved_scopes: String,
    /// The email address at the provider.
    #[serde(deserialize_with = "lenient")]
    pub email_address: String,
    /// Whether the provider verified the address.
    #[serde(deserialize_with = "lenient")]
    pub email_address_verified: Option<bool>,
    /// The first name at the provider.
    #[serde(deserialize_with = "lenient")]
    pub first_name: Option<String>,
    /// The last name at the provider.
    #[serde(deserialize_with = "lenient")]
    pub last_name: Option<String>,
    /// The picture at the provider.
    #[serde(deserialize_with = "lenient")]
    pub avatar_url: Option<String>,
    /// The picture, served by Clerk.
    #[serde(deserialize_with = "lenient")]
    pub image_url: Option<String>,
    /// The username at the provider.
    #[serde(deserialize_with = "lenient")]
    pub username: Option<String>,
    /// The phone number at the provider.
    #[serde(deserialize_with = "lenient")]
    pub phone_number: Option<String>,
    /// Metadata that clients can read; null if there is none.
    #[serde(deserialize_with = "lenient")]
    pub public_metadata: Value,
    /// The label the user gave the account.
    #[serde(deserialize_with = "lenient")]
    pub label: Option<String>,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub created_at: Option<i64>,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub updated_at: Option<i64>,
    /// Its verification.
    #[serde(deserialize_with = "lenient_object")]
    pub verification: Option<Verification>,
}

/// How an identification was verified: the properties that all of Clerk's verification types share,
/// and those of the most common types.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Verification {
    /// The object type, such as `verification_otp`.
    #[serde(deserialize_with = "lenient")]
    pub object: String,
    /// `verified`, `unverified`, `failed`, `expired`, …
    #[serde(deserialize_with = "lenient")]
    pub status: String,
    /// The strategy, such as `email_code`.
    #[serde(deserialize_with = "lenient")]
    pub strategy: String,
    /// The number of attempts.
    #[serde(deserialize_with = "lenient")]
    pub attempts: Option<i64>,
    /// Unix milliseconds.
    #[serde(deserialize_with = "lenient")]
    pub expire_at: Option<i64>,
    /// The channel a code was sent through, such as `sms`.
    #[serde(deserialize_with = "lenient")]
    pub channel: Option<String>,
    /// The client from which it was verified.
    #[serde(deserialize_with = "lenient")]
    pub verified_at_client: Option<String>,
    /// The error of an OAuth or SAML verification, as sent; null if there is none.
    #[serde(deserialize_with = "lenient")]
    pub error: Value,
}

/// What verifies an email address or a phone number, such as an external account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct IdentificationLink {
    /// Its type, such as `oauth_google`.
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub kind: String,
    /// Its id.
    #[serde(deserialize_with = "lenient")]
    pub id: String,
}
