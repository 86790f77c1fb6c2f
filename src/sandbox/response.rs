//! Responses: bodies, errors, and how they are sent.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::FakeUser;
use super::population::{ksuid, mix};

/// A response to be sent.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) delivery: Delivery,
}

/// How the body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    /// The connection is closed without a response.
    Closed,
    /// The connection is closed without a response, two minutes later.
    Hang,
    /// The first half, then the connection is closed.
    Truncated,
    /// In 20 pieces.
    Slow,
    /// 64 MiB of spaces in place of the body.
    Huge,
}

impl Response {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: body.into(), delivery: Delivery::Whole }
    }

    pub(super) fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, "application/json", body)
    }

    pub(super) fn closed() -> Self {
        Self { delivery: Delivery::Closed, ..Self::json(200, "") }
    }

    /// The usual error of a status.
    pub(super) fn of_status(status: u16) -> Self {
        let message = match status {
            401 => "The sandbox accepts only the secret key that it printed.",
            403 => "Unauthorized request",
            404 => "not found",
            405 => "The path does not accept this method.",
            429 => "Too many requests. Please try again in a bit.",
            500.. => "Oops, an unexpected error occurred",
            _ => "The sandbox is set to refuse this.",
        };
        let response = Self::error(status, message);
        if status == 429 { response.with_header("Retry-After", "1") } else { response }
    }

    pub(super) fn no_user(id: &str) -> Self {
        Self::error(404, &format!("No user was found with id {id}."))
    }

    pub(super) fn invalid_parameter(name: &str, message: &str) -> Self {
        Self::error_with_meta(422, message, &json!({ "param_name": name }))
    }

    pub(super) fn error(status: u16, message: &str) -> Self {
        Self::error_with_meta(status, message, &json!({}))
    }

    /// An error with a body of Clerk's shape.
    fn error_with_meta(status: u16, long_message: &str, meta: &Value) -> Self {
        let (code, message) = match status {
            401 => ("authentication_invalid", "Invalid authentication"),
            403 => ("authorization_invalid", "Unauthorized request"),
            404 => ("resource_not_found", "not found"),
            405 => ("method_not_allowed", "method not allowed"),
            422 => ("form_param_value_invalid", long_message),
            429 => ("rate_limit_exceeded", "Too many requests"),
            500.. => ("internal_clerk_error", long_message),
            _ => ("sandbox_refusal", long_message),
        };
        let error =
            json!({ "message": message, "long_message": long_message, "code": code, "meta": meta });
        let trace_id = format!("{:032x}", fastrand::u128(..));
        Self::json(status, json!({ "errors": [error], "clerk_trace_id": trace_id }).to_string())
    }

    /// Replaces the header of this name, if any.
    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(it, _)| !it.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The status, if the response has one.
    pub(super) fn sent_status(&self) -> Option<u16> {
        let is_sent = !matches!(self.delivery, Delivery::Closed | Delivery::Hang);
        is_sent.then_some(self.status)
    }

    /// Headers that HTTP does not allow are left out.
    pub(super) async fn into_http(self) -> axum::response::Response {
        let length = self.body.len();
        let closed = || Err(io::Error::from(io::ErrorKind::ConnectionReset));
        // Each piece of the body with the milliseconds before it; an error closes the connection.
        let pieces: Vec<(u64, io::Result<Bytes>)> = match self.delivery {
            Delivery::Whole => Vec::new(),
            // If the body fails before its first byte, the head is never sent.
            Delivery::Closed => vec![(0, closed())],
            Delivery::Hang => {
                sleep(Duration::from_secs(120)).await;
                vec![(0, closed())]
            }
            // The pause lets the first half reach the client before the connection closes.
            Delivery::Truncated => vec![(0, Ok(self.body.slice(..length / 2))), (20, closed())],
            Delivery::Slow => {
                let pieces = self.body.chunks(length.div_ceil(20).max(1));
                pieces.map(|piece| (100, Ok(Bytes::copy_from_slice(piece)))).collect()
            }
            Delivery::Huge => {
                let piece = Bytes::from(vec![b' '; 64 * 1024]);
                (0..1024).map(|_| (0, Ok(piece.clone()))).collect()
            }
        };
        let body = if self.delivery == Delivery::Whole {
            Body::from(self.body)
        } else {
            Body::from_stream(stream::iter(pieces).then(async |(pause, piece)| {
                if pause > 0 {
                    sleep(Duration::from_millis(pause)).await;
                }
                piece
            }))
        };
        let mut response = axum::response::Response::new(body);
        let status = StatusCode::from_u16(self.status);
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = self.headers;
        headers.push(("CF-Ray".to_owned(), format!("{:016x}-LHR", fastrand::u64(..))));
        if matches!(self.delivery, Delivery::Truncated | Delivery::Slow) {
            headers.push(("Content-Length".to_owned(), length.to_string()));
        }
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(&value))
            {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

impl FakeUser {
    /// Clerk's user object: all 46 properties, about 2.8 KB.
    #[expect(clippy::too_many_lines, reason = "the object is this long")]
    pub(super) fn to_json(&self) -> Value {
        let salt = self.salt;
        // Whether the user is one in `n` with a certain trait.
        let is_one_in = |n: u64, trait_: u64| mix(salt ^ (trait_ << 56)).is_multiple_of(n);
        let has_mfa = is_one_in(5, 4);
        let plan = ["free", "pro", "team", "enterprise"][(salt & 3) as usize];
        let email_addresses = (0..).zip(&self.emails).map(|(n, email)| {
            json!({
                "id": self.part_id("idn", n),
                "object": "email_address",
                "email_address": email,
                "reserved": false,
                "verification": self.verification("otp", "email_code", Some(1)),
                "linked_to": [],
                "matches_sso_connection": false,
                "created_at": self.created_at,
                "updated_at": self.created_at,
            })
        });
        let phone_numbers = self.phone.iter().map(|phone| {
            json!({
                "id": self.part_id("idn", 9),
                "object": "phone_number",
                "phone_number": phone,
                "reserved_for_second_factor": false,
                "default_second_factor": false,
                "reserved": false,
                "verification": self.verification("otp", "phone_code", Some(1)),
                "linked_to": [],
                "backup_codes": null,
                "created_at": self.created_at,
                "updated_at": self.created_at,
            })
        });
        let passkey = is_one_in(12, 3).then(|| {
            json!({
                "id": self.part_id("idn", 20),
                "object": "passkey",
                "name": "Phone",
                "last_used_at": self.created_at + 300_000,
                "verification": self.verification("passkey", "passkey", Some(1)),
            })
        });
        let external_account = (!is_one_in(5, 6)).then(|| {
            json!({
                "object": "google_account",
                "id": self.part_id("eac", 30),
                "provider": "oauth_google",
                "identification_id": self.part_id("idn", 31),
                "provider_user_id": format!("{:020}", mix(salt)),
                "approved_scopes": "email openid profile",
                "email_address": self.emails.first(),
                "email_address_verified": true,
                "first_name": self.first_name.unwrap_or_default(),
                "last_name": self.last_name.unwrap_or_default(),
                "avatar_url": image_url(!salt),
                "image_url": image_url(!salt),
                "username": null,
                "phone_number": null,
                "public_metadata": {},
                "label": null,
                "created_at": self.created_at,
                "updated_at": self.created_at,
                "verification": self.verification("oauth", "oauth_google", None),
            })
        });
        let memberships = (40..).zip(&self.organizations).map(|(n, id)| {
            let slug = id.trim_start_matches("org_");
            json!({
                "object": "organization_membership",
                "id": self.part_id("orgmem", n),
                "role": "org:member",
                "role_name": "Member",
                "permissions": [],
                "public_metadata": {},
                "organization": {
                    "object": "organization",
                    "id": id,
                    "name": slug,
                    "slug": slug,
                    "has_image": false,
                    "max_allowed_memberships": 0,
                    "admin_delete_enabled": true,
                    "public_metadata": {},
                    "created_at": 1_719_792_000_000_u64,
                    "updated_at": 1_719_792_000_000_u64,
                },
                "created_at": self.created_at,
                "updated_at": self.created_at,
            })
        });
        json!({
            "id": self.id.as_str(),
            "object": "user",
            "username": self.username,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "locale": is_one_in(4, 1).then_some("en-GB"),
            "profile_image_url": image_url(salt),
            "image_url": image_url(salt),
            "has_image": is_one_in(3, 2),
            "primary_email_address_id": self.part_id("idn", 0),
            "primary_phone_number_id": self.phone.as_ref().map(|_| self.part_id("idn", 9)),
            "primary_web3_wallet_id": null,
            "external_id": self.external_id,
            "public_metadata": {
                "plan": plan,
                "seats": 1 + (salt >> 8) % 40,
            },
            "private_metadata": {
                "crm_id": format!("crm_{:08x}", salt >> 32),
                "risk_score": 0.25,
            },
            "unsafe_metadata": { "theme": "dark", "onboarded": true },
            "email_addresses": email_addresses.collect::<Value>(),
            "phone_numbers": phone_numbers.collect::<Value>(),
            "web3_wallets": [],
            "passkeys": passkey.as_slice(),
            "external_accounts": external_account.as_slice(),
            "saml_accounts": [],
            "enterprise_accounts": [],
            "organization_memberships": memberships.collect::<Value>(),
            "password_enabled": self.password_last_updated_at.is_some(),
            "password_last_updated_at": self.password_last_updated_at,
            "two_factor_enabled": has_mfa,
            "totp_enabled": has_mfa,
            "backup_code_enabled": has_mfa,
            "mfa_enabled_at": has_mfa.then_some(self.created_at + 86_400_000),
            "mfa_disabled_at": null,
            "banned": self.banned,
            "locked": self.lock.locked,
            "lockout_expires_in_seconds": self.lock.expires_in.map(|it| it.as_secs()),
            "verification_attempts_remaining": self.lock.attempts_left,
            "deprovisioned": false,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "last_sign_in_at": self.last_sign_in_at,
            // Clerk's API has the day only.
            "last_active_at": self.last_sign_in_at.map(|at| at - at % 86_400_000),
            "legal_accepted_at": is_one_in(2, 7).then_some(self.created_at),
            "delete_self_enabled": true,
            "create_organization_enabled": true,
            "create_organizations_limit": null,
            "bypass_client_trust": false,
            "scim": null,
        })
    }

    fn verification(&self, kind: &str, strategy: &str, attempts: Option<u8>) -> Value {
        json!({
            "object": format!("verification_{kind}"),
            "status": "verified",
            "strategy": strategy,
            "attempts": attempts,
            "expire_at": self.created_at + 600_000,
        })
    }

    /// ID of something that belongs to the user.
    fn part_id(&self, prefix: &str, n: u64) -> String {
        format!("{prefix}_{}", ksuid(self.salt ^ n))
    }
}

fn image_url(salt: u64) -> String {
    format!("https://img.example/{salt:016x}{:016x}", mix(salt))
}

#[cfg(test)]
mod tests {
    use super::super::Population;
    use super::*;
    use crate::clerk::UserSnapshot;

    fn listed(n: u32) -> impl Iterator<Item = FakeUser> {
        let population = Population::new(1);
        (0..n).filter_map(move |index| population.user(&population.listed_id(index)))
    }

    #[test]
    fn a_user_object_is_of_a_realistic_size() {
        let size: usize = listed(500).map(|user| user.to_json().to_string().len()).sum();
        assert!((2_500..3_000).contains(&(size / 500)), "{}", size / 500);
    }

    #[test]
    fn the_user_is_read_back_from_its_object() {
        for user in listed(300) {
            let view = UserSnapshot::parse(user.to_json().to_string()).unwrap();
            assert!(view.is_of(&user.id));
            assert_eq!(view.is_locked(), user.is_locked());
            assert_eq!(view.is_admin_locked(), Some(user.is_admin_locked()));
            assert_eq!(view.banned, Some(user.banned));
            assert_eq!(view.emails, user.emails);
            assert_eq!(view.first_name.as_deref(), user.first_name);
        }
    }
}
