use super::*;

/// Written by Helm 4.3.1's own types for a chart of one template.
const HELM_4: &str = r#"{"name":"bl01t-ea-01","info":{"first_deployed":"2026-11-22T10:00:00.123456789+01:00","last_deployed":"2026-11-22T10:00:00.123456789Z","description":"Install complete","status":"deployed"},"chart":{"metadata":{"name":"a","version":"0.1.0","apiVersion":"v2","dependencies":[{"name":"b","version":"1.0.0","repository":"","enabled":true,"import-values":[{"child":"x","parent":"y"}]}]},"lock":null,"templates":[{"name":"templates/a.yaml","data":"YTogMQo=","modtime":"2026-11-22T09:00:00Z"}],"values":{"a":1},"schema":null,"schemamodtime":"0001-01-01T00:00:00Z","files":[],"modtime":"2026-11-22T09:00:00Z"},"config":{"a":2},"manifest":"---\n# Source: a/templates/a.yaml\na: 1\n","version":1,"namespace":"t01","apply_method":"ssa"}"#;

#[test]
fn a_record_of_helm_survives_unchanged() {
    let record: ReleaseRecord = serde_json::from_str(HELM_4).unwrap();
    assert_eq!(record.info.status, Status::Deployed);
    assert_eq!(serde_json::to_string(&record).unwrap(), HELM_4);
    assert_eq!(decode(&encode(&record).unwrap()).unwrap(), record);
}

#[test]
fn the_forms_of_storage_are_read() {
    let record: ReleaseRecord = serde_json::from_str(HELM_4).unwrap();
    let once = encode(&record).unwrap();
    let twice = STANDARD.encode(&once);
    let plain = STANDARD.encode(HELM_4);
    for text in [once, twice, plain.clone(), STANDARD.encode(plain)] {
        assert_eq!(decode(&text).unwrap(), record);
    }
    assert!(matches!(decode("%%%"), Err(RecordError::Base64(_))));
    assert!(matches!(
        decode(&STANDARD.encode("hello")),
        Err(RecordError::Json(_))
    ));
}

#[test]
fn records_of_helm_3_are_read() {
    let text = r#"{"name":"x","info":{"first_deployed":"2024-01-01T00:00:00Z","last_deployed":"","deleted":"","status":"superseded","resources":{"a":[]}},"hooks":null,"version":3,"new":1}"#;
    let record: ReleaseRecord = serde_json::from_str(text).unwrap();
    assert!(record.info.deleted.is_none() && record.info.last_deployed.is_none());
    assert_eq!(
        (record.version, record.info.status),
        (3, Status::Superseded)
    );
    let again = serde_json::to_value(&record).unwrap();
    assert_eq!(
        (&again["new"], &again["info"]["resources"]["a"]),
        (&1.into(), &serde_json::json!([]))
    );
}

#[test]
fn storage_names_are_read_back() {
    let name = storage_name("bl01t-ea-01", 12);
    assert_eq!(name, "sh.helm.release.v1.bl01t-ea-01.v12");
    assert_eq!(parse_storage_name(&name), Some(("bl01t-ea-01", 12)));
    for bad in [
        "",
        "sh.helm.release.v1..v1",
        "sh.helm.release.v1.a.v0",
        "sh.helm.release.v1.a.vx",
    ] {
        assert_eq!(parse_storage_name(bad), None, "{bad}");
    }
}

#[test]
fn names_are_those_that_helm_allows() {
    let long = "a".repeat(54);
    for (name, allowed) in [
        ("bl01t-ea-01", true),
        ("a.b", true),
        ("0", true),
        ("", false),
        ("A", false),
        ("-a", false),
        ("a-", false),
        ("a..b", false),
        ("a_b", false),
        ("ä", false),
        (&long[..53], true),
        (&long, false),
    ] {
        assert_eq!(validate_name(name).is_ok(), allowed, "{name}");
    }
}
