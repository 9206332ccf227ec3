//! The `x-faregate-*` request headers that a policy may let clients use.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientHeader {
    /// Which route to use.
    Route,
    /// By what the conversation is known.
    Session,
    /// The most that the answer may be expected to cost.
    MaxCostUsd,
    /// What a second of waiting is worth.
    ValueOfSecondUsd,
    /// Who has to answer.
    Only,
    /// Who must not.
    Avoid,
    /// How long it may take in all.
    DeadlineMs,
    /// A word for the access log.
    Tag,
    /// Whether the reply shall say why its endpoint was chosen.
    Explain,
}

impl ClientHeader {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Route,
        Self::Session,
        Self::MaxCostUsd,
        Self::ValueOfSecondUsd,
        Self::Only,
        Self::Avoid,
        Self::DeadlineMs,
        Self::Tag,
        Self::Explain,
    ];

    /// The header's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Route => "x-faregate-route",
            Self::Session => "x-faregate-session",
            Self::MaxCostUsd => "x-faregate-max-cost-usd",
            Self::ValueOfSecondUsd => "x-faregate-value-of-second-usd",
            Self::Only => "x-faregate-only",
            Self::Avoid => "x-faregate-avoid",
            Self::DeadlineMs => "x-faregate-deadline-ms",
            Self::Tag => "x-faregate-tag",
            Self::Explain => "x-faregate-explain",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowedHeaders(u16);

impl AllowedHeaders {
    /// With one more.
    #[must_use]
    pub const fn with(self, header: ClientHeader) -> Self {
        Self(self.0 | header.bit())
    }

    /// Whether `header` is in it.
    pub const fn has(self, header: ClientHeader) -> bool {
        self.0 & header.bit() != 0
    }
}
