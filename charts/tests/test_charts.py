"""Both charts: what they render is valid, holds together, is closed, and is what the programs understand."""
import base64
import copy
import os
import pathlib
import re
import shutil
import tempfile
import unittest

import yaml

from rendering import HANSA, PROJECT, SCHEMAS, UMBRELLA, Cluster, manifests, named, of_kind, pod_specs, render, run

CASES = [(chart, case) for chart in (HANSA, UMBRELLA) for case in sorted((chart / "ci").glob("*.yaml"))]
SMALLEST = {"host": "hansa.city.example"}


def kubeconform(text):
    location = f"{SCHEMAS}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    return run("kubeconform", "-strict", "-summary", "-schema-location", location, input=text)


class Every(unittest.TestCase):
    """For each file of values in ci/."""

    def each(self):
        self.assertGreaterEqual(len(CASES), 16)
        for chart, case in CASES:
            with self.subTest(chart=chart.name, values=case.stem):
                yield chart, case

    def test_lints_and_fits_the_schemas_of_kubernetes(self):
        for chart, case in self.each():
            linted = run("helm", "lint", "--strict", chart, "--values", case)
            self.assertEqual(linted.returncode, 0, linted.stdout + linted.stderr)
            checked = kubeconform(render(case, chart).stdout)
            self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
            self.assertIn("Skipped: 0", checked.stdout)

    def test_pods_are_restricted(self):
        """Pod Security Standards, level restricted, and more: nothing is written but to volumes."""
        for chart, case in self.each():
            for name, _, pod in pod_specs(manifests(case, chart)):
                self.assertFalse(pod["automountServiceAccountToken"], name)
                self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertTrue(pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0)
                self.assertFalse({"hostNetwork", "hostPID", "hostIPC"} & pod.keys())
                kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
                self.assertLessEqual(kinds, {"configMap", "secret", "emptyDir", "persistentVolumeClaim"})
                for container in pod["containers"]:
                    context = container["securityContext"]
                    self.assertEqual((context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]), (False, True))
                    self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                    self.assertIn("memory", container["resources"]["limits"])
                    self.assertIn("cpu", container["resources"]["requests"])

    def test_names_lead_to_what_is_there(self):
        """Services find pods and ports, routes find services, volumes find what is made here or named in the values."""
        for chart, case in self.each():
            objects, given = manifests(case, chart), case.read_text()
            pods = list(pod_specs(objects))
            ports = {name: {port["name"]: port["containerPort"] for c in pod["containers"] for port in c.get("ports", ())}
                     for name, _, pod in pods}
            services = {}
            for service in of_kind(objects, "Service"):
                selector = dict(service["spec"]["selector"])
                pod_name = selector.pop("statefulset.kubernetes.io/pod-name", None)
                found = [name for name, labels, _ in pods if selector.items() <= labels.items()]
                self.assertEqual(len(found), 1, service["metadata"]["name"])
                if pod_name:
                    owner, number = pod_name.rsplit("-", 1)
                    self.assertEqual(owner, found[0])
                    self.assertLess(int(number), named(objects, "StatefulSet", owner)["spec"]["replicas"])
                for port in service["spec"]["ports"]:
                    self.assertEqual(ports[found[0]][port["targetPort"]], port["port"])
                services[service["metadata"]["name"]] = {key: port["port"] for port in service["spec"]["ports"] for key in (port["name"], port["port"])}
            for ingress in of_kind(objects, "Ingress"):
                for path in ingress["spec"]["rules"][0]["http"]["paths"]:
                    backend = path["backend"]["service"]
                    self.assertIn(backend["port"]["name"], services[backend["name"]])
            for route in of_kind(objects, "HTTPRoute"):
                for backend in (backend for rule in route["spec"]["rules"] for backend in rule["backendRefs"]):
                    self.assertIn(backend["port"], services[backend["name"]])
            for guard in of_kind(objects, "PodDisruptionBudget", "NetworkPolicy"):
                selector = guard["spec"].get("selector") or guard["spec"]["podSelector"]
                self.assertEqual(sum(selector["matchLabels"].items() <= labels.items() for _, labels, _ in pods), 1)
            made = {(found["kind"], found["metadata"]["name"]) for found in objects}
            for _, _, pod in pods:
                self.assertIn(("ServiceAccount", pod["serviceAccountName"]), made | {("ServiceAccount", "dataspace-runner")})
                mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
                claimed = {"data"} if any(name == "data" for name in mounted) else set()
                self.assertLessEqual(mounted, {volume["name"] for volume in pod["volumes"]} | claimed)
                for volume in pod["volumes"]:
                    for kind, source, key in (("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName"),
                                              ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName")):
                        if source in volume:
                            wanted = volume[source][key]
                            self.assertTrue((kind, wanted) in made or re.search(rf"\b{re.escape(wanted)}\b", given), wanted)

    def test_the_programs_accept_their_settings(self):
        """The configuration that a pod gets is read by the program that runs in it, each variable and each file."""
        programs = pathlib.Path(os.environ["HANSA_BIN_DIR"])
        for chart, case in self.each():
            objects = manifests(case, chart)
            for workload in of_kind(objects, "Deployment", "StatefulSet"):
                pod = workload["spec"]["template"]["spec"]
                with tempfile.TemporaryDirectory() as folder:
                    program, environment = prepare(objects, pod, pathlib.Path(folder))
                    file = pathlib.Path(folder) / pod["containers"][0]["args"][-1].lstrip("/")
                    # Only an image that was built for it keeps keys in a secret store.
                    environment = {key: value for key, value in environment.items() if "IDENTITY__VAULT" not in key}
                    command = [programs / program, "config", "check", "--config", file]
                    checked = run(*command, env=environment)
                    self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
                    prefix = "HANSA__" if program == "hansa" else "HANSA_DATAPLANE__"
                    refused = run(*command, env={**environment, f"{prefix}NO__SUCH": "x"})
                    self.assertNotEqual(refused.returncode, 0, "a variable that is no setting would not be noticed")


def prepare(objects, pod, folder):
    """The program, and its environment with all files of the pod below `folder`."""
    [container] = pod["containers"]
    files = {}
    for mount in container["volumeMounts"]:
        volume = next((volume for volume in pod["volumes"] if volume["name"] == mount["name"]), {})
        if "configMap" in volume and volume["name"] == "config":
            source = named(objects, "ConfigMap", volume["configMap"]["name"])["data"]
            files.update({f"{mount['mountPath']}/{item['path']}": source[item["key"]] for item in volume["configMap"]["items"]})
    environment = {}
    for source in container.get("envFrom", ()):
        made = [found for found in of_kind(objects, "ConfigMap") if found["metadata"]["name"] == source["configMapRef"]["name"]]
        environment.update(made[0]["data"] if made else {})
    for entry in container["env"]:
        value = entry.get("value", {"INDEX": "0", "POD": "h-hansa-data-0"}.get(entry["name"]))
        environment[entry["name"]] = re.sub(r"\$\((\w+)\)", lambda found: environment[found[1]], value)
    for key, value in environment.items():
        if key.endswith("_FILE"):
            text = {"DATABASE__URL": "postgres://hansa:secret@database.city.example/hansa"}
            files[value] = next((text[end] for end in text if end in key), certificate() if "CA_FILE" in key else "a-token-of-many-characters")
    for path in set(re.findall(r'_file = "([^"]+)"', "".join(files.values()))):
        files[path] = "Bearer of-the-broker"
    for path, text in list(files.items()):
        place = folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(re.sub(r'_file = "/', f'_file = "{folder}/', text))
    below = {key: f"{folder}{value}" if value.startswith("/") else value for key, value in environment.items()}
    return container["args"][0], below


def certificate():
    """Any certificate of this machine."""
    bundle = pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_text()
    return bundle[: bundle.index("-----END CERTIFICATE-----") + 26]


class Values(unittest.TestCase):
    def refused(self, values, reason, *more):
        done = render(values, HANSA, *more)
        self.assertNotEqual(done.returncode, 0, f"{values} was taken")
        self.assertIn(reason, done.stderr)

    def test_only_the_host_must_be_given(self):
        self.assertEqual(render(SMALLEST).returncode, 0)
        self.refused({}, "/host")

    def test_what_is_wrong_is_refused_with_a_reason(self):
        database = {"existingSecret": "d"}
        for values, reason in [
            ({"replicas": 2}, "additional properties 'replicas' not allowed"),
            ({"dataPlane": {"replica": 2}}, "additional properties 'replica' not allowed"),
            ({"dataPlane": {"replicas": 0}}, "/dataPlane/replicas"),
            ({"dataPlane": {"path": "data/"}}, "/dataPlane/path"),
            ({"host": "https://hansa.city.example"}, "/host"),
            ({"image": {"digest": "latest"}}, "/image/digest"),
            ({"exposure": {"kind": "nodeport"}}, "/exposure/kind"),
            ({"exposure": {"kind": "gateway"}}, "/exposure/gateway/parentRefs"),
            ({"controlPlane": {"replicas": 2}}, "several control planes need PostgreSQL"),
            ({"controlPlane": {"autoscaling": {"enabled": True}}}, "several control planes need PostgreSQL"),
            ({"controlPlane": {"replicas": 2}, "database": database}, "several control planes need one key"),
            ({"database": {**database, "file": "/x"}}, "one of them is enough"),
            ({"tokens": {"existingSecret": "t", "folder": "/x"}}, "one of them is enough"),
            ({"exposure": {"ingress": {"issuer": "a", "clusterIssuer": "b"}}}, "one of them is enough"),
            ({"identity": {"vault": {"url": "https://v"}}}, "needs identity.vault.key"),
        ]:
            with self.subTest(reason=reason, values=values):
                self.refused({**SMALLEST, **values}, reason)

    def test_the_check_of_manifests_can_fail(self):
        """Else the schemas would prove nothing."""
        objects = manifests(SMALLEST)
        self.assertEqual(kubeconform(yaml.safe_dump_all(objects)).returncode, 0)

        def spoil(kind, change):
            spoilt = copy.deepcopy(of_kind(objects, kind)[0])
            change(spoilt)
            return spoilt

        for fault in (
            spoil("Deployment", lambda made: made["spec"].update(replicas="one")),
            spoil("Deployment", lambda made: made["spec"].update(replica=1)),
            spoil("StatefulSet", lambda made: made["spec"]["template"]["spec"]["containers"][0].update(port=[])),
            spoil("Ingress", lambda made: made.update(apiVersion="extensions/v1beta1")),
            spoil("NetworkPolicy", lambda made: made["spec"]["ingress"][0].update(froms=[])),
        ):
            self.assertEqual(kubeconform(yaml.safe_dump(fault)).returncode, 1, fault["kind"])

    def test_each_data_plane_has_an_address_of_its_own(self):
        objects = manifests({**SMALLEST, "dataPlane": {"replicas": 3}})
        [ingress] = of_kind(objects, "Ingress")
        [rule] = ingress["spec"]["rules"]
        routes = {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
        self.assertEqual(routes, {"/": "h-hansa", **{f"/data/{n}": f"h-hansa-data-{n}" for n in range(3)}})
        for number in range(3):
            selector = named(objects, "Service", f"h-hansa-data-{number}")["spec"]["selector"]
            self.assertEqual(selector["statefulset.kubernetes.io/pod-name"], f"h-hansa-data-{number}")
        [container] = of_kind(objects, "StatefulSet")[0]["spec"]["template"]["spec"]["containers"]
        variables = {entry["name"]: entry.get("value") for entry in container["env"]}
        self.assertEqual(variables["HANSA_DATAPLANE__PUBLIC__PUBLIC_URL"], "https://hansa.city.example/data/$(INDEX)")
        planes = named(objects, "Service", "h-hansa-data-planes")["spec"]
        self.assertTrue(planes["publishNotReadyAddresses"], "a plane becomes ready by being reached there")

    def test_probes_ask_what_the_programs_answer(self):
        for _, _, pod in pod_specs(manifests(SMALLEST)):
            for container in pod["containers"]:
                asked = {probe: container[probe]["httpGet"] for probe in container if probe.endswith("Probe")}
                if asked:
                    self.assertEqual({probe: get["path"] for probe, get in asked.items()},
                                     {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"})
                    self.assertEqual({get["port"] for get in asked.values()}, {"signaling"})

    def test_who_may_connect(self):
        for policy in of_kind(manifests(SMALLEST), "NetworkPolicy"):
            for rule in policy["spec"]["ingress"]:
                [port] = [port["port"] for port in rule["ports"]]
                if port in ("dsp", "public"):
                    self.assertNotIn("from", rule)
                elif port == "signaling":
                    labels = rule["from"][0]["podSelector"]["matchLabels"]
                    self.assertEqual(labels["app.kubernetes.io/instance"], "h")
                else:
                    self.assertEqual(rule["from"], [{"podSelector": {}}], "this namespace only")

    def test_several_control_planes_share_nothing_but_the_database(self):
        objects = manifests(HANSA / "ci/postgresql.yaml")
        spec = of_kind(objects, "Deployment")[0]["spec"]
        self.assertEqual((spec["replicas"], spec["strategy"]["type"]), (3, "RollingUpdate"))
        volumes = {volume["name"]: volume for volume in spec["template"]["spec"]["volumes"]}
        self.assertIn("emptyDir", volumes["data"])
        self.assertFalse(of_kind(objects, "PersistentVolumeClaim"))
        alone = of_kind(manifests(SMALLEST), "Deployment")[0]["spec"]
        self.assertEqual((alone["replicas"], alone["strategy"]["type"]), (1, "Recreate"))
        scaled = manifests(HANSA / "ci/autoscaled.yaml")
        self.assertNotIn("replicas", of_kind(scaled, "Deployment")[0]["spec"], "the autoscaler's business")


class Umbrella(unittest.TestCase):
    def test_its_parts_are_switched_one_by_one(self):
        kinds = lambda values: {found["kind"] for found in manifests(values, UMBRELLA)}
        whole = kinds({"hansa": SMALLEST})
        self.assertIn("StatefulSet", whole)
        self.assertFalse({"Certificate", "Issuer", "Gateway"} & whole)
        issued = {"enabled": True, "issuerRef": {"name": "x"}}
        self.assertEqual(kinds({"hansa": {**SMALLEST, "enabled": False}, "certManager": issued}), {"Certificate"})
        self.assertEqual(kinds({"hansa": SMALLEST, "certManager": issued}) - whole, {"Certificate"})
        broker = manifests({"hansa": SMALLEST, "broker": {"enabled": True, "url": "http://broker:1026/"}}, UMBRELLA)
        self.assertEqual(named(broker, "ConfigMap", "hansa-broker")["data"], {"HANSA_DATAPLANE__CREDENTIALS__BROKER__URL_PREFIX": "http://broker:1026/"})

    def test_the_certificate_is_where_the_ingress_looks(self):
        objects = manifests(UMBRELLA / "ci/twin.yaml", UMBRELLA)
        [certificate], [ingress] = of_kind(objects, "Certificate"), of_kind(objects, "Ingress")
        [tls] = ingress["spec"]["tls"]
        self.assertEqual((tls["secretName"], tls["hosts"]), (certificate["spec"]["secretName"], certificate["spec"]["dnsNames"]))

    def test_what_is_wrong_is_refused_with_a_reason(self):
        for values, reason in [
            ({"brokers": {}}, "additional properties 'brokers' not allowed"),
            ({"hansa": {}}, "/host"),
            ({"hansa": {**SMALLEST, "hosts": []}}, "additional properties 'hosts' not allowed"),
            ({"broker": {"enabled": True}}, "needs broker.url"),
            ({"broker": {"enabled": True, "url": "http://b/", "authorizationSecret": "x"}}, "name it in hansa.dataPlane.secrets"),
            ({"certManager": {"enabled": True}}, "needs certManager.issuerRef.name"),
            ({"certManager": {"enabled": True, "issuerRef": {"name": "x"}, "acme": {"email": "a@b"}}}, "one of them is enough"),
            ({"gateway": {"enabled": True, "className": "x"}}, "needs hansa.exposure.kind gateway"),
        ]:
            with self.subTest(reason=reason):
                done = render({"hansa": SMALLEST, **values}, UMBRELLA)
                self.assertNotEqual(done.returncode, 0, f"{values} was taken")
                self.assertIn(reason, done.stderr)


class Upgrade(unittest.TestCase):
    """What an upgrade cannot do it refuses before it changes anything: while Helm renders."""

    def installed(self, **changes):
        facts = named(manifests({**SMALLEST, "dataPlane": {"replicas": 2}}), "ConfigMap", "h-hansa-installation")
        facts["data"].update(changes)
        return facts

    def test_the_same_again_is_taken(self):
        with Cluster(self.installed()) as more:
            manifests({**SMALLEST, "dataPlane": {"replicas": 3}}, HANSA, *more)

    def test_what_cannot_be_done_is_refused(self):
        two = {"dataPlane": {"replicas": 2}}
        for facts, values, reason in [
            ({}, {"host": "other.example", **two}, "would be another participant"),
            ({}, {**SMALLEST, **two, "database": {"existingSecret": "d"}}, "would leave it behind"),
            ({"version": "0.2.0"}, {**SMALLEST, **two}, "cannot read"),
            ({}, {**SMALLEST, "dataPlane": {"replicas": 2, "persistence": {"size": "20Gi"}}}, "Kubernetes does not change them"),
            ({}, SMALLEST, "the flows of the others would end"),
        ]:
            with self.subTest(reason), Cluster(self.installed(**facts)) as more:
                done = render(values, HANSA, *more)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(reason, done.stderr)

    def test_what_is_said_aloud_is_done(self):
        with Cluster(self.installed()) as more:
            manifests({**SMALLEST, "dataPlane": {"dangerDropDataPlanes": True}}, HANSA, *more)
            manifests({"host": "new.city.example", "identity": {"did": "did:web:hansa.city.example"}, "dataPlane": {"replicas": 2}}, HANSA, *more)

    def test_tokens_are_made_once(self):
        secret = named(manifests(SMALLEST), "Secret", "h-hansa-tokens")
        self.assertEqual({len(base64.b64decode(value)) for value in secret["data"].values()}, {40})
        self.assertEqual(len(set(secret["data"].values())), 3)
        with Cluster(self.installed(dataPlanes="1"), secret) as more:
            again = named(manifests(SMALLEST, HANSA, *more), "Secret", "h-hansa-tokens")
        self.assertEqual(again["data"], secret["data"])
        self.assertFalse(of_kind(manifests({**SMALLEST, "tokens": {"existingSecret": "mine"}}), "Secret"))


class Manual(unittest.TestCase):
    def test_the_commands_of_the_page_are_what_helm_understands(self):
        """Each command of the manual's page, with what would change a cluster rendered instead. kubectl is only looked at."""
        page = (PROJECT / "docs/src/install-kubernetes.md").read_text()
        commands = "".join(re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S))
        self.assertGreaterEqual(commands.count("helm "), 5)
        script = r"""
            set -eu
            kubectl() { case "$*" in *delete*--selector*) ;; *) exit 1 ;; esac; }
            helm() {
              word=$1; shift
              case $word in
                install | upgrade) words=; for w in "$@"; do case $w in --create-namespace | --reset-then-reuse-values) ;; *) words="$words $w" ;; esac; done
                  given=; [ $word = install ] || given="--set host=hansa.city.example"
                  command helm template $words $given >>rendered ;;
                uninstall) [ "$1 $2 $3" = "hansa --namespace dataspace" ] ;;
                *) command helm "$word" "$@" ;;
              esac
            }
        """
        with tempfile.TemporaryDirectory() as place:
            shutil.copytree(HANSA.parent, pathlib.Path(place) / "charts", ignore=shutil.ignore_patterns("tests"))
            shutil.copytree(HANSA / "templates/tests", pathlib.Path(place) / "charts/hansa/templates/tests")
            done = run("bash", "-c", script + commands, cwd=place)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            rendered = (pathlib.Path(place) / "rendered").read_text()
        self.assertEqual(rendered.count("kind: StatefulSet"), 3, "two installations and an upgrade")

    def test_the_settings_of_the_page_are_taken(self):
        page = (PROJECT / "docs/src/install-kubernetes.md").read_text()
        [values] = re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)
        manifests(yaml.safe_load(values))

    def test_every_value_that_the_page_names_is_there(self):
        page = (PROJECT / "docs/src/install-kubernetes.md").read_text()
        values = yaml.safe_load((HANSA / "values.yaml").read_text())
        tops = "|".join(values)
        for name in set(re.findall(rf"`((?:{tops})(?:\.\w+)+)(?:=\w+)?`", page)):
            found = values
            for part in name.split("."):
                self.assertIn(part, found, name)
                found = found[part]


if __name__ == "__main__":
    unittest.main()
