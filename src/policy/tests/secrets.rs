//! Keys are never printed: not by diagnostics, not by `Debug`, not when they stand where they should not.

use super::World;

const MARK: &str = "SECRETMATERIAL";

fn world(config: &str) -> World<'static> {
    let mut world = World::new(config, "[defaults]");
    world.variables = vec![("KEY", "SECRETMATERIAL-env"), ("BAD", "SECRET MATERIAL SECRETMATERIAL"), ("EMPTY", " ")];
    world.files.push(("etc/key", "SECRETMATERIAL-file\n".to_owned()));
    world
}

#[test]
fn no_key_appears_in_any_output_however_it_is_configured() {
    let valid = r#"
        [server]
        admin_token = "literal:SECRETMATERIAL"
        [upstreams.a]
        base_url = "https://a.example"
        keys = ["env:KEY", "file:key", { name = "n", key = "literal:SECRETMATERIAL" }]
        [upstreams.a.models.m]
        price = { input = "0", output = "0" }
        [[tenants]]
        name = "t"
        keys = ["literal:SECRETMATERIAL-t"]
    "#;
    let loaded = world(valid).load();
    assert!(loaded.model.is_some(), "{}", world(valid).complaints());
    let everything = format!("{loaded:?}{}", world(valid).complaints());
    assert!(!everything.contains(MARK), "{everything}");

    for mistake in [
        "keys = [\"SECRETMATERIAL\"]",
        "keys = [\"literal:SECRETMATERIAL\", \"literal:SECRETMATERIAL\"]",
        "keys = \"SECRETMATERIAL\"",
        "keys = [\"env:SECRETMATERIAL-\"]",
        "keys = [{ name = \"a\", kye = \"SECRETMATERIAL\" }]",
        "keys = [{ name = \"a\", key = \"SECRETMATERIAL\", wrong = 1 }]",
        "kees = [\"SECRETMATERIAL\"]",
        "keys = [\"env:BAD\"]",
        "keys = [\"literal:SECRETMATERIAL",
        "keys = [[\"SECRETMATERIAL\"]]",
        "api_key = \"SECRETMATERIAL\"",
        "keys = [\n\"SECRETMATERIAL\"\n\"SECRETMATERIAL\"]",
    ] {
        let world = world(&format!("[upstreams.a]\nbase_url = \"https://a.example\"\n{mistake}"));
        let loaded = world.load();
        let everything = format!("{loaded:?}{}", world.complaints());
        assert!(loaded.model.is_none() && !loaded.diagnostics.is_empty(), "{mistake}");
        assert!(!everything.contains(MARK), "{everything}");
    }
}

#[test]
fn a_missing_or_empty_key_is_an_error_at_its_place() {
    let config =
        "[upstreams.a]\nbase_url = \"https://a.example\"\nkeys = [\"env:GONE\", \"env:EMPTY\", \"file:gone\"]\n";
    let complaints = world(config).complaints();
    for expected in [
        "error: the variable `GONE` is not set\n --> etc/f.toml:4:9",
        "error: the variable `EMPTY` is empty\n --> etc/f.toml:4:21",
        "error: `gone` cannot be read: no such file\n --> etc/f.toml:4:34",
    ] {
        assert!(complaints.contains(expected), "{complaints}");
    }
}

#[test]
fn key_names_are_given_or_taken_from_the_variable_or_file_and_a_literal_among_several_needs_one() {
    let upstream = |keys: &str| {
        format!("[upstreams.a]\nbase_url = \"https://a.example\"\nkeys = [{keys}]\n[upstreams.a.models.m]\n")
    };
    let model = world(&upstream("\"env:KEY\", \"file:key\", { name = \"n\", key = \"literal:abc\" }")).model();
    let names = model.keys.values().map(|key| key.id.to_string()).collect::<Vec<_>>();
    assert_eq!(names, ["a#KEY", "a#key", "a#n"]);
    let complaints = world(&upstream("\"env:KEY\", \"literal:abc\"")).complaints();
    assert!(complaints.contains("error: a literal key among several needs a name"), "{complaints}");
    let complaints = world(&upstream("\"env:KEY\", \"env:KEY\"")).complaints();
    assert!(complaints.contains("error: two keys of this upstream are called `KEY`"), "{complaints}");
}

#[test]
fn tenants_share_no_key() {
    let config = "[[tenants]]\nname = \"a\"\nkeys = [\"env:KEY\"]\n[[tenants]]\nname = \"b\"\nkeys = [\"literal:SECRETMATERIAL-env\"]\n";
    let complaints = world(config).complaints();
    assert!(complaints.contains("error: `a` has the same key: nobody could tell the two apart"), "{complaints}");
    assert!(!complaints.contains(MARK), "{complaints}");
}
