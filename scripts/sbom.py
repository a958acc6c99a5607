#!/usr/bin/env python3
"""Writes which crates are in the two programs that ship, as CycloneDX 1.6: scripts/sbom.py [OUT]

`cargo tree` says what is linked into exactly these packages with exactly their features, without tests and tools; the
lock file has the checksums. Nothing else is needed, so it runs wherever the programs are built. The same sources give the same
file.
"""
import json
import pathlib
import re
import subprocess
import sys
import tomllib
import urllib.parse
import uuid

ROOT = pathlib.Path(__file__).parent.parent
PACKAGES = {"connector": "hansa", "dataplane": "hansa-dataplane"}


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def tree(package):
    """Each crate as (name, version) with its licence, and what each uses directly."""
    licences, uses, path = {}, {}, []
    # The depth is written before each line; a crate's own uses are written out once.
    for line in cargo("tree", "--locked", "--package", package, "--edges", "normal", "--prefix", "depth", "--format", "\t{p}\t{l}\t").splitlines():
        depth, crate, licence, *_ = line.split("\t")
        name, version = re.match(r"(\S+) v(\S+)", crate).groups()
        licences[name, version] = licence
        path[int(depth):] = [(name, version)]
        uses.setdefault((name, version), set())
        if int(depth):
            uses[path[-2]].add((name, version))
    return licences, uses


def reference(crate):
    name, version = crate
    return f"pkg:cargo/{name}@{urllib.parse.quote(version)}"


def component(crate, licence, locked):
    made = {
        "type": "library",
        "bom-ref": reference(crate),
        "name": crate[0],
        "version": crate[1],
        "purl": reference(crate),
        "scope": "required",
    }
    if licence:
        # Before SPDX had expressions, crates wrote a slash for OR.
        made["licenses"] = [{"expression": re.sub(r"\s*/\s*", " OR ", licence)}]
    if checksum := locked.get(crate):
        made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return made


def main():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    locked = {(package["name"], package["version"]): package.get("checksum") for package in lock}
    licences, uses = {}, {}
    for package in PACKAGES:
        more, edges = tree(package)
        licences |= more
        for crate, used in edges.items():
            uses.setdefault(crate, set()).update(used)
    version = next(version for name, version in licences if name == "connector")
    whole = {"type": "application", "bom-ref": "hansa", "name": "hansa", "version": version}
    depends = [{"ref": "hansa", "dependsOn": sorted(reference(crate) for crate in licences if crate[0] in PACKAGES)}]
    depends += [{"ref": reference(crate), "dependsOn": sorted(map(reference, uses[crate]))} for crate in sorted(uses)]
    components = [component(crate, licences[crate], locked) for crate in sorted(licences)]
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([components, depends])).urn,
        "version": 1,
        "metadata": {"component": whole, "tools": {"components": [{"type": "application", "name": "scripts/sbom.py"}]}},
        "components": components,
        "dependencies": depends,
    }
    text = json.dumps(bom, indent=1) + "\n"
    if len(sys.argv) > 1:
        pathlib.Path(sys.argv[1]).write_text(text)
    else:
        print(text, end="")


main()
