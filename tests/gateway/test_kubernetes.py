"""The manifests that are shipped are such as Kubernetes takes, and as strict as they are said to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import kubernetes_validate
import pytest
import yaml

from jupyter_ci_ext.kernels.remote.specs import parse

FOLDER = Path(__file__).parents[2] / "docs" / "kubernetes"
PAGE = FOLDER.parent / "gateway.md"
VERSION = "1.34"


def pod(**values: str) -> Any:
    """The pod as the launcher of gateway_provisioners renders it."""
    place = FOLDER / "code_interpreter_pod" / "scripts"
    templates = jinja2.Environment(loader=jinja2.FileSystemLoader(place), trim_blocks=True)
    known = {
        "kernel_pod_name": "alice-1",
        "kernel_namespace": "code-interpreter",
        "kernel_id": "1",
        "kernel_image": "kernel:1",
    }
    return yaml.safe_load(templates.get_template("kernel-pod.yaml.j2").render(known | values))


def documents() -> list[Any]:
    """Every object of the manifests that are no templates."""
    return [
        each
        for name in ("network-policy.yaml", "limits.yaml")
        for each in yaml.safe_load_all((FOLDER / name).read_text())
    ]


@pytest.mark.parametrize("manifest", documents(), ids=lambda each: str(each["kind"]))
def test_manifests_are_valid(manifest: Any) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


@pytest.mark.parametrize("values", [{}, {"kernel_memory_limit": "1Gi", "kernel_cpus": "1"}])
def test_the_pod_is_valid(values: dict[str, str]) -> None:
    kubernetes_validate.validate(pod(**values), VERSION, strict=True)


def test_what_is_wrong_would_be_found() -> None:
    wrong = pod()
    wrong["spec"]["runAsNonroot"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_the_pod_is_strict() -> None:
    spec = pod()["spec"]
    (container,) = spec["containers"]
    assert spec["runtimeClassName"] == "gvisor"
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"] == "2Gi"
    mounts = {each["name"] for each in container["volumeMounts"]}
    assert mounts == {each["name"] for each in spec["volumes"] if each["emptyDir"]["sizeLimit"]}
    policy = next(each for each in documents() if each["kind"] == "NetworkPolicy")
    labels = pod()["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_kernelspec_and_the_settings_of_the_page_are_so() -> None:
    spec = json.loads((FOLDER / "code_interpreter_pod" / "kernel.json").read_text())
    assert spec["language"] == "python"
    assert spec["metadata"]["kernel_provisioner"]["provisioner_name"] == "kubernetes-provisioner"
    _, _, rest = PAGE.read_text().partition("c.RemoteKernels.allowed = ")
    setting = rest.partition("\n```")[0]
    allowed = parse(eval(setting, {}))  # a literal of our own page
    assert "code_interpreter_pod" in allowed
