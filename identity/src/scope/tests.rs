use super::*;

#[test]
fn reads_every_form() {
    let table = [
        ("org.eclipse.dspace.dcp.vc.type:Member", Selector::Type("Member".into()), Operation::Read),
        ("org.eclipse.dspace.dcp.vc.type:Member:read", Selector::Type("Member".into()), Operation::Read),
        ("org.eclipse.dspace.dcp.vc.type:Member:write", Selector::Type("Member".into()), Operation::Write),
        ("org.eclipse.dspace.dcp.vc.type:Member:*", Selector::Type("Member".into()), Operation::All),
        ("org.eclipse.edc.vc.type:Member:read", Selector::Type("Member".into()), Operation::Read),
        ("org.eclipse.dspace.dcp.vc.id:urn:uuid:1:read", Selector::Id("urn:uuid:1".into()), Operation::Read),
        (
            "org.eclipse.dspace.dcp.vc.type:https://x.example/v#Member",
            Selector::Type("https://x.example/v#Member".into()),
            Operation::Read,
        ),
    ];
    for (text, selector, operation) in table {
        let scope: Scope = text.parse().unwrap();
        assert_eq!((scope.selector(), scope.operation()), (&selector, operation), "{text}");
        assert_eq!(scope.to_string(), text);
    }
}

#[test]
fn refuses() {
    let long = format!("{TYPE_ALIAS}:{}", "x".repeat(MAX_SCOPE));
    let table = [
        ("", "malformed_scope"),
        ("Member", "malformed_scope"),
        ("org.eclipse.dspace.dcp.vc.type:", "malformed_scope"),
        ("org.eclipse.dspace.dcp.vc.type::read", "malformed_scope"),
        ("org.eclipse.dspace.dcp.vc.type:a b", "malformed_scope"),
        ("org.eclipse.dspace.dcp.vc.type:a\n", "malformed_scope"),
        (long.as_str(), "malformed_scope"),
        ("org.example.alias:Member", "unknown_scope_alias"),
    ];
    for (text, code) in table {
        assert_eq!(text.parse::<Scope>().unwrap_err().code(), code, "{text}");
    }
    let same = vec![format!("{TYPE_ALIAS}:A"); MAX_SCOPES + 1].join(" ");
    assert_eq!(Scopes::parse(&same).unwrap_err().code(), "too_many_scopes");
    let half = |prefix: &str| {
        Scopes::new((0..40).map(|number| Scope::read_type(&format!("{prefix}{number}")).unwrap())).unwrap()
    };
    assert_eq!(half("a").union(&half("b")).unwrap_err().code(), "too_many_scopes");
}

#[test]
fn covering_and_sets() {
    let scopes = |text: &str| Scopes::parse(text).unwrap();
    let read = Scope::read_type("A").unwrap();
    let write = Scope::write_type("A").unwrap();
    assert!(!read.covers(&write) && !write.covers(&read));
    assert!(scopes("org.eclipse.edc.vc.type:A:*").covers(&read));
    assert!(!scopes("org.eclipse.dspace.dcp.vc.id:A").covers(&read));
    assert_eq!(scopes("org.eclipse.edc.vc.type:A"), scopes("org.eclipse.dspace.dcp.vc.type:A:read"));
    let both = scopes("org.eclipse.edc.vc.type:A org.eclipse.edc.vc.type:B");
    let one = scopes("org.eclipse.edc.vc.type:B:*");
    assert_eq!(both.without(&one), scopes("org.eclipse.edc.vc.type:A"));
    assert_eq!(both.union(&one).unwrap().len(), 3);
    assert_eq!(scopes("").to_string(), "");
    assert_eq!(both.to_string(), "org.eclipse.edc.vc.type:A org.eclipse.edc.vc.type:B");
}
