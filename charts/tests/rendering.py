"""How the tests get at a chart: rendered by Helm, alone or against an API server that is played."""
import atexit
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading

import yaml

CHARTS = pathlib.Path(__file__).parent.parent
HANSA = CHARTS / "hansa"
PROJECT = CHARTS.parent
SCHEMAS = os.environ["HANSA_CHART_SCHEMAS"]
NAMESPACE = "city"
RELEASE = "h"


def run(*command, **options):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)


def with_its_parts():
    """The chart ldt-dataspace, in a folder in which Helm has put the chart that it depends on."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hansa-charts-"))
    atexit.register(shutil.rmtree, folder)
    for chart in ("hansa", "ldt-dataspace"):
        shutil.copytree(CHARTS / chart, folder / chart)
    built = run("helm", "dependency", "build", folder / "ldt-dataspace")
    assert built.returncode == 0, built.stderr
    return folder / "ldt-dataspace"


def settings(values):
    """Values of a dict, as a file for Helm."""
    file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
    yaml.safe_dump(values, file)
    file.flush()
    return file


UMBRELLA = with_its_parts()


def render(values, chart=HANSA, *more):
    """What Helm prints or says, for a file or a dict of values."""
    with settings(values) if isinstance(values, dict) else open(values) as file:
        return run("helm", "template", RELEASE, chart, "--namespace", NAMESPACE, "--values", file.name, *more)


def manifests(values, chart=HANSA, *more):
    """The objects that Helm makes."""
    done = render(values, chart, *more)
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def of_kind(objects, *kinds):
    return [found for found in objects if found["kind"] in kinds]


def named(objects, kind, name):
    return next(found for found in of_kind(objects, kind) if found["metadata"]["name"] == name)


def pod_specs(objects):
    """The pod of each workload, with its labels."""
    for found in of_kind(objects, "Deployment", "StatefulSet"):
        yield found["metadata"]["name"], found["spec"]["template"]["metadata"]["labels"], found["spec"]["template"]["spec"]
    for found in of_kind(objects, "Pod"):
        yield found["metadata"]["name"], found["metadata"]["labels"], found["spec"]


# What the charts make, by group; all of the version v1.
KINDS = {
    "": ["ConfigMap", "Secret", "Service", "ServiceAccount", "PersistentVolumeClaim", "Pod"],
    "apps": ["Deployment", "StatefulSet"],
    "networking.k8s.io": ["Ingress", "NetworkPolicy"],
    "policy": ["PodDisruptionBudget"],
}


def plural(kind):
    return "networkpolicies" if kind == "NetworkPolicy" else "ingresses" if kind == "Ingress" else f"{kind.lower()}s"


class Cluster:
    """As much of an API server as Helm asks while it renders: it knows these ConfigMaps and Secrets."""

    def __init__(self, *objects):
        groups = [{"name": group, "versions": [{"groupVersion": f"{group}/v1", "version": "v1"}]} for group in KINDS if group]
        self.answers = {
            "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.3"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        }
        for group, kinds in KINDS.items():
            resources = [{"name": plural(kind), "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get"]} for kind in kinds]
            place, version = (f"/apis/{group}/v1", f"{group}/v1") if group else ("/api/v1", "v1")
            self.answers[place] = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        for found in objects:
            owner = {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": NAMESPACE}
            found["metadata"].setdefault("annotations", {}).update(owner)
            self.answers[f"/api/v1/namespaces/{NAMESPACE}/{plural(found['kind'])}/{found['metadata']['name']}"] = found

    def __enter__(self):
        answers = self.answers

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = answers.get(self.path.split("?")[0])
                body = json.dumps(answer or {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}).encode()
                self.send_response(200 if answer else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return ["--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", f"http://127.0.0.1:{self.server.server_port}", "--kube-token", "none"]

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
