//! Response bodies of the sandbox against schemas: our own schema of the user object and, if the
//! environment variable `CLERK_OPENAPI` names the file, Clerk's specification (`OpenAPI` 3.0).

mod common;

use bulk_unlock::sandbox::{FakeUser, SandboxConfig};
use common::population::{listed_where, missing_users};
use common::{SEED, Stage, users};
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

const N_USERS: u32 = 5_000;

fn stage() -> Stage {
    Stage::with_sandbox(SandboxConfig::default().n_users(N_USERS).seed(SEED))
}

/// Bodies of 5,000 users in their initial state, then 600 bodies of users in other states.
fn user_bodies(stage: &Stage) -> Vec<Value> {
    let mut bodies: Vec<Value> = Vec::new();
    while bodies.len() < N_USERS as usize {
        let last = bodies.last().and_then(|body| body["id"].as_str());
        let cursor = last.map(|id| format!("&starting_after={id}")).unwrap_or_default();
        let page = stage.request_ok("GET", &format!("/v1/users?limit=500{cursor}"));
        bodies.extend(page.as_array().expect("a page").iter().cloned());
    }
    for id in users(200) {
        bodies.push(stage.request_ok("POST", &format!("/v1/users/{id}/lock")));
        bodies.push(stage.request_ok("POST", &format!("/v1/users/{id}/unlock")));
        bodies.push(stage.user(&id));
    }
    bodies
}

/// Bodies of errors, one per status.
fn error_bodies() -> Vec<Value> {
    let missing = &missing_users(1)[0];
    let quota = "5/60s".parse().ok();
    let stage = Stage::with_sandbox(SandboxConfig::default().quota(quota));
    let requests = [
        ("GET", format!("/v1/users/{missing}"), 404),
        ("GET", "/v1/nowhere".to_owned(), 404),
        ("DELETE", format!("/v1/users/{missing}"), 405),
        ("GET", "/v1/users?limit=0".to_owned(), 422),
        ("GET", "/v1/users?locked=true".to_owned(), 422),
        ("GET", "/v1/users".to_owned(), 429),
    ];
    let bodies = requests.map(|(method, path, expected)| {
        let (status, body) = stage.request(method, &path);
        assert_eq!(status, expected, "{method} {path}");
        body
    });
    bodies.into()
}

#[track_caller]
fn check<'a>(validator: &Validator, bodies: impl IntoIterator<Item = &'a Value>) {
    for body in bodies {
        let errors: Vec<String> = validator
            .iter_errors(body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}\n{body:#}", errors.join("\n"));
    }
}

fn our_schema() -> Validator {
    let schema: Value = serde_json::from_str(include_str!("schemas/user.json")).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

#[test]
fn bodies_of_5000_users_in_every_state_match_the_schema() {
    let bodies = user_bodies(&stage());
    check(&our_schema(), &bodies);
    let states: [fn(&FakeUser) -> bool; 7] = [
        |user| user.is_admin_locked(),
        |user| user.is_locked() && user.lock.expires_in.is_none(),
        |user| user.is_locked() && user.lock.expires_in.is_some(),
        |user| !user.is_locked(),
        |user| user.banned,
        |user| user.last_sign_in_at.is_none() && user.password_last_updated_at.is_none(),
        |user| user.organizations.len() == 2,
    ];
    for is_in_state in states {
        let id = listed_where(1, is_in_state)[0].to_string();
        assert!(bodies.iter().any(|body| body["id"] == *id), "{id}");
    }
}

#[test]
fn bodies_of_errors_match_the_schema() {
    let text = json!({ "type": "string", "minLength": 1 });
    let error = json!({
        "type": "object",
        "required": ["message", "long_message", "code", "meta"],
        "properties": {
            "message": text, "long_message": text, "code": text, "meta": { "type": "object" },
        },
    });
    let schema = json!({
        "type": "object",
        "required": ["errors", "clerk_trace_id"],
        "properties": {
            "errors": { "type": "array", "minItems": 1, "items": error },
            "clerk_trace_id": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
        },
    });
    check(&jsonschema::validator_for(&schema).expect("a schema"), &error_bodies());
}

#[test]
fn schema_refuses_bodies_that_clerks_clients_refuse() {
    let validator = our_schema();
    let page = stage().request_ok("GET", "/v1/users?limit=500");
    let bodies = page.as_array().expect("a page");
    // Replaces a value in the first user with a non-empty `list`.
    let refuses = |list: &str, pointer: &str, value: Value| {
        let has_one = |body: &&Value| !body[list].as_array().expect("a list").is_empty();
        let mut body = bodies.iter().find(has_one).expect("a user with one").clone();
        *body.pointer_mut(&format!("/{list}/0/{pointer}")).expect("this part") = value;
        assert!(!validator.is_valid(&body), "{list} {pointer}");
    };
    refuses("external_accounts", "verification/expire_at", Value::Null);
    refuses("passkeys", "verification/strategy", json!("email_code"));
    refuses("email_addresses", "verification/attempts", json!("1"));
    refuses("organization_memberships", "organization/id", json!("acme"));
    let mut body = bodies[0].clone();
    body["surprise"] = json!(1);
    assert!(!validator.is_valid(&body), "an unknown property");
}

#[test]
fn bodies_match_clerks_own_specification() {
    let Some(path) = std::env::var_os("CLERK_OPENAPI") else { return };
    let text = std::fs::read_to_string(path).expect("the file that CLERK_OPENAPI names");
    let mut specification: Value = serde_norway::from_str(&text).expect("YAML");
    resolve_nullable(&mut specification);
    let schema_of = |name: &str| {
        let schema = json!({
            "$ref": format!("#/components/schemas/{name}"),
            "components": specification["components"],
        });
        // OpenAPI 3.0 extends this draft.
        jsonschema::options().with_draft(Draft::Draft4).build(&schema).expect("a schema")
    };
    let stage = stage();
    check(&schema_of("User"), &user_bodies(&stage));
    check(&schema_of("TotalCount"), [&stage.request_ok("GET", "/v1/users/count")]);
    check(&schema_of("ClerkErrors"), &error_bodies());
}

/// Replaces `nullable: true` by its equivalent in JSON Schema.
fn resolve_nullable(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(resolve_nullable);
            if map.remove("nullable") == Some(Value::Bool(true)) {
                *schema = json!({ "anyOf": [{ "type": "null" }, schema.take()] });
            }
        }
        Value::Array(list) => list.iter_mut().for_each(resolve_nullable),
        _ => {}
    }
}
