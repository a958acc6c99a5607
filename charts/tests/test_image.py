"""The container image: its recipe is linted, and what its last stage holds is put together and run as the chart runs it."""
import base64
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from rendering import PROJECT, manifests, named, of_kind, run

RECIPE = PROJECT / "container/Dockerfile"
USER = 65532
PATIENCE = 90


def instructions():
    """(instruction, rest) of each line of the recipe, continued lines joined."""
    text = re.sub(r"\\\n", " ", RECIPE.read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [(line.split()[0], line.split(None, 1)[1]) for line in lines]


class Recipe(unittest.TestCase):
    def test_it_is_linted(self):
        lint = pathlib.Path(os.environ["HANSA_PYTHON_BIN"]) / "hadolint"
        self.assertEqual((done := run(lint, "--failure-threshold", "style", RECIPE)).returncode, 0, done.stdout)
        with tempfile.NamedTemporaryFile("w", suffix="Dockerfile") as spoilt:
            spoilt.write(RECIPE.read_text().replace("USER 65532:65532", "USER root"))
            spoilt.flush()
            self.assertIn("DL3002", run(lint, spoilt.name).stdout, "the linter would not notice root")

    def test_its_images_are_chosen_by_who_builds(self):
        """Every base is an argument, so that a release can name it by digest; none floats."""
        arguments = dict(rest.split("=", 1) for word, rest in instructions() if word == "ARG" and "IMAGE" in rest)
        stages = set()
        for rest in (rest for word, rest in instructions() if word == "FROM"):
            image, name = re.match(r"(\S+) AS (\S+)$", rest).groups()
            self.assertTrue(image in stages | {"scratch"} or image.strip("${}") in arguments, image)
            stages.add(name)
        for image in arguments.values():
            self.assertRegex(image, r"^[a-z.]+(/[a-z0-9-]+)+:(?!latest)[\w.-]+$")
        pinned = re.search(r'channel = "(.*)"', (PROJECT / "rust-toolchain.toml").read_text())[1]
        self.assertIn(f":{pinned}-", arguments["RUST_IMAGE"])

    def test_what_ships_runs_as_nobody(self):
        stage, words = None, {}
        for word, rest in instructions():
            stage = rest.split()[-1] if word == "FROM" else stage
            words.setdefault(stage, []).append((word, rest))
        self.assertEqual(list(words)[-1], "runtime", "the last stage is what `docker build` makes")
        for name in ("runtime", "static"):
            made = dict(words[name])
            self.assertEqual(made["USER"], f"{USER}:{USER}", "by number, which Kubernetes can check")
            self.assertEqual(json.loads(made["CMD"]), ["hansa", "serve"])
            self.assertNotIn("RUN", made)
            ports = {port["containerPort"] for kind in ("Deployment", "StatefulSet")
                     for port in of_kind(manifests({"host": "a.example"}), kind)[0]["spec"]["template"]["spec"]["containers"][0]["ports"]}
            self.assertEqual({int(port) for port in made["EXPOSE"].split()}, ports)
        self.assertFalse([rest for word, rest in instructions() if word in ("ADD", "ENTRYPOINT")])
        pod = of_kind(manifests({"host": "a.example"}), "Deployment")[0]["spec"]["template"]["spec"]
        self.assertEqual(pod["securityContext"]["runAsUser"], USER)

    def test_the_list_of_parts_is_whole(self):
        bom = json.loads(run(PROJECT / "scripts/sbom.py").stdout)
        self.assertEqual((bom["bomFormat"], bom["specVersion"]), ("CycloneDX", "1.6"))
        parts = {part["bom-ref"]: part for part in bom["components"]}
        self.assertEqual(len(parts), len(bom["components"]))
        for entry in bom["dependencies"]:
            self.assertLessEqual({entry["ref"], *entry["dependsOn"]}, {*parts, "hansa"})
        self.assertEqual({entry["ref"] for entry in bom["dependencies"]}, {*parts, "hansa"})
        names = {part["name"] for part in parts.values()}
        self.assertLessEqual({"connector", "dataplane", "rustls", "aws-lc-rs", "openssl-sys", "redb"}, names)
        self.assertFalse({"tck", "two-cities-demo", "ngsi-ld-source"} & names, "tests and samples do not ship")
        for part in parts.values():
            self.assertTrue(part["licenses"][0]["expression"], part["name"])
            ours = not part.get("hashes")
            self.assertEqual(ours, (PROJECT / "Cargo.lock").read_text().count(f'name = "{part["name"]}"\nversion = "{part["version"]}"\nsource') == 0)
        self.assertEqual(json.loads(run(PROJECT / "scripts/sbom.py").stdout)["serialNumber"], bom["serialNumber"])


class Manual(unittest.TestCase):
    def test_the_commands_of_the_page_run(self):
        page = (PROJECT / "docs/src/container.md").read_text()
        [commands] = re.findall(r"^```sh run\n(.*?)^```", page, re.M | re.S)
        with tempfile.TemporaryDirectory() as place:
            here = commands.replace("/tmp/", f"{place}/").replace("target/release", os.environ["HANSA_BIN_DIR"])
            done = run("bash", "-eu", "-c", here, cwd=PROJECT)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLessEqual({"hansa", "hansa-dataplane", "LICENSE", "sbom.cdx.json"}, {line.rsplit("/", 1)[-1] for line in done.stdout.splitlines()})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, host=None):
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return None, ""


class Pod:
    """One pod of the rendered chart: the image's content below a folder of its own, read-only, its volume beside."""

    def __init__(self, objects, kind, home, ports, static):
        self.root, self.volume, self.log, self.process = home / "root", home / "volume", home / "log", None
        [container] = (spec := of_kind(objects, kind)[0]["spec"]["template"]["spec"])["containers"]
        self.arguments = container["args"]
        programs = pathlib.Path(os.environ["HANSA_BIN_DIR"])
        done = run(PROJECT / "scripts/image-root.sh", programs, self.root)
        assert done.returncode == 0, done.stderr
        self.base(programs, static)
        self.mount(objects, spec, container)
        self.volume.mkdir()
        os.chown(self.volume, USER, USER)
        self.environment = {"PATH": "/usr/local/bin"}
        for entry in container["env"]:
            value = entry.get("value", {"INDEX": "0", "POD": "h-hansa-data-0"}.get(entry["name"]))
            value = re.sub(r"\$\((\w+)\)", lambda found: self.environment[found[1]], value)
            # Other tests may have the usual ports.
            self.environment[entry["name"]] = re.sub(r":(82\d\d)\b", lambda found: f":{ports[found[1]]}", value)

    def base(self, programs, static):
        """What the base image gives: the libraries that the programs ask for, and public authorities."""
        for program in () if static else ("hansa", "hansa-dataplane"):
            for library in re.findall(r"(/\S+) \(0x", run("ldd", programs / program).stdout):
                place = self.root / library.lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, place)
        (self.root / "etc/ssl/certs").mkdir(parents=True)
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", self.root / "etc/ssl/certs")
        # What every runtime of containers gives; a static program asks it for random bytes.
        (self.root / "dev").mkdir()
        for name, minor in (("null", 3), ("random", 8), ("urandom", 9)):
            os.mknod(self.root / "dev" / name, stat.S_IFCHR, os.makedev(1, minor))
            (self.root / "dev" / name).chmod(0o666)
        # What Kubernetes gives: the names of the cluster, all of them here.
        names = "h-hansa.city.svc h-hansa-data-0.h-hansa-data-planes.city.svc h-hansa-data-0.city.svc localhost"
        (self.root / "etc/hosts").write_text(f"127.0.0.1 {names}\n")

    def mount(self, objects, spec, container):
        """The volumes that hold files, with the owner and the mode that Kubernetes gives them."""
        for mount in container["volumeMounts"]:
            volume = next((volume for volume in spec["volumes"] if volume["name"] == mount["name"]), {})
            source = volume.get("configMap") or volume.get("secret")
            if not source:
                continue
            made = named(objects, "ConfigMap", source["name"]) if "configMap" in volume else named(objects, "Secret", source["secretName"])
            for item in source["items"]:
                text = made["data"][item["key"]]
                file = self.root / mount["mountPath"].lstrip("/") / item["path"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text if "configMap" in volume else base64.b64decode(text).decode())
                os.chown(file, 0, USER)
                file.chmod(source.get("defaultMode", 0o644))

    def command(self, arguments):
        """As in a container: its own environment, the root read-only, the volume over its place, no rights and none to be had."""
        script = """
            mount --bind "$0" "$0" && mount --bind "$1" "$0/var/lib/hansa" && mount -o remount,bind,ro "$0" && shift &&
            exec setpriv --no-new-privs env -i "$@"
        """
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        enter = [shutil.which("chroot"), f"--userspec={USER}:{USER}", "--groups=", self.root]
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, self.root, self.volume, *variables, *enter, *arguments]

    def start(self):
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self.command(self.arguments), stdout=log, stderr=subprocess.STDOUT)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@unittest.skipUnless(os.geteuid() == 0, "only root can give a process a root folder of its own")
class Run(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hansa-image-")
        self.addCleanup(folder.cleanup)
        home = pathlib.Path(folder.name)
        home.chmod(0o755)
        objects = manifests({"host": "hansa.city.example"})
        self.ports = {str(port): free_port() for port in (8282, 8283, 8284, 8290, 8291, 8292)}
        told = run("ldd", pathlib.Path(os.environ["HANSA_BIN_DIR"]) / "hansa")
        static = "=>" not in told.stdout
        self.pods = []
        for kind in ("Deployment", "StatefulSet"):
            (home / kind).mkdir()
            self.pods.append(Pod(objects, kind, home / kind, self.ports, static))
        self.addCleanup(lambda: [(pod.process.kill(), pod.process.wait()) for pod in self.pods if pod.process])

    def url(self, port, path):
        return f"http://127.0.0.1:{self.ports[str(port)]}{path}"

    def wait(self, port, path, wanted):
        end = time.monotonic() + PATIENCE
        while (seen := get(self.url(port, path)))[0] != wanted:
            logs = "".join(pod.log.read_text()[-2000:] for pod in self.pods if pod.log.exists())
            self.assertLess(time.monotonic(), end, f"{path} answers {seen}, not {wanted}\n{logs}")
            time.sleep(0.1)
        return seen[1]

    def files(self, pod):
        return sorted(str(path.relative_to(pod.root)) for path in pod.root.rglob("*"))

    def test_the_chart_runs_on_the_image_read_only_and_as_nobody(self):
        control, data = self.pods
        before = [self.files(pod) for pod in self.pods]
        # The data plane first: the order does not matter, and it is not ready without a control plane.
        data.start()
        self.assertIn("no control plane", self.wait(8291, "/ready", 503))
        self.assertEqual(get(self.url(8291, "/health"))[0], 200)
        control.start()
        self.wait(8284, "/ready", 200)
        self.wait(8291, "/ready", 200)

        document = json.loads(self.wait(8282, "/.well-known/did.json", 200))
        self.assertEqual(document["id"], "did:web:hansa.city.example")
        # By the way that the route has, with its path; without a token nobody gets further.
        self.assertEqual(get(self.url(8290, "/data/0/flows/none/x"))[0], 401)
        self.assertEqual(get(self.url(8290, "/none"))[0], 404)

        # What `helm test` runs.
        [test] = [made for made in of_kind(manifests({"host": "hansa.city.example"}), "Pod")]
        asked = [re.sub(r"h-hansa:8283", f"localhost:{self.ports['8283']}", word) for word in test["spec"]["containers"][0]["args"]]
        status = run(*control.command(asked))
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertIn("did:web:hansa.city.example", status.stdout)

        for pod in self.pods:
            facts = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pod.process.pid}/status").read_text().splitlines() if ":\t" in line)
            self.assertEqual(facts["Uid"].split(), [str(USER)] * 4)
            self.assertEqual((facts["NoNewPrivs"].strip(), int(facts["CapEff"], 16)), ("1", 0))
            mounts = pathlib.Path(f"/proc/{pod.process.pid}/mountinfo").read_text().splitlines()
            roots = [line.split()[5].split(",")[0] for line in mounts if line.split()[4] == "/"]
            self.assertEqual(roots[-1], "ro")
        self.assertEqual([self.files(pod) for pod in self.pods], before)
        self.assertTrue((control.volume / "data/hansa.db").exists() and (control.volume / "keys/keys.json").exists())
        self.assertTrue((data.volume / "data/flows.redb").exists())

        # A pod that is replaced finds what the one before left.
        self.assertEqual([pod.stop() for pod in self.pods], [0, 0])
        for pod in self.pods:
            pod.start()
        self.wait(8284, "/ready", 200)
        self.wait(8291, "/ready", 200)
        again = json.loads(self.wait(8282, "/.well-known/did.json", 200))
        self.assertEqual(again["verificationMethod"], document["verificationMethod"])
        self.assertEqual([pod.stop() for pod in self.pods], [0, 0])


if __name__ == "__main__":
    unittest.main()
