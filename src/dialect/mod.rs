//! Wire formats: bytes in, bytes out, no sockets.
//!
//! Bodies are read where a field is needed and spliced where one changes; nothing on the request path is parsed into a
//! tree, and fields nobody here has heard of survive.

mod adjust;
mod adjustments;
mod asked;
pub mod balance;
mod beginning;
mod body;
mod call_ids;
mod choice_end;
mod conversation;
mod depth;
mod effort;
mod error;
mod estimate;
mod fake_stream;
pub mod faults;
mod fields;
mod forms;
pub(crate) mod glob;
mod messages;
mod nested;
mod object;
mod prompt;
pub mod quota_headers;
pub mod reply;
pub mod retry_hint;
mod script;
mod splice;
pub mod sse;
mod tool_calls;
mod usage;

pub use adjust::{Adjusted, adjust};
pub use adjustments::{Adjustments, Bounds, CallIds, Content, FakeStream, LENGTHS, Reasoning};
pub use asked::Asked;
pub use body::{BodyError, Head, Kind, UsageWish, read_head};
pub use conversation::Opening;
pub use error::{WireError, complains_of, conceal_keys, error_body, error_event};
pub use estimate::relayed_tokens;
pub use fake_stream::events_of;
pub use forms::{Forms, When};
pub use splice::{InjectUsage, SplicePoints, splice};
pub use tool_calls::ToolCalls;
pub use usage::usage_in_tail;

#[cfg(test)]
mod tests;
