//! What went wrong at an upstream, as a closed set: who is to blame and whether another endpoint may do better.
//!
//! A class says what follows from it, so that no caller invents its own list of statuses to retry. The request's own
//! faults return to the client at once: another endpoint would refuse them too, and each try is billed or rate-limited.

/// What a failure is, and what it speaks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its class.
    pub failure: Failure,
    /// What it speaks about.
    pub scope: Scope,
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self { failure, scope: failure.scope() }
    }
}

/// One class of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Too many requests or tokens for now.
    RateLimited,
    /// The account is out of money or of its allowance.
    QuotaExhausted,
    /// Not served to where we are.
    RegionBlocked,
    /// The prompt is longer than the model reads.
    ContextExceeded,
    /// The provider will not answer this.
    ContentFiltered,
    /// The provider is short of capacity.
    Overloaded,
    /// The key is wrong or may not do this.
    Auth,
    /// No such model or path.
    NotFound,
    /// The request is malformed.
    BadRequest,
    /// No answer in time.
    Timeout,
    /// The provider failed.
    ServerError,
    /// No connection.
    Unreachable,
    /// The connection broke.
    Reset,
}

/// What to do with a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The client has to change it.
    ReturnToClient,
    /// Another endpoint may take it as it is; if none does, the client has to change it.
    Contested,
    /// Another endpoint may answer it.
    TryElsewhere,
}

/// What a failure speaks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All models behind the key.
    Key,
    /// This model through this key.
    Endpoint,
    /// This model at this upstream, through whatever key.
    Model,
    /// The whole provider, as seen from here.
    Provider,
    /// The request alone.
    Nothing,
}

impl Scope {
    /// Each with its name in files.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("key", Self::Key),
        ("endpoint", Self::Endpoint),
        ("model", Self::Model),
        ("provider", Self::Provider),
        ("nothing", Self::Nothing),
    ];
}

impl Failure {
    /// All classes.
    pub const ALL: [Self; 13] = [
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::RegionBlocked,
        Self::ContextExceeded,
        Self::ContentFiltered,
        Self::Overloaded,
        Self::Auth,
        Self::NotFound,
        Self::BadRequest,
        Self::Timeout,
        Self::ServerError,
        Self::Unreachable,
        Self::Reset,
    ];

    /// The classes of what a provider answers; the others are of answers that did not come.
    pub const OF_ANSWERS: [Self; 11] = [
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::RegionBlocked,
        Self::ContextExceeded,
        Self::ContentFiltered,
        Self::Overloaded,
        Self::Auth,
        Self::NotFound,
        Self::BadRequest,
        Self::Timeout,
        Self::ServerError,
    ];

    /// Its name in metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::RegionBlocked => "region_blocked",
            Self::ContextExceeded => "context_exceeded",
            Self::ContentFiltered => "content_filtered",
            Self::Overloaded => "overloaded",
            Self::Auth => "auth",
            Self::NotFound => "not_found",
            Self::BadRequest => "bad_request",
            Self::Timeout => "timeout",
            Self::ServerError => "server_error",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
        }
    }

    /// Whether another endpoint may do better.
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::BadRequest => Verdict::ReturnToClient,
            // A larger window, another policy of what may be said, another list of models.
            Self::ContextExceeded | Self::ContentFiltered | Self::NotFound => Verdict::Contested,
            Self::RateLimited
            | Self::QuotaExhausted
            | Self::RegionBlocked
            | Self::Overloaded
            | Self::Auth
            | Self::Timeout
            | Self::ServerError
            | Self::Unreachable
            | Self::Reset => Verdict::TryElsewhere,
        }
    }

    /// Whether it passes by itself within moments, so that the same endpoint may be asked again if there is no other.
    pub const fn passes(self) -> bool {
        match self {
            Self::Overloaded | Self::ServerError | Self::Unreachable | Self::Reset => true,
            // Quota comes back when the provider says, and of a timeout the client has had enough.
            Self::RateLimited
            | Self::Timeout
            | Self::QuotaExhausted
            | Self::RegionBlocked
            | Self::ContextExceeded
            | Self::ContentFiltered
            | Self::Auth
            | Self::NotFound
            | Self::BadRequest => false,
        }
    }

    /// Whether the provider may have worked, and charged, before it failed.
    pub const fn may_have_been_billed(self) -> bool {
        match self {
            Self::Timeout | Self::Reset => true,
            Self::RateLimited
            | Self::QuotaExhausted
            | Self::RegionBlocked
            | Self::ContextExceeded
            | Self::ContentFiltered
            | Self::Overloaded
            | Self::Auth
            | Self::NotFound
            | Self::BadRequest
            | Self::ServerError
            | Self::Unreachable => false,
        }
    }

    /// What it usually speaks about. Rate limits are most often per model, so one model's 429 leaves its siblings alone.
    pub const fn scope(self) -> Scope {
        match self {
            Self::QuotaExhausted | Self::Auth => Scope::Key,
            // Where we are is the same for all that we send there.
            Self::RegionBlocked => Scope::Provider,
            Self::Overloaded => Scope::Model,
            Self::RateLimited
            | Self::NotFound
            | Self::Timeout
            | Self::ServerError
            | Self::Unreachable
            | Self::Reset => Scope::Endpoint,
            Self::ContextExceeded | Self::ContentFiltered | Self::BadRequest => Scope::Nothing,
        }
    }
}

/// The class of an HTTP status, or `None` for success. A redirect is a provider's error: it is never followed, as that
/// would carry a key elsewhere.
pub const fn classify(status: u16) -> Option<Failure> {
    Some(match status {
        200..=299 => return None,
        429 => Failure::RateLimited,
        402 => Failure::QuotaExhausted,
        401 | 403 => Failure::Auth,
        404 => Failure::NotFound,
        408 | 504 => Failure::Timeout,
        413 => Failure::ContextExceeded,
        451 => Failure::ContentFiltered,
        498 | 503 | 529 => Failure::Overloaded,
        400..=499 => Failure::BadRequest,
        _ => Failure::ServerError,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_class() {
        let expected = [
            (302, Failure::ServerError),
            (400, Failure::BadRequest),
            (401, Failure::Auth),
            (402, Failure::QuotaExhausted),
            (403, Failure::Auth),
            (404, Failure::NotFound),
            (408, Failure::Timeout),
            (413, Failure::ContextExceeded),
            (422, Failure::BadRequest),
            (429, Failure::RateLimited),
            (451, Failure::ContentFiltered),
            (498, Failure::Overloaded),
            (500, Failure::ServerError),
            (502, Failure::ServerError),
            (503, Failure::Overloaded),
            (504, Failure::Timeout),
            (529, Failure::Overloaded),
        ];
        for (status, failure) in expected {
            assert_eq!(classify(status), Some(failure), "{status}");
        }
        assert_eq!((classify(200), classify(204)), (None, None));
    }

    #[test]
    fn what_speaks_about_the_request_alone_is_not_tried_elsewhere() {
        for failure in Failure::ALL {
            let own_fault = failure.scope() == Scope::Nothing;
            assert!(!own_fault || failure.verdict() != Verdict::TryElsewhere, "{}", failure.label());
        }
    }

    #[test]
    fn labels_are_distinct() {
        let labels: std::collections::HashSet<_> = Failure::ALL.iter().map(|failure| failure.label()).collect();
        assert_eq!(labels.len(), Failure::ALL.len());
    }
}
