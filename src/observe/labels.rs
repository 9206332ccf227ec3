//! Label values are closed sets, so that a series' name can be known before the first request.
//!
//! A value that is not in here is a name from the configuration. Text from a request or from an upstream's reply is
//! never a label: whoever sends it would choose how much memory the daemon and Prometheus need.

/// Stands for "there is none" in a label: a request that matched no route, or a client where no tenants are configured.
pub const NONE: &str = "none";

macro_rules! label_sets {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of its declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The value as it stands in metrics and logs.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)+
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.label())
            }
        }
    )+};
}

label_sets! {
    /// How a request ended, as its client saw it.
    Outcome {
        /// An upstream answered, and the answer was delivered whole.
        Ok = "ok",
        /// The request itself was wrong: malformed, too large, unknown model, or rejected as such by the upstream.
        ClientError = "client_error",
        /// Every try failed, and the last failure was passed on or told.
        UpstreamError = "upstream_error",
        /// Nothing was eligible, so that no upstream was asked.
        NoEndpoint = "no_endpoint",
        /// A limit, the client's own or every upstream's, was in the way.
        RateLimited = "rate_limited",
        /// The time for the whole request, or for the last try, ran out.
        Timeout = "timeout",
        /// The answer broke off after its first bytes had reached the client.
        Cut = "cut",
        /// The client left before its answer was complete.
        Cancelled = "cancelled",
        /// No valid tenant key, or a tenant without a right to the route.
        Refused = "refused",
    }

    /// Whether an endpoint may be used, and if not, why.
    EndpointState {
        /// In use.
        Closed = "closed",
        /// Recovering: one request at a time finds out whether it is back.
        HalfOpen = "half_open",
        /// Left out after failures.
        Open = "open",
        /// Left out until the time that the provider named (`Retry-After`, a spent quota).
        Blocked = "blocked",
        /// An operator's wish: what runs may end, nothing new is sent.
        Draining = "draining",
        /// An operator's wish: not used.
        Disabled = "disabled",
    }

    /// A provider's limit, by its name in the configuration.
    QuotaKind {
        /// Requests per minute.
        RequestsPerMinute = "rpm",
        /// Requests per day.
        RequestsPerDay = "rpd",
        /// Tokens per minute.
        TokensPerMinute = "tpm",
        /// Tokens per day.
        TokensPerDay = "tpd",
        /// Input tokens per minute.
        InputTokensPerMinute = "itpm",
        /// Output tokens per minute.
        OutputTokensPerMinute = "otpm",
        /// Requests at a time.
        Concurrency = "concurrency",
    }

    /// What a price is for.
    PriceKind {
        /// Input tokens.
        Input = "input",
        /// Input tokens that the provider's prompt cache served.
        CachedInput = "cached_input",
        /// Input tokens that were written to the provider's prompt cache.
        CacheWrite = "cache_write",
        /// Output tokens.
        Output = "output",
        /// Output tokens spent on reasoning.
        Reasoning = "reasoning",
    }

    /// What came of asking a price feed.
    FeedResult {
        /// It had a new list.
        Read = "read",
        /// It says what it said before.
        Unchanged = "unchanged",
        /// Its list lost too many models to be believed.
        Refused = "refused",
        /// It did not answer, or with something else than a list.
        Failed = "failed",
    }

    /// Why money that was probably billed bought nothing.
    Waste {
        /// A try was given up after the request had been sent.
        Timeout = "timeout",
        /// An answer broke off.
        Cut = "cut",
        /// The client left before its answer was complete.
        Cancelled = "cancelled",
        /// Another try of the same request answered first.
        Hedge = "hedge",
        /// A shadow answered what nobody else has answered whole.
        Shadow = "shadow",
    }

    /// Whose answer to a request that both have answered.
    ShadowSide {
        /// The shadow's, which is discarded.
        Shadow = "shadow",
        /// The one that the client got.
        Live = "live",
    }

    /// What came of thinking of a second try.
    HedgeResult {
        /// It answered first.
        Won = "won",
        /// The first try answered first.
        Lost = "lost",
        /// It failed.
        Failed = "failed",
        /// None was sent: it would not have been worth its money, or all the money for such tries is spent.
        Refused = "refused",
    }
}

/// How one call of an upstream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// With a whole answer.
    Ok,
    /// Cut short by the client, or by faregate for a reason that is not the upstream's fault.
    Cancelled,
    /// With a failure, named by its class. The classes are the engine's closed set.
    Failed(&'static str),
}

impl AttemptResult {
    /// The value as it stands in metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Cancelled => "cancelled",
            Self::Failed(class) => class,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_lower_case_words_and_never_repeat() {
        let outcomes: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.label()).collect();
        for label in &outcomes {
            assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{label}");
            assert_eq!(outcomes.iter().filter(|other| other == &label).count(), 1, "{label}");
        }
    }
}
