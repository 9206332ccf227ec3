//! A draft from the keys that are set: every provider of the catalogue whose usual variable holds something.

use std::rc::Rc;

use super::draft::{Deployment, Draft, Facts, Key, Rules, Serves, Unlisted};
use super::places::Catalogue;
use crate::policy::{Account, Offer};

/// Whose models stand in for OpenAI's.
const STAND_INS: [&str; 5] = ["zhipu", "dashscope", "qianfan", "baichuan", "zhinao"];

/// Variables that send OpenAI's own client elsewhere.
const ELSEWHERE: [&str; 2] = ["OPENAI_BASE_URL", "OPENAI_API_BASE"];

/// The draft; empty if no key is set.
pub(super) fn draft(catalogue: &Catalogue, env: &dyn Fn(&str) -> Option<String>) -> Draft {
    let deployments = catalogue.offers().iter().flat_map(|offer| accounts(offer, catalogue, env)).collect::<Vec<_>>();
    let has = |name: &str| deployments.iter().any(|one| one.address.provider == Some(name));
    let moving = has("openai") && STAND_INS.into_iter().any(has);
    let hint = "or \"builtin:migrate-from-openai\" (`faregate init --policy migrate-from-openai` copies it): the names of OpenAI's models stay, and others answer more and more of them";
    let hint = moving.then(|| hint.to_owned());
    let mut draft = Draft { hint, rules: Rules::BuiltIn, unlisted: Unlisted::Allow, ..Draft::default() };
    let unlisted = |one: &&Rc<Deployment>| !catalogue.is_listed(&one.address);
    for name in deployments.iter().filter(unlisted).map(|one| &one.wish) {
        draft.remark(format!(
            "which models you use of {name} only you know, and nothing is sent to it before you name them: \
             [upstreams.{name}.models.\"…\"] with `price = {{ input = \"… USD\", output = \"… USD\" }}`"
        ));
    }
    for name in
        ELSEWHERE.into_iter().filter(|name| has("openai") && env(name).is_some_and(|url| !url.trim().is_empty()))
    {
        draft.remark(format!(
            "{name} is set, and what is called openai here is OpenAI itself: if the key belongs to whoever is there, write \
             `base_url`, `dialect = \"openai\"` and the models instead of `provider`"
        ));
    }
    Draft { deployments, ..draft }
}

/// What a provider's keys that are set give access to: the mainland and the rest of the world have keys of their own.
fn accounts(offer: &Offer, catalogue: &Catalogue, env: &dyn Fn(&str) -> Option<String>) -> Vec<Rc<Deployment>> {
    let account = |Account { name, host, variable }: Account<'_>| {
        Rc::new(Deployment {
            address: catalogue.address(offer.name, &host.region),
            wish: name,
            key: Key::Variable(variable.clone()),
            label: None,
            serves: Serves::All,
            facts: Facts::default(),
        })
    };
    offer.accounts(env).into_iter().map(account).collect()
}

/// What to say where no key is set.
pub(super) fn nothing_set(catalogue: &Catalogue) -> String {
    let listed = catalogue.offers().iter().filter(|offer| offer.is_listed());
    let variables = listed.filter_map(|offer| offer.key_variables.first()).cloned().collect::<Vec<_>>();
    format!(
        "error: no provider's key is set, so there is nothing to write\n\
         set one or more of: {}\n\
         or bring what you have: `faregate init --from-litellm config.yaml`, `faregate init --from-one-api channels.json`\n\
         or look around first: `faregate demo` needs no key and no network\n",
        variables.join(", ")
    )
}
