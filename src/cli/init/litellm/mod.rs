//! The configuration of LiteLLM's proxy: model groups become routes, deployments endpoints, fallbacks tiers.
//!
//! What it says and faregate has no place for becomes a remark, never nothing.

mod deployments;
mod providers;
mod routes;
mod settings;

use super::draft::{Draft, Tenant};
use super::fault::Fault;
use super::places::Catalogue;
use super::said::Said;
use super::tree;

use self::deployments::{Reading, seconds};
use self::routes::setting;

/// The draft of a configuration.
pub(super) fn draft(text: &str, catalogue: &Catalogue, env: &dyn Fn(&str) -> Option<String>) -> Result<Draft, Fault> {
    let tree = tree::yaml(text)?;
    let whole = Said::whole(&tree);
    let list = whole.field("model_list").ok_or_else(|| Fault::Missing { place: "model_list".to_owned() })?;
    let names = ["router_settings", "litellm_settings", "general_settings"];
    let sections = names.iter().filter_map(|name| whole.field(name)).collect::<Vec<_>>();
    let reading = Reading { catalogue, env, variables: whole.field("environment_variables") };
    let mut draft = Draft::default();
    let declared = reading.all(&list, &mut draft)?;
    draft.deployments = declared.iter().map(|one| std::rc::Rc::clone(&one.deployment)).collect();
    routes::remark_differences(&mut draft);
    routes::routes(&declared, &sections, &mut draft)?;
    draft.attempts =
        setting(&sections, "num_retries").map(|said| said.count()).transpose()?.map(|count| count.saturating_add(1));
    let total = setting(&sections, "timeout").or_else(|| setting(&sections, "request_timeout"));
    draft.total = total.map(|said| seconds(&said)).transpose()?;
    if let Some(key) = whole.field("general_settings").and_then(|section| section.field("master_key")) {
        draft.tenants.push(Tenant { name: "master".to_owned(), key: reading.secret(&key)? });
    }
    settings::remarks(&whole, &sections, &mut draft);
    Ok(draft)
}

#[cfg(test)]
mod tests;
