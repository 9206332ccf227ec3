"""What is shipped must work as shipped: every policy and configuration passes `faregate check`, including the one inside
the Kubernetes manifest, and the manifests say what their comments promise. Usage: check_deploy.py PATH_TO_FAREGATE
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
DAEMON = pathlib.Path(sys.argv[1]).resolve()


def check(file):
    """Runs `faregate check` with a stand-in for every variable that the file mentions."""
    variables = {name: f"stand-in-for-{name}" for name in re.findall(r"env:(\w+)", file.read_text())}
    result = subprocess.run([DAEMON, "check", file], env={**os.environ, **variables}, capture_output=True, text=True)
    print(f"{'ok  ' if result.returncode == 0 else 'FAIL'} faregate check {file}")
    if result.returncode != 0:
        sys.exit(result.stdout + result.stderr)


def expect(holds, promise):
    print(f"{'ok  ' if holds else 'FAIL'} {promise}")
    if not holds:
        sys.exit(1)


def check_compose():
    folder = ROOT / "deploy"
    services = yaml.safe_load((folder / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        published = [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")]
        expect(not published, f"compose: {name} is published on loopback only")
        sources = [volume.split(":")[0] for volume in service.get("volumes", [])]
        missing = [source for source in sources if source.startswith(".") and not (folder / source).exists()]
        expect(not missing, f"compose: {name} mounts what exists {missing or ''}")
    wanted = set(re.findall(r'"env:(\w+)"', (folder / "faregate.toml").read_text()))
    expect(wanted <= set(services["faregate"]["environment"]), "compose: every key of the configuration is handed over")


def check_sidecar():
    documents = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/sidecar.yaml").read_text()))
    objects = {document["kind"]: document for document in documents}
    files = objects["ConfigMap"]["data"]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            pathlib.Path(folder, name).write_text(text)
        check(pathlib.Path(folder, "faregate.toml"))
    keys = set(re.findall(r'"env:(\w+)"', files["faregate.toml"]))
    expect(keys <= set(objects["Secret"]["stringData"]), "sidecar: every key of the configuration is in the Secret")
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    daemon = next(container for container in pod["initContainers"] if container["name"] == "faregate")
    expect(all("subPath" not in mount for mount in daemon["volumeMounts"]), "sidecar: the configuration is a folder")
    probes = {daemon[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    expect(probes == {"/readyz", "/healthz"}, "sidecar: probes ask the admin plane")


def check_provisioning():
    for path in sorted((ROOT / "deploy").glob("**/*.yml")):
        expect(yaml.safe_load(path.read_text()) is not None, f"YAML: {path.relative_to(ROOT)}")


check_provisioning()
check_compose()
for shipped in [*sorted(ROOT.glob("policies/*.toml")), *sorted(ROOT.glob("examples/*.toml")), ROOT / "deploy/faregate.toml"]:
    check(shipped)
check_sidecar()
