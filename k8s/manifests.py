"""Write an overlay's manifests, with the tags of this checkout's images in place of REVISION.

    python k8s/manifests.py OVERLAY IMAGES

OVERLAY is the name of a folder in k8s/overlays, or the path of a kustomization anywhere. IMAGES is
the images' prefix, such as registry.example.com/emotion-ai. The manifests go to standard output.
"""

import re
import subprocess
import sys
from pathlib import Path

from emotion_ai.errors import InputError, exit_on_failure
from emotion_ai.pipeline.policy import program_tag

FOLDER = Path(__file__).resolve().parent
_COMMITTED_IMAGE = re.compile(r"\blocalhost/emotion-ai/([a-z-]+):REVISION\b")


def render(overlay: str, images: str) -> str:
    """Return the manifests of an overlay with real images.

    Args:
        overlay: The name of a folder in k8s/overlays, or a path with a slash.
        images: The prefix of the images' names.

    Raises:
        InputError: There is no such overlay, or kustomize refuses it.
    """
    text = build(Path(overlay) if "/" in overlay else FOLDER / "overlays" / overlay)
    return _COMMITTED_IMAGE.sub(lambda match: f"{images}/{match[1]}:{program_tag(match[1])}", text)


def build(folder: Path) -> str:
    """Return the manifests of a kustomization as they are committed.

    Raises:
        InputError: There is no such folder, or kustomize refuses it.
    """
    if not (folder / "kustomization.yaml").is_file():
        names = sorted(path.parent.name for path in FOLDER.glob("overlays/*/kustomization.yaml"))
        raise InputError(
            f"{folder} has no kustomization.yaml; name {' or '.join(names)}, or a folder's path"
        )
    kubectl = Path(sys.executable).with_name("kubectl")
    answer = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True)
    if answer.returncode:
        raise InputError(f"{folder}: {answer.stderr.strip()}")
    return answer.stdout


if __name__ == "__main__":
    with exit_on_failure():
        sys.stdout.write(render(*sys.argv[1:]))
