//! The fields of a request that are read, each where it stands in the body.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields that are read, and a reader that refuses a second occurrence of any of them: two parsers could take
/// different ones.
macro_rules! fields {
    ($($name:ident),+) => {
        #[derive(Default)]
        pub(super) struct Fields<'a> {
            $(pub(super) $name: Option<&'a RawValue>,)+
            /// Whether any name was written with escapes.
            pub(super) has_escaped_names: bool,
        }

        impl<'de> Visitor<'de> for Fields<'de> {
            type Value = Self;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
                while let Some(Text(name)) = map.next_key()? {
                    self.has_escaped_names |= matches!(name, Cow::Owned(_));
                    match &*name {
                        $(stringify!($name) => if self.$name.replace(map.next_value()?).is_some() {
                            return Err(A::Error::duplicate_field(stringify!($name)));
                        },)+
                        other => {
                            refuse_a_second_model(other)?;
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                // A field that is null is as good as none, but where usage is asked for it is the place to do so.
                $(if stringify!($name) != "stream_options" {
                    self.$name = self.$name.filter(|raw| raw.get() != "null");
                })+
                Ok(self)
            }
        }
    };
}

fields!(
    model,
    stream,
    stream_options,
    max_tokens,
    max_completion_tokens,
    n,
    messages,
    prompt,
    input,
    tools,
    tool_choice,
    functions,
    response_format,
    reasoning_effort,
    reasoning,
    thinking,
    enable_thinking,
    thinking_budget,
    chat_template_kwargs,
    user
);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Fields::default())
    }
}

/// Some servers fold the case of names, and some take a list of models beside the one: both would run a model that the
/// policy has not seen.
fn refuse_a_second_model<E: de::Error>(name: &str) -> Result<(), E> {
    if name.eq_ignore_ascii_case("model") {
        return Err(E::custom(format_args!("'{name}' could be taken for 'model'; leave it out")));
    }
    if name.eq_ignore_ascii_case("models") {
        return Err(E::custom("'models' would choose a model past the policy; name one in 'model'"));
    }
    Ok(())
}

/// A string that is borrowed where it has no escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);
