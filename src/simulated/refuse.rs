//! Errors in the shape and words of `OpenAI`: clients tell them apart by `code` and `param`, so both are always there.

use http::StatusCode;
use serde_json::{Value, json};

/// An error to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    message: String,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
}

impl Refused {
    /// The request is wrong; `param` is the field to change.
    pub(super) fn invalid(status: StatusCode, message: &str, param: Option<&'static str>) -> Self {
        Self { status, message: message.to_owned(), kind: "invalid_request_error", code: None, param }
    }

    pub(super) fn wrong_key() -> Self {
        let message = "Incorrect API key provided.";
        Self { code: Some("invalid_api_key"), ..Self::invalid(StatusCode::UNAUTHORIZED, message, None) }
    }

    pub(super) fn unknown_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Self { code: Some("model_not_found"), ..Self::invalid(StatusCode::NOT_FOUND, &message, Some("model")) }
    }

    pub(super) fn unknown_path(method: &http::Method, path: &str) -> Self {
        Self::invalid(StatusCode::NOT_FOUND, &format!("Invalid URL ({method} {path})"), None)
    }

    pub(super) fn wrong_method(method: &http::Method) -> Self {
        let message = format!("Not allowed to {method} on this path.");
        Self::invalid(StatusCode::METHOD_NOT_ALLOWED, &message, None)
    }

    pub(super) fn rate_limited(limit: &str) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            message: format!("Rate limit reached on {limit}. Please try again later."),
            kind: limit_kind(limit),
            code: Some("rate_limit_exceeded"),
            param: None,
        }
    }

    /// The provider is to blame.
    pub(super) fn server(status: StatusCode) -> Self {
        Self {
            status,
            message: "The server had an error while processing your request.".to_owned(),
            kind: "server_error",
            code: None,
            param: None,
        }
    }

    /// The body.
    pub(super) fn json(&self) -> Value {
        json!({ "error": { "message": self.message, "type": self.kind, "param": self.param, "code": self.code } })
    }
}

/// The `type` of a 429 names what ran out.
fn limit_kind(limit: &str) -> &'static str {
    if limit.starts_with("tokens") { "tokens" } else { "requests" }
}
