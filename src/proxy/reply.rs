//! What faregate itself answers: OpenAI-shaped errors with a code from a closed list.
//!
//! One mapper from "what went wrong" to status, type and code, so that a client can act on the code alone and no
//! other file invents one. The list is documented in README.md, "Errors".

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};

use crate::dialect;
use crate::observe::Outcome;

/// Tells SDKs whether to try again by themselves.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// The wait in milliseconds, finer than `Retry-After`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// Why a request was not answered by an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The body or a header is malformed.
    Invalid {
        /// What and where, and what to do about it.
        message: String,
        /// The field to blame.
        param: Option<&'static str>,
    },
    /// The body is larger than `server.max_body`.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body did not arrive in time.
    BodyTimeout,
    /// No tenant has this key.
    Unauthorized,
    /// The tenant may not use this route.
    Forbidden {
        /// The model that was asked for.
        model: String,
    },
    /// No route serves the model.
    NoRoute {
        /// The model that was asked for.
        model: String,
    },
    /// The client names a route that does not exist.
    UnknownRoute {
        /// What it is called.
        route: String,
    },
    /// A path that this version does not serve.
    UnsupportedEndpoint {
        /// The path.
        path: String,
    },
    /// The path wants another method.
    WrongMethod {
        /// What it wants.
        allowed: &'static str,
    },
    /// No endpoint can serve this request at all, however long one waits.
    Incapable {
        /// What is missing.
        reason: String,
    },
    /// It speaks of what one account has, and the route has several.
    Pinned {
        /// Whose.
        accounts: String,
        /// Whether the client may say which.
        may_name: bool,
    },
    /// The prompt fits no endpoint's context window.
    ContextExceeded {
        /// Estimated prompt and answer.
        reason: String,
    },
    /// Endpoints exist, but none may be used now.
    NoEndpoint {
        /// Why not.
        reason: String,
        /// When one may be available again.
        wait: Option<Duration>,
    },
    /// Every endpoint's quota is used up.
    RateLimited {
        /// When some is free again.
        wait: Option<Duration>,
    },
    /// All attempts failed.
    UpstreamFailed {
        /// Each attempt and its failure.
        reason: String,
    },
    /// The attempts, or the request as a whole, ran out of time.
    UpstreamTimeout {
        /// Each attempt and its failure.
        reason: String,
    },
}

struct Shape {
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
}

const fn shape(status: StatusCode, kind: &'static str, code: &'static str) -> Shape {
    Shape { status, kind, code }
}

impl Refusal {
    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        self.shape().status
    }

    /// The error's code, from the closed list.
    pub(super) fn code(&self) -> &'static str {
        self.shape().code
    }

    fn shape(&self) -> Shape {
        const REQUEST: &str = "invalid_request_error";
        match self {
            Self::Invalid { .. } => shape(StatusCode::BAD_REQUEST, REQUEST, "invalid_request"),
            Self::TooLarge { .. } => shape(StatusCode::PAYLOAD_TOO_LARGE, REQUEST, "request_too_large"),
            Self::BodyTimeout => shape(StatusCode::REQUEST_TIMEOUT, REQUEST, "request_timeout"),
            Self::Unauthorized => shape(StatusCode::UNAUTHORIZED, "authentication_error", "invalid_api_key"),
            Self::Forbidden { .. } => shape(StatusCode::FORBIDDEN, "permission_error", "route_not_allowed"),
            Self::NoRoute { .. } | Self::UnknownRoute { .. } => shape(StatusCode::NOT_FOUND, REQUEST, "no_route"),
            Self::UnsupportedEndpoint { .. } => shape(StatusCode::NOT_FOUND, REQUEST, "unsupported_endpoint"),
            Self::WrongMethod { .. } => shape(StatusCode::METHOD_NOT_ALLOWED, REQUEST, "method_not_allowed"),
            Self::Incapable { .. } => shape(StatusCode::BAD_REQUEST, REQUEST, "no_capable_endpoint"),
            Self::Pinned { .. } => shape(StatusCode::BAD_REQUEST, REQUEST, "pinned_unavailable"),
            Self::ContextExceeded { .. } => shape(StatusCode::BAD_REQUEST, REQUEST, "context_length_exceeded"),
            Self::NoEndpoint { .. } => shape(StatusCode::SERVICE_UNAVAILABLE, "api_error", "no_endpoint_available"),
            Self::RateLimited { .. } => shape(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limited"),
            Self::UpstreamFailed { .. } => shape(StatusCode::BAD_GATEWAY, "api_error", "upstream_failed"),
            Self::UpstreamTimeout { .. } => shape(StatusCode::GATEWAY_TIMEOUT, "api_error", "upstream_timeout"),
        }
    }

    /// The same, with what there is to say of those who were not asked.
    pub(super) fn besides(mut self, others: &str) -> Self {
        if let Self::UpstreamFailed { reason } | Self::UpstreamTimeout { reason } | Self::NoEndpoint { reason, .. } =
            &mut self
            && !others.is_empty()
        {
            *reason += "; not asked: ";
            *reason += others;
        }
        self
    }

    /// How the request ended, for the metrics.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Invalid { .. }
            | Self::TooLarge { .. }
            | Self::BodyTimeout
            | Self::NoRoute { .. }
            | Self::UnknownRoute { .. }
            | Self::UnsupportedEndpoint { .. }
            | Self::WrongMethod { .. }
            | Self::Incapable { .. }
            | Self::Pinned { .. }
            | Self::ContextExceeded { .. } => Outcome::ClientError,
            Self::Unauthorized | Self::Forbidden { .. } => Outcome::Refused,
            Self::NoEndpoint { .. } => Outcome::NoEndpoint,
            Self::RateLimited { .. } => Outcome::RateLimited,
            Self::UpstreamFailed { .. } => Outcome::UpstreamError,
            Self::UpstreamTimeout { .. } => Outcome::Timeout,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Invalid { message, .. } => message.clone(),
            Self::TooLarge { limit } => format!("the request body is larger than {limit} bytes (server.max_body)"),
            Self::BodyTimeout => "the request body did not arrive in time (server.body_timeout)".into(),
            Self::Unauthorized => {
                "no tenant has this key; send a configured one as 'Authorization: Bearer …' or 'x-api-key'".into()
            }
            Self::Forbidden { model } => format!("this tenant may not use the model '{model}'"),
            Self::NoRoute { model } => {
                format!("no route serves the model '{model}'; GET /v1/models lists what may be asked for")
            }
            Self::UnknownRoute { route } => {
                format!(
                    "x-faregate-route: the policy has no route '{route}'; leave the header out, or name one that it has"
                )
            }
            Self::UnsupportedEndpoint { path } => {
                format!("{path} is not a path that faregate serves; try /v1/chat/completions")
            }
            Self::WrongMethod { allowed } => format!("wrong method: this path takes {allowed}"),
            Self::Incapable { reason }
            | Self::ContextExceeded { reason }
            | Self::NoEndpoint { reason, .. }
            | Self::UpstreamFailed { reason }
            | Self::UpstreamTimeout { reason } => reason.clone(),
            Self::Pinned { accounts, may_name } => format!(
                "the request names a file or a sound that only the account has where it was made, and may go to any of \
                 {accounts}; ask for the model as 'upstream/model'{}",
                if *may_name { ", or name the upstream in x-faregate-only" } else { "" }
            ),
            Self::RateLimited { .. } => "the quota of every endpoint that may serve this is used up for now".into(),
        }
    }

    const fn param(&self) -> Option<&'static str> {
        match self {
            Self::Invalid { param, .. } => *param,
            Self::NoRoute { .. } | Self::Forbidden { .. } => Some("model"),
            Self::UnknownRoute { .. } => Some("x-faregate-route"),
            Self::TooLarge { .. }
            | Self::BodyTimeout
            | Self::Unauthorized
            | Self::UnsupportedEndpoint { .. }
            | Self::WrongMethod { .. }
            | Self::Incapable { .. }
            | Self::Pinned { .. }
            | Self::ContextExceeded { .. }
            | Self::NoEndpoint { .. }
            | Self::RateLimited { .. }
            | Self::UpstreamFailed { .. }
            | Self::UpstreamTimeout { .. } => None,
        }
    }

    /// The complete reply.
    pub(super) fn response(&self) -> Response<Bytes> {
        let shape = self.shape();
        let body = dialect::error_body(&self.message(), shape.kind, self.param(), shape.code);
        let mut response = Response::new(body);
        *response.status_mut() = shape.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.advise(headers);
        response
    }

    /// What tells a client, and the retrying SDK inside it, whether to come back and when.
    fn advise(&self, headers: &mut HeaderMap) {
        match self {
            Self::UpstreamFailed { .. } | Self::UpstreamTimeout { .. } | Self::Incapable { .. } => {
                headers.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            Self::RateLimited { wait } | Self::NoEndpoint { wait, .. } => {
                let wait = wait.unwrap_or(Duration::from_secs(1)).max(Duration::from_millis(1));
                headers.insert(
                    RETRY_AFTER,
                    HeaderValue::from(wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)),
                );
                headers.insert(RETRY_AFTER_MS, HeaderValue::from(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
            }
            Self::WrongMethod { allowed } => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Self::Invalid { .. }
            | Self::TooLarge { .. }
            | Self::BodyTimeout
            | Self::Unauthorized
            | Self::Forbidden { .. }
            | Self::NoRoute { .. }
            | Self::UnknownRoute { .. }
            | Self::UnsupportedEndpoint { .. }
            | Self::Pinned { .. }
            | Self::ContextExceeded { .. } => {}
        }
    }
}
