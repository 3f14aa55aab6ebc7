"""The end of a model server's process inside its container, as a crash or too little memory is."""

from collections.abc import Callable

# Not the container's first process, which waits for the server and ends with it.
_SCRIPT = (
    "import os, pathlib\n"
    "for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
    "    text = path.read_bytes()\n"
    "    if b'emotion_ai.server' in text and b'/init' not in text and path.parent.name != '1':\n"
    "        os.kill(int(path.parent.name), 9)\n"
)


def kill_server(kubectl: Callable[..., str], pod: str) -> None:
    """Kill the server of a pod with SIGKILL.

    Args:
        kubectl: Runs kubectl in the pod's namespace.
        pod: The pod.
    """
    kubectl("exec", pod, "--container", "server", "--", "python3", "-c", _SCRIPT)
