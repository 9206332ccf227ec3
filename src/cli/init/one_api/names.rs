//! Public names, and the models that are meant by them. one-api looks a name up once; new-api goes on from model to
//! model, and answers with an error where that leads in a circle.

use serde_json::{Map, Value};

use crate::cli::init::draft::Draft;
use crate::cli::init::fault::Fault;
use crate::cli::init::models::is_of_another_kind;
use crate::cli::init::said::Said;

use super::settings::table;
use super::types::Flavour;

/// The names that `channel` serves, with their models.
pub(super) fn names(
    channel: &Said<'_>,
    called: &str,
    flavour: Flavour,
    draft: &mut Draft,
) -> Result<Vec<(String, String)>, Fault> {
    let said = channel.need("models")?;
    let text = if said.is_list() {
        said.list()?.iter().map(Said::text).collect::<Result<Vec<_>, _>>()?.join(",")
    } else {
        said.text()?.to_owned()
    };
    let mapping = mapping(channel)?;
    let listed = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect::<Vec<_>>();
    if listed.is_empty() {
        draft.remark_on(called, "it lists no models, so nothing is sent to it, and it is left out");
    }
    let mut names: Vec<(String, String)> = Vec::new();
    for public in listed {
        let model = match meant(public, &mapping, flavour) {
            Ok(model) => model,
            Err(why) => {
                draft.remark_on(format!("`{public}` of {called}"), why);
                continue;
            }
        };
        if [public, model].iter().any(|name| name.contains(|c: char| c.is_whitespace() || c == '#' || c == '*')) {
            return Err(Fault::ModelName { place: said.place, name: public.to_owned() });
        }
        if is_of_another_kind(model) {
            let what = "left out: only chat, completions and embeddings are served";
            draft.remark_on(format!("`{public}` of {called}"), what);
        } else if !names.iter().any(|(known, _)| known == public) {
            names.push((public.to_owned(), model.to_owned()));
        }
    }
    Ok(names)
}

/// The model that is asked for in place of `public`, or why none is.
fn meant<'m>(public: &'m str, mapping: &'m Map<String, Value>, flavour: Flavour) -> Result<&'m str, &'static str> {
    let mut seen = vec![public];
    let mut name = public;
    while let Some(to) = mapping.get(name).filter(|to| !to.is_null()) {
        let to = to.as_str().ok_or("its mapping is not the name of a model; left out")?.trim();
        if to.is_empty() || to == name {
            break;
        }
        if seen.contains(&to) && flavour == Flavour::NewApi {
            return Err("its mapping leads in a circle, which was answered with an error; left out");
        }
        seen.push(to);
        name = to;
        if flavour == Flavour::OneApi {
            break;
        }
    }
    Ok(name)
}

/// `model_mapping`: a table, or the text of one.
fn mapping(channel: &Said<'_>) -> Result<Map<String, Value>, Fault> {
    let Some(said) = channel.field("model_mapping").filter(|said| !said.is_idle()) else { return Ok(Map::new()) };
    table(&said).ok_or_else(|| said.not("a table of names, as the text of a JSON object"))
}
