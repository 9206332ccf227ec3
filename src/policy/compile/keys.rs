//! The keys of an upstream: each with a name of its own, and the models that it may call.

use std::collections::HashSet;
use std::sync::Arc;

use crate::dialect::glob::Glob;
use crate::ids::{IdVec, KeyIx, UpstreamIx};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::fields::Spoiled;
use crate::policy::model::{Key, Scheme, Upstream};
use crate::policy::raw::keys::Key as RawKey;
use crate::policy::raw::upstreams::Upstream as RawUpstream;
use crate::policy::raw::url::is_loopback;

use super::endpoints::{Origin, Tables};
use super::{Context, secrets};

/// A key of the upstream at hand, and the models it may call.
pub(super) struct Access {
    pub(super) key: KeyIx,
    pub(super) name: Option<Arc<str>>,
    models: Option<Vec<Glob>>,
}

impl Access {
    /// Whether it may call `model`.
    pub(super) fn allows(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|globs| globs.iter().any(|glob| glob.matches(model)))
    }
}

/// Puts the keys of an upstream into the table; one without a secret where none is said.
pub(super) fn add(
    raw: &RawUpstream,
    origin: &Origin,
    upstream: UpstreamIx,
    tables: &mut Tables,
    context: &Context<'_>,
) -> Vec<Access> {
    let keys = match (&raw.keys, origin) {
        (Some(keys), _) => keys.as_slice(),
        (None, Origin::Listed(provider, host))
            if raw.spoiled == Spoiled::No && !provider.key_variables(*host).is_empty() =>
        {
            let variable = provider.key_variables(*host).first().map_or("NAME", String::as_str);
            let message = format!("missing field `keys`{}", raw.place.inside());
            let hint =
                format!("write keys = [\"env:{variable}\"], or keys = [] and the `base_url` of what has the keys");
            context.report.push(Diagnostic::error(&raw.place, message).hint(hint));
            return Vec::new();
        }
        (None, Origin::Listed(..) | Origin::Own) => &[],
    };
    if keys.is_empty() && raw.spoiled == Spoiled::No {
        warn_of_no_keys(raw, origin, context);
        let id = Arc::from(raw.name.value.as_str());
        let account = format!("{}@", raw.name.value).into();
        let key = tables.keys.push(Key { upstream, name: None, id, account, secret: None, limits: raw.limits });
        return vec![Access { key, name: None, models: None }];
    }
    warn_of_plain_text(raw, keys, &tables.upstreams, upstream, context);
    let mut taken = HashSet::new();
    keys.iter()
        .filter_map(|key| {
            let name = key_name(key, keys.len(), &mut taken, context);
            let secret = secrets::resolve(&key.source, context);
            let (name, secret) = (name?, secret?);
            let id = format!("{}#{name}", raw.name.value).into();
            let account = key.account.as_deref().map_or_else(
                || format!("{}@#{name}", raw.name.value),
                |account| format!("{}@{account}", raw.name.value),
            );
            let entry = Key {
                upstream,
                name: Some(Arc::clone(&name)),
                id,
                account: account.into(),
                secret: Some(secret),
                limits: raw.limits,
            };
            Some(Access { key: tables.keys.push(entry), name: Some(name), models: key.models.clone() })
        })
        .collect()
}

/// A provider of the catalogue that wants keys is not called at its own address without any. Whatever stands in front of
/// it and has them has an address of its own.
fn warn_of_no_keys(raw: &RawUpstream, origin: &Origin, context: &Context<'_>) {
    let Origin::Listed(provider, host) = origin else { return };
    let (Some(variable), None) = (provider.key_variables(*host).first(), &raw.base_url) else { return };
    let message = format!("{} refuses requests without a key, and `{}` has none", provider.title, raw.name.value);
    let hint = format!("write keys = [\"env:{variable}\"], or the `base_url` of what has the keys");
    let place = raw.keys_place.as_ref().unwrap_or(&raw.place);
    context.report.push(Diagnostic::warning(place, message).hint(hint));
}

fn warn_of_plain_text(
    raw: &RawUpstream,
    keys: &[RawKey],
    upstreams: &IdVec<UpstreamIx, Upstream>,
    upstream: UpstreamIx,
    context: &Context<'_>,
) {
    let url = &upstreams[upstream].base_url;
    if let (Some(at), Scheme::Http, false, false) = (&raw.base_url, url.scheme, is_loopback(url), keys.is_empty()) {
        let message = "keys would travel over the network in plain text";
        context.report.push(Diagnostic::warning(&at.place, message).hint("use https://"));
    }
}

fn key_name(key: &RawKey, of: usize, taken: &mut HashSet<String>, context: &Context<'_>) -> Option<Arc<str>> {
    let given = key.name.as_ref().map(|name| name.value.clone()).or_else(|| secrets::usual_name(&key.source.value));
    let Some(name) = given.or_else(|| (of == 1).then(|| "literal".to_owned())) else {
        let hint = "write { name = \"…\", key = \"literal:…\" }: an endpoint is called by its key's name";
        let message = "a literal key among several needs a name";
        context.report.push(Diagnostic::error(&key.source.place, message).hint(hint));
        return None;
    };
    if !taken.insert(name.clone()) {
        let message = format!("two keys of this upstream are called `{name}`");
        let place = key.name.as_ref().map_or(&key.source.place, |name| &name.place);
        context.report.push(Diagnostic::error(place, message).hint("give one of them a `name`"));
        return None;
    }
    Some(name.into())
}
