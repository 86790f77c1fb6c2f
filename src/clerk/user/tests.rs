use super::*;

#[track_caller]
fn parse(json: &str) -> User {
    User::from_json(json).unwrap()
}

#[test]
fn a_user_is_parsed_from_an_object_only() {
    for text in ["", "[]", "null", "<html>", "{\"id\":", "\"user_a\"", "{}{}"] {
        assert!(User::from_json(text).is_err(), "{text}");
    }
}

#[test]
fn an_empty_object_is_a_user_without_properties() {
    assert_eq!(parse(" {} "), User { json: "{}".into(), ..User::default() });
}

#[test]
fn null_and_the_wrong_type_count_as_missing() {
    let user = parse(
        r#"{"id":"user_a","locked":"yes","banned":1,"username":7,"created_at":"now","scim":null,
            "email_addresses":{"a":1},"phone_numbers":null,"has_image":null}"#,
    );
    let json = user.json.clone();
    assert_eq!(user, User { id: "user_a".into(), json, ..User::default() });
}

#[test]
fn an_invalid_element_is_left_out() {
    let user = parse(
        r#"{"email_addresses":[null,7,[1],{"id":"e1","email_address":"a@x.org","reserved":"?"}]}"#,
    );
    let addresses: Vec<_> = user.email_addresses.iter().map(|it| &*it.email_address).collect();
    assert_eq!(addresses, ["a@x.org"]);
}

#[test]
fn the_object_is_kept_as_sent() {
    let json = "{\"x\" : 1.00,\n \"id\":\"user_a\", \"public_metadata\":{\"n\":1e400}}";
    assert_eq!(parse(json).json, json);
}

#[test]
fn a_user_is_parsed_from_a_deeply_nested_object() {
    let nest = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let user = parse(&format!(
        r#"{{"id":"user_a","x":{nest},"locked":{nest},"public_metadata":{nest},
            "passkeys":[{nest}],"saml_accounts":[{{"a":{nest}}}]}}"#
    ));
    assert_eq!((user.id.as_str(), user.locked), ("user_a", None));
    assert_eq!(user.public_metadata, Value::Null);
}

#[test]
fn the_primary_email_has_the_primary_id() {
    let user = parse(
        r#"{"primary_email_address_id":"e2","email_addresses":[
            {"id":"e1","email_address":"old@x.org"},{"id":"e2","email_address":"new@x.org"}]}"#,
    );
    assert_eq!(user.primary_email_address().unwrap().email_address, "new@x.org");
    assert_eq!(parse("{}").primary_email_address(), None);
}

/// Every documented property, each with a value that is not its default.
const FULL: &str = r#"{
    "id":"user_a","object":"user","external_id":"x","primary_email_address_id":"e",
    "primary_phone_number_id":"p","primary_web3_wallet_id":"w","username":"u","first_name":"f",
    "last_name":"l","locale":"en-GB","profile_image_url":"i","image_url":"j","has_image":true,
    "public_metadata":{"a":1},"private_metadata":{"b":2},"unsafe_metadata":{"c":3},
    "email_addresses":[{"id":"e","object":"email_address","email_address":"a@x.org",
        "reserved":true,"matches_sso_connection":true,"created_at":1,"updated_at":2,
        "linked_to":[{"type":"oauth_google","id":"eac"}],"verification":VERIFICATION}],
    "phone_numbers":[{"id":"p","phone_number":"+1555","reserved_for_second_factor":true,
        "default_second_factor":true,"reserved":true,"verification":VERIFICATION,
        "linked_to":[{"type":"t","id":"i"}],"backup_codes":["z"],"created_at":1,"updated_at":2}],
    "web3_wallets":[{"id":"w","web3_wallet":"0x1","verification":VERIFICATION,"created_at":1,
        "updated_at":2}],
    "passkeys":[{"id":"k","name":"key","last_used_at":5,"verification":VERIFICATION}],
    "password_enabled":true,"two_factor_enabled":true,"totp_enabled":true,
    "backup_code_enabled":true,"mfa_enabled_at":1,"mfa_disabled_at":2,
    "password_last_updated_at":3,
    "external_accounts":[{"id":"a","object":"google_account","provider":"oauth_google",
        "identification_id":"i","provider_user_id":"9","approved_scopes":"email",
        "email_address":"a@x.org","email_address_verified":true,"first_name":"f","last_name":"l",
        "avatar_url":"t","image_url":"j","username":"u","phone_number":"+1","label":"m",
        "public_metadata":{"e":5},"created_at":1,"updated_at":2,"verification":VERIFICATION}],
    "saml_accounts":[{"id":"s"}],"enterprise_accounts":[{"id":"n"}],
    "organization_memberships":[{"id":"o"}],"last_sign_in_at":4,"banned":true,"locked":true,
    "deprovisioned":true,"lockout_expires_in_seconds":5,"verification_attempts_remaining":6,
    "updated_at":7,"created_at":8,"delete_self_enabled":true,"create_organization_enabled":true,
    "create_organizations_limit":9,"last_active_at":10,"legal_accepted_at":11,
    "bypass_client_trust":true,"scim":{"f":6}}"#;

const VERIFICATION: &str = r#"{"object":"verification_otp","status":"verified","attempts":1,
    "strategy":"email_code","expire_at":3,"channel":"sms","verified_at_client":"v","error":{"d":4}}"#;

#[test]
fn every_documented_property_is_parsed() {
    let json = FULL.replace("VERIFICATION", VERIFICATION);
    let n_properties = serde_json::from_str::<serde_json::Map<_, _>>(&json).unwrap().len();
    assert_eq!(n_properties, 46);
    let shown = format!("{:#?}", User { json: "-".into(), ..parse(&json) });
    for absent in ["None", "\"\"", "false", "Null", "[]"] {
        let line = shown.lines().find(|line| line.contains(absent));
        assert_eq!(line, None, "{shown}");
    }
}

#[test]
fn an_invalid_nested_property_is_left_out() {
    let user = parse(
        r#"{"email_addresses":[{"id":"e1","verification":{"status":7,"strategy":"email_code"}}],
            "phone_numbers":[{"id":"p1","phone_number":null,"linked_to":[{"id":5,"type":"t"}]}]}"#,
    );
    let verification = user.email_addresses[0].verification.as_ref().unwrap();
    assert_eq!((verification.status.as_str(), verification.strategy.as_str()), ("", "email_code"));
    let phone = &user.phone_numbers[0];
    assert_eq!((phone.id.as_str(), phone.phone_number.as_str()), ("p1", ""));
    assert_eq!((phone.linked_to[0].id.as_str(), phone.linked_to[0].kind.as_str()), ("", "t"));
}

#[test]
fn a_repeated_property_is_an_error() {
    for json in [r#"{"locked":true,"locked":false}"#, r#"{"locked":1,"id":"a","id":"b"}"#] {
        assert!(User::from_json(json).is_err(), "{json}");
        assert!(UserSnapshot::parse(json).is_err(), "{json}");
    }
}

#[test]
fn a_snapshot_has_the_primary_email() {
    let user = UserSnapshot::parse(
        r#"{"id":"user_a","primary_email_address_id":"e2","email_addresses":[
            {"id":"e1","email_address":"old@x.org"},{"id":"e2","email_address":"new@x.org"}]}"#,
    )
    .unwrap();
    assert_eq!(user.email.as_deref(), Some("new@x.org"));
    assert_eq!(user.emails, ["old@x.org", "new@x.org"]);
}

#[test]
fn a_property_of_the_wrong_type_is_missing_in_a_snapshot() {
    let user = UserSnapshot::parse(r#"{"id":"user_a","locked":"yes","username":7}"#).unwrap();
    assert_eq!((user.locked, user.username), (None, None));
    assert!(user.is_locked_garbled);
    assert_eq!(user.id, "user_a");
}

#[test]
fn an_invalid_element_does_not_hide_the_others() {
    let user = UserSnapshot::parse(
        r#"{"id":"user_a","email_addresses":[null,{"email_address":"a@x.org"},{"id":"e"}],
            "phone_numbers":[7,{"phone_number":"+15551234"}]}"#,
    )
    .unwrap();
    assert_eq!((user.emails, user.phones), (vec!["a@x.org".into()], vec!["+15551234".into()]));
}

#[test]
fn a_snapshot_is_parsed_from_an_object_only() {
    for text in ["", "[]", "null", "<html>", "{\"id\":", "\"user_a\"", "{}{}"] {
        assert!(UserSnapshot::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_snapshot_is_parsed_from_a_deeply_nested_object() {
    let nest = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let user = UserSnapshot::parse(format!(
        r#"{{"id":"user_a","x":{nest},"locked":{nest},"email_addresses":{nest}}}"#
    ));
    assert_eq!(user.unwrap().locked, None);
}

#[test]
fn a_locked_user_with_attempts_left_is_admin_locked() {
    let of = |json| UserSnapshot::parse(json).unwrap().is_admin_locked();
    assert_eq!(of(r#"{"locked":true,"verification_attempts_remaining":3}"#), Some(true));
    assert_eq!(of(r#"{"locked":true,"verification_attempts_remaining":0}"#), Some(false));
    assert_eq!(of(r#"{"locked":true,"verification_attempts_remaining":null}"#), Some(false));
    assert_eq!(of(r#"{"locked":true}"#), Some(false));
    assert_eq!(of(r#"{"locked":false,"verification_attempts_remaining":3}"#), Some(false));
    assert_eq!(of(r#"{"locked":true,"verification_attempts_remaining":"3"}"#), None);
    assert_eq!(of(r#"{"verification_attempts_remaining":3}"#), None);
}
