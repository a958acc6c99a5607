//! CSV: the same rules for rows and columns, and nothing of a table that is not clear.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use ngsi_ld_filter::{Representation, Shape};
use serde_json::{Value, json};
use support::{CANARY, ENTITIES, TEMPORAL, answer, ask_as, filter, run};

fn table(more: &Value, body: &str) -> Result<String, String> {
    run(&filter(more), &answer(Shape::Csv, Representation::Normalized), body)
}

#[test]
fn columns_and_rows() {
    let body = "plate,id,no2,type,https://m/name,odd,scope\r\n\
        CANARY,urn:a:1,41,Air,\"Piazza, \"\"Grande\"\"\",CANARY,CANARY\r\n\
        CANARY,urn:a:2,42,Person,CANARY,CANARY,CANARY\r\n\
        CANARY,urn:b:3,,https://m/Car,\"two\nlines\",CANARY,CANARY\r\n";
    assert_eq!(
        table(&json!({}), body).unwrap(),
        "id,no2,type,https://m/name\r\n\
         urn:a:1,41,Air,\"Piazza, \"\"Grande\"\"\"\r\n\
         urn:b:3,,https://m/Car,\"two\nlines\"\r\n"
    );
    assert_eq!(table(&json!({"ids": ["urn:b:*"]}), body).unwrap().lines().count(), 3);
    // Other separators, a mark of the encoding, no line end at the end, only a header.
    for body in ["\u{feff}id;type;no2\nurn:a:1;Air;1,5", "id;type;no2\r\nurn:a:1;Air;1,5\r\n"] {
        assert!(table(&json!({}), body).unwrap().ends_with("id;type;no2\r\nurn:a:1;Air;1,5\r\n"), "{body}");
    }
    assert_eq!(
        table(&json!({}), "@id\t@type\tplate\nurn:a:1\tAir\tCANARY\n").unwrap(),
        "@id\t@type\r\nurn:a:1\tAir\r\n"
    );
    assert_eq!(table(&json!({}), "id,type,plate").unwrap(), "id,type\r\n");
    // Rules about languages and instances cannot be followed in cells.
    let narrow = json!({"attributes": [{"name": "https://m/no2", "datasetIds": ["urn:d"]}, {"name": "https://m/name", "languages": ["en"]}]});
    assert_eq!(table(&narrow, "id,type,no2,name\nurn:a:1,Air,1,x\n").unwrap(), "id,type\r\nurn:a:1,Air\r\n");
}

#[test]
fn what_is_not_clear_is_refused() {
    for body in [
        "",
        "id,no2\nurn:a:1,1\n",
        "type,no2\nAir,1\n",
        "no2\n1\n",
        "urn:a:1,Air,41\n",
        "id,type,id\nurn:a:1,Air,urn:a:2\n",
        "id,type,@type\nurn:a:1,Air,Car\n",
        "id,type,@id\nurn:a:1,Air,x\n",
        "id,type,no2,https://m/no2\nurn:a:1,Air,1,2\n",
        "id,type,no2\nurn:a:1,Air\n",
        "id,type,no2\nurn:a:1,Air,1,2\n",
        "id|type|no2\nurn:a:1|Air|1\n",
        "id,type;no2\nurn:a:1,Air;1\n",
        "\"id\n\",type\nurn:a:1,Air\n",
    ] {
        assert_eq!(table(&json!({}), body).unwrap_err(), "csv_not_understood", "{body}");
    }
    let long = format!("id,type,no2\nurn:a:1,Air,\"{}\"\n", "x".repeat(5000));
    assert_eq!(table(&json!({"maxEntityBytes": 1024}), &long).unwrap_err(), "entity_too_large");
    let header = format!("id,type,{}\n", "x".repeat(100_000));
    assert_eq!(table(&json!({}), &header).unwrap_err(), "csv_not_understood");
    let mut noted = answer(Shape::Csv, Representation::Normalized);
    noted.context = None;
    assert_eq!(run(&filter(&json!({})), &noted, "id,type\nurn:a:1,Air\n").unwrap_err(), "context_missing");
}

#[test]
fn conditions_moments_and_persons() {
    let rows = json!({"rows": {"q": "https://m/state==\"public\";https://m/level>=2"}});
    let body = "id,type,no2,state,level\n\
        urn:a:1,Air,1,public,2\nurn:a:2,Air,CANARY,secret,5\nurn:a:3,Air,CANARY,public,1\nurn:a:4,Air,CANARY,public,\n\
        urn:a:5,Air,CANARY,,9\nurn:a:6,Air,CANARY,public,x\n";
    assert_eq!(table(&rows, body).unwrap(), "id,type,no2\r\nurn:a:1,Air,1\r\n");
    // A column that is not there, or a cell that is empty, is not known to be nothing.
    for q in ["!https://m/state", "https://m/state!=\"secret\"", "https://m/state.https://m/level>1"] {
        let absent = json!({"rows": {"q": q}});
        assert_eq!(table(&absent, "id,type,no2\nurn:a:1,Air,CANARY\n").unwrap(), "id,type,no2\r\n", "{q}");
        assert_eq!(table(&absent, "id,type,no2,state\nurn:a:1,Air,CANARY,\n").unwrap(), "id,type,no2\r\n", "{q}");
    }
    let number = json!({"rows": {"q": "https://m/state==\"7\""}});
    assert!(table(&number, "id,type,state\nurn:a:1,Air,7\n").unwrap().contains("urn:a:1"));
    let other = json!({"rows": {"q": "https://m/state!=7"}});
    assert!(!table(&other, "id,type,state\nurn:a:1,Air,7\n").unwrap().contains("urn:a:1"));
    let area = json!({"rows": {"geo": {"georel": "near", "maxDistanceMeters": 2000,
        "geometry": {"type": "Point", "coordinates": [16.85, 41.15]}}}, "coordinateDecimals": 1});
    let places = "id,type,location\n\
        urn:a:1,Air,\"{\"\"type\"\":\"\"Point\"\",\"\"coordinates\"\":[16.8512,41.1512]}\"\n\
        urn:a:2,Air,\"{\"\"type\"\":\"\"Point\"\",\"\"coordinates\"\":[17.8512,41.1512]}\"\n\
        urn:a:3,Air,POINT(16.8512 41.1512)\n";
    let left = table(&area, places).unwrap();
    assert!(left.contains("urn:a:1") && left.contains("[16.9,41.2]") && left.lines().count() == 2, "{left}");
    // Coarse places, also where they cannot be read.
    let coarse =
        json!({"coordinateDecimals": 1, "attributes": [{"name": support::LOCATION}, {"name": "https://m/name"}]});
    let left = table(
        &coarse,
        "id,type,location,name\nurn:a:1,Air,POINT(16.8512 41.1512),point (16.8512 41.1512)\n\
        urn:a:2,Air,\"16.8512,41.1512\",x\nurn:a:3,Air,\"{\"\"coordinates\"\":[16.8512,41.1512]} 16.8512\",x\n",
    );
    assert!(!left.clone().unwrap().contains("8512"), "{left:?}");

    let old = json!({"time": {"minAgeSeconds": 900}});
    let body = "id,type,observedAt,no2\nurn:a:1,Air,2026-11-21T11:00:00Z,1\nurn:a:2,Air,2026-11-21T11:59:00Z,CANARY\n\
        urn:a:3,Air,,CANARY\nurn:a:4,Air,2026-11-21,CANARY\n";
    assert_eq!(table(&old, body).unwrap(), "id,type,observedAt,no2\r\nurn:a:1,Air,2026-11-21T11:00:00Z,1\r\n");
    assert_eq!(table(&old, "id,type,no2\nurn:a:1,Air,1\n").unwrap_err(), "csv_not_understood");
    assert_eq!(table(&json!({"time": {"resolutionSeconds": 60}}), body).unwrap_err(), "csv_not_understood");
    assert_eq!(table(&json!({"pseudonymousIds": true}), body).unwrap_err(), "csv_not_understood");

    for mode in ["remove", "pseudonymise"] {
        let personal = json!({"personal": {"mode": mode, "marking": {"https://m/Air": {"personal": ["https://m/name"]},
            "https://m/Car": {"none": true}, "https://m/Person": {"none": true}}}});
        let body = "name,id,type\nCANARY,urn:a:1,Air\nopen,urn:a:2,Car\nCANARY,urn:a:3,Other\nCANARY,urn:a:4,Person\n";
        let left = table(&personal, body).unwrap();
        assert!(!left.contains(CANARY) && left.contains("open,urn:a:2,Car") && left.contains("urn:a:1"), "{left}");
        assert_eq!(left.contains("\r\n,urn:a:1"), mode == "remove", "{left}");
    }
    // A whole attribute in a cell.
    let cell = "id,type,no2\nurn:a:1,Air,\"{\"\"type\"\":\"\"Property\"\",\"\"value\"\":1,\"\"owner\"\":\"\"CANARY\"\"}\"\nurn:a:2,Air,\"[{\"\"value\"\":1,\"\"owner\"\":\"\"CANARY\"\"}]\"\n";
    assert_eq!(table(&json!({}), cell).unwrap(), "id,type,no2\r\nurn:a:1,Air,\r\nurn:a:2,Air,\r\n");
    let hashed = json!({"attributes": [{"name": "https://m/plate", "pseudonym": true}]});
    assert!(!table(&hashed, "id,type,plate\nurn:a:1,Air,CANARY\n").unwrap().contains(CANARY));
}

#[test]
fn who_may_ask_for_a_table() {
    let csv = Some("text/csv");
    let upstream = ask_as(&json!({}), ENTITIES, csv).unwrap();
    assert_eq!(upstream.accept, "text/csv");
    assert_eq!(upstream.answer(Some("text/csv; charset=utf-8"), None, None).unwrap().shape, Shape::Csv);
    for media in ["text/csv; header=absent", "text/csv; charset=utf-16", "text/csv;header = \"absent\""] {
        assert_eq!(
            upstream.answer(Some(media), None, None).unwrap_err().code,
            "content_type_not_understood",
            "{media}"
        );
    }
    // A broker that answers with a table when none was asked for.
    let json = ask_as(&json!({}), ENTITIES, None).unwrap();
    assert_eq!(json.answer(Some("text/csv"), None, None).unwrap_err().code, "content_type_not_understood");
    for (more, target) in [
        (json!({"pseudonymousIds": true}), ENTITIES),
        (json!({"time": {"resolutionSeconds": 60}}), TEMPORAL),
        (json!({}), "/ngsi-ld/v1/entities/urn:a:1"),
    ] {
        assert_eq!(ask_as(&more, target, csv).map(|_| ()), Err("representation_not_admitted".to_owned()), "{more}");
    }
}
