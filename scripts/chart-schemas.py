#!/usr/bin/env python3
"""Makes the schemas that rendered charts are checked with, from what Kubernetes itself publishes.

    scripts/chart-schemas.py OUT swagger.json [CRD.yaml]...

`swagger.json` is api/openapi-spec/swagger.json of the Go module k8s.io/kubernetes; a CRD file holds one
CustomResourceDefinition. OUT gets one file for each kind and version, named as kubeconform looks for it. Objects are
closed: a field that Kubernetes does not know is a fault.
"""
import json
import pathlib
import sys

import yaml

# Types that Kubernetes writes as text or as a number, whatever its document says.
EITHER = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": ["string", "number"],
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": ["string", "integer"],
}
KEPT = ("type", "enum", "required", "items", "minimum", "maximum", "pattern", "minItems", "maxItems", "minLength", "maxLength")


def closed(schema, reference):
    """A schema of OpenAPI as JSON Schema; `reference` is told each name that it refers to."""
    if "$ref" in schema:
        return reference(schema["$ref"].removeprefix("#/definitions/"))
    made = {key: schema[key] for key in KEPT if key in schema}
    if "items" in made:
        made["items"] = closed(made["items"], reference)
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = EITHER["io.k8s.apimachinery.pkg.util.intstr.IntOrString"]
    if "properties" in schema:
        made["properties"] = {name: closed(member, reference) for name, member in schema["properties"].items()}
        made["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    elif isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = closed(schema["additionalProperties"], reference)
    return made


def write(out, schema, group, version, kind):
    """One file; its name is that of kubeconform's template {{.ResourceKind}}{{.KindSuffix}}."""
    schema["properties"]["apiVersion"] = {"const": f"{group}/{version}" if group else version}
    schema["properties"]["kind"] = {"const": kind}
    schema["required"] = sorted({*schema.get("required", ()), "apiVersion", "kind"})
    parts = [part for part in (kind, group.split(".")[0], version) if part]
    (out / f"{'-'.join(parts).lower()}.json").write_text(json.dumps(schema))


def core(out, document):
    """Every kind of the API server's own."""
    definitions = json.loads(document.read_text())["definitions"]
    for name, definition in definitions.items():
        for place in definition.get("x-kubernetes-group-version-kind", ()):
            used = {}

            def reference(wanted):
                if wanted not in used:
                    used[wanted] = {}
                    either = EITHER.get(wanted)
                    used[wanted].update({"type": either} if either else closed(definitions[wanted], reference))
                return {"$ref": f"#/definitions/{wanted}"}

            schema = closed(definition, reference)
            if "properties" in schema:
                schema["definitions"] = used
                write(out, schema, place["group"], place["version"], place["kind"])


def custom(out, definition):
    """Every version of a CustomResourceDefinition."""
    spec = next(document for document in yaml.safe_load_all(definition.read_text()) if document)["spec"]
    for version in spec["versions"]:
        schema = closed(version["schema"]["openAPIV3Schema"], lambda name: {})
        write(out, schema, spec["group"], version["name"], spec["names"]["kind"])


def main():
    out, document, *definitions = map(pathlib.Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    core(out, document)
    for definition in definitions:
        custom(out, definition)


main()
