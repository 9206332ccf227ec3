//! Why a request is refused, and how OpenAI says so: status, `type`, `param` and `code` of the error object.

use http::StatusCode;
use serde_json::{Value, json};

use crate::simulated::quota::go_duration;
use crate::simulated::{Exceeded, Limit};

/// A refusal with the data that its message names.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("You didn't provide an API key.")]
    MissingKey,
    #[error("Incorrect API key provided.")]
    WrongKey,
    #[error("Invalid URL ({method} {path})")]
    UnknownPath { method: String, path: String },
    #[error("Not allowed to {method} on {path}")]
    WrongMethod { method: String, path: String },
    #[error("The request body is too large.")]
    TooLarge,
    #[error("Insufficient Balance")]
    NoMoney,
    #[error("We could not parse the JSON body of your request: {0}")]
    NotJson(String),
    #[error("Missing required parameter: '{0}'.")]
    Missing(&'static str),
    #[error("Invalid value for '{param}': {rule}")]
    BadValue { param: &'static str, rule: &'static str },
    #[error("The model `{0}` does not exist or you do not have access to it.")]
    UnknownModel(String),
    #[error("{}", throttled(.model, .exceeded))]
    Throttled { model: String, exceeded: Exceeded },
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::MissingKey | Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::UnknownPath { .. } | Self::UnknownModel(_) => StatusCode::NOT_FOUND,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoMoney => StatusCode::PAYMENT_REQUIRED,
            Self::NotJson(_) | Self::Missing(_) | Self::BadValue { .. } => StatusCode::BAD_REQUEST,
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    pub(super) fn body(&self) -> Value {
        error_object(&self.to_string(), self.kind(), self.param(), self.code())
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Throttled { exceeded: Exceeded { limit: Limit::Tokens, .. }, .. } => "tokens",
            Self::Throttled { exceeded: Exceeded { limit: Limit::Requests | Limit::Concurrency, .. }, .. } => {
                "requests"
            }
            Self::MissingKey
            | Self::WrongKey
            | Self::UnknownPath { .. }
            | Self::WrongMethod { .. }
            | Self::TooLarge
            | Self::NoMoney
            | Self::NotJson(_)
            | Self::Missing(_)
            | Self::BadValue { .. }
            | Self::UnknownModel(_) => "invalid_request_error",
        }
    }

    fn param(&self) -> Option<&'static str> {
        match self {
            Self::Missing(param) | Self::BadValue { param, .. } => Some(param),
            Self::MissingKey
            | Self::WrongKey
            | Self::UnknownPath { .. }
            | Self::WrongMethod { .. }
            | Self::TooLarge
            | Self::NoMoney
            | Self::NotJson(_)
            | Self::UnknownModel(_)
            | Self::Throttled { .. } => None,
        }
    }

    fn code(&self) -> Option<&'static str> {
        match self {
            Self::WrongKey => Some("invalid_api_key"),
            Self::Missing(_) => Some("missing_required_parameter"),
            Self::BadValue { .. } => Some("invalid_value"),
            Self::UnknownModel(_) => Some("model_not_found"),
            Self::Throttled { .. } => Some("rate_limit_exceeded"),
            Self::MissingKey
            | Self::UnknownPath { .. }
            | Self::WrongMethod { .. }
            | Self::TooLarge
            | Self::NoMoney
            | Self::NotJson(_) => None,
        }
    }
}

/// OpenAI's error object.
pub(super) fn error_object(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

fn throttled(model: &str, exceeded: &Exceeded) -> String {
    let what = match exceeded.limit {
        Limit::Requests => "requests per min (RPM)",
        Limit::Tokens => "tokens per min (TPM)",
        Limit::Concurrency => "concurrent requests",
    };
    let advice = match exceeded.retry_after {
        Some(wait) => format!("Please try again in {}.", go_duration(wait)),
        None if exceeded.limit == Limit::Tokens => "Request too large.".to_owned(),
        None => "Please try again later.".to_owned(),
    };
    format!("Rate limit reached for {model} on {what}: Limit {}. {advice}", exceeded.allowed)
}
