"""Whether kubectl has a kustomize for the base."""

import json
import shutil
import subprocess

_WANTED = 5  # kubectl 1.27 has it; of older ones nothing is known


def absent() -> str:
    """Why it cannot be tried here; an empty text where it can."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        return "kubectl is not installed"
    words = [kubectl, "version", "--client", "--output=json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    version = json.loads(done.stdout or "{}").get("kustomizeVersion", "of long ago")
    if version.startswith("v") and int(version[1:].partition(".")[0]) >= _WANTED:
        return ""
    return f"kubectl's kustomize is {version}, and not v{_WANTED}"


ABSENT = absent()
